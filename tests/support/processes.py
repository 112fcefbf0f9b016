"""Run services as separate processes, for tests that kill them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ("PATH", "COVERAGE_PROCESS_CONFIG")
"""The variables that no test takes away: where programs are, and where the coverage of a process is written."""

Serve = Callable[..., "subprocess.Popen[bytes]"]


def environment(**more: str) -> dict[str, str]:
    """Return a bare environment for a process that imports this checkout."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@contextmanager
def serving(folder: Path, *module: str, **always: str) -> Iterator[Serve]:
    """Yield a function that starts `python -m MODULE ...` in `folder`, and kill all processes at the end of the block.

    A process gets these variables and those of the call. Its output is in the file `log N` of the folder.
    """
    processes: list[subprocess.Popen[bytes]] = []

    def start(**more: str) -> subprocess.Popen[bytes]:
        with (folder / f"log {len(processes)}").open("wb") as log:
            command = [sys.executable, "-m", *module]
            processes.append(
                subprocess.Popen(
                    command, env=environment(**{**always, **more}), cwd=folder, stdout=log, stderr=log
                )
            )
        return processes[-1]

    try:
        yield start
    finally:
        for process in processes:
            process.kill()
            process.wait()
