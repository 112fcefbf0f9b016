"""Checks of this machine: FFmpeg, and the folders that jobs write to."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from listener.cli.doctor.finding import Finding, bad, doubtful, good
from listener.config import Settings
from listener.kit import ffmpeg
from listener.kit.sandbox.selftest import open_ways

ENCODERS = ("libx264", "aac")
FONTS = {".ttf", ".otf", ".ttc"}
LITTLE_SPACE = 2 * 1024**3  # bytes; a film needs a few times its size while it is rendered


async def check_machine(settings: Settings) -> AsyncIterator[Finding]:
    """Check the programs and folders that handlers need."""
    yield await _check_ffmpeg()
    yield await _check_confinement()
    yield _check_fonts()
    scratch = settings.temp_dir or Path(tempfile.gettempdir())
    yield _check_folder("scratch", scratch, "TEMP_DIR")
    if settings.storage_dir:
        yield _check_folder("storage", settings.storage_dir, "STORAGE_DIR")


async def _check_ffmpeg() -> Finding:
    try:
        program = ffmpeg.binary()
        run = await anyio.run_process([str(program), "-hide_banner", "-version"])
        encoders = await anyio.run_process([str(program), "-hide_banner", "-encoders"])
    except ffmpeg.FfmpegError as error:
        return doubtful(
            "ffmpeg", "there is no ffmpeg, so handlers can neither write nor read films", str(error)
        )
    except (OSError, subprocess.CalledProcessError) as error:
        return doubtful(
            "ffmpeg", f"it does not start: {error}", "Install another one, or set LISTENER_FFMPEG."
        )
    version = re.search(r"version (\S+)", run.stdout.decode(errors="replace"))
    known = set(re.findall(r"^ [A-Z.]{6} (\S+)", encoders.stdout.decode(errors="replace"), re.MULTILINE))
    if missing := [name for name in ENCODERS if name not in known]:
        return doubtful(
            "ffmpeg",
            f"{program} has no encoder {', '.join(missing)}, so it can't write MP4 films",
            "Install a full build, or run `pip install imageio-ffmpeg` and remove the other one from the PATH.",
        )
    return good("ffmpeg", f"{version[1] if version else '?'} at {program}, with {' and '.join(ENCODERS)}")


async def _check_confinement() -> Finding:
    if not (ways := await open_ways()):
        return good(
            "confinement",
            "ffmpeg has no network and no sockets, opens only the files of its job, and changes no modes",
        )
    fix = (
        "Use Linux 6.7 or newer with Landlock and seccomp, or allow the service to create network namespaces."
    )
    return doubtful("confinement", f"a compromised ffmpeg could {' and '.join(ways)} of this machine", fix)


def _check_fonts() -> Finding:
    home = Path.home()
    folders = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("/Library/Fonts"), home / "Library/Fonts",
               home / ".fonts", home / ".local/share/fonts"]  # fmt: skip
    found = sum(path.suffix.lower() in FONTS for folder in folders for path in folder.rglob("*"))
    if not found:
        fix = "On Debian: apt install fonts-dejavu-core fonts-noto-core fonts-noto-color-emoji"
        return doubtful(
            "fonts", "the system has no fonts, so only the bundled fonts of the handlers are used", fix
        )
    return good("fonts", f"{found} files")


def _check_folder(check: str, folder: Path, setting: str) -> Finding:
    # A folder is created on first use, so the nearest existing parent is checked.
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        fix = f"Let this user write there, or set {setting} to another folder."
        return bad(check, f"{folder} can't be written to ({error.strerror})", fix)
    space = f"{free / 1024**3:.1f} GiB free"
    if free < LITTLE_SPACE:
        return doubtful(
            check, f"only {space} in {folder}", f"Free some space, or set {setting} to a larger disk."
        )
    return good(check, f"{folder}, {space}")
