"""What the outbox keeps in the store, as far as that can be written: nothing here fails, but `save`.

What cannot be written is owed, and made up for once the store can be written again.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from logmonitor.errors import StoreError
from logmonitor.sending.letter import Letter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from logmonitor.records import MessageKey
    from logmonitor.sending.letter import Step
    from logmonitor.storage.letters import Accepted, Letters

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
REST_SECONDS: Final = 1.0
"""For how long a store that failed is let be: each try may hold everything up until another process lets it go."""

_PRUNE_SECONDS: Final = 3600.0
_MOST_OWED: Final = 10_000
_MOST_KEYS: Final = 10_000


class Changes(NamedTuple):
    """What another process did to the letters: what it took away, by id, and what it let be sent after all."""

    gone: frozenset[int] = frozenset()
    new: tuple[Letter, ...] = ()


class Ledger:
    """The letters' store, or nothing without one. Not for use from other threads."""

    def __init__(
        self, letters: Letters | None, /, *, now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        """Read nothing yet."""
        self._letters = letters
        self._now = now
        self._monotonic = monotonic
        self._owed: deque[Callable[[Letters], object]] = deque()
        self._keys: OrderedDict[tuple[str, MessageKey], int] = OrderedDict()
        self._stored: set[int] = set()
        self._failed: set[int] = set()
        self._version: int | None = None
        self._prune_at = monotonic()
        self._rests_until = monotonic()
        self._last_id = 0
        self.failure = ""

    def is_stored(self, letter: Letter) -> bool:
        """Tell whether a letter is known to stand in the store; without one nothing has to."""
        return self._letters is None or letter.id in self._stored

    def read(self, ask: Callable[[Letters], _T], otherwise: _T) -> _T:
        """Return what the store answers, and `otherwise` where it does not."""
        if self._letters is None:
            return otherwise
        try:
            return ask(self._letters)
        except StoreError as error:
            self._fail(error)
            return otherwise

    def next_id(self) -> int:
        """Return a number that no letter had before, another program's among them that should not use this store."""
        last_id = self._last_id if self._is_resting() else self.read(lambda letters: letters.last_id(), 0)
        self._last_id = max(self._last_id, last_id) + 1
        return self._last_id

    def load(self) -> tuple[Letter, ...]:
        """Return what was waiting when the last program ended, oldest first."""
        self._last_id = self.read(lambda letters: letters.last_id(), 0)
        waiting: tuple[Letter, ...] = self.read(lambda letters: letters.waiting(at=self._now()), ())
        self._version = self.read(lambda letters: letters.version(), None)
        none: frozenset[int] = frozenset()
        self._failed = set(self.read(lambda letters: letters.failed_ids(), none))
        for letter in waiting:
            self._stored.add(letter.id)
            self._note_key(letter)
        return waiting

    def is_decided(self, to: str, key: MessageKey) -> bool:
        """Tell whether a message of that key was decided on for that recipient before."""
        return (to, key) in self._keys or self.read(lambda letters: letters.is_decided(to, key), otherwise=False)

    def save(self, steps: Iterable[Step]) -> None:
        """Write what was decided, all or nothing, as part of the transaction that the caller is in.

        Raises:
            StoreError: it cannot be written.
        """
        if self._letters is None:
            return
        with self._letters.transaction():
            for step in steps:
                if isinstance(step, Letter):
                    self._letters.add(step)
                else:
                    self._letters.withdraw(step.slot, until=self._last_id)

    def try_save(self, step: Step) -> None:
        """Write what was decided; where that fails a letter is written later, if it still waits then."""
        if not isinstance(step, Letter):
            until = self._last_id  # those written by the time that this can be done stay
            self.change(lambda letters: letters.withdraw(step.slot, until=until))
        elif not self._is_resting():
            self._try(lambda _letters: self.save((step,)))

    def admit(self, letter: Letter) -> bool:
        """Learn that a letter is to go; tell whether none with the same key came before it."""
        if letter.key is not None and self._keys.get((letter.to, letter.key), letter.id) != letter.id:
            self.forget(letter)
            return False
        self._note_key(letter)
        if not self._is_resting() and self.read(lambda letters: letters.holds(letter.id), otherwise=False):
            self._stored.add(letter.id)
        elif letter.key is not None:
            to, key, at = letter.to, letter.key, letter.written_at
            self.change(lambda letters: letters.decide(to, key, at=at))  # it may be sent before it can be written
        return True

    def change(self, action: Callable[[Letters], object]) -> None:
        """Change something, now or once the store can be written again."""
        if self._letters is None:
            return
        self._owed.append(action)
        if len(self._owed) > _MOST_OWED:
            self._owed.popleft()
        self._pay()

    def forget(self, letter: Letter) -> None:
        """Forget a letter that does not wait any more."""
        self._stored.discard(letter.id)
        self.change(lambda letters: letters.remove(letter.id))

    def accept(self, letter: Letter, message: Accepted | None, *, is_whole: bool, is_answer: bool) -> None:
        """Note that the chat has taken a part of a letter, and the whole of it with the last one.

        `is_answer` says that it has to be known how much a conversation was sent since something came from there.
        """
        at, known = self._now(), replace(letter, content="", parts=None)
        if is_whole:
            self._stored.discard(letter.id)
        self.change(lambda letters: letters.accept(known, message, is_whole=is_whole, is_answer=is_answer, at=at))

    def note_inbound(self, conversation: str) -> None:
        """Note that something came in from a conversation."""
        self.change(lambda letters: letters.note_inbound(conversation))

    def give_up(self, letter: Letter, reason: str) -> None:
        """Keep a letter that will not be sent, to be looked at."""
        at = self._now()
        self._stored.discard(letter.id)
        self._failed.add(letter.id)
        self.change(lambda letters: letters.give_up(letter, reason=reason, at=at))

    def give_up_all(self, waiting: Iterable[Letter], reason: str) -> None:
        """Keep letters that stand in the store and will not be sent, to be looked at."""
        at, ids = self._now(), [letter.id for letter in waiting]
        self._stored.difference_update(ids)
        self._failed.update(ids)
        self.change(lambda letters: letters.give_up_all(ids, reason=reason, at=at))

    def make_up(self, waiting: Iterable[Letter]) -> None:
        """Write what is owed, and those letters that are in memory only; forget what is old."""
        self._pay()
        unsaved = [letter for letter in waiting if not self.is_stored(letter)]
        if unsaved and not self._owed and not self._is_resting():

            def add(letters: Letters) -> None:
                for letter in unsaved:
                    letters.add_again(letter)

            if self._try(add):
                self._stored.update(letter.id for letter in unsaved)
        elif self.failure and not self._owed and not self._is_resting():
            self._try(lambda letters: letters.touch())  # it could not be read, and nothing is to be written

    def prune(self, period: float) -> None:
        """Forget what is too old to be of use, now and then; `period` is for how long it matters what was sent."""
        if self._monotonic() >= self._prune_at:
            self._prune_at = self._monotonic() + _PRUNE_SECONDS
            at = self._now()
            self.change(lambda letters: letters.prune(at=at, period=period))

    def changes(self) -> Changes | None:
        """Return what another process did since this was last asked, None if it did nothing."""
        version = self.read(lambda letters: letters.version(), None)
        if version is None or version == self._version:
            return None
        waiting = self.read(lambda letters: letters.waiting(at=self._now()), None)
        failed = self.read(lambda letters: letters.failed_ids(), None)
        if waiting is None or failed is None or self._owed:
            return None
        self._version = version
        new = tuple(letter for letter in waiting if letter.id in self._failed and letter.id not in self._stored)
        there = {letter.id for letter in waiting}
        gone = (self._stored - there) | (self._failed - failed - there)
        self._failed = set(failed)
        self._stored = (self._stored - gone) | {letter.id for letter in new}
        return Changes(gone=frozenset(gone), new=new)

    def _note_key(self, letter: Letter) -> None:
        if letter.key is not None:
            self._keys[letter.to, letter.key] = letter.id
            if len(self._keys) > _MOST_KEYS:
                self._keys.popitem(last=False)

    def _pay(self) -> None:
        """Do what is owed, in order."""
        owed = tuple(self._owed)

        def pay(letters: Letters) -> None:
            for action in owed:
                action(letters)

        # The disk is not waited for: where power is lost at once, what was sent is sent again, and nothing is missing.
        if owed and not self._is_resting() and self._try(pay, is_quick=True):
            self._owed.clear()

    def _try(self, action: Callable[[Letters], object], *, is_quick: bool = False) -> bool:
        """Do something in a transaction, undone perhaps by the loss of power if `is_quick`; tell whether it is done."""
        if self._letters is None:
            return False
        try:
            with self._letters.quick_transaction() if is_quick else self._letters.transaction():
                action(self._letters)
        except StoreError as error:
            self._fail(error)
            return False
        if self.failure:
            _log.info("what is to be sent can be kept in the store again")
        self.failure = ""
        return True

    def _is_resting(self) -> bool:
        return bool(self.failure) and self._monotonic() < self._rests_until

    def _fail(self, error: StoreError) -> None:
        if not self.failure:
            _log.error("%s; what is to be sent is kept in memory, and lost if logmonitor ends before it is sent", error)
        self.failure = str(error)
        self._rests_until = self._monotonic() + REST_SECONDS
