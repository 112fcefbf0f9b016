"""Requests for clips, the states of orders, and the interface of providers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from handlers.shared.progress import OnProgress
from listener import ListenerError
from listener.kit.media import Media

USUAL = 5.0  # seconds of a clip if the request names none


class ClipError(ListenerError):
    """The clip can't be made; the text says why, for the user."""


class ProviderUnavailable(ListenerError):
    """The provider did not respond or is busy; the order stands, and another poll may succeed."""


class OverQuota(ListenerError):
    """The provider accepts no more requests for now, and nothing was ordered.

    Attributes:
        delay: seconds after which it may accept more, or None if it did not say.
    """

    def __init__(self, message: str, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class NotSent(ListenerError):
    """The request did not reach the provider or was rejected; another try may succeed."""


class Ambiguous(ListenerError):
    """It is unknown whether the provider received the request."""


@dataclass(frozen=True, slots=True)
class Request:
    """The description of a clip.

    Attributes:
        prompt: the content.
        duration: seconds.
        aspect_ratio: width to height, such as `16:9`.
        image_url: https address of a picture to begin with.
        provider: name of the provider; None takes the configured one.

    Raises:
        ClipError: a field is malformed.
    """

    prompt: str
    duration: float = USUAL
    aspect_ratio: str = "16:9"
    image_url: str | None = None
    provider: str | None = None

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ClipError("The prompt is empty; describe the clip.")
        if not self.duration > 0:
            raise ClipError(f"A clip of {self.duration:g} s can't be made; it must last more than 0 s.")
        if not re.fullmatch(r"[1-9]\d?:[1-9]\d?", self.aspect_ratio) or not 0.25 <= self.ratio <= 4:
            raise ClipError(
                f"{self.aspect_ratio[:20]!r} is not an aspect ratio; write width:height, such as 16:9, from 1:4 to 4:1."
            )
        if self.image_url is not None and not self.image_url.startswith("https://"):
            raise ClipError("The picture to begin with must have an https address.")

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Return the request in a row or in a row's metadata, by the names of the attributes.

        Raises:
            ClipError: a field is malformed.
        """
        given = {name: said[name] for name in cls.__slots__ if said.get(name) is not None}
        texts = {name: value for name, value in given.items() if name != "duration"}
        if wrong := next((name for name, value in texts.items() if not isinstance(value, str)), None):
            raise ClipError(f"{wrong} must be a text.")
        if "prompt" not in given:
            raise ClipError("There is no prompt; describe the clip.")
        try:
            duration = float(given.get("duration", USUAL))
        except (TypeError, ValueError):
            raise ClipError("The duration must be a number of seconds.") from None
        return cls(duration=duration, **texts)

    def check(self, *, max_prompt: int, max_seconds: float) -> None:
        """Refuse a request that exceeds a limit.

        Args:
            max_prompt: characters of a prompt.
            max_seconds: duration of a clip.

        Raises:
            ClipError: the text names the limit and its setting.
        """
        if len(self.prompt) > max_prompt:
            raise ClipError(
                f"The prompt has {len(self.prompt):,} characters; the limit is {max_prompt:,} (CLIPS_MAX_PROMPT)."
            )
        if self.duration > max_seconds:
            raise ClipError(
                f"A clip of {self.duration:g} s can't be made; the limit is {max_seconds:g} s (CLIPS_MAX_SECONDS)."
            )

    @property
    def ratio(self) -> Fraction:
        width, height = self.aspect_ratio.split(":")
        return Fraction(int(width), int(height))

    def fingerprint(self) -> str:
        """Return a digest that is equal for equal requests."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Ref:
    """The provider's reference of an order; it is kept in a checkpoint.

    Attributes:
        request_id: the provider's id of it.
        urls: addresses of its status, of its result, and to cancel it.
    """

    request_id: str
    urls: dict[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """The state of an order.

    Attributes:
        word: after `failed` another request may succeed.
        message: a few words for the user.
        output: address of the finished clip.
    """

    word: Literal["waiting", "running", "done", "failed"]
    message: str = ""
    output: str = ""


class Provider(Protocol):
    """A service that makes clips. Its responses are checked, and a request is sent once, without a retry."""

    @property
    def name(self) -> str: ...

    async def submit(self, request: Request) -> Ref:
        """Order a clip by a single request.

        Raises:
            ClipError: the provider rejects it for good, as moderation does.
            OverQuota: it accepts no more for now.
            NotSent: the request did not reach it.
            Ambiguous: it is unknown whether it did.
        """
        ...

    async def poll(self, ref: Ref) -> State:
        """Return the state of an order.

        Raises:
            ClipError: the order was rejected.
            ProviderUnavailable: there was no usable response; poll again.
        """
        ...

    async def cancel(self, ref: Ref) -> None:
        """Cancel an order. It is no error if that is too late or fails."""
        ...

    async def collect(self, request: Request, state: State, target: Path, progress: OnProgress) -> None:
        """Write a finished clip to `target`.

        Raises:
            ClipError: the clip is no longer available.
            ProviderUnavailable: it is not available now.
            FfmpegError: it could not be drawn on this machine.
        """
        ...


@dataclass(frozen=True, slots=True)
class Clip:
    """A finished clip on the local disk.

    Attributes:
        thumbnail: a JPEG of a moment within it.
        provider: name of the provider.
    """

    path: Path
    thumbnail: Path
    media: Media
    provider: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        video = self.media.video
        return (video.width, video.height) if video else (0, 0)

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.media.duration or 0)
