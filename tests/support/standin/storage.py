"""Play Supabase Storage at `/storage/v1`: its addresses, and the responses of those for whole objects.

The database needs `storage.sql`. A test sets limits and faults on `stack.storage`, a `Shelf`.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import asyncpg
import jwt
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tests.support.standin.storage_shelf import Bad, Shelf
from tests.support.standin.storage_uploads import Uploads

if TYPE_CHECKING:
    from tests.support.standin.stack import Caller, Stack

SCHEMA = Path(__file__).with_name("storage.sql").read_text(encoding="utf-8")
ROOT = "/storage/v1"

# What lies in a folder itself, folders without an id, as the server's own function answers.
LIST = """
select path_tokens[$3] as name, min(id::text) filter (where cardinality(path_tokens) = $3) as id
from storage.objects where bucket_id = $1 and starts_with(name, $2)
group by 1 order by 1 limit $4 offset $5
"""


def routes(stack: Stack) -> list[BaseRoute]:
    """Return the routes of Storage."""
    objects, uploads = Objects(stack.storage), Uploads(stack.storage)

    def route(path: str, answer: Callable[[Request, Caller], Awaitable[Response]], method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                _authorized(request)
                return await answer(request, stack.identify(request.headers))
            except Bad as error:
                if path.startswith("/upload"):
                    return PlainTextResponse(str(error), error.status)
                return JSONResponse(error.body, 400)

        return Route(ROOT + path, endpoint, methods=[method])

    async def signed(request: Request) -> Response:
        try:
            return await objects.signed(request)
        except Bad as error:
            return JSONResponse(error.body, 400)

    return [
        Route(ROOT + "/object/sign/{bucket}/{key:path}", signed, methods=["GET"]),
        route("/object/sign/{bucket}/{key:path}", objects.sign, "POST"),
        route("/object/sign/{bucket}", objects.sign_all, "POST"),
        route("/object/list/{bucket}", objects.list, "POST"),
        route("/object/authenticated/{bucket}/{key:path}", objects.read, "GET"),
        route("/object/{bucket}/{key:path}", objects.store, "POST"),
        route("/object/{bucket}", objects.remove, "DELETE"),
        route("/bucket", objects.buckets, "GET"),
        route("/bucket/{bucket}", objects.bucket, "GET"),
        route("/upload/resumable", uploads.begin, "POST"),
        route("/upload/resumable/{word}", uploads.offset, "HEAD"),
        route("/upload/resumable/{word}", uploads.append, "PATCH"),
    ]


class Objects:
    """The endpoints of whole objects."""

    def __init__(self, shelf: Shelf) -> None:
        self.stack = shelf.stack
        self.shelf = shelf

    async def read(self, request: Request, caller: Caller) -> Response:
        bucket, key = request.path_params["bucket"], request.path_params["key"]
        self.shelf.ranges.append(request.headers.get("range"))
        await self.shelf.bucket(bucket)
        async with self.stack.acting_as(caller) as connection:
            answer = self._file(await self.shelf.find(connection, bucket, key))
        if not self.shelf.drips:
            return answer
        self.shelf.drips = False
        return StreamingResponse(_drip(), headers={"Content-Length": "1000000"})

    async def store(self, request: Request, caller: Caller) -> Response:
        bucket, key = request.path_params["bucket"], request.path_params["key"]
        size = int(request.headers["content-length"])
        mimetype = request.headers["content-type"]
        await self.shelf.accept(bucket, key, size, mimetype)
        version = str(uuid.uuid4())
        await self.shelf.receive(request, version, 0)
        upsert = request.headers.get("x-upsert") == "true"
        await self.shelf.enter(caller, bucket, key, version, mimetype, upsert=upsert)
        return JSONResponse({"Id": version, "Key": f"{bucket}/{key}"})

    async def remove(self, request: Request, caller: Caller) -> Response:
        bucket, keys = request.path_params["bucket"], (await request.json())["prefixes"]
        await self.shelf.bucket(bucket)
        async with self.stack.acting_as(caller, storage__allow_delete_query="true") as connection:
            gone = await connection.fetch(
                "delete from storage.objects where bucket_id = $1 and name = any($2) returning name, version",
                bucket,
                keys,
            )
        for row in gone:
            (self.shelf.folder / row["version"]).unlink()
        return JSONResponse([{"name": row["name"], "bucket_id": bucket} for row in gone])

    async def list(self, request: Request, caller: Caller) -> Response:
        wanted = await request.json()
        prefix = wanted["prefix"].rstrip("/") + "/"
        async with self.stack.acting_as(caller) as connection:
            rows = await connection.fetch(
                LIST, request.path_params["bucket"], prefix, prefix.count("/") + 1,
                wanted.get("limit", 100), wanted.get("offset", 0),
            )  # fmt: skip
        return JSONResponse([dict(row) for row in rows])

    async def buckets(self, _: Request, caller: Caller) -> Response:
        async with self.stack.acting_as(caller) as connection:
            rows = await connection.fetch(
                "select id, name, public, file_size_limit from storage.buckets order by id"
            )
        return JSONResponse([dict(row) for row in rows])

    async def bucket(self, request: Request, _: Caller) -> Response:
        row = await self.shelf.bucket(request.path_params["bucket"])
        return JSONResponse(
            {name: row[name] for name in ("id", "name", "file_size_limit", "allowed_mime_types")}
        )

    async def sign(self, request: Request, caller: Caller) -> Response:
        bucket, key = request.path_params["bucket"], request.path_params["key"]
        await self.shelf.bucket(bucket)
        async with self.stack.acting_as(caller) as connection:
            await self.shelf.find(connection, bucket, key)
        raw = request.scope["raw_path"].decode().removeprefix(f"{ROOT}/object/sign/")
        return JSONResponse(
            {"signedURL": self._address(_decode_uri(raw), (await request.json())["expiresIn"])}
        )

    async def sign_all(self, request: Request, caller: Caller) -> Response:
        bucket, wanted = request.path_params["bucket"], await request.json()
        signed = []
        for key in wanted["paths"]:
            try:
                async with self.stack.acting_as(caller) as connection:
                    await self.shelf.find(connection, bucket, key)
            except Bad:
                reason = "Either the object does not exist or you do not have access to it"
                signed.append({"error": reason, "path": key, "signedURL": None})
            else:
                address = self._address(f"{bucket}/{key}", wanted["expiresIn"])
                signed.append({"error": None, "path": key, "signedURL": address})
        return JSONResponse(signed)

    def _address(self, path: str, expires_in: int | str) -> str:
        """Return a signed address; like the real server's, its path is not escaped."""
        expires = int(time.time()) + int(expires_in)
        token = jwt.encode({"url": path, "exp": expires}, self.stack.jwt_secret, "HS256")
        return f"/object/sign/{path}?token={token}"

    async def signed(self, request: Request) -> Response:
        bucket, key = request.path_params["bucket"], request.path_params["key"]
        try:
            claims = jwt.decode(request.query_params["token"], self.stack.jwt_secret, ["HS256"])
        except jwt.InvalidTokenError as error:
            raise Bad(400, "InvalidJWT", str(error), "InvalidJWT") from error
        if claims["url"] != f"{bucket}/{key}":
            raise Bad(400, "InvalidSignature", "Invalid signature", "InvalidSignature")
        async with self.stack.pool.acquire() as connection:
            return self._file(await self.shelf.find(connection, bucket, key))

    def _file(self, row: asyncpg.Record) -> Response:
        path = self.shelf.folder / row["version"]
        tag = md5(row["version"].encode(), usedforsecurity=False).hexdigest()
        headers = {"ETag": f'"{tag}"', "Cache-Control": "max-age=3600"}
        return FileResponse(path, headers=headers, media_type=json.loads(row["metadata"])["mimetype"])


def _decode_uri(path: str) -> str:
    """Decode like JavaScript's decodeURI, which leaves the escapes of reserved characters as they are."""
    kept = re.sub(r"%(?=3B|2F|3F|3A|40|26|3D|2B|24|2C|23)", "%25", path, flags=re.IGNORECASE)
    return unquote(kept)


def _authorized(request: Request) -> None:
    if "authorization" not in request.headers:
        raise Bad(400, "Error", "headers must have required property 'authorization'", "InvalidRequest")


async def _drip() -> AsyncIterator[bytes]:
    while True:
        yield b"."
        await asyncio.sleep(0.02)
