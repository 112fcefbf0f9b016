"""One vocabulary: a verb has one name in SQL, in its file, in the store, in the metrics, in the CLI and in the docs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

from listener.cli import COMMANDS
from listener.database.model import Verb
from listener.database.store import Store
from listener.metrics import FencedOp, FoundBy, JobOutcome, Metrics, SourceName

from .pages import PAGES, ROOT

FILES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "sql/verbs").glob("*.sql")}
INTERNALS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "sql/internals").glob("*.sql")}
GRANTS = INTERNALS["grants"]

# Methods of the store that are no verbs.
OTHER_METHODS = {
    "check_schema",  # compares what the verb schema_version returns with this program
    "settle",  # calls the verb that it is given
}
# Verbs without their own method.
OTHER_CALLS = {
    "schema_version",  # by check_schema
    "take",  # by claim, which it is the quick way of
    *get_args(Verb),  # by settle
}
# Verbs of people that are no commands.
NO_COMMANDS = {
    "backlog",  # one number for autoscalers, which ask the database
    "guard",  # an option of the command attach
    "unguard",  # an option of the command attach
    "job",  # the command jobs with a key
}
# Commands that are no verbs: they concern programs, files or several verbs.
OTHER_COMMANDS = {
    *("run", "dev", "demo", "migrate", "render", "doctor", "bench"),
    "queues",  # prints what stats returns
    "watch",  # calls the verb job again and again
}
# The one helper that other verbs call in a verb's file: it writes the verb itself.
GENERATORS = {"generate_take"}


def defined(text: str) -> set[str]:
    """Return the functions that an SQL file defines."""
    return set(re.findall(r"^create or replace function listener\.(\w+)\(", text, re.MULTILINE))


def called(text: str) -> set[str]:
    return set(re.findall(r"\blistener\.(\w+)\(", text))


def listed(function: str) -> set[str]:
    """Return the names in the array that a function of grants.sql returns."""
    body = re.search(rf"function listener\.{function}\(.*?'{{(.*?)}}'", GRANTS, re.DOTALL)
    assert body
    return set(re.split(r",\s*", body[1]))


def methods() -> set[str]:
    return {name for name, _ in inspect.getmembers(Store, inspect.iscoroutinefunction) if name[0] != "_"}


def commands() -> set[str]:
    return {command for section in COMMANDS.values() for command in section}


def test_each_verb_has_its_file() -> None:
    assert set(FILES) == listed("service_verbs") | listed("verbs")


@pytest.mark.parametrize("verb", sorted(FILES))
def test_a_verb_file_begins_with_its_verb_and_holds_no_helper_of_others(verb: str) -> None:
    text = FILES[verb]
    assert defined(text) & {verb, f"generate_{verb}"}
    assert re.match(rf"-- (generate_)?{verb}: ", text)

    helpers = defined(text) - {verb, f"apply_{verb}"} - GENERATORS
    others = [other for name, other in (FILES | INTERNALS).items() if name != verb]
    assert [helper for helper in helpers if any(helper in called(other) for other in others)] == []


def test_the_batch_verbs_are_those_that_settle_takes() -> None:
    assert {verb for verb, text in FILES.items() if f"apply_{verb}" in defined(text)} == set(get_args(Verb))
    assert set(get_args(FencedOp)) == {"heartbeat", *get_args(Verb)}


def test_the_store_has_a_method_for_each_verb() -> None:
    assert methods() - OTHER_METHODS == set(FILES) - OTHER_CALLS


def test_commands_are_called_like_verbs() -> None:
    assert commands() - OTHER_COMMANDS == listed("verbs") - NO_COMMANDS


def rows() -> list[list[str]]:
    """The cells of the glossary: word, meaning, SQL, Python, metric."""
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    table = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return table[2:]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_glossary_names_sql_that_exists() -> None:
    known = set(FILES) | {name for text in INTERNALS.values() for name in defined(text)}
    schema = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "sql/migrations").glob("*.sql"))
    for word, _, sql, *_ in rows():
        for code in codes(sql):
            last = re.split(r"[. ]", code.removeprefix("listener."))
            exists = (
                code in known
                or last[0] in known
                or f"table listener.{last[0]} (" in schema
                or re.search(rf"^  {last[0]} ", schema, re.MULTILINE)
                or code == "pg_notify"
                or (ROOT / code).is_dir()
            )
            assert exists, (word, code)
            if len(last) > 1 and f"table listener.{last[0]} (" in schema:
                assert re.search(rf"^  {last[1]} ", schema, re.MULTILINE), (word, code)


def test_the_glossary_names_methods_and_commands_that_exist() -> None:
    for word, _, _, python, _ in rows():
        for code in codes(python):
            if code.startswith("Store."):
                assert code.removeprefix("Store.") in methods(), word
            if code.startswith("listener "):
                assert code.removeprefix("listener ") in commands(), word


def test_the_glossary_names_metrics_that_exist() -> None:
    metrics = Metrics()
    metrics.publish({"queues": [], "notify_usage": 0.0})
    series = {family.name for family in metrics.registry.collect()}
    labels = {
        "op": set(get_args(FencedOp)),
        "outcome": set(get_args(JobOutcome)),
        "found_by": set(get_args(FoundBy)),
        "source": set(get_args(SourceName)),
        "state": {"waiting", "scheduled", "running", "broken"},
    }
    for word, *_, metric in rows():
        for code in codes(metric):
            if match := re.fullmatch(r'(\w+)="(\w+)"', code):
                assert match[2] in labels[match[1]], word
            elif f"label `{code}`" not in metric:
                assert f"listener_{code.removesuffix('_total')}" in series, word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_call_verbs_that_exist(page: Path) -> None:
    if page.exists():
        assert called(page.read_text(encoding="utf-8")) - set(FILES) == set()
