"""Verify tokens of signed-in users, which Supabase's auth server signs.

Its public keys are at `{SUPABASE_URL}/auth/v1/.well-known/jwks.json`; an older project signs with a shared secret.
Documentation: https://supabase.com/docs/guides/auth/jwts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import jwt
import structlog

from listener.config import Settings
from listener.errors import ListenerError
from listener.response_body import UNCOMPRESSED, bound

log = structlog.get_logger(__name__)

AUDIENCE = "authenticated"
LEEWAY = 30  # seconds by which clocks may differ
MAX_RESPONSE = 256 * 1024  # bytes
FRESH = 600.0  # seconds for which keys are cached, as Supabase's edge caches them
PAUSE = 30.0  # minimum seconds between two requests for keys

_KINDS = {("EC", "P-256"): "ES256", ("RSA", None): "RS256"}


class TokenRefused(ListenerError):
    """The token has expired, or does not belong to a signed-in user of this project."""


class KeysUnavailable(ListenerError):
    """The public keys of the project can't be read now."""


class UserTokens:
    """Verifies tokens and returns their users.

    Args:
        settings: the project, and the shared secret of an older one.
        clock: monotonic seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = f"{settings.supabase_url}/auth/v1"
        self._secret = settings.supabase_jwt_secret
        self._keys = _Keys(f"{self._issuer}/.well-known/jwks.json", clock)

    async def user(self, token: str) -> str:
        """Return the id of the user of a token.

        Raises:
            TokenRefused: the token is forged, expired, of another project, or not of a user.
            KeysUnavailable: the token can't be verified now.
        """
        try:
            header = jwt.get_unverified_header(token)
            # The header only selects the key. The key determines the algorithm.
            if header.get("alg") == "HS256":
                key, algorithm = self._shared_secret(), "HS256"
            else:
                key, algorithm = await self._keys.get(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                [algorithm],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefused("The token has expired; sign in again.") from None
        except jwt.PyJWTError as error:
            log.debug("token refused", reason=str(error))
            raise TokenRefused("The token is not valid for this project.") from None
        if claims.get("role") != AUDIENCE or not claims["sub"]:
            raise TokenRefused("The token does not belong to a signed-in user.")
        return str(claims["sub"])

    def _shared_secret(self) -> str:
        if self._secret is None:
            raise jwt.InvalidKeyError(
                "the token is signed with a shared secret, and SUPABASE_JWT_SECRET is not set"
            )
        return self._secret.get_secret_value()


class _Keys:
    """The public keys at an address by their ids, each with its algorithm."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[Any, tuple[Any, str]] = {}
        self._tried = -PAUSE
        self._read: float | None = None
        self._lock = anyio.Lock()

    async def get(self, kid: Any) -> tuple[Any, str]:
        """Return a key. Raise jwt.InvalidKeyError if it isn't published, KeysUnavailable if no key could be read."""
        if not self._is_fresh(kid):
            async with self._lock:
                if not self._is_fresh(kid) and self._clock() - self._tried >= PAUSE:
                    self._tried = self._clock()
                    await self._refresh()
        if kid in self._keys:
            return self._keys[kid]
        if self._read is None:
            raise KeysUnavailable("The public keys of the project can't be read now; try again in a minute.")
        raise jwt.InvalidKeyError("the token names a key that the project does not publish")

    def _is_fresh(self, kid: Any) -> bool:
        return kid in self._keys and self._read is not None and self._clock() - self._read < FRESH

    async def _refresh(self) -> None:
        try:
            async with (
                httpx.AsyncClient(timeout=5, headers=UNCOMPRESSED) as client,
                client.stream("GET", self._url) as answer,
            ):
                await bound(answer.raise_for_status(), MAX_RESPONSE).aread()
            published = answer.json()["keys"]
            self._keys = {key["kid"]: made for key in published if (made := _made(key))}
            self._read = self._tried
        except (
            httpx.HTTPError,
            AttributeError,
            KeyError,
            RecursionError,
            TypeError,
            ValueError,
            jwt.PyJWTError,
        ) as error:
            log.warning("public keys unavailable", url=self._url, error=str(error))


def _made(key: dict[str, Any]) -> tuple[Any, str] | None:
    """Return a published key with its algorithm; None for kinds with which Supabase doesn't sign."""
    algorithm = _KINDS.get((key["kty"], key.get("crv")))
    return (jwt.PyJWK(key, algorithm).key, algorithm) if algorithm else None
