"""The plan of a film: everything from which FFmpeg's arguments are compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from handlers.export.graph.composition import Composition, compose
from handlers.export.graph.geometry import box, plain
from handlers.export.model import Film, FilmError, Output, Picture, Sound, Source, Text
from handlers.export.text import Raster
from listener.kit.media import Video


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything from which the arguments of a film's FFmpeg runs are made; `make_plan` makes it.

    Attributes:
        sources: media files by the ids that the film's clips name.
        rasters: the drawn texts; a text that is missing here is not seen.
        output: how the film is encoded.
        guards: FFmpeg's options for each input that somebody else made, as `listener.kit.ffmpeg.input_options`.
        composition: the ground and the overlays of the whole film.
    """

    film: Film
    sources: Mapping[str, Source]
    rasters: Mapping[Text, Raster]
    output: Output
    guards: Sequence[str]
    composition: Composition

    @property
    def sounds(self) -> list[Sound]:
        """The sounds that can be heard."""
        if not self.output.sound:
            return []
        return [sound for sound in self.film.sounds if _is_heard(sound, self.sources[sound.source])]


def make_plan(
    film: Film,
    sources: Mapping[str, Source],
    rasters: Mapping[Text, Raster],
    output: Output,
    guards: Sequence[str],
) -> Plan:
    """Compose a film and return its plan.

    Raises:
        FilmError: a clip needs pictures that its source doesn't have.
    """

    def place(clip: Picture) -> tuple[bool, bool]:
        video = video_of(clip, sources)
        if video.has_alpha or not plain(clip.placement):
            return False, False
        return True, box(film, clip.placement, natural_size(clip, video, film), even=True).fills(film)

    def grounds(clip: Picture) -> bool:
        # Older FFmpegs turn the colour of `pad` into YUV by bt601; greys are the same in every matrix.
        opaque, fills = place(clip)
        return fills or (opaque and len(set(film.background)) == 1)

    composition = compose(film, fills=lambda clip: place(clip)[1], grounds=grounds)
    return Plan(film, sources, rasters, output, guards, composition)


def video_of(clip: Picture, sources: Mapping[str, Source]) -> Video:
    """Return the pictures of a clip's source.

    Raises:
        FilmError: it has none.
    """
    video = sources[clip.source].media.video
    if video is None:
        raise FilmError(f"“{clip.name}” should be seen, but its file holds no pictures.")
    return video


def natural_size(clip: Picture, video: Video, film: Film) -> tuple[Fraction, Fraction]:
    """Return how large a picture is at scale 1, in pixels of the film."""
    if clip.fit == "cover":
        return Fraction(film.width), Fraction(film.height)
    width = video.width * video.pixel_aspect
    scale = min(film.width / width, Fraction(film.height, video.height))
    return width * scale, video.height * scale


def _is_heard(sound: Sound, source: Source) -> bool:
    duration = source.media.duration
    reached = duration is None or sound.offset < duration
    return source.media.audio is not None and reached and sound.rate > 0 and sound.gain.constant != 0
