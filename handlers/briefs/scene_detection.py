"""Find the scenes of a video and the loudness of its sound by FFmpeg's filters."""

from __future__ import annotations

import math
import re
from pathlib import Path

from anyio import to_thread

from listener.kit import ffmpeg
from listener.kit.media import Media

CHANGE = 10  # percent of change from one frame to the next that begins a scene
MAX_SCENES = 500
DETECTION_WIDTH = 320  # pixels; scenes are detected in a small picture


async def detect(path: Path, found: Media, folder: Path) -> dict[str, object]:
    """Return `scenes`, the seconds at which the scenes of a video begin, and `loudness` of a sound.

    The loudness is the integrated one in LUFS (EBU R 128), or None for silence.

    Args:
        path: a local file.
        found: its properties, from `media.probe`.
        folder: scratch folder for the filters' output.

    Raises:
        FfmpegError: the file can't be decoded.
    """
    moves = found.video is not None and not found.video.is_image
    filters: list[str] = []
    if moves:
        filters += [
            "-vf",
            f"scale={DETECTION_WIDTH}:-2,scdet=t={CHANGE},metadata=print:key=lavfi.scd.time:file=scenes.txt",
        ]
    if found.audio:
        filters += ["-af", "ebur128=metadata=1,ametadata=print:key=lavfi.r128.I:file=loudness.txt"]
    wanted = [*(["-map", "0:v:0"] if moves else []), *(["-map", "0:a:0"] if found.audio else [])]
    await to_thread.run_sync(_notes, folder, True)
    if wanted:
        source = [*ffmpeg.input_options(), "-i", str(path)]
        await ffmpeg.run([*source, *wanted, *filters, "-f", "null", "-"], cwd=folder)
    scenes, loudnesses = await to_thread.run_sync(_notes, folder)
    answer: dict[str, object] = {}
    if moves:
        times = [float(time) for time in re.findall(r"scd\.time=([\d.]+)", scenes)]
        answer["scenes"] = [0.0, *(round(time, 3) for time in times if time > 0)][:MAX_SCENES]
    if found.audio:
        *_, last = ["nan", *re.findall(r"r128\.I=(\S+)", loudnesses)]
        loudness = float(last)
        # -70 is the floor of the meter, which it shows for silence.
        answer["loudness"] = None if math.isnan(loudness) or loudness <= -70 else round(loudness, 1)
    return answer


def _notes(folder: Path, empty: bool = False) -> list[str]:
    """Return the filters' output; `empty` first deletes that of an earlier file."""
    notes = [folder / "scenes.txt", folder / "loudness.txt"]
    for note in notes if empty else []:
        note.write_text("")
    return [note.read_text() for note in notes]
