"""Settings of the clips room: the provider and the limits of a request, read once from the environment."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import SecretStr

from listener.kit.settings import Environment, Url, setting

_WHOLE = "a whole number from 1 up"


class ClipsSettings(Environment):
    """The settings of the clips room."""

    # fmt: off
    provider: Literal["synthetic", "fal"] = setting(
        "synthetic", "The provider of rows that name none; synthetic draws clips on this machine, free of charge.",
        "synthetic or fal", "CLIPS_PROVIDER")
    fal_key: SecretStr | None = setting(
        None, "The key for fal.",
        "a key as fal's dashboard shows it", "FAL_KEY")
    fal_model: str = setting(
        "fal-ai/pika/v2.2/text-to-video", "The model at fal that makes clips of a prompt alone.",
        "a model id, such as fal-ai/pika/v2.2/text-to-video", "CLIPS_FAL_MODEL", pattern=r"^[\w.-]+(/[\w.-]+)+$")
    fal_image_model: str = setting(
        "fal-ai/pika/v2.2/image-to-video", "The model at fal that makes clips of a prompt and a picture.",
        "a model id, such as fal-ai/pika/v2.2/image-to-video", "CLIPS_FAL_IMAGE_MODEL", pattern=r"^[\w.-]+(/[\w.-]+)+$")
    fal_input: dict[str, Any] = setting(
        {}, "Further input of the model, sent with every request.",
        'a JSON object, such as {"resolution": "720p"}', "CLIPS_FAL_INPUT")
    fal_url: Url = setting(
        "https://queue.fal.run", "The address of fal's queue.",
        "an address such as https://queue.fal.run", "CLIPS_FAL_URL")
    on_ambiguous: Literal["fail", "retry"] = setting(
        "fail", "What to do with a job if it is unknown whether its request reached the provider; retry may pay twice.",
        "fail or retry", "CLIPS_ON_AMBIGUOUS")
    max_prompt: int = setting(
        2500, "Largest number of characters of a prompt.",
        _WHOLE, "CLIPS_MAX_PROMPT", ge=1)
    max_seconds: float = setting(
        60.0, "Longest duration of a clip in seconds.",
        "seconds above 0", "CLIPS_MAX_SECONDS", gt=0)
    max_mb: int = setting(
        500, "Largest size of a clip, in megabytes of 1024 × 1024 bytes.",
        _WHOLE, "CLIPS_MAX_MB", ge=1)
    patience: float = setting(
        3600.0, "Seconds to wait for a provider, including its queue and its quota.",
        "seconds above 0", "CLIPS_PATIENCE", gt=0)
    # fmt: on


@cache
def settings() -> ClipsSettings:
    """Return the settings of this process.

    Raises:
        ConfigError: a setting is malformed.
    """
    return ClipsSettings.load()
