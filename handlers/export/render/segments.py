"""Divide a long film, because FFmpeg holds every file of a run open with its decoder and its frames.

Each segment of the picture is made by a separate run, encoded as all others are, and the segments are joined unchanged.
Sounds are mixed in groups and never cut, because a cut would be heard as a click.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from handlers.export.graph import commands
from handlers.export.graph.composition import Composition
from handlers.export.graph.plan import Plan
from handlers.export.model import FilmError, Picture, Sound, Source, Text
from listener.kit import ffmpeg

SOUNDS_AT_ONCE = 16  # in one run
_MAX_VIDEOS_UNDIVIDED = 8.0  # videos of 1080p that one run of a whole film may hold open
_MAX_VIDEOS_IN_SEGMENT = (
    4.0  # videos of 1080p that one run of a segment may hold open; encoder and sound come on top
)
_MAX_ELEMENTS_AT_ONCE = 250  # each is a layer over the whole film while it is seen
_FULL_HD_PIXELS = 1920 * 1080
_MIN_VIDEO_WEIGHT, _MIN_STILL_WEIGHT = 1 / 8, 1 / 16  # in videos of 1080p
_MAX_ARGUMENT_BYTES = 120_000  # the kernel takes 128 KiB


@dataclass(frozen=True, slots=True)
class Segment:
    """Some frames of the picture.

    Attributes:
        command: FFmpeg's arguments that make it.
    """

    frames: int
    command: Sequence[str]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Some sounds, mixed into the file `path`.

    Attributes:
        first_sample: of the film, where the file begins.
        command: FFmpeg's arguments that make it.
    """

    first_sample: int
    path: Path
    command: Sequence[str]


def divide(plan: Plan) -> list[Composition]:
    """Divide a film into parts that each need little memory, cut where something begins or ends.

    Raises:
        FilmError: too much is seen at once.
    """
    whole, sources = plan.composition, plan.sources
    spans: list[tuple[int, int, Picture | Text]] = [
        *((shot.first, shot.end, shot.clip) for shot in whole.shots if shot.clip),
        *((*window, overlay.clip) for overlay in whole.overlays for window in overlay.windows),
    ]
    begun = _Sum((first, weight(clip, sources)) for first, _, clip in spans)
    ended = _Sum((end, weight(clip, sources)) for _, end, clip in spans)

    blended = whole.blended

    def room(videos: float, first: int, end: int) -> float:
        # Where layers are blended a segment is made in RGB, and its pictures take twice the memory.
        return videos / 2 if any(begin < end and first < stop for begin, stop in blended) else videos

    most = max(bisect_right(begun.frames, cut) - bisect_right(ended.frames, cut) for cut in whole.cuts)
    if most > _MAX_ELEMENTS_AT_ONCE:
        raise FilmError(f"{most} elements are seen at the same time; at most {_MAX_ELEMENTS_AT_ONCE} can be.")
    if begun.before(whole.end) <= room(_MAX_VIDEOS_UNDIVIDED, whole.first, whole.end):
        return [whole]
    parts: list[Composition] = []
    first, last = whole.first, whole.first
    for cut in whole.cuts[1:]:
        if last > first and begun.before(cut) - ended.upto(first) > room(_MAX_VIDEOS_IN_SEGMENT, first, cut):
            parts.append(whole.part(first, last))
            first = last
        last = cut
    return [*parts, whole.part(first, last)]


def weight(clip: Picture | Text, sources: Mapping[str, Source]) -> float:
    """Return the memory that an open clip takes, in videos of 1080p."""
    video = sources[clip.source].media.video if isinstance(clip, Picture) else None
    if video is None or video.is_image:  # FFmpeg keeps only one frame of a still
        return max(
            _MIN_STILL_WEIGHT, 0 if video is None else video.width * video.height / _FULL_HD_PIXELS / 4
        )
    return max(_MIN_VIDEO_WEIGHT, video.width * video.height / _FULL_HD_PIXELS)


class _Sum:
    """Weights by frame, added up."""

    def __init__(self, weights: Iterator[tuple[int, float]]) -> None:
        ordered = sorted(weights)
        self.frames = [frame for frame, _ in ordered]
        self.sums = [0.0, *accumulate(weight for _, weight in ordered)]

    def before(self, frame: int) -> float:
        return self.sums[bisect_left(self.frames, frame)]

    def upto(self, frame: int) -> float:
        return self.sums[bisect_right(self.frames, frame)]


def compile_segments(plan: Plan, parts: Sequence[Composition], target: Path) -> list[Segment]:
    """Compile each part; one whose arguments are too long becomes several segments.

    Args:
        target: where each segment is written; it is moved away before the next one is made.

    Raises:
        FilmError: the arguments of a single frame are too long.
    """
    made: list[Segment] = []
    waiting = [*reversed(parts)]
    while waiting:
        part = waiting.pop()
        command, frames = commands.segment(plan, part, target), part.end - part.first
        if fits_in_argv(command):
            made.append(Segment(frames, command))
        elif frames == 1:
            raise FilmError(f"The {len(part.overlays)} elements that are seen at the same time are too many.")
        else:
            middle = (part.first + part.end) // 2
            waiting += [part.part(middle, part.end), part.part(part.first, middle)]
    return made


def compile_mixtures(plan: Plan, folder: Path) -> list[Mixture]:
    """Compile the sounds in groups that begin about the same time, each a file of `folder`.

    Raises:
        FilmError: the level of a sound changes too often.
    """
    ordered = sorted(plan.sounds, key=lambda sound: sound.start)
    made: list[Mixture] = []
    waiting: list[Sequence[Sound]] = [
        ordered[number : number + SOUNDS_AT_ONCE] for number in range(0, len(ordered), SOUNDS_AT_ONCE)
    ]
    while waiting:
        group = waiting.pop()
        path = folder / f"sounds{len(made)}.wv"
        command = commands.mixture(plan, group, path)
        if fits_in_argv(command):
            made.append(Mixture(commands.first_sample(plan, group), path, command))
        elif len(group) == 1:
            raise FilmError(f"The volume of “{group[0].name}” changes too often to be rendered.")
        else:
            waiting += [group[: len(group) // 2], group[len(group) // 2 :]]
    return made


def fits_in_argv(command: Sequence[str]) -> bool:
    """Tell whether the kernel accepts these arguments."""
    return max(len(argument.encode()) for argument in command) <= _MAX_ARGUMENT_BYTES


class Names:
    """Names segments by the contents of what they are made of, in any folder."""

    def __init__(self, plan: Plan) -> None:
        paths = {source.path for source in plan.sources.values()}
        paths |= {raster.path for raster in plan.rasters.values()}
        self._contents = {path: _digest(path) for path in paths}

    def name(self, command: Sequence[str]) -> str:
        """Return the name, without a suffix, of the segment that `command` makes."""
        digest = hashlib.sha256(str(ffmpeg.binary()).encode())
        for argument in command[:-1]:  # the last one is the target
            path = Path(argument.removeprefix("file:"))
            digest.update(f"{self._contents.get(path, argument)}\0".encode())
        return digest.hexdigest()[:32]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
