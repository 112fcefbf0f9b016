"""Decode `data:` URLs to files, piece by piece."""

from __future__ import annotations

import binascii
import secrets
from collections.abc import Iterable
from pathlib import Path

from listener.kit.errors import TooLarge
from listener.kit.fetch import FetchError

CHUNK = 1024 * 1024  # characters that are decoded at once


def decode_data_url(url: str, target: Path, *, max_bytes: int) -> Path:
    """Write the content of a `data:...;base64,...` address to `target`.

    Args:
        url: the whole address; release it afterwards, because it is a third larger than the file.
        target: path of the new file; an existing file is replaced.
        max_bytes: largest content accepted.

    Returns:
        `target`.

    Raises:
        TooLarge: the content is larger than `max_bytes`.
        FetchError: the address is not base64 or is damaged, which is permanent, or the disk refuses the file.
    """
    comma = url.find(",", 0, 1024)
    if comma < 0 or not url[:5].lower() == "data:" or not url[:comma].lower().endswith(";base64"):
        raise FetchError("The address is not of the form data:<type>;base64,<content>.", permanent=True)
    parts = (url[start : start + CHUNK].encode() for start in range(comma + 1, len(url), CHUNK))
    decode_base64(parts, target, max_bytes=max_bytes)
    return target


def decode_base64(parts: Iterable[bytes], target: Path, *, max_bytes: int) -> int:
    """Decode the concatenated base64 `parts`, padded or not, to `target`, whole or not at all.

    Returns:
        The size of the file in bytes.

    Raises:
        TooLarge, FetchError: as for `decode_data_url`.
    """
    draft = target.with_name(f".{secrets.token_hex(8)}")
    size, rest = 0, b""
    try:
        with draft.open("xb") as file:
            for part in parts:
                text = rest + part
                whole = len(text) // 4 * 4
                rest = text[whole:]
                size += file.write(binascii.a2b_base64(text[:whole], strict_mode=True))
                if size > max_bytes:
                    break
            size += file.write(binascii.a2b_base64(rest + b"=" * (-len(rest) % 4), strict_mode=True))
        if size > max_bytes:
            raise TooLarge(f"The data: address holds more than {max_bytes} bytes.")
        draft.replace(target)
    except binascii.Error:
        raise FetchError("The data: address is damaged; it is not valid base64.", permanent=True) from None
    except OSError as error:
        reason = f"A data: address could not be stored: {error.strerror}."
        raise FetchError(reason, permanent=False) from error
    finally:
        draft.unlink(missing_ok=True)
    return size
