"""The room of `operations`: what an application does for somebody who watches, wherever that is kept."""

from handlers.operations.handler import app, fresh
from handlers.operations.model import (
    Operation,
    OperationError,
    OperationNotFound,
    OperationOver,
)
from handlers.operations.store import AsyncOperationStore
from handlers.operations.sync_client import OperationStore

__all__ = [
    "AsyncOperationStore",
    "Operation",
    "OperationError",
    "OperationNotFound",
    "OperationOver",
    "OperationStore",
    "app",
    "fresh",
]
