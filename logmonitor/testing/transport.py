"""A chat in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from logmonitor.clock import SystemClock
from logmonitor.contact import find_contact
from logmonitor.records import Content, Health, Message, Receipt, Sender
from logmonitor.testing.sample import ADMIN
from logmonitor.transport import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from logmonitor.clock import Clock


class MemoryTransport:
    """A chat in memory: `sent` holds what was accepted, in order; `receive` lets a message come in.

    Contacts are known by id, weixin number and alias, as in a real chat.
    """

    def __init__(self, *contacts: Sender, limits: Limits | None = None, clock: Clock | None = None) -> None:
        """Know these contacts; without any, the one called `AdminWeixin`. Messages have the time of `clock`."""
        self.contacts = contacts or (ADMIN,)
        self.limits = limits or Limits()
        self._clock = clock or SystemClock()
        self.sent: list[tuple[str, Content]] = []
        self._failures: deque[Exception] = deque()
        self._incoming: asyncio.Queue[Message | None] = asyncio.Queue()
        self._arrived = asyncio.Condition()
        self._count = 0

    async def __aenter__(self) -> Self:
        """Connect to nothing."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End `messages`."""
        self.close()

    def close(self) -> None:
        """Let `messages` end once what came in has been read."""
        self._incoming.put_nowait(None)

    def fail_next(self, error: Exception, *, times: int = 1) -> None:
        """Let the next sends raise `error`."""
        self._failures.extend([error] * times)

    def receive(
        self, text: str, *, sender: Sender = ADMIN, room: str | None = None, from_self: bool = False
    ) -> Message:
        """Let a message come in; return it."""
        self._count += 1
        message = Message(
            id=f"in-{self._count}",
            sender=sender,
            conversation=room or sender.id,
            text=text,
            sent_at=self._clock.now(),
            room=room,
            from_self=from_self,
        )
        self._incoming.put_nowait(message)
        return message

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what `receive` was given."""
        while (message := await self._incoming.get()) is not None:
            yield message

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Accept the message, or fail as the test wished."""
        if self._failures:
            raise self._failures.popleft()
        async with self._arrived:
            self.sent.append((to, content))
            self._arrived.notify_all()
        return Receipt(message_id=f"out-{len(self.sent)}", accepted_at=self._clock.now())

    async def wait_for(self, count: int, *, deadline: float = 10.0) -> list[tuple[str, Content]]:
        """Wait until `count` messages have been accepted; return them all.

        Raises:
            TimeoutError: fewer came within `deadline` seconds.
        """
        async with asyncio.timeout(deadline), self._arrived:
            await self._arrived.wait_for(lambda: len(self.sent) >= count)
        return list(self.sent)

    async def resolve(self, who: str, /) -> Sender:
        """Find a contact by id, weixin number or alias."""
        return find_contact(who, self.contacts)

    def health(self) -> Health:
        """Be up, unless the test has failures in store."""
        return Health(is_up=not self._failures)
