"""What a Wechaty puppet service is asked through a stub, and what its answers mean.

Protocol: `wechaty/puppet.proto` of github.com/wechaty/grpc. The names of the stub, which is that of `wechaty_grpc`, are
those of an older protocol than today's gateways speak; what is on the wire is the same, but for the types of messages.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from logmonitor.contact import find_contact
from logmonitor.errors import RejectedError, TransportError
from logmonitor.records import Attachment, Link, Message, Receipt, Sender
from logmonitor.redact import redact
from logmonitor.transport import Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from wechaty_grpc.wechaty import PuppetStub

    from logmonitor.records import Content

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

LIMITS: Final = Limits(text_size=2000, attachment_bytes=3_000_000, captions=False)
"""WeChat documents no figure for a personal account's texts; 2,000 characters is what its own apps are known to take.

A file goes as base64 within one gRPC message, and the gateway takes messages of 4 MiB.
"""

LOST: Final = (StreamTerminatedError, ProtocolError, OSError)
"""What a call ends with when it was the connection that failed; `asyncio.timeout` raises an `OSError` too."""

BROKEN: Final = (AssertionError, ArithmeticError, LookupError, TypeError, ValueError)
_FOR_GOOD: Final = frozenset({Status.RESOURCE_EXHAUSTED, Status.INVALID_ARGUMENT, Status.NOT_FOUND})
_ASK_SECONDS: Final = 15.0
_SEND_SECONDS: Final = 45.0
_FRESH_SECONDS: Final = 5.0
_AT_ONCE: Final = 64
_REMEMBERED: Final = 20_000
_DETAIL_CHARACTERS: Final = 200
_TEXT_CHARACTERS: Final = 100_000
_TEXT_TYPES: Final = frozenset({6, 7})
"""Text is 7 on today's gateways, where 6 is an image, and was 6 on older ones, where 7 was a video."""

_MILLISECONDS_FROM: Final = 100_000_000_000
_XML: Final = re.compile(r"\s*<(?:\?xml|msg|appmsg|sysmsg|img|videomsg|voicemsg|emoji)\b", re.IGNORECASE)
_MENTIONS: Final = re.compile(r"(?:@[^\u2005\n]{1,64}\u2005\s*)+")
_MENTION: Final = re.compile(r"@\S{1,64} +")


class Puppet:
    """One account as a stub reaches it: sends, recalls, looks up contacts and messages.

    What contacts are is remembered until `forget`. Raises `RejectedError` for what the gateway would refuse again, else
    `TransportError`; the latter's cause is one of `LOST` where the connection failed.
    """

    def __init__(self, stub: PuppetStub, *, secrets: Sequence[str] = ()) -> None:
        """Ask by `stub`; `secrets` are kept out of what errors say."""
        self._stub = stub
        self._secrets = tuple(secrets)
        self._contacts: dict[str, Sender] = {}
        self._ids: tuple[str, ...] | None = None
        self._listed_at = 0.0
        self._listing = asyncio.Lock()

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send to a contact or room: a text, a file without its caption, or a link, as text where no card is taken."""
        match content:
            case Attachment():
                call = self._stub.message_send_file(conversation_id=to, filebox=file_box(content))
            case Link():
                try:
                    return await self._sent(self._stub.message_send_url(conversation_id=to, url_link=_card(content)))
                except TransportError as error:
                    if not _is_answer(error):
                        raise
                    _log.debug("no card is taken: %s", error)
                text = "\n".join(filter(None, (content.title, content.description, content.url)))
                call = self._stub.message_send_text(conversation_id=to, text=text)
            case _:
                call = self._stub.message_send_text(conversation_id=to, text=content)
        return await self._sent(call)

    async def recall(self, message_id: str, /) -> None:
        """Take back a message."""
        answer = await self.ask(self._stub.message_recall(id=message_id), seconds=_SEND_SECONDS)
        if not answer.success:
            raise RejectedError(f"the gateway does not take back message {message_id!r}")

    async def contact(self, contact_id: str, /) -> Sender:
        """Return a contact, as it was when it was first asked for."""
        known = self._contacts.get(contact_id)
        if known is None:
            payload = await self.ask(self._stub.contact_payload(id=contact_id))
            known = Sender(
                id=contact_id, alias=payload.alias or None, name=payload.name or None, weixin=payload.weixin or None
            )
            while len(self._contacts) >= _REMEMBERED:
                del self._contacts[next(iter(self._contacts))]
            self._contacts[contact_id] = known
        return known

    async def resolve(self, who: str, /, *, own_id: str | None = None) -> Sender:
        """Find the one contact with the id `who`, else with that weixin number or alias; never the account itself.

        That none or several fit is said only of contacts asked for a moment ago: a puppet lists them late after a
        login, and need not tell when one has changed.
        """
        async with self._listing:
            try:
                return await self._find(who, own_id)
            except RejectedError:
                if _now() - self._listed_at < _FRESH_SECONDS:
                    raise
                self.forget()
                return await self._find(who, own_id)

    def forget(self, contact_id: str | None = None) -> None:
        """Ask anew for a contact, or for all of them, and for who there is."""
        self._ids = None
        if contact_id is None:
            self._contacts.clear()
        else:
            self._contacts.pop(contact_id, None)

    async def message(self, message_id: str, /, *, own_id: str | None = None) -> Message:
        """Fetch a message; one that the account itself wrote stands in the conversation with whom it was written to.

        Raises:
            ValueError: it cannot be one.
        """
        payload = await self.ask(self._stub.message_payload(id=message_id))
        if own_id is not None and payload.from_id == own_id:
            return Message(
                id=message_id,
                sender=Sender(id=own_id),
                conversation=payload.room_id or payload.to_id or own_id,
                room=payload.room_id or None,
                text=message_text(payload),
                mentions=tuple(payload.mention_ids),
                from_self=True,
                sent_at=sent_at(payload.timestamp),
            )
        if not payload.from_id:
            raise ValueError("nobody wrote it")
        if len(payload.text) > _TEXT_CHARACTERS:
            raise ValueError("its text is too long")
        is_mentioned = bool(payload.room_id) and own_id is not None and own_id in payload.mention_ids
        own_name = (await self._known(own_id)).name if is_mentioned and own_id is not None else None
        return Message(
            id=message_id,
            sender=await self._known(payload.from_id),
            conversation=payload.room_id or payload.from_id,
            room=payload.room_id or None,
            text=message_text(payload, is_mentioned=is_mentioned, own_name=own_name),
            mentions=tuple(payload.mention_ids),
            sent_at=sent_at(payload.timestamp),
        )

    async def ask(self, call: Awaitable[_Answer], /, *, seconds: float = _ASK_SECONDS) -> _Answer:
        """Await a call of the stub under a deadline, and turn what goes wrong into our errors."""
        try:
            async with asyncio.timeout(seconds):
                return await call
        except GRPCError as error:
            is_repeating = error.status is Status.UNAUTHENTICATED  # what it says repeats the token
            raise self.refusal(error) from (None if is_repeating else error)
        except TimeoutError as error:
            raise TransportError(f"the gateway did not answer within {seconds:g} s") from error
        except LOST as error:
            raise TransportError("the connection to the gateway was lost") from error
        except BROKEN as error:
            raise TransportError("the gateway gave an answer that cannot be read") from error

    async def _find(self, who: str, own_id: str | None) -> Sender:
        """Find a contact among those that are listed, which are asked for where that was not done yet.

        While some of them cannot be read nobody is found by weixin number, which is its owner's to choose: the one that
        is meant may be among those.
        """
        is_new = self._ids is None
        if self._ids is None:
            self._ids = tuple((await self.ask(self._stub.contact_list())).ids)
        ids = [contact_id for contact_id in dict.fromkeys(self._ids) if contact_id and contact_id != own_id]
        contacts = [await self.contact(who)] if who in ids else await self._all(ids)
        self._listed_at = _now() if is_new else self._listed_at
        found = find_contact(who, contacts, nobody="the account has no contacts")
        if who not in (found.id, found.alias) and len(contacts) < len(ids):
            raise TransportError(
                f"{len(ids) - len(contacts)} of {len(ids)} contacts cannot be read, and {who!r} may be one of them"
                f" as well as {found.id!r}; expected an id or alias, which nobody chooses for himself"
            )
        return found

    async def _known(self, contact_id: str) -> Sender:
        """Return a contact, without more than its id where the gateway tells no more."""
        try:
            return await self.contact(contact_id)
        except TransportError as error:
            if not _is_answer(error):
                raise
            return Sender(id=contact_id)

    async def _sent(self, call: Awaitable[Any]) -> Receipt:
        answer = await self.ask(call, seconds=_SEND_SECONDS)
        return Receipt(message_id=answer.id or None, accepted_at=datetime.now(UTC))

    def refusal(self, error: GRPCError, /) -> TransportError:
        """Return what the gateway says as an error of ours: its first line, without secrets."""
        if error.status is Status.UNAUTHENTICATED:
            return TransportError("the gateway refuses the token")
        first = (error.message or "").strip().partition("\n")[0].removeprefix("Error: ")
        detail = redact(first, self._secrets)[:_DETAIL_CHARACTERS] or error.status.name.lower().replace("_", " ")
        kind = RejectedError if error.status in _FOR_GOOD else TransportError
        return kind(f"the gateway refuses: {detail}")

    async def _all(self, ids: Sequence[str]) -> list[Sender]:
        """Fetch contacts, many at once; one that the gateway refuses twice is left out."""
        known = {contact_id: self._contacts[contact_id] for contact_id in ids if contact_id in self._contacts}
        failures: list[TransportError] = []
        missing: list[str] = []

        async def fetch(waiting: list[str], refused: list[str]) -> None:
            while waiting and not failures:
                contact_id = waiting.pop()
                try:
                    known[contact_id] = await self.contact(contact_id)
                except TransportError as error:
                    if _is_answer(error):
                        refused.append(contact_id)
                    else:
                        failures.append(error)

        waiting = [contact_id for contact_id in ids if contact_id not in known]
        for _ in range(2):
            missing = []
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(_AT_ONCE, len(waiting))):
                    tasks.create_task(fetch(waiting, missing))
            waiting = list(missing)
        if failures:
            raise failures[0]
        if missing:
            _log.warning("the gateway tells nothing of %d of %d contacts; they are left out", len(missing), len(ids))
        return [known[contact_id] for contact_id in ids if contact_id in known]


def file_box(file: Attachment, /) -> str:
    """Return a file as the gateway takes it: FileBox JSON, base64 within, understood by old and new gateways."""
    data = base64.b64encode(file.data).decode()
    box = {"type": 1, "boxType": 1, "name": file.filename, "metadata": {}, "base64": data}
    return json.dumps(box)


def message_text(payload: Any, /, *, is_mentioned: bool = False, own_name: str | None = None) -> str:  # noqa: ANN401  # the bindings have no types
    """Return what a person typed, without the mention of the account itself; empty for anything but text."""
    text = str(payload.text)
    if payload.type not in _TEXT_TYPES or payload.filename or _XML.match(text):
        return ""
    if not is_mentioned:
        return text
    mention = _MENTIONS.match(text)
    if mention is None and own_name and text.startswith(f"@{own_name} "):
        return text[len(own_name) + 2 :]
    mention = mention or _MENTION.match(text)
    return text[mention.end() :] if mention else text


def sent_at(timestamp: int, /) -> datetime:
    """Return when a message was sent: milliseconds of today's gateways, seconds of older ones, now where it is 0.

    Raises:
        ValueError: there is no such time.
    """
    if not timestamp:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(timestamp / 1000 if timestamp >= _MILLISECONDS_FROM else timestamp, UTC)
    except (OverflowError, OSError, ValueError):
        raise ValueError("it was sent at no time there is") from None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _card(link: Link) -> str:
    return json.dumps({"title": link.title, "url": link.url, "description": link.description, "thumbnailUrl": ""})


def _is_answer(error: TransportError) -> bool:
    """Tell whether the gateway itself refused, so that the connection is well."""
    cause = error.__cause__
    return isinstance(cause, GRPCError) and cause.status not in (Status.UNAVAILABLE, Status.UNAUTHENTICATED)
