"""A service in this process, on whatever the settings lead to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from listener import App
from listener.config import Settings
from listener.engine.engine import Engine
from tests.support.harness import QUICK, Service


@asynccontextmanager
async def serving(app: App, **settings: Any) -> AsyncIterator[Service]:
    """Run a service until the block ends, and then shut it down."""
    chosen = Settings.load(**{"enable_health_check": False, **QUICK, **settings})
    engine = Engine(app, chosen, signals=False)
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        port = await group.start(engine.run)
        yield Service(engine, port, scope)
        engine.shut_down()
