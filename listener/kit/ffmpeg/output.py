"""Parse FFmpeg's output: its `-progress` blocks and its error messages. Nothing here starts a process."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_COMPLAINT = re.compile(r"^(?:\[[^\]]*\] )*\[(?:error|fatal|panic)\] (?P<text>.+)$", re.MULTILINE)
_ECHO = re.compile(
    r"Error opening (input|output) files?\b|Task finished|Terminating thread|Conversion failed|Error binding"
)
_FOLDERS = re.compile(r"(?<![\w/.])(?:file:)?/(?:[^/\s'\":,;]+/)+")
_MAX_CAUSE = 300  # characters
_UNDECODABLE = re.compile(
    r"Error while decoding stream #(\d+):"  # FFmpeg 5
    r"|\[[av]ist#(\d+):.*(?:Error submitting packet to decoder|corrupt decoded frame|Decoding error)"  # from 6.1 on
)


@dataclass(frozen=True, slots=True)
class Progress:
    """One `-progress` block.

    Attributes:
        frames: video frames written so far; 0 when there is no video.
        seconds: output time reached; 0 until FFmpeg knows it.
        speed: seconds of output made per second, or None while unknown.
        ended: FFmpeg finished its output (`progress=end`).
    """

    frames: int = 0
    seconds: float = 0.0
    speed: float | None = None
    ended: bool = False

    def beyond(self, other: Progress) -> bool:
        """Whether this block shows more output than `other`."""
        return self.frames > other.frames or self.seconds > other.seconds

    def percent(self, frames: int | None, duration: float | None) -> float | None:
        """Return the share of the work done, 0 to 100, or None if neither total is known before the end.

        Frames are preferred: with video and sound, the output time is that of the stream that is ahead.
        """
        if self.ended:
            return 100.0
        if frames:
            return min(100.0, 100.0 * self.frames / frames)
        if duration:
            return min(100.0, 100.0 * self.seconds / duration)
        return None

    def message(self, percent: float, elapsed: float) -> str | None:
        """Return speed and remaining time, such as `2.1x, 0:45 left`, as far as they are known.

        Args:
            percent: share of the work done, 0 to 100.
            elapsed: seconds since the start.
        """
        parts = []
        if self.speed:
            parts.append(f"{self.speed:.1f}x")
        if 0 < percent < 100:
            minutes, seconds = divmod(round(elapsed * (100 - percent) / percent), 60)
            parts.append(f"{minutes}:{seconds:02d} left")
        return ", ".join(parts) or None


class ProgressReader:
    """Parse the bytes of `-progress` into `Progress` values, in chunks of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}
        self._latest = Progress()

    def feed(self, chunk: bytes) -> Iterator[Progress]:
        """Yield the blocks that `chunk` completes. A missing value, or `N/A`, leaves the previous value."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            key, _, value = line.decode(errors="replace").strip().partition("=")
            self._fields[key] = value.strip()
            if key == "progress":
                self._latest = self._block()
                self._fields.clear()
                yield self._latest

    def _block(self) -> Progress:
        # Despite its name, out_time_ms holds microseconds in every release so far; older ones lack out_time_us.
        micros = self._number("out_time_us", "out_time_ms")
        frames = self._number("frame")
        return Progress(
            frames=self._latest.frames if frames is None else int(frames),
            seconds=self._latest.seconds if micros is None else max(0.0, micros / 1_000_000),
            speed=self._number("speed"),
            ended=self._fields["progress"] == "end",
        )

    def _number(self, *names: str) -> float | None:
        for name in names:
            try:
                return float(self._fields[name].removesuffix("x"))
            except (KeyError, ValueError):
                continue
        return None


def scrub(text: str, folders: Iterable[str] = ()) -> str:
    """Return `text` without the folders of absolute paths, which must not leave this machine.

    Args:
        text: anything FFmpeg printed.
        folders: paths known to occur, removed even where they contain spaces.
    """
    for folder in sorted({f.rstrip("/") for f in folders} - {""}, key=len, reverse=True):
        text = text.replace(folder + "/", "")
    return _FOLDERS.sub("", text)


def cause(stderr: str) -> str:
    """Return the most informative errors of `-loglevel level+warning` output, as one line.

    The first error usually causes the following ones, but decoders may report errors long before the fatal one, so
    the last is returned, too. Errors that only repeat that there was an error are left out.
    """
    complaints = [match["text"].strip().rstrip(".") for match in _COMPLAINT.finditer(stderr)]
    causes = [text for text in complaints if not _ECHO.match(text)] or complaints
    if not causes:
        causes = [line.strip().rstrip(".") for line in stderr.splitlines() if line.strip()][-1:]
    shown = "; ".join(dict.fromkeys([*causes[:1], *causes[-1:]]))
    return shown if len(shown) <= _MAX_CAUSE else shown[: _MAX_CAUSE - 1] + "…"


def undecodable(stderr: str) -> Counter[int]:
    """Count by the number of its input how often FFmpeg could not decode something, in all versions from 5 to 9."""
    found = (_UNDECODABLE.search(line) for line in stderr.splitlines())
    return Counter(int(match[1] or match[2]) for match in found if match)
