"""`listener demo operations`: a service runs three operations, and another program follows them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import anyio
from rich.console import Console
from rich.table import Table

from handlers.operations.handler import app
from handlers.operations.model import Operation
from handlers.operations.notifier import PostgresNotifier
from handlers.operations.store import AsyncOperationStore
from listener.kit import media
from listener.kit.tables.postgres import PostgresTables
from listener.testing import DemoFailed, download, running_app

TITLE = "Operations, followed while they run"
TIMEOUT_SECONDS = 120.0
SECONDS = 2
WANTED = {
    "lighthouse": ("A lighthouse at dawn", "16:9", (1280, 720)),
    "fox": ("A red fox in the snow", "9:16", (720, 1280)),
    "tram": ("City lights from a tram", "1:1", (720, 720)),
}


async def show(folder: Path, console: Console) -> str:
    """Run the demonstration, fetch and probe the three results, and return their number."""
    # A demonstration must not pay a provider, even if one is configured.
    os.environ["CLIPS_PROVIDER"] = "synthetic"
    ended: dict[str, Operation] = {}
    heard: dict[str, int] = {}
    async with running_app(app, folder / "storage", presets=("supabase_shim", "operations")) as made:
        console.print(f"  Postgres and service are up; their dashboard: {made.address}/dashboard")
        api, frontend = [
            AsyncOperationStore(PostgresTables(made.database_url), PostgresNotifier(made.database_url))
            for _ in range(2)
        ]

        async def follow(name: str) -> None:
            async for now in frontend.subscribe(name):
                heard[name] = heard.get(name, 0) + 1
                console.print(f"  {name}: {now.status} {now.progress} % {now.message}".rstrip())
                ended[name] = now

        try:
            with anyio.fail_after(TIMEOUT_SECONDS):
                for name, (prompt, aspect, _) in WANTED.items():
                    about = {"prompt": prompt, "duration": SECONDS, "aspect_ratio": aspect}
                    await api.create(name, message=prompt, metadata={"type": "video_generation", **about})
                async with anyio.create_task_group() as tasks:
                    for name in WANTED:
                        tasks.start_soon(partial(follow, name))
            table = Table(box=None, padding=(0, 2))
            for title in ("operation", "changes heard", "result"):
                table.add_column(title)
            for name in WANTED:
                table.add_row(name, str(heard[name]), await _looked_into(folder, name, ended[name]))
            console.print(table)
        finally:
            await api.close()
            await frontend.close()
    return f"{len(WANTED)} of {len(WANTED)}"


async def _looked_into(folder: Path, name: str, operation: Operation) -> str:
    if operation.status != "complete":
        raise DemoFailed(f"{name} ended as {operation.status}: {operation.error}")
    clip = await download(operation.result["url"], folder / "operation.mp4")
    found = await media.probe(clip, count_frames=True)
    _, _, size = WANTED[name]
    if found.video is None or (found.video.width, found.video.height) != size or found.duration != SECONDS:
        raise DemoFailed(f"the clip of {name} is not {size[0]}×{size[1]} and {SECONDS} s long")
    return f"{float(found.duration):.2f} s, {size[0]}×{size[1]}"
