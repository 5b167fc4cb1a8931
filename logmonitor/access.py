"""The one place where a message becomes a command: an admin's message, heard where admins are, or silence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from logmonitor.records import Message


class Reason(StrEnum):
    """Why a message is a command, or is none."""

    ADMIN = "admin"
    FROM_SELF = "from_self"
    ROOM = "room"
    STRANGER = "stranger"
    EMPTY = "empty"
    SIGNAL = "signal"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who may command.

    `admins` and `rooms` are the chat's stable ids; names and aliases are their owners' to change and authorise nobody.
    Without `admins` nobody commands. In `rooms` an admin is heard as in a direct message, in no other room. `signals`
    are what twins tell each other, as `signal_of` returns it: an admin who says one may be a bot. A message more than
    `max_age` seconds from now is refused: it was meant for another moment.

    Raises:
        ConfigurationError: an id is empty, which a message without a sender would match, or `max_age` is not above 0.
    """

    admins: frozenset[str]
    rooms: frozenset[str] = frozenset()
    signals: frozenset[str] = frozenset()
    max_age: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would let in more than it says."""
        for kind, ids in (("admin", self.admins), ("room", self.rooms)):
            empty = next((id_ for id_ in ids if not id_.strip()), None)
            if empty is not None:
                raise ConfigurationError(f"bad {kind} id {empty!r}; expected a stable id of the chat")
        if not self.max_age > 0:
            raise ConfigurationError(f"bad max_age {self.max_age!r}; expected seconds above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a message may be obeyed, and why.

    STALE is the admin's own message and is answered with a refusal; everything else but ADMIN gets silence.
    """

    allowed: bool
    reason: Reason


def signal_of(text: str) -> str:
    """Return a text as signals are compared: without white space around it, in any case."""
    return text.strip().casefold()


def decide(message: Message, policy: Policy, *, now: datetime) -> Decision:
    """Decide whether `message` is a command; `now` is aware UTC."""
    reason = _reason(message, policy, now)
    return Decision(allowed=reason is Reason.ADMIN, reason=reason)


def _reason(message: Message, policy: Policy, now: datetime) -> Reason:
    """Return the first reason against a message, else that it is an admin's."""
    reasons = (
        (Reason.FROM_SELF, message.from_self),
        (Reason.ROOM, message.room is not None and message.room not in policy.rooms),
        (Reason.STRANGER, message.sender.id not in policy.admins),
        (Reason.EMPTY, not message.text.strip()),
        (Reason.SIGNAL, signal_of(message.text) in policy.signals),
        (Reason.STALE, abs((now - message.sent_at).total_seconds()) > policy.max_age),
    )
    return next((reason for reason, holds in reasons if holds), Reason.ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The ids of the last `limit` commands, oldest first: a chat may deliver a message twice.

    Remember only what `decide` allows, so that strangers cannot push an admin's command out of it.
    """

    limit: int = 1000
    ids: tuple[str, ...] = ()


def remember(seen: Seen, message_id: str, /) -> tuple[Seen, bool]:
    """Note a message's id; tell whether it is new."""
    if message_id in seen.ids:
        return seen, False
    return replace(seen, ids=(*seen.ids, message_id)[-seen.limit :]), True
