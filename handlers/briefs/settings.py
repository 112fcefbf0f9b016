"""Limits of the steps of briefs, read once from the environment."""

from __future__ import annotations

from functools import cache
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from listener.kit.settings import Environment, setting

_WHOLE = "a whole number from 1 up"
_LIMITS = "jobs at once, seconds, attempts, such as 2,600,3"


class Limits(NamedTuple):
    """The limits of one type of job.

    Attributes:
        at_once: jobs that run at once in one process.
        timeout: seconds of an attempt.
        attempts: the largest number of attempts; a row's `max_attempts` and the queue's may be smaller.
    """

    at_once: int
    timeout: float
    attempts: int

    def __str__(self) -> str:
        return f"{self.at_once},{self.timeout:g},{self.attempts}"


def _limits(value: object) -> object:
    if not isinstance(value, str):
        return value
    at_once, timeout, attempts = value.split(",")
    limits = Limits(int(at_once), float(timeout), int(attempts))
    if min(limits) <= 0:
        raise ValueError
    return limits


Type = Annotated[Limits, NoDecode, BeforeValidator(_limits)]


class BriefSettings(Environment):
    """The settings of the briefs room. A megabyte is 1024 × 1024 bytes."""

    # fmt: off
    analysis: Type = setting(
        Limits(2, 900, 3), "Limits of analysis.", _LIMITS, "BRIEFS_ANALYSIS")
    asset_prep: Type = setting(
        Limits(1, 3600, 3), "Limits of asset_prep.", _LIMITS, "BRIEFS_ASSET_PREP")
    storyboard: Type = setting(
        Limits(1, 900, 3), "Limits of storyboard.", _LIMITS, "BRIEFS_STORYBOARD")
    video_generation: Type = setting(
        Limits(2, 1800, 3), "Limits of video_generation; waiting for a provider takes neither slot nor time.",
        _LIMITS, "BRIEFS_VIDEO_GENERATION")
    image_processing: Type = setting(
        Limits(2, 600, 3), "Limits of image_processing.", _LIMITS, "BRIEFS_IMAGE_PROCESSING")
    text_analysis: Type = setting(
        Limits(2, 120, 3), "Limits of text_analysis.", _LIMITS, "BRIEFS_TEXT_ANALYSIS")
    render: Type = setting(
        Limits(1, 3600, 3), "Limits of render.", _LIMITS, "BRIEFS_RENDER")
    max_assets: int = setting(
        50, "Files that a brief may bring.", _WHOLE, "BRIEFS_MAX_ASSETS", ge=1)
    max_file_mb: int = setting(
        2048, "Size of one of them.", "megabytes, a whole number from 1 up", "BRIEFS_MAX_FILE_MB", ge=1)
    max_hours: float = setting(
        4.0, "Hours that one of them may last.", "hours above 0, such as 1.5", "BRIEFS_MAX_HOURS", gt=0)
    max_clips: int = setting(
        10, "Clips that are generated for a brief.", _WHOLE, "BRIEFS_MAX_CLIPS", ge=1)
    keep_days: float = setting(
        30.0, "Days after which briefs and jobs that have ended are deleted.", "days above 0", "BRIEFS_KEEP_DAYS", gt=0)
    # fmt: on

    def of(self, type: str) -> Limits:  # noqa: A002 - the column's name
        """Return the limits of a type of job."""
        limits: Limits = getattr(self, type)
        return limits


@cache
def settings() -> BriefSettings:
    """Return the settings of this process.

    Raises:
        ConfigError: a setting is malformed.
    """
    return BriefSettings.load()
