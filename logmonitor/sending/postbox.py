"""The letters that are to be sent, and what becomes of each: replaced, taken back, claimed, given up, delivered."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from logmonitor.records import Priority
from logmonitor.sending.gate import Verdict
from logmonitor.sending.lane import Lanes
from logmonitor.throttle import Throttle, admit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logmonitor.records import Receipt
    from logmonitor.sending.gate import Gate
    from logmonitor.sending.ledger import Ledger
    from logmonitor.sending.letter import Letter

_log = logging.getLogger(__name__)
REFUSED_SECONDS: Final = 3600.0
"""For how long somebody else may still send what the chat refused."""

_MOST_REFUSED: Final = 100
_NO_ROOM: Final = "too many messages were waiting"


class Postbox:
    """Keeps letters, in memory and in the store; which of them goes next is not its matter."""

    def __init__(
        self,
        ledger: Ledger,
        gate: Gate | None,
        /,
        *,
        max_waiting: int,
        known_as: Callable[[str], tuple[str, ...]],
        monotonic: Callable[[], float],
    ) -> None:
        """Keep letters in `ledger` too; beyond `max_waiting` the oldest of the least urgent is dropped.

        `known_as` gives all names of a recipient, the first the one that letters are kept for.
        """
        self.lanes = Lanes()
        self.changed = asyncio.Event()
        """Set when there is something to send, for whoever sends."""
        self.progress = asyncio.Event()
        """Set when something has become of a letter, for whoever waits until all are gone."""
        self.failed = ledger.read(lambda letters: letters.count_failed(), 0)
        self.dropped = 0
        self._ledger = ledger
        self._gate = gate
        self._max_waiting = max_waiting
        self._known_as = known_as
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._claimed: dict[int, Letter] = {}
        self._claimed_late: set[int] = set()
        self._refused: dict[int, tuple[Letter, float]] = {}
        self._retried_at: dict[int, float] = {}
        self._drop_reports = Throttle(limit=1, period=60.0)

    # What is known of them

    def count(self) -> int:
        """Count what is not delivered yet."""
        return self.lanes.count() + len(self._claimed)

    def letters(self) -> tuple[Letter, ...]:
        """Return what is not delivered yet, whoever may send it, but for what has failed and is claimed after all."""
        claimed = (letter for id_, letter in self._claimed.items() if id_ not in self._claimed_late)
        return (*self.lanes.waiting(), *claimed)

    def is_claimed(self) -> bool:
        """Tell whether somebody else sends anything now."""
        return bool(self._claimed)

    def verdict(self, letter: Letter) -> Verdict:
        """Return what becomes of a letter now; one of which something is there already goes on."""
        if letter.key is None or letter.parts_sent:
            return Verdict.SEND
        name = self._known_as(letter.to)[0]
        if name != letter.to and self._ledger.is_decided(name, letter.key):
            return Verdict.DROP  # when it was written it was not known whom both names mean
        if self._gate is None:
            return Verdict.SEND
        return self._gate.verdict(letter.to, letter.key)

    def is_expired(self, letter: Letter) -> bool:
        """Tell whether a letter is of no use any more: after as long as it had when it was written, by no set clock."""
        if letter.expires_at is None:
            return False
        return self._monotonic() - letter.put_at >= (letter.expires_at - letter.written_at).total_seconds()

    def waiting(self) -> tuple[Letter, ...]:
        """Return what is ours to send and neither delivered nor claimed, the most urgent first, else the oldest."""
        for letter in self.lanes.take(self.is_expired):
            self.discard(letter, "it is of no use any more")
        letters = self.lanes.waiting()
        verdicts = {letter.id: self.verdict(letter) for letter in letters}
        sending = {lane.sending.id for lane in self.lanes if lane.sending is not None}
        useless = {id_ for id_, verdict in verdicts.items() if verdict is Verdict.DROP} - sending
        for letter in self.lanes.take(lambda one: one.id in useless) if useless else ():
            self.discard(letter, "somebody else has sent it")
        return tuple(letter for letter in letters if verdicts[letter.id] is Verdict.SEND)

    def refused(self) -> tuple[Letter, ...]:
        """Return the QRs and alerts that were given up within the last hour and are of use, the oldest first."""
        since = self._monotonic() - REFUSED_SECONDS
        letters = (letter for letter, refused_at in self._refused.values() if refused_at > since)
        return tuple(letter for letter in letters if not self.is_expired(letter))

    def waits_since(self, letter: Letter) -> float:
        """Return since when a letter waits, or since it was let be sent after all."""
        return self._retried_at.get(letter.id, letter.put_at)

    def oldest_keyed_wait(self, watch: str | None) -> float | None:
        """Return for how many seconds the oldest letter with a key has waited, since this program began."""
        since = [
            max(letter.put_at, self._began_at)
            for letter in self.letters()
            if letter.key is not None and watch in (None, letter.key.watch) and not self.is_expired(letter)
        ]
        return self._monotonic() - min(since) if since else None

    # What becomes of them

    def restore(self, letters: Iterable[Letter]) -> None:
        """Let wait what waited when the program before ended, by id; what there is no room for is given up at once."""
        ranked = sorted(letters, key=lambda letter: (letter.priority, -letter.id))
        kept, dropped = ranked[: self._max_waiting], ranked[self._max_waiting :]
        if dropped:
            self._ledger.give_up_all(dropped, _NO_ROOM)
            self.failed += len(dropped)
            self.dropped += len(dropped)
            _log.warning("over %d messages waited to be sent; %d were dropped", self._max_waiting, len(dropped))
        for letter in sorted(kept, key=lambda letter: letter.id):
            self.post(letter)

    def post(self, letter: Letter) -> None:
        """Let a letter wait, in place of what waits or is claimed in its slot for its recipient."""
        lane = self.lanes.of(letter.to)
        replaced = lane.put(letter)
        if letter.slot is not None:
            replaced += self._take_claimed(lambda one: one.slot == letter.slot and one.to == letter.to)
        for older in replaced:
            self._ledger.forget(older)
        if self.count() > self._max_waiting:
            self._drop()
        lane.changed.set()
        self.changed.set()
        self.progress.set()

    def withdraw(self, slot: str) -> None:
        """Take back what waits or is claimed in a slot."""

        def fits(letter: Letter) -> bool:
            return letter.slot == slot

        for letter in (*self.lanes.take(fits), *self._take_claimed(fits)):
            self._ledger.forget(letter)
        self.progress.set()

    def discard(self, letter: Letter, reason: str) -> None:
        """Forget a letter that is not needed."""
        _log.info("message %d to %s is not sent: %s", letter.id, letter.to, reason)
        self._ledger.forget(letter)
        self.progress.set()

    def give_up(self, letter: Letter, reason: str) -> None:
        """Keep a letter that will not be sent, for whoever looks at it or can send it elsewhere."""
        self.failed += 1
        self._retried_at.pop(letter.id, None)
        _log.warning("message %d to %s is given up: %s", letter.id, letter.to, reason)
        self._ledger.give_up(letter, reason)
        if letter.priority in (Priority.QR, Priority.ALERT):
            self._refused[letter.id] = letter, self._monotonic()
            if len(self._refused) > _MOST_REFUSED:
                del self._refused[next(iter(self._refused))]

    def note_delivered(self, letter: Letter) -> None:
        """Note that a letter is where it was to go."""
        if self._gate is not None and letter.key is not None:
            self._gate.note_delivered(letter.to, letter.key)

    def heed_others(self, timed: Callable[[Letter], Letter]) -> None:
        """Let take effect what another process did to the store; `timed` puts a letter when it was written."""
        changes = self._ledger.changes()
        if changes is None:
            return

        def is_gone(letter: Letter) -> bool:
            return letter.id in changes.gone

        for letter in (*self.lanes.take(is_gone), *self._take_claimed(is_gone)):
            _log.info("message %d to %s was dropped on the command line", letter.id, letter.to)
        known = {letter.id for letter in self.letters()} | self._claimed.keys()
        for letter in changes.new:
            self._refused.pop(letter.id, None)
            self._retried_at[letter.id] = self._monotonic()
            if letter.id not in known:
                self.post(timed(letter))
        self._claimed_late -= changes.gone | {letter.id for letter in changes.new}
        self.failed = self._ledger.read(lambda letters: letters.count_failed(), self.failed)
        self.progress.set()

    # Who else may send them

    def claim(self, id_: int) -> Letter | None:
        """Take a letter out of the chat's reach; None if it is gone, or not ours to send."""
        late = next((one for one in self.refused() if one.id == id_), None)
        if late is not None:
            del self._refused[id_]
            self._claimed_late.add(id_)
            self._claimed[id_] = late
            return late
        letter = next((one for one in self.waiting() if one.id == id_), None)
        if letter is None:
            return None
        lane = self.lanes.of(letter.to)
        if lane.sending is not letter or lane.claimed:  # one that was given back waits beside its last attempt
            lane.take(lambda one: one.id == id_)
        elif not lane.claim():
            return None
        self._claimed[id_] = letter
        return letter

    def is_wanted(self, letter: Letter) -> bool:
        """Tell whether a letter that was claimed is still to be sent."""
        return letter.id in self._claimed and not self.is_expired(letter)

    def give_back(self, letter: Letter) -> None:
        """Let the chat try a letter again that was claimed, unless nobody wants it any more."""
        claimed, is_late = self._claimed.pop(letter.id, None), letter.id in self._claimed_late
        self._claimed_late.discard(letter.id)
        if claimed is None:
            return
        if is_late:
            self._refused[claimed.id] = claimed, self._monotonic()
        elif self.is_expired(claimed):
            self.discard(claimed, "it is of no use any more")
        else:
            lane = self.lanes.of(claimed.to)
            lane.put_back(claimed)
            lane.changed.set()
            self.changed.set()
        self.progress.set()

    def settle(self, letter: Letter, receipt: Receipt, via: str) -> None:
        """Note that a letter that was claimed has been accepted elsewhere."""
        self._claimed.pop(letter.id, None)
        if letter.id in self._claimed_late:
            self._claimed_late.discard(letter.id)
            self.failed -= 1
        _log.info("message %d to %s was accepted by %s at %s", letter.id, letter.to, via, receipt.accepted_at)
        self._ledger.forget(letter)
        self.note_delivered(letter)
        self.progress.set()

    def unclaim(self, letter: Letter) -> None:
        """Note that the chat had taken a letter before it could be claimed, or given back."""
        self._claimed.pop(letter.id, None)
        self.lanes.of(letter.to).take(lambda one: one.id == letter.id)

    def _take_claimed(self, fits: Callable[[Letter], bool]) -> list[Letter]:
        """Take out what is claimed and fits, so that nobody wants it any more; what was refused is offered no more."""
        for id_ in [id_ for id_, (letter, _) in self._refused.items() if fits(letter)]:
            del self._refused[id_]
        taken = [letter for letter in self._claimed.values() if fits(letter)]
        for letter in taken:
            del self._claimed[letter.id]
        return [letter for letter in taken if letter.id not in self._claimed_late]

    def _drop(self) -> None:
        """Make room: drop the oldest of the least urgent."""
        dropped = self.lanes.take_least_urgent()
        if dropped is None:
            return
        self._ledger.give_up(dropped, _NO_ROOM)
        self.failed += 1
        self.dropped += 1
        self._drop_reports, admitted = admit(self._drop_reports, self._monotonic())
        if admitted:
            _log.warning("over %d messages wait to be sent; %d dropped so far", self._max_waiting, self.dropped)
