"""Make times equal that an editor takes for equal, so that clips that touch there touch in the film."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise

GAP_SECONDS = Fraction(1, 1000)  # between two clips, which the editors take for none

Moment = Callable[[Fraction], Fraction]


def equalled(times: Iterable[Fraction]) -> Moment:
    """Return a function that maps each of `times` to the earliest of those that are meant to be equal to it.

    JavaScript's sums of seconds differ by 1e-16 where the times are meant to be equal. At a frame rate for which such a
    time is half a frame, they would become different frames. Neighbours are joined in the order of their distances,
    the closest first, and no joined times are further apart than `GAP_SECONDS`.
    """
    ordered = sorted(set(times))
    begins, ends = list(range(len(ordered))), list(range(len(ordered)))  # of each group, valid at its borders
    for _, left in sorted((after - before, index) for index, (before, after) in enumerate(pairwise(ordered))):
        first, last = begins[left], ends[left + 1]
        if ordered[last] - ordered[first] <= GAP_SECONDS:
            ends[first], begins[last] = last, first
    meant: dict[Fraction, Fraction] = {}
    index = 0
    while index < len(ordered):
        last = ends[index]
        meant.update(dict.fromkeys(ordered[index : last + 1], ordered[index]))
        index = last + 1
    return meant.__getitem__
