"""Processes that handlers start neither disturb the service nor outlive their job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.harness import Table, until
from tests.support.processes import serving

from .conftest import Marks


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("kind", ["fork", "spawn", "forkserver", "os.fork", "subprocess", "async"])
async def test_a_handlers_processes_stay_apart_and_end_with_it(
    jobs: Table, database: str, marks: Marks, tmp_path: Path, kind: str
) -> None:
    variables = {"DATABASE_URL": database, "HEALTH_CHECK_PORT": "0", "MARKS": str(marks.folder)}
    if kind == "async":
        variables["ASYNC"] = "1"
    with serving(tmp_path, "tests.crash.forking", **variables) as serve:
        service = serve()
        await jobs.add("a", kind=kind)
        row = await jobs.becomes("a", "completed", "failed", within=20)
        assert (row["status"], row["result"], row["error"]) == ("completed", "14", None)
        if (left := marks.folder / "left").exists():
            await until(lambda: is_gone(int(left.read_text())))
        assert service.poll() is None
        service.terminate()
        assert service.wait(10) == 0
    assert "stopping at once" not in (tmp_path / "log 0").read_text()
