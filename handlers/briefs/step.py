"""The input and the output of a step: its brief's options and files, and the files that it stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from handlers.briefs.model import BriefError
from handlers.briefs.settings import settings
from listener import Job
from listener.kit import ffmpeg, intake, media, storage
from listener.kit.errors import TooLarge
from listener.kit.media import Media

T = TypeVar("T")
Kind = Literal["video", "image", "audio"]
KINDS: tuple[Kind, ...] = get_args(Kind)

BUCKET = "briefs"
SIZES = {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (720, 720), "4:3": (960, 720), "4:5": (720, 900)}
_MB = 1024**2


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a brief brings.

    Attributes:
        address: https or data URL, or a key in the bucket `briefs`.
    """

    name: str
    address: str


class Step:
    """One attempt at one step.

    Attributes:
        results: what the steps before this one have made, by type.
        said: description and query.
        text: the same beneath the title.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.payload: Mapping[str, Any] = job.row["payload"]
        self.metadata: Mapping[str, Any] = job.row["metadata"]
        self.results: Mapping[str, Any] = self.payload.get("results") or {}
        self.owner: str | None = self.payload.get("user_id")
        self.query = str(self.payload.get("query") or self.metadata.get("query") or "")
        self.title = str(self.payload.get("title") or self.metadata.get("title") or "")
        self.said = "\n\n".join(
            filter(None, [str(self.payload.get("description") or "").strip(), self.query.strip()])
        )
        self.text = "\n\n".join(filter(None, [self.title.strip(), self.said]))
        self._began = 0

    def option(self, name: str, kind: type[T], default: T) -> T:
        """Return an option of the brief's metadata.

        Raises:
            BriefError: it is something else than a value of this type.
        """
        value = self.metadata.get(name, default)
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BriefError(f"{name} in the brief's metadata must be a {kind.__name__}.")
        return value

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the result, by the requested aspect ratio."""
        found = (self.results.get("analysis") or {}).get("aspect_ratio") or "16:9"
        aspect = self.option("aspect_ratio", str, found)
        if aspect not in SIZES:
            raise BriefError(f"aspect_ratio is {aspect[:20]!r}; it can be {', '.join(SIZES)}.")
        return SIZES[aspect]

    def assets(self) -> list[Asset]:
        """Return the brief's files: `assets`, a list of addresses, and `video_url`, `image_url` and `audio_url`.

        Raises:
            BriefError: that is no list of addresses, or too long.
        """
        given = [*self._listed("assets"), *(self.metadata.get(f"{kind}_url") for kind in KINDS)]
        addresses = [address for address in given if address is not None]
        if not all(isinstance(address, str) and address for address in addresses):
            raise BriefError("assets must be a list of addresses, each a text.")
        if len(addresses) > settings().max_assets:
            raise BriefError(
                f"The brief brings {len(addresses)} files; the limit is {settings().max_assets} (BRIEFS_MAX_ASSETS)."
            )
        return [Asset(f"asset{number}", address) for number, address in enumerate(addresses, 1)]

    async def bring(self, asset: Asset) -> tuple[Path, Media]:
        """Bring an asset to the local disk and probe it.

        Raises:
            BriefError: it is another user's, too large, too long, or not in the storage.
            FetchError, StorageError: it could not be fetched.
            MediaError: it is not media.
        """
        limit = settings().max_file_mb
        try:
            path = await intake.bring(
                asset.address,
                self._next_file(".bin"),
                bucket=BUCKET,
                owner=self.owner,
                max_bytes=limit * _MB,
                what=asset.name,
            )
        except TooLarge as error:
            raise BriefError(
                f"{asset.name} is too large; the limit is {limit} MB (BRIEFS_MAX_FILE_MB)."
            ) from error
        except (intake.NotOwned, storage.ObjectNotFound, storage.BadKey) as error:
            raise BriefError(str(error)) from error
        try:
            found = await media.probe(path)
        except media.MediaError as error:
            raise media.MediaError(str(error).replace(path.name, asset.name, 1)) from error
        check_length(asset.name, found)
        return path, found

    async def publish(self, path: Path) -> dict[str, str]:
        """Store a file and return its key and an address that is valid for seven days."""
        row = self.job.row
        key = f"{self.owner or 'jobs'}/{row['brief_id'] or self.job.key}/{row['type']}/{path.name}"
        url = await storage.publish(BUCKET, path, key, fence=self.job.fence)
        return {"key": storage.fenced(key, self.job.fence), "url": url}

    def made(self, type: str, name: str) -> list[dict[str, Any]]:  # noqa: A002 - the column's name
        """Return a list from the result of an earlier step, or an empty list."""
        return list((self.results.get(type) or {}).get(name) or [])

    async def fetch_made(self, file: Mapping[str, Any]) -> Path:
        """Bring a file that an earlier step has stored to the local disk."""
        key = str(file["key"])
        target = self._next_file(Path(key).suffix)
        return await intake.bring_object(BUCKET, key, target, max_bytes=ffmpeg.MAX_BYTES, what=key)

    def _next_file(self, suffix: str) -> Path:
        self._began += 1
        return self.job.workdir / f"in{self._began}{suffix}"

    def _listed(self, name: str) -> list[Any]:
        value = self.payload.get(name, self.metadata.get(name, []))
        if not isinstance(value, list):
            raise BriefError(f"{name} must be a list of addresses.")
        return value


def kind_of(found: Media) -> Kind:
    """Return the kind of a media file."""
    if found.video is None:
        return "audio"
    return "image" if found.video.is_image else "video"


def check_length(name: str, found: Media) -> None:
    """Refuse a file that lasts too long, by its header or by the time of its last picture.

    Raises:
        BriefError: the sentence names the file and the limit.
    """
    last = found.video.last if found.video else None
    limit = settings().max_hours
    if max(found.duration or 0, last or 0) > limit * 3600:
        raise BriefError(f"{name} is longer than {limit:g} hours, the limit (BRIEFS_MAX_HOURS).")
