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

FileState = tuple[int, int, int]


class ServiceKey:
    """The key that the settings name now.

    The settings are read when the key is first used, and again when one of the `.env` files of the working directory
    has changed. Variables of the process win over the files, and can't change while it runs. If the settings can't be
    read, or name no key of this project, the key stays as it is.

    Args:
        url: the project's address.
        key: its secret or service_role key, until the settings name another one.

    Raises:
        ConfigError: the key is malformed.
    """

    def __init__(self, url: str, key: str) -> None:
        if not _is_key(key):
            raise ConfigError(
                "The Supabase key contains characters that no key has; copy it again from the project's API settings."
            )
        self._url = url
        self._key = key
        self._read_at: list[FileState | None] | None = None

    def current(self) -> str:
        """Return the key. Any thread may call it."""
        files = [_state(Path(name)) for name in FILES]
        if files != self._read_at:
            self._read_at = files
            self._key = self._from_settings() or self._key
        return self._key

    def authorize(self, request: httpx.Request) -> httpx.Request:
        """Add the key to a request, as the `auth` of an HTTP client."""
        key = self.current()
        request.headers.update({"apikey": key, "Authorization": f"Bearer {key}"})
        return request

    def _from_settings(self) -> str | None:
        try:
            settings = Settings.load()
        except ConfigError as error:
            log.warning("settings not read; service key unchanged", error=str(error))
            return None
        if settings.supabase_url != self._url or settings.supabase_service_key is None:
            return None
        key = settings.supabase_service_key.get_secret_value()
        return key if _is_key(key) else None


def _is_key(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._-]+", text) is not None


def _state(path: Path) -> FileState | None:
    """Return values that change when the file is written or replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
