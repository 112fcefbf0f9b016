"""Run a Python program in a sandbox, for libraries that must not read hostile files inside the service."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio

from listener.kit.errors import KitError
from listener.kit.sandbox.policy import Confinement
from listener.kit.sandbox.process import spawn

MAX_LINE_BYTES = 16 * 1024**2


class SandboxError(KitError):
    """A program in the sandbox crashed, failed or took too long.

    Attributes:
        code: its exit code, the negative number of the signal that ended it, or None after the time limit.
    """

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


async def run_python(
    script: Path,
    args: Sequence[str] = (),
    *,
    reads: Sequence[Path] = (),
    writes: Sequence[Path] = (),
    memory: int,
    seconds: int | None = None,
    max_file_bytes: int = 0,
    on_line: Callable[[bytes], None] | None = None,
) -> None:
    """Run `script` in a Python process with limits, no network, and only the files it is given.

    It runs with `python -I`, so it imports installed packages but nothing of this one.

    Args:
        script: the program, by convention named `_…_main.py`.
        args: its arguments.
        reads: files and folders that it may read.
        writes: folders in which it may create and change files.
        memory: bytes of address space.
        seconds: processor time and elapsed time that it may take; None sets no limit.
        max_file_bytes: size of the largest file that it may write.
        on_line: called with each line of its stdout, without the line break.

    Raises:
        SandboxError: the exit code is not 0, or the time limit was reached.
    """
    limits = {"RLIMIT_AS": memory, "RLIMIT_FSIZE": max_file_bytes, "RLIMIT_CORE": 0}
    if seconds is not None:
        limits["RLIMIT_CPU"] = seconds
    command = [sys.executable, "-I", str(script), *args]
    confined = Confinement.of_python(script, reads, writes)
    rest = b""
    with anyio.move_on_after(seconds) as patience:
        async with spawn(command, limits=limits, confined=confined) as child:
            async for chunk in child.stdout:
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    raise SandboxError(f"{script.name} printed a line that is too long.", None)
                for line in lines:
                    if on_line is not None:
                        on_line(line)
            code = await child.wait()
    if patience.cancelled_caught:
        raise SandboxError(f"{script.name} took longer than {seconds} s.", None)
    if code != 0:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise SandboxError(f"{script.name} ended with code {code}: {last}", code)
