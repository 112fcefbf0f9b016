"""Clips without a provider: colours that move, the words of the prompt, and a tone, made by FFmpeg on this machine."""

from __future__ import annotations

import colorsys
import hashlib
import textwrap
from pathlib import Path

from anyio import to_thread
from PIL import Image, ImageDraw, ImageFont

from handlers.clips.model import Ref, Request, State
from handlers.shared.progress import OnProgress
from listener.kit import ffmpeg

SHORTER = 720  # pixels of the shorter side
FPS = 25
WORDS = 160  # characters of the prompt that are shown


class Synthetic:
    """A provider that draws clips on this machine; its methods follow `Provider`. An order is finished at once."""

    name = "synthetic"

    async def submit(self, request: Request) -> Ref:
        """Return a reference made of the request."""
        return Ref(request.fingerprint()[:16], {})

    async def poll(self, ref: Ref) -> State:
        """Return the state `done`."""
        return State("done", output=ref.request_id)

    async def cancel(self, ref: Ref) -> None:
        """Do nothing."""

    async def collect(self, request: Request, state: State, target: Path, progress: OnProgress) -> None:
        """Draw the clip; equal requests give equal pictures."""
        progress(5, "drawing the clip")
        seed = hashlib.sha256(request.prompt.encode()).digest()
        width, height = size(request)
        words = target.with_name("words.png")
        await to_thread.run_sync(_draw, request.prompt, width, height, words)
        # Drawn small and scaled up, because soft colours look the same.
        colours = (
            f"gradients=s={width // 4}x{height // 4}:r={FPS}:nb_colors=3:speed=0.03:seed={seed[0]}"
            + "".join(f":c{number}={_colour(seed[number + 1])}" for number in range(3))
        )
        tone = f"sine=f={220 + seed[4]}:r=48000,volume=0.2"
        graph = (
            f"[0:v]scale={width}:{height}[under];[under][1:v]overlay=0:'4*sin(2*t)',format=yuv420p[picture]"
        )
        encoding = ["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac", "-movflags", "+faststart"]
        await ffmpeg.run(
            [
                *("-f", "lavfi", "-i", colours, "-i", str(words), "-f", "lavfi", "-i", tone),
                *("-filter_complex", graph, "-map", "[picture]", "-map", "2:a"),
                *("-t", f"{request.duration:.3f}", *encoding, "-f", "mp4", str(target)),
            ],
            duration=request.duration,
            on_progress=lambda percent, message: progress(10 + 0.6 * percent, message),
        )


def size(request: Request) -> tuple[int, int]:
    """Return even width and height of the requested aspect ratio."""
    ratio = request.ratio
    longer = round(SHORTER * max(ratio, 1 / ratio) / 8) * 8
    return (longer, SHORTER) if ratio >= 1 else (SHORTER, longer)


def _colour(seed: int) -> str:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(seed / 256, 0.65, 0.7))
    return f"0x{red:02x}{green:02x}{blue:02x}"


def _draw(prompt: str, width: int, height: int, target: Path) -> None:
    """Draw the words in white on a shade in the lower half."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    font_size = min(width, height) // 14
    lines = textwrap.wrap(
        textwrap.shorten(prompt, WORDS, placeholder=" …"), max(8, 2 * width // font_size - 6)
    )
    font = ImageFont.load_default(size=font_size)
    middle = (width / 2, height * 0.62)
    box = pen.multiline_textbbox(middle, "\n".join(lines), font=font, anchor="mm", align="center")
    pen.rounded_rectangle(
        (box[0] - 24, box[1] - 16, box[2] + 24, box[3] + 16), radius=16, fill=(0, 0, 0, 120)
    )
    pen.multiline_text(middle, "\n".join(lines), font=font, fill="white", anchor="mm", align="center")
    picture.save(target)
