"""Records as the runtime makes them, for handlers that are called directly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.records import Event, Line, LogBatch, Message, Sender
from logmonitor.testing.clock import START

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.records import EventKind

ADMIN: Final = Sender(id="admin-id", alias="admin", name="Admin", weixin="AdminWeixin")


def batch(*texts: str, watch: str = "bob", path: Path) -> LogBatch:
    """Make the batch that `on_batch` gets when these lines are written to an empty log."""
    lines: list[Line] = []
    offset = 0
    for number, text in enumerate(texts, start=1):
        raw = text.encode()
        lines.append(Line(raw=raw, offset=offset, number=number))
        offset += len(raw) + 1
    return LogBatch(watch=watch, path=path, lines=tuple(lines), start_offset=0, end_offset=offset)


def event(kind: EventKind, **fields: object) -> Event:
    """Make an event as a log's first line would, at noon of 20 November 2026."""
    values: dict[str, object] = {"line": 1, "offset": 0, "at": START, "seen_at": START} | fields
    return Event(kind=kind, **values)  # type: ignore[arg-type]  # the names are checked by Event itself


def message(text: str, *, sender: Sender = ADMIN, room: str | None = None, identifier: str = "in-1") -> Message:
    """Make a message as it reaches `on_message`; a direct one from the admin unless told otherwise."""
    return Message(id=identifier, sender=sender, conversation=room or sender.id, text=text, sent_at=START, room=room)
