"""Who the configured admins are: names resolved by the chat, anew for each login, to stable ids."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logmonitor.contact import find_contact
from logmonitor.errors import RejectedError, TransportError
from logmonitor.isolation import isolated
from logmonitor.records import Health
from logmonitor.transport import CanRecall, CanWait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logmonitor.records import Content, Receipt, Sender
    from logmonitor.transport import Limits, Transport

_log = logging.getLogger(__name__)
RETRY_SECONDS: Final = 5.0
CHECKS: Final = 7
"""How often it is asked again, after a login, who has the number by which somebody was found: for some 20 minutes."""

_FIRST_PAUSE: Final = 10.0
_LONGEST_PAUSE: Final = 600.0


def pause_after(times: int, /) -> float:
    """Return after how many seconds to ask again for whom the chat did not know, having asked again `times` times."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(times, 10))


class Directory:
    """The admins by their configured names; a name the chat does not know authorises nobody.

    What the chat has answered last holds. After a login an admin stays who he was until the chat has answered anew, so
    that nobody is a stranger meanwhile; once it answers that it does not know him, or knows several, he has no rights
    from then on, for the contact may be gone. A chat may know its contacts only some time after a login: so it is asked
    again, ever more seldom, until it finds him, and what is to be sent to him waits. Whom it found by a number, which
    is its owner's to choose, it is asked for again some times too: whoever was meant may not have been there yet.

    It can be sent to like the chat it stands for: what is addressed to a configured name goes to the contact behind it.
    """

    def __init__(
        self,
        transport: Transport,
        names: Iterable[str],
        *,
        retry_seconds: float = RETRY_SECONDS,
        pause: Callable[[int], float] = pause_after,
    ) -> None:
        """Know the configured `names`; nothing is asked yet.

        A chat that cannot answer is asked again after `retry_seconds`, one that does not know a name after `pause`, as
        `pause_after` has it.
        """
        self._retry_seconds = retry_seconds
        self._pause = pause
        self._transport = transport
        self._names = frozenset(names)
        self._found: dict[str, Sender] = {}
        self._renewed = asyncio.Event()
        self._looked_up = asyncio.Event()
        self.unknown: dict[str, str] = {}

    @property
    def limits(self) -> Limits:
        """What one message of the chat can carry."""
        return self._transport.limits

    async def run(self) -> None:
        """Ask the chat for every name now and after each `renew`, in between for those it may answer otherwise for."""
        names, times = self._names, 0
        while True:
            self._renewed.clear()
            await self.look_up(names)
            names = self._names & (self.unknown.keys() | (self._found_by_number() if times < CHECKS else set()))
            if await self._is_renewed_within(self._pause(times) if names else None):
                names, times = self._names, 0
            else:
                times += 1

    def renew(self) -> None:
        """Have everybody looked up anew: the account has logged in."""
        self._renewed.set()

    async def look_up(self, names: Iterable[str] | None = None, /) -> None:
        """Ask the chat for these names, without any for all, until it has answered for each."""
        waiting = sorted(self._names if names is None else names)
        told: set[str] = set()
        while waiting:
            await self.wait_until_up()
            waiting = [name for name in waiting if not await self._is_answered(name, told)]
            if waiting:
                await asyncio.sleep(self._retry_seconds)
        self._looked_up.set()

    async def wait_until_looked_up(self) -> None:
        """Return once the chat has answered for every name for the first time."""
        await self._looked_up.wait()

    def found(self, names: Iterable[str]) -> tuple[Sender, ...]:
        """Return the contacts behind those of `names` that the chat knows."""
        return tuple(self._found[name] for name in names if name in self._found)

    def names_of(self, id_: str, /) -> tuple[str, ...]:
        """Return the configured names of the contact with this id, and the id itself."""
        return (*sorted(name for name, sender in self._found.items() if sender.id == id_), id_)

    def known_as(self, to: str, /) -> tuple[str, ...]:
        """Return as whom else who is sent to is known, the first what messages are kept for: names, and the id.

        `to` is a configured name, before and after its contact is known, or an id.
        """
        return self.names_of(self._found[to].id if to in self._found else to)

    async def resolve(self, who: str, /) -> Sender:
        """Find the one contact that `who` names, an admin or not.

        A terminal answers for every configured admin as the one person before it, and so for nobody else.

        Raises:
            RejectedError: none or several fit.
            TransportError: the chat cannot be asked now.
        """
        sender = await self._transport.resolve(who)
        return sender if who in self._names else find_contact(who, (sender,))

    def address(self, name: str) -> str:
        """Return whom messages for the configured `name` are kept for: the same name for all that mean one contact.

        It is no id, which is known only after the first look-up and may be another one after a login: what was decided
        for an admin holds for him through a restart. The contact behind it is looked at when it is sent.
        """
        return self.known_as(name)[0]

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send to a conversation, or to the contact behind a configured name.

        Raises:
            RejectedError: the chat refuses it for good.
            TransportError: it did not work this time, or nobody is known by that name so far.
        """
        if to in self._names:
            is_new = to not in self._found
            contact = self._found.get(to) or await self._find(to)
            if is_new and self.address(to) != to:
                raise TransportError(f"admin {to} has just turned out to be admin {self.address(to)}")
            to = contact.id
        return await self._transport.send(to, content)

    async def recall(self, message_id: str, /) -> None:
        """Take back a message that was sent.

        Raises:
            RejectedError: it cannot be taken back, now or later, as in a chat that cannot do that at all.
            TransportError: it did not work this time.
        """
        if not isinstance(self._transport, CanRecall):
            raise RejectedError("the chat takes nothing back")
        await self._transport.recall(message_id)

    def health(self) -> Health:
        """Whether the chat can be reached now; one that cannot be waited for is tried, whatever it says."""
        return self._transport.health() if isinstance(self._transport, CanWait) else Health(is_up=True)

    async def wait_until_up(self) -> None:
        """Return once the chat can be reached, at once where it does not say."""
        if isinstance(self._transport, CanWait):
            await self._transport.wait_until_up()

    def _found_by_number(self) -> set[str]:
        """Return the names that lead to a contact by what this has chosen itself."""
        return {name for name, sender in self._found.items() if name not in (sender.id, sender.alias)}

    async def _is_renewed_within(self, seconds: float | None) -> bool:
        """Wait for the next `renew`, for so long at most; tell whether it came."""
        try:
            async with asyncio.timeout(seconds):
                await self._renewed.wait()
        except TimeoutError:
            return False
        return True

    async def _is_answered(self, name: str, told: set[str]) -> bool:
        """Ask for a name; tell whether the chat could be asked. Why not is logged unless it was `told` before."""
        failures: list[Exception] = []
        with isolated(failures.append):
            await self._resolve(name)
        match next(iter(failures), None):
            case None | RejectedError():
                return True
            case error:
                level = logging.DEBUG if str(error) in told else logging.WARNING
                told.add(str(error))
                trace = None if isinstance(error, TransportError) else error  # that is a fault of the chat's own code
                _log.log(level, "cannot look up admin %s yet: %s", name, error, exc_info=trace)
                return False

    async def _find(self, name: str) -> Sender:
        """Ask for a name, unless it was asked for and is unknown, so that it is asked for again in time."""
        if name not in self.unknown:
            for other in sorted(self._names - self._found.keys() - self.unknown.keys()):
                if other < name:  # it may be the same contact, who is sent to by the first of his names
                    with suppress(TransportError):
                        await self._resolve(other)
            try:
                return await self._resolve(name)
            except RejectedError:
                pass
        raise TransportError(f"admin {name} is unknown to the chat so far")

    async def _resolve(self, name: str) -> Sender:
        try:
            sender = await self._transport.resolve(name)
        except RejectedError as error:
            if name not in self.unknown:
                _log.error("admin %s is unknown to the chat, which will be asked again: %s", name, error)
            self.unknown[name] = str(error)
            self._found.pop(name, None)
            raise
        self._found[name] = sender
        if self.unknown.pop(name, None) is not None:
            _log.info("admin %s is known to the chat now", name)
        return sender
