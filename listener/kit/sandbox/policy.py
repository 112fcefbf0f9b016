"""What a child process may see of this machine: no network, system libraries, and the files it is given."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/System", "/Library"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/var/cache/fontconfig"),
    *("/dev/urandom", "/dev/random", "/dev/zero", "/sys/devices/system/cpu", "/sys/devices/system/node"),
)
"""Programs, libraries, fonts, and what libraries ask of the machine. Nothing of /proc, where other processes
show their environment, and no folder where a service is wont to keep its secrets."""

PYTHON = tuple(dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix)))


@dataclass(frozen=True, slots=True)
class Confinement:
    """Files that a process may open beside those of the system; folders stand for all that is below them.

    Attributes:
        reads: to read, and to run as a program.
        writes: to read, write, make and remove.
    """

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()

    def words(self) -> list[str]:
        """The same in the words of `leash`."""
        return [*_words("read", [*SYSTEM, *self.reads]), *_words("write", ["/dev/null", *self.writes])]


def _words(right: str, paths: Iterable[str | Path]) -> list[str]:
    return [f"{right}={path}" for path in paths]
