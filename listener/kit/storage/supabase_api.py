"""Supabase Storage's HTTP interface: the project's address and key, what its answers mean, and when to ask again.

The status of an answer says little: a missing object and a refusal by a policy both come as 400, and the real status
is `statusCode` in the JSON body. Resumable uploads answer with the real status and a plain text.
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
    """The storage is away, or has too much to do: the same request may succeed a little later.

    Attributes:
        rest: seconds that it asked us to wait, or 0.
    """

    def __init__(self, message: str, rest: float = 0.0) -> None:
        super().__init__(message)
        self.rest = rest


class PayloadTooLarge(Refused):
    """The file is larger than the bucket or the project accepts."""


class Patience:
    """Decides how long to go on while the storage is busy.

    Args:
        seconds: how long nothing may be achieved before it is given up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._renew(0)

    async def rest(self, busy: Busy, achieved: int = 0) -> None:
        """Wait before the next try.

        Args:
            busy: what the last try met.
            achieved: how far it got, in any unit; only a larger number than ever before counts.

        Raises:
            Busy: that of the last try, when it has gone on for too long.
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
    """The way to one project's storage.

    Args:
        url: the project's, such as `https://abc.supabase.co`.
        key: its secret or service_role key; sent in headers, and shown nowhere.
        timeout: seconds in which the next part of a request or an answer must have moved.
        patience: seconds for which a storage that is busy or away is asked again.

    Raises:
        ConfigError: the key can't be one.
    """

    def __init__(self, url: str, key: str, *, timeout: float, patience: float) -> None:
        self.base: str = f"{url.rstrip('/')}/storage/v1"
        self.timeout = timeout
        self._key = ServiceKey(url, key)
        self._patience = patience
        self._tls = httpx.create_ssl_context()  # takes a while, so not for each session

    def session(self) -> httpx.AsyncClient:
        """Connections for one task; handlers and routes run in different event loops, which can't share any."""
        return httpx.AsyncClient(auth=self._key.authorize, timeout=self.timeout, verify=self._tls)

    def patience(self) -> Patience:
        """Return the patience of one call, which counts its tries."""
        return Patience(self._patience)

    async def call(self, http: httpx.AsyncClient, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request that may be sent twice, until it is answered.

        Raises:
            ObjectNotFound, BadKey, Refused: the storage's answer.
            StorageError: anything else.
        """
        patience = self.patience()
        while True:
            try:
                return await self.once(http, method, path, **request)
            except Busy as busy:
                await patience.rest(busy)

    async def once(self, http: httpx.AsyncClient, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request, once. Errors are those of `call`, and `Busy`."""
        with reaching():
            answer = await http.request(method, self.base + path, **request)
        if answer.is_error:
            raise refusal(answer)
        return answer


@contextmanager
def reaching() -> Iterator[None]:
    """Turn the ways in which a connection fails into `Busy`."""
    try:
        yield
    except httpx.TransportError as error:
        raise Busy(f"The storage could not be reached ({type(error).__name__}).") from error


def place(bucket: str, key: str) -> str:
    """An object as a part of a path."""
    return f"{quote(bucket)}/{quote(key)}"


def refusal(answer: httpx.Response) -> StorageError:
    """The error that an answer, whose body has been read, stands for."""
    status, code, message = _read(answer)
    said = f"Supabase Storage says: {message}" if message else f"Supabase Storage answered {status}."
    if is_transient(status):  # 409 and 423 occur where two uploads meet
        return Busy(said, retry_after(answer.headers, longest=MAX_REST_SECONDS) or 0.0)
    if (
        status == httpx.codes.UNAUTHORIZED
        or code == "InvalidJWT"
        or re.search(r"\b(jws|jwt)\b", message, re.I)
    ):
        return StorageError(f"Supabase Storage does not know the key; check SUPABASE_SERVICE_KEY. {said}")
    kinds: dict[int, type[StorageError]] = {
        403: Refused, 404: ObjectNotFound, 410: ObjectNotFound, 413: PayloadTooLarge, 415: Refused
    }  # fmt: skip
    kind = BadKey if code == "InvalidKey" else kinds.get(status, StorageError)
    return kind(said)


def _read(answer: httpx.Response) -> tuple[int, str, str]:
    """Real status, code and message."""
    try:
        body = answer.json()
        message = str(body.get("message") or body.get("error") or "")
        return int(body.get("statusCode") or answer.status_code), str(body.get("code") or ""), _short(message)
    except (ValueError, AttributeError):
        return answer.status_code, "", _short(answer.text)


def _short(text: str) -> str:
    line = " ".join(text.split())[:200]
    return "" if line.startswith("<") else line.rstrip(".") + "." if line else ""
