"""Call asynchronous clients from programs without an event loop; a client is written only once, as a coroutine API.

class ClipsClient(SyncClient[AsyncClipsClient]):
    create_clip = waits(AsyncClipsClient.create_clip)
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import wraps
from types import TracebackType
from typing import Concatenate, Generic, ParamSpec, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from listener.kit.per_loop import Closes

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=Closes)


class Closing(ABC):
    """A context manager that closes itself at the end of its block."""

    @abstractmethod
    def close(self) -> None:
        """Release all resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LoopThread(Closing):
    """An event loop in a daemon thread, which several threads may share.

        with LoopThread() as loop:
            rows = loop.call(tables.select, "clips")

    A process that exits does not wait for the thread.
    """

    def __init__(self) -> None:
        self._started = threading.Event()
        self._thread = threading.Thread(target=anyio.run, args=(self._serve,), name="loop", daemon=True)
        self._thread.start()
        self._started.wait()

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
        """Run a coroutine function in the loop, and return its result or raise its error.

        Raises:
            RuntimeError: the thread is closed, or the caller runs in its loop.
        """

        async def run() -> T:
            return await function(*args, **options)

        return self._portal.call(run)

    def close(self) -> None:
        """Cancel all running calls, and end the thread."""
        if self._thread.is_alive():
            self._portal.call(self._portal.stop, True)
            self._thread.join()

    async def _serve(self) -> None:
        async with BlockingPortal() as self._portal:
            self._started.set()
            await self._portal.sleep_until_stopped()


class SyncClient(Closing, Generic[C]):
    """Base of a synchronous client: each of its methods is `waits(…)` of a method of the asynchronous one.

    Close it, or use it as a context manager.

    Args:
        client: the asynchronous client; it is closed together with this one.
    """

    def __init__(self, client: C) -> None:
        self._client = client
        self._loop = LoopThread()

    def close(self) -> None:
        """Close the connections."""
        self._loop.call(self._client.close)
        self._loop.close()


def waits(
    method: Callable[Concatenate[C, P], Awaitable[T]],
) -> Callable[Concatenate[SyncClient[C], P], T]:
    """Return the synchronous twin of an asynchronous client's method, with its arguments, result and docstring."""

    @wraps(method)
    def call(self: SyncClient[C], /, *args: P.args, **options: P.kwargs) -> T:
        return self._loop.call(method, self._client, *args, **options)

    return call
