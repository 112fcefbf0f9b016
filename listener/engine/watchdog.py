"""Log which handler blocks the event loop."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback

import anyio
import structlog

from listener.status import Status

log = structlog.get_logger(__name__)

# Seconds.
BEAT_INTERVAL = 0.5
BLOCKED_AFTER = 2.0


class Watchdog:
    """Beat in the event loop, and watch the beats from a thread."""

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
                await anyio.sleep(BEAT_INTERVAL)
        finally:
            over.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, loop_thread: int, over: threading.Event) -> None:
        logged = False
        while not over.wait(BEAT_INTERVAL):
            blocked = self._status.silence > BLOCKED_AFTER
            if blocked and not logged:
                task = asyncio.current_task(loop)
                stack = traceback.extract_stack(sys._current_frames()[loop_thread])
                log.warning(
                    "event loop blocked; a handler that does not await must be a plain def",
                    task=task.get_name() if task else "unknown",
                    at=f"{stack[-1].filename}:{stack[-1].lineno}",
                )
            logged = blocked
