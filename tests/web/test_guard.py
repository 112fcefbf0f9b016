"""Callers may use only the routes that their address and key allow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends

from listener.config import Settings
from listener.metrics import Metrics
from listener.web import Status
from listener.web.app import create_app
from listener.web.guard import MAX_BODY_BYTES
from listener.web.identity import caller

TOKEN = "a-token-of-some-length"
PROTECTED = ["/metrics", "/docs", "/openapi.json", "/jobs"]
OPEN = ["/health", "/livez", "/readyz", "/film"]


@pytest.fixture
def ask(status: Status) -> Any:
    """`await ask(path, base, headers, **settings)` asks a service with these settings."""
    guarded, signed = APIRouter(), APIRouter()
    guarded.add_api_route("/jobs", lambda: [])
    signed.add_api_route("/film", lambda: "film")

    async def ask(
        path: str, base: str = "http://localhost", headers: dict[str, Any] | None = None, **settings: Any
    ) -> httpx.Response:
        app = create_app(Settings.load(**settings), status, Metrics(), [guarded], [signed])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
            return await client.get(path)

    return ask


@pytest.mark.parametrize("path", PROTECTED + OPEN)
async def test_on_the_machine_itself_all_is_open(ask: Any, path: str) -> None:
    for base in ("http://localhost:3001", "http://127.0.0.1:3001", "http://[::1]:3001"):
        assert (await ask(path, base)).status_code == 200


@pytest.mark.parametrize("path", PROTECTED)
async def test_elsewhere_the_token_is_wanted(ask: Any, path: str) -> None:
    elsewhere = {"base": "http://jobs.example.com", "host": "0.0.0.0", "api_token": TOKEN}

    without = await ask(path, **elsewhere)
    wrong = await ask(path, headers={"Authorization": f"Bearer {TOKEN}x"}, **elsewhere)
    foreign = await ask(path, headers={"Authorization": "Bearer café".encode()}, **elsewhere)
    right = await ask(path, headers={"Authorization": f"Bearer {TOKEN}"}, **elsewhere)

    assert [a.status_code for a in (without, wrong, foreign, right)] == [401, 401, 401, 200]
    assert without.headers["www-authenticate"] == "Bearer"
    assert without.json() == {"error": "Send the service's API_TOKEN as `Authorization: Bearer …`."}


@pytest.mark.parametrize("path", OPEN)
async def test_health_and_signed_links_are_open_everywhere(ask: Any, path: str) -> None:
    answer = await ask(path, "http://jobs.example.com", host="0.0.0.0")

    assert answer.status_code == 200


async def test_elsewhere_without_a_token_configured_the_sentence_says_how(ask: Any) -> None:
    answer = await ask("/metrics", "http://10.0.0.5:8080", {"Authorization": "Bearer "}, host="0.0.0.0")

    assert answer.status_code == 401
    assert answer.json()["error"].startswith("Set API_TOKEN for the service")


@pytest.mark.parametrize(
    "base", ["http://evil.example.com", "http://127.0.0.1.evil.com:3001", "http://localhost.evil.com"]
)
async def test_a_page_whose_name_was_rebound_to_this_machine_gets_nothing(ask: Any, base: str) -> None:
    answer = await ask("/health", base)

    assert answer.status_code == 421
    assert "worker" not in answer.text


async def test_a_proxy_on_the_machine_passes_with_the_token_only(ask: Any) -> None:
    proxied = {"base": "https://jobs.example.com", "public_url": "https://jobs.example.com"}

    assert (await ask("/health", **proxied)).status_code == 200
    assert (await ask("/metrics", **proxied)).status_code == 401
    token = {"Authorization": f"Bearer {TOKEN}"}
    assert (await ask("/metrics", headers=token, api_token=TOKEN, **proxied)).status_code == 200


@pytest.mark.parametrize("setting", [{"api_token": TOKEN}, {"public_url": "https://jobs.example.com"}])
async def test_a_token_or_a_public_address_ends_the_trust_in_the_machine(
    ask: Any, setting: dict[str, str]
) -> None:
    assert (await ask("/metrics", **setting)).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        *("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via"),
        *("CF-Connecting-IP", "CF-Ray", "True-Client-IP", "X-Original-URL", "X-Envoy-External-Address"),
    ],
)
async def test_a_header_of_a_proxy_ends_the_trust_in_the_machine(ask: Any, header: str) -> None:
    assert (await ask("/metrics", headers={header: ""})).status_code == 401


async def test_a_change_behind_a_proxy_needs_a_token(status: Status) -> None:
    router = APIRouter()
    router.add_api_route("/jobs", lambda: [], methods=["POST", "DELETE"], dependencies=[Depends(caller)])
    transport = httpx.ASGITransport(create_app(Settings.load(), status, Metrics(), open_routers=[router]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answers = [
            await client.request(method, "/jobs", headers=headers)
            for headers in ({}, {"Via": "1.1 proxy"})
            for method in ("POST", "DELETE")
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 401, 401]


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/docs"])
async def test_browsers_are_told_to_be_careful(ask: Any, path: str) -> None:
    headers = (await ask(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


async def test_a_large_body_is_not_read_to_its_end(status: Status) -> None:
    router = APIRouter()

    @router.post("/take", dependencies=[Depends(caller)])
    async def take(body: dict[str, str]) -> None: ...

    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 65536
            yield b" " * 65536

    app = create_app(Settings.load(api_token=TOKEN), status, Metrics(), open_routers=[router])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        stranger = {"Authorization": "Bearer x", "Content-Type": "application/json"}
        refused = await client.post("/take", content=endless(), headers=stranger)

    assert refused.status_code == 413
    assert refused.json() == {"error": "The body is larger than the maximum of 1024 kB."}
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert read <= 2 * MAX_BODY_BYTES


async def test_the_schema_describes_answers_errors_and_the_token(ask: Any) -> None:
    schema = (await ask("/openapi.json")).json()

    assert {"/health", "/livez", "/readyz", "/metrics", "/jobs"} <= schema["paths"].keys()
    assert schema["paths"]["/readyz"]["get"]["responses"].keys() == {"200", "503"}
    assert schema["paths"]["/metrics"]["get"]["security"] == [{"HTTPBearer": []}, {"APIKeyHeader": []}]
    assert "security" not in schema["paths"]["/health"]["get"]


async def test_the_documentation_loads_nothing_from_other_hosts(ask: Any) -> None:
    answer = await ask("/docs")

    assert "GET /metrics" in answer.text
    assert "<script" not in answer.text
    assert "src=" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
