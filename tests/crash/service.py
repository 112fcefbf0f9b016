"""Runs the crash tests' app as `listener run` does."""

from __future__ import annotations

import asyncio

from listener import log
from listener.config import Settings
from listener.engine.engine import Engine

from .app import app

if __name__ == "__main__":
    settings = Settings.load()
    log.configure(settings.log_level)
    asyncio.run(Engine(app, settings).run())
