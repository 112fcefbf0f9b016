"""Play a Supabase project on a real Postgres: the keys of its gateway and its HTTP addresses, as one ASGI application.

Each part is a module beside this one with a function `routes(stack)`, which returns routes with full paths such as
`/rest/v1/rpc/{function}`. A route calls `stack.identify(headers)` to find the caller, and acts in
`async with stack.acting_as(caller) as connection`, one transaction under the caller's role and policies.
Planned faults happen before a route is called.

    async with stack.running(dsn) as project:
        transport = RestTransport(project.url, project.secret_key)
        project.faults.add("POST /rest/v1/rpc/listener_claim", cut="after")
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import uvicorn
from asyncpg.pool import PoolConnectionProxy
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tests.support.standin import auth, realtime, rest, storage
from tests.support.standin.faults import Faults
from tests.support.standin.realtime import Realtime
from tests.support.standin.storage_shelf import Shelf

ROLES = ("anon", "authenticated", "service_role")
TEN_YEARS = 315_360_000


class Refused(Exception):
    """The gateway refuses a caller."""

    def __init__(self, message: str, *, code: str | None = None, status: int = 401) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, str | None] = {"message": message}
        if code:
            self.body |= {"code": code, "details": None, "hint": None}


@dataclass(frozen=True)
class Caller:
    """A caller: the role in the database, and the claims that policies read."""

    role: str
    claims: Mapping[str, Any]


@dataclass
class Stack:
    """The project.

    Attributes:
        dsn: the database, as a role that may act as anon, authenticated and service_role.
        url: where it listens; the same after `stop` and `start`.
        secret_key, publishable_key: the keys of a new project. A test may set another secret key: the old one is
            refused from then on.
        max_rows: the most rows of a table that a response has.
        jwt_secret: signs the legacy keys, and the tokens of a legacy project.
        signing_key, kid: sign the tokens of users; without a key the shared secret does.
        faults: the planned faults.
        requests: those that came, as "METHOD /path", in order; websockets are "WEBSOCKET /path".
        pool: connections to the database.
        realtime, storage: the parts that a test can disturb; they outlive a stop of the server.
    """

    dsn: str
    url: str = ""
    secret_key: str = field(default_factory=lambda: f"sb_secret_{secrets.token_urlsafe(24)}")
    publishable_key: str = field(default_factory=lambda: f"sb_publishable_{secrets.token_urlsafe(24)}")
    max_rows: int = 1000
    jwt_secret: str = field(default_factory=lambda: secrets.token_hex(32))
    signing_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    kid: str = field(default_factory=lambda: str(uuid.uuid4()))
    faults: Faults = field(default_factory=Faults)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.realtime = Realtime(self)
        self.storage = Shelf(self)
        self._server: asyncio.Server | None = None
        self._state = ServerState()
        self._config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self._config.load()
        self._port = 0

    # Keys and tokens.

    def rotate(self, folder: Path) -> None:
        """Change the secret key, and write the new one to `.env` in this folder."""
        self.secret_key = f"sb_secret_{secrets.token_urlsafe(24)}"
        (folder / ".env").write_text(f"SUPABASE_URL={self.url}\nSUPABASE_SERVICE_KEY={self.secret_key}\n")

    def legacy_key(self, role: str) -> str:
        """Return the anon or service_role key of an older project."""
        return self.sign({"iss": "supabase", "ref": "project", "role": role}, legacy=True, lives=TEN_YEARS)

    def user_token(
        self, user: str | uuid.UUID, *, lives: float = 3600, legacy: bool = False, **claims: Any
    ) -> str:
        """Return the token of a signed-in user; with `legacy`, signed with the shared secret.

        Args:
            user: the id in auth.users.
            lives: seconds until it expires; below zero it has expired.
            claims: added to the usual ones, or in place of them.
        """
        own = {
            "iss": f"{self.url}/auth/v1", "aud": "authenticated", "sub": str(user), "role": "authenticated",
            "email": f"{user}@example.com", "session_id": str(uuid.uuid4()), "aal": "aal1", "app_metadata": {},
            "user_metadata": {}, "is_anonymous": False,
        }  # fmt: skip
        return self.sign(own | claims, legacy=legacy, lives=lives)

    def sign(self, claims: Mapping[str, Any], *, legacy: bool = False, lives: float = 3600) -> str:
        """Return a token with these claims."""
        now = int(time.time())
        timed = {"iat": now, "exp": int(now + lives), **claims}
        if legacy or self.signing_key is None:
            return jwt.encode(timed, self.jwt_secret, "HS256")
        return jwt.encode(timed, self.signing_key, self._algorithm, headers={"kid": self.kid})

    def identify(self, headers: Mapping[str, str], *, key: str | None = None) -> Caller:
        """Return the caller that sends these headers, like the gateway in front of all services.

        Args:
            headers: of the request, in lower case.
            key: the apikey, where it came in the URL.

        Raises:
            Refused: no key, an unknown one, or a token that isn't valid.
        """
        if not (key := key or headers.get("apikey")):
            raise Refused("No API key found in request")
        role = self._role_of(key)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if not bearer or bearer == key:
            return Caller(role, {"role": role})
        if bearer.startswith("sb_"):
            raise Refused("Invalid API key")
        claims = self.read(bearer)
        return Caller(str(claims.get("role", "anon")), claims)

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token of this project.

        Raises:
            Refused: it is not valid, or has expired.
        """
        try:
            key: Any = self.jwt_secret
            allowed = ["HS256"]
            if jwt.get_unverified_header(token)["alg"] != "HS256" and self.signing_key is not None:
                key, allowed = self.signing_key.public_key(), [self._algorithm]
            claims: dict[str, Any] = jwt.decode(token, key, allowed, options={"verify_aud": False})
        except jwt.ExpiredSignatureError:
            raise Refused("JWT expired", code="PGRST303") from None
        except jwt.InvalidTokenError:
            raise Refused("JWSError JWSInvalidSignature", code="PGRST301") from None
        if claims.get("role") not in ROLES:
            raise Refused(f'role "{claims.get("role")}" does not exist', code="22023")
        return claims

    @property
    def _algorithm(self) -> str:
        return "RS256" if isinstance(self.signing_key, rsa.RSAPrivateKey) else "ES256"

    def _role_of(self, key: str) -> str:
        if key == self.secret_key:
            return "service_role"
        if key == self.publishable_key:
            return "anon"
        if key.count(".") != 2:
            raise Refused("Invalid API key")
        return str(self.read(key)["role"])

    # The database.

    @asynccontextmanager
    async def acting_as(self, caller: Caller, **settings: str) -> AsyncIterator[PoolConnectionProxy]:
        """Open one transaction as this caller, with the time-outs of a project and further settings.

        Names with a dot are written with two underscores: `request__headers`.
        """
        timeout = "3s" if caller.role == "anon" else "8s"
        given = {
            "role": caller.role, "request.jwt.claims": json.dumps(dict(caller.claims)), "statement_timeout": timeout,
            "lock_timeout": "8s", "search_path": '"public", "extensions"',
        } | {name.replace("__", "."): value for name, value in settings.items()}  # fmt: skip
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "select set_config(name, value, true) from unnest($1::text[], $2::text[]) as t (name, value)",
                list(given),
                list(given.values()),
            )
            yield connection

    # The server.

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self.pool = await asyncpg.create_pool(self.dsn, min_size=0, max_size=5, reset=_keep)
        self._app = Starlette(
            routes=_routes(self),
            exception_handlers={Refused: _refuse},
            middleware=[
                Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
            ],
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Protocol(self._config, self._state, {}), "127.0.0.1", self._port
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Break every connection, and refuse new ones."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self.cut()
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        self.pool.terminate()
        for _ in range(3):
            await asyncio.sleep(0)  # what was aborted is closed by the loop's next turns

    def cut(self) -> None:
        """Break every connection there is."""
        for connection in list(self._state.connections):
            with suppress(AttributeError):
                connection.transport.abort()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        what = f"{scope.get('method', scope['type'].upper())} {scope['path']}"
        self.requests.append(what)
        await self.faults.around(what, self._app, scope, receive, send)


class _Protocol(H11Protocol):
    """Give a fault access to the connection of a request, as `scope["state"]["transport"]`."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {"transport": transport}


@asynccontextmanager
async def running(dsn: str) -> AsyncIterator[Stack]:
    """Run a project on this database until the block ends."""
    stack = Stack(dsn)
    await stack.start()
    try:
        yield stack
    finally:
        await stack.stop()
        stack.storage.close()


def _routes(stack: Stack) -> list[BaseRoute]:
    return [route for part in (rest, realtime, storage, auth) for route in part.routes(stack)]


async def _refuse(_: Any, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return JSONResponse(error.body, error.status)


async def _keep(_: asyncpg.Connection) -> None:
    """Keep the connection as it is, because every setting ends with its transaction."""
