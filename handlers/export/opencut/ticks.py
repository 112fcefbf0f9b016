"""The format *ticks*: like *scenes*, but times are whole ticks of 1/120000 s (versions from 23 on).

From version 24 the tracks are an object `{overlay, main, audio}`; before version 28 a tick may be fractional.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from handlers.export.model import Sides
from handlers.export.opencut.elements import Track
from handlers.export.opencut.known import TRACKS
from handlers.export.opencut.panning import balanced
from handlers.export.opencut.scenes import ScenesReader
from handlers.export.opencut.schema import members

_SECOND = 120_000
_PARTS = {"overlay", "main", "audio"}


class TicksReader(ScenesReader):
    version = 33

    def clock(self, time: float) -> Fraction:
        return Fraction(round(time), _SECOND)

    def sides(self, pan: float) -> Sides:
        return balanced(pan / 100)

    def _tracks(self) -> list[Track]:
        raw = self._scene().tracks
        if isinstance(raw, dict) and not _PARTS & raw.keys():
            raw = list(raw.values())  # version 25 turned some lists into objects with numbers for keys
        if not isinstance(raw, dict):
            return self._from_list(raw)
        self.inspect(raw, TRACKS, "the scene's tracks")
        main = self._checked([raw["main"]], "main track") if raw.get("main") else []
        for track in main:
            track.isMain = True
        overlay = self._checked(raw.get("overlay") or [], "overlay track")
        audio = self._checked(raw.get("audio") or [], "audio track")
        return [*reversed(_ordered([*overlay, *main], raw.get("order"))), *audio]


def _ordered(tracks: list[Track], order: object) -> list[Track]:
    """Return tracks from the top to the bottom; those that `order`, a list of ids, does not name follow as they are."""
    ids = [each for each in order if isinstance(each, str)] if isinstance(order, list) else []
    places = {each: place for place, each in reversed(list(enumerate(ids)))}
    return sorted(tracks, key=lambda track: places.get(track.id, len(ids)))


def in_ticks(project: Mapping[str, Any]) -> bool:
    """Tell by its version or its shape whether a project with scenes counts in ticks."""
    version = project.get("version")
    if isinstance(version, int | float) and version >= 23:
        return True
    tracks = [members(scene).get("tracks") for scene in project["scenes"]]
    rate = members(project.get("settings")).get("fps")
    return isinstance(rate, dict) or any(isinstance(each, dict) for each in tracks)
