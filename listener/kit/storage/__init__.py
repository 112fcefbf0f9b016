"""Files in buckets: a folder, Supabase Storage or S3."""

from listener.kit.errors import TooLarge
from listener.kit.storage.api import current, download, fenced, publish, upload, use
from listener.kit.storage.base import (
    BadKey,
    BadSignature,
    ObjectNotFound,
    Refused,
    Storage,
    StorageError,
)
from listener.kit.storage.local import LocalStorage

__all__ = [
    "BadKey",
    "BadSignature",
    "LocalStorage",
    "ObjectNotFound",
    "Refused",
    "Storage",
    "StorageError",
    "TooLarge",
    "current",
    "download",
    "fenced",
    "publish",
    "upload",
    "use",
]
