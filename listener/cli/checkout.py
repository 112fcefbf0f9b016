"""Import what only a checkout has: the reference application and the benchmarks. The wheel does not contain them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from listener.errors import ConfigError


def load(name: str) -> ModuleType:
    """Import a module of the checkout in the working directory.

    Raises:
        ConfigError: the module does not exist.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"there is no {name} here; run this command in a checkout of supalistener"
            ) from None
        raise
