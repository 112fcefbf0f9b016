"""Convert an animated WebP to an APNG, frame by frame.

Run by path, `python -I _animated_webp_main.py WEBP APNG`, so it imports nothing of this package.
"""

from __future__ import annotations

import sys

from PIL import Image, ImageSequence


def main() -> None:
    source, target = sys.argv[1:]
    with Image.open(source, formats=["WEBP"]) as animation:
        durations = []
        for frame in ImageSequence.Iterator(animation):
            frame.load()  # Pillow knows the duration of a frame only once it is decoded
            durations.append(frame.info["duration"])
        animation.seek(0)
        animation.save(target, format="PNG", save_all=True, duration=durations, compress_level=1)


if __name__ == "__main__":
    main()
