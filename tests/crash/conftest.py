"""Services as separate processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.harness import Table, until
from tests.support.processes import Serve, serving

QUICK = {"LEASE": "1.2", "HEARTBEAT": "0.3", "SHUTDOWN_GRACE": "0.2", "LOG_LEVEL": "info"}


class Marks:
    """The marks of the processes of handlers: files with the names `key phase attempt pid`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, key: str, phase: str) -> list[tuple[int, int]]:
        """Return (attempt, pid) of all processes that reached a phase of a job."""
        names = [path.name.rsplit(" ", 3) for path in self.folder.iterdir() if path.name.count(" ") >= 3]
        found = [(int(attempt), int(pid)) for k, p, attempt, pid in names if (k, p) == (key, phase)]
        return sorted(found)

    async def reached(self, key: str, phase: str, times: int = 1) -> list[tuple[int, int]]:
        """Wait until so many processes have reached a phase. Returns their (attempt, pid)."""

        def came() -> list[tuple[int, int]] | None:
            found = self.of(key, phase)
            return found if len(found) >= times else None

        return await until(came, within=20)

    def let_go(self) -> None:
        (self.folder / "go").touch()


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    (tmp_path / "marks").mkdir()
    return Marks(tmp_path / "marks")


@pytest.fixture
def serve(database: str, marks: Marks, tmp_path: Path) -> Iterator[Serve]:
    """A function that starts a service; all of them end with the test."""
    environment = {"DATABASE_URL": database, "HEALTH_CHECK_PORT": "0", "MARKS": str(marks.folder), **QUICK}
    with serving(tmp_path, "tests.crash.service", **environment) as start:
        yield start


@pytest.fixture
async def jobs(db: asyncpg.Connection) -> Table:
    """A user's table with two stages, attached as the queue `jobs`."""
    return await Table(db).create(stages="{processing,enriching}")
