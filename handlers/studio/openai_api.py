"""Call a provider with OpenAI's protocol, and turn its errors into outcomes.

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
from listener.kit.response_body import UNCOMPRESSED, bound
from listener.kit.text import reason_of

MAX_RESPONSE = 32 * 1024**2  # bytes
OPENAI = "https://api.openai.com/v1"


class Refusal(Fail):
    """The provider rejects this request for good.

    Attributes:
        status: of the HTTP response.
        reason: the provider's message.
    """

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class OpenAIClient:
    """A client of one provider.

    Args:
        name: the subject of error sentences.
        url: of its API, ending in the version; None is OpenAI's.
        key: sent as a bearer token, or None.
        timeout: seconds without a byte until a request fails.
        variables: names of the settings for URL and key, for error sentences.
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
        """Send a request; the caller reads the body of the response.

        Args:
            path: below the URL.
            request: as for httpx: `json`, or `data` and `files`.

        Raises:
            Retry: the provider did not respond or is busy; with the delay that it asks for.
            Refusal: the provider rejects the request for good.
        """
        headers = {**UNCOMPRESSED}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        with self._broken_off():
            async with (
                httpx.AsyncClient(trust_env=False, timeout=self._timeout, headers=headers) as client,
                client.stream("POST", f"{self._url}{path}", **request) as answer,
            ):
                bound(answer, MAX_RESPONSE)
                if answer.status_code != httpx.codes.OK:
                    raise self._refused(answer, _reason(await answer.aread()))
                yield answer

    def malformed(self) -> Retry:
        """Return the error for a malformed response."""
        return Retry(f"{self.name} sent a malformed response.")

    @contextmanager
    def _broken_off(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise Retry(f"{self.name} did not respond in time.") from error
        except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as error:
            raise Retry(
                f"{self.name} could not be reached, or closed the connection: {reason_of(error)}."
            ) from error

    def _refused(self, answer: httpx.Response, reason: str) -> Exception:
        status = answer.status_code
        said = f": {reason}" if reason else ""
        if is_transient(status):
            what = "is busy" if status == httpx.codes.TOO_MANY_REQUESTS else "failed for now"
            return Retry(f"{self.name} {what} ({status}){said}", delay=retry_after(answer.headers))
        url, key = self._variables
        what = {
            401: f"does not know the key ({key})",
            403: f"does not allow it to this key ({key})",
            404: f"has no such model or address ({url})",
            413: "does not accept a request of that size",
        }.get(status, "rejected the request")
        return Refusal(f"{self.name} {what}, status {status}{said}", status, reason)


def _reason(body: bytes) -> str:
    """Return the message of an error response, shortened."""
    try:
        found = json.loads(body)
        error = found.get("error", found) if isinstance(found, dict) else found
        text = error.get("message") or error.get("detail") or "" if isinstance(error, dict) else error
    except ValueError:
        text = ""
    return " ".join(str(text).split())[:300]
