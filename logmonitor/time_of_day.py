"""Times of day in a zone: shown to people, and hours that come every day, such as those of a night."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from logmonitor.errors import OperationError

if TYPE_CHECKING:
    from datetime import date, tzinfo

_HOURS: Final = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyHours:
    """From `start` to `end`, every day; over midnight where the end is the earlier one. The end does not belong."""

    start: time
    end: time

    def __post_init__(self) -> None:
        """Refuse what never begins."""
        if self.start == self.end:
            raise OperationError(f"bad hours from {self.start:%H:%M} to {self.end:%H:%M}; expected an end that differs")


def parse_hours(text: str) -> DailyHours:
    """Read hours such as `22:00-07:00`.

    Raises:
        OperationError: they are written like none, or never begin.
    """
    found = _HOURS.fullmatch(text)
    try:
        start, end = (time(int(found[hour]), int(found[hour + 1])) for hour in (1, 3)) if found else (None, None)
    except ValueError:
        start = end = None
    if start is None or end is None:
        raise OperationError(f"bad hours {text!r}; expected a start and an end, such as 22:00-07:00")
    return DailyHours(start=start, end=end)


def end_of_hours(hours: DailyHours, now: datetime, zone: tzinfo | None) -> datetime | None:
    """Return when the hours end in which `now` lies, aware UTC; None if it lies in none.

    Hours are those of the clocks in `zone`, None for the machine's: a night in which the clocks are changed is longer
    or shorter.
    """
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        start = _moment(day, hours.start, zone)
        end = _moment(day if hours.start < hours.end else day + timedelta(days=1), hours.end, zone)
        if start <= now < end:
            return end
    return None


def time_text(at: datetime, *, now: datetime, zone: tzinfo | None) -> str:
    """Return the time of day of `at` in `zone`, None for the machine's; with its date unless that is today."""
    local = at.astimezone(zone)
    is_today = local.date() == now.astimezone(zone).date()
    return local.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")


def _moment(day: date, at: time, zone: tzinfo | None) -> datetime:
    """Return when the clocks in `zone` show a time, the first time they do; aware UTC."""
    return datetime.combine(day, at).replace(tzinfo=zone).astimezone(UTC)
