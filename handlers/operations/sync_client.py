"""`AsyncOperationStore` for programs without an event loop."""

from __future__ import annotations

from collections.abc import Iterator

from handlers.operations.model import Operation
from handlers.operations.store import AsyncOperationStore
from listener.kit.sync import SyncClient, waits


class OperationStore(SyncClient[AsyncOperationStore]):
    """The methods of `AsyncOperationStore`, which wait for their result. Close it, or use it as a context manager.

    Args:
        store: the asynchronous store; None takes the database of the environment, as `AsyncOperationStore` does.
    """

    def __init__(self, store: AsyncOperationStore | None = None) -> None:
        super().__init__(store or AsyncOperationStore())

    create = waits(AsyncOperationStore.create)
    get = waits(AsyncOperationStore.get)
    update = waits(AsyncOperationStore.update)
    complete = waits(AsyncOperationStore.complete)
    fail = waits(AsyncOperationStore.fail)
    list = waits(AsyncOperationStore.list)

    def subscribe(self, id: str) -> Iterator[Operation]:  # noqa: A002
        """Yield an operation now and after each change, until it has ended; see `AsyncOperationStore.subscribe`."""
        changes = self._client.subscribe(id)
        try:
            while True:
                try:
                    yield self._loop.call(changes.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            self._loop.call(changes.aclose)
