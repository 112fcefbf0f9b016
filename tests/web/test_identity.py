"""Callers are identified by keys and tokens, and forged ones are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter, Depends

from listener import Caller, caller
from listener.config import Settings
from listener.metrics import Metrics
from listener.web import Status
from listener.web.app import create_app
from listener.web.tokens import PAUSE, KeysUnavailable, TokenRefused, UserTokens
from tests.support.standin.auth import JWKS
from tests.support.standin.stack import Stack, running

from .webtools import Clock

API_TOKEN = "a-token-of-some-length"
USER = "7d444840-9dc0-11d1-b245-5ffdce74fad2"

Ask = Callable[..., Any]


@pytest.fixture
async def project() -> AsyncIterator[Stack]:
    async with running("postgresql://127.0.0.1:1/unused") as project:
        yield project


@pytest.fixture
def elsewhere(project: Stack) -> Settings:
    """A service that the world can reach."""
    return Settings.load(
        host="0.0.0.0", api_token=API_TOKEN, supabase_url=project.url, supabase_service_key=project.secret_key
    )


@pytest.fixture
def ask(status: Status, elsewhere: Settings) -> Ask:
    """`await ask(headers, settings)` answers who the service takes the caller for, or its refusal."""
    router = APIRouter()

    @router.get("/whoami")
    @router.post("/whoami")
    async def whoami(who: Annotated[Caller, Depends(caller)]) -> dict[str, Any]:
        return {"kind": who.kind, "user": who.user_id}

    async def ask(
        headers: dict[str, str], settings: Settings = elsewhere, method: str = "GET", path: str = "/whoami"
    ) -> httpx.Response:
        app = create_app(settings, status, Metrics(), open_routers=[router])
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:3001", headers=headers
        ) as client:
            return await client.request(method, path)

    return ask


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_keys_are_the_service_and_tokens_are_users(ask: Ask, project: Stack) -> None:
    service, user = {"kind": "service", "user": None}, {"kind": "user", "user": USER}
    signed_in = bearer(project.user_token(USER))

    assert (await ask(bearer(API_TOKEN))).json() == service
    assert (await ask(bearer(project.secret_key))).json() == service
    assert (await ask({"apikey": project.secret_key})).json() == service
    assert (await ask(signed_in)).json() == user
    assert (await ask(signed_in | {"apikey": project.publishable_key})).json() == user
    assert (await ask(signed_in | {"apikey": project.secret_key})).json() == user


async def test_without_a_key_only_the_machine_itself_is_the_service(ask: Ask, project: Stack) -> None:
    here = Settings.load(host="127.0.0.1", supabase_url=project.url)

    assert (await ask({}, here)).json() == {"kind": "service", "user": None}
    assert (await ask(bearer(project.user_token(USER)), here)).json()["user"] == USER
    refused = [
        await ask({}),
        await ask(bearer("no-key-of-ours"), here),
        await ask({"X-Forwarded-For": "203.0.113.9"}, here),
    ]
    assert [answer.status_code for answer in refused] == [401, 401, 401]
    assert (
        refused[0]
        .json()["error"]
        .startswith("Send the token of a signed-in user, or the service's API_TOKEN")
    )
    assert refused[1].json()["error"].startswith("That key is not valid here.")


async def test_a_page_from_elsewhere_cant_have_a_browser_here_call_as_the_service(ask: Ask) -> None:
    here = Settings.load(host="127.0.0.1")
    answers = [
        await ask({"Origin": origin}, here)
        for origin in (
            "https://evil.example.com",
            "null",
            "http://localhost.evil.com",
            "http://localhost:3000",
        )
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 200]


async def test_a_user_may_not_see_what_is_the_services_own(ask: Ask, project: Stack) -> None:
    answer = await ask(bearer(project.user_token(USER)), path="/metrics")

    assert (answer.status_code, "Signed-in users" in answer.json()["error"]) == (403, True)


def attacks() -> dict[str, Callable[[Stack], str]]:
    """Name of an attack -> the token that it sends."""

    def claims(project: Stack, **others: Any) -> dict[str, Any]:
        now = int(time.time())
        own = {
            "iss": f"{project.url}/auth/v1",
            "aud": "authenticated",
            "sub": USER,
            "role": "authenticated",
            "exp": now + 60,
        }
        return {name: value for name, value in (own | others).items() if value is not None}

    def signed(project: Stack, headers: dict[str, Any] | None = None, **others: Any) -> str:
        key = project.signing_key
        assert key is not None
        return jwt.encode(claims(project, **others), key, "ES256", {"kid": project.kid, **(headers or {})})

    def unsigned(project: Stack, alg: str) -> str:
        parts = [{"alg": alg, "typ": "JWT", "kid": project.kid}, claims(project)]
        return ".".join([*(encoded(json.dumps(part).encode()) for part in parts), ""])

    def keyed_with_the_public_key(project: Stack, form: Encoding) -> str:
        # PyJWT itself refuses to sign so; an attacker's program does not.
        assert project.signing_key is not None
        public = project.signing_key.public_key()
        pem = public.public_bytes(
            form,
            PublicFormat.SubjectPublicKeyInfo if form is Encoding.PEM else PublicFormat.UncompressedPoint,
        )
        signing = ".".join(
            encoded(json.dumps(part).encode())
            for part in ({"alg": "HS256", "typ": "JWT", "kid": project.kid}, claims(project))
        )
        return f"{signing}.{encoded(hmac.digest(pem, signing.encode(), hashlib.sha256))}"

    def tampered(project: Stack) -> str:
        head, _, signature = signed(project).split(".")
        return f"{head}.{encoded(json.dumps(claims(project, sub='another')).encode())}.{signature}"

    other = ec.generate_private_key(ec.SECP256R1())
    now = time.time()
    return {
        "no signature": lambda p: unsigned(p, "none"),
        "no signature, spelled otherwise": lambda p: unsigned(p, "nOnE"),
        "an empty signature": lambda p: unsigned(p, "ES256"),
        "HS256 with the public key": lambda p: keyed_with_the_public_key(p, Encoding.PEM),
        "HS256 with the raw public key": lambda p: keyed_with_the_public_key(p, Encoding.X962),
        "HS256 where no secret is configured": lambda p: jwt.encode(claims(p), p.jwt_secret, "HS256"),
        "somebody's own key under a known id": lambda p: jwt.encode(claims(p), other, "ES256", {"kid": p.kid}),
        "somebody's own key inside the token": lambda p: jwt.encode(
            claims(p), other, "ES256", {"kid": p.kid, "jwk": {"kty": "EC"}, "jku": "https://evil.example.com", "x5u": "https://evil.example.com"}
        ),
        "another algorithm under a known id": lambda p: jwt.encode(
            claims(p), rsa.generate_private_key(65537, 2048), "RS256", {"kid": p.kid}
        ),
        "other claims under a true signature": tampered,
        "an unknown key": lambda p: signed(p, {"kid": "unknown"}),
        "no key id": lambda p: jwt.encode(claims(p), p.signing_key, "ES256"),
        "an extension that must be understood": lambda p: signed(p, {"crit": ["exp"], "exp": 1}),
        "expired": lambda p: signed(p, exp=now - 40),
        "not valid yet": lambda p: signed(p, nbf=now + 60),
        "issued in the future": lambda p: signed(p, iat=now + 60),
        "without an end": lambda p: signed(p, exp=None),
        "of another project": lambda p: signed(p, iss="https://other.supabase.co/auth/v1"),
        "of no project": lambda p: signed(p, iss=None),
        "for another audience": lambda p: signed(p, aud="anon"),
        "for no audience": lambda p: signed(p, aud=None),
        "of nobody": lambda p: signed(p, sub=None),
        "of an empty name": lambda p: signed(p, sub=""),
        "the service's role": lambda p: signed(p, role="service_role"),
        "a legacy service key": lambda p: p.legacy_key("service_role"),
        "a legacy anon key": lambda p: p.legacy_key("anon"),
        "the publishable key": lambda p: p.publishable_key,
        "no token at all": lambda p: "a.b.c",
        "a very long one": lambda p: f"{'e' * 20_000}.{'y' * 20_000}.J",
    }  # fmt: skip


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@pytest.mark.parametrize("attack", attacks())
async def test_a_forged_token_is_nobodys(ask: Ask, project: Stack, attack: str) -> None:
    answer = await ask(bearer(attacks()[attack](project)))

    assert answer.status_code == 401, attack
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"].endswith(".")


async def test_clocks_may_differ_a_little(project: Stack, elsewhere: Settings) -> None:
    tokens = UserTokens(elsewhere)

    assert await tokens.user(project.user_token(USER, lives=-20)) == USER
    assert await tokens.user(project.user_token(USER, nbf=int(time.time()) + 20)) == USER


async def test_rsa_keys_are_good_too(project: Stack, elsewhere: Settings) -> None:
    key = rsa.generate_private_key(65537, 2048)
    project.signing_key = key
    claims = jwt.decode(project.user_token(USER, legacy=True), options={"verify_signature": False})

    assert await UserTokens(elsewhere).user(jwt.encode(claims, key, "RS256", {"kid": project.kid})) == USER
    with pytest.raises(TokenRefused):
        await UserTokens(elsewhere).user(jwt.encode(claims, key, "PS256", {"kid": project.kid}))


async def test_the_shared_secret_of_an_older_project(project: Stack, elsewhere: Settings) -> None:
    project.signing_key = None
    older = Settings.load(supabase_url=project.url, supabase_jwt_secret=project.jwt_secret)
    token = project.user_token(USER, legacy=True)

    assert await UserTokens(older).user(token) == USER
    for settings, sent in (
        (older, jwt.encode({"sub": USER}, secrets.token_hex(32), "HS256")),
        (elsewhere, token),
    ):
        with pytest.raises(TokenRefused):
            await UserTokens(settings).user(sent)
    with pytest.raises(TokenRefused):
        await UserTokens(older).user(
            jwt.encode({"sub": USER}, ec.generate_private_key(ec.SECP256R1()), "ES256")
        )


async def test_the_configured_service_key_is_the_service_even_as_a_token(ask: Ask, project: Stack) -> None:
    key = project.legacy_key("service_role")
    settings = Settings.load(host="0.0.0.0", supabase_url=project.url, supabase_service_key=key)

    assert (await ask(bearer(key), settings)).json() == {"kind": "service", "user": None}
    forged = project.sign({"iss": "supabase", "role": "service_role"}, legacy=True)
    assert (await ask(bearer(forged), settings)).status_code == 401


async def test_a_service_key_that_was_changed_is_known_at_once_and_the_old_one_no_more(
    status: Status, project: Stack, workdir: Path
) -> None:
    settings = Settings.load(
        host="0.0.0.0", supabase_url=project.url, supabase_service_key=project.secret_key
    )
    app = create_app(settings, status, Metrics())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1") as client:

        async def status_of(key: str) -> int:
            return (await client.get("/metrics", headers=bearer(key))).status_code

        old = project.secret_key
        assert await status_of(old) == 200
        project.rotate(workdir)
        assert (await status_of(old), await status_of(project.secret_key)) == (401, 200)


async def test_keys_are_read_once_and_again_for_a_new_one_but_never_in_a_flood(
    project: Stack, elsewhere: Settings, clock: Clock
) -> None:
    tokens = UserTokens(elsewhere, clock)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(tokens.user, project.user_token(USER))
    assert project.requests == [f"GET {JWKS}"]

    project.signing_key, project.kid = ec.generate_private_key(ec.SECP256R1()), "rotated"
    for _ in range(20):
        with pytest.raises(TokenRefused):
            await tokens.user(project.user_token(USER))
    assert len(project.requests) == 1, "unknown keys within the pause ask nobody"
    clock.now += PAUSE
    assert await tokens.user(project.user_token(USER)) == USER
    assert len(project.requests) == 2

    clock.now += 601
    await tokens.user(project.user_token(USER))
    assert len(project.requests) == 3, "keys are not kept for ever"


async def test_an_auth_server_that_is_away(
    project: Stack, elsewhere: Settings, clock: Clock, ask: Ask
) -> None:
    tokens = UserTokens(elsewhere, clock)
    project.faults.add(f"GET {JWKS}", status=503, times=2)
    with pytest.raises(KeysUnavailable):
        await tokens.user(project.user_token(USER))
    answer = await ask(bearer(project.user_token(USER)))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")

    clock.now += PAUSE
    assert await tokens.user(project.user_token(USER)) == USER
    project.faults.add(f"GET {JWKS}", cut="half")
    clock.now += 601
    assert await tokens.user(project.user_token(USER)) == USER, "the keys that were read stay good"
