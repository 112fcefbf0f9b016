"""Files and timelines that somebody made to break a renderer, to read its disk, or to reach its network."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listener.kit import ffmpeg

Json = dict[str, Any]


@dataclass(frozen=True)
class Good:
    """Honest media: a film of 2 s with sound, a sound, a picture, a moving GIF."""

    film: bytes
    sound: bytes
    picture: bytes
    gif: bytes


def make_good(folder: Path) -> Good:
    picture = "-f lavfi -i testsrc2=s=160x90:r=30:d=2"
    sources = {
        "film.mp4": f"{picture} -f lavfi -i sine=d=2 -pix_fmt yuv420p",
        "sound.wav": "-f lavfi -i sine=d=1",
        "picture.png": f"{picture} -frames:v 1 -update 1",
        "moving.gif": "-f lavfi -i testsrc2=s=16x16:r=10:d=1",
    }
    for name, source in sources.items():
        subprocess.run(
            [ffmpeg.binary(), "-v", "error", "-y", *source.split(), folder / name], check=True, timeout=30
        )
    return Good(*((folder / name).read_bytes() for name in sources))


def text(timeline: object) -> bytes:
    """The content of a timeline file; what is bytes already stays."""
    return timeline if isinstance(timeline, bytes) else json.dumps(timeline).encode()


def shows(url: str, kind: str = "video", **more: object) -> Json:
    """A timeline that shows one media for 0.2 seconds."""
    element = {
        "type": "media",
        "name": "clip",
        "mediaId": "m",
        "startTime": 0,
        "duration": 0.2,
        "trimStart": 0,
        "trimEnd": 0,
        **more,
    }
    return {
        "project": {"backgroundColor": "#000000"},
        "tracks": [{"type": "audio" if kind == "audio" else "media", "elements": [element]}],
        "mediaItems": {"m": {"id": "m", "name": "clip", "type": kind, "url": url}},
    }


def titles(*elements: Json) -> Json:
    """A timeline of texts."""
    base = {
        "type": "text",
        "name": "title",
        "content": "hi",
        "startTime": 0,
        "duration": 0.2,
        "trimStart": 0,
        "trimEnd": 0,
    }
    return {"tracks": [{"type": "text", "elements": [{**base, **one} for one in elements]}], "mediaItems": {}}


def references(folder: Path, port: int) -> Iterator[tuple[str, bytes]]:
    """Documents that name other files and addresses, and hope to be taken for media."""
    web, secret = f"http://127.0.0.1:{port}", folder / "secret.mp4"
    targets = {
        "absolute": str(secret),
        "file": f"file://{secret}",
        "relative": "../elsewhere/secret.mp4",
        "sibling": "in0.bin",
        "web": f"{web}/a.ts",
        "concat": f"concat:{secret}",
        "subfile": f"subfile,,start,0,end,0,,:{secret}",
        "data": "data:text/plain;base64,AAAA",
    }
    head = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n"
    for name, target in targets.items():
        yield f"hls {name}", f"{head}#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n".encode()
        yield f"ffconcat {name}", f"ffconcat version 1.0\nfile '{target}'\n".encode()
    for tag in (f'KEY:METHOD=AES-128,URI="{web}/key"', f'MAP:URI="{web}/init.mp4"'):
        yield f"hls {tag[:3]}", f"{head}#EXT-X-{tag}\n#EXTINF:2,\nin0.bin\n#EXT-X-ENDLIST\n".encode()
    yield "hls master", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{web}/a.m3u8\n".encode()
    yield (
        "dash",
        (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
            f'<BaseURL>{web}/</BaseURL><AdaptationSet mimeType="video/mp4"><Representation id="1">'
            '<SegmentTemplate media="a.mp4" initialization="b.mp4"/></Representation></AdaptationSet></Period></MPD>'
        ).encode(),
    )
    yield (
        "sdp",
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n".encode(),
    )
    for target in (f"{web}/a.png", f"file://{secret}"):
        image = f'<image href="{target}" xlink:href="{target}" width="9" height="9"/>'
        yield f"svg {target[:4]}", _svg(image).encode()
    entity = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{folder}/secret.txt">]>'
    yield "svg entity", f'<?xml version="1.0"?>{entity}{_svg("<text>&x;</text>")}'.encode()
    yield "smil", f'<smil><body><video src="{web}/a.mp4"/></body></smil>'.encode()
    yield "subtitle", b"1\n00:00:00,000 --> 00:00:02,000\n{\\movie=" + str(secret).encode() + b"}x\n"
    yield (
        "ass",
        (
            f"[Script Info]\nScriptType: v4.00+\n[Events]\nFormat: Start, End, Text\n"
            f"Dialogue: 0:00:00.00,0:00:02.00,movie={secret}\n"
        ).encode(),
    )
    yield "graph", f"movie={secret}[out0]".encode()
    yield "avisynth", f'DirectShowSource("{secret}")'.encode()
    yield "link", b"[InternetShortcut]\nURL=" + web.encode()


def _svg(inner: str) -> str:
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {names} width="10" height="10">{inner}</svg>'


def no_media() -> Iterator[tuple[str, bytes]]:
    """Files of other kinds."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("../../film.mp4", bytes(10**6))
    yield "zip", archive.getvalue()
    yield "html", b"<!doctype html><script>alert(1)</script><video src='a.mp4'></video>"
    yield "executable", b"\x7fELF\x02\x01\x01" + bytes(4000)
    yield "script", b"#!/bin/sh\ntouch /tmp/owned\n"
    yield "pdf", b"%PDF-1.7\n" + bytes(1000)
    yield "zeros", bytes(100_000)
    yield "one byte", b"\0"
    yield "nothing", b""
    yield "ones", b"\xff" * 100_000


def bombs(good: Good) -> Iterator[tuple[str, bytes]]:
    """Small files that claim, or unfold to, much more than can be held."""
    yield "png of 16000²", png(16_000, 16_000)
    yield (
        "png that claims 2³¹",
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)),
    )
    yield "gif of 65535²", b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0xF0, 0, 0) + good.gif[13:]
    yield "film of 2³¹ s", _patched(good.film, b"mvhd", 16, struct.pack(">I", 2**32 - 1))
    yield "film of no frames", _patched(good.film, b"stsz", 8, struct.pack(">I", 0))
    yield "film of 2³² frames", _patched(good.film, b"stsz", 8, struct.pack(">I", 2**32 - 1))
    yield "film of 65535²", _patched(good.film, b"avc1", 28, struct.pack(">HH", 65535, 65535))
    yield "sound of 4 GB", good.sound[:4] + b"\xff" * 4 + good.sound[8:40] + b"\xff" * 4 + good.sound[44:2000]
    yield "sound of 65535 channels", good.sound[:22] + b"\xff\xff" + good.sound[24:]
    yield "sound of no rate", good.sound[:24] + bytes(4) + good.sound[28:]


def damaged(good: Good) -> Iterator[tuple[str, bytes]]:
    """Media of which a part is missing or wrong."""
    for name, content in vars(good).items():
        yield f"{name} cut short", content[: len(content) // 2]
    for name, content in {"film": good.film, "gif": good.gif}.items():
        third = len(content) // 3
        yield f"{name} cut shorter", content[:64]
        yield f"{name} with a hole", content[:third] + bytes(third) + content[2 * third :]
    yield "film outside of itself", good.film.replace(b"url \x00\x00\x00\x01", b"url \x00\x00\x00\x00")


def many_frames(count: int) -> bytes:
    """A GIF of one pixel and `count` frames."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\x04\0\1\0\0\0" + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    return head + frame * count + b";"


def png(width: int, height: int) -> bytes:
    """A black and white picture, blank and therefore tiny as a file."""
    deflate = zlib.compressobj()
    row = bytes(1 + width // 8)
    rows = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _patched(content: bytes, box: bytes, offset: int, value: bytes) -> bytes:
    """Other bytes at `offset` behind the name of an MP4 box."""
    place = content.index(box) + 4 + offset
    return content[:place] + value + content[place + len(value) :]


def filter_syntax(folder: Path, port: int) -> list[str]:
    """Texts that would break out of a filter, a command, a path or a template if they got into one unquoted."""
    secret = folder / "secret.txt"
    return [
        f"x',drawtext=textfile={secret}:fontsize=99,drawtext=text='y",
        f"x[out];movie={folder}/secret.mp4[v];[v]null",
        "It's 50% of \\ %{pts} %{metadata\\:x} ${HOME} $(id) `id` ; rm -rf / | & > /tmp/owned",
        f"-i {secret} -f lavfi -protocol_whitelist file,http,tcp",
        f"../../elsewhere/secret.mp4\0file://{secret}",
        f"http://127.0.0.1:{port}/%n%s%d{{0}}{{x.__class__}}",
        "\u202e\ud800\ufeff\U0010ffff\r\n\t\x1b[31m",
        "A" * 100_000,
    ]
