"""Every reason for an overdue job has an explanation."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from listener.web.overdue import explain

SQL = Path(__file__).parents[1] / "sql/verbs/stuck.sql"
REASONS = re.findall(r"^--   (\w+) ", SQL.read_text(encoding="utf-8"), re.MULTILINE)
OPERATIONS = Path(__file__).parents[1] / "docs/operations.md"


@pytest.mark.parametrize("why", REASONS)
def test_each_reason_is_explained_with_what_to_do(why: str) -> None:
    job = {"why": why, "queue": "jobs/render", "key": "a b", "word": "processing", "timeout": 60}
    overdue = explain(job)
    assert overdue.fix.endswith(".")
    # The manual names each in the same words.
    words = overdue.because.replace("60 s", "…").replace("processing", "…")
    assert f"| {words} |" in OPERATIONS.read_text(encoding="utf-8")


def test_the_reasons_are_those_that_the_database_gives() -> None:
    assert REASONS == ["broken", "silent", "slow", "paused", "unserved", "foreign"]


def test_what_to_type_is_for_a_shell() -> None:
    job = {"why": "broken", "queue": "jobs", "key": "it's; rm -rf ~"}
    assert shlex.split(explain(job).command or "") == ["listener", "requeue", "jobs", "it's; rm -rf ~"]
    assert explain(job | {"key": "\x1b[201~"}).command is None
