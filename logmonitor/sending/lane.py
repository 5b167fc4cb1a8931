"""What waits for each recipient: a queue for each priority, and the letter that the chat is being given."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logmonitor.errors import TransportError
from logmonitor.records import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logmonitor.sending.letter import Letter


@dataclass(slots=True)
class Queue:
    """The letters to one recipient of one priority, in order; `held` until the first may be tried again."""

    letters: deque[Letter] = field(default_factory=deque)
    failures: int = 0
    held: bool = False


@dataclass(slots=True)
class Lane:
    """All that waits for one recipient.

    Of the letter being sent, `recalled` says that it is not to be tried again, `claimed` that somebody else sends it
    now.
    """

    to: str
    queues: dict[Priority, Queue] = field(default_factory=lambda: {priority: Queue() for priority in Priority})
    sending: Letter | None = None
    attempt: asyncio.Task[None] | None = None
    recalled: bool = False
    claimed: bool = False
    active: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self) -> int:
        """Count what is not delivered yet."""
        return sum(len(queue.letters) for queue in self.queues.values()) + self._is_sending()

    def waiting(self) -> Iterator[Letter]:
        """Yield what is not delivered yet, the letter being sent included unless it is not to be tried again."""
        if self.sending is not None and self._is_sending() and not self.recalled:
            yield self.sending
        for queue in self.queues.values():
            yield from queue.letters

    def _is_sending(self) -> bool:
        return self.sending is not None and not self.claimed

    def put(self, letter: Letter) -> list[Letter]:
        """Let a letter wait, in the place of the one that waits in its slot; return those in whose place it came."""
        letters = self.queues[letter.priority].letters
        if letter.slot is None:
            letters.append(letter)
            return []
        place = next((index for index, waiting in enumerate(letters) if waiting.slot == letter.slot), None)
        replaced = [] if place is None else [letters[place]]
        if place is not None:
            letters[place] = letter
        replaced += self.take(lambda other: other.slot == letter.slot and other is not letter)
        if place is None:
            self.queues[letter.priority].letters.append(letter)
        return replaced

    def claim(self) -> bool:
        """Break off the attempt under way, so that somebody else can send the letter; tell whether it was in time."""
        if self.attempt is not None and self.attempt.done() and failure_of(self.attempt) is None:
            return False
        self.claimed = True
        if self.attempt is not None:
            self.attempt.cancel()
        return True

    def put_back(self, letter: Letter) -> None:
        """Let a letter wait again, before those that were written after it."""
        queue = self.queues[letter.priority]
        ordered = list(queue.letters)
        insort(ordered, letter, key=lambda one: one.id)
        queue.letters = deque(ordered)

    def take(self, fits: Callable[[Letter], bool]) -> list[Letter]:
        """Take out what waits and fits; what is being sent and fits is not tried again."""
        if self.sending is not None and fits(self.sending):
            self.recalled = True
        taken: list[Letter] = []
        for queue in self.queues.values():
            taken += filter(fits, queue.letters)
            queue.letters = deque(letter for letter in queue.letters if not fits(letter))
        return taken

    def free(self) -> None:
        """Let everything be tried at once."""
        for queue in self.queues.values():
            queue.failures, queue.held = 0, False
        self.changed.set()


def failure_of(attempt: asyncio.Task[None], /) -> BaseException | None:
    """Return how an attempt that is over failed, None if it did not."""
    return TransportError("the attempt was broken off") if attempt.cancelled() else attempt.exception()


class Lanes:
    """All lanes there are, by recipient."""

    def __init__(self) -> None:
        """Have none."""
        self._lanes: dict[str, Lane] = {}

    def __iter__(self) -> Iterator[Lane]:
        """Go through those that there are now."""
        return iter(tuple(self._lanes.values()))

    def of(self, to: str) -> Lane:
        """Return the lane of a recipient, made if there is none."""
        return self._lanes.setdefault(to, Lane(to=to))

    def remove(self, lane: Lane) -> None:
        """Take out a lane in which nothing waits."""
        del self._lanes[lane.to]

    def count(self) -> int:
        """Count what is not delivered yet."""
        return sum(lane.count() for lane in self._lanes.values())

    def waiting(self) -> list[Letter]:
        """Return what is not delivered yet, the most urgent first, else the oldest."""
        letters = [letter for lane in self._lanes.values() for letter in lane.waiting()]
        return sorted(letters, key=lambda letter: (letter.priority, letter.id))

    def take(self, fits: Callable[[Letter], bool]) -> list[Letter]:
        """Take out what waits and fits, whoever it is for; what is being sent and fits is not tried again."""
        return [letter for lane in self._lanes.values() for letter in lane.take(fits)]

    def look_again(self) -> None:
        """Have it looked at in each lane what may go now."""
        for lane in self._lanes.values():
            lane.changed.set()

    def are_sending(self) -> bool:
        """Tell whether the chat is being given anything."""
        return any(lane.sending is not None for lane in self._lanes.values())

    def take_least_urgent(self) -> Letter | None:
        """Take out the oldest of the least urgent letters that wait; None if none does."""
        queues = [queue for lane in self._lanes.values() for queue in lane.queues.values() if queue.letters]
        if not queues:
            return None
        least_urgent = max(queues, key=lambda queue: (queue.letters[0].priority, -queue.letters[0].id))
        return least_urgent.letters.popleft()
