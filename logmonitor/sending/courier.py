"""The way of letters to the chat: which goes next, in which parts, what the chat makes of it, when it goes again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.parcel import deliverable
from logmonitor.records import Attachment
from logmonitor.redact import redact
from logmonitor.sending.budget import HOUR_SECONDS, Budget
from logmonitor.sending.carrier import names_in
from logmonitor.sending.gate import Verdict
from logmonitor.sending.lane import failure_of
from logmonitor.sending.lateness import stamp_of, stamped
from logmonitor.sending.readiness import Readiness
from logmonitor.sending.recalling import Recalling
from logmonitor.transport import CanRecall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from datetime import datetime, tzinfo

    from logmonitor.records import Content, Priority, Receipt
    from logmonitor.sending.carrier import Carrier
    from logmonitor.sending.lane import Lane, Queue
    from logmonitor.sending.ledger import Ledger
    from logmonitor.sending.letter import Letter
    from logmonitor.sending.postbox import Postbox

_log = logging.getLogger(__name__)
_DOUBLINGS: Final = 30
_SHORTEST_SECRET: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How a message that did not go is tried again: after `first` seconds, doubled each time up to `longest`.

    Each pause is a random part of that, so that what failed together does not come back together. A send that takes
    `patience` seconds has failed; a message that has waited `give_up_after` is given up at its next failure, the time
    until the end of an outage, of a pause that the chat asked for, or of the program before not counted.
    """

    first: float = 1.0
    longest: float = 60.0
    patience: float = 30.0
    give_up_after: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The clocks that delivery goes by: `zone` is what late messages tell their time in, `rand` the jitter, 0 to 1."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    rand: Callable[[], float]
    zone: tzinfo | None


class Courier:
    """Brings the letters of a postbox to the chat."""

    def __init__(
        self,
        carrier: Carrier,
        postbox: Postbox,
        ledger: Ledger,
        /,
        *,
        retry: Retry,
        times: Times,
        translate: Callable[[str], str],
    ) -> None:
        """Go on with what the chat has taken so far, as `ledger` knows."""
        self._carrier = carrier
        self._postbox = postbox
        self._ledger = ledger
        self._retry = retry
        self._times = times
        self._monotonic = times.monotonic
        self._translate = translate
        self._wakes_at: float | None = None
        self.failing_since: float | None = None
        self.reason = ""
        self.readiness = Readiness(carrier, monotonic=times.monotonic, sleep=times.sleep, on_back=self._wake)
        self.recalling = Recalling(
            carrier if isinstance(carrier, CanRecall) else None, ledger, patience=retry.patience, sleep=times.sleep
        )
        self.budget = self._budget_of_before()

    async def run(self, *beside: Coroutine[object, object, None]) -> None:
        """Deliver until cancelled, and do `beside` it what is given; may be called again, and goes on with what waits.

        Raises:
            ExceptionGroup: the carrier raised what is no `TransportError`; that message is not tried again.
        """
        lanes, changed = self._postbox.lanes, self._postbox.changed
        try:
            async with asyncio.TaskGroup() as group:
                for work in beside:
                    group.create_task(work)
                group.create_task(
                    self.recalling.run(until_ready=self.readiness.until_ready, pause=self.readiness.pause)
                )
                while True:
                    changed.clear()
                    for lane in lanes:
                        if not lane.active:
                            lane.active = True
                            group.create_task(self._serve(lane, group))
                    await changed.wait()
        finally:
            self._wakes_at = None
            for lane in lanes:
                lane.active = False
                lane.free()

    def can_go(self, letter: Letter) -> bool:
        """Tell whether a letter goes without anything that comes from outside."""
        is_answer_due = self.budget.is_answer_due(letter.to, letter.priority)
        return self._postbox.verdict(letter) is not Verdict.WAIT and not is_answer_due

    def timed(self, letter: Letter) -> Letter:
        """Return a letter out of the store, put as long ago as it was written."""
        age = max(timedelta(), self._times.now() - letter.written_at).total_seconds()
        return replace(letter, put_at=self._monotonic() - age)

    async def _serve(self, lane: Lane, group: asyncio.TaskGroup) -> None:
        """Send what waits for one recipient, until nothing does."""
        while lane.count():
            await self.readiness.until_ready()
            found = self._next(lane, group)
            if found is None:
                if lane.count():
                    lane.changed.clear()
                    await lane.changed.wait()
                continue
            queue, letter = found
            lane.sending, lane.recalled, lane.claimed = letter, False, False
            try:
                is_failed = await self._attempt(lane, queue, letter)
            finally:
                lane.sending = lane.attempt = None
                self._postbox.progress.set()
                if self._carrier.limits.per_period is not None:
                    self._postbox.lanes.look_again()  # there may be room for what waited for this one
            if is_failed:
                queue.held = True
                group.create_task(self._release(lane, queue))
        self._postbox.lanes.remove(lane)

    def _next(self, lane: Lane, group: asyncio.TaskGroup) -> tuple[Queue, Letter] | None:
        """Take out the next letter that may be tried now; None if none may."""
        for priority, queue in lane.queues.items():
            if queue.held:
                continue
            for letter in tuple(queue.letters):
                verdict = self._postbox.verdict(letter)
                if verdict is Verdict.WAIT:
                    continue
                if verdict is Verdict.SEND and not self._postbox.is_expired(letter):
                    if self.budget.is_answer_due(lane.to, priority):
                        return None
                    if not self._has_room(lane, priority, group):
                        return None
                queue.letters.remove(letter)
                if self._postbox.is_expired(letter):
                    self._postbox.discard(letter, "it is of no use any more")
                elif verdict is Verdict.DROP:
                    self._postbox.discard(
                        letter, "it was sent by another rescuer, or to another name of the same contact"
                    )
                else:
                    return queue, letter
        return None

    def _has_room(self, lane: Lane, priority: Priority, group: asyncio.TaskGroup) -> bool:
        """Tell whether one more may go within the chat's period, with room left for what is more urgent elsewhere."""
        now = self._monotonic()
        room = self.budget.room(now, priority)
        if room is None:
            return True
        if room <= 0:
            self._wake_at(self.budget.room_at(now, priority), group)
            return False
        others = [other for other in self._postbox.lanes if other is not lane]
        urgent = (
            letter
            for other in others
            for level, queue in other.queues.items()
            if level < priority and not queue.held
            for letter in queue.letters
        )
        return room > sum(other.sending is not None for other in others) + sum(map(self.can_go, urgent))

    def _wake_at(self, at: float, group: asyncio.TaskGroup) -> None:
        """Have everything looked at again once there is room for more."""
        if self._wakes_at is None or at < self._wakes_at:
            self._wakes_at = at
            group.create_task(self._wake_later(at))

    async def _wake_later(self, at: float) -> None:
        await self._times.sleep(max(0.0, at - self._monotonic()))
        if self._wakes_at == at:
            self._wakes_at = None
        self._postbox.lanes.look_again()

    async def _attempt(self, lane: Lane, queue: Queue, letter: Letter) -> bool:
        """Send the next part of a letter; return whether it has to be tried again, or the next one later."""
        letter, part = self._cut(letter)
        lane.attempt = asyncio.create_task(self._send(lane, letter, part))
        try:
            await asyncio.wait({lane.attempt})
        except asyncio.CancelledError:
            lane.attempt.cancel()
            await asyncio.wait({lane.attempt})
            match failure_of(lane.attempt):
                case None:
                    self._succeed(queue)
                case RejectedError() as refusal:
                    self._refuse(queue, letter, _reason(refusal, part))
                case _:
                    self._put_back(lane, letter)
            raise
        error = failure_of(lane.attempt)
        match error:
            case None:
                self._succeed(queue)
            case _ if lane.claimed:
                pass
            case RejectedError():
                self._refuse(queue, letter, _reason(error, part))
            case ThrottledError():
                self.readiness.pause(error)
                self.reason = _reason(error, part)
                self._put_back(lane, letter)
            case TransportError() if self.readiness.outage() is not None:
                self._put_back(lane, letter)
            case TransportError():
                self._fail(lane, queue, letter, _reason(error, part))
                return True
            case _:
                self.reason = f"the chat failed in a way that it should not: {type(error).__name__}"
                self._postbox.give_up(letter, self.reason)
                raise error
        return False

    async def _send(self, lane: Lane, letter: Letter, content: Content) -> None:
        """Send a part of a letter, and note at once that it was taken: killed in between, it would be sent again."""
        try:
            async with asyncio.timeout(self._retry.patience) as deadline:
                receipt = await self._carrier.send(lane.to, content)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise TransportError(f"the chat took longer than {self._retry.patience:g} s") from error
        lane.sending = None
        self._accept(lane, letter, receipt)

    def _cut(self, letter: Letter) -> tuple[Letter, Content]:
        """Cut a letter into what is left of it to send; return it with that, and the first of it."""
        if letter.parts is None:
            stamp = letter.stamp
            if not letter.parts_sent:
                age = self._monotonic() - letter.put_at
                stamp = stamp_of(letter.written_at, age=age, now=self._times.now(), zone=self._times.zone)
            parts = self._parts(letter, stamped(letter.content, stamp))
            letter = replace(letter, stamp=stamp, parts=parts[letter.parts_sent :] or parts[-1:])
        parts = letter.parts or ()
        return letter, parts[0]

    def _put_back(self, lane: Lane, letter: Letter) -> None:
        """Let a letter wait where it waited, unless it was taken back; one that has not begun is cut anew then."""
        if lane.recalled:
            self._ledger.forget(letter)
        elif not lane.claimed:
            waiting = letter if letter.parts_sent else replace(letter, parts=None)
            lane.queues[letter.priority].letters.appendleft(waiting)

    def _accept(self, lane: Lane, letter: Letter, receipt: Receipt) -> None:
        """Note that the chat has taken the first part of what is left of a letter."""
        others = (letter.parts or ())[1:]
        message = self.recalling.message_of(letter, receipt)
        is_over = not others or lane.recalled
        left = replace(letter, parts=others, parts_sent=letter.parts_sent + 1)
        is_replaced = any(one.slot == letter.slot for one in lane.waiting())
        self._ledger.accept(left, message, is_whole=is_over, is_answer=self._carrier.limits.per_inbound is not None)
        self.recalling.note(letter, message, is_whole=not others, is_useless=lane.recalled and not is_replaced)
        self.budget.note_sent(letter.to, self._monotonic())
        if lane.claimed:  # too late: it was taken while it was being claimed
            self._postbox.unclaim(letter)
            lane.claimed = False
        if is_over:
            self._postbox.note_delivered(letter)
        else:
            lane.queues[letter.priority].letters.appendleft(left)

    def _refuse(self, queue: Queue, letter: Letter, reason: str) -> None:
        """Give up a letter that the chat will never take."""
        self._succeed(queue)
        self.reason = reason
        self._postbox.give_up(replace(letter, attempts=letter.attempts + 1), reason)

    async def _release(self, lane: Lane, queue: Queue) -> None:
        """Let the first of a queue be tried again after a while."""
        doubled = self._retry.first * 2 ** min(queue.failures - 1, _DOUBLINGS)
        await self._times.sleep(self._times.rand() * min(self._retry.longest, doubled))
        queue.held = False
        lane.changed.set()

    def _succeed(self, queue: Queue) -> None:
        """Note that the chat answers."""
        if self.failing_since is not None:
            _log.info("the chat takes messages again, after %.0f s", self._monotonic() - self.failing_since)
        self.failing_since = None
        queue.failures = 0

    def _fail(self, lane: Lane, queue: Queue, letter: Letter, reason: str) -> None:
        """Put a letter back, unless it was taken back, and give up what has waited too long."""
        now = self._monotonic()
        letter = replace(letter, attempts=letter.attempts + 1)
        if self.failing_since is None:
            self.failing_since = now
            _log.warning("message %d to %s did not go and will be tried again: %s", letter.id, lane.to, reason)
        self.reason = reason
        queue.failures += 1
        self._put_back(lane, letter)
        back_at, patience = self.readiness.back_at, self._retry.give_up_after
        for old in [one for one in queue.letters if now - max(self._postbox.waits_since(one), back_at) >= patience]:
            if self._postbox.verdict(old) is not Verdict.WAIT:
                queue.letters.remove(old)
                self._postbox.give_up(old, reason)
        if letter.id in {one.id for one in queue.letters}:
            self._ledger.change(
                lambda letters: letters.note_attempt(letter.id, attempts=letter.attempts, reason=reason)
            )

    def _wake(self) -> None:
        """Have everything tried at once."""
        for lane in self._postbox.lanes:
            lane.free()

    def _budget_of_before(self) -> Budget:
        """Return what is left of what the chat takes, after what went before this program began."""
        limits, now = self._carrier.limits, self._times.now()
        seconds = max(limits.period, HOUR_SECONDS)
        nothing: tuple[tuple[datetime, ...], dict[str, int]] = (), {}
        sent_at, unanswered = self._ledger.read(
            lambda letters: (letters.sent_since(now - timedelta(seconds=seconds)), letters.unanswered()), nothing
        )
        ages = [max(timedelta(), now - one).total_seconds() for one in sent_at]
        return Budget(
            limits,
            sent_at=sorted(self._monotonic() - age for age in ages),
            unanswered=unanswered,
            known_as=partial(names_in, self._carrier),
        )

    def _parts(self, letter: Letter, content: Content) -> tuple[Content, ...]:
        """Turn a message into what the chat can carry."""
        limits = self._carrier.limits
        if isinstance(content, Attachment) and len(content.data) > limits.attachment_bytes:
            sizes = len(content.data), limits.attachment_bytes
            _log.warning("the file of message %d has %d bytes; the chat carries %d", letter.id, *sizes)
        return deliverable(content, limits, translate=self._translate, filename=f"message-{letter.id}.txt")


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
