"""Delivery: what is to be sent waits here, in order, until the chat has taken it or it is too late.

Kept in memory. Nothing of a message's content is ever logged. While a chat says that it is down nothing is tried and
nothing ages, and a newer message still takes the place of an older.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

from logmonitor.errors import RejectedError, TransportError
from logmonitor.parcel import Parcel, deliverable, is_slow, packed
from logmonitor.records import Attachment, Content, Delivery, Priority
from logmonitor.redact import redact
from logmonitor.throttle import Throttle, admit
from logmonitor.transport import CanWait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from logmonitor.records import Health, MessageKey, Receipt
    from logmonitor.transport import Limits

_log = logging.getLogger(__name__)
_DOUBLINGS: Final = 30
_SHORTEST_SECRET: Final = 4
_HOUR: Final = 3600.0


class Carrier(Protocol):
    """As much of a transport as the outbox needs; one that is `CanWait` is waited for while its health is not up."""

    @property
    def limits(self) -> Limits:
        """What one message can carry."""

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send, or raise `RejectedError` or `TransportError`; any other exception is a bug and ends `Outbox.run`."""

    def health(self) -> Health:
        """Whether the chat can be reached now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How a message that did not go is tried again: after `first` seconds, doubled each time up to `longest`.

    Each pause is a random part of that, so that what failed together does not come back together. A send that takes
    `patience` seconds has failed; a message that has waited `give_up_after` is given up at its next failure, the time
    until an outage's end not counted.
    """

    first: float = 1.0
    longest: float = 60.0
    patience: float = 60.0
    give_up_after: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What waits in a slot is to be taken back."""

    slot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A message on its way; `parts` are what is left of it to send, None before its first attempt."""

    id: int
    to: str
    content: Content
    priority: Priority
    slot: str | None
    key: MessageKey | None
    expires_at: datetime | None
    put_at: float
    parts: tuple[Content, ...] | None = None


Step = _Letter | Withdrawal


@dataclass(slots=True)
class _Queue:
    """The letters to one recipient of one priority, oldest first; `held` until the first may be tried again."""

    letters: deque[_Letter] = field(default_factory=deque)
    failures: int = 0
    held: bool = False


@dataclass(slots=True)
class _Lane:
    """All that waits for one recipient. `recalled` says that the letter being sent is not to be tried again."""

    to: str
    queues: dict[Priority, _Queue] = field(default_factory=lambda: {priority: _Queue() for priority in Priority})
    sending: _Letter | None = None
    recalled: bool = False
    active: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self) -> int:
        """Count what is not delivered yet."""
        return sum(len(queue.letters) for queue in self.queues.values()) + (self.sending is not None)


class Outbox:
    """Sends what it is given: one message at a time to each recipient, the most urgent first, else in order.

    Recipients do not wait for each other. A message that waits for its retry holds back those of its own priority to
    the same recipient, so that their order stays, and no others. Not for use from other threads.
    """

    def __init__(
        self,
        carrier: Carrier,
        *,
        retry: Retry | None = None,
        max_waiting: int = 1000,
        translate: Callable[[str], str] = str,
        secrets: Iterable[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rand: Callable[[], float] = random.random,
    ) -> None:
        """Deliver by `carrier`, once `run` runs.

        Beyond `max_waiting` messages the oldest of the least urgent is dropped. `translate` is for what is said of a
        text or file too large; `secrets` are values that no message may hold; `rand` gives the jitter, from 0 to 1.
        """
        self._carrier = carrier
        self._retry = retry or Retry()
        self._max_waiting = max_waiting
        self._translate = translate
        self._secrets = tuple(secrets)
        self._monotonic = monotonic
        self._sleep = sleep
        self._rand = rand
        self._ids = count(1)
        self._lanes: dict[str, _Lane] = {}
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._failing_since: float | None = None
        self._is_sitting_out = False
        self._back_at = self._monotonic()
        self._reason = ""
        self._drop_reports = Throttle(limit=1, period=60.0)
        self._sent_at: deque[float] = deque()
        self._alerts: Counter[str] = Counter()
        self.failed = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many messages are not delivered yet."""
        return sum(lane.count() for lane in self._lanes.values())

    def delivery(self) -> Delivery:
        """Tell how delivery stands."""
        now = self._monotonic()
        return Delivery(
            waiting=self.waiting,
            failed=self.failed,
            dropped=self.dropped,
            failing_for=None if self._failing_since is None else now - self._failing_since,
            reason=self._reason,
            sent_last_hour=self._count_sent(now),
            alerts=max(self._alerts.values(), default=0),
        )

    async def pack(self, content: Content, /) -> Parcel:
        """Make a message ready for `put`, beside everything else where that takes long."""
        return await asyncio.to_thread(self._packed, content) if is_slow(content) else self._packed(content)

    def put(
        self,
        to: str,
        content: Content | Parcel,
        /,
        *,
        priority: Priority = Priority.REPLY,
        slot: str | None = None,
        key: MessageKey | None = None,
        expires_at: datetime | None = None,
    ) -> int:
        """Take a message for `to`, without the secrets in it; return its id. Never waits.

        A message with a `slot` takes the place of one that waits in the same slot for the same recipient, the one that
        is being sent excepted.
        """
        letter = self.letter(to, content, priority=priority, slot=slot, key=key, expires_at=expires_at)
        self.post((letter,))
        return letter.id

    def letter(
        self,
        to: str,
        content: Content | Parcel,
        /,
        *,
        priority: Priority = Priority.REPLY,
        slot: str | None = None,
        key: MessageKey | None = None,
        expires_at: datetime | None = None,
    ) -> _Letter:
        """Make a letter of a message, without the secrets in it."""
        clean = (content if isinstance(content, Parcel) else self._packed(content)).content
        return _Letter(
            id=next(self._ids),
            to=to,
            content=clean,
            priority=priority,
            slot=slot,
            key=key,
            expires_at=expires_at,
            put_at=self._monotonic(),
        )

    def save(self, steps: Iterable[Step], /) -> None:
        """Write letters and withdrawals, as a part of the caller's transaction."""

    def post(self, steps: Iterable[Step], /) -> None:
        """Let letters go on their way, and withdrawals take effect."""
        for step in steps:
            if isinstance(step, Withdrawal):
                self.withdraw(step.slot)
            else:
                self._post(step)

    def _post(self, letter: _Letter) -> None:
        lane = self._lanes.setdefault(letter.to, _Lane(to=letter.to))
        if letter.slot is None or not _take_place(lane, letter):
            lane.queues[letter.priority].letters.append(letter)
        if self.waiting > self._max_waiting:
            self._drop()
        self._alerts[letter.to] += letter.priority is Priority.ALERT
        self._update()
        lane.changed.set()
        self._changed.set()

    def withdraw(self, slot: str, /) -> None:
        """Take back what waits in `slot`, whoever it is for; what is being sent is not tried again if it fails."""
        for lane in self._lanes.values():
            _clear_slot(lane, slot)
        self._update()

    async def flush(self, seconds: float, /) -> bool:
        """Wait until everything is delivered or given up; return False if that takes longer than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Deliver until cancelled; may be called again after it ended, and goes on with what waits.

        Raises:
            ExceptionGroup: the carrier raised what is no `TransportError`; that message is not tried again.
        """
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._changed.clear()
                    for lane in tuple(self._lanes.values()):
                        if not lane.active:
                            lane.active = True
                            group.create_task(self._serve(lane, group))
                    await self._changed.wait()
        finally:
            for lane in self._lanes.values():
                lane.active = False
                for queue in lane.queues.values():
                    queue.held = False

    async def _serve(self, lane: _Lane, group: asyncio.TaskGroup) -> None:
        """Send what waits for one recipient, until nothing does."""
        while lane.count():
            await self._sit_out()
            queue = next((queue for queue in lane.queues.values() if queue.letters and not queue.held), None)
            if queue is None:
                lane.changed.clear()
                await lane.changed.wait()
                continue
            lane.sending, lane.recalled = queue.letters.popleft(), False
            try:
                failure = await self._attempt(lane, queue, lane.sending)
            finally:
                lane.sending = None
                self._update()
            if failure:
                queue.held = True
                group.create_task(self._release(lane, queue))
        del self._lanes[lane.to]

    async def _attempt(self, lane: _Lane, queue: _Queue, letter: _Letter) -> bool:
        """Send the next part of a letter; return whether it has to be tried again, or the next one later."""
        part, *others = letter.parts or self._parts(letter)
        left = replace(letter, parts=(part, *others))
        try:
            await self._send(lane.to, part)
        except RejectedError as error:
            self._succeed(queue)
            self._give_up(lane, letter, _reason(error, part))
            return False
        except TransportError as error:
            is_outage = self._outage() is not None
            if not is_outage:
                self._fail(lane, queue, left, _reason(error, part))
            elif not lane.recalled:
                queue.letters.appendleft(left)
            return not is_outage
        self._succeed(queue)
        self._sent_at.append(self._monotonic())
        self._count_sent(self._sent_at[-1])
        if others and not lane.recalled:
            queue.letters.appendleft(replace(letter, parts=tuple(others)))
        return False

    async def _send(self, to: str, content: Content) -> None:
        try:
            async with asyncio.timeout(self._retry.patience) as deadline:
                await self._carrier.send(to, content)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise TransportError(f"the chat took longer than {self._retry.patience:g} s") from error

    def _outage(self) -> CanWait | None:
        """Return the chat if it is down and says when it is back."""
        carrier = self._carrier
        return carrier if isinstance(carrier, CanWait) and not carrier.health().is_up else None

    async def _sit_out(self) -> None:
        """Wait while the chat says that it is down; after that everything is tried at once."""
        outage = self._outage()
        if outage is None:
            return
        self._is_sitting_out = True
        await outage.wait_until_up()
        if not self._is_sitting_out:
            return  # whoever waited for another recipient has come first
        self._is_sitting_out = False
        self._back_at = self._monotonic()
        for lane in self._lanes.values():
            for queue in lane.queues.values():
                queue.failures, queue.held = 0, False
            lane.changed.set()

    async def _release(self, lane: _Lane, queue: _Queue) -> None:
        """Let the first of a queue be tried again after a while."""
        doubled = self._retry.first * 2 ** min(queue.failures - 1, _DOUBLINGS)
        await self._sleep(self._rand() * min(self._retry.longest, doubled))
        queue.held = False
        lane.changed.set()

    def _succeed(self, queue: _Queue) -> None:
        """Note that the chat answers."""
        if self._failing_since is not None:
            _log.info("the chat takes messages again, after %.0f s", self._monotonic() - self._failing_since)
        self._failing_since = None
        queue.failures = 0

    def _count_sent(self, now: float) -> int:
        """Count what went in the last hour; what went before is forgotten."""
        while self._sent_at and self._sent_at[0] <= now - _HOUR:
            self._sent_at.popleft()
        return len(self._sent_at)

    def _fail(self, lane: _Lane, queue: _Queue, letter: _Letter, reason: str) -> None:
        """Put a letter back, unless it was recalled, and give up what has waited too long."""
        now = self._monotonic()
        if self._failing_since is None:
            self._failing_since = now
            _log.warning("message %d to %s did not go and will be tried again: %s", letter.id, lane.to, reason)
        self._reason = reason
        queue.failures += 1
        if not lane.recalled:
            queue.letters.appendleft(letter)
        while queue.letters and now - max(queue.letters[0].put_at, self._back_at) >= self._retry.give_up_after:
            self._give_up(lane, queue.letters.popleft(), reason)

    def _give_up(self, lane: _Lane, letter: _Letter, reason: str) -> None:
        self.failed += 1
        self._reason = reason
        _log.warning("message %d to %s is given up: %s", letter.id, lane.to, reason)

    def _drop(self) -> None:
        """Make room: drop the oldest of the least urgent."""
        queues = [queue for lane in self._lanes.values() for queue in lane.queues.values() if queue.letters]
        least_urgent = max(queues, key=lambda queue: (queue.letters[0].priority, -queue.letters[0].id))
        least_urgent.letters.popleft()
        self.dropped += 1
        self._drop_reports, admitted = admit(self._drop_reports, self._monotonic())
        if admitted:
            _log.warning("over %d messages wait to be sent; %d dropped so far", self._max_waiting, self.dropped)

    def _update(self) -> None:
        if self.waiting:
            self._idle.clear()
        else:
            self._idle.set()

    def _packed(self, content: Content) -> Parcel:
        return packed(content, self._carrier.limits, secrets=self._secrets, translate=self._translate)

    def _parts(self, letter: _Letter) -> tuple[Content, ...]:
        """Turn a message into what the chat can carry."""
        content, limits = letter.content, self._carrier.limits
        if isinstance(content, Attachment) and len(content.data) > limits.attachment_bytes:
            sizes = len(content.data), limits.attachment_bytes
            _log.warning("the file of message %d has %d bytes; the chat carries %d", letter.id, *sizes)
        return deliverable(content, limits, translate=self._translate, filename=f"message-{letter.id}.txt")


def _take_place(lane: _Lane, letter: _Letter) -> bool:
    """Put a letter into the place of the one that waits in its slot; return False if it has to queue."""
    letters = lane.queues[letter.priority].letters
    place = next((index for index, waiting in enumerate(letters) if waiting.slot == letter.slot), None)
    if place is None:
        _clear_slot(lane, letter.slot)
        return False
    letters[place] = letter
    return True


def _clear_slot(lane: _Lane, slot: str | None) -> None:
    """Take out what waits in a slot, and keep what is being sent in it from another attempt."""
    if lane.sending is not None and lane.sending.slot == slot:
        lane.recalled = True
    for queue in lane.queues.values():
        queue.letters = deque(letter for letter in queue.letters if letter.slot != slot)


def _reason(error: TransportError, content: Content) -> str:
    """Return an error's text without what was to be sent, of which a word of a few letters is no secret."""
    match content:
        case str():
            texts: tuple[str, ...] = (content,)
        case Attachment():
            texts = (content.caption, (content.qr.payload or "") if content.qr else "")
        case _:
            texts = (content.title, content.url, content.description)
    return redact(str(error), (text for text in texts if len(text) >= _SHORTEST_SECRET))
