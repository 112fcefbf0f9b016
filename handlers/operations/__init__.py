"""Operations: long actions of an application, run as jobs and followed by people while they run."""

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
