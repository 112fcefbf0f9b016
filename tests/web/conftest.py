"""The HTTP side on a real port, with the running test as its main loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from fastapi import APIRouter

from listener.config import Settings
from listener.metrics import Metrics
from listener.web import Status, WebServer, create_app

from .webtools import Clock, Serving


@pytest.fixture(autouse=True)
def bare_environment(workdir: Path) -> None:
    """No setting of this machine reaches a test."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def status(clock: Clock) -> Status:
    """The status of a healthy process that runs two jobs."""
    status = Status("worker-12345-1234567890", lambda: 2, clock=clock)
    status.connected = True
    status.schema_ok = True
    return status


@pytest.fixture
def settings() -> Settings:
    return Settings.load(host="127.0.0.1", port=0)


@pytest.fixture
def serving(settings: Settings, status: Status) -> Serving:
    @asynccontextmanager
    async def serve(*open_routers: APIRouter, metrics: Metrics | None = None) -> AsyncIterator[str]:
        app = create_app(settings, status, metrics or Metrics(), open_routers=open_routers)
        server = WebServer(app, settings, status)
        async with anyio.create_task_group() as group:
            port = await group.start(server.run)
            yield f"http://127.0.0.1:{port}"
            group.cancel_scope.cancel()

    return serve
