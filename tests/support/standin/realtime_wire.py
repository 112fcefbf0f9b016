"""Encode the frames of Realtime's websocket: objects in version 1; in version 2 arrays, and bytes for broadcasts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PUSH, BROADCAST, IS_JSON = 3, 4, 1


@dataclass(frozen=True)
class Frame:
    """A message of a client."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: dict[str, Any]


def decode(version: int, frame: str | bytes) -> Frame:
    """Read a frame of a client."""
    if isinstance(frame, bytes):
        return _read_push(frame)
    said = json.loads(frame)
    if version == 2:
        return Frame(*said)
    return Frame(said.get("join_ref"), said.get("ref"), said["topic"], said["event"], said["payload"])


def encode(
    version: int, join_ref: str | None, ref: str | None, topic: str, event: str, payload: Any
) -> str | bytes:
    """Return a frame for a client."""
    if version == 1:
        return json.dumps(
            {"join_ref": join_ref, "ref": ref, "topic": topic, "event": event, "payload": payload}
        )
    if event != "broadcast":
        return json.dumps([join_ref, ref, topic, event, payload])
    meta = json.dumps(payload["meta"]) if "meta" in payload else ""
    parts = [part.encode() for part in (topic, payload["event"], meta)]
    head = bytes([BROADCAST, *map(len, parts), IS_JSON])
    return head + b"".join(parts) + json.dumps(payload["payload"]).encode()


def _read_push(frame: bytes) -> Frame:
    assert frame[0] == PUSH
    # Lengths of join_ref, ref, topic, event and metadata, then the encoding, then these and the payload.
    *lengths, encoding = frame[1:7]
    parts, at = [], 7
    for length in lengths:
        parts.append(frame[at : at + length].decode())
        at += length
    join_ref, ref, topic, event, _ = parts
    assert encoding == IS_JSON
    payload = {"type": "broadcast", "event": event, "payload": json.loads(frame[at:])}
    return Frame(join_ref or None, ref or None, topic, "broadcast", payload)
