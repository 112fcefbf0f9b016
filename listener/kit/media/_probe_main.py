"""Read media files for `probe_process`, and respond with a line of JSON for each.

Run by path, so it imports nothing of this package. Its standard input is a socket. A request is one message: the
descriptor of a file, and as JSON the other arguments of `read`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

# AVColorSpace, AVColorTransferCharacteristic and AVColorRange by FFmpeg's names for -colorspace and so on.
MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc", 10: "bt2020c"}
TRANSFERS = {1: "bt709", 13: "iec61966-2-1", 16: "smpte2084", 18: "arib-std-b67"}
FULL_RANGE = {1: False, 2: True}
STILL_BRANDS = {"avif", "heic", "heix", "mif1"}
MIN_PAUSE_SECONDS = Fraction(1, 10)
MAX_PAUSES = 10_000
REQUEST_BYTES = 65536  # one message; the next request is sent after the response


class Unreadable(Exception):
    """A file can't be read; the text is the end of the sentence `FILE ...`."""


def read(file: int, formats: str, max_pixels: int, count_frames: bool) -> dict[str, Any]:
    """Return the fields of `media.Media`, with fractions as text."""
    options = {"protocol_whitelist": "fd", "format_whitelist": formats, "max_pixels": str(max_pixels)}
    with ExitStack() as opened:

        def begun() -> InputContainer:
            os.lseek(file, 0, os.SEEK_SET)
            return opened.enter_context(av.open("fd:", options={**options, "fd": str(file)}))

        def rewound() -> InputContainer:
            try:
                container.seek(0)
            except av.FFmpegError:  # a Matroska file whose timestamps begin below 0
                return begun()
            return container

        container = begun()
        pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        sounds = list(container.streams.audio)
        if not pictures and not sounds:
            raise Unreadable("holds neither pictures nor sound that can be decoded")
        video = _video(container, pictures[0], max_pixels) if pictures else None
        audio = _audio(sounds[0]) if sounds else None
        duration = None if container.duration is None else Fraction(container.duration, av.time_base)
        if count_frames and not (video and video["is_image"]):
            (frames, duration), *others = _measure(rewound(), [*pictures[:1], *sounds[:1]])
            if audio:
                heard = others[0][1] if others else duration
                audio["duration"] = None if heard is None else str(heard)
            if video:
                video["frames"] = frames
        elif video and not video["is_image"]:
            video |= _rhythm(container, pictures[0], rewound)
        if duration is None and not (video and video["is_image"]):  # the header of a live recording has none
            spans = [span for _, span in _measure(rewound(), [*pictures[:1], *sounds[:1]]) if span]
            duration = max(spans, default=None)
        return {
            "format": container.format.name,
            "duration": None if duration is None or (video and video["is_image"]) else str(duration),
            "video": video,
            "audio": audio,
        }


def _video(container: InputContainer, stream: VideoStream, max_pixels: int) -> dict[str, Any]:
    _decodable(stream, "pictures")
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    # Rotation, transparency and colour are certain only once a picture is decoded.
    frame = next(container.decode(stream), None)
    if frame is None:
        raise Unreadable("holds no picture that can be decoded")
    turned = -frame.rotation % 360
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = frame.width, frame.height
    if turned in {90, 270}:
        width, height, aspect = height, width, 1 / aspect
    fps = stream.average_rate or stream.guessed_rate
    still = container.format.name.endswith("_pipe") or container.metadata.get("major_brand") in STILL_BRANDS
    begins = Fraction(0)
    if not still and frame.pts is not None and frame.time_base:
        begins = frame.pts * frame.time_base - _origin(container)
    return {
        "width": width,
        "height": height,
        "rotation": turned,
        "pixel_aspect": str(aspect),
        "fps": None if still or not fps else str(fps),
        "frames": 1 if still else stream.frames or None,
        "pix_fmt": frame.format.name,
        "has_alpha": frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components),
        "is_image": still,
        "codec": stream.codec_context.codec.canonical_name,
        "matrix": MATRICES.get(frame.colorspace),
        "full_range": FULL_RANGE.get(frame.color_range),
        "transfer": TRANSFERS.get(frame.color_trc),
        "is_interlaced": frame.interlaced_frame,
        "first": str(begins),
        "last": None,
        "pauses": [],
    }


def _rhythm(
    container: InputContainer, stream: VideoStream, rewound: Callable[[], InputContainer]
) -> dict[str, Any]:
    """Return `last` and `pauses` of `media.Video` without decoding; only the end of an indexed file is read."""
    times = {entry.timestamp for entry in stream.index_entries}
    if times and len(times) == stream.frames:
        # An index is in decoding order: its last times may be missing, so the end is read.
        container.seek(max(times), stream=stream)
    else:
        container = rewound()
    for packet in container.demux(container.streams[stream.index]):
        if packet.pts is not None and not packet.is_discard:
            times.add(packet.pts)
    if not times or stream.time_base is None:
        return {}
    unit, origin = stream.time_base, _origin(container)
    ordered = sorted(times)
    pauses = [pair for pair in pairwise(ordered) if (pair[1] - pair[0]) * unit > MIN_PAUSE_SECONDS]
    longest = sorted(pauses, key=lambda pause: pause[0] - pause[1])[:MAX_PAUSES]
    spans = [[str(time * unit - origin) for time in pause] for pause in sorted(longest)]
    return {"last": str(max(Fraction(0), ordered[-1] * unit - origin)), "pauses": spans}


def _origin(container: InputContainer) -> Fraction:
    """Return the timestamp of the file's beginning, in seconds."""
    return Fraction(container.start_time or 0, av.time_base)


def _audio(stream: AudioStream) -> dict[str, Any]:
    _decodable(stream, "sound")
    context = stream.codec_context
    return {
        "codec": context.codec.canonical_name,
        "rate": context.sample_rate,
        "channels": context.channels,
        "duration": None,
    }


def _decodable(stream: Stream, what: str) -> None:
    if stream.codec_context is None:
        raise Unreadable(f"holds {what} in an unknown codec")


def _measure(container: InputContainer, streams: list[Stream]) -> list[tuple[int, Fraction | None]]:
    """Return for each stream the number of shown packets, and the seconds from the first to the end of the last."""
    packets: dict[int, list[tuple[int, int]]] = {stream.index: [] for stream in streams}
    for packet in container.demux([container.streams[stream.index] for stream in streams]):
        if packet.pts is not None and not packet.is_discard:
            packets[packet.stream_index].append((packet.pts, packet.duration or 0))
    return [(len(packets[stream.index]), _span(packets[stream.index], stream)) for stream in streams]


def _span(packets: list[tuple[int, int]], stream: Stream) -> Fraction | None:
    if not packets or stream.time_base is None:
        return None
    end = max(pts + length for pts, length in packets)
    return (end - min(pts for pts, _ in packets)) * stream.time_base


def answer(file: int, request: dict[str, Any]) -> dict[str, Any]:
    """Return the result of `read`, or as `error` the end of the sentence `FILE ...`."""
    try:
        return read(file, **request)
    except Unreadable as error:
        return {"error": str(error)}
    except av.FFmpegError as error:
        *_, source, message = map(str, error.log or ("", error.strerror))
        reason = message.partition(", see the documentation")[0].strip()
        if message.startswith("Format not on whitelist"):  # the message lists the whole whitelist
            reason = f"its format, {source.removesuffix('_pipe')}, is not supported"
        return {"error": f"is not a media file that can be read ({reason})"}
    except MemoryError:
        return {"error": "needs too much memory to be read"}
    except Exception as error:
        return {"error": f"can't be read: the reader failed on it ({type(error).__name__}: {error})"}


def main() -> None:
    av.logging.set_level(av.logging.ERROR)  # the last line of the log is more precise than the error's code
    service = socket.socket(fileno=0)
    while True:
        request, files, *_ = socket.recv_fds(service, REQUEST_BYTES, 1)
        if not request:
            break
        service.sendall(json.dumps(answer(files[0], json.loads(request))).encode() + b"\n")
        os.close(files[0])


if __name__ == "__main__":
    main()
