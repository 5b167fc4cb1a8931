"""A message on its way, and what takes one back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from logmonitor.records import Content, MessageKey, Priority


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
