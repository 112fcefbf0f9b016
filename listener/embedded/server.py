"""Run a private Postgres server, temporary or kept.

The server ends with this process. A small shell, the guard, reads from a pipe that only this process can write to. A
line releases the guard. End of file means that this process has died, even by `kill -9`; the guard then stops the
server and removes temporary data. Unlike Linux's parent-death signal, this works on macOS, leaves no moment in which
the server is unguarded, and does not depend on the thread that called `start()`.

Only one server uses a folder. Every process of the server inherits one locked file. A process that gets that lock
knows that no process of an earlier server is alive, even if an old `postmaster.pid` names the pid of another process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from listener.embedded.account import Account
from listener.embedded.installation import EmbeddedError, choose

LOCALE = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
LOCK_SECONDS = 3.0
START_SECONDS = 60.0
STOP_SECONDS = 30.0

# In the guard, $$ is the pid of the shell, which becomes the server by `exec`. The guard is a grandchild, because
# Postgres treats the death of an unknown child as a crash. It closes the lock (4), which only the server holds.
_GUARDED = """
remove=$1; shift
exec 3<&0 4>&1 1>&2
( { read -r _ || { kill -INT $$; sleep 1; rm -rf -- ${remove:+"$remove"}; }; } <&3 4>&- 2>/dev/null & )
exec "$@" </dev/null 3<&-
"""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "shared_buffers": "64MB",
}
# Commits stay synchronous, so that they survive `crash()` in the page cache.
_CARELESS = {"fsync": "off", "full_page_writes": "off"}


class Postgres:
    """A private Postgres server that listens on 127.0.0.1 and ends with this process, even after `kill -9`.

    Its superuser `postgres` has a random password, which keeps out other users of the machine. Postgres refuses to run
    as root. If the current user is root, it runs as the owner of the folder, or as `postgres` or `nobody`.

    Children of this process that are forked without `exec` (multiprocessing's default on Linux) keep it alive.

    Args:
        data: folder of the data, created on first use; None for temporary data, which `stop()` removes, and which is
            faster because it does not survive a power failure.
        bindir: folder of the programs `postgres` and `initdb`; by default the one of `find_bindir()`, or the
            first whose version created the existing data.
        port: TCP port; 0 selects a free one and keeps it for the life of this object.
        settings: further server settings by name, as in postgresql.conf.

    Attributes:
        version: major version, such as 18.

    Raises:
        EmbeddedError: no installation fits.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        bindir: Path | None = None,
        port: int = 0,
        settings: Mapping[str, str] = {},
    ) -> None:
        self._kept = data is not None
        self._folder = data or Path(tempfile.gettempdir(), f"listener-postgres-{secrets.token_hex(8)}")
        self._folder = self._folder.absolute()
        self._cluster = self._folder / "cluster"
        self._bindir, self.version = choose(bindir, self._cluster)
        self._account = Account(self._cluster)
        self._port = port
        self._password = ""
        self._settings = _SETTINGS | ({} if self._kept else _CARELESS) | dict(settings)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the database `postgres` with the password; it stays the same after `crash()`."""
        return self.database_url("postgres")

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether the server was started and is still alive."""
        return self._process is not None and self._process.poll() is None

    def database_url(self, name: str) -> str:
        """Return the address of a database, which may not exist yet.

        Raises:
            EmbeddedError: the server was never started, so its port isn't known.
        """
        if not self._password:
            raise EmbeddedError("this Postgres has no address yet; call start() first")
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{quote(name, safe='')}"

    def start(self) -> None:
        """Start the server and wait until it accepts connections; do nothing if it runs.

        Raises:
            EmbeddedError: the data is in use or not accessible, or Postgres refused to start; the text says which.
        """
        if self.is_running:
            return
        self._end(signal.SIGQUIT)
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedError(f"Postgres can't be started: {error}") from error
            raise

    def stop(self) -> None:
        """Stop the server cleanly and remove temporary data; do nothing if it doesn't run."""
        self._end(signal.SIGINT)
        if not self._kept and self._folder.exists():
            shutil.rmtree(self._folder)

    def crash(self) -> None:
        """Stop the server immediately, as a crash would: connections break, and the next `start()` recovers."""
        self._running()
        self._end(signal.SIGQUIT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        bindir = self._account.reach(self._bindir)
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700, parents=True)
            self._account.give(self._folder)
        if not self._account.can("/bin/sh", "-c", 'cd "$0"', self._folder):
            raise EmbeddedError(
                f"Postgres can't run as root, and the user that runs it can't enter {self._folder}; "
                "choose a folder that every user can reach"
            )
        with _locked(self._folder) as lock:
            if not self._cluster.exists():
                self._make_cluster(bindir, lock)
            self._password = (self._folder / "password").read_text()
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            self._serve(bindir, lock)

    def _make_cluster(self, bindir: Path, lock: int) -> None:
        password, unfinished = self._folder / "password", self._folder / "cluster.new"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600, exist_ok=False)
        password.write_text(secrets.token_urlsafe(24))
        self._account.give(password)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._account.give(unfinished)
        options = ["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", f"--locale={LOCALE}"]
        options += [] if self._kept else ["--no-sync"]
        process = self._spawn(lock, bindir / "initdb", "-D", unfinished, f"--pwfile={password}", *options)
        if process.wait():
            raise EmbeddedError(
                f"Postgres could not create a database in {self._folder}: {self._complaint()}"
            )
        self._end(signal.SIGINT)
        unfinished.rename(self._cluster)

    def _serve(self, bindir: Path, lock: int) -> None:
        self._port = self._port or _free_port()
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        process = self._spawn(
            lock, bindir / "postgres", "-D", self._cluster, "-p", str(self._port), *settings
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                raise EmbeddedError(f"Postgres in {self._folder} did not start: {self._complaint()}")
            time.sleep(0.005)

    def _spawn(self, lock: int, *command: str | Path) -> subprocess.Popen[bytes]:
        remove = "" if self._kept else self._folder
        with _open(self._folder / "log") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARDED, "listener-postgres", remove, *command],
                stdin=subprocess.PIPE,
                stdout=lock,
                stderr=log,
                cwd="/",
                env={"PATH": os.environ.get("PATH") or os.defpath, "LC_ALL": LOCALE, "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C stops the service, which needs its database during the shutdown
                **self._account.options,
            )
        return self._process

    def _ready(self, pid: int) -> bool:
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(pid)] and [line.strip() for line in lines[7:8]] == ["ready"]

    def _complaint(self) -> str:
        lines = (self._folder / "log").read_text(errors="replace").splitlines() or ["its log is empty"]
        errors = [line for line in lines if re.search(r"FATAL|PANIC|error:", line)]
        return (errors or lines)[-1]

    def _end(self, how: signal.Signals) -> None:
        """Signal the process, release its guard and wait until it has ended."""
        if (process := self._process) is None:
            return
        process.send_signal(how)
        try:
            process.communicate(b"\n", timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.communicate()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EmbeddedError("this Postgres isn't running; call start() first")
        return self._process


def _open(path: Path) -> IO[bytes]:
    """Open a private file for writing. Do not follow links, which the account of the server could have created."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the lock of the folder. Wait a moment for a server that just lost its parent."""
    with _open(folder / "lock") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"{folder} is in use by another process; stop that process, or choose another folder"
                    ) from None
            time.sleep(0.02)
        yield file.fileno()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
