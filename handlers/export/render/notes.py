"""The warnings of a film: what can't be seen or heard as it was placed, because of its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from handlers.export.graph.plan import Plan
from handlers.export.model import Film, Picture, Sound, Source

_TOLERANCE_SECONDS = Fraction(1, 2)  # by which the sound of a file often ends before its picture


def playable(film: Film, sources: Mapping[str, Source]) -> tuple[Film, list[str]]:
    """Return the film without the pictures that their files don't have, and a warning for each.

    Browsers call every .webm a video, so an editor takes the recording of a voice for one.
    """
    missing = [
        clip for clip in film.clips if isinstance(clip, Picture) and sources[clip.source].media.video is None
    ]
    warnings = [f"“{clip.name}” is only heard: its file holds no pictures." for clip in missing]
    return replace(film, clips=tuple(clip for clip in film.clips if clip not in missing)), warnings


def of_plan(plan: Plan) -> Iterator[str]:
    """Yield the warnings that the probe's results give."""
    film = plan.film
    used = {each.source for each in (*film.clips, *film.sounds) if isinstance(each, Picture | Sound)}
    for media_id in sorted(used):
        yield from _of_file(plan.sources[media_id])
    for clip in film.clips:
        if isinstance(clip, Picture):
            source = plan.sources[clip.source]
            length = source.media.duration
            needed = clip.offset + clip.length * clip.rate
            if length is not None and not source.loops and needed > length + 1 / film.fps:
                yield f"“{clip.name}” is longer than its file: the last picture stays."
        elif clip in plan.rasters:
            yield from plan.rasters[clip].notes
    if plan.output.sound:
        seen = {(clip.source, clip.start) for clip in film.clips if isinstance(clip, Picture)}
        for sound in film.sounds:
            if sound.gain.constant != 0 and sound.rate > 0:
                yield from _of_sound(sound, plan.sources[sound.source], (sound.source, sound.start) in seen)


def _of_file(source: Source) -> Iterator[str]:
    media = source.media
    if media.declared is not None and media.duration is not None:
        lengths = f"it ends after {float(media.duration):.1f} s of {float(media.declared):.1f} s"
        yield f"The media “{source.name}” is incomplete: {lengths}."
    if media.video and media.video.drops_alpha:
        yield f"The transparency of the media “{source.name}” is not drawn: FFmpeg reads no alpha of HEVC."
    if media.video and media.video.is_damaged:
        yield f"The media “{source.name}” is damaged: parts of it may be missing or look wrong."


def _of_sound(sound: Sound, source: Source, is_seen: bool) -> Iterator[str]:
    audio, video = source.media.audio, source.media.video
    if audio is None:
        if not is_seen:
            what = "a picture" if video and video.is_image else "a video without sound"
            yield f"“{sound.name}” is not heard: its file is {what}."
        return
    if audio.tracks > 1:
        which = f"number {audio.number + 1} of its file's {audio.tracks} sound tracks"
        yield f"Of “{sound.name}” only one sound track is heard, {which}."
    whole = source.media.duration
    end = audio.duration or whole
    if end is None or (is_seen and whole is not None and whole - end < _TOLERANCE_SECONDS):
        return  # the picture's warning says that the file is too short
    if sound.offset >= end:
        yield f"“{sound.name}” is not heard: it begins after the end of its file's sound ({float(end):.1f} s)."
    elif sound.offset + sound.length * sound.rate > end + _TOLERANCE_SECONDS:
        silent = sound.start + (end - sound.offset) / sound.rate
        yield f"“{sound.name}” is longer than its file's sound: it is silent from {float(silent):.1f} s on."


def of_damage(damage: Mapping[Path, int], sources: Mapping[str, Source]) -> Iterator[str]:
    """Yield a warning for each media with parts that FFmpeg could not decode, by the numbers of its complaints."""
    names = {source.path: source.name for source in sources.values() if not _is_still(source)}
    for path, count in Counter(damage).items():
        if path in names:
            times = "once" if count == 1 else f"{count} times"
            yield f"The media “{names[path]}” is damaged: FFmpeg could not decode it {times}."


def _is_still(source: Source) -> bool:
    return source.media.video is not None and source.media.video.is_image
