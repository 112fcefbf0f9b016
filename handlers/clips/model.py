"""What is asked of a provider, what it answers, and what a provider is."""

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

USUAL = 5.0  # seconds of a clip that nobody wants shorter or longer


class ClipError(ListenerError):
    """This clip can't be made; the text says why, for the person who asked for it."""


class ProviderUnavailable(ListenerError):
    """The provider could not do it now; trying again may help, and what was ordered stays ordered."""


class OverQuota(ListenerError):
    """The provider takes nothing more for now, and nothing was ordered.

    Attributes:
        delay: seconds after which it may take more, where it said so.
    """

    def __init__(self, message: str, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class NotSent(ListenerError):
    """The request certainly did not reach the provider, or was turned away; trying again may help."""


class Ambiguous(ListenerError):
    """Nobody can tell whether the request was taken."""


@dataclass(frozen=True, slots=True)
class Request:
    """A clip that somebody wants.

    Attributes:
        prompt: what is to be seen.
        duration: seconds.
        aspect_ratio: width to height, such as `16:9`.
        image_url: https address of a picture to begin with.
        provider: who makes it; None takes the configured one.

    Raises:
        ClipError: something of it makes no sense; the text names the limit.
    """

    prompt: str
    duration: float = USUAL
    aspect_ratio: str = "16:9"
    image_url: str | None = None
    provider: str | None = None

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ClipError("The prompt is empty; say what is to be seen.")
        if not self.duration > 0:
            raise ClipError(f"A clip of {self.duration:g} s can't be made; it must last more than 0 s.")
        if not re.fullmatch(r"[1-9]\d?:[1-9]\d?", self.aspect_ratio) or not 0.25 <= self.ratio <= 4:
            raise ClipError(
                f"{self.aspect_ratio[:20]!r} is no aspect ratio; write width:height, such as 16:9, from 1:4 to 4:1."
            )
        if self.image_url is not None and not self.image_url.startswith("https://"):
            raise ClipError("The picture to begin with must have an https address.")

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """The request that a row, or the metadata of one, holds under the names of the attributes.

        Raises:
            ClipError: something of it makes no sense.
        """
        given = {name: said[name] for name in cls.__slots__ if said.get(name) is not None}
        texts = {name: value for name, value in given.items() if name != "duration"}
        if wrong := next((name for name, value in texts.items() if not isinstance(value, str)), None):
            raise ClipError(f"{wrong} must be a text.")
        if "prompt" not in given:
            raise ClipError("There is no prompt; say what is to be seen.")
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
        """The same for the same request to the same provider."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Ref:
    """By what a provider knows a request; it survives in a checkpoint.

    Attributes:
        request_id: the provider's name for it.
        urls: where its status and its result are, and where it is cancelled.
    """

    request_id: str
    urls: dict[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """How far a request is.

    Attributes:
        word: `failed` ends it well-behaved: the provider says that another request may succeed.
        message: a few words for the person who waits.
        output: where the clip is, once it is there.
    """

    word: Literal["waiting", "running", "done", "failed"]
    message: str = ""
    output: str = ""


class Provider(Protocol):
    """Who makes clips. Whatever it answers is checked, and a request is sent once, without any retry."""

    @property
    def name(self) -> str: ...

    async def submit(self, request: Request) -> Ref:
        """Order a clip, by one single request.

        Raises:
            ClipError: the provider refuses it for good, as moderation does.
            OverQuota: it takes nothing more for now.
            NotSent: the request did not reach it.
            Ambiguous: it may have; nobody can tell.
        """
        ...

    async def poll(self, ref: Ref) -> State:
        """Ask how far it is.

        Raises:
            ClipError: it was refused after all.
            ProviderUnavailable: there was no usable answer; ask again.
        """
        ...

    async def cancel(self, ref: Ref) -> None:
        """Tell the provider that nobody wants it any more; that it came too late, or not at all, is no error."""
        ...

    async def collect(self, request: Request, state: State, target: Path, progress: OnProgress) -> None:
        """Bring a finished clip to `target`.

        Raises:
            ClipError: it can't be had any more.
            ProviderUnavailable: it can't be had now.
            FfmpegError: it could not be drawn here.
        """
        ...


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that was made, looked into, and lies on the local disk.

    Attributes:
        thumbnail: a JPEG of a moment within it.
        provider: who made it.
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
