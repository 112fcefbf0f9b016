"""Names the handler that blocks the event loop."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback

import anyio
import structlog

from listener.status import Status

log = structlog.get_logger(__name__)

BEAT = 0.5
TOO_LONG = 2.0


class Watchdog:
    """A component: beats from the event loop while a thread watches the beats."""

    def __init__(self, status: Status) -> None:
        self._status = status

    async def run(self) -> None:
        """Watch until cancelled."""
        loop, loop_thread, over = asyncio.get_running_loop(), threading.get_ident(), threading.Event()
        thread = threading.Thread(
            target=self._watch, args=(loop, loop_thread, over), name="watchdog", daemon=True
        )
        thread.start()
        try:
            while True:
                self._status.beat()
                await anyio.sleep(BEAT)
        finally:
            over.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, loop_thread: int, over: threading.Event) -> None:
        named = False
        while not over.wait(BEAT):
            blocked = self._status.silence > TOO_LONG
            if blocked and not named:
                task = asyncio.current_task(loop)
                stack = traceback.extract_stack(sys._current_frames()[loop_thread])
                log.warning(
                    "the event loop is blocked; a handler should await, or be a plain def",
                    by=task.get_name() if task else "unknown",
                    at=f"{stack[-1].filename}:{stack[-1].lineno}",
                )
            named = blocked
