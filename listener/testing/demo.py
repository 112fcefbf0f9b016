"""Helpers of demonstrations, which look at their results as a browser would."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx


class DemoFailed(Exception):
    """The result differs from what was expected."""


async def download(url: str, target: Path) -> Path:
    """Download a result as a browser would.

    Args:
        url: its address, such as a row names it.
        target: the file to write.

    Returns:
        `target`.

    Raises:
        DemoFailed: the server refused.
    """
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
        if response.status_code != httpx.codes.OK:
            raise DemoFailed(f"the download failed with HTTP status {response.status_code}")
        async with await anyio.open_file(target, "wb") as file:
            async for part in response.aiter_bytes():
                await file.write(part)
    return target
