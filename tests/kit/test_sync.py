"""Async code for callers without a loop."""

from __future__ import annotations

import asyncio
import threading
from typing import assert_type

import pytest

from listener.kit.sync import LoopThread, SyncClient, waits


async def add(a: int, *, b: int = 1) -> int:
    await asyncio.sleep(0)
    return a + b


async def fail() -> None:
    raise LookupError("nothing here")


def test_calls_share_one_loop_whichever_thread_they_come_from() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def note() -> None:
        loops.append(asyncio.get_running_loop())

    with LoopThread() as loop:
        threads = [threading.Thread(target=loop.call, args=(note,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert loop.call(add, 1, b=2) == 3
    assert len(loops) == 4
    assert len(set(loops)) == 1


def test_errors_come_to_the_caller() -> None:
    with LoopThread() as loop, pytest.raises(LookupError, match="nothing here"):
        loop.call(fail)


def test_closing_ends_the_thread_and_what_runs_in_it() -> None:
    loop = LoopThread()
    begun, ended = threading.Event(), threading.Event()

    async def hang() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    def wait() -> None:
        with pytest.raises(BaseException):  # noqa: B017, PT011 - cancelled, however that is called in a thread
            loop.call(hang)

    waiting = threading.Thread(target=wait)
    waiting.start()
    begun.wait()
    loop.close()
    waiting.join(5)
    assert ended.is_set()
    assert not waiting.is_alive()
    loop.close()
    with pytest.raises(RuntimeError):
        loop.call(add, 1)


class AsyncAdder:
    """An asynchronous client."""

    def __init__(self) -> None:
        self.closed = False

    async def add(self, a: int, *, b: int = 1) -> int:
        """Return the sum."""
        return await add(a, b=b)

    async def close(self) -> None:
        self.closed = True


class Adder(SyncClient[AsyncAdder]):
    add = waits(AsyncAdder.add)


def test_a_synchronous_client_has_the_methods_of_the_asynchronous_one() -> None:
    client = AsyncAdder()
    with Adder(client) as adder:
        assert_type(adder.add(1, b=2), int)
        assert adder.add(1, b=2) == 3
        assert adder.add.__doc__ == "Return the sum."
        with pytest.raises(TypeError):
            adder.add("x", c=1)  # type: ignore[arg-type, call-arg]
    assert client.closed
