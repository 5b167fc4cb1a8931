"""What a Wechaty puppet service tells of its own accord: events read, and what they mean for the account's session."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from logmonitor.display import whole
from logmonitor.records import Event, EventKind, Qr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_PAYLOAD_CHARACTERS: Final = 1_000_000
_CONTACT: Final = 2
_SCANS: Final = {
    1: EventKind.EXPIRED,  # cancelled on the phone
    2: EventKind.SCAN,  # waiting
    3: EventKind.SCANNED,
    4: EventKind.SCANNED,  # confirmed on the phone
    5: EventKind.EXPIRED,  # timed out
}
"""A scan's status (`ScanStatus` of wechaty-puppet) by what it means; 0 is unknown and means nothing."""


class EventType(IntEnum):
    """The types of events that matter here, as `wechaty/puppet/event.proto` numbers them."""

    HEARTBEAT = 1
    MESSAGE = 2
    DONG = 3
    SCAN = 22
    READY = 23
    LOGIN = 25
    LOGOUT = 26
    DIRTY = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of the account: whose it was last (`id`), and whether it is logged in, None if nobody knows.

    With `is_guess` nobody has said that; it follows from what was not said. `told` is the scan that was told last,
    until a login or logout. A gateway of today repeats its login and its scan on each new connection: `is_old` says
    that what is known is from before this one, `is_repeating` that this gateway has been seen to repeat a login.
    """

    id: str | None = None
    is_in: bool | None = None
    is_guess: bool = True
    told: tuple[EventKind, str | None] | None = None
    is_old: bool = False
    is_repeating: bool = False


def read_payload(text: str, /) -> Mapping[str, object]:
    """Return what an event carries.

    Raises:
        ValueError: it is no JSON object; the text does not say what it is.
    """
    if len(text) > _PAYLOAD_CHARACTERS:
        raise ValueError(f"it is longer than {_PAYLOAD_CHARACTERS} characters")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(payload, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # the type is that of a value, not of an argument
    return payload


def text_of(payload: Mapping[str, object], key: str, /) -> str:
    """Return the text that stands under `key`; half a character in it becomes U+FFFD.

    Raises:
        ValueError: none does; the text does not say what does.
    """
    text = payload.get(key)
    if not isinstance(text, str) or not text:
        raise ValueError(f"it has no {key}")
    return whole(text)


def dirty_contact(payload: Mapping[str, object], /) -> str | None:
    """Return the id of the contact that a dirty event says has changed; None where it is about something else.

    Raises:
        ValueError: it does not say whom it is about.
    """
    return text_of(payload, "payloadId") if payload.get("payloadType") == _CONTACT else None


def connect(account: Account, /) -> Account:
    """Note that a new connection begins, on which the gateway may repeat what it told."""
    return replace(account, is_old=True)


def renew(account: Account, /, *, is_in: bool | None) -> Account:
    """Note that the gateway's own session begins anew, so that what it tells next is news; `is_in` is a guess."""
    return Account(id=account.id, is_in=is_in)


def write_to(account: Account, /) -> Account:
    """Note that somebody writes to the account: whoever is written to is not logged out, unless that was said."""
    return replace(account, is_in=None) if account.is_guess and account.is_in is False else account


def settle(account: Account, /, *, has_answered: bool) -> Account:
    """Note that the gateway has had its time to repeat; `has_answered` that it has answered behind all of that.

    What it has not repeated is not known any more; of one that does repeat it is known that nobody is logged in.
    """
    if not account.is_old:
        return account
    is_out = has_answered and account.is_repeating
    return replace(account, is_in=False if is_out else None, is_guess=True, is_old=False)


def meet(
    account: Account, kind: int, payload: Mapping[str, object], /, *, now: datetime
) -> tuple[Account, Event | None]:
    """Let an event meet the account; return what is new to tell, None where nothing is.

    The event's `user` is the contact's id.

    Raises:
        ValueError: the payload is not what such an event carries.
    """
    match kind:
        case EventType.LOGIN:
            return _meet_login(account, text_of(payload, "contactId"), now)
        case EventType.LOGOUT:
            given = payload.get("contactId")
            user = whole(given) if isinstance(given, str) and given else account.id
            after = Account(id=user, is_in=False, is_guess=False, is_repeating=account.is_repeating)
            return after, _event(EventKind.LOGOUT, now, user=user)
        case EventType.SCAN:
            return _meet_scan(account, payload, now)
        case _:
            return account, None


def _meet_login(account: Account, user: str, now: datetime) -> tuple[Account, Event | None]:
    is_told = account.is_in is True and account.id == user
    is_repeating = account.is_repeating or account.is_old
    after = Account(id=user, is_in=True, is_guess=False, is_repeating=is_repeating)
    return after, None if is_told else _event(EventKind.LOGIN, now, user=user)


def _meet_scan(account: Account, payload: Mapping[str, object], now: datetime) -> tuple[Account, Event | None]:
    status, qr = payload.get("status"), payload.get("qrcode")
    if not isinstance(status, int) or not isinstance(qr, str | None):
        raise ValueError("it has no status, or a QR that is no text")  # noqa: TRY004  # as above
    kind, qr = _SCANS.get(status), None if qr is None else whole(qr)
    if kind is None:
        return account, None
    after = replace(account, is_in=False, is_guess=False, told=(kind, qr), is_old=False)
    if account.told == after.told:
        return after, None
    shown = Qr(payload=qr, first_seen=now) if kind is EventKind.SCAN and qr else None
    return after, _event(kind, now, qr=shown)


def _event(kind: EventKind, now: datetime, *, qr: Qr | None = None, user: str | None = None) -> Event:
    return Event(kind=kind, line=0, offset=0, at=now, seen_at=now, qr=qr, user=user)
