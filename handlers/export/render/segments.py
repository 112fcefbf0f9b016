"""Which parts a long film is made in: FFmpeg holds every file of a run open with its decoder and its frames.

Each part of the picture is a run of its own, encoded as all others are, and the parts are joined as they are.
Sounds are mixed in groups, and the groups with each other, for a sound that is cut would click.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from handlers.export.graph.composition import Composition
from handlers.export.graph.inputs import Source
from handlers.export.model import FilmError, Picture, Sound, Text
from handlers.export.text import Raster
from listener.kit import ffmpeg

SOUNDS = 16  # in one run
_ONE_RUN = 8.0  # videos of 1080p that a film may hold open which isn't divided
_BUDGET = 4.0  # and each slice of one that is; encoder and sound come on top
_AT_ONCE = 250  # elements: each is a layer over the whole film while it is seen
_FULL_HD = 1920 * 1080
_LIGHT, _LIGHTEST = 1 / 8, 1 / 16  # a small video, and a small still or a text
_LONGEST_ARGUMENT = 120_000  # bytes; the kernel takes 128 KiB


def weight(clip: Picture | Text, sources: Mapping[str, Source]) -> float:
    """The memory that an open clip takes, in videos of 1080p."""
    video = sources[clip.source].media.video if isinstance(clip, Picture) else None
    if video is None or video.is_image:  # of a still only one frame is kept
        return max(_LIGHTEST, 0 if video is None else video.width * video.height / _FULL_HD / 4)
    return max(_LIGHT, video.width * video.height / _FULL_HD)


def divide(
    whole: Composition, sources: Mapping[str, Source], command: Callable[[Composition], Sequence[str]]
) -> list[Composition]:
    """Parts that each fit into one run, cut where something begins or ends.

    Args:
        command: the arguments that make a part.

    Raises:
        FilmError: too much is seen at once.
    """
    spans: list[tuple[int, int, Picture | Text]] = [
        *((shot.first, shot.end, shot.clip) for shot in whole.shots if shot.clip),
        *((*window, overlay.clip) for overlay in whole.overlays for window in overlay.windows),
    ]
    begun = _Sum((first, weight(clip, sources)) for first, _, clip in spans)
    ended = _Sum((end, weight(clip, sources)) for _, end, clip in spans)

    blended = whole.blended

    def room(videos: float, first: int, end: int) -> float:
        # Where layers are blended a part is made in RGB, and its pictures take twice the memory.
        return videos / 2 if any(begin < end and first < stop for begin, stop in blended) else videos

    most = max(bisect_right(begun.frames, cut) - bisect_right(ended.frames, cut) for cut in whole.cuts)
    if most > _AT_ONCE:
        raise FilmError(f"{most} elements are seen at the same time; at most {_AT_ONCE} can be.")
    if begun.before(whole.end) <= room(_ONE_RUN, whole.first, whole.end):
        return list(_sayable(whole, command))
    parts: list[Composition] = []
    first, last = whole.first, whole.first
    for cut in whole.cuts[1:]:
        if last > first and begun.before(cut) - ended.upto(first) > room(_BUDGET, first, cut):
            parts += _sayable(whole.part(first, last), command)
            first = last
        last = cut
    return [*parts, *_sayable(whole.part(first, last), command)]


def _sayable(part: Composition, command: Callable[[Composition], Sequence[str]]) -> Iterator[Composition]:
    """The part, or smaller ones whose arguments the kernel takes."""
    if sayable(command(part)):
        yield part
    elif part.end - part.first == 1:
        raise FilmError(f"The {len(part.overlays)} elements that are seen at the same time are too many.")
    else:
        middle = (part.first + part.end) // 2
        yield from _sayable(part.part(part.first, middle), command)
        yield from _sayable(part.part(middle, part.end), command)


def sayable(command: Sequence[str]) -> bool:
    """Whether the kernel takes these arguments."""
    return max(len(argument.encode()) for argument in command) <= _LONGEST_ARGUMENT


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


def groups(
    sounds: Sequence[Sound], command: Callable[[Sequence[Sound]], Sequence[str]]
) -> list[Sequence[Sound]]:
    """Sounds that are mixed by one run, those together that begin about the same time.

    Args:
        command: the arguments that mix a group.

    Raises:
        FilmError: the level of a sound changes too often.
    """
    ordered = sorted(sounds, key=lambda sound: sound.start)
    found: list[Sequence[Sound]] = []
    waiting = [ordered[number : number + SOUNDS] for number in range(0, len(ordered), SOUNDS)]
    while waiting:
        group = waiting.pop()
        if sayable(command(group)):
            found.append(group)
        elif len(group) == 1:
            raise FilmError(f"The volume of “{group[0].name}” changes too often to be rendered.")
        else:
            waiting += [group[: len(group) // 2], group[len(group) // 2 :]]
    return found


class Names:
    """Names for slices by all that they are made of, whatever folder that lies in."""

    def __init__(self, sources: Mapping[str, Source], rasters: Mapping[Text, Raster]) -> None:
        self.contents = {path: _digest(path) for path in {s.path for s in sources.values()}}
        self.contents |= {raster.path: _digest(raster.path) for raster in rasters.values()}

    def name(self, command: Sequence[str]) -> str:
        """The name, without a suffix, of what `command` makes."""
        digest = hashlib.sha256(str(ffmpeg.binary()).encode())
        for argument in command[:-1]:  # the last one is where it goes
            path = Path(argument.removeprefix("file:"))
            digest.update(f"{self.contents.get(path, argument)}\0".encode())
        return digest.hexdigest()[:32]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
