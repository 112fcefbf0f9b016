"""The system calls of a whole export, in all its processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from listener.kit.sandbox.policy import PYTHON, SYSTEM

from . import corpus
from .conftest import JOB, USER
from .observer import Observer

ROOT = Path(__file__).parents[2]
STARTING = (
    "/proc",
    "/sys",
    "/dev",
    "/etc",
    "/run/systemd",
    "/nix",
    "/snap",
)  # what programs read when they start
PRIVATE = re.compile(
    r"/proc/(?!self|thread-self|sys/|meminfo|cpuinfo|stat|filesystems|mounts)|/etc/(shadow|ssh|ssl/private)"
)


def trace(folder: Path, storage: Path) -> tuple[str, list[str], list[str]]:
    """Export under strace: what it printed, the files that any process opened, its calls to an internet."""
    scratch, log = folder / "scratch", folder / "strace.log"
    scratch.mkdir()
    calls = "trace=connect,sendto,sendmsg,sendmmsg,bind,open,openat,openat2,creat"
    export = [sys.executable, "-m", "tests.hostile.exporting", str(storage), str(scratch)]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-s", "4096", "-e", calls, "-o", log, *export],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    lines = log.read_text(errors="replace").splitlines()
    opened = [
        match[1] for line in lines if (match := re.search(r'open(?:at2?)?\([^"]*"([^"]*)".*\) = \d+$', line))
    ]
    sent = [line for line in lines if "AF_INET" in line]
    return done.stdout.strip(), opened, sent


def outside(opened: list[str], *folders: Path) -> list[str]:
    allowed = [*folders, ROOT, *map(Path, (*SYSTEM, *PYTHON, *STARTING))]
    paths = {path for path in opened if path.startswith("/")}
    return sorted(
        path
        for path in paths
        if PRIVATE.match(path) or not any(Path(path).is_relative_to(place) for place in allowed)
    )


@pytest.mark.system
async def test_an_honest_export_opens_its_own_files_and_no_network(tmp_path: Path, good: corpus.Good) -> None:
    store = tmp_path / "storage" / "export_data" / USER
    (store / JOB).mkdir(parents=True)
    (store / "film.mp4").write_bytes(good.film)
    timeline = corpus.shows(f"{USER}/film.mp4")
    timeline["tracks"] += corpus.titles({"fontFamily": "Arial"}, {"content": "ünïcödé 中 🙂"})["tracks"]
    (store / JOB / "timeline.json").write_text(json.dumps(timeline))
    said, opened, sent = trace(tmp_path, tmp_path / "storage")
    assert said.endswith("completed")
    assert any(path.startswith(str(tmp_path / "scratch")) for path in opened)
    assert outside(opened, tmp_path / "scratch", tmp_path / "storage") == []
    assert sent == []


@pytest.mark.system
async def test_a_hostile_export_opens_no_more(tmp_path: Path, seen: Observer, good: corpus.Good) -> None:
    """All that pretends to be media at once: each is fetched and probed before the first is refused."""
    documents = [*corpus.references(seen.folder, seen.port), *corpus.bombs(good)]
    timeline = corpus.shows("")
    element, timeline["mediaItems"] = timeline["tracks"][0]["elements"][0], {}
    timeline["tracks"][0]["elements"] = [{**element, "mediaId": str(n)} for n in range(len(documents))]
    store = tmp_path / "storage" / "export_data" / USER
    (store / JOB).mkdir(parents=True)
    for number, (_, content) in enumerate(documents):
        (store / f"{number}.mp4").write_bytes(content)
        url = f"{USER}/{number}.mp4"
        timeline["mediaItems"][str(number)] = {"type": "video", "name": "clip", "url": url}
    (store / JOB / "timeline.json").write_text(json.dumps(timeline))
    said, opened, sent = trace(tmp_path, tmp_path / "storage")
    assert "can't be used" in said
    assert outside(opened, tmp_path / "scratch", tmp_path / "storage") == []
    assert sent == []
    assert (seen.connections, seen.opened()) == (0, [])
