"""How often a bot was lost, in one row."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from logmonitor.records import SessionState
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from logmonitor.storage.progress import SessionChange

SHOWN: Final = timedelta(days=30)
"""How far back is told of."""

_LOST: Final = frozenset({SessionState.LOGGED_OUT, SessionState.AWAITING_SCAN, SessionState.SCANNED})


def history_row(changes: Iterable[SessionChange], *, now: datetime, translate: Callable[[str], str]) -> str | None:
    """Return how often a bot was lost within a month, and when last; None if it was not, or that is not known."""
    lost: dict[int, datetime] = {}
    for change in changes:
        if change.state in _LOST and now - SHOWN <= change.at <= now:
            lost.setdefault(change.loss, change.at)
    if not lost:
        return None
    ago = duration_text((now - max(lost.values())).total_seconds(), translate)
    if len(lost) == 1:
        return translate("lost once in 30 days, {duration} ago").format(duration=ago)
    return translate("lost {count} times in 30 days, last {duration} ago").format(count=len(lost), duration=ago)
