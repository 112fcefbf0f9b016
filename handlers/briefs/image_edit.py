"""Still pictures: resize, crop, fit and convert them.

Pillow reads them in a sandbox: a hostile picture may crash that process, but never the service.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from handlers.briefs.model import BriefError
from listener.kit.ffmpeg import MAX_PIXELS
from listener.kit.sandbox import SandboxError, run_python

PROGRAM = Path(__file__).with_name("_image_edit_main.py")
SECONDS = 60
MEMORY = 3 * 1024**3  # bytes of address space
MAX_FILE_BYTES = 512 * 1024**2
MAX_SIDE = 8192  # pixels
_FITS = ("cover", "contain", "background", "inside")


@dataclass(frozen=True, slots=True)
class ImageEdit:
    """A requested edit of a picture.

    Attributes:
        width, height: pixels.
        fit: `cover` fills them and crops what stands out, `contain` shows all of it on `background`, `background` shows
            all of it on a blurred copy of itself, `inside` makes it no larger than they are.
        format: jpg, png or webp.
        quality: 1 to 100, for jpg and webp.
        crop: left, top, width and height as shares of the picture, cut out first.

    Raises:
        BriefError: something of it makes no sense.
    """

    width: int
    height: int
    fit: Literal["cover", "contain", "background", "inside"] = "background"
    format: Literal["jpg", "png", "webp"] = "jpg"
    quality: int = 90
    background: str = "#000000"
    crop: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        for side in (self.width, self.height):
            if not isinstance(side, int) or not 1 <= side <= MAX_SIDE:
                raise BriefError(f"A picture's width and height are whole numbers from 1 to {MAX_SIDE}.")
        if self.fit not in _FITS:
            raise BriefError(f"A picture's fit is one of {', '.join(_FITS)}.")
        if self.format not in {"jpg", "png", "webp"}:
            raise BriefError("A picture's format is jpg, png or webp.")
        if not isinstance(self.quality, int) or not 1 <= self.quality <= 100:
            raise BriefError("A picture's quality is a whole number from 1 to 100.")
        if not isinstance(self.background, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", self.background):
            raise BriefError("A picture's background is a colour such as #1a2b3c.")
        if self.crop is not None and not _is_box(self.crop):
            raise BriefError(
                "A picture's crop is [left, top, width, height], in shares of it that lie within 0 to 1."
            )

    @classmethod
    def of(cls, said: dict[str, Any], size: tuple[int, int]) -> Self:
        """Return the edit that metadata ask for; `size` applies if they name none.

        Raises:
            BriefError: a field is unknown or malformed.
        """
        if unknown := said.keys() - set(cls.__slots__):
            raise BriefError(f"A picture has no {min(unknown)}; it has {', '.join(cls.__slots__)}.")
        return cls(**{"width": size[0], "height": size[1], **said})


async def edit_image(source: Path, target: Path, wanted: ImageEdit) -> tuple[int, int]:
    """Edit the picture `source` and write the result to `target`.

    Args:
        source: absolute path of a local file; its name means nothing.
        target: path of the result, in a folder whose files the sandboxed process may change.
        wanted: the edit.

    Returns:
        Width and height of the result in pixels.

    Raises:
        BriefError: the picture can't be read; the text continues the sentence `FILE …`.
    """
    request = json.dumps({**asdict(wanted), "max_pixels": MAX_PIXELS})
    printed: list[bytes] = []
    try:
        await run_python(
            PROGRAM,
            [request, str(source), str(target)],
            reads=[source],
            writes=[target.parent],
            memory=MEMORY,
            seconds=SECONDS,
            max_file_bytes=MAX_FILE_BYTES,
            on_line=printed.append,
        )
    except SandboxError as error:
        raise BriefError("can't be read: the reader crashed on it, or took too long") from error
    result = json.loads(printed[-1])
    if "error" in result:
        raise BriefError(result["error"])
    return result["width"], result["height"]


def _is_box(crop: Any) -> bool:
    if not isinstance(crop, list | tuple) or len(crop) != 4:
        return False
    if not all(isinstance(share, int | float) and 0 <= share <= 1 for share in crop):
        return False
    left, top, width, height = crop
    return bool(width > 0 and height > 0 and left + width <= 1 and top + height <= 1)
