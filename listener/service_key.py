"""The project's secret key, which may be changed in `.env` while the service runs."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import structlog

from listener.config import Settings
from listener.environment import FILES
from listener.errors import ConfigError

log = structlog.get_logger(__name__)

Stamp = list[tuple[int, int, int] | None]


class ServiceKey:
    """A key as the settings name it now. Each part of the service has one of its own, and asks for every request.

    The `.env` files of the working directory are read again when one of them has changed; a variable of the process
    itself wins over them, and can't be changed from outside. A file that can't be read leaves the key as it is.

    Args:
        url: of the project; a key of another one is never taken.
        key: its secret or service_role key, until the files change.

    Raises:
        ConfigError: the key can't be one.
    """

    def __init__(self, url: str, key: str) -> None:
        if not _is_key(key):
            raise ConfigError("The Supabase key holds characters that no key has; copy it again.")
        self._url = url
        self._key = key
        self._stamp = _AT_START

    def current(self) -> str:
        """The key of the moment, in any thread."""
        stamp = _stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._key = self._named() or self._key
        return self._key

    def authorize(self, request: httpx.Request) -> httpx.Request:
        """For the `auth` of an HTTP client: have each request carry the key."""
        key = self.current()
        request.headers.update({"apikey": key, "Authorization": f"Bearer {key}"})
        return request

    def _named(self) -> str | None:
        try:
            settings = Settings.load()
        except ConfigError as error:
            log.warning("a changed .env can't be used; the service key stays", error=str(error))
            return None
        if settings.supabase_url != self._url or settings.supabase_service_key is None:
            return None
        key = settings.supabase_service_key.get_secret_value()
        return key if _is_key(key) else None


def _is_key(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._-]+", text) is not None


def _stamp() -> Stamp:
    """What differs once one of the files was written or replaced."""
    return [_state(Path(name)) for name in FILES]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


# A part may be made long after the settings were read, with a key that has been changed since.
_AT_START = _stamp()
