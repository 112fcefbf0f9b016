"""Read a timeline file in little memory, even if large media are written into it.

A browser's project may hold its media as `data:` URLs, hundreds of megabytes in one JSON. While the file is read,
each long one is decoded into a separate file, and a short name takes its place in the text.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from handlers.export.model import FilmError
from handlers.export.settings import limits, over
from listener.kit.data_url import CHUNK, decode_base64
from listener.kit.errors import TooLarge
from listener.kit.fetch import FetchError

MIN_SPLIT_BYTES = 64 * 1024  # of base64; shorter media stay in the text
MAX_VALUES = 1_000_000  # objects, lists and their members: each costs a hundred bytes, however short it is

_NOT_JSON = {  # by the first bytes of a file
    b"SQLite format 3\0": "a project of the coming OpenCut (a .opencut file, which is an SQLite database)",
    b"PK\x03\x04": "an archive (ZIP)",
}

# JSON may write a slash as `\/`. The byte before the quote tells a string's beginning from a quote in a text.
_OPENING = re.compile(rb'[^\\]"data:(?:[^",\\]|\\/){0,200};base64,', re.IGNORECASE)
_MAX_OPENING_BYTES = 512  # of what _OPENING matches


@dataclass(frozen=True, slots=True)
class Document:
    """A timeline file.

    Attributes:
        content: the JSON object, with a name in place of each long `data:` URL.
        inline: the files of these media by those names, which hold a secret, so that the author of the timeline
            can't name one of them.
    """

    content: dict[str, Any]
    inline: Mapping[str, Path]


def load(path: Path, folder: Path) -> Document:
    """Parse a timeline file.

    Args:
        path: the file.
        folder: where its media are written, under names that this function chooses.

    Raises:
        FilmError: it is of another format, not a JSON object, its media are damaged, or a limit is exceeded.
        FetchError: its media can't be stored.
    """
    with path.open("rb") as file:
        _refuse_other_formats(file.read(16))
        file.seek(0)
        splitter = _Splitter(file, folder)
        text = splitter.text()
    if text.count(b",") + text.count(b"[") + text.count(b"{") > MAX_VALUES:
        raise FilmError(f"The timeline has more than {MAX_VALUES:,} values, which no editor makes.")
    try:
        content = json.loads(text)
    except RecursionError:
        raise FilmError("The timeline is not valid JSON (it is nested too deeply).") from None
    except ValueError as error:
        raise FilmError(f"The timeline is not valid JSON ({error}).") from None
    if not isinstance(content, dict):
        raise FilmError("The timeline must be a JSON object with 'tracks' and 'mediaItems'.")
    return Document(content, splitter.inline)


def _refuse_other_formats(head: bytes) -> None:
    """Refuse a project of a format that can't be read, by its first bytes."""
    for opening, what in _NOT_JSON.items():
        if head.startswith(opening):
            raise FilmError(
                f"The timeline is {what}, which can't be read; send the JSON of a project of OpenCut Classic."
            )


class _Splitter:
    """Divides a file into its text and its media."""

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self.file = file
        self.folder = folder
        self.inline: dict[str, Path] = {}
        self.secret = secrets.token_hex(16)
        self.room = limits().max_inline_mb * 1024**2
        self.kept = bytearray()

    def text(self) -> bytearray:
        """Return the whole file, with names in place of its media."""
        ahead = b""
        while block := self.file.read(CHUNK):
            ahead, position = ahead + block, 0
            while opening := _OPENING.search(ahead, position):
                start, position = opening.start() + 1, opening.end()
                if len(ahead) - position < MIN_SPLIT_BYTES:
                    self._keep(ahead[:start])
                    ahead, position = ahead[start:] + self.file.read(MIN_SPLIT_BYTES), position - start
                    start = 0
                long_enough = len(ahead) - position >= MIN_SPLIT_BYTES
                if not long_enough or b'"' in ahead[position : position + MIN_SPLIT_BYTES]:
                    continue
                self._keep(ahead[:start])
                ahead, position = self._media(ahead[position:]), 0
            # The end may be the beginning of an opening, so it waits for the next block.
            self._keep(ahead[:-_MAX_OPENING_BYTES])
            ahead = ahead[-_MAX_OPENING_BYTES:]
        self._keep(ahead)
        return self.kept

    def _media(self, ahead: bytes) -> bytes:
        """Decode one media into a file, and put its name into the text.

        Args:
            ahead: what was read of the file, from the media on.

        Returns:
            What was read of the file beyond the media.
        """
        content = _Base64(self.file, ahead)
        target = self.folder / f"inline{len(self.inline)}.bin"
        try:
            self.room -= decode_base64(content.parts(), target, max_bytes=self.room)
        except TooLarge:
            limit = f"{limits().max_inline_mb} MB"
            raise over("The media written into the timeline are larger", limit, "max_inline_mb") from None
        except FetchError as error:
            if not error.permanent:
                raise
            number = len(self.inline) + 1
            problem = f"Media {number} of those written into the timeline is damaged"
            raise FilmError(f"{problem}; it is not valid base64.") from None
        name = f"{self.secret}:{len(self.inline)}"
        self.inline[name] = target
        self._keep(f'"{name}"'.encode())
        return content.beyond

    def _keep(self, text: bytes) -> None:
        self.kept += text
        if len(self.kept) > (limit := limits().max_timeline_mb) * 1024**2:
            raise over("The timeline is larger, without its media,", f"{limit} MB", "max_timeline_mb")


class _Base64:
    """The rest of a string of a JSON file.

    Attributes:
        beyond: what was read of the file; from behind the string on, once `parts` has come to its end.
    """

    def __init__(self, file: BinaryIO, ahead: bytes) -> None:
        self.file = file
        self.beyond = ahead

    def parts(self) -> Iterator[bytes]:
        """Yield the characters of the string."""
        rest = b""
        while (end := self.beyond.find(b'"')) < 0:
            text = rest + self.beyond
            cut = text.find(b"\\", max(0, len(text) - 6))  # an escape such as \u002b must not be divided
            cut = len(text) if cut < 0 else cut
            yield _plain(text[:cut])
            rest = text[cut:]
            self.beyond = self.file.read(CHUNK)
            if not self.beyond:
                raise FilmError("The timeline is not valid JSON (it breaks off within a media).")
        yield _plain(rest + self.beyond[:end])
        self.beyond = self.beyond[end + 1 :]


def _plain(text: bytes) -> bytes:
    r"""Decode a part of a JSON string; some programs escape / and +."""
    if b"\\" not in text:
        return text
    try:
        return str(json.loads(b'"' + text + b'"')).encode()
    except ValueError:
        return b"\\"  # which no base64 holds
