"""Check a Supabase project: its address and key, its REST API, Realtime and Storage."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx

from listener.cli.doctor.finding import Finding, bad, doubtful, good
from listener.cli.doctor.schema import check_queue
from listener.database.rest import KeyRefused
from listener.database.store import Store
from listener.database.transport_rest import RestTransport
from listener.errors import DatabaseError, DatabaseUnavailable, SchemaError
from listener.events.realtime_connection import RealtimeConnection
from listener.kit.storage import StorageError
from listener.kit.storage.supabase import SupabaseStorage
from listener.log import redact, text_of

TIMEOUT_SECONDS = 10.0  # seconds
SMALL = 100_000_000  # bytes; a film of some minutes is larger
KEYS = "Copy the secret or service_role key from the project's API settings."


async def check_supabase(url: str, key: str, *, alone: bool) -> AsyncIterator[Finding]:
    """Check the project.

    Args:
        alone: whether the REST API is the only connection to the database.
    """
    for finding in (_check_url(url), _check_key(url, key)):
        yield finding
        if finding.level == "failure":
            return
    answers = True
    async for finding in _check_rest(url, key, alone=alone):
        answers = answers and finding.check != "project"
        yield finding
    if answers:
        yield await _check_realtime(url, key)
        async for finding in _check_storage(url, key):
            yield finding


def _check_url(url: str) -> Finding:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if project := re.search(r"supabase\.com/dashboard/project/(\w+)", url):
        return bad(
            "url",
            "this is the address of the dashboard",
            f"Set SUPABASE_URL=https://{project[1]}.supabase.co",
        )
    if host.endswith(".supabase.co") and (parts.path or host.startswith("db.")):
        ref = host.removesuffix(".supabase.co").removeprefix("db.")
        return bad(
            "url",
            "SUPABASE_URL contains more than the address of the project",
            f"Set SUPABASE_URL=https://{ref}.supabase.co",
        )
    if parts.scheme != "https" and not _is_near(host):
        return bad("url", "the key would be sent unencrypted", f"Set SUPABASE_URL=https://{parts.netloc}")
    return good("url", url)


def _is_near(host: str) -> bool:
    """Return whether a host is on this machine or in a private network, such as that of containers."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal"))


def _check_key(url: str, key: str) -> Finding:
    if key.startswith("sb_secret_"):
        return good("key", "a secret key")
    claims = _claims(key)
    if not claims:
        return bad("key", "SUPABASE_SERVICE_KEY is not a key of Supabase", KEYS)
    if claims.get("role") != "service_role":
        return bad("key", f"SUPABASE_SERVICE_KEY is a key or token of {claims.get('role')}", KEYS)
    host = urlsplit(url).hostname or ""
    ref = claims.get("ref")
    if host.endswith(".supabase.co") and ref and host != f"{ref}.supabase.co":
        return bad(
            "key",
            f"the key belongs to another project, {ref}",
            f"{KEYS} Or set SUPABASE_URL=https://{ref}.supabase.co",
        )
    if claims.get("exp", float("inf")) < time.time():
        return bad("key", "the key has expired", KEYS)
    return good("key", "a service_role key of the older kind; a secret key is easier to replace")


def _claims(key: str) -> dict[str, Any]:
    try:
        payload = key.split(".")[1]
        return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (IndexError, TypeError, ValueError):
        return {}


async def _check_rest(url: str, key: str, *, alone: bool) -> AsyncIterator[Finding]:
    transport = RestTransport(url, key)
    store = Store(transport)
    judge = bad if alone else doubtful
    try:
        began = time.perf_counter()
        await store.check_schema()
        yield good("rest", f"a verb took {(time.perf_counter() - began) * 1000:.0f} ms")
        if alone:
            for queue in (await store.stats() or {"queues": []})["queues"]:
                for finding in check_queue(queue):
                    yield finding
    except KeyRefused as error:
        yield bad("project", str(error), KEYS)
    except DatabaseUnavailable as error:
        yield bad(
            "project",
            str(error),
            "Check SUPABASE_URL, and check in the dashboard that the project is not paused.",
        )
    except SchemaError as error:
        fix = (
            "Run the output of `listener migrate --print` in the SQL editor, or set DATABASE_URL and run it."
        )
        yield judge("rest", str(error), fix)
    except DatabaseError as error:
        yield judge("rest", str(error), error.hint or "Run: listener migrate")
    finally:
        await transport.close()


async def _check_realtime(url: str, key: str) -> Finding:
    """Send a message to a private channel, and wait for it."""
    topic = f"listener::doctor:{secrets.token_hex(8)}"
    heard = anyio.Event()
    connection = RealtimeConnection(url, key)
    fix = "Check in the dashboard under Realtime that it is enabled, and how many connections it has."
    try:
        await connection.open()
        if not connection.over.is_set():
            channel = connection.channel(topic)
            channel.on_broadcast("doctor", lambda _: heard.set())
            await connection.join(channel)
            began = time.perf_counter()
            message = {"topic": topic, "event": "doctor", "payload": {}, "private": True}
            headers = {"apikey": key, "Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(headers=headers, timeout=TIMEOUT_SECONDS) as http:
                with anyio.move_on_after(TIMEOUT_SECONDS):
                    while not heard.is_set() and not connection.over.is_set():
                        # A message that is sent before the channel is joined does not arrive.
                        await http.post(f"{url}/realtime/v1/api/broadcast", json={"messages": [message]})
                        with anyio.move_on_after(1):
                            await heard.wait()
            took = time.perf_counter() - began
    except httpx.HTTPError as error:
        return doubtful("realtime", f"a message could not be sent ({type(error).__name__})", fix)
    finally:
        await connection.close()
    if heard.is_set():
        return good("realtime", f"a message took {took * 1000:.0f} ms")
    why = (
        "refuses the connection"
        if connection.reason == "refused"
        else f"was silent for {TIMEOUT_SECONDS:g} s"
    )
    return doubtful("realtime", f"Realtime {why}, so it does not announce rows", fix)


async def _check_storage(url: str, key: str) -> AsyncIterator[Finding]:
    """Store, read and remove an object."""
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    fix = "Check in the dashboard under Storage that the buckets exist; presets create those of their tables."
    try:
        async with httpx.AsyncClient(headers=headers, timeout=TIMEOUT_SECONDS) as http:
            answer = (await http.get(f"{url}/storage/v1/bucket")).raise_for_status().json()
        buckets = {bucket["id"]: bucket for bucket in answer}
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        yield doubtful("storage", f"the buckets can't be listed ({redact(text_of(error))})", fix)
        return
    if not buckets:
        yield doubtful("storage", "the project has no bucket", fix)
        return
    for name, bucket in buckets.items():
        limit = bucket.get("file_size_limit")
        if limit and limit < SMALL:
            more = f"If that is not enough, raise the limit of the bucket {name} in the dashboard."
            yield doubtful(
                "storage", f"the bucket {name} accepts only files of up to {limit / 1e6:.0f} MB", more
            )
    bucket = next(iter(buckets))
    storage, object_key = (
        SupabaseStorage(url, key, timeout=TIMEOUT_SECONDS, patience=0),
        f"listener-doctor/{secrets.token_hex(8)}",
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "doctor")
            await anyio.Path(path).write_bytes(b"doctor")
            began = time.perf_counter()
            await storage.upload(bucket, path, object_key)
            await storage.download(bucket, object_key, Path(folder))
            await storage.remove(bucket, object_key)
    except StorageError as error:
        yield doubtful("storage", f"{bucket}: {error}", fix)
        return
    took = (time.perf_counter() - began) * 1000
    yield good(
        "storage",
        f"{', '.join(buckets)}; an object of {bucket} was stored, read and removed in {took:.0f} ms",
    )
