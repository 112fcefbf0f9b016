"""The shape of an OpenCut timeline as its export button sends it: what is required, allowed, default.

Unknown keys are ignored; numbers are not forgiven: one that is missing, not finite or out of bounds is an
error with a sentence that names its element.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar

from PIL import ImageColor
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from handlers.export.model import Colour, FilmError

Seconds = Annotated[float, Field(strict=True, ge=0, le=24 * 3600, allow_inf_nan=False)]
Length = Annotated[float, Field(strict=True, ge=-100_000, le=100_000, allow_inf_nan=False)]
Side = Annotated[float, Field(strict=True, gt=0, le=32_000)]


class Model(BaseModel):
    """Tolerant of unknown keys and of null where something may be absent."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, coerce_numbers_to_str=True)

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_absent(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        return field.get_default() if value is None and not field.is_required() else value


class Canvas(Model):
    width: Side
    height: Side


class Project(Model):
    canvasSize: Canvas | None = None
    backgroundColor: str = "#000000"
    backgroundType: str = "color"


class Track(Model):
    name: str = ""
    type: str = "media"
    muted: bool = False
    isMain: bool = False
    elements: list[dict[str, Any]] = []


class Element(Model):
    """What media and text elements share; times are seconds."""

    duration: Seconds
    startTime: Seconds
    trimStart: Seconds = 0
    trimEnd: Seconds = 0

    @property
    def start(self) -> Fraction:
        return exact(self.startTime)

    @property
    def length(self) -> Fraction:
        """What is seen: `duration` is that of the untrimmed source, by the editor's rule."""
        return exact(self.duration) - exact(self.trimStart) - exact(self.trimEnd)


class MediaElement(Element):
    mediaId: str
    muted: bool = False


class TextElement(Element):
    """`x` and `y` lead from the centre of the canvas to the centre of the box, in pixels of the canvas."""

    content: Annotated[str, Field(max_length=20_000)] = ""
    fontSize: Annotated[float, Field(strict=True, gt=0, le=4_000)] = 48
    fontFamily: str = "Arial"
    color: str = "#ffffff"
    backgroundColor: str = "transparent"
    textAlign: str = "center"
    fontWeight: str = "normal"
    fontStyle: str = "normal"
    textDecoration: str = "none"
    x: Length = 0
    y: Length = 0
    rotation: Length = 0
    opacity: Annotated[float, Field(strict=True, ge=0, le=1)] = 1


class MediaItem(Model):
    """A media file that elements refer to; `url` is an https or data URL, or a key in the storage."""

    name: str = ""
    type: Literal["image", "video", "audio"]
    url: str


Checked = TypeVar("Checked", bound=Model)


def check(model: type[Checked], raw: object, where: str) -> Checked:
    """Reads one part of a timeline.

    Raises:
        FilmError: the sentence says which field of `where` is wrong.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        culprit = f"'{field}' of {where}" if field else where
        raise FilmError(f"The timeline can't be read: {culprit} is wrong ({first['msg'].lower()}).") from None


def exact(seconds: float) -> Fraction:
    """The number that was written, not its nearest binary neighbour."""
    return Fraction(repr(seconds))


def colour(css: str) -> Colour:
    """A CSS colour: a name, #hex, rgb(), rgba(), hsl() or transparent.

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
