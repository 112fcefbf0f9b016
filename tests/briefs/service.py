"""Run a service with quick handlers: each returns its input and the name of its worker."""

from __future__ import annotations

import asyncio
import os
import random

from handlers.briefs.model import TYPES
from listener import App, Job, log
from listener.config import Settings
from listener.engine.engine import Engine

app = App()


def quick(type: str) -> None:  # noqa: A002 - the column's name
    @app.handler(f"jobs/{type}", concurrency=4, timeout=30)
    async def run(job: Job) -> dict[str, object]:
        await asyncio.sleep(random.uniform(0.02, 0.25))
        if type == os.environ.get("HANGS_IN"):
            await asyncio.sleep(60)
        before = job.row["payload"].get("results") or {}
        return {"result": {"fence": job.fence, "before": sorted(before), "pid": os.getpid()}}


for name in TYPES:
    quick(name)

if __name__ == "__main__":
    settings = Settings.load()
    log.configure(settings.log_level)
    asyncio.run(Engine(app, settings).run())
