"""One reading of statuses that pass, and of Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from listener.kit.http_status import is_transient, retry_after


def test_statuses_that_may_be_different_later() -> None:
    found = {status for status in range(200, 500) if is_transient(status)}
    assert found == {408, 409, 423, 425, 429}
    assert all(is_transient(status) for status in (500, 501, 503, 504, 522, 599))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("86400", 3600.0),
        ("inf", 3600.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("²", None),
    ],
)
def test_a_pause_is_bounded_or_there_is_none(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


def test_a_date_means_the_time_until_then() -> None:
    headers = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)}
    assert retry_after(headers) == pytest.approx(99, abs=3)
    assert retry_after(headers, longest=60) == 60


def test_without_the_header_there_is_no_pause() -> None:
    assert retry_after({}) is None
