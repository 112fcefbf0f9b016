"""Prometheus's own tool tests the alerts: when they fire, and with which texts."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.support.harness import Switch, Table, serving, until

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy" / "alerts.yml"
CASES = ROOT / "tests" / "support" / "alerts.yml"

pytestmark = pytest.mark.system


def test_the_alerts_fire_when_they_should_and_say_what_is_wrong(tmp_path: Path) -> None:
    cases = tmp_path / "cases.yml"
    cases.write_text(CASES.read_text(encoding="utf-8").replace("RULES", str(RULES)), encoding="utf-8")
    done = subprocess.run(
        ["/usr/bin/promtool", "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("what", "file"), [("rules", "alerts.yml"), ("config", "prometheus.yml")])
def test_prometheus_accepts_the_files(what: str, file: str) -> None:
    done = subprocess.run(
        ["/usr/bin/promtool", "check", what, file],
        cwd=RULES.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def scraping(config: Path, port: int) -> Iterator[None]:
    """Run Prometheus."""
    command = [
        "/usr/bin/prometheus", f"--config.file={config}", f"--storage.tsdb.path={config.with_name('data')}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.kill()


async def test_a_real_prometheus_scrapes_a_service_and_evaluates_the_alerts(
    database: str, db: asyncpg.Connection, tmp_path: Path
) -> None:
    await Table(db).create()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    switch = Switch()
    async with serving(switch.app(), database, http=True) as service:
        text = (RULES.parent / "prometheus.yml").read_text(encoding="utf-8")
        text = text.replace("127.0.0.1:3001", f"127.0.0.1:{service.port}").replace(
            "15s", "1s\n  evaluation_interval: 1s"
        )
        text = text.replace("alerts.yml", str(RULES)) + "\n"
        config = tmp_path / "prometheus.yml"
        config.write_text(text, encoding="utf-8")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as http:
            with scraping(config, port):

                async def value(query: str) -> object:
                    with suppress(httpx.HTTPError, ValueError):  # it has not started yet
                        found = (await http.get("/query", params={"query": query})).json()["data"]["result"]
                        return found[0]["value"][1] if found else None
                    return None

                assert await until(lambda: value('max(listener_workers{queue="jobs"})'), 30) == "1"
                assert await value('listener_source_connected{source="notify"}') == "1"

                async def evaluated() -> bool:
                    groups = (await http.get("/rules")).json()["data"]["groups"]
                    rules = [rule for group in groups for rule in group["rules"]]
                    return len(rules) == 3 and all(rule["health"] == "ok" for rule in rules)

                await until(evaluated, 30)
