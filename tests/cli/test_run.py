"""run and dev, as the processes that they are; demo and bench, which belong to a checkout."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from listener.cli.common import session
from listener.errors import DatabaseUnavailable
from tests.cli.conftest import THUMBS, Listener, Sql, environment
from tests.support.harness import until

HANDLER = """
from listener.app import App

app = App()


@app.handler("thumbs")
async def thumb(job):
    return {"message": f"saw {job.row['path']}"}
"""

ROOM = """
from listener.app import App
from listener.config import Environment, setting


class RoomSettings(Environment):
    size: int = setting(1, "How large it is.", "a whole number from 1 up", "ROOM_SIZE", ge=1)


room = App()
room.add_settings(RoomSettings)
app = App()
app.include(room)
"""


@pytest.fixture
def app(elsewhere: Path) -> str:
    (elsewhere / "worker.py").write_text(HANDLER)
    return "worker:app"


def test_a_submitted_job_is_run(listener: Listener, app: str, sql: Sql, thumbs: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "listener", "run", app],
        env=environment(HEALTH_CHECK_PORT="0"),
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        result = listener("submit", thumbs, "path=a.mp4", "--watch")
        assert result.exit_code == 0, result.output
        assert sql("select message from thumbs") == "saw a.mp4"
        service.send_signal(signal.SIGTERM)
        _, log = service.communicate(timeout=15)
    assert service.returncode == 0
    assert "service stopped" in log


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that the server's account can enter, too, when these tests run as root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder, "data")


@contextmanager
def developing(app: str, data: Path, *presets: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """`listener dev`, its database and the address of its health."""
    with subprocess.Popen(
        [sys.executable, "-m", "listener", "dev", app, "--data", str(data)]
        + [word for preset in presets for word in ("--preset", preset)],
        env=environment(HEALTH_CHECK_PORT="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as service:
        assert service.stdout is not None
        said = "".join(itertools.takewhile(lambda line: "/docs" not in line, service.stdout))
        yield (
            service,
            re.findall(r"DATABASE_URL=(\S+)", said)[0],
            re.findall(r"health +(\S+)", said)[0],
        )


def test_dev_brings_all_that_it_needs(app: str, data: Path) -> None:
    with developing(app, data, "supabase_shim", "export_jobs") as (service, database, health):
        assert httpx.get(health).json()["active_jobs"] == 0
        queues = subprocess.run(
            [sys.executable, "-m", "listener", "queues", "--json"],
            env=environment(DATABASE_URL=database),
            stdout=subprocess.PIPE,
            check=True,
        )
        assert [queue["queue"] for queue in json.loads(queues.stdout)] == ["export"]
        service.send_signal(signal.SIGINT)
        assert service.wait(timeout=15) == 0
    assert (data / "storage").is_dir()


def test_dev_starts_a_database_that_died_again(app: str, data: Path) -> None:
    async def submit_and_kill(database: str) -> None:
        async with session(database) as connection:
            await connection.execute(f"{THUMBS}; select listener.attach('thumbs', 'thumbs')")
            await connection.execute("insert into thumbs default values")
        os.kill(int((data / "pg/cluster/postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    async def is_done(database: str) -> bool:
        with suppress(DatabaseUnavailable):
            async with session(database) as connection:
                return bool(await connection.fetchval("select message = 'saw None' from thumbs"))
        return False

    with developing(app, data) as (service, database, _):
        asyncio.run(submit_and_kill(database))
        asyncio.run(until(lambda: is_done(database), within=20))
        service.send_signal(signal.SIGINT)
        assert service.wait(timeout=15) == 0


def test_run_wants_one_app(listener: Listener) -> None:
    assert listener("run").exit_code == 2
    assert listener("run", "a:b", "--app", "c:d").exit_code == 2


def test_run_names_what_it_cant_find(listener: Listener, configured: str) -> None:
    missing = listener("run", "nowhere:app")
    assert missing.exit_code == 1
    assert missing.stderr == "error: there is no module 'nowhere' here; name your app as module:app\n"


def test_a_setting_of_an_app_that_is_malformed_is_named_at_the_start(
    listener: Listener, elsewhere: Path, configured: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "room.py").write_text(ROOM)
    monkeypatch.setenv("ROOM_SIZE", "big")
    malformed = listener("run", "room:app")
    assert malformed.exit_code == 1
    assert malformed.stderr == "error: ROOM_SIZE is 'big'; it takes a whole number from 1 up.\n"


def test_what_only_a_checkout_has_is_missed_in_a_sentence(listener: Listener) -> None:
    missing = listener("demo", "nix")
    assert missing.exit_code == 1
    assert missing.stderr.startswith(
        "error: there is no handlers.nix.demo here; run this command in a checkout"
    )


def test_a_wrong_room_is_told_the_others(listener: Listener, elsewhere: Path) -> None:
    (elsewhere / "handlers/attic").mkdir(parents=True)
    (elsewhere / "handlers/attic/demo.py").touch()
    wrong = listener("demo", "../etc")
    assert wrong.exit_code == 2
    assert "'../etc'; the rooms are attic" in wrong.stderr


def test_the_exit_code_is_that_of_the_bench(elsewhere: Path) -> None:
    (elsewhere / "bench.py").write_text("def run(names, json):\n    print(names, json)\n    return 3\n")
    run = subprocess.run(
        [sys.executable, "-m", "listener", "bench", "pickup", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (run.returncode, run.stdout) == (3, b"['pickup'] True\n")
