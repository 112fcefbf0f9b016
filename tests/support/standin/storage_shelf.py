"""Keep the objects of Storage: bytes in a folder, rows in `storage.objects` under the caller's policies, and limits."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
from starlette.requests import ClientDisconnect, Request

if TYPE_CHECKING:
    from tests.support.standin.stack import Caller, Stack

VALID_KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")

STORE = """
insert into storage.objects (bucket_id, name, owner_id, version, metadata) values ($1, $2, $3, $4, $5)
"""
REPLACE = (
    "on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata"
)


class Bad(Exception):
    """An error that Storage itself reports."""

    def __init__(self, status: int, error: str, message: str, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"statusCode": str(status), "error": error, "message": message, "code": code}


@dataclass
class Upload:
    """A resumable upload that is not complete; its total is `length` bytes."""

    bucket: str
    key: str
    length: int
    metadata: str
    mimetype: str
    version: str
    offset: int = 0
    is_locked: bool = False


@dataclass
class Shelf:
    """The objects of a project.

    Attributes:
        stack: the project.
        folder: holds each version of each object as a file.
        uploads: resumable uploads by the last part of their address; a test may make one expire.
        limit: the project's upload file size limit in bytes.
        origin: what the addresses of resumable uploads begin with, as behind a proxy.
        cut_at: the connection breaks once so many bytes of an upload have arrived.
        received: bytes of uploads that have arrived; bytes that came twice count twice.
        drips: send the next object byte by byte, and never to its end.
        ranges: the range of each read; None is the whole object.
    """

    stack: Stack
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="storage-")))
    uploads: dict[str, Upload] = field(default_factory=dict)
    limit: int | None = None
    origin: str = "https://storage.internal:9999"
    cut_at: int | None = None
    received: int = 0
    drips: bool = False
    ranges: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder now, because the garbage collector would do it during another test."""
        self._remove()

    async def receive(
        self, request: Request, version: str, offset: int, upload: Upload | None = None
    ) -> None:
        """Write the body at `offset`; what arrives before a connection breaks is kept."""
        path = self.folder / version
        path.touch()
        with path.open("r+b") as file:
            file.seek(offset)
            async for part in request.stream():
                file.write(part)
                self.received += len(part)
                if upload:
                    upload.offset = file.tell()
                if self.cut_at is not None and file.tell() >= self.cut_at:
                    self.cut_at = None
                    request.scope["state"]["transport"].abort()
                    raise ClientDisconnect

    async def accept(self, bucket: str, key: str, size: int, mimetype: str) -> None:
        if not VALID_KEY.fullmatch(key):
            raise Bad(400, "InvalidKey", f"Invalid key: {key!a}", "InvalidKey")
        row = await self.bucket(bucket)
        limits = [limit for limit in (row["file_size_limit"], self.limit) if limit]
        if limits and size > min(limits):
            message = "The object exceeded the maximum allowed size"
            raise Bad(413, "Payload too large", message, "EntityTooLarge")
        if row["allowed_mime_types"] and mimetype not in row["allowed_mime_types"]:
            raise Bad(415, "invalid_mime_type", f"mime type {mimetype} is not supported", "InvalidMimeType")

    async def bucket(self, bucket: str) -> asyncpg.Record:
        row = await self.stack.pool.fetchrow("select * from storage.buckets where id = $1", bucket)
        if row is None:
            raise Bad(404, "Bucket not found", "Bucket not found", "NoSuchBucket")
        return row

    async def enter(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        version: str,
        mimetype: str,
        *,
        upsert: bool,
        only_try: bool = False,
    ) -> None:
        """Write the object's row under the caller's policies; `only_try` rolls it back."""
        path = self.folder / version
        metadata = {"mimetype": mimetype, "size": path.stat().st_size if path.exists() else 0}
        values = (bucket, key, caller.claims.get("sub"), version, json.dumps(metadata))
        try:
            async with self.stack.acting_as(caller) as connection:
                entering = connection.transaction()
                await entering.start()
                await connection.execute(f"{STORE} {REPLACE if upsert else ''}", *values)
                await (entering.rollback() if only_try else entering.commit())
        except asyncpg.InsufficientPrivilegeError as error:
            raise Bad(
                403, "Unauthorized", "new row violates row-level security policy", "AccessDenied"
            ) from error
        except asyncpg.UniqueViolationError as error:
            raise Bad(409, "Duplicate", "The resource already exists", "KeyAlreadyExists") from error

    async def find(self, connection: Any, bucket: str, key: str) -> asyncpg.Record:
        """Return the row of an object, as this connection may see it."""
        row: asyncpg.Record | None = await connection.fetchrow(
            "select version, metadata::text from storage.objects where bucket_id = $1 and name = $2",
            bucket,
            key,
        )
        if row is None:
            raise Bad(404, "not_found", "Object not found", "NoSuchKey")
        return row
