"""Run the real export on files and timelines that were made to break it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from handlers.export import handler, settings
from listener import Fail, Job
from listener.database.model import Delivery
from listener.kit import media, storage
from listener.kit.sandbox import policy as confinement

from . import corpus
from .observer import Observer, observe

USER, JOB = "11111111-aaaa-4aaa-8aaa-111111111111", "22222222-bbbb-4bbb-8bbb-222222222222"
ROW = {"id": JOB, "user_id": USER, "width": 320, "height": 180, "fps": 30, "duration": 0}


class Silence:
    """A listener that ignores the progress of a job."""

    def progress(self, delivery: Delivery, percent: float | None, message: str | None) -> None:
        pass

    async def write(self, verb: str, delivery: Delivery, item: Mapping[str, Any]) -> None:
        pass


@dataclass(frozen=True)
class Outcome:
    """The end of an export.

    Attributes:
        error: the sentence for the user; empty where a film was made.
        film: what the film holds.
        warnings: those of the job.
    """

    error: str
    film: media.Media | None
    warnings: tuple[str, ...]


Export = Callable[..., Awaitable[Outcome]]


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> corpus.Good:
    """Honest media, to be made dishonest."""
    return corpus.make_good(tmp_path_factory.mktemp("good"))


@pytest.fixture(autouse=True)
def _own_limits() -> Iterator[None]:
    settings.limits.cache_clear()
    yield
    settings.limits.cache_clear()


@pytest.fixture
async def seen(good: corpus.Good, tmp_path: Path) -> AsyncIterator[Observer]:
    """The observer; its folder has a film and a text that nobody may read."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret.mp4").write_bytes(good.film)
    (folder / "secret.txt").write_text("the secret")
    async with observe(folder) as seen:
        yield seen


@pytest.fixture
async def export(seen: Observer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Export]:
    """Exports a timeline with `files` as its media, and makes sure that nothing happened that must not.

    `files` are by the keys that stand for them in the timeline, in the user's folder of the storage.
    """
    workdirs = tmp_path / "scratch"
    workdirs.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(workdirs))
    store = storage.LocalStorage(tmp_path / "storage", "http://127.0.0.1:3001")
    storage.use(store)

    async def export(timeline: object, files: Mapping[str, bytes] | None = None, **row: object) -> Outcome:
        for name, content in {**(files or {}), "timeline.json": corpus.text(timeline)}.items():
            (tmp_path / "upload").write_bytes(content)
            key = f"{USER}/{JOB}/{name}" if name == "timeline.json" else f"{USER}/{name}"
            await store.upload("export_data", tmp_path / "upload", key)
        job = a_job(**row)
        del seen.files[:]
        try:
            await handler.export(job)
            error = ""
        except Fail as fail:
            error = str(fail)
        finally:
            found = list(seen.files)
            job._clean_up()
        assert seen.addresses == []
        check_opened(found, workdirs, tmp_path / "storage")
        for place in ("scratch", "storage"):
            assert str(tmp_path / place) not in error + " ".join(job.warnings)
        assert len(error) < 1000
        made = await _newest(store, tmp_path) if not error else None
        return Outcome(error, made, tuple(job.warnings))

    yield export
    assert (seen.connections, seen.addresses) == (0, [])
    assert [path for path in workdirs.rglob("*") if not path.name.startswith("listener-resume-")] == []


async def _newest(store: storage.LocalStorage, folder: Path) -> media.Media:
    (film,) = (folder / "storage" / "exports").rglob("export*.mp4")
    found = await media.probe(film, count_frames=True)
    film.unlink()
    return found


def a_job(**row: object) -> Job:
    delivery = Delivery(
        id=1,
        queue="export",
        key=JOB,
        fence=1,
        attempt=1,
        max_attempts=3,
        row={**ROW, **row},
        reached=None,
        saved=None,
        snoozes=0,
        waited=0,
        late=0,
        origin="insert",
    )
    return Job(delivery, Silence())


def check_opened(files: list[str], *folders: Path) -> None:
    """Check that the service opened nothing but its scratch, its storage, programs and fonts."""
    root = Path(__file__).parents[2]
    allowed = [*folders, *map(Path, ("/usr", "/proc", "/dev", "/System", "/Library", "/etc/fonts"))]
    allowed += [root / "handlers", root / "listener", root / "sql", root / ".venv", Path.home() / ".fonts"]
    allowed += [Path(path) for path in confinement.PYTHON]
    outside = [
        path
        for path in files
        if Path(path).is_absolute() and not any(Path(path).is_relative_to(place) for place in allowed)
    ]
    assert outside == []
