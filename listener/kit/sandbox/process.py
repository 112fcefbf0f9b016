"""Child processes that never outlive the code that started them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import cast

import anyio
from anyio.abc import ByteReceiveStream, Process

from listener.kit.sandbox.policy import Confinement

LEASH = Path(__file__).with_name("_exec_main.py")
GRACE = 5.0  # seconds between SIGTERM and SIGKILL
KEPT = 16 * 1024  # bytes of stderr


class Child:
    """A running process of `spawn`.

    Attributes:
        pid: its process id, which is also that of its process group.
        stdout: read it to its end.
    """

    def __init__(self, process: Process) -> None:
        self.pid = process.pid
        self.stdout = cast(ByteReceiveStream, process.stdout)  # spawn always asks for the pipe
        self._process = process
        self._stderr = bytearray()

    @property
    def returncode(self) -> int | None:
        """Exit code, the negative number of the signal that ended it, or None while it runs."""
        return self._process.returncode

    @property
    def stderr(self) -> str:
        """The last 16 KiB of stderr so far; bytes that are not UTF-8 are shown as U+FFFD."""
        return self._stderr.decode(errors="replace")

    async def wait(self) -> int:
        """Wait for the end of the process and return its `returncode`."""
        return await self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group, if it still exists."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def _drain(self) -> None:
        async for chunk in cast(ByteReceiveStream, self._process.stderr):
            self._stderr += chunk
            del self._stderr[:-KEPT]

    async def _end(self) -> None:
        if self.returncode is None:
            self.signal(signal.SIGTERM)
            with anyio.move_on_after(GRACE):
                await self.wait()
        self.signal(signal.SIGKILL)  # also what the leader of the group may have left behind
        await self.wait()


def leashed(command: Sequence[str], limits: str = "", words: Sequence[str] = ()) -> list[str]:
    """The command by which a child of this thread becomes `command`, and on Linux dies with the thread.

    Args:
        command: absolute path of a program, and its arguments.
        limits, words: see `leash`.
    """
    return [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), limits, *words, "--", *command]


def environment() -> dict[str, str]:
    """Of a child: nothing of ours but PATH, so no secret."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


@asynccontextmanager
async def spawn(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    limits: Mapping[str, int] | None = None,
    confined: Confinement | None = None,
) -> AsyncIterator[Child]:
    """Run `command` for the length of the block.

    The child leads a process group of its own and knows nothing of the service's `environment`. Its stderr is
    read all the time, so that it never blocks on a full pipe. However the block ends, the group is ended with
    it: SIGTERM, and SIGKILL after five seconds.

    On Linux the child is also killed when this process dies, even by kill -9. The kernel ties that to the
    *thread* that started the child, so the event loop must run in a thread that lives as long.

    Args:
        command: absolute path of a program, and its arguments. Never given to a shell.
        cwd: the child's working directory.
        limits: hard resource limits by name, e.g. `{"RLIMIT_AS": 2**30}` in bytes.
        confined: the files that the child may open, and no network; None leaves it everything. The kernel may
            not be able to (Linux before 5.13, containers that forbid it): `listener doctor` tells.
    """
    words = confined.words() if confined else []
    bounds = ",".join(f"{name}={value}" for name, value in (limits or {}).items())
    process = await anyio.open_process(
        leashed(command, bounds, words),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=cwd,
        env=environment(),
        start_new_session=True,
    )
    child = Child(process)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child._drain)
            try:
                yield child
            finally:
                with anyio.CancelScope(shield=True):
                    await child._end()
    except ExceptionGroup as group:
        # The task group is nobody's business: the block's own exception leaves as it was raised.
        error = group.exceptions[0]
        raise error from error.__cause__
    finally:
        with anyio.CancelScope(shield=True):
            await process.aclose()
