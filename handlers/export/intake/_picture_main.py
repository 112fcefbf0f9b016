"""Decode a picture that FFmpeg reads only partly, and write it as a PNG, or an animation as an APNG.

Run by path, `python -I _picture_main.py SOURCE TARGET MAX_PIXELS`, so it imports nothing of this package. The exit
code is 3 if the picture has more pixels; its width and height are printed.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from typing import Any

import av
import pillow_heif
from PIL import Image, ImageOps, ImageSequence

TOO_LARGE = 3  # exit code
HDR = {16, 18}  # transfer characteristics of ITU-T H.273: PQ and HLG
PRIMARIES_BT2020 = 9


def main() -> None:
    source, target, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if _is_truncated(source):  # libheif would draw the tiles that are there
        sys.exit("the file ends within a box")
    Image.MAX_IMAGE_PIXELS = None
    pillow_heif.register_heif_opener()
    with Image.open(source, formats=["HEIF", "AVIF", "WEBP"]) as picture:
        if picture.width * picture.height > most:
            print(picture.width, picture.height)  # noqa: T201 - read by the parent
            sys.exit(TOO_LARGE)
        if getattr(picture, "n_frames", 1) > 1 and picture.format != "HEIF":
            _animation(picture, target)
        elif (transfer := _transfer(source)) in HDR:
            _deep(source, target, picture.format == "HEIF", transfer)
        else:
            still = ImageOps.exif_transpose(picture)
            still.info.clear()  # an Exif tag would turn it again
            (still if still.mode in {"RGB", "RGBA"} else still.convert("RGBA")).save(
                target, format="PNG", compress_level=1
            )


def _is_truncated(source: str) -> bool:
    """Return whether a file of boxes (ISO/IEC 14496-12) ends within one of them."""
    with open(source, "rb") as file:  # noqa: PTH123
        size, place = file.seek(0, 2), 0
        file.seek(4)
        if file.read(4) != b"ftyp":
            return False
        while place + 8 <= size:
            file.seek(place)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length == 0:  # the last box reaches to the end
                return False
            place += max(length, 8)
    return place > size


def _animation(picture: Image.Image, target: str) -> None:
    durations = []
    for frame in ImageSequence.Iterator(picture):
        frame.load()  # Pillow knows the duration of a frame only once it is decoded
        durations.append(frame.info["duration"])
    picture.seek(0)
    picture.save(target, format="PNG", save_all=True, duration=durations, compress_level=1)


def _transfer(source: str) -> int:
    """Return the transfer characteristics that the first colour box of a HEIF or AVIF names (ISO/IEC 23008-12)."""
    with open(source, "rb") as file:  # noqa: PTH123
        head = file.read(262_144)
    box = head.find(b"colrnclx")
    return int.from_bytes(head[box + 10 : box + 12], "big") if box >= 0 else 0


def _deep(source: str, target: str, is_heif: bool, transfer: int) -> None:
    """Write a PNG of 16 bits, which names its transfer characteristics in a chunk cICP (PNG, third edition)."""
    if is_heif:
        picture: Any = pillow_heif.open_heif(source, convert_hdr_to_8bit=False)
        width, height = picture.size
        stride, samples = picture.stride, array("H", bytes(picture.data))
        samples.byteswap()
        data, channels = samples.tobytes(), 4 if "A" in picture.mode else 3
    else:
        with av.open(source) as container:
            frame = next(container.decode(video=0)).reformat(format="rgb48be")
        width, height, stride, data = (
            frame.width,
            frame.height,
            frame.planes[0].line_size,
            bytes(frame.planes[0]),
        )
        channels = 3
    rows = b"".join(b"\0" + data[y * stride : y * stride + 2 * channels * width] for y in range(height))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 16, 6 if channels == 4 else 2, 0, 0, 0)
    colours = bytes([PRIMARIES_BT2020, transfer, 0, 1])
    with open(target, "wb") as file:  # noqa: PTH123
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"cICP", colours))
        file.write(chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


if __name__ == "__main__":
    main()
