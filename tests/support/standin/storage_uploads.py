"""Play the resumable uploads of Storage: TUS 1.0.0, as strict about the size of chunks as the hosted server."""

from __future__ import annotations

import uuid
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from tests.support.standin.storage_shelf import Bad, Shelf, Upload

if TYPE_CHECKING:
    from tests.support.standin.stack import Caller

PATH = "/storage/v1/upload/resumable"
CHUNK = 6_291_456


class Uploads:
    """The endpoints of resumable uploads."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    async def begin(self, request: Request, caller: Caller) -> Response:
        _tus(request)
        pairs = (pair.split(" ") for pair in request.headers["upload-metadata"].split(","))
        about = {name: b64decode(value).decode() for name, value in pairs}
        bucket, key, length = about["bucketName"], about["objectName"], int(request.headers["upload-length"])
        upsert = request.headers.get("x-upsert") == "true"
        await self.shelf.accept(bucket, key, length, about["contentType"])
        version = str(uuid.uuid4())
        await self.shelf.enter(
            caller, bucket, key, version, about["contentType"], upsert=upsert, only_try=True
        )
        word = urlsafe_b64encode(f"{bucket}/{key}/{version}".encode()).decode().rstrip("=")
        self.shelf.uploads[word] = Upload(
            bucket, key, length, request.headers["upload-metadata"], about["contentType"], version
        )
        headers = {"Location": f"{self.shelf.origin}{PATH}/{word}", "Tus-Resumable": "1.0.0"}
        return Response(status_code=201, headers=headers)

    async def offset(self, request: Request, _: Caller) -> Response:
        upload = self._upload(request)
        headers = {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length)}
        return Response(headers=headers | {"Upload-Metadata": upload.metadata, "Cache-Control": "no-store"})

    async def append(self, request: Request, caller: Caller) -> Response:
        upload = self._upload(request)
        if upload.is_locked:
            raise Bad(423, "Locked", "The resource is locked", "ResourceLocked")
        if int(request.headers["upload-offset"]) != upload.offset:
            raise Bad(409, "Conflict", "Upload-Offset conflict", "TusError")
        size = int(request.headers["content-length"])
        if request.headers["content-type"] != "application/offset+octet-stream":
            raise Bad(415, "InvalidMimeType", "Invalid Content-Type", "TusError")
        if size != min(CHUNK, upload.length - upload.offset):
            raise Bad(400, "InvalidRequest", f"a chunk of {size} bytes", "TusError")
        upload.is_locked = True
        try:
            await self._write(request, caller, upload)
        finally:
            upload.is_locked = False
        return Response(
            status_code=204, headers={"Upload-Offset": str(upload.offset), "Tus-Resumable": "1.0.0"}
        )

    async def _write(self, request: Request, caller: Caller, upload: Upload) -> None:
        # The server reads from each request whether the object may be replaced, and forgets what POST said.
        entry = (caller, upload.bucket, upload.key, upload.version, upload.mimetype)
        upsert = request.headers.get("x-upsert") == "true"
        await self.shelf.enter(*entry, upsert=upsert, only_try=True)
        await self.shelf.receive(request, upload.version, upload.offset, upload)
        if upload.offset == upload.length:
            await self.shelf.enter(*entry, upsert=True)

    def _upload(self, request: Request) -> Upload:
        _tus(request)
        upload = self.shelf.uploads.get(request.path_params["word"])
        if upload is None:
            raise Bad(404, "not_found", "The file for this url was not found", "TusError")
        return upload


def _tus(request: Request) -> None:
    if request.headers.get("tus-resumable") != "1.0.0":
        raise Bad(412, "Precondition Failed", "Tus-Resumable Required", "TusError")
