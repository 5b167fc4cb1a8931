"""A message on its way, and what takes one back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from logmonitor.errors import OperationError
from logmonitor.records import Priority

if TYPE_CHECKING:
    from datetime import datetime

    from logmonitor.records import Content, MessageKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message to one recipient, as the outbox keeps it.

    `written_at` is aware UTC and `put_at` the same moment in seconds of a clock that never steps. `parts` are what is
    left of it to send, None until it is cut for the chat; `parts_sent` counts what the chat has taken of it, behind a
    `stamp` that tells a late one's time. `attempts` counts those that failed.
    """

    id: int
    to: str
    content: Content
    priority: Priority
    slot: str | None = None
    key: MessageKey | None = None
    expires_at: datetime | None = None
    written_at: datetime
    put_at: float
    parts: tuple[Content, ...] | None = None
    parts_sent: int = 0
    stamp: str = ""
    attempts: int = 0

    def __post_init__(self) -> None:
        """Refuse what could be neither kept nor sent: it would hold up all other messages.

        Raises:
            OperationError: it has no such recipient, priority or end.
        """
        if str(self.to) != self.to:
            raise OperationError(f"a message is for {self.to!r}; expected a name or an id")
        if self.priority not in set(Priority):
            raise OperationError(f"a message has the priority {self.priority!r}; expected one of {[*Priority]}")
        if self.expires_at is not None and self.expires_at.utcoffset() is None:
            raise OperationError(f"a message expires at {self.expires_at!r}; expected a time with its zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """The taking back of all that was sent in a slot, whoever it is for."""

    slot: str


Step = Letter | Withdrawal
"""What a handler decided that the outbox is to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A letter in the store as it is shown: `reason` is why it did not go so far, or at all from `failed_at` on.

    Both times are aware UTC. Nothing of what is in it is shown.
    """

    id: int
    to: str
    priority: Priority
    written_at: datetime
    expires_at: datetime | None
    attempts: int
    reason: str
    failed_at: datetime | None
