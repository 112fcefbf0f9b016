"""For callers without an event loop: runs coroutines in a loop that lives in a daemon thread, so that a client needs
to be written only once."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

P = ParamSpec("P")
T = TypeVar("T")


class Blocking:
    """An event loop in a thread; close it, or use it as a context manager.

        with Blocking() as blocking:
            rows = blocking.call(tables.select, "clips")

    It may be shared by threads. A process that ends doesn't wait for it.
    """

    def __init__(self) -> None:
        self._started = threading.Event()
        self._thread = threading.Thread(target=anyio.run, args=(self._serve,), name="blocking", daemon=True)
        self._thread.start()
        self._started.wait()

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
        """Run a coroutine function, wait, and answer what it answers; its errors are raised here.

        Raises:
            RuntimeError: this was closed, or the call comes from its own loop.
        """

        async def run() -> T:
            return await function(*args, **options)

        return self._portal.call(run)

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        if self._thread.is_alive():
            self._portal.call(self._portal.stop, True)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _serve(self) -> None:
        async with BlockingPortal() as self._portal:
            self._started.set()
            await self._portal.sleep_until_stopped()
