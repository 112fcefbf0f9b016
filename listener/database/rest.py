"""Supabase's REST API by the `supabase` package, with DatabaseUnavailable and DatabaseError for its errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from listener.database.decoding import decode
from listener.errors import DatabaseError, DatabaseUnavailable, refusal
from listener.log import reason_of
from listener.service_key import ServiceKey

if TYPE_CHECKING:
    from supabase import AsyncClient

# PostgREST's codes, and the SQLSTATE that Postgres has for the same: no such function, no such table.
_MISSING = {"PGRST202": "42883", "PGRST205": "42P01"}

NO_CONTENT = 204
# The status of the last response in this task, because the package does not return it.
_status: ContextVar[int] = ContextVar("status")
# The last successful response in this task, whose content the package may be unable to decode.
_answer: ContextVar[httpx.Response | None] = ContextVar("answer", default=None)


class KeyRefused(DatabaseUnavailable):
    """The project refused the key, or the token is not or no longer valid; nothing was carried out."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="misconfigured")


class Query(Protocol):
    """A finished query of postgrest's builders."""

    def execute(self) -> Awaitable[Any]: ...


class Rest:
    """The REST API of one project. All calls must be made in one event loop.

    Args:
        url: the project's address.
        key: its secret key, replaced when the settings name another one; with a token its publishable key.
        token: the token of a signed-in user, whose rights the requests then have.
        timeout: seconds after which a request without an answer fails.

    Raises:
        ConfigError: the key is malformed.
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
        """Run a query, and return its data. Raises as `counted`."""
        data, _ = await self.counted(query)
        return data

    async def counted(self, query: Callable[[AsyncClient], Query]) -> tuple[Any, int | None]:
        """Run a query, and return its data, and the number of rows if the query asked for it.

        Raises:
            KeyRefused: the project refused the key.
            DatabaseUnavailable: the API did not answer; the request may or may not have been carried out.
            DatabaseError: the request was refused, and nothing was changed.
        """
        _answer.set(None)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await query(self._api()).execute()
            return None if _status.get() == NO_CONTENT else answer.data, answer.count
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DatabaseUnavailable(
                f"the REST API did not answer in {self._timeout:g} s",
                kind="absent" if isinstance(error, httpx.ConnectTimeout) else "slow",
            ) from error
        except (httpx.HTTPError, OSError, UnicodeDecodeError) as error:
            raise DatabaseUnavailable(f"the REST API did not answer ({reason_of(error)})") from error
        except (ValueError, TypeError, RecursionError) as error:
            if (answer := _answer.get()) is not None:
                return decode(answer.text), None
            # Nothing was sent.
            raise DatabaseError(f"a value can't be written as JSON ({error})") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _api(self) -> AsyncClient:
        key = self._service_key.current() if self._service_key else self._key
        if key != self._key:
            self._key = key
            self._client = _client(self._url, key, self._token, self._http)
        return self._client


def _client(url: str, key: str, token: str | None, http: httpx.AsyncClient) -> AsyncClient:
    # Imported here because the import takes 0.1 s, which a service with a Postgres connection saves.
    from supabase import AsyncClient, AsyncClientOptions

    options = AsyncClientOptions(
        httpx_client=http, auto_refresh_token=False, persist_session=False, postgrest_client_retry=False
    )
    if token is not None:
        options.headers = {"Authorization": f"Bearer {token}"}
    return AsyncClient(url, key, options)


async def _check(response: httpx.Response) -> None:
    """Raise unless the response is PostgREST's and successful."""
    _status.set(response.status_code)
    if response.is_success:
        if response.status_code == NO_CONTENT or _is_json(response):
            _answer.set(response)
            return
        raise DatabaseUnavailable(
            "SUPABASE_URL is not the address of a Supabase project: its REST API responds with something else than JSON"
            "; check the address"
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
        return KeyRefused(f"the REST API refused the key or token ({status} {message})")
    if status == 406 and code == "PGRST106":
        hint = "Expose the schema in the API settings of the project."
    if code.startswith("PGRST") and status < 500:
        # PGRST1 says that the request is malformed; the others that what it names is not there, or ambiguous.
        is_malformed = code.startswith("PGRST1") and code != "PGRST106"
        return DatabaseError(message, hint=hint, kind="refused" if is_malformed else "misconfigured")
    if status == 413:
        return DatabaseError("the REST API refused the request because it is too large", kind="slow")
    return DatabaseUnavailable(f"the REST API could not answer now ({status} {message})")


def _is_json(response: httpx.Response) -> bool:
    return "json" in response.headers.get("content-type", "")


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
