"""The files that a child process may open: system libraries, and those that it is given."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/System", "/Library"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/var/cache/fontconfig"),
    *("/dev/urandom", "/dev/random", "/dev/zero", "/sys/devices/system/cpu", "/sys/devices/system/node"),
)
"""Programs, libraries, fonts, and what libraries read about the machine. Nothing of /proc, where other processes
show their environment, and no folder where services usually keep secrets."""

PYTHON = tuple(dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix)))


@dataclass(frozen=True, slots=True)
class Confinement:
    """Files that a process may open beside those of the system; a folder includes everything below it.

    A confined process has no network either.

    Attributes:
        reads: to read, and to run as a program.
        writes: to read, write, create and remove.
    """

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()

    @classmethod
    def of_python(cls, script: Path, reads: Iterable[Path] = (), writes: Iterable[Path] = ()) -> Self:
        """Return what a Python program needs: the interpreter, the script, and `reads` and `writes`."""
        return cls((*map(Path, PYTHON), script, *reads), tuple(writes))

    def arguments(self) -> list[str]:
        """Return the arguments of `_exec_main.py` that allow these files."""
        return [*_rules("read", [*SYSTEM, *self.reads]), *_rules("write", ["/dev/null", *self.writes])]


def _rules(right: str, paths: Iterable[str | Path]) -> list[str]:
    return [f"{right}={path}" for path in paths]
