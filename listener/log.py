"""Structured logs without secrets: lines for people on a terminal, JSON otherwise.

Loggers of structlog and of the standard library (uvicorn, asyncpg) write the same format.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import TextIO
from urllib.parse import quote

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from listener.errors import single

_HIDDEN = "[hidden]"
_SECRETS = [
    (re.compile(r"eyJ[\w-]{8,}(\.[\w-]+){1,2}"), _HIDDEN),
    (re.compile(r"\b(sb_secret|sbp)_[\w-]+"), _HIDDEN),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}"), rf"\1{_HIDDEN}"),
    # Greedy up to the last @ before a blank: a password may hold an @ itself.
    (re.compile(r"(?i)\b(postgres(?:ql)?://[^:/?#\s]*):\S*@"), rf"\1:{_HIDDEN}@"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^:/?#\s@]*):[^/?#\s]*@"), rf"\1:{_HIDDEN}@"),
    (
        re.compile(
            r"(?i)(token|signature|x-amz-credential|api_?key|password|secret)=[^&\s\"'<>\\]+",
        ),
        rf"\1={_HIDDEN}",
    ),
]


# The secrets passed to `hide`, the longest first, because one may be the beginning of another.
_known: list[str] = []


def hide(secrets: Iterable[str]) -> None:
    """Make `redact` replace these texts. Shorter ones than 8 characters are ignored, because they may be words."""
    long = {secret for secret in secrets if len(secret) >= 8}
    forms = {form for secret in long for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])}
    _known[:] = sorted(forms.union(_known), key=len, reverse=True)


def redact(text: str) -> str:
    """Replace the secrets of the settings, and texts that look like secrets: tokens, keys, passwords in addresses,
    signatures in links.
    """
    for secret in _known:
        text = text.replace(secret, _HIDDEN)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def text_of(error: BaseException) -> str:
    """Return the text of an error, even if its `__str__` raises."""
    try:
        return str(error)
    except Exception:
        return "(error text unavailable)"


def reason_of(error: BaseException) -> str:
    """Return the text of an error, or its class name if it has no text."""
    return text_of(error) or type(error).__name__


def summary(error: BaseException) -> str:
    """Return class and first line of an error; of a group with one member, of that member."""
    error = single(error)
    lines = text_of(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def configure(level: str = "info", json: bool | None = None, *, stream: TextIO | None = None) -> None:
    """Write all logs of this process to one stream.

    Args:
        level: the least severe level to write: debug, info, warning or error.
        json: write one JSON object a line; None does so unless the stream is a terminal.
        stream: None is standard error.
    """
    stream = stream or sys.stderr
    json = not stream.isatty() if json is None else json
    render: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
        _Errors(tracebacks=json or number <= logging.DEBUG),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _Redacted(render)],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for chatty in ("asyncio", "hpack", "httpcore", "httpx"):
        logging.getLogger(chatty).setLevel(max(number, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


class _Errors:
    """Turn an exception into the field `error` of one line and, if wanted, `exception` with the traceback."""

    def __init__(self, *, tracebacks: bool) -> None:
        self._tracebacks = tracebacks

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        error = _exception(event.pop("exc_info", None))
        if error is not None:
            event.setdefault("error", summary(error))
            if self._tracebacks:
                event["exception"] = "".join(traceback.format_exception(error)).rstrip()
        return event


def _exception(
    exc_info: bool | BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | None,
) -> BaseException | None:
    """Return the exception of `exc_info`, in any form that logging allows."""
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exc_info()[1]
        case _:
            return None


class _Redacted:
    """Redact the finished line, so that secrets in values of any type are replaced."""

    def __init__(self, render: Processor) -> None:
        self._render = render

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        return redact(str(self._render(logger, method, event)))
