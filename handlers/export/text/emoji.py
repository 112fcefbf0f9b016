"""Decide which characters are shown as coloured pictures, as Unicode and browsers do (UTS #51)."""

from __future__ import annotations

import unicodedata

# The characters below U+1F000 that are pictures by default; the others need U+FE0F.
_PICTURES_BY_DEFAULT = frozenset(
    "⌚⌛⏩⏪⏫⏬⏰⏳◽◾☔☕♈♉♊♋♌♍♎♏♐♑♒♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓❔❕❗➕➖➗➰➿⬛⬜⭐⭕"
)
_AS_TEXT, _AS_PICTURE, _JOINER = "\ufe0e", "\ufe0f", "\u200d"

TONES = frozenset(range(0x1F3FB, 0x1F400))  # of skin
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_TAGS = range(0xE0020, 0xE0080)


def is_picture(cluster: str) -> bool:
    """Tell whether a cluster is shown as a coloured picture."""
    if _AS_TEXT in cluster:
        return False
    return (
        _AS_PICTURE in cluster or cluster[0] in _PICTURES_BY_DEFAULT or 0x1F000 <= ord(cluster[0]) < 0x20000
    )


def continues(char: str, before: str) -> bool:
    """Tell whether `char` belongs to the same cluster as what precedes it in the line."""
    code = ord(char)
    if code in TONES or code in _TAGS or char == _JOINER or unicodedata.category(char)[0] == "M":
        return True
    if before.endswith(_JOINER):
        return 0x2190 <= code < 0x20000 and code not in range(0x2E80, 0x1F000)
    if code in _FLAG_LETTERS:
        letters = len(before) - len(before.rstrip("".join(map(chr, _FLAG_LETTERS))))
        return letters % 2 == 1
    return False
