"""`listener run`, as the process that it is."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from tests.support.processes import environment
from tests.support.standin.stack import Stack


class Process:
    """`listener run` as a process with these two settings; `log` is what it said, when it has ended."""

    def __init__(self, project: Stack, **more: str) -> None:
        own = {"SUPABASE_URL": project.url, "SUPABASE_SERVICE_KEY": project.secret_key}
        self._environment = environment(**{"HEALTH_CHECK_PORT": "0", **own, **more})
        self.log = ""

    async def __aenter__(self) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "listener", "run", "handlers.export.handler:app"),
            env=self._environment,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._process.communicate())
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()
        self.log = (await self._reading)[1].decode()
        print(self.log)

    async def ends(self) -> int:
        """Wait until it ends by itself; return its exit code."""
        return await self._process.wait()
