"""What is said in front of a message that goes out long after it was written: when that was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logmonitor.records import Attachment, Link

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from logmonitor.records import Content

LATE_SECONDS: Final = 60.0
"""A message that is older when it goes tells how old it is."""


def stamp_of(written_at: datetime, /, *, age: float, now: datetime, zone: tzinfo | None) -> str:
    """Return when a message of `age` seconds was written, with the date unless that is today; "" for a recent one.

    It is in digits, which read the same in every language; without a `zone` those of the machine's.
    """
    if age <= LATE_SECONDS:
        return ""
    written, today = written_at.astimezone(zone), now.astimezone(zone).date()
    return f"[{written:%H:%M}]" if written.date() == today else f"[{written:%Y-%m-%d %H:%M}]"


def stamped(content: Content, stamp: str, /) -> Content:
    """Return a message that begins with `stamp`: its text, its caption, or the title of a link."""
    if not stamp:
        return content
    match content:
        case Attachment():
            return replace(content, caption=_behind(stamp, content.caption))
        case Link():
            return replace(content, title=_behind(stamp, content.title))
        case _:
            return _behind(stamp, content)


def _behind(stamp: str, text: str) -> str:
    return f"{stamp} {text}" if text else stamp
