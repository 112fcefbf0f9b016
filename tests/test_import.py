"""Importing the reference application has no effect and needs no environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ("briefs", "clips", "export", "operations", "projects", "studio")
# Settings of every room and of the service, none of which can be read.
BROKEN = {
    "DATABASE_URL": "nonsense",
    "BRIEFS_RENDER": "a,b",
    "CLIPS_MAX_SECONDS": "-1",
    "CLIPS_PROVIDER": "nobody",
    "EXPORT_MAX_HOURS": "none",
    "STUDIO_TRANSCRIBER": "nobody",
    "MAX_CONCURRENT_JOBS": "-3",
}
READING = """
import sys
from listener.environment import Environment

def opened(event, args):
    if event == "open" and str(args[0]).rpartition("/")[2] in {".env", ".env.local"}:
        raise SystemExit(f"{args[0]} is read at import")

def load(cls, *args, **options):
    raise SystemExit(f"{cls.__name__} is read at import")

sys.addaudithook(opened)
Environment.load = classmethod(load)
import MODULE
"""


@pytest.mark.parametrize("module", ["handlers", *(f"handlers.{room}" for room in ROOMS)])
def test_importing_a_room_reads_no_environment(module: str, tmp_path: Path) -> None:
    program = READING.replace("MODULE", module)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1]), **BROKEN}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_broken_setting_is_named_when_the_app_is_loaded(tmp_path: Path) -> None:
    program = "import listener.app; listener.app.load('handlers:app')"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "BRIEFS_RENDER": "a,b",
    }
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "ConfigError: BRIEFS_RENDER" in ended.stderr
