"""Make a film in parts: the picture slice by slice, the sound group by group, and then all of it joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from handlers.export.graph.composition import Composition
from handlers.export.graph.encoding import Output
from handlers.export.graph.inputs import Source, seconds
from handlers.export.graph.picture import first_sample, joined, mixture, pictures
from handlers.export.model import Film, Sound, Text
from handlers.export.render import segments as slices
from handlers.export.settings import limits
from handlers.export.text import Raster
from listener.kit import ffmpeg, media
from listener.kit.media.probe_process import Reader

_JOINING = 3.0  # percent of the progress that are left when all slices are there


@dataclass(frozen=True, slots=True)
class Parts:
    """What all parts are made of, and where they go.

    Attributes:
        workdir: for what only this film needs.
        keep: for finished slices.
        by: who looks at slices.
    """

    film: Film
    sources: Mapping[str, Source]
    rasters: Mapping[Text, Raster]
    output: Output
    workdir: Path
    keep: Path
    by: Reader | None

    async def assemble(
        self,
        divided: Sequence[Composition],
        sounds: Sequence[Sound],
        target: Path,
        on_progress: Callable[[float, str | None], None] | None,
    ) -> None:
        """Makes the film at `target`.

        Args:
            divided: the slices.
            sounds: all that can be heard.
            on_progress: as for `render`.
        """
        mixtures: list[tuple[int, Path]] = []
        made: list[Path] = []
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._mix, sounds, mixtures)
                tasks.start_soon(self._film, divided, made, on_progress or (lambda percent, message: None))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        listed = self.keep / "slices.txt"
        lines = [
            f"file '{path.name}'\nduration {seconds((part.end - part.first) / self.film.fps)}\n"
            for part, path in zip(divided, made, strict=True)
        ]
        await anyio.Path(listed).write_text("".join(["ffconcat version 1.0\n", *lines]))
        command = joined(self.film, listed, mixtures, target, self.output)
        most = limits().max_output
        await ffmpeg.run(command, frames=self.film.frames, max_bytes=most, cwd=self.keep)
        if on_progress:
            on_progress(100.0, None)

    async def _film(
        self,
        divided: Sequence[Composition],
        made: list[Path],
        on_progress: Callable[[float, str | None], None],
    ) -> None:
        names = await to_thread.run_sync(slices.Names, self.sources, self.rasters)
        done = 0
        for number, part in enumerate(divided, 1):
            unfinished = self.keep / "slice.part"
            command = pictures(self.film, self.sources, self.rasters, part, unfinished, self.output)
            path = self.keep / f"{names.name(command)}.mp4"
            frames = part.end - part.first

            def report(
                percent: float, _: str | None, *, done: int = done, number: int = number, frames: int = frames
            ) -> None:
                whole = (done + frames * percent / 100) / self.film.frames
                on_progress((100 - _JOINING) * whole, f"part {number} of {len(divided)}")

            if not await anyio.Path(path).exists():
                most = limits().max_output
                await ffmpeg.run(command, frames=frames, on_progress=report, max_bytes=most, cwd=self.workdir)
                await self._check(unfinished, frames)
                await anyio.Path(unfinished).rename(path)
            made.append(path)
            done += frames

    async def _check(self, path: Path, frames: int) -> None:
        video = (await media.probe(path, count_frames=True, timeout=120, by=self.by)).video
        if video is None or video.frames != frames:
            found = video.frames if video else 0
            raise ffmpeg.FfmpegError(f"a part has {found} frames; {frames} were planned.", "incomplete")

    async def _mix(self, sounds: Sequence[Sound], made: list[tuple[int, Path]]) -> None:
        """Mixes the sounds in groups; `made` gets each mixture and the sample of the film at which it begins."""
        target = self.workdir / "sounds.wv"
        command = partial(mixture, self.film, self.sources, target=target)
        for number, group in enumerate(slices.groups(sounds, command)):
            path = self.workdir / f"sounds{number}.wv"
            await ffmpeg.run(mixture(self.film, self.sources, group, path), cwd=self.workdir)
            made.append((first_sample(self.film, group), path))
