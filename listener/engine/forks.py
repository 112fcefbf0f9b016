"""Keep the processes that handlers fork apart from the service, and end them with their job.

A forked process inherits the signal handlers, the descriptor that wakes the event loop at a signal, and all sockets.
Without these precautions a SIGTERM to the child stops the service, and the child outlives both.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

_SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_START_FIELD = 19  # of /proc/PID/stat, counted after the name in parentheses: the time of the start

_service = 0  # the process whose forked children are kept apart


class _Child(NamedTuple):
    """A process. The start time is there because the kernel uses process ids again."""

    pid: int
    started: str


_before: ContextVar[frozenset[_Child]] = ContextVar("before", default=frozenset())
_forked: ContextVar[set[_Child] | None] = ContextVar("forked", default=None)


def keep_apart() -> None:
    """From now on, give default signal handling and no network connections to what this process forks."""
    global _service  # noqa: PLW0603 - the hooks of forks belong to the process and can't be removed
    if not _service:
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
        )
    _service = os.getpid()


@contextlib.contextmanager
def ended_with_job(*, in_thread: bool) -> Iterator[None]:
    """Kill the processes that the block leaves behind.

    Args:
        in_thread: whether the block has this thread for itself. Then this holds for all processes that it started, and
            otherwise for those that it forked.
    """
    process = os.getpid()
    before = _children() if in_thread else frozenset()
    forked: set[_Child] = set()
    token = _forked.set(forked)
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(1)  # a forked child whose code raised or returned must not go on as the service
        _forked.reset(token)
        left = forked | (_children() - before if in_thread else set())
        for child in left:
            _kill(child)


def _before_fork() -> None:
    if _forked.get() is not None:
        _before.set(_children())


def _after_in_parent() -> None:
    forked = _forked.get()
    if forked is not None:
        forked |= _children() - _before.get()


def _after_in_child() -> None:
    if _libc is not None:
        # Sent when the thread that forked ends, or its process.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _service:
        return  # a child of a child has its own signal handling
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    _drop_connections()


def _drop_connections() -> None:
    """Replace the connections to the network and to Postgres by /dev/null, so that their numbers stay taken."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - an entry that is gone raises nothing
        number = int(name)
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            found = socket.socket(fileno=number)
            try:
                peer = found.getpeername() if found.family == socket.AF_UNIX else ""
                # Other Unix sockets are those of multiprocessing, or the handler's own.
                ours = found.family in {socket.AF_INET, socket.AF_INET6} or ".s.PGSQL." in str(peer)
            finally:
                found.detach()
            if ours:
                os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


def _children() -> frozenset[_Child]:
    """Return the processes that this thread has started and that have not been waited for; on Linux only."""
    try:
        pids = Path("/proc/thread-self/children").read_text(encoding="ascii").split()
    except OSError:
        return frozenset()
    return frozenset(_Child(int(pid), start) for pid in pids if (start := _start_of(int(pid))))


def _start_of(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return fields.rpartition(")")[2].split()[_START_FIELD]


def _kill(child: _Child) -> None:
    if child.pid in _helpers_of_multiprocessing() or _start_of(child.pid) != child.started:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)
    # In a thread, because the kernel may take its time.
    threading.Thread(target=_reap, args=[child.pid], name="reaper", daemon=True).start()


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _helpers_of_multiprocessing() -> set[int | None]:
    """Return the processes that multiprocessing starts once for all jobs."""
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    server = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    return {getattr(tracker, "_pid", None), getattr(server, "_forkserver_pid", None)}
