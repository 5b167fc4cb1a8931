"""The contract between the outbox and whoever decides which of several rescuers sends a message."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from logmonitor.records import MessageKey


class Verdict(Enum):
    """What becomes of a message now."""

    SEND = "send"
    WAIT = "wait"
    DROP = "drop"


class Gate(Protocol):
    """Who is asked, before each attempt, about every message that has a key; nobody is asked about the others."""

    def verdict(self, to: str, key: MessageKey, /) -> Verdict:
        """Tell what becomes of a message to that recipient now: ours to send, another's for now, or delivered."""

    def note_delivered(self, to: str, key: MessageKey, /) -> None:
        """Take note that the recipient has it."""

    async def wait_for_change(self) -> None:
        """Return when a verdict may be another one than before."""
