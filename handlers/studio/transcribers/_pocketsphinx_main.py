"""Recognise speech with PocketSphinx, and print one line of JSON for each part of a recording.

Run by path, `python -I _pocketsphinx_main.py WAVE PARTS`, so it imports nothing of this package. PARTS is a JSON list
of [start, end] in seconds. A line has `words`, each [start, end, text] in seconds of the recording, and `until`, the
end of the part.
"""

from __future__ import annotations

import json
import re
import sys
import wave

from pocketsphinx import Decoder

FRAMES_PER_SECOND = 100


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
                # The dictionary numbers alternative pronunciations of a word: and(2).
                [
                    start + one.start_frame / FRAMES_PER_SECOND,
                    start + (one.end_frame + 1) / FRAMES_PER_SECOND,
                    one.word.partition("(")[0],
                ]
                for one in decoder.seg() or ()
                if re.match(r"[a-z']", one.word)
            ]
            print(json.dumps({"words": words, "until": end}), flush=True)  # noqa: T201 - read by the parent


if __name__ == "__main__":
    main()
