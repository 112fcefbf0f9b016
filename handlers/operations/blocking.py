"""The store for programs without an event loop."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from typing import Any

from handlers.operations.model import Operation, Status
from handlers.operations.store import AsyncOperationStore
from listener.kit.sync import Twin


class OperationStore(Twin[AsyncOperationStore]):
    """`AsyncOperationStore`, each method of which waits; they mean and raise the same. Close it when done.

    Args:
        store: the one to use; None makes one, by the environment.
    """

    def __init__(self, store: AsyncOperationStore | None = None) -> None:
        super().__init__(store or AsyncOperationStore())

    def create(
        self,
        id: str | None = None,  # noqa: A002
        *,
        message: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation:
        """See `AsyncOperationStore.create`."""
        return self._blocking.call(self._client.create, id, message=message, metadata=metadata)

    def get(self, id: str) -> Operation | None:  # noqa: A002
        """See `AsyncOperationStore.get`."""
        return self._blocking.call(self._client.get, id)

    def update(
        self,
        id: str,  # noqa: A002
        *,
        progress: float | None = None,
        message: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation:
        """See `AsyncOperationStore.update`."""
        return self._blocking.call(
            self._client.update, id, progress=progress, message=message, metadata=metadata
        )

    def complete(self, id: str, result: Any = None, *, message: str | None = None) -> Operation:  # noqa: A002
        """See `AsyncOperationStore.complete`."""
        return self._blocking.call(self._client.complete, id, result, message=message)

    def fail(self, id: str, error: str | BaseException) -> Operation:  # noqa: A002
        """See `AsyncOperationStore.fail`."""
        return self._blocking.call(self._client.fail, id, error)

    def list(self, *, status: Status | None = None, limit: int = 100) -> builtins.list[Operation]:
        """See `AsyncOperationStore.list`."""
        return self._blocking.call(self._client.list, status=status, limit=limit)

    def subscribe(self, id: str) -> Iterator[Operation]:  # noqa: A002
        """See `AsyncOperationStore.subscribe`."""
        changes = self._client.subscribe(id)
        try:
            while True:
                try:
                    yield self._blocking.call(changes.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            self._blocking.call(changes.aclose)
