"""Typed streams of FFmpeg's filter graphs, compiled into arguments: the only module that imports ffmpeg-python.

ffmpeg-python (0.2.0, of 2019) is one of the packages that this project is asked to be built on. It has no types, so
its objects never leave this module, and elsewhere the name `ffmpeg` always means `listener.kit.ffmpeg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ffmpeg as library
from ffmpeg.nodes import InputNode


@dataclass(frozen=True, slots=True)
class Stream:
    """Pictures or sound between two filters."""

    _stream: Any

    def filter(self, name: str, *args: object, **options: object) -> Stream:
        """Pass the stream through an FFmpeg filter."""
        return Stream(self._stream.filter(name, *args, **options))

    def split(self, count: int) -> list[Stream]:
        """Copy a video stream. FFmpeg makes only those copies that are used."""
        copies = self._stream.split()
        return [Stream(copies[number]) for number in range(count)]


@dataclass(frozen=True, slots=True)
class Input:
    """An opened input.

    Attributes:
        picture, sound: numbers of the streams that are meant, among those that are no covers, and among the sounds.
    """

    _stream: Any
    picture: int = 0
    sound: int = 0

    @property
    def video(self) -> Stream:
        return Stream(self._stream[f"V:{self.picture}"])

    @property
    def audio(self) -> Stream:
        return Stream(self._stream[f"a:{self.sound}"])


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a run makes."""

    _stream: Any


class Run:
    """Opens the inputs of one FFmpeg run and names its filters, so that no two of them are the same."""

    def __init__(self) -> None:
        self._inputs = 0
        self._named_filters = 0

    def open(self, filename: str, streams: tuple[int, int] = (0, 0), **options: object) -> Input:
        # ffmpeg-python merges nodes that are equal, but a filter graph may read each input only once. The number, an
        # argument that the library ignores, makes equal inputs differ.
        self._inputs += 1
        node = InputNode("input", args=[self._inputs], kwargs={"filename": filename, **options})
        return Input(node.stream(), *streams)

    def named(self, filter_name: str) -> str:
        """Name one filter of a kind, such as `lut@1`, so that `sendcmd` can address it."""
        self._named_filters += 1
        return f"{filter_name}@{self._named_filters}"


def merge(streams: Sequence[Stream], name: str, *args: object, **options: object) -> Stream:
    """Pass several streams into one FFmpeg filter."""
    return Stream(library.filter([stream._stream for stream in streams], name, *args, **options))


def concat(pieces: Sequence[Stream]) -> Stream:
    """Join pictures one after the other."""
    return Stream(library.concat(*(piece._stream for piece in pieces), v=1, a=0))


def output(streams: Sequence[Stream], target: str, **options: object) -> Output:
    return Output(library.output(*(stream._stream for stream in streams), target, **options))


def arguments(*outputs: Output) -> list[str]:
    """Compile one run that makes all `outputs` into FFmpeg's arguments, without its name.

    Inputs come first, in the order in which they were opened; options are sorted by their names.
    """
    streams = [each._stream for each in outputs]
    whole = streams[0] if len(streams) == 1 else library.merge_outputs(*streams)
    return [str(argument) for argument in whole.get_args()]
