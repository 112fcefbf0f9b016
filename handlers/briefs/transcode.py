"""Convert uploads to files that every later step can use: one codec, one loudness and a bounded size."""

from __future__ import annotations

from pathlib import Path

from handlers.briefs.image_edit import ImageEdit, edit_image
from handlers.briefs.settings import settings
from handlers.shared.progress import OnProgress
from listener.kit import ffmpeg
from listener.kit.media import Media

MAX_SIDE_PIXELS = 1920  # pixels of the longer side of a video; of a picture twice as many
PROXY = 480  # pixels of the longer side of the small copy that a browser scrubs through
THUMBNAILS = (0.1, 0.5, 0.9)  # shares of the duration
THUMBNAIL = 320
FPS = 30

_H264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
_AAC = ["-c:a", "aac", "-ar", "48000", "-ac", "2"]
_LOUDNESS = "loudnorm=I=-16:TP=-1.5:LRA=11"
_WAVES = "aformat=channel_layouts=mono,showwavespic=s=1200x200:scale=sqrt:colors=0x4f8cff"


async def video(source: Path, found: Media, folder: Path, name: str, progress: OnProgress) -> dict[str, Path]:
    """Convert a video; return the film, a small copy, thumbnails, and the waveform of its sound, by name.

    Raises:
        FfmpegError: it can't be decoded.
    """
    seconds = float(found.duration or 0)
    made = {"file": folder / f"{name}.mp4", "proxy": folder / f"{name}-proxy.mp4"}
    graph = f"[0:v:0]fps={FPS},split[a][b];[a]{_within(MAX_SIDE_PIXELS)}[large];[b]{_within(PROXY)}[small]"
    sound: list[list[str]] = [[], []]
    if found.audio:
        graph += f";[0:a:0]{_LOUDNESS},aresample=48000,asplit[c][d]"
        sound = [["-map", "[c]", *_AAC], ["-map", "[d]", *_AAC, "-b:a", "64k"]]
    await ffmpeg.run(
        [
            *(*_opened(source), "-filter_complex", graph),
            *("-map", "[large]", *sound[0], *_H264, "-crf", "20", *_mp4(), str(made["file"])),
            *("-map", "[small]", *sound[1], *_H264, "-crf", "30", *_mp4(), str(made["proxy"])),
        ],
        duration=seconds or None,
        on_progress=progress,
    )
    for number, share in enumerate(THUMBNAILS, 1):
        thumbnail = folder / f"{name}-thumbnail{number}.jpg"
        await still(made["file"], seconds * share, thumbnail, width=THUMBNAIL)
        if thumbnail.exists():
            made[f"thumbnail{number}"] = thumbnail
    if found.audio:
        made["waveform"] = await _waveform(made["file"], folder / f"{name}-waveform.png")
    return made


async def audio(source: Path, found: Media, folder: Path, name: str, progress: OnProgress) -> dict[str, Path]:
    """Convert a sound; return it at the usual loudness, and its waveform, by name.

    Raises:
        FfmpegError: it can't be decoded.
    """
    made = {"file": folder / f"{name}.m4a"}
    filters = ["-map", "0:a:0", "-af", f"{_LOUDNESS},aresample=48000"]
    await ffmpeg.run(
        [*_opened(source), *filters, *_AAC, *_mp4(), made["file"]],
        duration=float(found.duration) if found.duration else None,
        on_progress=progress,
    )
    made["waveform"] = await _waveform(made["file"], folder / f"{name}-waveform.png")
    return made


async def image(source: Path, folder: Path, name: str) -> dict[str, Path]:
    """Convert a picture; return it upright and without its metadata, and a thumbnail, by name.

    Raises:
        BriefError: it can't be read.
    """
    made = {"file": folder / f"{name}.png", "thumbnail1": folder / f"{name}-thumbnail1.jpg"}
    await edit_image(
        source, made["file"], ImageEdit(2 * MAX_SIDE_PIXELS, 2 * MAX_SIDE_PIXELS, "inside", "png")
    )
    await edit_image(made["file"], made["thumbnail1"], ImageEdit(THUMBNAIL, THUMBNAIL, "inside"))
    return made


async def still(source: Path, at: float, target: Path, *, width: int) -> None:
    """Write a frame of a video as a JPEG; writes none if the video ends earlier.

    Raises:
        FfmpegError: it can't be decoded.
    """
    picture = ["-frames:v", "1", "-vf", f"scale={width}:-2", "-q:v", "3", "-f", "image2", "-update", "1"]
    await ffmpeg.run(["-ss", f"{at:.3f}", *_opened(source), *picture, target], frames=1)


async def _waveform(source: Path, target: Path) -> Path:
    drawn = ["-filter_complex", f"[0:a:0]{_WAVES}[w]", "-map", "[w]", "-frames:v", "1", "-update", "1"]
    await ffmpeg.run([*_opened(source), *drawn, "-f", "image2", target], frames=1)
    return target


def _opened(source: Path) -> list[str]:
    """Return the arguments that open a file and end it a second after the limit, even if its header names fewer."""
    seconds = settings().max_hours * 3600 + 1
    return [*ffmpeg.input_options(), "-t", f"{seconds:.3f}", "-i", str(source)]


def _within(longest: int) -> str:
    """Return a filter that bounds the longer side and makes both sides even."""
    return (
        f"scale=w='min(iw,{longest})':h='min(ih,{longest})':force_original_aspect_ratio=decrease"
        ":force_divisible_by=2,setsar=1"
    )


def _mp4() -> list[str]:
    return ["-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4"]
