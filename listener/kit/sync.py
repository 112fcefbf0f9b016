"""For callers without an event loop: runs coroutines in a loop that lives in a daemon thread, so that a client needs
to be written only once."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from listener.kit.per_loop import Closes

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=Closes)


class Closing(ABC):
    """Is closed at the end of the block that it is the context manager of."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Blocking(Closing):
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

    async def _serve(self) -> None:
        async with BlockingPortal() as self._portal:
            self._started.set()
            await self._portal.sleep_until_stopped()


class Twin(Closing, Generic[C]):
    """The twin of an asynchronous client for programs without an event loop: each of its methods calls one of the
    client's by `self._blocking`, and waits.

    Args:
        client: closed together with this.
    """

    def __init__(self, client: C) -> None:
        self._client = client
        self._blocking = Blocking()

    def close(self) -> None:
        """Give back the connections."""
        self._blocking.call(self._client.close)
        self._blocking.close()
