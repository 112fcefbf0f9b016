"""The server: a separate thread that starts, always responds, and stops."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import anyio
import httpx
import pytest
from fastapi import APIRouter, FastAPI

from listener.config import Settings
from listener.errors import ConfigError
from listener.metrics import Metrics
from listener.web import Status, WebServer

from .webtools import Clock, Serving


def ask(url: str) -> httpx.Response:
    """A plain call: until it returns, nothing else runs in the loop that it is made from."""
    return httpx.get(url)


async def test_it_answers_on_the_port_that_it_reports(serving: Serving) -> None:
    async with serving() as url, httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_answers_while_the_main_loop_hangs(serving: Serving, clock: Clock) -> None:
    async with serving() as url:
        assert ask(f"{url}/livez").status_code == 200
        clock.now += 61
        answer = ask(f"{url}/livez")
        health = ask(f"{url}/health")

    sentence = "The main loop has been blocked for 61 s, most likely by a handler."
    assert (answer.status_code, answer.json()) == (503, {"error": sentence})
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert health.json()["problems"] == [sentence]


async def test_it_is_alive_again_when_the_loop_turns(serving: Serving, clock: Clock, status: Status) -> None:
    async with serving() as url, httpx.AsyncClient() as client:
        clock.now += 61
        assert (await client.get(f"{url}/livez")).status_code == 503
        status.beat()
        assert (await client.get(f"{url}/livez")).status_code == 200


async def test_it_ends_soon_although_a_caller_holds_on(serving: Serving) -> None:
    router = APIRouter()
    arrived = threading.Event()

    @router.get("/endless")
    async def endless() -> None:
        arrived.set()
        await anyio.sleep_forever()

    threads = threading.active_count()
    async with anyio.create_task_group() as group:
        async with serving(router) as url, httpx.AsyncClient(timeout=30) as client:
            group.start_soon(hold, client, f"{url}/endless")
            await anyio.to_thread.run_sync(arrived.wait)
            assert threading.active_count() > threads
            leaving = time.monotonic()
        assert time.monotonic() - leaving < 2

    with pytest.raises(httpx.ConnectError):
        ask(url)


async def hold(client: httpx.AsyncClient, url: str) -> None:
    # An answer or a broken connection: both are the end of waiting.
    with suppress(httpx.HTTPError):
        await client.get(url)


async def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = WebServer(
            FastAPI(), Settings.load(host="127.0.0.1", port=port), Status("worker-1", lambda: 0)
        )

        sentence = rf"can't listen on 127.0.0.1 port {port} \(Address already in use\); .* to a free port"
        with pytest.raises(ConfigError, match=sentence):
            await server.run()


async def test_an_address_of_another_machine_is_one_sentence() -> None:
    server = WebServer(FastAPI(), Settings.load(host="192.0.2.1", port=0), Status("worker-1", lambda: 0))

    with pytest.raises(ConfigError, match="set HOST to an address of this machine"):
        await server.run()


async def test_metrics_are_there_for_prometheus(serving: Serving) -> None:
    metrics = Metrics()
    metrics.queue("export").finished["completed"].inc()

    async with serving(metrics=metrics) as url, httpx.AsyncClient() as client:
        plain = await client.get(f"{url}/metrics")
        openmetrics = await client.get(
            f"{url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )

    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert 'listener_jobs_finished_total{outcome="completed",queue="export"} 1.0' in plain.text
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")


async def test_an_error_in_a_route_is_a_sentence_and_stops_nobody(serving: Serving) -> None:
    router = APIRouter()

    @router.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret detail")

    @router.post("/take")
    async def take(body: dict[str, int]) -> None: ...

    @router.get("/count")
    async def count(n: int) -> int:
        return n

    # Without our logging a traceback takes structlog its time.
    async with serving(router) as url, httpx.AsyncClient(timeout=30) as client:
        failed = await client.get(f"{url}/broken")
        malformed = await client.get(f"{url}/count?n=many")
        as_text = await client.post(f"{url}/take", content=b"{}")
        kind = {"Content-Type": "application/json"}
        broken_off = await client.post(f"{url}/take", content=b'{"a": ', headers=kind)
        no_text = await client.post(f"{url}/take", content=b'{"\xff": 1}', headers=kind)
        unknown = await client.get(f"{url}/nowhere")
        after = await client.get(f"{url}/count?n=3")

    assert (failed.status_code, failed.json()) == (
        500,
        {"error": "The service failed to respond; its log says why."},
    )
    assert malformed.status_code == 422
    assert malformed.json()["error"].startswith("n: Input should be a valid integer")
    assert as_text.json() == {
        "error": "The body must be a JSON object, sent as `Content-Type: application/json`."
    }
    assert broken_off.json() == {"error": "The body is not valid JSON: Expecting value at character 6."}
    assert (no_text.status_code, no_text.json()["error"]) == (
        400,
        "The body can't be read; send JSON in UTF-8.",
    )
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"error": "This address does not exist; /docs lists all addresses."},
    )
    assert after.json() == 3
