"""Shapes that all formats share: checked numbers, errors that name their field, colours.

Unknown keys are ignored here, and `known` finds them. Numbers are not forgiven: one that is missing, not finite or out
of bounds is an error with a sentence that names its element.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar

from PIL import ImageColor
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from handlers.export.model import Colour, FilmError

MAX_SECONDS = 24 * 3600  # of a source; a film may be limited to far less

_BROADCAST = [Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)]
_LARGEST = 1e18  # far beyond any time in any unit

Clock = Callable[[float], Fraction]
"""Converts a number of a document into seconds."""


def exact(seconds: float) -> Fraction:
    """Return the number that was written, not its nearest binary neighbour."""
    return Fraction(repr(seconds))


def _time(value: object, info: ValidationInfo) -> Fraction:
    """Convert a time in the document's unit into seconds; the validation's context is its `Clock`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise ValueError("it must be a finite number")
    seconds = (info.context or exact)(min(_LARGEST, max(-_LARGEST, value)))
    if abs(seconds) > MAX_SECONDS:
        raise ValueError(f"it is beyond {MAX_SECONDS // 3600} hours")
    return seconds


def _not_negative(value: Fraction) -> Fraction:
    if value < 0:
        raise ValueError("it must not be negative")
    return value


def meant(rate: Fraction) -> Fraction:
    """Return the frame rate that a rounded one stands for: 29.97 is 30000/1001, 23.98 is 24000/1001."""
    return next((exactly for exactly in _BROADCAST if abs(rate - exactly) <= Fraction(1, 100)), rate)


def _rate(value: object) -> Fraction:
    """Read frames a second, written as `{numerator, denominator}` or as a decimal."""
    match value:
        case Fraction():
            return value
        case {"numerator": int(above), **rest} if isinstance(below := rest.get("denominator", 1), int):
            if 0 < above <= 1_000_000 and 0 < below <= 1_000_000:
                return meant(Fraction(above, below))
        case int() | float() if 0 < value <= 1_000:
            return meant(exact(value)).limit_denominator(1001)
    raise ValueError("it must be a number above 0, or {numerator, denominator}")


Rate = Annotated[Fraction, BeforeValidator(_rate)]
Moment = Annotated[Fraction, BeforeValidator(_time)]
Span = Annotated[Fraction, AfterValidator(_not_negative), BeforeValidator(_time)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Length = Annotated[float, Field(strict=True, ge=-100_000, le=100_000, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
CanvasSide = Annotated[float, Field(strict=True, gt=0, le=32_000)]
Size = Annotated[float, Field(strict=True, gt=0, le=4_000)]
Blurred = Annotated[float, Field(strict=True, ge=0, le=2_000)]
Words = Annotated[str, Field(max_length=20_000)]


class Model(BaseModel):
    """A shape that ignores unknown keys, and treats null as absent where a field has a default."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, coerce_numbers_to_str=True)

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_absent(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        return (
            field.get_default(call_default_factory=True)
            if value is None and not field.is_required()
            else value
        )


class CanvasSize(Model):
    width: CanvasSide
    height: CanvasSide


class MediaEntry(Model):
    """A media file that elements refer to.

    Attributes:
        url: as for `model.MediaItem`.
    """

    name: str = ""
    type: Literal["image", "video", "audio"] | None = None
    url: str


Checked = TypeVar("Checked", bound=Model)


def check(model: type[Checked], raw: object, where: str, clock: Clock = exact) -> Checked:
    """Read one part of a document.

    Args:
        clock: converts its times into seconds.

    Raises:
        FilmError: a field of `where` is wrong; the sentence names it.
    """
    try:
        return model.model_validate(raw, context=clock)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:80]
        culprit = f"'{field}' of {where}" if field else where
        reason = first["msg"].removeprefix("Value error, ").lower()
        raise FilmError(f"The timeline can't be read: {culprit} is wrong ({reason}).") from None


def members(raw: object) -> Mapping[str, Any]:
    """Return `raw` if it is an object, and else an empty one, for parts that older versions lack."""
    return raw if isinstance(raw, dict) else {}


def colour(css: str) -> Colour:
    """Read a CSS colour: a name, #hex, rgb(), rgba(), hsl() or transparent.

    Raises:
        ValueError: it is none of these.
    """
    text = re.sub(r"\s+", "", css.lower())
    if text == "transparent":
        return (0, 0, 0, 0)
    if match := re.fullmatch(r"rgba\((\d{1,3}),(\d{1,3}),(\d{1,3}),(\d?\.?\d{1,9})\)", text):
        red, green, blue = (min(255, int(part)) for part in match.groups()[:3])
        return red, green, blue, round(255 * min(1.0, float(match[4])))
    red, green, blue, *alpha = ImageColor.getrgb(text)
    return red, green, blue, alpha[0] if alpha else 255
