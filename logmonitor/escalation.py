"""What the chat does not take in time goes by the fallbacks, in order, until one of them has taken it.

A message that a fallback has taken counts as delivered. While one is being tried the chat does not send it, and when
none takes it it waits for the chat as before. Nothing of a message's content, and of no URL, is ever logged.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.escalating import turn
from logmonitor.escalating.turn import Standing, is_due
from logmonitor.isolation import isolated
from logmonitor.records import Priority
from logmonitor.sending.lateness import stamp_of, stamped
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import tzinfo

    from logmonitor.clock import Clock
    from logmonitor.escalating.way import Way
    from logmonitor.records import Content, Delivery, Receipt
    from logmonitor.sending.letter import Letter

_log = logging.getLogger(__name__)
POLL_SECONDS: Final = 0.5
TRIAL_SECONDS: Final = 10.0
"""How long a chat that says that it is up, and takes nothing, is given each message before the fallbacks are."""

STOP_SECONDS: Final = 5.0
"""How long what is on its way when the program ends may take, so that it need not be sent again."""

_URGENT: Final = (Priority.QR, Priority.ALERT)


class Letterbox(Protocol):
    """As much of the outbox as an escalation needs."""

    def waiting(self) -> tuple[Letter, ...]:
        """Return what is not delivered and still of use, the most urgent first, else the oldest."""

    def refused(self) -> tuple[Letter, ...]:
        """Return what the chat has refused, or had for too long, of late."""

    def claim(self, id_: int, /) -> Letter | None:
        """Take a letter out of the chat's reach; None if there is nothing to be sent of it any more."""

    def give_back(self, letter: Letter, /) -> None:
        """Let the chat have a letter again, unless it was withdrawn meanwhile."""

    def settle(self, letter: Letter, receipt: Receipt, /, *, via: str) -> None:
        """Count a letter as delivered."""

    def delivery(self) -> Delivery:
        """Tell how the chat does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one fallback has done: how many messages it took, and why not the last where it did not."""

    taken: int = 0
    reason: str = ""


class Escalation:
    """Tries the fallbacks, each in a task of its own, so that one that hangs holds up no other."""

    def __init__(
        self,
        ways: Sequence[Way],
        letters: Letterbox,
        *,
        clock: Clock,
        is_up: Callable[[], bool],
        admins_behind: Callable[[str], Collection[str] | None],
        zone: tzinfo | None,
    ) -> None:
        """Try `ways`, in order, once `run` runs.

        `is_up` tells whether the chat can be reached. `admins_behind` returns the configured names of the admins whom a
        recipient stands for, none if it is nobody's, None where that is not known yet; `zone` is for times of
        day, the machine's where there is none.
        """
        self._ways = tuple(ways)
        self._letters = letters
        self._clock = clock
        self._is_up = is_up
        self._admins_behind = admins_behind
        self._zone = zone
        self._standings = [Standing(after=way.after) for way in self._ways]
        self._soonest = min((way.after for way in self._ways), default=0.0)
        self._tallies = [Tally() for _ in self._ways]
        self._refused: dict[int, frozenset[int]] = {}
        self._begun: dict[int, float] = {}
        self._tried: set[int] = set()
        self._down_since: float | None = None

    async def run(self) -> None:
        """Work until cancelled; without ways there is nothing to do."""
        async with asyncio.TaskGroup() as tasks:
            for index in range(len(self._ways)):
                tasks.create_task(self._serve(index))

    def rows(self, translate: Callable[[str], str]) -> tuple[str, ...]:
        """Tell how the fallbacks are."""
        return tuple(
            self._row(way, standing, tally, translate)
            for way, standing, tally in zip(self._ways, self._standings, self._tallies, strict=True)
        )

    def _row(self, way: Way, standing: Standing, tally: Tally, translate: Callable[[str], str]) -> str:
        if not tally.reason:
            return translate("fallback {name}: {taken} sent").format(name=way.name, taken=tally.taken)
        text = translate("fallback {name}: {taken} sent; the last try failed: {reason}")
        row = text.format(name=way.name, taken=tally.taken, reason=tally.reason)
        rest = standing.rests_until - self._clock.monotonic()
        if rest <= 0:
            return row
        return translate("{row}; tried again in {duration}").format(row=row, duration=duration_text(rest, translate))

    async def _serve(self, index: int) -> None:
        """Try one fallback whenever it is its turn."""
        while True:
            batch = self._due(index)
            if batch:
                await self._try(index, batch)
            else:
                await self._clock.sleep(POLL_SECONDS)

    def _due(self, index: int) -> tuple[Letter, ...]:
        """Return the most urgent letter that is due, and those that say the same to others; none if there is none."""
        now = self._clock.monotonic()
        if self._is_up():
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now
        refused, letters = self._letters.refused(), self._letters.waiting()
        given_up = frozenset(letter.id for letter in refused)
        letters = tuple(sorted((*refused, *letters), key=lambda letter: (letter.priority, letter.id)))
        known = self._tried.union(letter.id for letter in letters)
        self._refused = {id_: refused for id_, refused in self._refused.items() if id_ in known}
        self._begun = {id_: begun for id_, begun in self._begun.items() if id_ in known}
        failing_for = self._letters.delivery().failing_for if letters else None
        failing_since = None if failing_for is None else now - failing_for
        first = next(
            (
                one
                for one in letters
                if self._is_due(index, one, now, failing_since=failing_since, is_given_up=one.id in given_up)
            ),
            None,
        )
        if first is None:
            return ()
        alike: dict[str, Letter] = {}
        for letter in letters:
            if _says_the_same(letter, first) and self._takes(index, letter):
                alike.setdefault(letter.to, letter)
        return tuple(alike.values())

    def _is_due(
        self, index: int, letter: Letter, now: float, *, failing_since: float | None, is_given_up: bool
    ) -> bool:
        """Tell whether it is a fallback's turn; the chat is not waited for where it has refused a letter.

        Of one that takes nothing a newer QR, which replaces an older, is not waited for as long again.
        """
        if letter.priority not in _URGENT:
            return False
        since = letter.put_at if self._down_since is None else min(letter.put_at, self._down_since)
        if failing_since is not None and now - letter.put_at >= TRIAL_SECONDS:
            since = min(since, failing_since)
        since = float("-inf") if is_given_up else since
        if now - since < self._soonest or self._admins_of(letter) == frozenset():
            return False
        passed = self._passed(letter)
        first = next((one for other, one in enumerate(self._standings) if other not in passed), None)
        if first is None or now - since < first.after:
            return False
        waited = now - self._begun.setdefault(letter.id, now)
        return is_due(index, self._standings, since=since, now=now, passed=passed, waited=waited)

    def _passed(self, letter: Letter) -> frozenset[int]:
        """Return the fallbacks that do not take a letter: what they do not carry another has to, if one does."""
        everybody = frozenset(range(len(self._ways)))
        refused = self._refused.get(letter.id, frozenset())
        content, names = letter.content, self._admins_of(letter)
        unfit = frozenset(index for index in everybody if not self._ways[index].takes(names, content))
        if everybody - unfit - refused:
            return unfit | refused
        return frozenset(index for index in everybody if not self._ways[index].is_for(names)) | refused

    def _takes(self, index: int, letter: Letter) -> bool:
        """Tell whether a letter goes along with another that says the same."""
        return self._admins_of(letter) != frozenset() and index not in self._passed(letter)

    def _admins_of(self, letter: Letter) -> frozenset[str] | None:
        names = self._admins_behind(letter.to)
        return None if names is None else frozenset(names)

    async def _try(self, index: int, batch: Sequence[Letter]) -> None:
        """Send what several letters say, once; what then is not taken waits on."""
        claimed = [letter for letter in (self._letters.claim(one.id) for one in batch) if letter is not None]
        if not claimed:
            await self._clock.sleep(POLL_SECONDS)
            return
        ids = {letter.id for letter in claimed}
        self._tried |= ids
        sending = asyncio.ensure_future(self._ways[index].send(self._worded(claimed[0])))
        try:
            await _until_over(sending)
        finally:
            self._tried -= ids
            self._end(index, claimed, sending)

    def _end(self, index: int, claimed: Sequence[Letter], sending: asyncio.Future[Receipt]) -> None:
        """Note what has become of what letters say."""
        receipts: list[Receipt] = []
        errors: list[Exception] = []
        with isolated(errors.append):
            receipts.extend([] if sending.cancelled() else [sending.result()])
        for letter in claimed:
            if receipts:
                self._letters.settle(letter, receipts[0], via=self._ways[index].name)
            else:
                self._letters.give_back(letter)
        if receipts:
            self._note_taken(index, claimed[0])
        for error in errors:
            self._note_failure(index, claimed, error)

    def _worded(self, letter: Letter) -> Content:
        """Return what a letter says, with the time at which it was written."""
        now = self._clock.now()
        age = (now - letter.written_at).total_seconds()
        return stamped(letter.content, stamp_of(letter.written_at, age=age, now=now, zone=self._zone))

    def _note_taken(self, index: int, letter: Letter) -> None:
        self._standings[index] = turn.taken(self._standings[index])
        self._tallies[index] = Tally(taken=self._tallies[index].taken + 1)
        waited = self._clock.monotonic() - letter.put_at
        _log.warning("message %d went by fallback %s after %.0f s", letter.id, self._ways[index].name, waited)

    def _note_failure(self, index: int, claimed: Sequence[Letter], error: Exception) -> None:
        """Let a fallback rest, or have no more of a message that it refuses."""
        now, standing = self._clock.monotonic(), self._standings[index]
        name, reason = self._ways[index].name, str(error)
        match error:
            case RejectedError():
                for letter in claimed:
                    self._refused[letter.id] = self._refused.get(letter.id, frozenset()) | {index}
            case ThrottledError():
                self._standings[index] = turn.throttled(standing, now, error.retry_after)
            case TransportError():
                self._standings[index] = turn.failed(standing, now)
            case _:
                reason = type(error).__name__
                self._standings[index] = turn.failed(standing, now)
                _log.error("fallback %s failed in a way that it should not", name, exc_info=error)
        self._tallies[index] = replace(self._tallies[index], reason=reason)
        _log.warning("message %d did not go by fallback %s: %s", claimed[0].id, name, reason)


async def _until_over(sending: asyncio.Future[Receipt]) -> None:
    """Wait until a message has been sent or not; whoever ends the program does for a while, and then it is broken off.

    What a service has taken while nobody listened would be sent again.
    """
    try:
        await asyncio.wait({sending})
    except asyncio.CancelledError:
        await asyncio.wait({sending}, timeout=STOP_SECONDS)
        raise
    finally:
        sending.cancel()
        await asyncio.wait({sending})


def _says_the_same(one: Letter, other: Letter) -> bool:
    """Tell whether two letters are one message to several people, who need not be told twice in one place."""
    return (one.priority, one.slot, one.key, one.content) == (other.priority, other.slot, other.key, other.content)
