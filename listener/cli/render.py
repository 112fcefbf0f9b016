"""`render`: a project file becomes a film, without a database."""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import anyio
import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from listener.cli.checkout import load
from listener.cli.show import console, plain
from listener.config import Settings
from listener.kit import fetch, ffmpeg

QUALITIES = ("low", "medium", "high", "very_high")


def _size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    if not (found := re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", value)):
        raise click.BadParameter(f"{value!r} is no size; write width and height in pixels, such as 1920x1080")
    return int(found[1]), int(found[2])


def _fps(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Fraction | None:
    if value is None:
        return None
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6}|/[1-9]\d{0,5})?", value):
        raise click.BadParameter(f"{value!r} is no frame rate; write one such as 30, 23.976 or 30000/1001")
    return Fraction(value)


@click.command()
@click.argument("project", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, metavar="FILM", help="The film, by its suffix .mp4 or .webm.",
              type=click.Path(dir_okay=False, path_type=Path))  # fmt: skip
@click.option("--size", metavar="WxH", callback=_size, help="Its pixels; the project's when left out.")
@click.option("--fps", callback=_fps, help="Its frames a second; the project's when left out.")
@click.option("--quality", type=click.Choice(QUALITIES), help="The project's, or high, when left out.")
@click.option("--poster", metavar="JPEG", help="Also make a still picture of it.",
              type=click.Path(dir_okay=False, path_type=Path))  # fmt: skip
@click.option("--media", metavar="FOLDER", help="Where its media lie; beside the project when left out.",
              type=click.Path(exists=True, file_okay=False, path_type=Path))  # fmt: skip
def render(
    project: Path,
    output: Path,
    size: tuple[int, int] | None,
    fps: Fraction | None,
    quality: str | None,
    poster: Path | None,
    media: Path | None,
) -> None:
    """Render a project file, without a database.

    PROJECT is what an editor saves or exports. Its media are https addresses, data: URLs, or paths of files, which
    lie in the project's own folder or in that of --media. An older FILM is replaced.
    """
    settings = Settings.load()
    fetch.trust(settings.trusted_hosts, only=settings.media_hosts_only)
    ffmpeg.limit_memory(settings.ffmpeg_memory_mb * 1024**2)
    render_file = load("handlers.export.local").render_file
    options = {"size": size, "fps": fps, "quality": quality, "still": poster, "folder": media}

    async def work() -> Any:
        columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=console(), disable=not sys.stdout.isatty(), transient=True) as bars:
            bar = bars.add_task("", total=100)
            return await render_file(
                project,
                output,
                on_progress=lambda percent, words: bars.update(
                    bar, completed=percent, description=words or ""
                ),
                **options,
            )

    made = anyio.run(work)
    for warning in made.warnings:
        click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {plain(warning)}", err=True)
    seconds, megabytes = float(made.duration), made.size / 1e6
    click.echo(f"{output}: {made.frames} frames, {seconds:.2f} s, {megabytes:.1f} MB")
