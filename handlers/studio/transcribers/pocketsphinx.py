"""PocketSphinx: small, offline, English only. Good enough to try everything with nothing but this checkout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from handlers.studio.audio import Piece, Sound
from handlers.studio.settings import StudioSettings
from handlers.studio.transcribers.base import Heard, Progress
from handlers.studio.transcript import Segment, Word
from listener import ConfigError, Retry
from listener.kit.sandbox import process
from listener.kit.sandbox.policy import PYTHON, Confinement

RECOGNISER = Path(__file__).with_name("_pocketsphinx_main.py")
MEMORY = 2 * 1024**3  # bytes of address space for the recogniser
UTTERANCE = 30.0  # seconds that are recognised at once, at most
GAP = 0.6  # seconds between two segments, at least


class Sphinx:
    """See `Transcriber`. The recogniser runs in a process of its own: it would hold Python's lock for seconds."""

    remark = (
        "The recording was transcribed by pocketsphinx, which knows English only and makes many mistakes; set"
        " STUDIO_SPEECH_URL, or install faster-whisper, for a better transcript."
    )

    def __init__(self, settings: StudioSettings) -> None:
        if settings.language not in {None, "en"}:
            raise ConfigError(
                f"STUDIO_LANGUAGE is {settings.language}, but pocketsphinx knows English only; take another"
                " STUDIO_TRANSCRIBER."
            )
        self.longest = settings.piece_minutes * 60

    async def hear(self, sound: Sound, piece: Piece, before: str, folder: Path, progress: Progress) -> Heard:
        """See `Transcriber.hear`."""
        command = [sys.executable, "-I", str(RECOGNISER), str(sound.path)]
        parts = [(part.start, part.end) for part in spoken(sound, piece)]
        limits = {"RLIMIT_AS": MEMORY, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
        confined = Confinement(reads=(*map(Path, PYTHON), RECOGNISER, sound.path))
        words: list[Word] = []
        line = b""
        async with process.spawn([*command, json.dumps(parts)], limits=limits, confined=confined) as child:
            async for chunk in child.stdout:
                *lines, line = (line + chunk).split(b"\n")
                for told in map(json.loads, lines):
                    words += [Word(*word) for word in told["words"]]
                    progress((told["until"] - piece.start) / (piece.end - piece.start))
            code = await child.wait()
        if code:
            *_, last = ["", *child.stderr.splitlines()]
            raise Retry(f"pocketsphinx ended with code {code}: {last}")
        return Heard(tuple(segment.later(-piece.start) for segment in _segments(words)), "en")


def spoken(sound: Sound, piece: Piece) -> list[Piece]:
    """The parts of a piece where somebody speaks, each short enough to be recognised at once."""
    parts, start = [], piece.start
    inside = [pause for pause in sound.pauses if piece.start <= pause.start < piece.end]
    for pause in [*inside, Piece(piece.end, piece.end)]:
        # A little silence around the words helps to hear where they begin and end.
        end = min(pause.start + 0.15, piece.end)
        while end - start > 0.2:
            parts.append(Piece(start, min(start + UTTERANCE, end)))
            start = parts[-1].end
        start = max(start, pause.end - 0.15)
    return parts


def _segments(words: list[Word]) -> list[Segment]:
    held: list[list[Word]] = []
    for word in words:
        if not held or word.start - held[-1][-1].end >= GAP:
            held.append([])
        held[-1].append(word)
    return [
        Segment(some[0].start, some[-1].end, " ".join(word.text for word in some), tuple(some))
        for some in held
    ]
