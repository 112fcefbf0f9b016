"""Supabase's REST API through the `supabase` package: one HTTP client, whose errors are ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from listener.errors import DatabaseError, DatabaseUnavailable, refusal
from listener.log import reason_of
from listener.service_key import ServiceKey

if TYPE_CHECKING:
    from supabase import AsyncClient

# What PostgREST says where Postgres itself would give the SQLSTATE: no such function, no such table.
_MISSING = {"PGRST202": "42883", "PGRST205": "42P01"}

NO_CONTENT = 204
# Of the answer that was last heard in this task: the package doesn't pass it on.
_status: ContextVar[int] = ContextVar("status")


class KeyRefused(DatabaseUnavailable):
    """The project does not know the key, or the token is not valid (any more); nothing was carried out."""


class Query(Protocol):
    """What postgrest's builders end in."""

    def execute(self) -> Awaitable[Any]: ...


class Rest:
    """The REST API of one project. It belongs to the event loop in which it is first used.

    Args:
        url: of the project.
        key: its secret key, which is followed when it is changed in `.env`; or with a token its publishable one.
        token: of a signed-in user, who then makes the requests, under the policies of the tables.
        timeout: seconds after which a request without an answer is given up.

    Raises:
        ConfigError: the key can't be one.
    """

    def __init__(self, url: str, key: str, *, token: str | None = None, timeout: float = 10.0) -> None:
        self._url = url
        self._key = key
        self._service_key = ServiceKey(url, key) if token is None else None
        self._token = token
        self._timeout = timeout
        self._http = httpx.AsyncClient(
            timeout=timeout,
            limits=httpx.Limits(max_connections=10, keepalive_expiry=60),
            event_hooks={"response": [_check]},
        )
        self._client = _client(url, key, token, self._http)

    async def execute(self, query: Callable[[AsyncClient], Query]) -> Any:
        """Carry out a query, and answer its data; errors as of `counted`."""
        data, _ = await self.counted(query)
        return data

    async def counted(self, query: Callable[[AsyncClient], Query]) -> tuple[Any, int | None]:
        """Carry out a query, and answer its data, and how many rows there are if the query asked for their count.

        Raises:
            KeyRefused: see there.
            DatabaseUnavailable: there was no answer; the request may or may not have been carried out.
            DatabaseError: the request was refused, and nothing was changed.
        """
        try:
            async with asyncio.timeout(self._timeout):
                answer = await query(self._api()).execute()
            return None if _status.get() == NO_CONTENT else answer.data, answer.count
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DatabaseUnavailable(f"the REST API gave no answer in {self._timeout:g} s") from error
        except (httpx.HTTPError, OSError, UnicodeDecodeError) as error:
            raise DatabaseUnavailable(f"the REST API gave no answer ({reason_of(error)})") from error
        except (ValueError, TypeError, RecursionError) as error:
            # Nothing was sent.
            raise DatabaseError(f"a value can't be written as JSON ({error})") from error

    async def close(self) -> None:
        """Drop every connection."""
        await self._http.aclose()

    def _api(self) -> AsyncClient:
        key = self._service_key.current() if self._service_key else self._key
        if key != self._key:
            self._key = key
            self._client = _client(self._url, key, self._token, self._http)
        return self._client


def _client(url: str, key: str, token: str | None, http: httpx.AsyncClient) -> AsyncClient:
    # It costs a tenth of a second, which those who have a connection to Postgres needn't pay.
    from supabase import AsyncClient, AsyncClientOptions

    options = AsyncClientOptions(
        httpx_client=http, auto_refresh_token=False, persist_session=False, postgrest_client_retry=False
    )
    if token is not None:
        options.headers = {"Authorization": f"Bearer {token}"}
    return AsyncClient(url, key, options)


async def _check(response: httpx.Response) -> None:
    """Raise for every answer that is not PostgREST's and good."""
    _status.set(response.status_code)
    if response.is_success:
        if response.status_code == NO_CONTENT or _is_json(response):
            return
        raise DatabaseUnavailable(
            "what SUPABASE_URL names is no REST API of Supabase: its answer is not JSON; check the address"
        )
    await response.aread()
    raise _refusal(response)


def _refusal(response: httpx.Response) -> DatabaseError | DatabaseUnavailable:
    status = response.status_code
    body = _body(response)
    code, hint = str(body.get("code") or ""), body.get("hint")
    message = str(body.get("message") or body.get("error") or response.reason_phrase)
    sqlstate = _MISSING.get(code) or code
    if re.fullmatch(r"[0-9A-Z]{5}", sqlstate):
        return refusal(message, sqlstate, hint)
    if status in {401, 403}:
        return KeyRefused(f"the REST API refuses the key or token ({status} {message})")
    if status == 406 and code == "PGRST106":
        hint = "Expose the schema in the API settings of the project."
    if code.startswith("PGRST") and status < 500:
        return DatabaseError(message, hint=hint)
    if status == 413:
        return DatabaseError("the REST API takes no request of this size")
    return DatabaseUnavailable(f"the REST API could not answer now ({status} {message})")


def _is_json(response: httpx.Response) -> bool:
    return "json" in response.headers.get("content-type", "")


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
