"""The slots of this process, queue by queue, and which queue gets those that are free."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from listener.metrics import SourceName


class QueueSlots:
    """One queue in this process.

    Attributes:
        used: how many of its jobs hold a slot.
        dirty: what said that it has something to claim, if anything did.
        owed: its next claim is to be a sweep, however long its slots stay taken until then.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.used = 0
        self.woken_by: SourceName | None = None
        self.sweep_due = True
        self._heard_at = time.monotonic()
        self._gaps: deque[tuple[float, float]] = deque(maxlen=8)

    @property
    def free(self) -> int:
        return self.slots - self.used

    def hear(self) -> None:
        """An event has come."""
        self._heard_at = time.monotonic()

    def end_gap(self) -> None:
        """Events may have been missed since the last one, and come again from now on."""
        self._gaps.append((self._heard_at, time.monotonic()))

    def was_deaf(self, since: float, until: float) -> bool:
        """Whether no event came between these times; both are monotonic."""
        return since > self._heard_at or any(start < since and until < end for start, end in self._gaps)


class Slots(dict[str, QueueSlots]):
    """The lanes of all queues, by their names.

    Args:
        slots: queue name -> the most of its jobs to run at once.
        most: the most jobs to run at once in all; None is as many as there are slots.
        serves: whether a queue is attached; others get nothing.
    """

    def __init__(self, slots: Mapping[str, int], most: int | None, serves: Callable[[str], bool]) -> None:
        super().__init__((queue, QueueSlots(number)) for queue, number in slots.items())
        self.most = most or sum(slots.values())
        self._serves = serves
        self._next = 0

    @property
    def active(self) -> int:
        """How many jobs hold a slot."""
        return sum(lane.used for lane in self.values())

    def allot(self) -> dict[str, int]:
        """Slots to ask for, queue by queue; the room that all share goes round, so that no queue starves another."""
        room = self.most - self.active
        names = [
            queue for queue, lane in self.items() if lane.woken_by and lane.free > 0 and self._serves(queue)
        ]
        if room <= 0 or not names:
            return {}
        if len(names) == 1:
            return {names[0]: min(room, self[names[0]].free)}
        first = self._next % len(names)
        self._next += 1
        slots = dict.fromkeys(names[first:] + names[:first], 0)
        while room > 0 and (open_ := [queue for queue in slots if slots[queue] < self[queue].free]):
            share = max(1, room // len(open_))
            for queue in open_[:room]:
                more = min(share, self[queue].free - slots[queue], room)
                slots[queue] += more
                room -= more
        return {queue: number for queue, number in slots.items() if number}

    def wanted(self, *, everything: bool = False) -> int:
        """How many jobs could be started now: of queues that have something to claim, or of all."""
        room = self.most - self.active
        open_ = [
            lane.free for queue, lane in self.items() if (lane.woken_by or everything) and self._serves(queue)
        ]
        return min(room, sum(open_))
