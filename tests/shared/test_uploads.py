from __future__ import annotations

from typing import Any

import pytest

from handlers.shared.uploads import await_upload
from listener import Fail, Job, Snooze
from listener.database.model import Delivery
from listener.kit.storage import ObjectNotFound


def waiting(snoozes: int, waited: float) -> Job:
    delivery = Delivery(
        id=1, queue="studio", key="1", fence=1, attempt=1, max_attempts=3, row={}, reached=None, saved=None,
        snoozes=snoozes, waited=waited, late=0, origin="insert",
    )  # fmt: skip
    nothing_is_written: Any = None
    return Job(delivery, nothing_is_written)


@pytest.mark.parametrize(("snoozes", "delay"), [(0, 0.5), (1, 1.0), (4, 8.0), (7, 60.0), (5000, 60.0)])
def test_the_pauses_before_an_upload_double_up_to_a_minute(snoozes: int, delay: float) -> None:
    with pytest.raises(Snooze) as raised, await_upload(waiting(snoozes, 10.0)):
        raise ObjectNotFound("There is no object 'a' in bucket 'b'.")

    assert raised.value.delay == delay


def test_an_upload_that_does_not_come_fails_the_job_and_names_the_object() -> None:
    missing = ObjectNotFound("There is no object 'a' in bucket 'b'.")

    with pytest.raises(Fail) as raised, await_upload(waiting(8, 121.0)):
        raise missing

    assert str(raised.value) == ("There is no object 'a' in bucket 'b'. It was not uploaded in 2 minutes.")
    assert raised.value.__cause__ is missing
