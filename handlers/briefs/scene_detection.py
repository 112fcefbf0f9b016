"""What FFmpeg finds in a file: where its scenes begin, and how loud it is."""

from __future__ import annotations

import math
import re
from pathlib import Path

from anyio import to_thread

from listener.kit import ffmpeg
from listener.kit.media import Media

CHANGE = 10  # percent of change from one frame to the next that begins a scene
MOST = 500  # scenes that are told of
SMALL = 320  # pixels of the width that scenes are looked for in


async def detect(path: Path, found: Media, folder: Path) -> dict[str, object]:
    """The times in seconds at which scenes begin, of a video, and the integrated loudness in LUFS, of what is heard;
    None where it is silent.

    Args:
        path: the file, as `media.probe` found it.
        folder: for notes on the way.

    Raises:
        FfmpegError: it can't be decoded.
    """
    moves = found.video is not None and not found.video.is_image
    filters: list[str] = []
    if moves:
        filters += [
            "-vf",
            f"scale={SMALL}:-2,scdet=t={CHANGE},metadata=print:key=lavfi.scd.time:file=scenes.txt",
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
        answer["scenes"] = [0.0, *(round(time, 3) for time in times if time > 0)][:MOST]
    if found.audio:
        *_, last = ["nan", *re.findall(r"r128\.I=(\S+)", loudnesses)]
        loudness = float(last)
        # The meter's floor, which it shows until it has heard something.
        answer["loudness"] = None if math.isnan(loudness) or loudness <= -70 else round(loudness, 1)
    return answer


def _notes(folder: Path, empty: bool = False) -> list[str]:
    """What the filters have noted; `empty` forgets it, also of an earlier file."""
    notes = [folder / "scenes.txt", folder / "loudness.txt"]
    for note in notes if empty else []:
        note.write_text("")
    return [note.read_text() for note in notes]
