"""Compile curves for FFmpeg: into an expression of the time, or into commands that are sent at the right frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from handlers.export.model import Curve


@dataclass(frozen=True, slots=True)
class TickRange:
    """The frames of a film, or the samples of its sound, while a clip lasts.

    Attributes:
        rate: ticks a second.
        start: of the clip, in seconds of the film.
        first, end: ticks of the film, the end not included.
    """

    rate: Fraction
    start: Fraction
    first: int
    end: int

    def at(self, curve: Curve, tick: int) -> float:
        return curve.at(tick / self.rate - self.start)

    def largest(self, curve: Curve) -> float:
        """Return the largest absolute value that is reached; a straight line is largest at one of its ends."""
        return max(abs(value) for piece in self._pieces(curve) for value in (piece.value, piece.last))

    def expression(self, curve: Curve, tick: str) -> str:
        """Compile a curve into an expression of FFmpeg.

        Args:
            tick: an expression for the tick's number; a small error of rounding does no harm.
        """
        pieces = self._pieces(curve)

        def choose(low: int, high: int) -> str:  # nested in halves: long curves stay quick
            if high - low == 1:
                return pieces[low].line(tick)
            middle = (low + high) // 2
            first = pieces[middle].first - 0.5
            return f"if(lt({tick},{first}),{choose(low, middle)},{choose(middle, high)})"

        return choose(0, len(pieces))

    def commands(self, target: str, argument: Callable[[int], str], offset: int = 0) -> str:
        """Return commands for the filter `sendcmd` that change an option of another filter, tick by tick.

        Args:
            target: that filter's name and the option.
            argument: the option's text at a tick; nothing is sent where it stays the same.
            offset: the tick at which the stream's time is 0.
        """
        sent, lines = "", []
        for tick in range(self.first, self.end):
            if (text := argument(tick)) != sent:
                lines.append(f"{number((tick - offset - Fraction(1, 2)) / self.rate)} {target} {text}")
                sent = text
        return ";".join(lines)

    def _pieces(self, curve: Curve) -> list[_Piece]:
        borders = [math.ceil((self.start + key.time) * self.rate) for key in curve.keys]
        inner = sorted({border for border in borders if self.first < border < self.end})
        edges = [self.first, *inner, self.end]
        pieces: list[_Piece] = []
        for first, end in pairwise(edges):
            value, last = self.at(curve, first), self.at(curve, end - 1)
            piece = _Piece(first, value, (last - value) / max(1, end - 1 - first), last)
            if not (pieces and pieces[-1].slope == piece.slope == 0 and pieces[-1].value == piece.value):
                pieces.append(piece)
        return pieces


@dataclass(frozen=True, slots=True)
class _Piece:
    """A straight line from `value` at the tick `first` to `last`."""

    first: int
    value: float
    slope: float
    last: float

    def line(self, tick: str) -> str:
        if self.slope == 0:
            return f"({number(self.value)})"
        return f"({number(self.value)}+({number(self.slope)})*({tick}-{self.first}))"


def seconds(time: Fraction) -> str:
    """Write seconds in decimal, to the microsecond, FFmpeg's resolution."""
    return f"{round(time * 1_000_000) / 1_000_000:.6f}".rstrip("0").rstrip(".")


def number(value: float | Fraction) -> str:
    """Write a number without an exponent, as short as it may be."""
    return f"{float(value):.12f}".rstrip("0").rstrip(".")
