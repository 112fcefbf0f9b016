"""Calls to a provider that speaks OpenAI's protocol: what its refusals mean for a job.

Protocol: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from listener import Fail, Retry
from listener.kit.http_status import is_transient, retry_after
from listener.kit.text import reason_of

OPENAI = "https://api.openai.com/v1"


class Refusal(Fail):
    """The provider will never take this request.

    Attributes:
        status: of its answer.
        reason: what it said.
    """

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class OpenAIClient:
    """One provider.

    Args:
        name: what its errors call it, as the beginning of a sentence.
        url: of its API, ending in the version; None is OpenAI's.
        key: sent as a bearer token, where there is one.
        timeout: seconds without a byte after which it counts as dead.
        variables: the names of the settings for URL and key, for its errors.
    """

    def __init__(
        self, name: str, url: str | None, key: SecretStr | None, timeout: float, variables: tuple[str, str]
    ) -> None:
        self.name = name
        self._url = url or OPENAI
        self._key = key
        self._timeout = httpx.Timeout(timeout, connect=10.0)
        self._variables = variables

    @asynccontextmanager
    async def post(self, path: str, **request: Any) -> AsyncIterator[httpx.Response]:
        """Send a request; the answer's body is read by the caller.

        Args:
            path: below the URL.
            request: as for httpx: `json`, or `data` and `files`.

        Raises:
            Retry: it did not answer, broke off, or is busy, with the pause that it asks for.
            Refusal: it won't ever do this.
        """
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else {}
        with self._broken_off():
            async with (
                httpx.AsyncClient(trust_env=False, timeout=self._timeout, headers=headers) as client,
                client.stream("POST", f"{self._url}{path}", **request) as answer,
            ):
                if answer.status_code != httpx.codes.OK:
                    raise self._refused(answer, _reason(await answer.aread()))
                yield answer

    def malformed(self) -> Retry:
        """The error for an answer that makes no sense."""
        return Retry(f"{self.name} sent an answer that makes no sense.")

    @contextmanager
    def _broken_off(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise Retry(f"{self.name} did not answer in time.") from error
        except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as error:
            raise Retry(f"{self.name} could not be reached, or broke off: {reason_of(error)}.") from error

    def _refused(self, answer: httpx.Response, reason: str) -> Exception:
        status = answer.status_code
        said = f": {reason}" if reason else ""
        if is_transient(status):
            what = "is busy" if status == httpx.codes.TOO_MANY_REQUESTS else "could not do it now"
            return Retry(f"{self.name} {what} ({status}){said}", delay=retry_after(answer.headers))
        url, key = self._variables
        what = {
            401: f"does not know the key ({key})",
            403: f"does not allow it to this key ({key})",
            404: f"has no such model or address ({url})",
            413: "takes no request of that size",
        }.get(status, "refused the request")
        return Refusal(f"{self.name} {what}, status {status}{said}", status, reason)


def _reason(body: bytes) -> str:
    """What a provider says of a refusal, shortened."""
    try:
        found = json.loads(body)
        error = found.get("error", found) if isinstance(found, dict) else found
        text = error.get("message") or error.get("detail") or "" if isinstance(error, dict) else error
    except ValueError:
        text = ""
    return " ".join(str(text).split())[:300]
