"""The one place where it is decided whether a message is heard, and what its sender may run. Fails closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from logmonitor.errors import ConfigurationError
from logmonitor.grant import find_grant
from logmonitor.operation import Right

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from logmonitor.grant import Grant
    from logmonitor.operation import Command
    from logmonitor.records import Message


LONGEST_TEXT: Final = 20_000
"""How many characters a command may have; nobody types more, and a stranger's message is not worth reading so far."""


class Reason(StrEnum):
    """Why a message is heard or not, or a command may run or not."""

    HEARD = "heard"
    FROM_SELF = "from_self"
    EMPTY = "empty"
    SIGNAL = "signal"
    TOO_LONG = "too_long"
    STALE = "stale"
    ADMIN = "admin"
    GRANTED = "granted"
    PUBLIC = "public"
    DENIED = "denied"
    ROOM = "room"
    STRANGER = "stranger"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What no message may be, whoever sent it.

    `signals` are what twins tell each other, as `signal_of` returns it: an admin who says one may be a bot. A message
    more than `max_age` seconds from now is refused: it was meant for another moment.

    Raises:
        ConfigurationError: `max_age` is not above 0.
    """

    signals: frozenset[str] = frozenset()
    max_age: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would let in everything, or nothing."""
        if not self.max_age > 0:
            raise ConfigurationError(f"bad max_age {self.max_age!r}; expected seconds above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Who may run what.

    `admins` and `rooms` are the chat's stable ids; names and aliases are their owners' to change and authorise nobody.
    `operation_admins` holds the ids of an operation's own admins by its name; they command that operation, as `admins`
    do all. In `rooms` they are heard as in a direct message, in no other room; a grant says by itself where it holds.

    Raises:
        ConfigurationError: an id is empty, which a message without a sender would match.
    """

    admins: frozenset[str]
    operation_admins: Mapping[str, frozenset[str]]
    grants: tuple[Grant, ...] = ()
    rooms: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what would let in more than it says."""
        ids = {"admin": self.admins.union(*self.operation_admins.values()), "room": self.rooms}
        for kind, known in ids.items():
            empty = next((id_ for id_ in known if not id_.strip()), None)
            if empty is not None:
                raise ConfigurationError(f"bad {kind} id {empty!r}; expected a stable id of the chat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether something is allowed, and why; `grant` is the one that decided, if one did."""

    allowed: bool
    reason: Reason
    grant: Grant | None = None


def signal_of(text: str) -> str:
    """Return a text as signals are compared: without white space around it, in any case."""
    return text.strip().casefold()


def hear(message: Message, policy: Policy, *, now: datetime) -> Decision:
    """Decide whether `message` may be a command at all; `now` is aware UTC.

    STALE is told to whom something would have been permitted; everything else that is not heard gets silence.
    """
    reasons = (
        (Reason.FROM_SELF, message.from_self),
        (Reason.TOO_LONG, len(message.text) > LONGEST_TEXT),
        (Reason.EMPTY, not message.text.strip()),
        (Reason.SIGNAL, signal_of(message.text) in policy.signals),
        (Reason.STALE, abs((now - message.sent_at).total_seconds()) > policy.max_age),
    )
    reason = next((reason for reason, holds in reasons if holds), Reason.HEARD)
    return Decision(allowed=reason is Reason.HEARD, reason=reason)


def authorise(
    rights: Rights, *, user: str, room: str | None, operation: str, command: Command, now: datetime
) -> Decision:
    """Decide whether the one whose stable id is `user` may run a command of `operation`.

    `room` is None for a direct message. A denial wins over everything. Asked when a command comes in, and once more
    when it is about to run.
    """
    if not user.strip():
        return Decision(allowed=False, reason=Reason.STRANGER)
    grant = find_grant(rights.grants, user=user, operation=operation, command=command.name, room=room, now=now)
    if grant is not None and grant.is_denial:
        return Decision(allowed=False, reason=Reason.DENIED, grant=grant)
    is_admin = user in rights.admins or user in rights.operation_admins.get(operation, frozenset())
    is_heard = room is None or room in rights.rooms
    if is_admin and is_heard:
        return Decision(allowed=True, reason=Reason.ADMIN)
    if grant is not None and command.right is Right.GRANT:
        return Decision(allowed=True, reason=Reason.GRANTED, grant=grant)
    if command.right is Right.ANYONE and is_heard:
        return Decision(allowed=True, reason=Reason.PUBLIC)
    return Decision(allowed=False, reason=Reason.ROOM if is_admin else Reason.STRANGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The ids of the last `limit` commands, oldest first: a chat may deliver a message twice.

    Remember only what somebody entitled has sent, so that strangers cannot push an admin's command out of it.
    """

    limit: int = 1000
    ids: tuple[str, ...] = ()


def remember(seen: Seen, message_id: str, /) -> tuple[Seen, bool]:
    """Note a message's id; tell whether it is new."""
    if message_id in seen.ids:
        return seen, False
    return replace(seen, ids=(*seen.ids, message_id)[-seen.limit :]), True
