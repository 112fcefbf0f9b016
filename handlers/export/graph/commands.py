"""Compile a plan into the arguments of each FFmpeg run: a whole film, a segment, a mixture, the joining, a poster."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from handlers.export.graph import colour, dsl, encoding, mix
from handlers.export.graph.composition import Composition
from handlers.export.graph.expressions import seconds
from handlers.export.graph.inputs import Inputs
from handlers.export.graph.picture import picture
from handlers.export.graph.plan import Plan
from handlers.export.model import SAMPLE_RATE, Rendered, Sound, Source
from listener.kit.media import Audio

_POSTER_CHOICE = 60  # the most frames among which `thumbnail` chooses the most typical one


def whole_film(plan: Plan, target: Path, still: Path | None = None) -> list[str]:
    """Return the arguments that make all of a film in one run.

    Args:
        still: where to put a JPEG of the frame a third into the film, which costs nearly nothing on the way.
    """
    film, inputs = plan.film, Inputs(plan.sources, plan.guards)
    seen = picture(plan, plan.composition, inputs)
    streams, posters = [seen.stream], []
    if still:
        film_stream, still_stream = seen.stream.split(2)
        streams = [film_stream]
        # This output ends with that frame: if it waited for more, FFmpeg would read the sound too late.
        chosen = still_stream.filter("trim", start_frame=film.frames // 3, end_frame=film.frames // 3 + 1)
        posters = [dsl.output([colour.jpeg(chosen)], f"file:{still}", **encoding.STILL, vframes=1)]
    if plan.output.sound:
        streams.append(mix.whole(plan, inputs, mix.sounds(plan, inputs, seen.cuts)))
    made = dsl.output(streams, str(target), **encoding.whole(plan.output, film))
    return dsl.arguments(made, *posters)


def segment(plan: Plan, part: Composition, target: Path) -> list[str]:
    """Return the arguments that make some frames of a film, without sound."""
    seen = picture(plan, part, Inputs(plan.sources, plan.guards))
    options = encoding.segment(plan.output, plan.film, part.end - part.first)
    return dsl.arguments(dsl.output([seen.stream], str(target), **options))


def mixture(plan: Plan, sounds: Sequence[Sound], target: Path) -> list[str]:
    """Return the arguments that mix some sounds of a film into a file that begins at `first_sample`."""
    inputs, origin = Inputs(plan.sources, plan.guards), first_sample(plan, sounds)
    stream = mix.together([mix.placed(sound, plan.film, inputs, origin=origin) for sound in sounds])
    return dsl.arguments(dsl.output([stream], str(target), acodec="wavpack", ar=SAMPLE_RATE, format="wv"))


def even_sound(
    source: Source, audio: Audio, guards: Sequence[str], length: Fraction, target: Path
) -> list[str]:
    """Return the arguments that write the first `length` seconds of a source's sound as `Source.sound` wants it."""
    opened = Inputs({}, guards).source(source, vn=None, t=seconds(length))
    options: dict[str, object] = {"acodec": "flac", "sample_fmt": "s32", "format": "matroska"}
    return dsl.arguments(dsl.output([mix.evened(opened.audio, audio)], str(target), **options))


def first_sample(plan: Plan, sounds: Sequence[Sound]) -> int:
    """Return the sample of the film at which the first of some sounds begins."""
    return min(plan.film.sample(sound.start) for sound in sounds)


def joined(plan: Plan, segments: Path, mixtures: Sequence[tuple[int, Path]], target: Path) -> list[str]:
    """Return the arguments that join the segments of a film and mix its sounds to them.

    Args:
        segments: their list, in the format of FFmpeg's demuxer `concat`.
        mixtures: the files, and the samples of the film at which they begin.
    """
    inputs = Inputs(plan.sources, plan.guards)
    streams = [inputs.own(segments, format="concat", safe=0).video]
    if plan.output.sound:
        sounds = [mix.delayed(inputs.own(path).audio, sample) for sample, path in mixtures]
        streams.append(mix.whole(plan, inputs, sounds))
    return dsl.arguments(dsl.output(streams, str(target), **encoding.joined(plan.output)))


def poster(film: Rendered, target: Path, at: Fraction | None = None) -> list[str]:
    """Return the arguments that make a JPEG of a finished film.

    Args:
        at: seconds into the film; None chooses a frame that looks like those around it, a third into the film.
    """
    last = film.duration * Fraction(film.frames - 1, film.frames)
    moment = film.duration / 3 if at is None else at
    # Half a frame earlier, because a seek lands on the first frame that is not before the time.
    time = max(Fraction(0), min(moment, last) - film.duration / film.frames / 2)
    convert = "scale=in_color_matrix=bt709:in_range=tv:out_color_matrix=bt601:out_range=pc,format=yuvj420p"
    filters = (
        convert if at is not None else f"thumbnail={min(_POSTER_CHOICE, film.frames // 10 + 2)},{convert}"
    )
    source = ["-ss", seconds(time), "-i", f"file:{film.path}", "-map", "0:v"]
    still = ["-vf", filters, "-frames:v", "1", "-q:v", "3", "-f", "image2", "-update", "1"]
    return [*source, *still, f"file:{target}"]
