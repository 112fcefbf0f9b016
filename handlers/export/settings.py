"""Limits of one export, read once from the environment. Each error names the variable of its limit."""

from __future__ import annotations

from functools import cache

from handlers.export.model import Film, FilmError
from listener.kit.settings import Environment, setting

_WHOLE = "a whole number from 1 up"
_MB = "megabytes, a whole number from 1 up"


class ExportSettings(Environment):
    """The limits of an export. A megabyte is 1024 × 1024 bytes, a gigapixel 10⁹ pixels."""

    # fmt: off
    max_hours: float = setting(
        4.0, "Hours that a film may last.",
        "hours above 0, such as 1.5", "EXPORT_MAX_HOURS", gt=0)
    max_gigapixels: float = setting(
        1000.0, "Width × height × frames of a film; four hours of 1080p at 30 frames a second are 896.",
        "gigapixels above 0, such as 1000", "EXPORT_MAX_GIGAPIXELS", gt=0)
    max_elements: int = setting(
        2000, "Elements that a timeline may have.",
        _WHOLE, "EXPORT_MAX_ELEMENTS", ge=1)
    max_glyphs: int = setting(
        300_000, "Characters and glyphs of all texts of a film; four hours of speech have about 200,000.",
        _WHOLE, "EXPORT_MAX_GLYPHS", ge=1)
    max_text_gigapixels: float = setting(
        8.0, "Pixels of all texts of a film, those of each glyph and of each picture of a text.",
        "gigapixels above 0, such as 8", "EXPORT_MAX_TEXT_GIGAPIXELS", gt=0)
    max_media: int = setting(
        250, "Media files that a film may be made of.",
        _WHOLE, "EXPORT_MAX_MEDIA", ge=1)
    max_timeline_mb: int = setting(
        64, "Size of a timeline without the media that are written into it.",
        _MB, "EXPORT_MAX_TIMELINE_MB", ge=1)
    max_inline_mb: int = setting(
        1024, "Size of all media that are written into a timeline as data: URLs, decoded.",
        _MB, "EXPORT_MAX_INLINE_MB", ge=1)
    max_file_mb: int = setting(
        4096, "Size of one media file.",
        _MB, "EXPORT_MAX_FILE_MB", ge=1)
    max_media_mb: int = setting(
        10240, "Size of all media files of a film.",
        _MB, "EXPORT_MAX_MEDIA_MB", ge=1)
    max_megapixels: float = setting(
        120.0, "Width × height of one picture; a frame of a video may have at most 40 megapixels.",
        "megapixels above 0, such as 120", "EXPORT_MAX_MEGAPIXELS", gt=0)
    max_output_mb: int = setting(
        8192, "Size of a finished film.",
        _MB, "EXPORT_MAX_OUTPUT_MB", ge=1)
    # fmt: on

    @property
    def max_pixels(self) -> int:
        """Pixels of one picture."""
        return round(self.max_megapixels * 1_000_000)

    @property
    def max_output(self) -> int:
        """Bytes of a finished film."""
        return self.max_output_mb * 1024**2


@cache
def limits() -> ExportSettings:
    """Return the settings of this process.

    Raises:
        ConfigError: one of them is malformed.
    """
    return ExportSettings.load()


def check_film(film: Film) -> None:
    """Refuse a film that is too long or too short, or too much work.

    Raises:
        FilmError: the sentence names the limit and its setting.
    """
    if film.frame(film.duration) == 0:
        raise FilmError("The film would be shorter than one frame.")
    hours, gigapixels = float(film.duration) / 3600, film.width * film.height * film.frames / 1e9
    if hours > limits().max_hours:
        raise over(f"The film would be {hours:.1f} hours long", f"{limits().max_hours:g} hours", "max_hours")
    if gigapixels > limits().max_gigapixels:
        problem = f"The film would have {gigapixels:,.0f} gigapixels in all its frames"
        raise over(problem, f"{limits().max_gigapixels:,g}", "max_gigapixels")


def over(problem: str, limit: str, field: str) -> FilmError:
    """Return the error of a limit that is exceeded.

    Args:
        problem: how much there is, as the beginning of a sentence.
        limit: how much there may be, with its unit.
        field: of `ExportSettings`.
    """
    return FilmError(f"{problem}; the limit is {limit} (EXPORT_{field.upper()}).")
