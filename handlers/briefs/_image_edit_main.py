"""Edit a picture for `image_edit.edit_image`.

Run by path, `python -I _image_edit_main.py REQUEST SOURCE TARGET`, so it imports nothing of this package. REQUEST is
JSON: the fields of `image_edit.ImageEdit`, and `max_pixels`. It prints one line of JSON: the size of the result,
or an error that continues the sentence `FILE ...`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from PIL import Image, ImageFilter, ImageOps

SOURCES = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
SHADE = 0.6  # brightness of the blurred picture behind the sharp one


def edit_image(source: str, target: str, request: dict[str, Any]) -> dict[str, Any]:
    """Write the edited picture to `target`, and return its size or an error."""
    with Image.open(source, formats=SOURCES) as opened:
        if opened.width * opened.height > request["max_pixels"]:
            return {"error": f"has {opened.width} × {opened.height} pixels, more than can be worked on"}
        if not request["crop"]:
            # JPEG's decoder can skip details that the smaller picture would lose anyway.
            opened.draft("RGB", (2 * request["width"], 2 * request["height"]))
        upright = ImageOps.exif_transpose(opened)
        picture = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    if box := request["crop"]:
        left, top, width, height = (
            round(share * of) for share, of in zip(box, 2 * picture.size, strict=True)
        )
        picture = picture.crop((left, top, left + max(1, width), top + max(1, height)))
    made = fitted(picture, (request["width"], request["height"]), request["fit"], request["background"])
    if request["format"] == "jpg" and made.mode != "RGB":
        ground = Image.new("RGBA", made.size, request["background"])
        made = Image.alpha_composite(ground, made).convert("RGB")
    # The source's metadata is dropped: it may hold the place where a photo was taken.
    made.save(target, FORMATS[request["format"]], quality=request["quality"])
    return {"width": made.width, "height": made.height}


def fitted(picture: Image.Image, size: tuple[int, int], fit: str, background: str) -> Image.Image:
    """Return the picture resized to `size` by the rule `fit` of `image_edit.ImageEdit`."""
    match fit:
        case "inside":
            made = picture.copy()
            made.thumbnail(size, Image.Resampling.LANCZOS)
            return made
        case "cover":
            return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
        case "contain":
            return ImageOps.pad(picture.convert("RGBA"), size, Image.Resampling.LANCZOS, color=background)
        case _:
            # Blurring the small picture is quicker and looks the same.
            small = (max(1, size[0] // 8), max(1, size[1] // 8))
            behind = ImageOps.fit(picture.convert("RGB"), small).filter(ImageFilter.GaussianBlur(4))
            ground = (
                behind.point(lambda value: value * SHADE)
                .resize(size, Image.Resampling.BICUBIC)
                .convert("RGBA")
            )
            sharp = ImageOps.contain(picture.convert("RGBA"), size, Image.Resampling.LANCZOS)
            ground.alpha_composite(sharp, ((size[0] - sharp.width) // 2, (size[1] - sharp.height) // 2))
            return ground


if __name__ == "__main__":
    try:
        answer = edit_image(sys.argv[2], sys.argv[3], json.loads(sys.argv[1]))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        answer = {"error": f"can't be read as a picture ({type(error).__name__})"}
    except MemoryError:
        answer = {"error": "needs more memory than there is for a picture"}
    print(json.dumps(answer))  # noqa: T201 - read by the parent
