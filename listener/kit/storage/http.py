"""Serve the signed addresses of a `LocalStorage`."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, Response

from listener.kit.storage.base import BadKey, BadSignature, ObjectNotFound, media_type
from listener.kit.storage.local import LocalStorage

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox",  # a stored page must not act as the dashboard
    "Cache-Control": "private",
}


def routes(storage: LocalStorage) -> APIRouter:
    """Return a router with `GET /storage/{bucket}/{key}?expires=&signature=`, ranges included.

    Errors are JSON, `{"error": sentence}`: 403 for an altered or expired address, 404 for no such object.
    """
    router = APIRouter(tags=["storage"])

    @router.head("/storage/{bucket}/{key:path}", include_in_schema=False)
    @router.get("/storage/{bucket}/{key:path}", response_class=FileResponse)
    async def read_object(bucket: str, key: str, expires: int = 0, signature: str = "") -> Response:
        """Read an object by its signed address."""
        try:
            path = await to_thread.run_sync(storage.open_signed, bucket, key, expires, signature)
        except BadSignature as error:
            return JSONResponse({"error": str(error)}, status_code=403)
        except (BadKey, ObjectNotFound) as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        return FileResponse(
            path,
            media_type=media_type(path.name),
            filename=path.name,
            content_disposition_type="inline",
            headers=HEADERS,
        )

    return router
