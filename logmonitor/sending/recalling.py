"""What the chat has taken in a slot, and the taking back of what has become useless."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.records import Priority
from logmonitor.storage.letters import Accepted, Letters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from logmonitor.records import Receipt
    from logmonitor.sending.ledger import Ledger
    from logmonitor.sending.letter import Letter
    from logmonitor.transport import CanRecall

_log = logging.getLogger(__name__)
TRIES: Final = 3
PAUSE_SECONDS: Final = 5.0
_MOST_SLOTS: Final = 1000


class _Due(NamedTuple):
    message: Accepted
    tries: int = 0


class Recalling:
    """Knows what was sent in slots, and takes back what a newer QR or a withdrawal has made useless."""

    def __init__(
        self, chat: CanRecall | None, ledger: Ledger, /, *, patience: float, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """Take back by `chat`, in `patience` seconds each; without a chat that can, remember nothing."""
        self._chat = chat
        self._ledger = ledger
        self._patience = patience
        self._sleep = sleep
        self._taken: OrderedDict[tuple[str, str], list[Accepted]] = OrderedDict()
        self._due: deque[_Due] = deque()
        self._changed = asyncio.Event()
        if chat is None:
            return
        nothing: tuple[tuple[Accepted, bool], ...] = ()
        for message, is_useless in ledger.read(lambda letters: letters.accepted(), nothing):
            if is_useless:
                self._due.append(_Due(message))
            else:
                self._taken.setdefault((message.slot, message.to), []).append(message)

    def message_of(self, letter: Letter, receipt: Receipt) -> Accepted | None:
        """Return what has to be known of a message that the chat has just taken; None if nothing has."""
        if self._chat is None or letter.slot is None or receipt.message_id is None:
            return None
        return Accepted(letter.slot, letter.to, receipt.message_id, letter.id)

    def note(self, letter: Letter, message: Accepted | None, *, is_whole: bool, is_useless: bool) -> None:
        """Learn what the chat has taken; a QR that is there as a whole makes those before it in its slot useless."""
        if self._chat is None or letter.slot is None:
            return
        place = letter.slot, letter.to
        if message is not None:
            self._taken.setdefault(place, []).append(message)
            self._taken.move_to_end(place)
            if len(self._taken) > _MOST_SLOTS:
                self._taken.popitem(last=False)
        if is_useless:
            self._recall([one for one in self._taken.get(place, ()) if one.letter_id == letter.id])
        elif is_whole:
            older = [one for one in self._taken.get(place, ()) if one.letter_id != letter.id]
            if letter.priority is Priority.QR:
                self._recall(older)
            else:  # what was no QR was true when it was sent
                self._change(self._dropped(older), Letters.forget)

    def withdraw(self, slot: str) -> None:
        """Take back all that the chat has taken in a slot."""
        self._recall([one for place, taken in self._taken.items() if place[0] == slot for one in taken])

    async def run(self, *, until_ready: Callable[[], Awaitable[None]], pause: Callable[[ThrottledError], None]) -> None:
        """Take back what is due, whenever the chat is ready, until cancelled; `pause` is told where it was too much."""
        while self._chat is not None:
            if not self._due:
                self._changed.clear()
                await self._changed.wait()
                continue
            await until_ready()
            due = self._due.popleft()
            try:
                await self._take_back(self._chat, due.message)
            except asyncio.CancelledError:
                self._due.appendleft(due)
                raise
            except RejectedError as error:
                _log.info("message %r to %s stays where it is: %s", due.message.message_id, due.message.to, error)
            except ThrottledError as error:
                self._due.appendleft(due)
                pause(error)
                continue
            except TransportError as error:
                if due.tries + 1 < TRIES:
                    self._due.append(_Due(due.message, due.tries + 1))
                    await self._sleep(PAUSE_SECONDS)
                    continue
                _log.warning(
                    "message %r to %s could not be taken back: %s", due.message.message_id, due.message.to, error
                )
            self._change((due.message,), Letters.forget)

    async def _take_back(self, chat: CanRecall, message: Accepted) -> None:
        try:
            async with asyncio.timeout(self._patience) as deadline:
                await chat.recall(message.message_id)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise TransportError(f"the chat took longer than {self._patience:g} s") from error

    def _recall(self, messages: Iterable[Accepted]) -> None:
        messages = self._dropped(messages)
        self._due.extend(map(_Due, messages))
        self._change(messages, Letters.make_useless)
        self._changed.set()

    def _dropped(self, messages: Iterable[Accepted]) -> tuple[Accepted, ...]:
        """Take messages off those that may be taken back one day; return them."""
        messages = tuple(messages)
        for message in messages:
            taken = self._taken[message.slot, message.to]
            taken.remove(message)
            if not taken:
                del self._taken[message.slot, message.to]
        return messages

    def _change(self, messages: tuple[Accepted, ...], change: Callable[[Letters, Accepted], None]) -> None:
        """Change what the store knows of messages."""

        def change_all(letters: Letters) -> None:
            for message in messages:
                change(letters, message)

        if messages:
            self._ledger.change(change_all)
