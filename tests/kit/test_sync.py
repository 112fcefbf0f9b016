"""Async code for callers without a loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from listener.kit.sync import Blocking


async def add(a: int, *, b: int = 1) -> int:
    await asyncio.sleep(0)
    return a + b


async def fail() -> None:
    raise LookupError("nothing here")


def test_calls_share_one_loop_whichever_thread_they_come_from() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def note() -> None:
        loops.append(asyncio.get_running_loop())

    with Blocking() as blocking:
        threads = [threading.Thread(target=blocking.call, args=(note,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert blocking.call(add, 1, b=2) == 3
    assert len(loops) == 4
    assert len(set(loops)) == 1


def test_errors_come_to_the_caller() -> None:
    with Blocking() as blocking, pytest.raises(LookupError, match="nothing here"):
        blocking.call(fail)


def test_closing_ends_the_thread_and_what_runs_in_it() -> None:
    blocking = Blocking()
    begun, ended = threading.Event(), threading.Event()

    async def hang() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    def wait() -> None:
        with pytest.raises(BaseException):  # noqa: B017, PT011 - cancelled, however that is called in a thread
            blocking.call(hang)

    waiting = threading.Thread(target=wait)
    waiting.start()
    begun.wait()
    blocking.close()
    waiting.join(5)
    assert ended.is_set()
    assert not waiting.is_alive()
    blocking.close()
    with pytest.raises(RuntimeError):
        blocking.call(add, 1)
