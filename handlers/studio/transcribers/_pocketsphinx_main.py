"""The process in which PocketSphinx runs: for each part of a recording one line of JSON.

Run by path, `python -I recogniser.py WAVE PARTS`, and therefore free of imports from this package. PARTS is a JSON list
of [start, end] in seconds; a line has `words`, each [start, end, text] in seconds of the recording, and `until`.
"""

from __future__ import annotations

import json
import re
import sys
import wave

from pocketsphinx import Decoder

FRAMES = 100  # a second


def main() -> None:
    path, parts = sys.argv[1], json.loads(sys.argv[2])
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    with wave.open(path, "rb") as recording:
        for start, end in parts:
            recording.setpos(round(start * recording.getframerate()))
            sound = recording.readframes(round((end - start) * recording.getframerate()))
            decoder.start_utt()
            decoder.process_raw(sound, False, True)
            decoder.end_utt()
            words = [
                # The dictionary numbers the ways to speak a word: and(2).
                [
                    start + one.start_frame / FRAMES,
                    start + (one.end_frame + 1) / FRAMES,
                    one.word.partition("(")[0],
                ]
                for one in decoder.seg() or ()
                if re.match(r"[a-z']", one.word)
            ]
            print(json.dumps({"words": words, "until": end}), flush=True)  # noqa: T201 - read by the parent


if __name__ == "__main__":
    main()
