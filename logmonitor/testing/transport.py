"""A chat in memory, with the faults that real chats have."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from logmonitor.clock import SystemClock
from logmonitor.contact import find_contact
from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.records import Attachment, Content, Health, Message, Receipt, Sender
from logmonitor.testing.sample import ADMIN
from logmonitor.testing.transcript import Transcript
from logmonitor.throttle import Throttle, admit
from logmonitor.transport import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from logmonitor.clock import Clock


class MemoryTransport:
    """A chat in memory: `sent` holds what was accepted, in order; `receive` lets a message come in.

    Contacts are known by id, weixin number and alias, as in a real chat. `transcript` tells of everything that passed
    or was kept from passing. What goes wrong is said beforehand: `fail_next`, `lose_receipts` and `throttle` for what
    is sent, `delay_next`, `duplicate_next`, `reorder_next` and `break_down` for what comes in.
    """

    def __init__(
        self,
        *contacts: Sender,
        limits: Limits | None = None,
        clock: Clock | None = None,
        transcript: Transcript | None = None,
        prefix: str = "in",
    ) -> None:
        """Know these contacts; without any, the one called `AdminWeixin`. Messages have the time of `clock`.

        Their ids are `prefix` and a number; a program that knows ids from before needs others each time.

        With a `transcript` what is sent to nobody it knows is refused, as a real chat would.
        """
        self.contacts = contacts or (ADMIN,)
        self.limits = limits or Limits()
        self.sent: list[tuple[str, Content]] = []
        self._prefix = prefix
        self._is_strict = transcript is not None
        self.transcript = transcript or Transcript()
        self._clock = clock or SystemClock()
        self._failures: deque[Exception] = deque()
        self._throttle: Throttle | None = None
        self._lost_receipts = 0
        self._delays: deque[float] = deque()
        self._duplicates = 0
        self._held: list[Message] = []
        self._reordered = 0
        self._incoming: asyncio.Queue[Message | Exception | None] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._is_handling = False
        self._count = 0

    async def __aenter__(self) -> Self:
        """Connect to nothing."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End `messages`."""
        self.close()

    def break_down(self, error: Exception) -> None:
        """Let `messages` end with an error once what came in has been read: the chat is lost for good."""
        self._incoming.put_nowait(error)

    def close(self) -> None:
        """Let `messages` end once what came in has been read."""
        self._incoming.put_nowait(None)

    @property
    def is_read(self) -> bool:
        """Whether everything that came in has been read and taken effect."""
        return self._incoming.empty() and not self._is_handling

    # What goes wrong

    def fail_next(self, error: Exception, *, times: int = 1) -> None:
        """Let the next sends raise `error`: `TransportError` is tried again, `RejectedError` is not."""
        self._failures.extend([error] * times)

    def throttle(self, limit: int, *, period: float = 60.0) -> None:
        """Take no more than `limit` messages in any `period` seconds from now on, and say of those beyond when."""
        self._throttle = Throttle(limit=limit, period=period)

    def lose_receipts(self, times: int = 1) -> None:
        """Let the next messages arrive, and their sender be told that they did not."""
        self._lost_receipts += times

    def delay_next(self, seconds: float, *, times: int = 1) -> None:
        """Let the next messages come in `seconds` after they were written: stale, if that is long."""
        self._delays.extend([seconds] * times)

    def duplicate_next(self, times: int = 1) -> None:
        """Let the next messages come in twice, under the same id, as a chat does that got no answer in time."""
        self._duplicates += times

    def reorder_next(self, count: int = 2) -> None:
        """Hold the next `count` messages back, then let them come in with the last one first."""
        self._reordered = count

    # What passes

    def receive(
        self,
        text: str,
        *,
        sender: Sender = ADMIN,
        room: str | None = None,
        from_self: bool = False,
        attachments: tuple[Attachment, ...] = (),
        mentions: tuple[str, ...] = (),
        quoted: str | None = None,
    ) -> Message:
        """Let a message come in; return it."""
        self._count += 1
        delay = self._delays.popleft() if self._delays else 0.0
        now = self._clock.now()
        message = Message(
            id=f"{self._prefix}-{self._count}",
            sender=sender,
            conversation=room or sender.id,
            text=text,
            sent_at=now - timedelta(seconds=delay),
            room=room,
            attachments=attachments,
            mentions=mentions,
            quoted=quoted,
            from_self=from_self,
        )
        copies = 1 + (self._duplicates > 0)
        self._duplicates = max(0, self._duplicates - 1)
        self._reordered = max(0, self._reordered - 1)
        remarks = (
            f"written {delay:g} s ago" if delay else "",
            "comes twice" if copies > 1 else "",
            "held back, to come in behind the next" if self._reordered else "",
        )
        self.transcript.take_in(message, at=now, problem=", ".join(filter(None, remarks)))
        self._held = [*[message] * copies, *self._held]
        if not self._reordered:
            self.deliver(*self._held)
            self._held = []
        return message

    def deliver(self, *messages: Message) -> None:
        """Let messages come in as they are, once more or changed; the transcript does not tell of it."""
        for message in messages:
            self._incoming.put_nowait(message)

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what `receive` was given."""
        while (item := await self._incoming.get()) is not None:
            if isinstance(item, Exception):
                raise item
            self._is_handling = True
            yield item
            self._is_handling = False

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Accept the message, or fail as the test wished."""
        now = self._clock.now()
        self._changed.set()
        error = self._obstacle(to)
        if error is not None:
            self.transcript.give_out(to, content, at=now, problem=f"did not go: {error}", has_arrived=False)
            raise error
        self.sent.append((to, content))
        if self._lost_receipts:
            self._lost_receipts -= 1
            self.transcript.give_out(to, content, at=now, problem="its receipt was lost")
            raise TransportError("the chat did not answer")
        self.transcript.give_out(to, content, at=now)
        return Receipt(message_id=f"out-{len(self.sent)}", accepted_at=now)

    def _obstacle(self, to: str) -> Exception | None:
        """Return why a message does not go, None if it does."""
        if self._failures:
            return self._failures.popleft()
        if self._is_strict and not self.transcript.is_known(to):
            return RejectedError(f"the chat knows no conversation {to!r}")
        if self._throttle is None:
            return None
        limit, period = self._throttle.limit, self._throttle.period
        now = self._clock.monotonic()
        self._throttle, is_admitted = admit(self._throttle, now)
        retry_after = self._throttle.admitted[0] + period - now
        return (
            None
            if is_admitted
            else ThrottledError(f"the chat takes {limit} messages in {period:g} s", retry_after=retry_after)
        )

    async def wait_for(self, count: int, *, deadline: float = 10.0) -> list[tuple[str, Content]]:
        """Wait until `count` messages have been accepted; return them all.

        Raises:
            TimeoutError: fewer came within `deadline` seconds.
        """
        async with asyncio.timeout(deadline):
            while len(self.sent) < count:
                await self.wait_for_change()
        return list(self.sent)

    async def wait_for_change(self) -> None:
        """Wait until the next message is sent, whatever becomes of it."""
        self._changed.clear()
        await self._changed.wait()

    async def resolve(self, who: str, /) -> Sender:
        """Find a contact by id, weixin number or alias."""
        return find_contact(who, self.contacts)

    def rename(self, id_: str, name: str) -> Sender:
        """Let a contact give itself another display name; return it."""
        self.contacts = tuple(replace(one, name=name) if one.id == id_ else one for one in self.contacts)
        return next(contact for contact in self.contacts if contact.id == id_)

    def health(self) -> Health:
        """Be up, unless the test has failures in store."""
        return Health(is_up=not self._failures)
