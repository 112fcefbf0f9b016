"""Start child processes that never outlive the code that started them."""

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

EXEC_PROGRAM = Path(__file__).with_name("_exec_main.py")
GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL
STDERR_BYTES = 16 * 1024  # kept of the end of stderr


class Child:
    """A running process of `spawn`.

    Attributes:
        pid: its process id, which is also that of its process group.
        stdout: read it to its end.
    """

    def __init__(self, process: Process) -> None:
        self.pid: int = process.pid
        self.stdout: ByteReceiveStream = cast(
            ByteReceiveStream, process.stdout
        )  # spawn always asks for the pipe
        self._process = process
        self._stderr = bytearray()

    @property
    def returncode(self) -> int | None:
        """Exit code, the negative number of the signal that ended the process, or None while it runs."""
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
            del self._stderr[:-STDERR_BYTES]

    async def _end(self) -> None:
        if self.returncode is None:
            self.signal(signal.SIGTERM)
            with anyio.move_on_after(GRACE_SECONDS):
                await self.wait()
        self.signal(signal.SIGKILL)  # reaches processes that the group's leader left behind, too
        await self.wait()


def sandboxed(
    command: Sequence[str],
    limits: Mapping[str, int] | None = None,
    confined: Confinement | None = None,
) -> list[str]:
    """Return the command by which a child of this thread becomes `command`, and on Linux dies with the thread.

    Args:
        command: absolute path of a program, and its arguments.
        limits, confined: as for `spawn`.
    """
    bounds = ",".join(f"{name}={value}" for name, value in (limits or {}).items())
    rules = confined.arguments() if confined else []
    program = [sys.executable, "-I", "-S", str(EXEC_PROGRAM), str(os.getpid()), bounds]
    return [*program, *rules, "--", *command]


def environment() -> dict[str, str]:
    """Return the environment of a child: only PATH is inherited, so no secret is."""
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

    The child leads its own process group and gets `environment()`. Its stderr is read all the time, so that it
    never blocks on a full pipe. However the block ends, the group is ended with it: SIGTERM, and SIGKILL after
    five seconds.

    On Linux the child is also killed when this process dies, even by kill -9. The kernel ties that to the
    *thread* that started the child, so the event loop must run in a thread that lives as long.

    Args:
        command: absolute path of a program, and its arguments. Never given to a shell.
        cwd: the child's working directory.
        limits: hard resource limits by name, e.g. `{"RLIMIT_AS": 2**30}` in bytes.
        confined: the files that the child may open, without a network; None means no restriction. Some kernels
            cannot enforce it (Linux before 5.13, containers that forbid it): `listener doctor` reports that.
    """
    process = await anyio.open_process(
        sandboxed(command, limits, confined),
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
        # Callers do not see the task group: the block's exception leaves as it was raised.
        error = group.exceptions[0]
        raise error from error.__cause__
    finally:
        with anyio.CancelScope(shield=True):
            await process.aclose()
