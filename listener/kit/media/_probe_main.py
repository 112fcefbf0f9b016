"""Read media files for the service: the program of the process that `probe_process` starts.

It is run by path, and therefore imports nothing of this package. Its standard input is a socket. Each request is one
message there: the descriptor of a file, and as JSON the other arguments of `read`. Each reply is a line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import socket
from array import array
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

# AVColorSpace, AVColorTransferCharacteristic and AVColorRange by FFmpeg's names for -colorspace and so on.
MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc", 10: "bt2020c"}
TRANSFERS = {1: "bt709", 13: "iec61966-2-1", 16: "smpte2084", 18: "arib-std-b67"}
FULL_RANGE = {1: False, 2: True}
STILL_BRANDS = {"avif", "heic", "heix", "mif1"}
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders drop the alpha of WebM
SEI, ALPHA_CHANNEL_INFO = 39, 165  # of ITU-T H.265: type of a unit, and of the message in it
COVER_CODECS = {"mjpeg", "png", "gif", "bmp", "webp", "tiff"}
MIN_PAUSE_SECONDS = Fraction(1, 10)
MAX_PAUSES = 10_000
RIFF_PLACEHOLDER = 2_000_000_000  # bytes; recorders that don't know the size write this much or more
REQUEST_BYTES = 65536  # a request comes in one piece, because the next one is not sent before the reply
MIN_AUDIBLE_SAMPLE = 33  # of 32767: -60 dB
AUDIBLE_WITHIN_SECONDS = 1200  # how much of each track is searched for an audible sample
AUDIBLE_RATE = 8000  # samples per second
MIN_MISSING_SECONDS = Fraction(1, 2)  # a file that lacks less counts as complete
TOO_LARGE = re.compile(r"Picture size (\d+)x(\d+) exceeds")


class Unreadable(Exception):
    """The end of the sentence `FILE ...`."""


class TooLarge(Exception):
    """A picture has more pixels than are allowed: its width and height."""


def read(
    file: int, formats: str, max_pixels: int, max_frame_pixels: int, count_frames: bool
) -> dict[str, Any]:
    """Return the fields of `media.Media`, with fractions as text."""
    options = {"protocol_whitelist": "fd", "format_whitelist": formats, "max_pixels": str(max_pixels)}
    with ExitStack() as opened:

        def begun() -> InputContainer:
            os.lseek(file, 0, os.SEEK_SET)
            return opened.enter_context(av.open("fd:", options={**options, "fd": str(file)}))

        def rewound() -> InputContainer:
            if container.format.name == "ogg":  # after a seek, FFmpeg ends at the first part of chained Ogg
                return begun()
            try:
                container.seek(0)
            except av.FFmpegError:  # a Matroska file whose timestamps begin below 0
                return begun()
            return container

        av.logging.set_level(av.logging.WARNING)
        with av.logging.Capture() as log:
            container = begun()
        av.logging.set_level(av.logging.ERROR)
        is_guess = any("Estimating duration" in text for _, _, text in log)
        size = os.fstat(file).st_size
        picture, video = _picture(container, max_pixels, max_frame_pixels)
        sounds = list(container.streams.audio)
        if picture is None and not sounds:
            raise Unreadable("holds neither pictures nor sound that can be decoded")
        sound = _audible(sounds, begun) if len(sounds) > 1 else 0
        audio = _audio(sounds[sound], sound, len(sounds)) if sounds else None
        claimed = duration = (
            None if container.duration is None else Fraction(container.duration, av.time_base)
        )
        streams: list[Stream] = [*filter(None, [picture]), *sounds[sound : sound + 1]]
        is_still = video is not None and video["is_image"]
        if count_frames and not is_still:
            (frames, duration), *others = _measure(rewound(), streams)
            if audio:
                heard = others[0][1] if others else duration
                audio["duration"] = None if heard is None else str(heard)
            if video:
                video["frames"] = frames
        elif not is_still:
            times = _times(container, streams, size, rewound)
            ends = [times[stream.index][1] for stream in streams]
            measured = max((end for end in ends if end is not None), default=None)
            if audio and ends[-1] is not None:
                audio["duration"] = str(ends[-1])
            if picture and video:
                video |= _rhythm(container, picture, times[picture.index][0])
            if measured is not None:
                duration = measured
        if duration is not None and (share := _riff_share(file, size)):
            claimed, is_guess = duration / share, False
        lacks = claimed is not None and duration is not None and claimed - duration > MIN_MISSING_SECONDS
        return {
            "format": container.format.name,
            "duration": None if duration is None or is_still else str(duration),
            "declared": str(claimed) if lacks and not is_guess and not count_frames else None,
            "video": video,
            "audio": audio,
        }


def _riff_share(file: int, size: int) -> Fraction | None:
    """Return the share of a truncated RIFF (WAV, AVI) that is there; None if it is whole, or its size a placeholder."""
    head = os.pread(file, 8, 0)
    declared = int.from_bytes(head[4:8], "little") + 8
    return Fraction(size, declared) if head[:4] == b"RIFF" and size < declared < RIFF_PLACEHOLDER else None


def _picture(
    container: InputContainer, max_pixels: int, max_frame_pixels: int
) -> tuple[VideoStream | None, dict[str, Any] | None]:
    """Return the stream of pictures that is meant, and what it holds: a film before a cover, the default one first."""
    shown = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]

    def rank(stream: VideoStream) -> tuple[bool, bool]:
        context = stream.codec_context
        is_cover = stream.frames == 1 and context is not None and context.codec.canonical_name in COVER_CODECS
        return is_cover, not stream.disposition & Disposition.default

    problem: Exception | None = None
    for stream in sorted(shown, key=rank):
        try:
            found = _video(container, stream, max_pixels, max_frame_pixels)
        except (Unreadable, av.FFmpegError) as error:
            problem = problem or error
            continue
        return stream, {**found, "number": shown.index(stream)}
    if problem and not container.streams.audio:
        raise problem
    return None, None


def _video(
    container: InputContainer, stream: VideoStream, max_pixels: int, max_frame_pixels: int
) -> dict[str, Any]:
    _decodable(stream, "pictures")
    still = container.format.name.endswith("_pipe") or container.metadata.get("major_brand") in STILL_BRANDS
    if stream.width * stream.height > (max_pixels if still else min(max_pixels, max_frame_pixels)):
        raise TooLarge(stream.width, stream.height)
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    # Rotation, transparency and colour are only certain once a picture is decoded.
    with av.logging.Capture() as log:
        frame = next(container.decode(stream), None)
    if frame is None:
        raise Unreadable("holds no picture that can be decoded")
    turned = -frame.rotation % 360
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = frame.width, frame.height
    if turned in {90, 270}:
        width, height, aspect = height, width, 1 / aspect
    fps = stream.average_rate or stream.guessed_rate
    begins = Fraction(0)
    if not still and frame.pts is not None and frame.time_base:
        begins = frame.pts * frame.time_base - _origin(container)
    codec, pix_fmt = stream.codec_context.codec.canonical_name, frame.format.name
    has_alpha = pix_fmt == "pal8" or any(part.is_alpha for part in frame.format.components)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    decoder = ALPHA_DECODERS.get(codec) if tags.get("alpha_mode") == "1" else None
    if decoder:
        has_alpha, pix_fmt = True, "yuva420p"
    return {
        "width": width,
        "height": height,
        "rotation": turned,
        "pixel_aspect": str(aspect),
        "fps": None if still or not fps else str(fps),
        "frames": 1 if still else stream.frames or None,
        "pix_fmt": pix_fmt,
        "has_alpha": has_alpha,
        "is_image": still,
        "codec": codec,
        "matrix": MATRICES.get(frame.colorspace),
        "full_range": FULL_RANGE.get(frame.color_range),
        "transfer": TRANSFERS.get(frame.color_trc),
        "is_interlaced": frame.interlaced_frame,
        "first": str(begins),
        "last": None,
        "pauses": [],
        "decoder": decoder,
        "drops_alpha": codec == "hevc"
        and not has_alpha
        and _names_alpha(stream.codec_context.extradata or b""),
        "is_damaged": still and (frame.is_corrupt or any(level <= av.logging.ERROR for level, _, _ in log)),
    }


def _names_alpha(configuration: bytes) -> bool:
    """Return whether an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) names an alpha layer."""
    place = 23
    for _ in range(configuration[22] if len(configuration) > 22 else 0):
        count, place = int.from_bytes(configuration[place + 1 : place + 3], "big"), place + 3
        for _ in range(count):
            length = int.from_bytes(configuration[place : place + 2], "big")
            unit, place = configuration[place + 2 : place + 2 + length], place + 2 + length
            if len(unit) > 2 and unit[0] >> 1 & 63 == SEI and unit[2] == ALPHA_CHANNEL_INFO:
                return True
    return False


def _times(
    container: InputContainer, streams: Sequence[Stream], size: int, rewound: Callable[[], InputContainer]
) -> dict[int, tuple[set[int], Fraction | None]]:
    """Return by the index of each stream when its frames begin, in its own time base, and its end in seconds.

    Nothing is decoded. Only the end of a file with a complete index is read.
    """
    origin = _origin(container)
    indexed = all(stream.frames and len(stream.index_entries) == stream.frames for stream in streams)
    if not indexed:
        packets = _packets(rewound(), streams)
        return {
            stream.index: (
                {begin for begin, _ in packets[stream.index]},
                _end(packets[stream.index], stream, origin),
            )
            for stream in streams
        }
    found = {}
    for stream in streams:
        entries = [entry for entry in stream.index_entries if entry.pos + entry.size <= size]
        begins = {entry.timestamp for entry in entries}
        if len(entries) == stream.frames and stream.duration and not isinstance(stream, VideoStream):
            end = ((stream.start_time or 0) + stream.duration) * _unit(stream) - origin
        elif begins:
            # An index is in decoding order: its last times may be missing, so the end is read.
            container.seek(max(begins), stream=stream)
            packets = _packets(container, [stream])
            begins |= {begin for begin, _ in packets[stream.index]}
            end = max(
                max(begins) * _unit(stream) - origin,
                _end(packets[stream.index], stream, origin) or Fraction(0),
            )
        else:
            end = Fraction(0)
        found[stream.index] = begins, end or None
    return found


def _packets(container: InputContainer, streams: Sequence[Stream]) -> dict[int, list[tuple[int, int]]]:
    """Return by the index of each stream the begin and the length of each packet that a player shows."""
    packets: dict[int, list[tuple[int, int]]] = {stream.index: [] for stream in streams}
    for packet in container.demux([container.streams[stream.index] for stream in streams]):
        if packet.pts is not None and not packet.is_discard:
            packets[packet.stream_index].append((packet.pts, packet.duration or 0))
    return packets


def _end(packets: list[tuple[int, int]], stream: Stream, origin: Fraction) -> Fraction | None:
    if not packets:
        return None
    end = max(begin + length for begin, length in packets) * _unit(stream) - origin
    if isinstance(stream, AudioStream):  # in chained Ogg, times begin anew
        end = max(end, sum(length for _, length in packets) * _unit(stream))
    return end


def _rhythm(container: InputContainer, stream: VideoStream, times: set[int]) -> dict[str, Any]:
    """Return `last` and `pauses` of `media.Video`."""
    if not times or stream.time_base is None:
        return {}
    unit, origin = stream.time_base, _origin(container)
    ordered = sorted(times)
    pauses = [pair for pair in pairwise(ordered) if (pair[1] - pair[0]) * unit > MIN_PAUSE_SECONDS]
    longest = sorted(pauses, key=lambda pause: pause[0] - pause[1])[:MAX_PAUSES]
    spans = [[str(time * unit - origin) for time in pause] for pause in sorted(longest)]
    return {"last": str(max(Fraction(0), ordered[-1] * unit - origin)), "pauses": spans}


def _origin(container: InputContainer) -> Fraction:
    """Return where the clock of a file stands at its beginning, in seconds."""
    return Fraction(container.start_time or 0, av.time_base)


def _unit(stream: Stream) -> Fraction:
    return stream.time_base or Fraction(0)


def _audible(sounds: Sequence[AudioStream], begun: Callable[[], InputContainer]) -> int:
    """Return the number of the first track that can be heard, the default one first; 0 if none can."""
    order = sorted(range(len(sounds)), key=lambda n: not sounds[n].disposition & Disposition.default)
    for number in order:
        try:
            if _is_audible(begun(), number):
                return number
        except (av.FFmpegError, ValueError):
            continue
    return order[0]


def _is_audible(container: InputContainer, number: int) -> bool:
    stream, resampler, heard = container.streams.audio[number], AudioResampler("s16", None, AUDIBLE_RATE), 0
    for frame in container.decode(stream):
        for part in resampler.resample(frame):
            samples = array("h", bytes(part.planes[0])[: 2 * part.samples * len(part.layout.channels)])
            if samples and (max(samples) >= MIN_AUDIBLE_SAMPLE or -min(samples) >= MIN_AUDIBLE_SAMPLE):
                return True
            heard += part.samples
        if heard > AUDIBLE_WITHIN_SECONDS * AUDIBLE_RATE:
            break
    return False


def _audio(stream: AudioStream, number: int, tracks: int) -> dict[str, Any]:
    _decodable(stream, "sound")
    context = stream.codec_context
    return {
        "codec": context.codec.canonical_name,
        "rate": context.sample_rate,
        "channels": context.channels,
        "duration": None,
        "layout": context.layout.name,
        "number": number,
        "tracks": tracks,
    }


def _decodable(stream: Stream, what: str) -> None:
    if stream.codec_context is None:
        raise Unreadable(f"holds {what} in an unknown codec")


def _measure(container: InputContainer, streams: list[Stream]) -> list[tuple[int, Fraction | None]]:
    """Return of each stream the packets that a player shows, and the seconds from the first to the end of the last."""
    packets = _packets(container, streams)
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
    except (TooLarge, av.FFmpegError) as error:
        return {"size": error.args} if isinstance(error, TooLarge) else _refusal(error)
    except MemoryError:
        return {"error": "needs too much memory to be read"}
    except Exception as error:
        return {"error": f"can't be read: the reader failed on it ({type(error).__name__}: {error})"}


def _refusal(error: av.FFmpegError) -> dict[str, Any]:
    *_, source, message = map(str, error.log or ("", error.strerror))
    if size := TOO_LARGE.search(message):
        return {"size": [int(size[1]), int(size[2])]}
    reason = message.partition(", see the documentation")[0].strip()
    if message.startswith("Format not on whitelist"):  # the message lists the whole whitelist
        reason = f"its format, {source.removesuffix('_pipe')}, is not supported"
    return {"error": f"is not a media file that can be read ({reason})"}


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
