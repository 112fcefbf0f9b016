"""The command `listener render`: render a project file, without a database."""

from __future__ import annotations

import re
import sys
from collections.abc import Coroutine
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import get_args

import anyio
import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from handlers.export.local import render_file
from handlers.export.model import Quality, Rendered
from listener.kit.configured import configure
from listener.kit.settings import Settings


def _size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    if not (found := re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", value)):
        raise click.BadParameter(
            f"{value!r} is not a size; write width and height in pixels, such as 1920x1080"
        )
    return int(found[1]), int(found[2])


def _fps(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Fraction | None:
    if value is None:
        return None
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6}|/[1-9]\d{0,5})?", value):
        raise click.BadParameter(f"{value!r} is not a frame rate; write one such as 30, 23.976 or 30000/1001")
    return Fraction(value)


@click.command()
@click.argument("project", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, metavar="FILM", help="The film; its suffix is .mp4 or .webm.",
              type=click.Path(dir_okay=False, path_type=Path))  # fmt: skip
@click.option("--size", metavar="WxH", callback=_size, help="Its pixels. Default: the project's.")
@click.option("--fps", callback=_fps, help="Its frames a second. Default: the project's.")
@click.option("--quality", type=click.Choice(get_args(Quality)), help="Default: the project's, or high.")
@click.option("--poster", metavar="JPEG", help="Also make a still picture of the film.",
              type=click.Path(dir_okay=False, path_type=Path))  # fmt: skip
@click.option("--media", metavar="FOLDER", help="The folder of its media. Default: the project's folder.",
              type=click.Path(exists=True, file_okay=False, path_type=Path))  # fmt: skip
def render(
    project: Path,
    output: Path,
    size: tuple[int, int] | None,
    fps: Fraction | None,
    quality: Quality | None,
    poster: Path | None,
    media: Path | None,
) -> None:
    """Render a project file without a database.

    PROJECT is a file that an editor saved or exported. Its media are https addresses, data: URLs, or paths of files
    in the project's folder or the folder of --media. An older FILM is replaced.
    """
    configure(Settings.load())
    work = partial(
        render_file, project, output, size=size, fps=fps, quality=quality, still=poster, folder=media
    )
    made = anyio.run(_with_progress, work)
    for warning in made.warnings:
        click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {_printable(warning)}", err=True)
    seconds, megabytes = float(made.duration), made.size / 1e6
    click.echo(f"{output}: {made.frames} frames, {seconds:.2f} s, {megabytes:.1f} MB")


async def _with_progress(work: partial[Coroutine[object, object, Rendered]]) -> Rendered:
    columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, disable=not sys.stdout.isatty(), transient=True) as bars:
        bar = bars.add_task("", total=100)

        def show(percent: float, message: str | None) -> None:
            bars.update(bar, completed=percent, description=message or "")

        return await work(on_progress=show)


def _printable(text: str) -> str:
    """Remove control characters: a project's names must not steer the user's terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
