"""Strangers behind a real nginx on the same machine, with its defaults and with the configuration of docs/deploy.md."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from listener.config import Settings
from listener.metrics import Metrics
from listener.web import Status, WebServer, create_app

pytestmark = pytest.mark.system

NGINX = "/usr/sbin/nginx"
TOKEN = "a-token-of-some-length"
STRANGER = {"Host": "localhost"}
Behind = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def behind(tmp_path: Path, status: Status) -> Behind:
    """`async with behind(configuration, **settings) as client:` runs nginx before a service."""

    @asynccontextmanager
    async def behind(location: str, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
        chosen = Settings.load(host="127.0.0.1", port=0, **settings)
        app = create_app(chosen, status, Metrics())
        async with anyio.create_task_group() as group:
            service = await group.start(WebServer(app, chosen, status).run)
            with socket.create_server(("127.0.0.1", 0)) as unused:
                port = unused.getsockname()[1]
            (tmp_path / "nginx.conf").write_text(_configuration(tmp_path, port, location, service))
            nginx = subprocess.Popen([NGINX, "-c", tmp_path / "nginx.conf", "-p", tmp_path])  # noqa: ASYNC220
            try:
                async with httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}",
                    trust_env=False,
                    transport=httpx.AsyncHTTPTransport(retries=6),
                ) as client:
                    yield client
            finally:
                nginx.terminate()
                nginx.wait()
            group.cancel_scope.cancel()

    return behind


def _configuration(folder: Path, port: int, location: str, service: int) -> str:
    temporary = "".join(
        f"{name}_temp_path {folder}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ {location.replace('3001', str(service))} }} }} }}"
    )


@pytest.mark.parametrize(
    "location",
    [
        "proxy_pass http://127.0.0.1:3001;",
        "proxy_pass http://127.0.0.1:3001; proxy_set_header Host $host;",
        "proxy_pass http://127.0.0.1:3001; proxy_http_version 1.1; proxy_set_header X-Real-IP $remote_addr;",
    ],
)
async def test_a_stranger_behind_any_proxy_is_not_this_machine(behind: Behind, location: str) -> None:
    async with behind(location) as client:
        assert (await client.get("/livez", headers=STRANGER)).status_code == 200
        assert (await client.get("/metrics", headers=STRANGER)).status_code == 401


async def test_the_documented_configuration_asks_for_the_token(behind: Behind) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
    (location,) = re.findall(r"location / {\n(.*?)\n *}", guide, re.DOTALL)

    async with behind(location, api_token=TOKEN, public_url="https://jobs.example.com") as client:
        host = {"Host": "jobs.example.com"}
        known = host | {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/metrics", headers=host)).status_code == 401
        assert (await client.get("/metrics", headers=STRANGER)).status_code == 401
        assert (await client.get("/metrics", headers=known)).status_code == 200
