"""JSON lines on standard input and output: the bridge to a bot written in any language.

docs/stdio.md tells the protocol and how such a program is written. Standard output belongs to it; log records go to
standard error. A line that is no frame, or longer than `line_bytes`, is skipped with a warning.

When the peer closes standard input, the chat is closed for good: `messages` ends, nothing more can be sent. When
standard output cannot be written, or standard input not be read, the chat is closed too, but nobody asked for that:
`messages` fails.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import sys
from contextlib import ExitStack, redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from logmonitor.contact import find_contact
from logmonitor.errors import RejectedError, TransportError
from logmonitor.records import Attachment, Event, EventKind, Health, Link, Message, Qr, Receipt, Sender
from logmonitor.transport import Limits, TextUnit
from logmonitor.transports.descriptor import read_lines, write_all
from logmonitor.transports.frame import Accepted, Account, Contacts, Reach, Refused, Said, parse_frame
from logmonitor.transports.quantity import Count, Seconds  # noqa: TC001  # a configuration reads this signature's types

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from logmonitor.records import Content, Line

_log = logging.getLogger(__name__)

_PROTOCOL: Final = 1
_WAITING: Final = 1000


class Stdio:
    """A chat that another program holds, spoken to in JSON lines."""

    def __init__(
        self,
        *,
        answer_timeout: Seconds = 30.0,
        contacts_timeout: Seconds = 5.0,
        line_bytes: Count = 16_000_000,
        text_size: Count = 2000,
        text_unit: TextUnit = TextUnit.CHARACTERS,
        attachment_bytes: Count = 2_000_000,
        per_period: Count | None = None,
        period: Seconds = 3600.0,
        per_inbound: Count | None = None,
    ) -> None:
        """Set the limits of the peer's chat, and how long to wait for the peer, in seconds."""
        self._limits = Limits(
            text_size=text_size,
            text_unit=text_unit,
            attachment_bytes=attachment_bytes,
            per_period=per_period,
            period=period,
            per_inbound=per_inbound,
        )
        self._answer_timeout = answer_timeout
        self._contacts_timeout = contacts_timeout
        self._line_bytes = line_bytes
        self._stack = ExitStack()
        self._service: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(_WAITING)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(_WAITING)
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)
        self._answers: dict[int, asyncio.Future[Receipt]] = {}
        self._count = itertools.count(1)
        self._contacts: tuple[Sender, ...] = ()
        self._announced = asyncio.Event()
        self._health = Health(is_up=False, reason="not connected")
        self._closed: str | None = None
        self._failure: str | None = None

    @property
    def limits(self) -> Limits:
        """What the configuration says of the peer's chat."""
        return self._limits

    async def __aenter__(self) -> Self:
        """Say hello; from now on whatever else is printed goes to standard error.

        Raises:
            TransportError: standard input or output is closed, as by `<&-` or `>&-`.
        """
        if sys.__stdin__ is None or sys.__stdout__ is None:  # in whose place `sys` may have one that leads nowhere
            closed = "input" if sys.__stdin__ is None else "output"
            raise TransportError(
                "standard input and output have to be open for transport 'stdio', which speaks to another program"
                f" there; standard {closed} is closed"
            )
        source, target = sys.stdin.fileno(), sys.stdout.fileno()
        sys.stdout.flush()
        self._stack.enter_context(redirect_stdout(sys.stderr))
        self._health = Health(is_up=True, since=datetime.now(UTC))
        self._frames.put_nowait(_encoded({"type": "hello", "protocol": _PROTOCOL}))
        self._service = asyncio.create_task(self._serve(source, target))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Stop reading and writing; the descriptors stay open."""
        if self._service is not None:
            self._service.cancel()
            await asyncio.wait({self._service})
        self._go_down("closed")
        self._stack.close()

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what the peer passes on, until standard input ends.

        Raises:
            TransportError: the peer was lost in another way.
        """
        while (message := await self._messages.get()) is not None:
            yield message
        if self._failure is not None:
            raise TransportError(self._failure)

    async def own_events(self) -> AsyncIterator[Event]:
        """Yield what the peer tells of its account, until standard input ends."""
        while (event := await self._events.get()) is not None:
            yield event

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Ask the peer to send `content`, and wait for its answer.

        Raises:
            RejectedError: it refuses for good.
            TransportError: it refuses for now, does not answer in time, or has gone.
        """
        if self._service is None or self._closed is not None:
            raise TransportError(f"the peer cannot be reached: {self._closed or self._health.reason}")
        number = next(self._count)
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._frames.put_nowait(_encoded({"type": "send", "id": number, "to": to} | _content(content)))
            async with asyncio.timeout(self._answer_timeout):
                return await answer
        except asyncio.QueueFull:
            raise TransportError(f"the peer does not read: {_WAITING} frames are waiting for it") from None
        except TimeoutError:
            raise TransportError(f"no answer from the peer within {self._answer_timeout:g} s") from None
        finally:
            del self._answers[number]

    async def resolve(self, who: str, /) -> Sender:
        """Find the one contact that the peer has announced under this id, or else under this weixin or alias.

        Raises:
            RejectedError: none or several fit.
            TransportError: the peer announces none in time.
        """
        try:
            async with asyncio.timeout(self._contacts_timeout):
                await self._announced.wait()
        except TimeoutError:
            raise TransportError(f"the peer has announced no contacts within {self._contacts_timeout:g} s") from None
        return find_contact(who, self._contacts, nobody="the peer knows nobody")

    def health(self) -> Health:
        """Up while standard input is open and the peer says nothing else."""
        return self._health

    async def _serve(self, source: int, target: int) -> None:
        """Take in and give out frames until one of both is no longer possible."""
        async with asyncio.TaskGroup() as group:
            tasks = {group.create_task(self._read(source)), group.create_task(self._write(target))}
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._go_down(" and ".join(task.result() for task in done))
            for task in tasks:
                task.cancel()
        _offer(self._events, None)
        await self._messages.put(None)

    async def _read(self, descriptor: int) -> str:
        """Take in frames until standard input ends; return why it did."""
        try:
            async for line in read_lines(descriptor, cap_bytes=self._line_bytes):
                if line.truncated:
                    _log.warning("line %d of the peer skipped: longer than %d bytes", line.number, self._line_bytes)
                elif line.raw.strip():
                    await self._take(line)
        except OSError as error:
            self._failure = f"standard input cannot be read: {error.strerror}"
            return self._failure
        return "standard input has ended"

    async def _write(self, descriptor: int) -> str:
        """Give out frames until standard output is closed; return why it was."""
        try:
            while True:
                await write_all(descriptor, await self._frames.get())
        except OSError as error:
            self._failure = f"standard output cannot be written: {error.strerror}"
            return self._failure

    async def _take(self, line: Line) -> None:
        """Do what a frame says."""
        try:
            frame = parse_frame(line.raw)
        except TransportError as error:
            _log.warning("line %d of the peer skipped: %s", line.number, error)
            return
        match frame:
            case Said():
                await self._messages.put(_message(frame))
            case Contacts():
                self._contacts = frame.contacts
                self._announced.set()
            case Accepted() | Refused():
                self._answer(frame)
            case Reach():
                self._health = Health(is_up=frame.type == "up", since=datetime.now(UTC), reason=frame.reason or "")
            case Account():
                _offer(self._events, _event(frame))

    def _answer(self, frame: Accepted | Refused) -> None:
        """Hand an answer to the `send` that waits for it, if it still does."""
        answer = self._answers.get(frame.id)
        if answer is None or answer.done():
            _log.info("answer %d of the peer came too late", frame.id)
        elif isinstance(frame, Accepted):
            answer.set_result(Receipt(message_id=frame.message_id, accepted_at=datetime.now(UTC)))
        else:
            answer.set_exception((RejectedError if frame.permanent else TransportError)(frame.reason))

    def _go_down(self, reason: str) -> None:
        """Be down for good, and tell every `send` that waits."""
        if self._closed is None:
            self._closed = reason
            self._health = Health(is_up=False, since=datetime.now(UTC), reason=reason)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(TransportError(f"the peer cannot be reached: {reason}"))


def _content(content: Content) -> dict[str, object]:
    """Return the part of a `send` frame that says what is sent."""
    match content:
        case Attachment():
            qr = content.qr or Qr()
            modules = qr.modules and ["".join(map(str, row)) for row in qr.modules]
            attachment = {
                "filename": content.filename,
                "content_type": content.content_type,
                "data": base64.b64encode(content.data).decode(),
                "caption": content.caption,
                "qr": qr.payload,
                "modules": modules,
                "verified": qr.verified,
            }
            return {"attachment": attachment}
        case Link():
            return {"link": {"title": content.title, "url": content.url, "description": content.description}}
        case _:
            return {"text": content}


def _message(frame: Said) -> Message:
    return Message(
        id=frame.id,
        sender=frame.sender,
        conversation=frame.conversation,
        text=frame.text,
        sent_at=frame.sent_at or datetime.now(UTC),
        room=frame.room,
        attachments=tuple(
            Attachment(filename=file.filename, content_type=file.content_type, data=file.data)
            for file in frame.attachments
        ),
        mentions=frame.mentions,
        quoted=frame.quoted,
        from_self=frame.from_self,
    )


def _event(frame: Account) -> Event:
    now = datetime.now(UTC)
    qr = None if frame.qr is None else Qr(payload=frame.qr, first_seen=now)
    return Event(kind=EventKind(frame.type), line=0, offset=0, at=now, seen_at=now, qr=qr, user=frame.user)


def _offer(queue: asyncio.Queue[Event | None], event: Event | None) -> None:
    """Put `event` into a queue that nobody may be reading; the oldest makes room."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(event)


def _encoded(frame: dict[str, object]) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"
