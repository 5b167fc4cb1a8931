"""The frames that a peer of `stdio` writes, as docs/stdio.md tells them, and what is wrong with what is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Base64Bytes, Field, TypeAdapter, ValidationError

from logmonitor.errors import TransportError
from logmonitor.records import Sender

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,20}")
_EXPECTED: Final = {
    "base64_decode": "base64",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dataclass_type": "an object",
    "string_type": "a text",
    "timezone_aware": "a time with its offset, such as 2026-11-20T20:00:00+08:00",
    "tuple_type": "a list",
}
_FAMILIES: Final = {
    "datetime": "a time such as 2026-11-20T20:00:00+08:00",
    "finite": "a whole number",
    "int": "a whole number",
}


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time between the years 1 and 9999, UTC") from None


def _identified(contact: Sender) -> Sender:
    if not contact.id.strip():
        raise ValueError("expected a contact with an id")
    return contact


_Name = Annotated[str, Field(min_length=1)]
_Date = Annotated[AwareDatetime, AfterValidator(_in_utc)]
_Contact = Annotated[Sender, AfterValidator(_identified)]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that a message brings."""

    filename: str
    content_type: str
    data: Base64Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that was said in the chat."""

    type: Literal["message"]
    id: _Name
    sender: _Contact
    conversation: _Name
    text: str
    sent_at: _Date | None = None
    room: str | None = None
    from_self: bool = False
    mentions: tuple[str, ...] = ()
    quoted: str | None = None
    attachments: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """All who can be written to."""

    type: Literal["contacts"]
    contacts: tuple[_Contact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was to be sent is sent."""

    type: Literal["accepted"]
    id: int
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What was to be sent is not."""

    type: Literal["refused"]
    id: int
    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whether the chat can be reached."""

    type: Literal["up", "down"]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What happened to the peer's own account."""

    type: Literal["scan", "scanned", "login", "logout"]
    qr: str | None = None
    user: str | None = None


Frame = Said | Contacts | Accepted | Refused | Reach | Account
_FRAME: Final[TypeAdapter[Frame]] = TypeAdapter(Annotated[Frame, Field(discriminator="type")])
_TYPES: Final = "message, contacts, accepted, refused, up, down, scan, scanned, login or logout"


def parse_frame(line: bytes) -> Frame:
    """Read a line of the peer.

    Raises:
        TransportError: it is no frame; the text says why, without what stands in it: it may be a credential.
    """
    try:
        return _FRAME.validate_json(line)
    except ValidationError as error:
        raise TransportError(_problem(error)) from None


def _problem(error: ValidationError) -> str:
    """Return what is wrong first, by the type of the frame and by the key, where it has them."""
    first = error.errors(include_url=False, include_input=False)[0]
    context = first.get("ctx", {})
    match first["type"]:
        case "json_invalid":
            return f"no JSON: {context['error']}".replace(" at line 1 column ", " in column ")
        case "union_tag_not_found":
            return f"no 'type'; expected {_TYPES}"
        case "union_tag_invalid":
            shown = f" {context['tag']!r}" if _NAME.fullmatch(context["tag"]) else ""
            return f"unknown type{shown}; expected {_TYPES}"
    if not first["loc"]:
        return "no JSON object"
    tag, *place = map(str, first["loc"])
    return f"{tag!r}: {_fault(first, key=repr('.'.join(place)))}"


def _fault(detail: ErrorDetails, *, key: str) -> str:
    """Return what is wrong with what stands under a key."""
    kind = detail["type"]
    if kind == "missing":
        return f"{key} is missing"
    if kind == "string_too_short":
        return f"{key} is empty"
    if kind == "value_error":
        return f"bad {key}; {detail['ctx']['error']}"
    expected = _EXPECTED.get(kind) or _FAMILIES.get(kind.partition("_")[0])
    return f"bad {key}; expected {expected}" if expected else f"bad {key}: {detail['msg']}"
