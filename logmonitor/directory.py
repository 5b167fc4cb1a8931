"""Who the configured admins are: names resolved by the chat, once for each login, to stable ids."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from logmonitor.errors import RejectedError, TransportError
from logmonitor.transport import CanWait

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmonitor.records import Content, Receipt, Sender
    from logmonitor.transport import Limits, Transport

_log = logging.getLogger(__name__)
RETRY_SECONDS: Final = 5.0


class Directory:
    """The admins by their configured names; a name the chat does not know authorises nobody.

    It can be sent to like the chat it stands for: what is addressed to a configured name goes to the contact behind it.
    """

    def __init__(self, transport: Transport, names: Iterable[str], *, retry_seconds: float = RETRY_SECONDS) -> None:
        """Know the configured `names`; nothing is asked yet."""
        self._retry_seconds = retry_seconds
        self._transport = transport
        self._names = frozenset(names)
        self._found: dict[str, Sender] = {}
        self.unknown: dict[str, str] = {}

    @property
    def limits(self) -> Limits:
        """What one message of the chat can carry."""
        return self._transport.limits

    async def run(self) -> None:
        """Ask the chat for every name, and again while it cannot be asked.

        What was known before stays known until the chat has answered, so that no admin is a stranger meanwhile.
        """
        for name in sorted(self._names):
            while True:
                await self.wait_until_up()
                try:
                    await self._resolve(name)
                except RejectedError:
                    pass
                except TransportError as error:
                    _log.warning("cannot look up admin %s yet: %s", name, error)
                    await asyncio.sleep(self._retry_seconds)
                    continue
                break

    def found(self, names: Iterable[str]) -> tuple[Sender, ...]:
        """Return the contacts behind those of `names` that the chat knows."""
        return tuple(self._found[name] for name in names if name in self._found)

    def address(self, name: str) -> str:
        """Return where messages for the configured `name` go: its contact's id, or the name until that is known."""
        sender = self._found.get(name)
        return name if sender is None else sender.id

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send to a conversation, or to the contact behind a configured name."""
        if to in self._names:
            to = (self._found.get(to) or await self._resolve(to)).id
        return await self._transport.send(to, content)

    async def wait_until_up(self) -> None:
        """Return once the chat can be reached, at once where it does not say."""
        if isinstance(self._transport, CanWait):
            await self._transport.wait_until_up()

    async def _resolve(self, name: str) -> Sender:
        try:
            sender = await self._transport.resolve(name)
        except RejectedError as error:
            if name not in self.unknown:
                _log.error("admin %s is unknown to the chat: %s", name, error)
            self.unknown[name] = str(error)
            self._found.pop(name, None)
            raise
        self._found[name] = sender
        self.unknown.pop(name, None)
        return sender
