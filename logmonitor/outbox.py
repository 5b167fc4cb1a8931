"""Delivery: what is to be sent waits here, in order, until the chat has taken it or it is too late.

It stands in the store before it is sent, and is taken out of it once the chat has it: a message is sent twice only
where the program was killed between the two. Nothing of a message's content is ever logged. While a chat says that it
is down, or that it was sent too much, nothing is tried and nothing ages, and a newer message still takes the place of
an older.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from logmonitor.parcel import Parcel, is_slow, packed
from logmonitor.records import Content, Delivery, Priority
from logmonitor.sending.budget import HOUR_SECONDS
from logmonitor.sending.carrier import names_in
from logmonitor.sending.courier import Courier, Retry, Times
from logmonitor.sending.gate import Gate, Verdict
from logmonitor.sending.ledger import Ledger
from logmonitor.sending.letter import Letter, Step, Withdrawal
from logmonitor.sending.postbox import Postbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import tzinfo

    from logmonitor.records import MessageKey, Receipt
    from logmonitor.sending.carrier import Carrier
    from logmonitor.storage.letters import Letters

__all__ = ["Gate", "Letter", "Outbox", "Retry", "Step", "Verdict", "Withdrawal"]

LOOK_SECONDS: Final = 2.0
"""How often the store is looked at: for what the command line changed, and for what could not be written before."""


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
        zone: tzinfo | None = UTC,
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
        self._translate = translate
        self._secrets = tuple(secrets)
        self._now = now
        self._monotonic = monotonic
        self._alerts: Counter[str] = Counter()
        self._ledger = Ledger(letters, now=now, monotonic=monotonic)
        self._postbox = Postbox(
            self._ledger,
            gate,
            max_waiting=max_waiting,
            known_as=partial(names_in, carrier),
            monotonic=monotonic,
        )
        self._courier = Courier(
            carrier,
            self._postbox,
            self._ledger,
            retry=retry or Retry(),
            times=Times(now=now, monotonic=monotonic, sleep=sleep, rand=rand, zone=zone),
            translate=translate,
        )
        self._postbox.restore(map(self._courier.timed, self._ledger.load()))

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

        None if a message with that key was decided on for that recipient before, by whatever name.
        """
        names = names_in(self._carrier, to)
        if key is not None and any(self._ledger.is_decided(name, key) for name in names):
            return None
        return Letter(
            id=self._ledger.next_id(),
            to=names[0],
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
                self._postbox.withdraw(step.slot)
                self._courier.recalling.withdraw(step.slot)
            elif self._ledger.admit(step):
                self._postbox.post(step)
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
        self._postbox.withdraw(slot)
        self._courier.recalling.withdraw(slot)

    def note_inbound(self, conversation: str, /) -> None:
        """Learn that something came in from a conversation, which may get so many messages again."""
        for name in self._courier.budget.note_inbound(conversation):
            self._ledger.note_inbound(name)
            self._postbox.lanes.look_again()

    # How it stands

    @property
    def failed(self) -> int:
        """How many messages were given up, as far as they are known."""
        return self._postbox.failed

    @property
    def store_failure(self) -> str:
        """Why nothing can be kept in the store; empty while it can."""
        return self._ledger.failure

    @property
    def dropped(self) -> int:
        """How many messages there was no room for since the start."""
        return self._postbox.dropped

    def delivery(self) -> Delivery:
        """Tell how delivery stands."""
        now = self._monotonic()
        waiting = self._postbox.letters()
        limits = self._carrier.limits
        return Delivery(
            waiting=self._postbox.count(),
            failed=self._postbox.failed,
            dropped=self._postbox.dropped,
            failing_for=None if self._courier.failing_since is None else now - self._courier.failing_since,
            reason=self._courier.reason,
            sent_last_hour=self._courier.budget.count(now, HOUR_SECONDS),
            sent_in_period=self._courier.budget.count(now, limits.period),
            alerts=max(self._alerts.values(), default=0),
            paused_for=self._courier.readiness.paused_for(),
            unanswered=tuple(
                dict.fromkeys(one.to for one in waiting if self._courier.budget.is_answer_due(one.to, one.priority))
            ),
            unsaved=sum(not self._ledger.is_stored(letter) for letter in waiting),
            store_failure=self._ledger.failure,
        )

    async def flush(self, seconds: float, /) -> bool:
        """Wait until everything is delivered or given up; return False if that takes longer than `seconds`.

        It is False at once where what waits cannot go before something comes from outside.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._postbox.count():
                    if not self._can_go():
                        return False
                    self._postbox.progress.clear()
                    await self._postbox.progress.wait()
        except TimeoutError:
            return False
        return True

    # What somebody else may send

    def waiting(self) -> tuple[Letter, ...]:
        """Return what is ours to send and not delivered yet, the most urgent first, else the oldest.

        A letter that the chat is being given is among it, one that is claimed is not.
        """
        return self._postbox.waiting()

    def refused(self) -> tuple[Letter, ...]:
        """Return the QRs and alerts that the chat refused, or that were given up, within the last hour, oldest first.

        They can be claimed like those that wait.
        """
        return self._postbox.refused()

    def oldest_keyed_wait(self, watch: str | None = None, /) -> float | None:
        """Return for how many seconds the oldest letter with a key, about that bot if it is named, has waited here.

        None where none waits. The time before this program began does not count.
        """
        return self._postbox.oldest_keyed_wait(watch)

    def claim(self, id_: int, /) -> Letter | None:
        """Take a letter out of the chat's reach, to be settled or given back; None if it is gone, or not ours to send.

        An attempt of the chat that is under way is broken off.
        """
        return self._postbox.claim(id_)

    def is_wanted(self, letter: Letter, /) -> bool:
        """Tell whether a letter that was claimed is still to be sent: neither withdrawn nor replaced nor expired."""
        return self._postbox.is_wanted(letter)

    def give_back(self, letter: Letter, /) -> None:
        """Let the chat try a letter again that was claimed, unless nobody wants it any more."""
        self._postbox.give_back(letter)

    def settle(self, letter: Letter, receipt: Receipt, /, *, via: str) -> None:
        """Note that a letter that was claimed has been accepted elsewhere, by what is called `via`."""
        self._postbox.settle(letter, receipt, via)

    # What goes on its way

    async def run(self) -> None:
        """Deliver until cancelled; may be called again after it ended, and goes on with what waits.

        Raises:
            ExceptionGroup: the carrier raised what is no `TransportError`; that message is not tried again.
        """
        await self._courier.run(self._look(), *(() if self._gate is None else (self._attend(self._gate),)))

    async def _look(self) -> None:
        """Heed what other processes do to the store, and write what could not be written before."""
        while True:
            self._ledger.prune(self._courier.budget.seconds)
            self._ledger.make_up(self._postbox.letters())
            self._postbox.heed_others(self._courier.timed)
            await asyncio.sleep(LOOK_SECONDS)

    async def _attend(self, gate: Gate) -> None:
        """Ask again for what waits whenever another may send it, or has."""
        while True:
            await gate.wait_for_change()
            self._postbox.lanes.look_again()
            self._postbox.progress.set()

    def _can_go(self) -> bool:
        """Tell whether anything goes without what comes from outside."""
        lanes = self._postbox.lanes
        return self._postbox.is_claimed() or lanes.are_sending() or any(map(self._courier.can_go, lanes.waiting()))

    def _packed(self, content: Content) -> Parcel:
        return packed(content, self._carrier.limits, secrets=self._secrets, translate=self._translate)
