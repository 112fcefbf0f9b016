"""Supabase Storage's HTTP interface: the project's address and key, the meaning of its errors, and when to try again.

The HTTP status is often wrong: a missing object and a refusal by a policy are both sent as 400, and the real status is
`statusCode` in the JSON body. Resumable uploads respond with the real status and plain text.
https://supabase.com/docs/guides/storage/debugging/error-codes
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import anyio
import httpx

from listener.backoff import delays
from listener.kit.http_status import is_transient, retry_after
from listener.kit.storage.base import BadKey, ObjectNotFound, Refused, StorageError
from listener.service_key import ServiceKey

MAX_REST_SECONDS = 60.0  # the longest pause that a Retry-After may ask for


class Busy(StorageError):
    """The storage is unreachable or overloaded: the same request may succeed a little later.

    Attributes:
        rest: seconds that the storage asked to wait, or 0.
    """

    def __init__(self, message: str, rest: float = 0.0) -> None:
        super().__init__(message)
        self.rest = rest


class PayloadTooLarge(Refused):
    """The file is larger than the bucket or the project accepts."""


class Patience:
    """Decide how long to repeat a request while the storage is busy.

    Args:
        seconds: time without progress after which to give up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._renew(0)

    async def rest(self, busy: Busy, achieved: int = 0) -> None:
        """Wait before the next try.

        Args:
            busy: error of the last try.
            achieved: progress so far, in any unit; only a new maximum counts.

        Raises:
            Busy: the last error, if there was no progress for too long.
        """
        if achieved > self._achieved:
            self._renew(achieved)
        if anyio.current_time() >= self._end:
            raise busy
        await anyio.sleep(busy.rest or next(self._delays))

    def _renew(self, achieved: int) -> None:
        self._achieved = achieved
        self._end = anyio.current_time() + self._seconds
        self._delays = delays()


class Api:
    """HTTP access to the storage of one project.

    Args:
        url: the project's, such as `https://abc.supabase.co`.
        key: its secret or service_role key; sent in headers, never shown.
        timeout: seconds in which the next part of a request or a response must arrive.
        patience: seconds during which a request is repeated while the storage is busy or unreachable.

    Raises:
        ConfigError: the key is malformed.
    """

    def __init__(self, url: str, key: str, *, timeout: float, patience: float) -> None:
        self.base: str = f"{url.rstrip('/')}/storage/v1"
        self.timeout = timeout
        self._key = ServiceKey(url, key)
        self._patience = patience
        self._tls = httpx.create_ssl_context()  # slow to create, so shared by all sessions

    def session(self) -> httpx.AsyncClient:
        """Return connections for one task; handlers and routes run in different event loops, which can't share them."""
        return httpx.AsyncClient(auth=self._key.authorize, timeout=self.timeout, verify=self._tls)

    def patience(self) -> Patience:
        """Return the patience of one call, which counts its tries."""
        return Patience(self._patience)

    async def call(self, http: httpx.AsyncClient, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request that may be repeated, until the storage responds.

        Raises:
            ObjectNotFound, BadKey, Refused: the storage refuses it.
            StorageError: anything else.
        """
        patience = self.patience()
        while True:
            try:
                return await self.once(http, method, path, **request)
            except Busy as busy:
                await patience.rest(busy)

    async def once(self, http: httpx.AsyncClient, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request once. Raises the errors of `call`, and `Busy`."""
        with reaching():
            answer = await http.request(method, self.base + path, **request)
        if answer.is_error:
            raise refusal(answer)
        return answer


@contextmanager
def reaching() -> Iterator[None]:
    """Turn failures of the connection into `Busy`."""
    try:
        yield
    except httpx.TransportError as error:
        raise Busy(f"The storage could not be reached ({type(error).__name__}).") from error


def place(bucket: str, key: str) -> str:
    """Return an object as part of a URL's path."""
    return f"{quote(bucket)}/{quote(key)}"


def refusal(answer: httpx.Response) -> StorageError:
    """Return the error for a response whose body has been read."""
    status, code, message = _read(answer)
    said = (
        f"Supabase Storage reports: {message}"
        if message
        else f"Supabase Storage responded with status {status}."
    )
    if is_transient(status):  # 409 and 423 occur where two uploads meet
        return Busy(said, retry_after(answer.headers, longest=MAX_REST_SECONDS) or 0.0)
    if _is_about_the_key(status, code, message):
        return StorageError(f"Supabase Storage does not know the key; check SUPABASE_SERVICE_KEY. {said}")
    kinds: dict[int, type[StorageError]] = {
        403: Refused, 404: ObjectNotFound, 410: ObjectNotFound, 413: PayloadTooLarge, 415: Refused
    }  # fmt: skip
    kind = BadKey if code == "InvalidKey" else kinds.get(status, StorageError)
    return kind(said)


def _is_about_the_key(status: int, code: str, message: str) -> bool:
    """Whether the service's key was refused, rather than this object.

    A storage without a gateway in front of it reports a bad token as AccessDenied with the reason of its JWT library,
    such as `signature verification failed`. A refused object has the same code and the reason of the database.
    """
    if status == httpx.codes.UNAUTHORIZED or code == "InvalidJWT" or re.search(r"\bJW[STK]\b", message, re.I):
        return True
    return code == "AccessDenied" and not re.fullmatch(
        r".*(row-level security|permission denied|must be owner).*|Access denied\.", message, re.I
    )


def _read(answer: httpx.Response) -> tuple[int, str, str]:
    """Return the real status, the code and the message."""
    try:
        body = answer.json()
        message = str(body.get("message") or body.get("error") or "")
        return int(body.get("statusCode") or answer.status_code), str(body.get("code") or ""), _short(message)
    except (ValueError, AttributeError):
        return answer.status_code, "", _short(answer.text)


def _short(text: str) -> str:
    line = " ".join(text.split())[:200]
    return "" if line.startswith("<") else line.rstrip(".") + "." if line else ""
