"""watch: the state of a job, and the end of the command."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from listener.cli.watch import judge
from tests.cli.conftest import Listener, Sql, Worker, environment, on_a_terminal


def test_it_ends_at_once_when_all_have_ended(listener: Listener, sql: Sql, worker: Worker) -> None:
    sql("insert into thumbs (path) values ('a'), ('b')")
    worker.settle("complete", worker.claim())
    assert listener("watch", "thumbs", "1").output == "1 completed 100 %\n".replace(" c", "  c").replace(
        " 1", "  1"
    )
    worker.settle("fail", worker.claim(), error="no such file")
    failed = listener("watch", "thumbs", "2")
    assert (failed.exit_code, failed.stderr) == (1, "error: 2: no such file\n")
    both = listener("watch", "thumbs", "1", "2")
    assert (both.exit_code, both.stderr) == (1, "error: 1 of 2 jobs did not complete\n")


def test_what_is_not_there_is_said_before_anything_else(listener: Listener, thumbs: str) -> None:
    assert listener("watch", thumbs, "7").stderr == "error: queue thumbs has no job 7\n"
    assert "The queues are thumbs." in listener("watch", "nix").stderr


def test_lines_tell_a_jobs_story(sql: Sql, worker: Worker) -> None:
    sql("insert into thumbs (path) values ('a')")
    with subprocess.Popen(
        [sys.executable, "-m", "listener", "watch", "thumbs", "1"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "1  queued  waiting for a worker\n"
        job = worker.claim()
        assert watching.stdout.readline() == "1  processing  0 %\n"
        worker.settle("progress", job, percent=42.5, message="looking")
        assert watching.stdout.readline() == "1  processing  42 %  looking\n"
        worker.settle("complete", job)
        assert watching.stdout.readline() == "1  completed  100 %\n"
    assert watching.returncode == 0


def test_on_a_terminal_there_are_bars(sql: Sql, worker: Worker) -> None:
    sql("insert into thumbs (path) values ('a')")
    worker.settle("complete", worker.claim())
    code, shown = on_a_terminal("watch", "thumbs", "1")
    assert code == 0
    assert "✓ 1 ━━━" in shown
    assert "100% completed" in shown


RUNNING: dict[str, Any] = {
    "state": "running",
    "word": "processing",
    "progress": 7,
    "message": None,
    "error": None,
}


@pytest.mark.parametrize(
    ("job", "ended", "note"),
    [
        (None, True, "the row is gone"),
        (RUNNING | {"delivery": {"state": "running"}, "message": "rendering"}, False, "rendering"),
        (RUNNING | {"delivery": None}, False, "run by another program"),
        (RUNNING | {"delivery": {"state": "broken", "error": "no column"}}, True, "no column"),
        (RUNNING | {"delivery": None, "state": None, "word": "parked"}, True, "the row says 'parked'"),
        (RUNNING | {"delivery": None, "state": "cancelled", "error": "enough"}, True, "enough"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_job(job: dict[str, Any] | None, ended: bool, note: str) -> None:
    sight = judge("1", job)
    assert (sight.ended, sight.ok, sight.note) == (ended, False, note)


def test_a_job_that_is_tried_again_says_when() -> None:
    due = {"state": "scheduled", "run_at": "2026-01-01T12:00:00+00:00", "attempt": 1, "snoozes": 0}
    assert judge("1", RUNNING | {"state": "ready", "delivery": due}).note.startswith("starts again at ")
