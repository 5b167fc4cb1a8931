"""Delivery: what is to be sent waits here, in order, until the chat has taken it or it is too late.

It stands in the store before it is sent, and is taken out of it once the chat has it: a message is sent twice only
where the program was killed between the two. Nothing of a message's content is ever logged. While a chat says that it
is down, or that it was sent too much, nothing is tried and nothing ages, and a newer message still takes the place of
an older.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.parcel import Parcel, deliverable, is_slow, packed
from logmonitor.records import Attachment, Content, Delivery, Priority
from logmonitor.redact import redact
from logmonitor.sending.budget import HOUR_SECONDS, Budget
from logmonitor.sending.gate import Gate, Verdict
from logmonitor.sending.lane import Lanes
from logmonitor.sending.lateness import stamp_of, stamped
from logmonitor.sending.ledger import Ledger
from logmonitor.sending.letter import Letter, Step, Withdrawal
from logmonitor.sending.readiness import Readiness
from logmonitor.sending.recalling import Recalling
from logmonitor.throttle import Throttle, admit
from logmonitor.transport import CanRecall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import tzinfo

    from logmonitor.records import MessageKey, Receipt
    from logmonitor.sending.carrier import Carrier
    from logmonitor.sending.lane import Lane, Queue
    from logmonitor.sending.ledger import Changes
    from logmonitor.storage.letters import Letters

__all__ = ["Gate", "Letter", "Outbox", "Retry", "Step", "Verdict", "Withdrawal"]

_log = logging.getLogger(__name__)
LOOK_SECONDS: Final = 2.0
"""How often the store is looked at: for what the command line changed, and for what could not be written before."""

_DOUBLINGS: Final = 30
_SHORTEST_SECRET: Final = 4
_REFUSED_SECONDS: Final = 3600.0
_MOST_REFUSED: Final = 100


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


class Outbox:
    """Sends what it is given: one message at a time to each recipient, the most urgent first, else in order.

    Recipients do not wait for each other. A message that waits for its retry holds back those of its own priority to
    the same recipient, so that their order stays, and no others. Not for use from other threads.
    """

    def __init__(
        self,
        carrier: Carrier,
        *,
        letters: Letters | None = None,
        gate: Gate | None = None,
        retry: Retry | None = None,
        max_waiting: int = 1000,
        translate: Callable[[str], str] = str,
        secrets: Iterable[str] = (),
        zone: tzinfo = UTC,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rand: Callable[[], float] = random.random,
    ) -> None:
        """Deliver by `carrier`, once `run` runs, what stands in `letters` from before and what comes.

        Messages with a key go when `gate` says so. Beyond `max_waiting` messages the oldest of the least urgent is
        dropped. `translate` is for what is said of a text or file too large; `secrets` are values that no message may
        hold; late ones tell their time in `zone`; `rand` gives the jitter, from 0 to 1.
        """
        self._carrier = carrier
        self._gate = gate
        self._retry = retry or Retry()
        self._max_waiting = max_waiting
        self._translate = translate
        self._secrets = tuple(secrets)
        self._zone = zone
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._rand = rand
        self._ledger = Ledger(letters, now=now, monotonic=monotonic)
        self._ids = count(self._ledger.read(lambda kept: kept.next_id(), 1))
        self._lanes = Lanes()
        self._readiness = Readiness(carrier, monotonic=monotonic, sleep=sleep, on_back=self._wake)
        self._recalling = Recalling(
            carrier if isinstance(carrier, CanRecall) else None,
            self._ledger,
            patience=self._retry.patience,
            sleep=sleep,
        )
        self._began_at = monotonic()
        self._claimed: dict[int, Letter] = {}
        self._claimed_late: set[int] = set()
        self._refused: dict[int, tuple[Letter, float]] = {}
        self._changed = asyncio.Event()
        self._progress = asyncio.Event()
        self._failing_since: float | None = None
        self._reason = ""
        self._drop_reports = Throttle(limit=1, period=60.0)
        self._wakes_at: float | None = None
        self._alerts: Counter[str] = Counter()
        self.failed = self._ledger.read(lambda kept: kept.count_failed(), 0)
        self.dropped = 0
        self._budget = self._budget_of_before()
        for letter in self._ledger.load():
            self._post(self._timed(letter))

    # What is to be sent

    async def pack(self, content: Content, /) -> Parcel:
        """Make a message ready for `put`, beside everything else where that takes long."""
        return await asyncio.to_thread(self._packed, content) if is_slow(content) else self._packed(content)

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
    ) -> Letter | None:
        """Make a letter of a message, without the secrets in it, that `save` and `post` are for.

        None if a message with that key was decided on for that recipient before.
        """
        if key is not None and self._ledger.is_decided(to, key):
            return None
        return Letter(
            id=next(self._ids),
            to=to,
            content=(content if isinstance(content, Parcel) else self._packed(content)).content,
            priority=priority,
            slot=slot,
            key=key,
            expires_at=expires_at,
            written_at=self._now(),
            put_at=self._monotonic(),
        )

    def save(self, steps: Iterable[Step], /) -> None:
        """Write letters and withdrawals, as a part of the caller's transaction.

        Raises:
            StoreError: they cannot be written; `post` takes them nevertheless, and they are written later.
        """
        self._ledger.save(steps)

    def post(self, steps: Iterable[Step], /) -> None:
        """Let letters go on their way, and withdrawals take effect. Never waits, never fails."""
        for step in steps:
            if isinstance(step, Withdrawal):
                self._withdraw(step.slot)
            elif self._ledger.admit(step):
                self._post(step)
                self._alerts[step.to] += step.priority is Priority.ALERT

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
        """Take a message for `to`, without the secrets in it; return its id, 0 if it was decided on before.

        Never waits for the chat. It is in the store before it is sent, or in memory only where that cannot be written,
        which `delivery` tells. A message with a `slot` takes the place of one that waits in the same slot for the same
        recipient; one that is being sent is not tried again, and if it is a QR it is taken back where the chat can,
        once the newer one is there. From `expires_at` on it is not sent any more.
        """
        letter = self.letter(to, content, priority=priority, slot=slot, key=key, expires_at=expires_at)
        if letter is None:
            return 0
        self._ledger.try_save(letter)
        self.post((letter,))
        return letter.id

    def withdraw(self, slot: str, /) -> None:
        """Take back what was sent in `slot`, to whomever: what waits, and where the chat can what it has taken."""
        self._ledger.try_save(Withdrawal(slot=slot))
        self._withdraw(slot)

    def note_inbound(self, conversation: str, /) -> None:
        """Learn that something came in from a conversation, which may get so many messages again."""
        if self._budget.note_inbound(conversation):
            self._ledger.change(lambda letters: letters.note_inbound(conversation))
            self._lanes.of(conversation).changed.set()
            self._changed.set()

    # How it stands

    def delivery(self) -> Delivery:
        """Tell how delivery stands."""
        now = self._monotonic()
        waiting = self._lanes.waiting()
        limits = self._carrier.limits
        return Delivery(
            waiting=self._count(),
            failed=self.failed,
            dropped=self.dropped,
            failing_for=None if self._failing_since is None else now - self._failing_since,
            reason=self._reason,
            sent_last_hour=self._budget.count(now, HOUR_SECONDS),
            sent_in_period=self._budget.count(now, limits.period),
            alerts=max(self._alerts.values(), default=0),
            paused_for=self._readiness.paused_for(),
            unanswered=tuple(
                dict.fromkeys(one.to for one in waiting if self._budget.is_answer_due(one.to, one.priority))
            ),
            unsaved=sum(not self._ledger.is_stored(letter) for letter in (*waiting, *self._claimed.values())),
            store_failure=self._ledger.failure,
        )

    async def flush(self, seconds: float, /) -> bool:
        """Wait until everything is delivered or given up; return False if that takes longer than `seconds`.

        It is False at once where what waits cannot go before something comes from outside.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._count():
                    if not (
                        self._claimed or self._lanes.are_sending() or any(map(self._can_go, self._lanes.waiting()))
                    ):
                        return False
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    # What somebody else may send

    def waiting(self) -> tuple[Letter, ...]:
        """Return what is ours to send and not delivered yet, the most urgent first, else the oldest.

        A letter that the chat is being given is among it, one that is claimed is not.
        """
        for letter in self._lanes.take(self._is_expired):
            self._expire(letter)
        return tuple(letter for letter in self._lanes.waiting() if self._verdict(letter) is Verdict.SEND)

    def refused(self) -> tuple[Letter, ...]:
        """Return those QRs and alerts of the last hour that the chat has refused, or that were given up, by id."""
        since = self._monotonic() - _REFUSED_SECONDS
        letters = (letter for letter, refused_at in self._refused.values() if refused_at > since)
        return tuple(letter for letter in letters if not self._is_expired(letter))

    def oldest_keyed_wait(self, watch: str | None = None, /) -> float | None:
        """Return for how many seconds the oldest letter with a key, about that bot if it is named, has waited here.

        None where none waits. The time before this program began does not count.
        """
        since = [
            max(letter.put_at, self._began_at)
            for letter in (*self._lanes.waiting(), *self._claimed.values())
            if letter.key is not None and watch in (None, letter.key.watch) and not self._is_expired(letter)
        ]
        return self._monotonic() - min(since) if since else None

    def claim(self, id_: int, /) -> Letter | None:
        """Take a letter out of the chat's reach, to be settled or given back; None if it is gone, or not ours to send.

        An attempt of the chat that is under way is cancelled.
        """
        refused = self._refused.get(id_)
        if refused is not None and refused[0] in self.refused():
            del self._refused[id_]
            self._claimed[id_] = refused[0]
            self._claimed_late.add(id_)
            return refused[0]
        letter = next((one for one in self.waiting() if one.id == id_), None)
        if letter is None:
            return None
        lane = self._lanes.of(letter.to)
        if lane.sending is letter:
            if lane.attempt is not None and lane.attempt.done() and not _failure(lane.attempt):
                return None  # the chat has it
            lane.claimed = True
            if lane.attempt is not None:
                lane.attempt.cancel()
        else:
            lane.take(lambda one: one.id == id_)
        self._claimed[id_] = letter
        return letter

    def is_wanted(self, letter: Letter, /) -> bool:
        """Tell whether a letter that was claimed is still to be sent: neither withdrawn nor replaced nor expired."""
        return letter.id in self._claimed and not self._is_expired(letter)

    def give_back(self, letter: Letter, /) -> None:
        """Let the chat try a letter again that was claimed, unless nobody wants it any more."""
        claimed = self._claimed.pop(letter.id, None)
        if claimed is None:
            return
        if claimed.id in self._claimed_late:
            self._claimed_late.discard(claimed.id)
            self._refused[claimed.id] = claimed, self._monotonic()
        elif self._is_expired(claimed):
            self._expire(claimed)
        else:
            lane = self._lanes.of(claimed.to)
            lane.put_back(claimed)
            lane.changed.set()
        self._note_change()

    def settle(self, letter: Letter, receipt: Receipt, /, *, via: str) -> None:
        """Note that a letter that was claimed has been accepted elsewhere, by what is called `via`."""
        self._claimed.pop(letter.id, None)
        if letter.id in self._claimed_late:
            self._claimed_late.discard(letter.id)
            self.failed -= 1
        _log.info("message %d to %s was accepted by %s at %s", letter.id, letter.to, via, receipt.accepted_at)
        self._ledger.forget(letter)
        self._note_delivered(letter)
        self._note_change()

    # What goes on its way

    async def run(self) -> None:
        """Deliver until cancelled; may be called again after it ended, and goes on with what waits.

        Raises:
            ExceptionGroup: the carrier raised what is no `TransportError`; that message is not tried again.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look())
                group.create_task(
                    self._recalling.run(until_ready=self._readiness.until_ready, pause=self._readiness.pause)
                )
                if self._gate is not None:
                    group.create_task(self._attend(self._gate))
                while True:
                    self._changed.clear()
                    for lane in self._lanes:
                        if not lane.active:
                            lane.active = True
                            group.create_task(self._serve(lane, group))
                    await self._changed.wait()
        finally:
            self._wakes_at = None
            for lane in self._lanes:
                lane.active = False
                lane.free()

    async def _look(self) -> None:
        """Heed what other processes do to the store, and write what could not be written before."""
        while True:
            self._ledger.prune(self._budget.seconds)
            self._ledger.make_up((*self._lanes.waiting(), *self._claimed.values()))
            changes = self._ledger.changes()
            if changes is not None:
                self._heed(changes)
            await asyncio.sleep(LOOK_SECONDS)

    def _heed(self, changes: Changes) -> None:
        """Let take effect what another process did to the store."""
        for letter in self._lanes.take(lambda one: one.id in changes.gone):
            _log.info("message %d to %s was dropped on the command line", letter.id, letter.to)
        known = {letter.id for letter in (*self._lanes.waiting(), *self._claimed.values())}
        for letter in changes.new:
            if letter.id not in known:
                self._refused.pop(letter.id, None)
                self._post(self._timed(letter))
        self.failed = self._ledger.read(lambda kept: kept.count_failed(), self.failed)
        self._note_change()

    async def _attend(self, gate: Gate) -> None:
        """Ask again for what waits whenever another may send it, or has."""
        while True:
            await gate.wait_for_change()
            for lane in self._lanes:
                lane.changed.set()
            self._progress.set()

    async def _serve(self, lane: Lane, group: asyncio.TaskGroup) -> None:
        """Send what waits for one recipient, until nothing does."""
        while lane.count():
            await self._readiness.until_ready()
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
                self._note_change()
            if is_failed:
                queue.held = True
                group.create_task(self._release(lane, queue))
        self._lanes.remove(lane)

    def _next(self, lane: Lane, group: asyncio.TaskGroup) -> tuple[Queue, Letter] | None:
        """Take out the next letter that may be tried now; None if none may."""
        now = self._monotonic()
        for priority, queue in lane.queues.items():
            if queue.held:
                continue
            for letter in tuple(queue.letters):
                verdict = self._verdict(letter)
                if verdict is Verdict.WAIT:
                    continue
                if verdict is Verdict.SEND and not self._is_expired(letter):
                    if self._budget.is_answer_due(lane.to, priority):
                        return None
                    if not self._has_room(letter, now):
                        self._wake_at(self._budget.room_at(now, priority), group)
                        return None
                queue.letters.remove(letter)
                if self._is_expired(letter):
                    self._expire(letter)
                elif verdict is Verdict.DROP:
                    self._discard(letter, "another rescuer has sent it")
                else:
                    return queue, letter
        return None

    def _has_room(self, letter: Letter, now: float) -> bool:
        """Tell whether a letter may go before the chat's period is over, and leaves room for what is more urgent."""
        room = self._budget.room(now, letter.priority)
        if room is None:
            return True
        urgent = (other for other in self._lanes.waiting() if other.priority < letter.priority)
        return room > sum(1 for other in urgent if other.to != letter.to and self._can_go(other))

    def _wake_at(self, at: float, group: asyncio.TaskGroup) -> None:
        """Have everything looked at again once there is room for more."""
        if self._wakes_at is None or at < self._wakes_at:
            self._wakes_at = at
            group.create_task(self._wake_later(at))

    async def _wake_later(self, at: float) -> None:
        await self._sleep(max(0.0, at - self._monotonic()))
        if self._wakes_at == at:
            self._wakes_at = None
        for lane in self._lanes:
            lane.changed.set()

    async def _attempt(self, lane: Lane, queue: Queue, letter: Letter) -> bool:
        """Send the next part of a letter; return whether it has to be tried again, or the next one later."""
        letter, part = self._cut(letter)
        lane.attempt = asyncio.create_task(self._send(lane.to, part))
        try:
            await asyncio.wait({lane.attempt})
        except asyncio.CancelledError:
            lane.attempt.cancel()
            await asyncio.wait({lane.attempt})
            if lane.attempt.cancelled() or lane.attempt.exception() is not None:
                self._put_back(lane, letter)
            else:
                self._accept(lane, queue, letter, lane.attempt.result())
            raise
        error = _failure(lane.attempt)
        match error:
            case None:
                self._accept(lane, queue, letter, lane.attempt.result())
            case _ if lane.claimed:
                pass
            case RejectedError():
                self._succeed(queue)
                self._give_up(replace(letter, attempts=letter.attempts + 1), _reason(error, part))
            case ThrottledError():
                self._readiness.pause(error)
                self._reason = _reason(error, part)
                self._put_back(lane, letter)
            case TransportError() if self._readiness.outage() is not None:
                self._put_back(lane, letter)
            case TransportError():
                self._fail(lane, queue, letter, _reason(error, part))
                return True
            case _:
                self._give_up(letter, f"the chat failed in a way that it should not: {type(error).__name__}")
                raise error
        return False

    async def _send(self, to: str, content: Content) -> Receipt:
        try:
            async with asyncio.timeout(self._retry.patience) as deadline:
                return await self._carrier.send(to, content)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise TransportError(f"the chat took longer than {self._retry.patience:g} s") from error

    def _cut(self, letter: Letter) -> tuple[Letter, Content]:
        """Cut a letter into what is left of it to send; return it with that, and the first of it."""
        if letter.parts is None:
            stamp = letter.stamp
            if not letter.parts_sent:
                age = self._monotonic() - letter.put_at
                stamp = stamp_of(letter.written_at, age=age, now=self._now(), zone=self._zone)
            parts = self._parts(letter, stamped(letter.content, stamp))
            letter = replace(letter, stamp=stamp, parts=parts[letter.parts_sent :] or parts[-1:])
        parts = letter.parts or ()
        return letter, parts[0]

    def _put_back(self, lane: Lane, letter: Letter) -> None:
        """Let a letter wait where it waited, unless it was taken back; one that has not begun is cut anew then."""
        if not (lane.recalled or lane.claimed):
            lane.queues[letter.priority].letters.appendleft(
                letter if letter.parts_sent else replace(letter, parts=None)
            )

    def _accept(self, lane: Lane, queue: Queue, letter: Letter, receipt: Receipt) -> None:
        """Note that the chat has taken the first part of what is left of a letter."""
        others = (letter.parts or ())[1:]
        message = self._recalling.message_of(letter, receipt)
        is_over = not others or lane.recalled
        left = replace(letter, parts=others, parts_sent=letter.parts_sent + 1)
        self._ledger.accept(left, message, is_whole=is_over)
        self._recalling.note(letter, message, is_whole=not others, is_useless=lane.recalled)
        self._succeed(queue)
        self._budget.note_sent(letter.to, self._monotonic())
        if lane.claimed:  # too late: it was taken while it was being claimed
            self._claimed.pop(letter.id, None)
            lane.claimed = False
        if is_over:
            self._note_delivered(letter)
        else:
            lane.queues[letter.priority].letters.appendleft(left)

    async def _release(self, lane: Lane, queue: Queue) -> None:
        """Let the first of a queue be tried again after a while."""
        doubled = self._retry.first * 2 ** min(queue.failures - 1, _DOUBLINGS)
        await self._sleep(self._rand() * min(self._retry.longest, doubled))
        queue.held = False
        lane.changed.set()

    def _succeed(self, queue: Queue) -> None:
        """Note that the chat answers."""
        if self._failing_since is not None:
            _log.info("the chat takes messages again, after %.0f s", self._monotonic() - self._failing_since)
        self._failing_since = None
        queue.failures = 0

    def _fail(self, lane: Lane, queue: Queue, letter: Letter, reason: str) -> None:
        """Put a letter back, unless it was taken back, and give up what has waited too long."""
        now = self._monotonic()
        letter = replace(letter, attempts=letter.attempts + 1)
        if self._failing_since is None:
            self._failing_since = now
            _log.warning("message %d to %s did not go and will be tried again: %s", letter.id, lane.to, reason)
        self._reason = reason
        queue.failures += 1
        self._put_back(lane, letter)
        back_at, patience = self._readiness.back_at, self._retry.give_up_after
        while queue.letters and now - max(queue.letters[0].put_at, back_at) >= patience:
            self._give_up(queue.letters.popleft(), reason)
        if letter.id in {one.id for one in queue.letters}:
            self._ledger.change(
                lambda letters: letters.note_attempt(letter.id, attempts=letter.attempts, reason=reason)
            )

    # What becomes of letters

    def _post(self, letter: Letter) -> None:
        """Let a letter wait."""
        lane = self._lanes.of(letter.to)
        replaced = lane.put(letter)
        if letter.slot is not None:
            replaced += self._take_claimed(lambda one: one.slot == letter.slot and one.to == letter.to)
        for older in replaced:
            self._ledger.forget(older)
        if self._count() > self._max_waiting:
            self._drop()
        lane.changed.set()
        self._changed.set()
        self._note_change()

    def _withdraw(self, slot: str) -> None:
        """Take back what was sent in a slot."""
        for letter in (
            *self._lanes.take(lambda one: one.slot == slot),
            *self._take_claimed(lambda one: one.slot == slot),
        ):
            self._ledger.forget(letter)
        self._recalling.withdraw(slot)
        self._note_change()

    def _take_claimed(self, fits: Callable[[Letter], bool]) -> list[Letter]:
        """Take out what is claimed and fits, so that it is not wanted any more; what was refused is offered no more."""
        for id_ in [id_ for id_, (letter, _) in self._refused.items() if fits(letter)]:
            del self._refused[id_]
        taken = [letter for letter in self._claimed.values() if fits(letter)]
        for letter in taken:
            del self._claimed[letter.id]
        return [letter for letter in taken if letter.id not in self._claimed_late]

    def _expire(self, letter: Letter) -> None:
        self._discard(letter, "it is of no use any more")

    def _discard(self, letter: Letter, reason: str) -> None:
        """Forget a letter that is not needed."""
        _log.info("message %d to %s is not sent: %s", letter.id, letter.to, reason)
        self._ledger.forget(letter)
        self._note_change()

    def _give_up(self, letter: Letter, reason: str) -> None:
        """Keep a letter that will not be sent, for whoever looks at it or can send it elsewhere."""
        self.failed += 1
        self._reason = reason
        _log.warning("message %d to %s is given up: %s", letter.id, letter.to, reason)
        self._ledger.give_up(letter, reason)
        if letter.priority in (Priority.QR, Priority.ALERT):
            self._refused[letter.id] = letter, self._monotonic()
            if len(self._refused) > _MOST_REFUSED:
                del self._refused[next(iter(self._refused))]

    def _drop(self) -> None:
        """Make room: drop the oldest of the least urgent."""
        dropped = self._lanes.take_least_urgent()
        self._ledger.give_up(dropped, "too many messages were waiting")
        self.dropped += 1
        self._drop_reports, admitted = admit(self._drop_reports, self._monotonic())
        if admitted:
            _log.warning("over %d messages wait to be sent; %d dropped so far", self._max_waiting, self.dropped)

    def _note_delivered(self, letter: Letter) -> None:
        if self._gate is not None and letter.key is not None:
            self._gate.note_delivered(letter.to, letter.key)

    def _note_change(self) -> None:
        self._progress.set()

    def _wake(self) -> None:
        """Have everything tried at once."""
        for lane in self._lanes:
            lane.free()

    # What is known

    def _count(self) -> int:
        return self._lanes.count() + len(self._claimed)

    def _verdict(self, letter: Letter) -> Verdict:
        """Return what becomes of a letter now; one of which something is there already goes on."""
        if self._gate is None or letter.key is None or letter.parts_sent:
            return Verdict.SEND
        return self._gate.verdict(letter.to, letter.key)

    def _is_expired(self, letter: Letter) -> bool:
        return letter.expires_at is not None and self._now() >= letter.expires_at

    def _can_go(self, letter: Letter) -> bool:
        """Tell whether a letter goes without anything that comes from outside."""
        is_answer_due = self._budget.is_answer_due(letter.to, letter.priority)
        return self._verdict(letter) is not Verdict.WAIT and not is_answer_due

    def _timed(self, letter: Letter) -> Letter:
        """Return a letter out of the store, put as long ago as it was written."""
        age = max(timedelta(), self._now() - letter.written_at).total_seconds()
        return replace(letter, put_at=self._monotonic() - age)

    def _budget_of_before(self) -> Budget:
        """Return what is left of what the chat takes, after what went before this program began."""
        limits, now = self._carrier.limits, self._now()
        seconds = max(limits.period, HOUR_SECONDS)
        nothing: tuple[tuple[datetime, ...], dict[str, int]] = (), {}
        sent_at, unanswered = self._ledger.read(
            lambda letters: (letters.sent_since(now - timedelta(seconds=seconds)), letters.unanswered()), nothing
        )
        ages = [max(timedelta(), now - one).total_seconds() for one in sent_at]
        return Budget(limits, sent_at=sorted(self._monotonic() - age for age in ages), unanswered=unanswered)

    def _packed(self, content: Content) -> Parcel:
        return packed(content, self._carrier.limits, secrets=self._secrets, translate=self._translate)

    def _parts(self, letter: Letter, content: Content) -> tuple[Content, ...]:
        """Turn a message into what the chat can carry."""
        limits = self._carrier.limits
        if isinstance(content, Attachment) and len(content.data) > limits.attachment_bytes:
            sizes = len(content.data), limits.attachment_bytes
            _log.warning("the file of message %d has %d bytes; the chat carries %d", letter.id, *sizes)
        return deliverable(content, limits, translate=self._translate, filename=f"message-{letter.id}.txt")


def _failure(attempt: asyncio.Task[Receipt]) -> BaseException | None:
    """Return how an attempt failed, None if it did not."""
    return TransportError("the attempt was broken off") if attempt.cancelled() else attempt.exception()


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
