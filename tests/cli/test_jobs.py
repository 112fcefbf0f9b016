"""queues, jobs, submit, requeue, cancel, pause, resume."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.conftest import Listener, Sql, Worker, environment, words


def test_queues_show_what_waits_and_that_nobody_serves(listener: Listener, sql: Sql, thumbs: str) -> None:
    sql("insert into thumbs (path) values ('a'), ('b')")
    shown = words(listener("queues").output)
    assert "thumbs public.thumbs 2 · · ·" in shown
    assert shown.endswith("no worker")
    [queue] = json.loads(listener("queues", "--json").output)
    assert (queue["queue"], queue["waiting"], queue["workers"]) == ("thumbs", 2, 0)


def test_without_queues_it_says_how_to_begin(listener: Listener, configured: str) -> None:
    assert "listener attach TABLE QUEUE" in listener("queues").output
    assert json.loads(listener("queues", "--json").output) == []


def test_jobs_lists_unfinished_ones(listener: Listener, sql: Sql, worker: Worker) -> None:
    assert listener("jobs").output == "no unfinished jobs\n"
    sql("insert into thumbs (path) values ('a'), ('b')")
    worker.claim()
    shown = words(listener("jobs", "thumbs").output)
    assert "thumbs 1 running 1/3 started" in shown
    assert "thumbs 2 waiting 0/3 due" in shown
    assert [job["key"] for job in json.loads(listener("jobs", "--state", "waiting", "--json").output)] == [
        "2"
    ]
    assert "--limit shows more" in listener("jobs", "--limit", "1").output


def test_jobs_stuck_are_those_of_a_silent_worker(listener: Listener, sql: Sql, worker: Worker) -> None:
    sql("insert into thumbs (path) values ('a'), ('b')")
    worker.claim()
    worker.claim()
    assert listener("jobs", "--stuck").output == "no matching jobs\n"
    sql("update listener.delivery set lease_until = now() - interval '1 s' where job_key = '2'")
    assert [job["key"] for job in json.loads(listener("jobs", "--stuck", "--json").output)] == ["2"]
    assert "no heartbeat" in listener("jobs", "--stuck").output
    sql("delete from listener.delivery where job_key = '1'")
    assert "processing, but no worker of this service runs it" in words(
        listener("jobs", "--stuck", "--older", "0").output
    )


def test_one_job_with_its_attempts_and_warnings(listener: Listener, sql: Sql, worker: Worker) -> None:
    sql("insert into thumbs (path) values ('a')")
    worker.settle("fail", worker.claim(), error="no such file", warnings=["left out the hat"])
    shown = words(listener("jobs", "thumbs", "--key", "1").output)
    assert shown.startswith("thumbs 1 failed failed")
    assert "error no such file" in shown
    assert "1 failed" in shown
    assert shown.endswith("left out the hat")
    job = json.loads(listener("jobs", "thumbs", "--key", "1", "--json").output)
    assert (job["state"], job["attempts"][0]["outcome"], job["delivery"]) == ("failed", "failed", None)


def test_jobs_that_arent_there(listener: Listener, thumbs: str) -> None:
    assert listener("jobs", "nix").stderr == "error: there is no queue 'nix'\nhint: The queues are thumbs.\n"
    missing = listener("jobs", thumbs, "--key", "7")
    assert (missing.exit_code, missing.stderr) == (1, "error: there is no job '7' in queue thumbs\n")
    assert listener("jobs", thumbs, "--key", "sea.mp4").stderr.startswith(
        "error: there is no job 'sea.mp4' in"
    )
    assert listener("jobs", "--key", "7").exit_code == 2
    assert listener("jobs", "--stuck", "--state", "failed").exit_code == 2


def test_a_narrow_terminal_cuts_nothing_short(sql: Sql, worker: Worker) -> None:
    sql("insert into thumbs (path) values ('sea.mp4')")
    error = "There is no object 'sea.mp4' in bucket 'videos'."
    worker.settle("fail", worker.claim(), error=error)

    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "listener", "jobs", "thumbs", "--state", "failed"]
    subprocess.run(command, env=environment(COLUMNS="30"), stdout=theirs, check=True)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        shown = terminal.read1().decode()

    lines = shown.splitlines()
    assert words(lines[2]).startswith("thumbs 1 failed 1/3 finished ")
    assert lines[3] == f"  {error}"


def test_submit_takes_pairs_or_json(listener: Listener, sql: Sql, thumbs: str) -> None:
    assert listener("submit", thumbs, "path=a.mp4", 'options:={"fast": true}').output == "submitted 1\n"
    answer = listener("submit", thumbs, '{"path": "b.mp4"}', "--json")
    assert json.loads(answer.output) == {"queue": thumbs, "key": "2"}
    assert sql("select options->>'fast' from thumbs where path = 'a.mp4' and status = 'queued'") == "true"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["thumbs", "{bad"], 2, "is not JSON"),
        (["thumbs", "path"], 2, "is neither a column=value pair"),
        (["thumbs", "colour=red"], 1, 'column "colour"'),
        (["nix"], 1, "there is no queue 'nix'"),
    ],
)
def test_submit_refuses(
    listener: Listener, thumbs: str, arguments: list[str], code: int, sentence: str
) -> None:
    result = listener("submit", *arguments)
    assert result.exit_code == code
    assert sentence in result.stderr


def test_requeue_by_key(listener: Listener, sql: Sql, worker: Worker) -> None:
    sql("insert into thumbs (path) values ('a')")
    worker.settle("complete", worker.claim())
    assert listener("requeue", "thumbs", "1").output == "requeued 1 job\n"
    assert sql("select status from thumbs") == "queued"
    some = listener("requeue", "thumbs", "1", "99", "--json")
    assert (some.exit_code, json.loads(some.stdout)) == (1, {"queue": "thumbs", "requeued": 1})
    assert (
        some.stderr
        == "error: 1 of 2 keys are not the key of any row of thumbs; these rows do not exist: 99\n"
    )


def test_requeue_all_that_failed_but_not_what_has_completed_since(
    listener: Listener, sql: Sql, worker: Worker
) -> None:
    sql("insert into thumbs (path) values ('a'), ('b')")
    for _ in range(2):
        worker.settle("fail", worker.claim(), error="no")
    listener("requeue", "thumbs", "1")
    worker.settle("complete", worker.claim())
    assert listener("requeue", "thumbs", "--failed").output == "requeued 1 job\n"
    assert sql("select array_agg(status order by id) from thumbs") == ["completed", "queued"]
    assert listener("requeue", "nix", "--failed").exit_code == 1
    assert listener("requeue", "thumbs").exit_code == 2


def test_cancel(listener: Listener, sql: Sql, thumbs: str) -> None:
    sql("insert into thumbs (path) values ('a')")
    answer = listener("cancel", thumbs, "1", "--reason", "changed my mind", "--json")
    assert json.loads(answer.output) == {"queue": thumbs, "cancelled": 1}
    assert sql("select error_message from thumbs where status = 'failed'") == "changed my mind"
    again = listener("cancel", thumbs, "1")
    assert (again.exit_code, again.stderr) == (
        1,
        "error: 1 of 1 keys are not the key of any unfinished job of thumbs\n",
    )


def test_pause_and_resume(listener: Listener, sql: Sql, thumbs: str) -> None:
    assert listener("pause", thumbs).output == "thumbs is paused\n"
    assert listener("pause", thumbs).output == "thumbs was already paused\n"
    assert "paused" in listener("queues").output
    assert json.loads(listener("resume", thumbs, "--json").output)["changed"] is True
    assert listener("resume", thumbs).output == "thumbs was not paused\n"
    assert listener("pause", "nix").exit_code == 1
