"""Identify callers: with the rights of the service, or a signed-in user. Routes use the dependency `caller`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from listener.config import Settings
from listener.service_key import ServiceKey
from listener.web.guard import is_own_machine
from listener.web.tokens import KeysUnavailable, TokenRefused, UserTokens


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a route.

    Attributes:
        kind: `service` may do everything; a `user` may access only their own data.
        user_id: the user's id in Supabase's auth.users; None for the service.
    """

    kind: Literal["service", "user"]
    user_id: str | None = None


SERVICE = Caller("service")

_bearer = HTTPBearer(
    auto_error=False,
    description="API_TOKEN, the project's service key, or the token of a signed-in user; "
    "not needed on the machine of the service, unless API_TOKEN or PUBLIC_URL is set.",
)
_apikey = APIKeyHeader(
    name="apikey", auto_error=False, description="The service key, as Supabase's clients send it."
)


class Identity:
    """Identifies callers by their key or token, and by their address."""

    def __init__(self, settings: Settings) -> None:
        self._trusts_own_machine = settings.trusts_own_machine
        self._api_token = settings.api_token
        self._service_key = _service_key(settings)
        self._tokens = UserTokens(settings) if settings.supabase_url else None

    async def of(self, request: Request, sent: str) -> Caller:
        """Return the caller who sends this request with this key or token.

        Raises:
            HTTPException: 401 with a sentence that says what is missing or wrong, 503 if a token can't be verified now.
        """
        if not sent:
            if self._trusts_own_machine and is_own_machine(request):
                return SERVICE
            raise _unauthorized(self._expected())
        if any(same(sent, key) for key in self._keys()):
            return SERVICE
        if self._tokens is None or sent.count(".") != 2:
            raise _unauthorized(f"That key is not valid here. {self._expected()}")
        try:
            return Caller("user", await self._tokens.user(sent))
        except TokenRefused as error:
            raise _unauthorized(str(error)) from None
        except KeysUnavailable as error:
            raise HTTPException(503, str(error), headers={"Retry-After": "30"}) from None

    def _keys(self) -> list[SecretStr]:
        token = [self._api_token] if self._api_token else []
        return [*token, SecretStr(self._service_key.current())] if self._service_key else token

    def _expected(self) -> str:
        if self._tokens:
            return "Send the token of a signed-in user, or the service's API_TOKEN, as `Authorization: Bearer …`."
        if self._keys():
            return "Send the service's API_TOKEN as `Authorization: Bearer …`."
        return "Set API_TOKEN for the service, and send it as `Authorization: Bearer …`."


async def caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    apikey: Annotated[str | None, Security(_apikey)],
) -> Caller:
    """Return the caller; a dependency of routes. Refuse callers that are neither the service nor a user with 401."""
    # Clients of Supabase send both: the key identifies the project, the token the user.
    sent = bearer.credentials if bearer else apikey or ""
    identity: Identity = request.app.state.identity
    return await identity.of(request, sent)


async def is_service(request: Request) -> bool:
    """Return whether a request to a route that is open to everybody comes with the rights of the service."""
    try:
        return (await caller(request, await _bearer(request), await _apikey(request))).kind == "service"
    except HTTPException:
        return False


async def service(who: Annotated[Caller, Depends(caller)]) -> None:
    """Refuse users with 403; a dependency of routes that need the rights of the service."""
    if who.kind != "service":
        raise HTTPException(403, "Signed-in users may not see this; send the service's API_TOKEN.")


def _service_key(settings: Settings) -> ServiceKey | None:
    if settings.supabase_service_key is None:
        return None
    return ServiceKey(settings.supabase_url or "", settings.supabase_service_key.get_secret_value())


def same(sent: str, secret: SecretStr) -> bool:
    """Compare in constant time."""
    return secrets.compare_digest(sent.encode(), secret.get_secret_value().encode())


def _unauthorized(sentence: str) -> HTTPException:
    return HTTPException(401, sentence, headers={"WWW-Authenticate": "Bearer"})
