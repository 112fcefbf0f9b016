"""Probing: what files say about themselves, and what hostile files don't get to do."""

from __future__ import annotations

import os
import signal
import struct
import zlib
from contextlib import closing, suppress
from fractions import Fraction
from pathlib import Path

import anyio
import psutil
import pytest
from PIL import Image

from listener.kit import media
from listener.kit.media import Audio, Media, MediaError, Video, probe_process
from listener.kit.media._probe_main import _names_alpha
from tests.support.harness import until

from .conftest import copy, make


async def test_a_film(film: Path) -> None:
    found = await media.probe(film)
    assert found.format == "mov,mp4,m4a,3gp,3g2,mj2"
    assert found.duration == 3
    assert found.audio == Audio(codec="aac", rate=44100, channels=1, duration=Fraction(3), layout="mono")
    assert found.video == Video(
        width=320,
        height=240,
        rotation=0,
        pixel_aspect=Fraction(1),
        fps=Fraction(30),
        frames=90,
        pix_fmt="yuv420p",
        has_alpha=False,
        is_image=False,
        codec="h264",
        matrix=None,
        full_range=None,
        last=Fraction(89, 30),
    )


async def test_a_picture_with_alpha_is_a_still(media_folder: Path) -> None:
    found = await media.probe(media_folder / "picture.png")
    assert found.video is not None
    assert (found.format, found.duration, found.audio) == ("png_pipe", None, None)
    assert (found.video.width, found.video.height) == (64, 48)
    assert (found.video.is_image, found.video.has_alpha) == (True, True)
    assert (found.video.fps, found.video.frames) == (None, 1)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("webm", "libvpx")])
async def test_it_is_known_when_frames_stay_long(suffix: str, codec: str, tmp_path: Path) -> None:
    source = "-f lavfi -i testsrc=s=64x64:r=20:d=3.3 -fps_mode vfr"
    path = make(tmp_path / f"screen.{suffix}", f"{source} -c:v {codec} -vf \"select='lt(t,1)+gte(t,2)'\"")
    video = (await media.probe(path)).video
    assert video
    assert video.last == pytest.approx(3.25, abs=0.002)
    ((begin, end),) = video.pauses
    assert (begin, end) == pytest.approx((0.95, 2), abs=0.002)


async def test_a_gif_moves(media_folder: Path) -> None:
    found = await media.probe(media_folder / "moving.gif")
    assert found.video is not None
    assert (found.video.is_image, found.video.frames, found.video.fps) == (False, 10, Fraction(10))


async def test_sound_that_no_decoder_knows_is_a_sentence(media_folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.wav"
    make(odd, f"-i {media_folder / 'sound.mp3'} -c:a pcm_s16le")
    wave = bytearray(odd.read_bytes())
    wave[20:22] = b"\xff\x7f"  # the tag of its format
    odd.write_bytes(wave)
    with pytest.raises(MediaError, match=r"^odd\.wav holds sound in an unknown codec"):
        await media.probe(odd)


async def test_sound_with_cover_art_has_no_video(media_folder: Path, tmp_path: Path) -> None:
    sound, cover = media_folder / "sound.mp3", media_folder / "picture.png"
    options = "-map 0 -map 1 -c copy -disposition:v attached_pic"
    covered = make(tmp_path / "covered.mp3", f"-i {sound} -i {cover} {options}")
    found = await media.probe(covered)
    assert found.video is None
    assert found.audio is not None
    assert (found.audio.codec, found.audio.rate, found.audio.channels) == ("mp3", 44100, 1)
    assert found.duration == pytest.approx(2.0, abs=0.06)


async def test_size_is_as_shown_after_rotation(film: Path, tmp_path: Path) -> None:
    found = await media.probe(_turned_clockwise(film, tmp_path / "turned.mp4"))
    assert found.video is not None
    assert (found.video.rotation, found.video.width, found.video.height) == (90, 240, 320)


async def test_a_photograph_is_turned_by_its_exif(tmp_path: Path) -> None:
    photo = Image.new("RGB", (40, 20), "red")
    exif = photo.getexif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to show
    photo.save(tmp_path / "photo.jpg", exif=exif)
    found = await media.probe(tmp_path / "photo.jpg")
    assert found.video is not None
    assert (found.video.rotation, found.video.width, found.video.height) == (90, 20, 40)


async def test_colours_and_pixel_shape_are_read(tmp_path: Path) -> None:
    tags = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"
    source = "-f lavfi -i testsrc2=s=64x48:r=30000/1001:d=1 -vf setsar=4/3 -pix_fmt yuv420p"
    found = await media.probe(make(tmp_path / "tagged.mp4", f"{source} {tags}"))
    assert found.video is not None
    assert (found.video.matrix, found.video.full_range) == ("bt709", False)
    assert (found.video.pixel_aspect, found.video.fps) == (Fraction(4, 3), Fraction(30000, 1001))


async def test_content_decides_and_the_name_does_not(film: Path, tmp_path: Path) -> None:
    for name in ("film", "%03d.jpg", "film.m3u8", "concat:film"):
        disguised = copy(film, tmp_path / name)
        assert (await media.probe(disguised)).format == "mov,mp4,m4a,3gp,3g2,mj2"


async def test_counting_finds_what_the_header_only_claims(film: Path, tmp_path: Path) -> None:
    whole = await media.probe(film, count_frames=True)
    assert whole.video is not None
    assert (whole.video.frames, whole.duration) == (90, Fraction(3))
    assert whole.audio is not None
    assert whole.audio.duration == pytest.approx(3, abs=0.05)

    cut = copy(film, tmp_path / "cut.mp4", share=0.5)
    claimed, counted = await media.probe(cut), await media.probe(cut, count_frames=True)
    assert claimed.video is not None
    assert counted.video is not None
    assert (claimed.video.frames, claimed.declared) == (90, Fraction(3))
    assert claimed.duration is not None
    assert claimed.duration < Fraction(5, 2)
    assert counted.video.frames is not None
    assert counted.video.frames < 70
    assert counted.duration is not None
    assert counted.duration < Fraction(5, 2)


@pytest.mark.parametrize("suffix", ["wav", "avi", "mkv", "webm"])
async def test_what_a_truncated_file_declares_is_known(suffix: str, tmp_path: Path) -> None:
    picture = "" if suffix == "wav" else "-f lavfi -i testsrc=s=64x64:r=20"
    codec = {"avi": "-c:v mjpeg -c:a mp2", "mkv": "-c:v libx264 -c:a aac", "webm": "-c:v libvpx -c:a libopus"}
    source = f"{picture} -f lavfi -i sine=r=48000 -t 6 {codec.get(suffix, '')}"
    whole = make(tmp_path / f"whole.{suffix}", source)
    assert (await media.probe(whole)).declared is None
    half = await media.probe(copy(whole, tmp_path / f"half.{suffix}", share=0.5))
    assert half.declared == pytest.approx(6, abs=0.5)
    assert half.duration == pytest.approx(3, abs=0.7)


async def test_counting_leaves_out_what_an_edit_list_hides(film: Path, tmp_path: Path) -> None:
    late = make(tmp_path / "late.mp4", f"-ss 1 -i {film} -c copy")
    found = await media.probe(late, count_frames=True)
    assert found.video is not None
    assert (found.video.frames, found.duration) == (60, Fraction(2))


async def test_playlists_and_documents_are_refused_whatever_their_name(film: Path, tmp_path: Path) -> None:
    copy(film, tmp_path / "secret.mp4")
    documents = [
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.mp4\n",
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="secret.mp4"/></svg>',
        "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
        "just some text",
    ]
    for text in documents:
        for name in ("film.mp4", "film.m3u8"):
            document = tmp_path / name
            document.write_text(text)
            with pytest.raises(MediaError, match=rf"^{name} is not a media file that can be read"):
                await media.probe(document)


async def test_a_format_that_is_not_supported_is_named(tmp_path: Path) -> None:
    sound = make(tmp_path / "sound.sox", "-f lavfi -i sine=d=0.1")
    with pytest.raises(MediaError, match=r"\(its format, sox, is not supported\)\.$"):
        await media.probe(sound)


async def test_a_clock_may_begin_before_zero(tmp_path: Path) -> None:
    early = "-output_ts_offset -0.5 -avoid_negative_ts disabled"
    path = make(
        tmp_path / "early.mkv", f"-f lavfi -i testsrc=s=64x64:r=20:d=2 -c:v libx264 -bf 0 -g 300 {early}"
    )
    video = (await media.probe(path)).video
    assert video
    assert (video.width, video.fps) == (64, Fraction(20))
    assert video.last == pytest.approx(1.45, abs=0.06)


async def test_a_clip_of_a_telephone_or_of_a_camcorder_is_known(tmp_path: Path) -> None:
    source = "-f lavfi -i testsrc=s=64x64:r=20:d=0.2 -c:v libx264"
    path = make(
        tmp_path / "telephone.mp4",
        f"{source} -pix_fmt yuv420p10le -color_trc arib-std-b67 -vf setparams=color_trc=arib-std-b67",
    )
    video = (await media.probe(path)).video
    assert video
    assert (video.transfer, video.is_interlaced) == ("arib-std-b67", False)

    path = make(tmp_path / "camcorder.mp4", f"{source} -flags +ilme+ildct")
    video = (await media.probe(path)).video
    assert video
    assert (video.transfer, video.is_interlaced) == (None, True)


@pytest.mark.parametrize(("message", "is_alpha"), [(165, True), (5, False)])
def test_an_alpha_layer_of_hevc_is_known_by_its_message(message: int, *, is_alpha: bool) -> None:
    units = [(32, bytes([0x40, 1, 12, 1])), (39, bytes([0x4E, 1, message, 4, 0, 0, 127, 144]))]
    arrays = b"".join(bytes([kind, 0, 1]) + struct.pack(">H", len(unit)) + unit for kind, unit in units)
    record = bytes([1, *bytes(21), len(units)]) + arrays
    assert _names_alpha(record) is is_alpha
    assert not _names_alpha(record[:30])
    assert not _names_alpha(b"")


async def test_what_is_no_file_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaError, match=r"^empty\.mp4 is empty"):
        await media.probe(tmp_path / "empty.mp4")
    with pytest.raises(MediaError, match="is not a regular file"):
        await media.probe(tmp_path)
    with pytest.raises(MediaError, match=r"^gone\.mp4 can't be opened: No such file"):
        await media.probe(tmp_path / "gone.mp4")


async def test_a_picture_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(_png(16_000, 16_000))
    assert bomb.stat().st_size < 1_000_000
    with pytest.raises(MediaError, match=r"^bomb\.png has too many pixels, 16000 × 16000"):
        await media.probe(bomb)


async def test_a_reader_that_needs_too_long_is_given_up(film: Path) -> None:
    async with probe_process.probing() as by:
        os.kill(by.pid, signal.SIGSTOP)
        with pytest.raises(MediaError, match=r"^film\.mp4 could not be read within 0\.01 s"):
            await media.probe(film, timeout=0.01, by=by)
    assert not psutil.pid_exists(by.pid)


async def test_a_reader_that_crashes_takes_nobody_along(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(probe_process.LIMITS, "RLIMIT_AS", 20 * 1024**2)  # not even Python starts in that
    with (
        closing(probe_process.ProbeProcess()) as by,
        pytest.raises(MediaError, match="the reader crashed on it"),
    ):
        await media.probe(film, by=by)


async def test_a_reader_is_ready_before_it_is_asked_and_serves_one_block_only() -> None:
    async with probe_process.probing() as first:
        assert first.is_alive
    (second,) = await the_readers()
    async with probe_process.probing() as by:
        assert by.pid == second.pid != first.pid


async def test_a_reader_that_died_while_it_waited_is_not_used(film: Path) -> None:
    async with probe_process.probing():
        pass
    (spare,) = await the_readers()
    spare.kill()
    await until(lambda: spare.status() == psutil.STATUS_ZOMBIE)
    assert (await media.probe(film)).duration == 3


async def test_several_files_are_read_by_one_process_each_for_itself(
    media_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("just some text")
    (tmp_path / "empty.mp4").touch()
    names = ["film.mp4", "picture.png", "sound.mp3"]
    good = [media_folder / name for name in names]
    paths = [tmp_path / "empty.mp4", good[0], tmp_path / "text.mp4", good[1], tmp_path / "gone.mp4", good[2]]
    async with probe_process.probing() as by:
        found = await media.probe_all(paths, by=by)
        assert by.is_alive
    assert [found[1], found[3], found[5]] == [await media.probe(path) for path in good]
    assert [str(found[number]).split(" (")[0] for number in (0, 2, 4)] == [
        "empty.mp4 is empty, not a media file.",
        "text.mp4 is not a media file that can be read",
        "gone.mp4 can't be opened: No such file or directory.",
    ]
    assert await media.probe_all([]) == []


@pytest.mark.parametrize(
    ("number", "problem"),
    [(signal.SIGKILL, "the reader crashed on it (-9)"), (signal.SIGSTOP, "could not be read within 1 s")],
)
async def test_what_a_file_does_to_the_reader_is_charged_to_that_file(
    number: signal.Signals, problem: str, film: Path
) -> None:
    found: list[Media | MediaError] = []

    async def probe() -> None:
        found.extend(await media.probe_all([film] * 5, timeout=1, by=by))

    async with probe_process.probing() as by, anyio.create_task_group() as tasks:
        os.kill(by.pid, signal.SIGSTOP)
        tasks.start_soon(probe)
        await anyio.wait_all_tasks_blocked()
        os.kill(by.pid, number)
    assert [isinstance(one, MediaError) for one in found] == [True, False, False, False, False]
    assert problem in str(found[0])


async def the_readers() -> list[psutil.Process]:
    """The reading processes, once there are some: one that becomes another program has no command for a moment."""
    await until(lambda: bool(readers()))
    return readers()


def readers() -> list[psutil.Process]:
    """The reading processes that are there."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if str(probe_process.PROGRAM) in child.cmdline():
                found.append(child)
    return found


def _turned_clockwise(film: Path, target: Path) -> Path:
    """A copy whose first track's header holds the matrix of a quarter turn (ISO/IEC 14496-12, 8.3.2): the options
    that make ffmpeg write one differ from version to version."""
    mp4 = film.read_bytes()
    matrix = mp4.index(b"tkhd") + 4 + 40
    turn = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    target.write_bytes(mp4[:matrix] + turn + mp4[matrix + 36 :])
    return target


def _png(width: int, height: int) -> bytes:
    """A black and white picture, blank and therefore tiny as a file."""
    deflate = zlib.compressobj()
    row = bytes(1 + width // 8)
    rows = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
