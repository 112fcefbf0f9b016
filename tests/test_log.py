"""Logs: one shape for all libraries, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from listener.log import configure, redact, summary


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_file_gets_one_json_object_a_line_with_all_that_is_bound() -> None:
    out = io.StringIO()
    configure(stream=out)

    structlog.get_logger("listener.engine.executor").bind(worker="w-1", queue="export").info(
        "claimed", job="j-1"
    )

    (line,) = lines(out)
    assert {name: line[name] for name in ("worker", "queue", "job", "event", "level", "logger")} == {
        "worker": "w-1",
        "queue": "export",
        "job": "j-1",
        "event": "claimed",
        "level": "info",
        "logger": "listener.engine.executor",
    }
    assert line["timestamp"].endswith("Z")


def test_a_terminal_gets_lines_for_people() -> None:
    out = Terminal()
    configure(stream=out)

    structlog.get_logger("listener").info("claimed", job="j-1")

    assert "claimed" in out.getvalue()
    assert "\x1b[" in out.getvalue()
    assert "{" not in out.getvalue()


def test_other_libraries_come_out_alike() -> None:
    out = io.StringIO()
    configure(stream=out)

    logging.getLogger("uvicorn.error").info("Started on port %d", 3001)

    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"]) == ("Started on port 3001", "info", "uvicorn.error")


def test_what_is_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    configure("warning", stream=out)

    structlog.get_logger("listener").info("small talk")
    logging.getLogger("uvicorn.error").info("small talk")
    structlog.get_logger("listener").warning("the handler blocks the loop")

    assert [line["event"] for line in lines(out)] == ["the handler blocks the loop"]


def fail(message: str) -> None:
    raise ValueError(message)


def fail_with(message: str) -> None:
    try:
        fail(message)
    except ValueError:
        structlog.get_logger("listener").exception("attempt failed")


def test_an_exception_is_one_line_on_a_terminal() -> None:
    out = io.StringIO()
    configure(json=False, stream=out)

    fail_with("no such video\nand much more")

    assert "error='ValueError: no such video'" in out.getvalue()
    assert "Traceback" not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 1


def test_a_traceback_is_shown_to_who_debugs_and_kept_in_json() -> None:
    for_people, for_machines = io.StringIO(), io.StringIO()

    configure("debug", json=False, stream=for_people)
    fail_with("no such video")
    configure(json=True, stream=for_machines)
    fail_with("no such video")

    assert "Traceback" in for_people.getvalue()
    (line,) = lines(for_machines)
    assert line["error"] == "ValueError: no such video"
    assert line["exception"].startswith("Traceback")


def test_the_summary_of_a_group_of_one_is_about_that_one() -> None:
    assert summary(ExceptionGroup("tasks", [ExceptionGroup("more", [KeyError("id")])])) == "KeyError: 'id'"
    assert summary(TimeoutError()) == "TimeoutError"
    assert summary(ExceptionGroup("tasks", [KeyError(1), KeyError(2)])).startswith("ExceptionGroup: tasks")


CANARIES = [
    "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiY2FuYXJ5In0.canary_signature",
    "sb_secret_canary123",
    "postgresql://listener:canary@db.example.com:5432/postgres",
    "postgres://listener:can@ary@db.example.com/postgres",
    "postgresql://db.example.com/postgres?user=me&password=canary",
    "https://user:canary@host/a.mp3",
    "https://host/storage/exports/a.mp4?expires=99&signature=canary",
    "https://host/storage/v1/object/sign/a.mp4?token=canary",
    "https://bucket.s3.amazonaws.com/a?X-Amz-Credential=canary&X-Amz-Signature=canary",
    "GET /?apikey=canary HTTP/1.1",
    "Authorization: Bearer canary-token-1234",
    "API_TOKEN=canary",
]


@pytest.mark.parametrize("secret", CANARIES)
@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_passes_whatever_way_it_came(secret: str, as_json: bool) -> None:
    out = io.StringIO()
    configure("debug", json=as_json, stream=out)
    log = structlog.get_logger("listener")

    log.info(f"connecting to {secret}")
    log.info("connecting", url=secret, nested={"list": [secret]}, error=RuntimeError(secret))
    logging.getLogger("asyncpg").warning("connecting to %s", secret)
    fail_with(f"can't reach {secret}")

    assert "canary" not in out.getvalue()
    assert "can@ary" not in out.getvalue()
    assert "[hidden]" in out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "rendered 25 % of https://host/film.mp4?width=1280&height=720",
        "listening on postgresql://localhost/postgres as me",
        "3 tokens left, the signature of render(width=3)",
        "job eyJ is no secret",
    ],
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_is_kept() -> None:
    assert (
        redact("postgresql://me:pw@host:5432/db is gone") == "postgresql://me:[hidden]@host:5432/db is gone"
    )
    assert redact("GET /a?token=abc&width=3") == "GET /a?token=[hidden]&width=3"
