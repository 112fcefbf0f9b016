"""Compile the sound of a film: each sound at its place, its speed and its level, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from handlers.export.graph import dsl
from handlers.export.graph.dsl import Stream
from handlers.export.graph.expressions import TickRange, number
from handlers.export.graph.inputs import Cut, Inputs, Span
from handlers.export.graph.plan import Plan
from handlers.export.model import SAMPLE_RATE, STRAIGHT, Film, Sound
from listener.kit.media import Audio

_STEREO = {"sample_fmts": "fltp", "channel_layouts": "stereo"}


def sounds(plan: Plan, inputs: Inputs, cuts: Mapping[Span, Cut]) -> list[Stream]:
    """Place each sound that can be heard.

    Args:
        cuts: the inputs that the picture opened. A sound of the same span is read from the same input, so that its
            file is opened once; each input serves one sound.
    """
    unused = dict(cuts)
    return [placed(sound, plan.film, inputs, unused.pop(_span(sound), None)) for sound in plan.sounds]


def whole(plan: Plan, inputs: Inputs, streams: Sequence[Stream]) -> Stream:
    """Mix the streams, as long as the film is."""
    film = plan.film
    # Every film has a sound track: some players and platforms refuse films without.
    silence = f"anullsrc=r={SAMPLE_RATE}:cl=stereo"
    stream = together(streams) if streams else inputs.lavfi(silence).audio
    if len(streams) > 1 or any(sound.gain.largest > 1 or sound.sides != STRAIGHT for sound in film.sounds):
        stream = stream.filter("alimiter", level=0, latency=1)
    samples = film.samples
    return stream.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)


def together(streams: Sequence[Stream]) -> Stream:
    """Add the streams up; samples may go beyond full scale."""
    if len(streams) == 1:
        return streams[0]
    options = {"duration": "longest", "dropout_transition": 0, "normalize": 0}
    return dsl.merge(streams, "amix", inputs=len(streams), **options)


def placed(sound: Sound, film: Film, inputs: Inputs, cut: Cut | None = None, *, origin: int = 0) -> Stream:
    """Read one sound in stereo, after silence up to its place.

    Args:
        cut: an input that is open already at the sound's span; None opens one.
        origin: the sample of the film at which the stream begins.
    """
    first, end = film.sample(sound.start), film.sample(sound.end)
    stream = _stereo(sound, inputs, cut, end - first).filter("asetpts", "N/SR/TB")
    level = sound.gain.constant
    if level is None:  # changed sample by sample, because steps would be heard as a crackle
        gain = TickRange(Fraction(SAMPLE_RATE), sound.start, first, end).expression(
            sound.gain, f"(n+{first})"
        )
        stream = stream.filter("aeval", f"val(0)*{gain}|val(1)*{gain}", channel_layout="same")
    elif level != 1:
        stream = stream.filter("volume", level, precision="float")
    return delayed(stream, first - origin)


def delayed(stream: Stream, samples: int) -> Stream:
    """Put silence before a stream."""
    return stream.filter("adelay", f"{samples}S", all=1) if samples else stream


def _span(sound: Sound) -> Span:
    return Span(sound.source, sound.start, sound.offset, sound.length * sound.rate)


def _stereo(sound: Sound, inputs: Inputs, cut: Cut | None, samples: int) -> Stream:
    """Return `samples` samples, from the sound's first one on."""
    source, length = inputs.sources[sound.source], sound.length * sound.rate
    audio = source.media.audio
    if source.sound:
        cut = inputs.even_sound(source.sound, sound.offset, length)
        stream = in_stereo(cut.input.audio, None)
    else:
        cut = cut or inputs.cut(sound.source, sound.offset, length, vn=None)
        stream = in_stereo(cut.input.audio, audio)
    begin = round(cut.lead * SAMPLE_RATE)
    if sound.sides != STRAIGHT:
        mono = audio is not None and audio.channels == 1
        loudest = max(1.0, *map(sum, sound.sides)) if mono else 1.0
        left, right = (
            "+".join(f"{number(s / loudest)}*c{n}" for n, s in enumerate(side)) for side in sound.sides
        )
        stream = stream.filter("pan", args=f"stereo|c0={left}|c1={right}")
    if sound.rate == 1:
        return stream.filter("atrim", start_sample=begin, end_sample=begin + samples)
    return _paced(stream, sound, begin, samples)


def in_stereo(stream: Stream, audio: Audio | None) -> Stream:
    """Convert the sound of a file to stereo at `SAMPLE_RATE` from any layout of channels, with silence in its gaps."""
    if audio and (matrix := _matrix(audio)):
        stream = stream.filter("pan", matrix)
    stream = stream.filter("aresample", SAMPLE_RATE, **{"async": 1, "first_pts": 0})
    if audio is not None and audio.channels == 1:
        stream = stream.filter("pan", "stereo|c0<c0|c1<c0")  # plain upmixing is 3 dB quieter
    return stream.filter("aformat", **_STEREO)


def evened(stream: Stream, audio: Audio) -> Stream:
    """Convert a sound to stereo at `SAMPLE_RATE` by filters that can begin anew when its channels or rate change."""
    if matrix := _matrix(audio):
        stream = stream.filter("pan", matrix)
    # Plain upmixing of one channel is 3 dB quieter.
    stream = stream.filter("volume", "if(eq(nb_channels,1),sqrt(2),1)", precision="float")
    return stream.filter("aresample", SAMPLE_RATE).filter("aformat", channel_layouts="stereo")


def _matrix(audio: Audio) -> str | None:
    """Return how channels become stereo that FFmpeg can't downmix; None for layouts with names."""
    if audio.layout.startswith("ambisonic"):  # AmbiX: all around, and the difference of left and right
        return "stereo|c0=0.7*c0+0.7*c1|c1=0.7*c0-0.7*c1" if audio.channels > 1 else None
    if audio.channels > 2 and "channels" in audio.layout:  # nobody named them: they alternate
        sides = ("+".join(f"c{n}" for n in range(first, audio.channels, 2)) for first in (0, 1))
        return "stereo|c0<{}|c1<{}".format(*sides)
    return None


def _paced(stream: Stream, sound: Sound, begin: int, samples: int) -> Stream:
    """Return `samples` samples at another speed, from the one that is `begin` now."""
    early = round(_earliness(sound) * sound.rate * SAMPLE_RATE) if sound.keep_pitch else 0
    first, end = max(0, begin - early), begin + round(samples * sound.rate)
    stream = stream.filter("atrim", start_sample=first, end_sample=end).filter("asetpts", "N/SR/TB")
    if sound.keep_pitch:
        for step in _steps(sound):
            stream = stream.filter("atempo", f"{step:.9f}")
    else:
        stream = stream.filter("asetrate", round(SAMPLE_RATE * sound.rate)).filter("aresample", SAMPLE_RATE)
    stream = delayed(stream, round((early - begin + first) / sound.rate))
    return stream.filter("atrim", end_sample=samples)


def _steps(sound: Sound) -> list[float]:
    """Split the speed into factors from 0.5 to 2; beyond them `atempo` drops samples instead of blending them."""
    steps, left = [], float(sound.rate)
    while not 0.5 <= left <= 2:
        steps.append(2.0 if left > 1 else 0.5)
        left /= steps[-1]
    return [*steps, left]


def _earliness(sound: Sound) -> float:
    """Return how many seconds early `atempo` is, which builds its output from overlapping windows; measured."""
    early = 0.0
    for step in _steps(sound):
        early = (early + 0.009) / step
    return early
