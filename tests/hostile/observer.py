"""Watches what must not happen, from outside the code under test: the kernel, the interpreter, and a web server."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IN_OPEN, IN_NONBLOCK = 0x20, 0o4000  # of <sys/inotify.h>

_watching: list[Observer] = []


@dataclass
class Observer:
    """The observed events.

    Attributes:
        port: where the server listens that nobody should ask.
        folder: where the files lie that nobody should open.
        connections: how often the server was asked.
        files: paths that this process opened.
        addresses: what this process connected to, or looked up.
        commands: the arguments of each program that this process started.
    """

    port: int
    folder: Path
    connections: int = 0
    files: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    opened: Callable[[], list[str]] = list
    """Files of `folder` that some process opened since it was last asked."""


@asynccontextmanager
async def observe(folder: Path) -> AsyncIterator[Observer]:
    """Watch `folder`, this process and a port for the length of the block."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    seen = Observer(server.sockets[0].getsockname()[1], folder)
    async with server:
        with _opens(folder) as seen.opened:
            _watching.append(seen)
            try:
                yield seen
            finally:
                _watching.remove(seen)


def _audit(event: str, details: tuple[Any, ...]) -> None:
    for seen in _watching:
        if event == "open" and isinstance(details[0], str | bytes | os.PathLike):
            seen.files.append(os.fsdecode(details[0]))
        elif event == "socket.connect":
            seen.addresses.append(str(details[1]))
        elif event == "socket.getaddrinfo":
            seen.addresses.append(str(details[0]))
        elif event == "subprocess.Popen":
            seen.commands.append([os.fsdecode(part) for part in details[1]])


sys.addaudithook(_audit)  # once, because a hook can't be removed


@contextmanager
def _opens(folder: Path) -> Iterator[Any]:
    """Ask the kernel who opens files in `folder`; elsewhere than on Linux nothing is seen."""
    if sys.platform != "linux":
        yield list
        return
    libc = ctypes.CDLL(None)
    descriptor = libc.inotify_init1(IN_NONBLOCK)
    libc.inotify_add_watch(descriptor, os.fsencode(folder), IN_OPEN)

    def opened() -> list[str]:
        names = []
        try:
            events = os.read(descriptor, 65536)
        except BlockingIOError:
            return []
        while events:
            length = struct.unpack_from("12xI", events)[0]
            names.append(events[16 : 16 + length].rstrip(b"\0").decode())
            events = events[16 + length :]
        return names

    try:
        yield opened
    finally:
        os.close(descriptor)
