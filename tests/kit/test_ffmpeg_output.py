"""Parsing of FFmpeg's output, without FFmpeg."""

from __future__ import annotations

import pytest

from listener.kit.ffmpeg.output import Progress, ProgressReader, cause, scrub

FIRST_OF_9 = (
    b"frame=0\nfps=0.00\nout_time_us=N/A\nout_time_ms=N/A\nout_time=N/A\nspeed=N/A\nprogress=continue\n"
)
LATER = b"frame=45\nfps=88.1\nout_time_us=1500000\nout_time_ms=1500000\nspeed=2.96x\nprogress=continue\n"
LAST = b"frame=90\nout_time_us=3000000\nout_time_ms=3000000\nspeed=   3x\nprogress=end\n"


def test_blocks_are_read_wherever_the_pipe_cuts_them() -> None:
    stream = FIRST_OF_9 + LATER + LAST
    expected = [
        Progress(frames=0, seconds=0.0, speed=None),
        Progress(frames=45, seconds=1.5, speed=2.96),
        Progress(frames=90, seconds=3.0, speed=3.0, ended=True),
    ]
    for size in (1, 7, 64, len(stream)):
        reader = ProgressReader()
        chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert [block for chunk in chunks for block in reader.feed(chunk)] == expected


def test_out_time_ms_is_microseconds_too() -> None:
    [block] = ProgressReader().feed(b"out_time_ms=2500000\nprogress=continue\n")
    assert block.seconds == 2.5


def test_sound_alone_has_no_frames_and_a_time_before_zero_is_zero() -> None:
    [block] = ProgressReader().feed(b"out_time_us=-21333\nspeed=0x\nprogress=continue\n")
    assert block == Progress(frames=0, seconds=0.0, speed=0.0)


def test_what_is_not_known_keeps_its_last_value() -> None:
    reader = ProgressReader()
    *_, block = reader.feed(LATER + b"frame=46\nout_time_us=N/A\nprogress=continue\n")
    assert block == Progress(frames=46, seconds=1.5)


@pytest.mark.parametrize(
    ("block", "frames", "duration", "percent"),
    [
        (Progress(frames=30, seconds=2.9), 120, 3.0, 25.0),  # frames win: the time may be the sound's
        (Progress(seconds=1.5), None, 3.0, 50.0),
        (Progress(frames=130), 120, None, 100.0),
        (Progress(frames=5), None, None, None),
        (Progress(frames=5), 0, 0.0, None),
        (Progress(ended=True), None, None, 100.0),
    ],
)
def test_percent(block: Progress, frames: int | None, duration: float | None, percent: float | None) -> None:
    assert block.percent(frames, duration) == percent


def test_message_says_speed_and_remaining_time_as_far_as_known() -> None:
    assert Progress(speed=2.08).message(25.0, elapsed=15.0) == "2.1x, 0:45 left"
    assert Progress().message(50.0, elapsed=90.0) == "1:30 left"
    assert Progress(speed=3.0).message(100.0, elapsed=9.0) == "3.0x"
    assert Progress().message(0.0, elapsed=1.0) is None


def test_only_more_output_counts_as_an_advance() -> None:
    assert Progress(frames=2).beyond(Progress(frames=1, seconds=1.0))
    assert Progress(frames=1, seconds=1.1).beyond(Progress(frames=1, seconds=1.0))
    assert not Progress(frames=1, seconds=1.0, speed=0.5).beyond(Progress(frames=1, seconds=1.0, speed=0.6))


def test_the_cause_is_told_and_its_echoes_are_not() -> None:
    stderr = """\
[mov @ 0x55d0c0] [warning] Format mov,mp4 detected only with low score of 1, misdetection possible!
[in#0 @ 0x55d0c0] [error] moov atom not found
[in#0 @ 0x55d0c0] [error] Error opening input: Invalid data found when processing input
[error] Error opening input file in0.bin.
[fatal] Error opening input files: Invalid data found when processing input
"""
    assert (
        cause(stderr) == "moov atom not found; Error opening input: Invalid data found when processing input"
    )


def test_noise_of_a_decoder_does_not_hide_the_end() -> None:
    stderr = "[h264 @ 0x1] [error] mmco: unref short failure\n" * 50
    stderr += "[out#0/mp4 @ 0x2] [error] Error writing trailer: No space left on device\nConversion failed!\n"
    assert cause(stderr).endswith("Error writing trailer: No space left on device")


def test_without_a_marked_error_the_last_line_is_told() -> None:
    assert cause("first\nbad CPU type in executable\n\n") == "bad CPU type in executable"
    assert cause("") == ""


def test_a_long_complaint_is_cut() -> None:
    assert len(cause(f"[error] {'x' * 5000}\n")) == 300


def test_folders_never_leave_the_machine() -> None:
    text = "Error opening input file /srv/jobs/job 7/in0.bin and '/usr/share/fonts/a.ttf': file:/tmp/x/y.mp4"
    assert scrub(text, ["/srv/jobs/job 7"]) == "Error opening input file in0.bin and 'a.ttf': y.mp4"
    assert scrub("scale=1280/2:-1, 30000/1001 fps") == "scale=1280/2:-1, 30000/1001 fps"
