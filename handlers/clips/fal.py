"""Clips by fal, through its queue: https://docs.fal.ai/model-apis/model-endpoints/queue

fal's client sends a request again when the response is lost, and so may order twice; here each is sent once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from handlers.clips.model import (
    Ambiguous,
    ClipError,
    NotSent,
    OverQuota,
    ProviderUnavailable,
    Ref,
    Request,
    State,
)
from handlers.clips.settings import ClipsSettings
from handlers.shared.progress import OnProgress
from listener.kit.errors import KitError
from listener.kit.fetch import fetch
from listener.kit.http_status import is_transient, retry_after
from listener.kit.response_body import UNCOMPRESSED, bound
from listener.kit.text import bounded

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
MAX_RESPONSE = 1024 * 1024  # bytes
LINKS = ("status_url", "response_url", "cancel_url")


class Fal:
    """The provider fal; its methods follow `Provider`."""

    name = "fal"

    def __init__(self, settings: ClipsSettings) -> None:
        if settings.fal_key is None:
            raise ClipError("The provider fal needs a key; set FAL_KEY, or choose the provider synthetic.")
        self._settings = settings
        self._headers = {"Authorization": f"Key {settings.fal_key.get_secret_value()}", **UNCOMPRESSED}

    async def submit(self, request: Request) -> Ref:
        """Order a clip by one request; raises as `Provider.submit`."""
        chosen = self._settings
        model = chosen.fal_model if request.image_url is None else chosen.fal_image_model
        content = {
            "prompt": request.prompt,
            # Models take 5, and not 5.0.
            "duration": int(request.duration) if request.duration % 1 == 0 else request.duration,
            "aspect_ratio": request.aspect_ratio,
            **({} if request.image_url is None else {"image_url": request.image_url}),
            **chosen.fal_input,
        }
        try:
            status, answer = await self._ask("POST", f"{chosen.fal_url}/{model}", content)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotSent(f"fal can't be reached ({type(error).__name__}).") from error
        except (httpx.HTTPError, _Malformed) as error:
            raise Ambiguous(f"fal sent no usable response ({error or type(error).__name__})") from error
        self._refuse(status, answer)
        if status >= 300:
            raise Ambiguous(f"fal responded with status {status}")
        urls = {name: answer[name] for name in LINKS if self._is_ours(answer.get(name))}
        if not isinstance(answer.get("request_id"), str) or not {"status_url", "response_url"} <= urls.keys():
            raise Ambiguous("fal's response has no request_id or no URLs")
        return Ref(answer["request_id"], urls)

    async def poll(self, ref: Ref) -> State:
        """Return the state of an order; raises as `Provider.poll`."""
        answer = await self._read(ref.urls["status_url"])
        match answer.get("status"):
            case "IN_QUEUE":
                ahead = answer.get("queue_position")
                return State("waiting", f"in the queue, {ahead} before it" if ahead else "in the queue")
            case "IN_PROGRESS":
                return State("running", "being made")
            case "COMPLETED" if answer.get("error"):
                return _failed(answer)
            case "COMPLETED":
                return await self._result(ref)
            case _:
                raise ProviderUnavailable("fal's response has no known status.")

    async def cancel(self, ref: Ref) -> None:
        """Cancel an order; errors are ignored."""
        if url := ref.urls.get("cancel_url"):
            try:
                await self._ask("PUT", url)
            except (httpx.HTTPError, _Malformed):
                return

    async def collect(self, request: Request, state: State, target: Path, progress: OnProgress) -> None:
        """Download a finished clip; raises as `Provider.collect`."""
        progress(10, "downloading the clip")
        try:
            await fetch(state.output, target, max_bytes=self._settings.max_mb * 1024**2)
        except KitError as error:
            if error.permanent:
                raise ClipError(f"The clip was made, but can't be downloaded: {error}") from error
            raise ProviderUnavailable(str(error)) from error

    async def _result(self, ref: Ref) -> State:
        answer = await self._read(ref.urls["response_url"])
        video = answer.get("video")
        address = video.get("url") if isinstance(video, dict) else None
        if not isinstance(address, str):
            raise ClipError("fal reports the clip as completed, but sends no URL of it.")
        return State("done", output=address)

    async def _read(self, url: str) -> dict[str, Any]:
        """Send a GET request, which may be repeated."""
        if not self._is_ours(url):
            raise ClipError("The saved URL of this request does not belong to fal (CLIPS_FAL_URL).")
        try:
            status, answer = await self._ask("GET", url)
        except (httpx.HTTPError, _Malformed) as error:
            raise ProviderUnavailable(
                f"fal sent no usable response ({error or type(error).__name__})."
            ) from error
        if is_transient(status):
            raise ProviderUnavailable(f"fal responded with status {status}.")
        self._refuse(status, answer)
        return answer

    async def _ask(
        self, method: str, url: str, content: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        async with (
            httpx.AsyncClient(trust_env=False, timeout=TIMEOUT, headers=self._headers) as client,
            client.stream(method, url, json=content) as response,
        ):
            await bound(response, MAX_RESPONSE).aread()
            try:
                answer = response.json()
            except (ValueError, RecursionError):
                if response.is_success:
                    raise _Malformed("it is no JSON") from None
                answer = {}
            if not isinstance(answer, dict):
                raise _Malformed("it is no JSON object")
            answer["retry_after"] = retry_after(response.headers)
            return response.status_code, answer

    def _refuse(self, status: int, answer: dict[str, Any]) -> None:
        """Raise the error of a status 4xx."""
        said = _said(answer)
        if status == 429 or (status in {402, 403} and "balance" in said.lower()):
            raise OverQuota(
                f"fal accepts no more requests for now ({said or status}).", answer.get("retry_after")
            )
        if status in {401, 403}:
            raise ClipError(f"fal rejects the key; correct FAL_KEY ({said or status}).")
        if status < 500 and is_transient(status):
            raise NotSent(f"fal responded with status {status}.")
        if 400 <= status < 500:
            raise ClipError(f"fal rejects the request: {said or f'status {status}'}.")

    def _is_ours(self, url: object) -> bool:
        """Return whether a URL belongs to fal, because the key is sent there."""
        ours, theirs = urlsplit(self._settings.fal_url), urlsplit(url) if isinstance(url, str) else None
        return theirs is not None and (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)


class _Malformed(Exception):
    """The response is not one of fal's protocol."""


def _failed(answer: dict[str, Any]) -> State:
    said = _said(answer)
    kind = str(answer.get("error_type") or "")
    if "content_policy" in kind or "content_policy" in said or kind in {"value_error", "validation_error"}:
        raise ClipError(f"fal rejects the request: {said}.")
    return State("failed", f"fal could not make the clip: {said}.")


def _said(answer: dict[str, Any]) -> str:
    """Return the message of an error response, in any of its forms."""
    detail = answer.get("detail", answer.get("error", ""))
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        detail = detail[0].get("msg", "")
    return bounded(detail, 300).strip().rstrip(".") if isinstance(detail, str) else ""
