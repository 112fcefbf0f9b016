"""The handler as the service calls it, with a row and a storage."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from handlers.export import FilmError, handler, outcomes
from handlers.export.model import RenderError
from handlers.export.sample import make_sample
from listener import Fail, Job, Retry, Snooze
from listener.database.model import Delivery
from listener.kit import media, storage
from listener.kit.ffmpeg import FfmpegError
from tests.support.timelines import Json, text, timeline, track
from tests.support.timelines import media as clip

USER, JOB = "11111111-aaaa-4aaa-8aaa-111111111111", "22222222-bbbb-4bbb-8bbb-222222222222"
ROW = {"id": JOB, "user_id": USER, "width": 320, "height": 180, "fps": 30, "duration": 0}


class Diary:
    """Records a job's progress and checkpoints."""

    def __init__(self) -> None:
        self.percents: list[float] = []
        self.saved: list[Any] = []

    def progress(self, delivery: Delivery, percent: float | None, message: str | None) -> None:
        self.percents.append(percent or 0)

    async def write(self, verb: str, delivery: Delivery, item: Mapping[str, Any]) -> None:
        assert verb == "checkpoint", f"an export has no {verb}"
        self.saved.append(item["value"])


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TEMP_DIR of this test alone."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TEMP_DIR", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture
def store(tmp_path: Path) -> storage.LocalStorage:
    local = storage.LocalStorage(tmp_path / "storage", "http://127.0.0.1:3001")
    storage.use(local)
    return local


@pytest.fixture
def diary() -> Diary:
    return Diary()


def a_job(
    diary: Diary, *, fence: int = 1, saved: Any = None, snoozes: int = 0, waited: float = 0, **row: object
) -> Job:
    delivery = Delivery(
        id=1,
        queue="export",
        key=JOB,
        fence=fence,
        attempt=1,
        max_attempts=3,
        row={**ROW, **row},
        reached=None,
        saved=saved,
        snoozes=snoozes,
        waited=waited,
        late=0,
        origin="insert",
    )
    return Job(delivery, diary)


@contextmanager
def closing(job: Job) -> Iterator[Job]:
    try:
        yield job
    finally:
        job._clean_up()


@pytest.fixture
def job(diary: Diary) -> Iterator[Job]:
    with closing(a_job(diary)) as job:
        yield job


async def put(store: storage.LocalStorage, document: object, folder: Path, key: str | None = None) -> None:
    file = folder / "upload.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    await store.upload("export_data", file, key or f"{USER}/{JOB}/timeline.json")


async def test_a_row_becomes_a_film_with_a_signed_address(
    store: storage.LocalStorage, job: Job, diary: Diary, tmp_path: Path
) -> None:
    sample = await make_sample(tmp_path, prefix=f"{USER}/media/")
    for file in sample.files:
        await store.upload("export_data", file, f"{USER}/media/{file.name}")
    await put(store, sample.timeline, tmp_path)
    done = await handler.export(job)

    film = await store.download("exports", f"{USER}/{JOB}/export-1.mp4", tmp_path)
    made = await media.probe(film, count_frames=True)
    assert made.video is not None
    assert (made.video.width, made.video.height, made.video.frames) == (320, 180, 14 * 30)
    assert done["download_url"].startswith(
        f"http://127.0.0.1:3001/storage/exports/{USER}/{JOB}/export-1.mp4?"
    )
    with Image.open(await store.download("exports", f"{USER}/{JOB}/poster.jpg", tmp_path)) as poster:
        assert poster.size == (320, 180)
    assert diary.percents == sorted(diary.percents)
    assert diary.percents[-1] == 95
    assert [warning for warning in job.warnings if "is not installed" not in warning] == []


async def test_the_project_or_the_row_chooses_what_is_made(
    store: storage.LocalStorage, diary: Diary, tmp_path: Path
) -> None:
    document = timeline(track("text", text("hi", 0, 0.2)))
    document["exportOptions"] = {"format": "webm", "quality": "low", "includeAudio": False}
    await put(store, document, tmp_path)
    with closing(a_job(diary, format=None, quality="medium")) as job:
        await handler.export(job)

    made = await media.probe(await store.download("exports", f"{USER}/{JOB}/export-1.webm", tmp_path))
    assert made.video is not None
    assert (made.video.codec, made.audio) == ("vp9", None)


async def test_an_attempt_overwrites_no_other_and_the_last_one_remains(
    store: storage.LocalStorage, diary: Diary, tmp_path: Path
) -> None:
    await put(store, timeline(track("text", text("hi", 0, 0.2))), tmp_path)
    for fence in (4, 9):
        with closing(a_job(diary, fence=fence, saved=(diary.saved or [None])[-1])) as job:
            await handler.export(job)

    assert await store.keys("exports", f"{USER}/{JOB}") == [
        f"{USER}/{JOB}/export-4.mp4",  # the same film, to the byte: its upload went on under its name
        f"{USER}/{JOB}/poster.jpg",
    ]


@pytest.mark.parametrize("key", handler.TIMELINE_KEYS)
async def test_the_timeline_is_found_wherever_the_application_puts_it(
    key: str, store: storage.LocalStorage, job: Job, tmp_path: Path
) -> None:
    short = timeline(track("text", text("hi", 0, 0.2)))
    await put(store, short, tmp_path, key.format(user_id=USER, job_id=JOB))

    assert "download_url" in await handler.export(job)


@pytest.mark.parametrize(("snoozes", "delay"), [(0, 0.5), (1, 1), (2, 2), (6, 32), (7, 60), (5000, 60)])
async def test_a_timeline_that_is_not_there_yet_is_waited_for(
    snoozes: int, delay: float, store: storage.LocalStorage, diary: Diary
) -> None:
    with closing(a_job(diary, snoozes=snoozes, waited=119)) as job, pytest.raises(Snooze) as caught:
        await handler.export(job)

    assert caught.value.delay == delay


async def test_what_is_finished_of_a_film_is_kept_until_the_job_ends(
    store: storage.LocalStorage, diary: Diary, scratch: Path, tmp_path: Path
) -> None:
    await put(store, timeline(track("text", text("hi", 0, 0.2))), tmp_path)
    root = scratch / f"listener-resume-{os.getuid()}"
    (tmp_path / "storage/exports").write_text("no folder")  # so that nothing can be uploaded
    with closing(a_job(diary)) as job, pytest.raises(Retry):
        await handler.export(job)
    assert len(list(root.iterdir())) == 1

    (tmp_path / "storage/exports").unlink()
    with closing(a_job(diary)) as job:
        await handler.export(job)
    assert list(root.iterdir()) == []


async def test_a_timeline_that_never_comes_fails(store: storage.LocalStorage, diary: Diary) -> None:
    with closing(a_job(diary, waited=121)) as job, pytest.raises(Fail, match="not uploaded in 2 minutes"):
        await handler.export(job)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("{", "The timeline is not valid JSON"),
        ({"tracks": []}, "The timeline has nothing to show or play"),
        (timeline(track("text", text("x", float("nan"), 1, name="Intro"))), "'startTime' of “Intro”"),
        (timeline(track("media", clip("a", 0, 1))), "“a” uses the media “a”, which is not in 'mediaItems'"),
        (
            timeline(track("media", clip("a", 0, 1)), items={"a": "video"}),
            "The media “a” does not lie in this user's",
        ),
        (
            {**timeline(track("text", text("hi", 0, 1))), "exportOptions": {"quality": "ultra"}},
            "The option 'quality' is 'ultra'; it may be low or medium or high or very_high.",
        ),
        (
            {**timeline(track("text", text("hi", 0, 1))), "includeAudio": 1},
            "The option 'includeAudio' is '1'; it may be true or false.",
        ),
    ],
)
async def test_a_bad_timeline_fails_with_a_sentence(
    document: Json | str, sentence: str, store: storage.LocalStorage, job: Job, tmp_path: Path
) -> None:
    await put(store, document, tmp_path)

    with pytest.raises(Fail, match=sentence):
        await handler.export(job)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"width": 0}, "0 × 180 pixels"),
        ({"height": 99_999}, "320 × 99999 pixels"),
        ({"fps": 0}, "0 frames a second"),
        ({"fps": None}, "The column fps must hold a whole number"),
    ],
)
async def test_a_bad_row_fails_with_a_sentence(
    row: Json, sentence: str, store: storage.LocalStorage, diary: Diary, tmp_path: Path
) -> None:
    await put(store, timeline(track("text", text("hi", 0, 1))), tmp_path)

    with closing(a_job(diary, **row)) as job, pytest.raises(Fail, match=sentence):
        await handler.export(job)


@pytest.mark.parametrize(
    ("error", "outcome", "sentence"),
    [
        (FilmError("no clips."), Fail, r"no clips\."),
        (FfmpegError("x.", reason="exit"), Fail, r"The film could not be rendered: x\."),
        (FfmpegError("x.", reason="memory"), Retry, r"The film could not be rendered: x\."),
        (
            FfmpegError("x.", reason="size"),
            Fail,
            r"The film would be too large; the limit is 8192 MB \(EXPORT_MAX_OUTPUT_MB\)\.",
        ),
        (RenderError("short."), Retry, r"short\."),
    ],
)
def test_errors_of_a_film_become_outcomes(error: Exception, outcome: type[Exception], sentence: str) -> None:
    with pytest.raises(outcome, match=sentence), outcomes():
        raise error
