"""Scratch folders go with their process, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from listener.engine.scratch import scratch_folder
from listener.errors import ConfigError

HOLD = """
import pathlib, sys, time
from listener.engine.scratch import scratch_folder
with scratch_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "film.mp4").write_text("half")
    print(folder, flush=True)
    sys.stdin.read()
"""


def held(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str], how: int) -> None:
    process.send_signal(how)
    process.communicate()


def test_it_goes_with_what_is_in_it(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        (folder / "job-1").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_has_is_not(tmp_path: Path) -> None:
    killed, left = held(tmp_path)
    alive, kept = held(tmp_path)
    end(killed, signal.SIGKILL)
    assert (left / "film.mp4").exists()
    with scratch_folder(tmp_path) as own:
        assert set(tmp_path.iterdir()) == {kept, own}
    end(alive, signal.SIGTERM)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't write .*missing.* set TEMP_DIR"):  # noqa: SIM117
        with scratch_folder(tmp_path / "missing"):
            pass
