"""Check that every public name of `listener` has a complete type and a docstring.

    python tools/check_public_types.py

Public are the names that `listener` exports, and the modules below `listener.kit` and `listener.testing` whose names do
not begin with an underscore. The exit code is 1 if a type or a docstring is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import listener

PACKAGES = ("listener.kit.", "listener.testing.")


def report() -> list[dict[str, Any]]:
    """Return what basedpyright found about each symbol of the package."""
    # It looks for the packages of the `python` on the PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = ["basedpyright", "--ignoreexternal", "--outputjson", "--verifytypes", "listener"]
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    symbols: list[dict[str, Any]] = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    return symbols


def is_public(name: str) -> bool:
    """Return whether a symbol belongs to a name that `listener` exports, or to a public module."""
    return name.startswith(PACKAGES) or any(name == one or name.startswith(f"{one}.") for one in exported())


def exported() -> list[str]:
    """Return the full names of what `listener` exports, by the modules that define them."""
    return [f"{getattr(listener, name).__module__}.{name}" for name in listener.__all__]


def main() -> int:
    """Print what is missing; the exit code of the program."""
    public = [one for one in report() if one["isExported"] and is_public(one["name"])]
    problems = [
        f"{one['name']}: {found['message'].splitlines()[0]}" for one in public for found in one["diagnostics"]
    ]
    incomplete = [one["name"] for one in public if not one["isTypeKnown"] or one["isTypeAmbiguous"]]
    for line in problems or incomplete:
        print(line)
    print(f"{len(public) - len(incomplete)} of {len(public)} public names have a complete type")
    return 1 if problems or incomplete or not public else 0


if __name__ == "__main__":
    sys.exit(main())
