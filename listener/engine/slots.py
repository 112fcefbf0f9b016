"""The slots of this process by queue, and the choice of the queues that get the free ones."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from listener.metrics import Metrics, SourceName


class QueueSlots:
    """The slots of one queue in this process.

    Attributes:
        used: how many are occupied.
        woken_by: the source of the last wake that no claim has answered yet, or None.
        sweep_due: whether the next claim of this queue must be a sweep, even if that is only possible much later.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.used = 0
        self.woken_by: SourceName | None = None
        self.sweep_due = True
        self._last_event = time.monotonic()
        self._gaps: deque[tuple[float, float]] = deque(maxlen=8)

    @property
    def free(self) -> int:
        return self.slots - self.used

    def note_event(self) -> None:
        """Remember that an event has arrived now."""
        self._last_event = time.monotonic()

    def end_gap(self) -> None:
        """Remember that events may have been lost between the last one and now."""
        self._gaps.append((self._last_event, time.monotonic()))

    def had_no_event(self, since: float, until: float) -> bool:
        """Whether no event arrived between these times, which are monotonic seconds."""
        return since > self._last_event or any(start < since and until < end for start, end in self._gaps)


class Slots(dict[str, QueueSlots]):
    """The slots of all queues, by queue name.

    Args:
        slots: queue name -> the most jobs of it that run at once.
        limit: the most jobs that run at once in all; None is the sum of the slots.
        serves: whether a queue is attached; others get nothing.
    """

    def __init__(self, slots: Mapping[str, int], limit: int | None, serves: Callable[[str], bool]) -> None:
        super().__init__((queue, QueueSlots(number)) for queue, number in slots.items())
        self.limit = limit or sum(slots.values())
        self.serves = serves
        self._next = 0

    @property
    def used(self) -> int:
        """The number of occupied slots."""
        return sum(queue.used for queue in self.values())

    def allot(self) -> dict[str, int]:
        """Return how many jobs to claim from each queue that was woken. When the limit leaves too few slots for all
        of them, the queues take turns.
        """
        room = self.limit - self.used
        names = [
            name for name, queue in self.items() if queue.woken_by and queue.free > 0 and self.serves(name)
        ]
        if room <= 0 or not names:
            return {}
        if len(names) == 1:
            return {names[0]: min(room, self[names[0]].free)}
        first = self._next % len(names)
        self._next += 1
        slots = dict.fromkeys(names[first:] + names[:first], 0)
        while room > 0 and (open_ := [name for name in slots if slots[name] < self[name].free]):
            share = max(1, room // len(open_))
            for name in open_[:room]:
                more = min(share, self[name].free - slots[name], room)
                slots[name] += more
                room -= more
        return {name: number for name, number in slots.items() if number}

    def startable(self, *, all_queues: bool = False) -> int:
        """Return how many jobs could start now: of the queues that were woken, or of all."""
        free = [
            queue.free for name, queue in self.items() if (queue.woken_by or all_queues) and self.serves(name)
        ]
        return min(self.limit - self.used, sum(free))

    def show(self, metrics: Metrics) -> None:
        """Let the metric `slots` read the numbers here."""
        for name, queue in self.items():
            gauges = metrics.queue(name).slots
            gauges["used"].set_function(partial(getattr, queue, "used"))
            gauges["free"].set_function(partial(getattr, queue, "free"))
