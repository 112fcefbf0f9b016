"""Bound the responses of servers that this program does not control."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import httpx

UNCOMPRESSED = {"Accept-Encoding": "identity"}
"""The header of a request whose response is given to `bound`."""


def bound(response: httpx.Response, max_bytes: int) -> httpx.Response:
    """Limit the bytes that reading a response of `AsyncClient.stream` takes, before its body is read.

    A compressed body is refused, because 3 kB may unfold to 2 GB.

    Args:
        response: its request should have had the header `UNCOMPRESSED`.
        max_bytes: the largest body accepted.

    Returns:
        The same response. Reading it raises httpx.DecodingError after `max_bytes`.

    Raises:
        httpx.DecodingError: the body is compressed, or its Content-Length is too large.
    """
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise httpx.DecodingError(
            "the body is compressed, although that was not requested", request=response.request
        )
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(response, max_bytes)
    response.stream = _Bounded(response, max_bytes)
    return response


class _Bounded(httpx.AsyncByteStream):
    """The stream of a response up to a limit."""

    def __init__(self, response: httpx.Response, max_bytes: int) -> None:
        self._stream = cast(httpx.AsyncByteStream, response.stream)
        self._response = response
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > self._max_bytes:
                raise _too_large(self._response, self._max_bytes)
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def _too_large(response: httpx.Response, max_bytes: int) -> httpx.DecodingError:
    return httpx.DecodingError(f"the body is larger than {max_bytes} bytes", request=response.request)
