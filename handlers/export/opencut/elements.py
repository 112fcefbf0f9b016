"""Elements of the formats *scenes* and *ticks*, of all their versions.

The newest versions keep what an element looks like in one flat object, `params`; `flat` brings older ones to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from handlers.export.opencut.schema import Length, Model, Seconds, Span, Words, members

SAME = (  # names that only moved into `params`
    *("opacity", "blendMode", "volume", "muted", "content", "fontSize", "fontFamily", "color", "textAlign"),
    *("fontWeight", "fontStyle", "textDecoration", "letterSpacing", "lineHeight", "strokeWidth"),
    *("pan", "fadeInDuration", "fadeOutDuration"),
)
_OF_FORKS = {
    "fadeIn": "fades",
    "fadeOut": "fades",
    "animIn": "animation",
    "animOut": "animation",
    "ducking": "ducking",
    "equalizer": "equalizer",
}
UNDRAWN = {
    "effects": "effects",
    "masks": "masks",
    "mask": "masks",
    "matte": "cut-out",
    "key": "keying",
    "crop": "cropping",
    "splitScreen": "split screen",
    "reframePresets": "reframing",
    "wordTimings": "highlighting of words",
    "captionWordTimings": "highlighting of words",
    **_OF_FORKS,
}
UNDRAWN_PARAMS = {
    "background.perLine": "box for each line",
    "strokeWidth": "outline",
    "outline.enabled": "outline",
    "shadow.enabled": "shadow",
    **_OF_FORKS,
}
_OFF = ("none", "normal", "off", "auto", "solid", "determined-by-preset")  # words that change nothing
UNDRAWN_RETIME = {
    **dict.fromkeys(("curve", "timeMap", "keyframes", "freezeFrameAt"), "changes of speed"),
    **dict.fromkeys(("reverse", "reversed"), "reversal"),
}
REFRAME = {"mode": "contain", "cropX": 0, "cropY": 0, "cropWidth": 1, "cropHeight": 1}
REFRAME |= {"focalX": 0.5, "focalY": 0.5, "targetX": 0, "targetY": 0, "targetWidth": 1, "targetHeight": 1}

Factor = Annotated[float, Field(strict=True, ge=-100, le=100)]
Padding = Annotated[float, Field(strict=True, ge=0, le=2_000)]
Speed = Annotated[float, Field(strict=True, ge=0.01, le=20)]


class Retime(Model):
    rate: Speed = 1
    maintainPitch: bool = False


class Change(Model):
    """A transition, as it stands at an element or a track."""

    type: str = ""
    duration: Span
    fromElementId: str = ""
    toElementId: str = ""


class Element(Model):
    """Any element; `duration` is what is seen of it, `trimStart` a time of its source."""

    id: str = ""
    startTime: Span
    duration: Span
    trimStart: Span = Fraction(0)
    mediaId: str = ""
    sourceUrl: str = ""
    playbackRate: Speed = 1
    retime: Retime | None = None
    isSourceAudioEnabled: bool = True
    transitionIn: Change | None = None
    transitionOut: Change | None = None

    @property
    def end(self) -> Fraction:
        return self.startTime + self.duration

    @property
    def rate(self) -> float:
        return self.retime.rate if self.retime else self.playbackRate

    @property
    def keeps_pitch(self) -> bool:
        return self.retime.maintainPitch if self.retime else True


class Look(Model):
    """The look and the sound of an element; lengths are pixels of the canvas, fades are seconds of sound."""

    x: Length = Field(0, alias="transform.positionX")
    y: Length = Field(0, alias="transform.positionY")
    scale_x: Factor = Field(1, alias="transform.scaleX")
    scale_y: Factor = Field(1, alias="transform.scaleY")
    rotation: Length = Field(0, alias="transform.rotate")
    opacity: Length = 1
    blend: str = Field("normal", alias="blendMode")
    fit: str = Field("contain", alias="reframe.mode")
    volume: Length | None = None
    muted: bool = False
    pan: Length = 0
    fade_in: Seconds = Field(0, alias="fadeInDuration")
    fade_out: Seconds = Field(0, alias="fadeOutDuration")


class TextLook(Look):
    """`fontSize` is in ninetieths of the canvas's height; paddings are those of a text of size 15."""

    content: Words = ""
    fontSize: Annotated[float, Field(strict=True, gt=0, le=1_000)] = 15
    fontFamily: str = "Arial"
    color: str = "#ffffff"
    textAlign: str = "center"
    fontWeight: str = "normal"
    fontStyle: str = "normal"
    textDecoration: str = "none"
    letterSpacing: Length = 0
    lineHeight: Annotated[float, Field(strict=True, gt=0, le=20)] = 1.2
    boxed: bool = Field(False, alias="background.enabled")
    box: str = Field("#000000", alias="background.color")
    corners: Length = Field(0, alias="background.cornerRadius")
    padding_x: Padding = Field(30, alias="background.paddingX")
    padding_y: Padding = Field(42, alias="background.paddingY")
    box_x: Length = Field(0, alias="background.offsetX")
    box_y: Length = Field(0, alias="background.offsetY")


class Track(Model):
    """`volume`, a factor, `pan`, from -1 to 1, and `solo` are what some editors add."""

    id: str = ""
    name: str = ""
    type: str = "video"
    isMain: bool = False
    muted: bool = False
    hidden: bool = False
    volume: Annotated[float, Field(strict=True, ge=0, le=100)] = 1
    pan: Length = 0
    solo: bool = False
    elements: list[dict[str, Any]] = Field(default_factory=list)
    transitions: list[Change] = Field(default_factory=list)


def flat(element: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an element as the newest version stores them."""
    transform = members(element.get("transform"))
    position = members(transform.get("position"))
    params = {
        "transform.positionX": position.get("x", element.get("x")),
        "transform.positionY": position.get("y", element.get("y")),
        "transform.scaleX": transform.get("scaleX", transform.get("scale")),
        "transform.scaleY": transform.get("scaleY", transform.get("scale")),
        "transform.rotate": transform.get("rotate", element.get("rotation")),
        **{name: element.get(name) for name in SAME},
    }
    if isinstance(element.get("background"), dict):
        box = {"enabled": element["background"].get("color", "transparent") != "transparent"}
        box |= element["background"]
        params |= {f"background.{name}": value for name, value in box.items()}
    elif element.get("backgroundColor"):
        # In versions this old, a box had these paddings with any size of text.
        size = element.get("fontSize")
        large = size / 15 if isinstance(size, int | float) and size > 0 else 1
        params |= {
            "background.enabled": element["backgroundColor"] != "transparent",
            "background.color": element["backgroundColor"],
            "background.paddingX": 8 / large,
            "background.paddingY": 4 / large,
        }
    params |= members(element.get("params"))
    if params.get("textFillMode", "solid") == "solid":  # the colours of a gradient that is not used
        return {name: value for name, value in params.items() if not name.startswith("gradient")}
    return params


def undrawn(element: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[str]:
    """Yield the features of an element that the film does not show, in a user's words."""
    for name, words in UNDRAWN.items():
        if is_set(element.get(name)):
            yield words
    for name, words in UNDRAWN_PARAMS.items():
        if is_set(params.get(name)):
            yield words
    reframe = {name: params.get(f"reframe.{name}", usual) for name, usual in REFRAME.items()}
    if reframe not in (REFRAME, {**REFRAME, "mode": "cover"}):
        yield "reframing"
    retime = members(element.get("retime"))
    for name, words in UNDRAWN_RETIME.items():
        if is_set(retime.get(name)):
            yield words


def is_set(value: object, deepest: int = 20) -> bool:
    """Tell whether the value of a field that is not drawn would change the film; deeper nesting counts as set."""
    if deepest == 0:
        return True
    if isinstance(value, dict):
        on = value.get("enabled") is not False and is_set(value.get("type", True), deepest - 1)
        return on and any(is_set(part, deepest - 1) for part in value.values())
    if isinstance(value, list):
        return any(is_set(part, deepest - 1) for part in value)
    return bool(value) and value not in _OFF
