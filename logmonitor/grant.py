"""Grants: who, besides the admins, may run what, where and until when; and who may not, which always wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import re2

from logmonitor.display import whole
from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

DIRECT: Final = "direct"
"""The place of a grant that holds in direct messages only."""

EVERYWHERE: Final = "*"
"""The place of a grant that holds in direct messages and in every room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One permission, or with `is_denial` one prohibition.

    `user` is a stable id of the chat, `operation` and `command` are names, `room` is a room's id, `direct`, or `*`; in
    all four `*` stands for any text and `?` for one character. `until` is aware UTC and the first moment at which the
    grant holds no more, None if it holds for ever. `by` is who gave it, `at` (aware UTC) when; `id` is the store's.
    """

    id: int = 0
    user: str
    operation: str = "*"
    command: str = "*"
    room: str = DIRECT
    until: datetime | None = None
    is_denial: bool = False
    by: str = ""
    at: datetime

    def __post_init__(self) -> None:
        """Refuse what could never hold, or for ever by mistake."""
        for name, value in (
            ("user", self.user),
            ("operation", self.operation),
            ("command", self.command),
            ("room", self.room),
        ):
            if not value.strip() or whole(value) != value:
                raise ConfigurationError(f"bad {name} {value!r} of a grant; expected a whole text that is not empty")
        for name, moment in (("until", self.until), ("at", self.at)):
            if moment is not None and moment.utcoffset() is None:
                raise ConfigurationError(f"bad {name} {moment.isoformat()!r} of a grant; expected a time with its zone")


def holds(grant: Grant, *, user: str, operation: str, command: str, room: str | None, now: datetime) -> bool:
    """Tell whether `grant` speaks of this user, command and place, now; `room` is None for a direct message."""
    return (
        (grant.until is None or now < grant.until)
        and fits(grant.user, user)
        and fits(grant.operation, operation)
        and fits(grant.command, command)
        and (grant.room in (DIRECT, EVERYWHERE) if room is None else grant.room != DIRECT and fits(grant.room, room))
    )


def find_grant(
    grants: Iterable[Grant], *, user: str, operation: str, command: str, room: str | None, now: datetime
) -> Grant | None:
    """Return the grant that decides: a denial before a permission, then the oldest; None if none speaks of this."""
    holding = [
        grant for grant in grants if holds(grant, user=user, operation=operation, command=command, room=room, now=now)
    ]
    return min(holding, key=lambda grant: (not grant.is_denial, grant.id), default=None)


def fits(pattern: str, text: str) -> bool:
    """Tell whether `text` is what `pattern` means: exactly, but for `*`, any text, and `?`, one character."""
    if not text.strip():
        return False
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    expression = re2.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re2.fullmatch(f"(?s){expression}", whole(text)) is not None
