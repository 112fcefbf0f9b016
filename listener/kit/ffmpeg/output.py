"""Read what FFmpeg says: its `-progress` blocks and its complaints. Pure; nothing here runs anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_COMPLAINT = re.compile(r"^(?:\[[^\]]*\] )*\[(?:error|fatal|panic)\] (?P<text>.+)$", re.MULTILINE)
_ECHO = re.compile(
    r"Error opening (input|output) files?\b|Task finished|Terminating thread|Conversion failed|Error binding"
)
_FOLDERS = re.compile(r"(?<![\w/.])(?:file:)?/(?:[^/\s'\":,;]+/)+")
_SENTENCE = 300  # characters of complaint that a person will read


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
        """Share of the work done, 0 to 100, or None when neither total is known before the end.

        Frames are preferred: with video and sound, the output time is that of whichever runs ahead.
        """
        if self.ended:
            return 100.0
        if frames:
            return min(100.0, 100.0 * self.frames / frames)
        if duration:
            return min(100.0, 100.0 * self.seconds / duration)
        return None

    def message(self, percent: float, elapsed: float) -> str | None:
        """Speed and expected remaining time, such as `2.1x, 0:45 left`, as far as they are known.

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
    """Turns the bytes of `-progress` into `Progress` values, wherever the chunks are cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}
        self._latest = Progress()

    def feed(self, chunk: bytes) -> Iterator[Progress]:
        """Yield the blocks that `chunk` completes. A value that is missing or `N/A` keeps its last one."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            key, _, value = line.decode(errors="replace").strip().partition("=")
            self._fields[key] = value.strip()
            if key == "progress":
                self._latest = self._block()
                self._fields.clear()
                yield self._latest

    def _block(self) -> Progress:
        # out_time_ms holds microseconds too, in every release so far; it stands in for out_time_us.
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
    """`text` without the folders of absolute paths, which are nobody's business outside this machine.

    Args:
        text: anything FFmpeg printed.
        folders: paths known to occur, removed even where they contain spaces.
    """
    for folder in sorted({f.rstrip("/") for f in folders} - {""}, key=len, reverse=True):
        text = text.replace(folder + "/", "")
    return _FOLDERS.sub("", text)


def telling(stderr: str) -> str:
    """The lines of `-loglevel level+warning` output that say best what went wrong, as one line.

    The first error names the cause of those that follow, but decoders may have complained long before the
    fatal one, so the last is given too. Errors that only repeat that there was an error are left out.
    """
    complaints = [match["text"].strip().rstrip(".") for match in _COMPLAINT.finditer(stderr)]
    causes = [text for text in complaints if not _ECHO.match(text)] or complaints
    if not causes:
        causes = [line.strip().rstrip(".") for line in stderr.splitlines() if line.strip()][-1:]
    shown = "; ".join(dict.fromkeys([*causes[:1], *causes[-1:]]))
    return shown if len(shown) <= _SENTENCE else shown[: _SENTENCE - 1] + "…"
