"""Secrets that nobody could mistake for anything else are looked for wherever the service leaves a trace."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import psutil
import pytest

from listener.embedded import Postgres
from tests.support.databases import as_role
from tests.support.harness import Table, until
from tests.support.processes import serving

KINDS = ["fail", "retry", "long", "raise", "film"]
TRACES = """
select jsonb_build_array((select jsonb_agg(j) from jobs as j), (select jsonb_agg(t) from listener.attempt as t),
  (select jsonb_agg(d) from listener.delivery as d), (select jsonb_agg(w) from listener.worker as w))::text
"""


class Canaries:
    """A secret of each kind, and what of it must never be seen, not even a half of it."""

    def __init__(self) -> None:
        self.service, self.token, self.webhook, self.jwt = (
            f"canary-{secrets.token_hex(16)}" for _ in range(4)
        )
        self.password = f"canary {secrets.token_hex(16)}@/\"'%"
        self.signature = f"canary{secrets.token_hex(16)}"

    def found_in(self, text: str) -> list[str]:
        said = (self.service, self.token, self.webhook, self.jwt, self.password, self.signature)
        return [secret for secret in said if secret[7:19] in text or secret[-16:-5] in text]


@pytest.fixture
async def canaries(postgres: Postgres, database: str) -> AsyncIterator[Canaries]:
    """With the database's password as that of the role `canary`."""
    canaries = Canaries()
    root = await asyncpg.connect(postgres.url)
    password = canaries.password.replace("'", "''")
    await root.execute(f"create role canary login password '{password}' in role app")
    yield canaries
    await root.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'canary'")
    await root.execute("drop role canary")
    await root.close()


@pytest.fixture
def service(canaries: Canaries, database: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A service whose settings are the canaries, as a separate process; it logs to `log 0`."""
    settings = {
        "DATABASE_URL": as_role(database, "canary", quote(canaries.password, safe="")),
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_SERVICE_KEY": canaries.service,
        "SUPABASE_JWT_SECRET": canaries.jwt,
        "API_TOKEN": canaries.token,
        "WEBHOOK_SECRET": canaries.webhook,
        "SIGNED_URL": f"https://project.supabase.co/storage/v1/object/sign/exports/a.mp4?token={canaries.signature}",
        "STORAGE_DIR": str(tmp_path / "storage"),
        "HEALTH_CHECK_PORT": "0",
        "LOG_LEVEL": "debug",
        "SHUTDOWN_GRACE": "0",
    }
    with serving(tmp_path, "listener", "run", "tests.security.canary:app", **settings) as start:
        yield start()


async def test_no_secret_is_seen_anywhere(
    canaries: Canaries, service: subprocess.Popen[bytes], db: asyncpg.Connection, tmp_path: Path
) -> None:
    jobs = await Table(db).create(max_attempts="2")
    for kind in KINDS:
        await jobs.add(kind, kind=kind)
    film = await until(lambda: find_ffmpeg(service.pid), within=20)
    seen = [json.dumps(film.environ()), json.dumps(film.cmdline())]
    assert "PATH" in film.environ()

    port = await until(lambda: port_in(tmp_path / "log 0"))
    seen += await answers(f"http://127.0.0.1:{port}", canaries)
    failed = "select count(*) = 4 from jobs where status = 'failed'"
    await until(lambda: db.fetchval(failed), within=20)
    service.terminate()
    await until(lambda: service.poll() is not None)
    log = (tmp_path / "log 0").read_text()
    rows = await db.fetchval(TRACES)

    # It was all said, and in each place something else stands for it.
    assert log.count("I know") >= 10
    assert rows.count("[hidden]") >= 10
    for text in (*seen, log, rows):
        assert canaries.found_in(text) == [], text


def find_ffmpeg(pid: int) -> psutil.Process | None:
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "testsrc2" in " ".join(child.cmdline()) and "ffmpeg" in child.name():
                return child
        except psutil.NoSuchProcess:
            continue
    return None


def port_in(log: Path) -> int | None:
    for line in log.read_text().splitlines():
        if '"service started"' in line:
            return int(json.loads(line)["port"])
    return None


async def answers(url: str, canaries: Canaries) -> list[str]:
    """Return its responses to good and bad requests, with their headers."""
    body = json.dumps({"job_id": "fail"})
    known, wrong = {"X-Webhook-Secret": canaries.webhook}, {"Authorization": f"Bearer {canaries.token[:-1]}"}
    requests: list[tuple[str, str, dict[str, str], str | None]] = [
        ("POST", "/webhook/new-job", known, body),
        ("POST", "/webhook/new-job", known, canaries.webhook),
        ("POST", "/webhook/new-job", {"X-Webhook-Secret": canaries.webhook + "x"}, body),
        ("GET", "/metrics", {}, None),
        ("GET", "/metrics", wrong, None),
        ("GET", f"/metrics?token={canaries.token}", {"apikey": canaries.service + "x"}, None),
        ("GET", "/metrics", {"Authorization": f"Bearer eyJ0.{canaries.signature}.x"}, None),
        ("GET", f"/{canaries.token}", {}, None),
        ("GET", f"/storage/exports/a.mp4?expires=1&signature={canaries.signature}", {}, None),
        ("GET", f"/storage/exports/a.mp4?expires={canaries.signature}", {}, None),
        ("GET", "/health", {"Host": f"{canaries.token}.example.com"}, None),
        ("GET", "/health", {}, None),
        ("GET", "/openapi.json", {}, None),
    ]
    said = []
    async with httpx.AsyncClient(base_url=url) as client:
        for method, path, headers, content in requests:
            answer = await client.request(method, path, headers=headers, content=content)
            assert answer.status_code < 500, path
            said.append(f"{dict(answer.headers)} {answer.text}")
    return said
