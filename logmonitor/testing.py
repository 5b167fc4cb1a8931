"""A test kit for authors of operations: the doubles that logmonitor's own tests use.

`RecordingContext` is handed to a handler and records what the handler asked for; `MemoryTransport` is a chat without a
network; `LogWriter` writes a log as bots and log rotation do. Time stands still until a test moves it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from logmonitor.contact import find_contact
from logmonitor.operation import Ticket
from logmonitor.records import (
    Content,
    Event,
    EventKind,
    Health,
    Line,
    LogBatch,
    Message,
    Priority,
    Receipt,
    Sender,
    Session,
)
from logmonitor.session import advance
from logmonitor.transport import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import TracebackType

    from logmonitor.records import Transition

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ADMIN = Sender(id="admin-id", alias="admin", name="Admin", weixin="AdminWeixin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a handler sent; `to` is None where it left the choice to the runtime."""

    content: Content
    to: str | None = None
    priority: Priority = Priority.REPLY
    slot: str | None = None


class FakeHost:
    """A machine that consists of the files a test puts into `files`."""

    def __init__(self) -> None:
        """Start without any file."""
        self.files: dict[Path, bytes] = {}

    async def read_file(self, path: Path, /, *, limit_bytes: int) -> bytes:
        """Return what the test put at `path`."""
        try:
            data = self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None
        if len(data) > limit_bytes:
            raise OSError(f"{path} is larger than {limit_bytes} bytes")
        return data


class RecordingContext:
    """A `Context` that records: `sent` holds everything a handler sent, in order.

    `sessions` holds what `session` returns, by watch; `move_on` advances both clocks.
    """

    def __init__(self, *sessions: Session, admins: tuple[Sender, ...] = (ADMIN,)) -> None:
        """Know these sessions; the first is the one meant where no watch is named."""
        self.sessions = {session.watch: session for session in sessions}
        self.admins = admins
        self.host = FakeHost()
        self.sent: list[Sent] = []
        self.withdrawn: list[str] = []
        self.woken_at: float | None = None
        self._elapsed = 0.0

    async def send(
        self,
        content: Content,
        /,
        *,
        to: str | None = None,
        priority: Priority = Priority.REPLY,
        slot: str | None = None,
    ) -> Ticket:
        """Record the message."""
        self.sent.append(Sent(content=content, to=to, priority=priority, slot=slot))
        return Ticket(ids=(len(self.sent),))

    def withdraw(self, slot: str, /) -> None:
        """Record the withdrawal."""
        self.withdrawn.append(slot)

    def session(self, watch: str | None = None, /) -> Session:
        """Return the session a test gave for `watch`, else an unknown one."""
        if watch is None:
            return next(iter(self.sessions.values()), Session(watch=""))
        return self.sessions.get(watch, Session(watch=watch))

    def now(self) -> datetime:
        """Return noon of 20 November 2026, UTC, plus what the test moved on."""
        return START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds that the test moved on."""
        return self._elapsed

    def wake_at(self, monotonic: float, /) -> None:
        """Record when the handler wants to be woken; the earliest wins."""
        self.woken_at = monotonic if self.woken_at is None else min(self.woken_at, monotonic)

    def move_on(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds

    def happen(self, event: Event, *, watch: str = "bob") -> Transition | None:
        """Let the session of `watch` meet `event`; return what a handler's `on_transition` would be given."""
        self.sessions[watch], transition = advance(self.session(watch), event)
        return transition


class MemoryTransport:
    """A chat in memory: `sent` holds what was accepted, in order; `receive` lets a message come in.

    Contacts are known by id, weixin number and alias, as in a real chat.
    """

    def __init__(self, *contacts: Sender, limits: Limits | None = None) -> None:
        """Know these contacts; without any, the one called `AdminWeixin`."""
        self.contacts = contacts or (ADMIN,)
        self.limits = limits or Limits()
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
            sent_at=datetime.now(UTC),
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
        return Receipt(message_id=f"out-{len(self.sent)}", accepted_at=datetime.now(UTC))

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


@dataclass(slots=True)
class LogWriter:
    """A bot's log as bots and log rotation treat it.

    It is opened at the first write and kept open, as a bot does: after `rename` it goes on in the old file until
    `reopen`.
    """

    path: Path
    _descriptor: int | None = field(default=None, init=False)

    def write(self, *lines: str, end: str = "\n") -> None:
        """Append whole lines in one write; `end=""` leaves the last one unfinished."""
        self.write_bytes(("\n".join(lines) + end).encode())

    def write_bytes(self, data: bytes) -> None:
        """Append bytes in one write."""
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._descriptor, data)

    def rename(self, target: Path) -> None:
        """Rotate by renaming."""
        self.path.rename(target)

    def copy_and_truncate(self, target: Path) -> None:
        """Rotate by copying and truncating in place."""
        target.write_bytes(self.path.read_bytes())
        os.truncate(self.path, 0)

    def reopen(self) -> None:
        """Close the file, so that the next write opens it anew."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close the file."""
        self.reopen()


def batch(*texts: str, watch: str = "bob", path: Path) -> LogBatch:
    """Make the batch that `on_batch` gets when these lines are written to an empty log."""
    lines: list[Line] = []
    offset = 0
    for number, text in enumerate(texts, start=1):
        raw = text.encode()
        lines.append(Line(raw=raw, offset=offset, number=number))
        offset += len(raw) + 1
    return LogBatch(watch=watch, path=path, lines=tuple(lines), start_offset=0, end_offset=offset)


def event(kind: EventKind, **fields: object) -> Event:
    """Make an event as a log's first line would, at noon of 20 November 2026."""
    values: dict[str, object] = {"line": 1, "offset": 0, "at": START, "seen_at": START} | fields
    return Event(kind=kind, **values)  # type: ignore[arg-type]  # the names are checked by Event itself


def message(text: str, *, sender: Sender = ADMIN, room: str | None = None, identifier: str = "in-1") -> Message:
    """Make a message as it reaches `on_message`; a direct one from the admin unless told otherwise."""
    return Message(id=identifier, sender=sender, conversation=room or sender.id, text=text, sent_at=START, room=room)


__all__ = [
    "ADMIN",
    "START",
    "FakeHost",
    "LogWriter",
    "MemoryTransport",
    "RecordingContext",
    "Sent",
    "batch",
    "event",
    "message",
]
