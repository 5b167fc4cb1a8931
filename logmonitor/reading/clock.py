"""A log's own clock: stamps as a family writes them, as seconds that grow, and as points in time where they can be.

Many logs write no date, some no year. Such a stamp comes again after a cycle; it is read as the next one that is not
far before the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import tzinfo

DAY: Final = 86_400.0
LEAP_YEAR: Final = 366 * DAY
TOLERANCE: Final = timedelta(minutes=1)
"""How far a log's clock may be ahead of ours without being from the future."""

_ISO_TIMES: Final = frozenset({"%H:%M:%S", "%H:%M:%S.%f"})
_A_DAY: Final = date(2000, 1, 1)
_BACKWARDS: Final = 1 / 12
_MILLISECONDS_FROM: Final = 1e11
_FULL_YEARS: Final = range(1971, 2200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time as a log tells it.

    `moment` is aware where the log says its zone. `cycle` is in seconds, None for a full date; the date of a moment is
    then 1900-01-01, or in the year 2000.
    """

    moment: datetime
    cycle: float | None = None


def parse_stamp(value: object, time_format: str | None) -> Stamp | None:
    """Read a stamp: a number of seconds or milliseconds since 1970, or a text in `time_format`, ISO without one.

    A full date of another century than a log's is none: in some time zone it would lie outside the calendar.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        stamp = _read(value, time_format)
    except (ValueError, OverflowError, OSError):
        return None
    return stamp if stamp.cycle is not None or stamp.moment.year in _FULL_YEARS else None


def cycle_of(time_format: str | None) -> float | None:
    """Return after how many seconds a stamp in `time_format` comes again; None if it tells the full date."""
    if time_format in {None, "iso"} or "%Y" in str(time_format) or "%y" in str(time_format):
        return None
    return LEAP_YEAR if "%d" in str(time_format) else DAY


def first_date(clock: float, *, cycle: float, last_written: datetime) -> date | None:
    """Return the date at which a log without dates began, whose clock came to `clock` when it was `last_written`.

    None where its stamps go through more days or years than the calendar has.
    """
    try:
        return _first_date(clock, cycle=cycle, last_written=last_written)
    except (ValueError, OverflowError):
        return None


def _first_date(clock: float, *, cycle: float, last_written: datetime) -> date:
    cycles = int(clock // cycle)
    within = datetime(2000, 1, 1) + timedelta(seconds=clock % cycle)  # noqa: DTZ001  # its own calendar
    latest = (last_written + timedelta(hours=1)).replace(tzinfo=None)
    if cycle == DAY:
        is_before = within.time() > latest.time() and latest.date() == last_written.date()
        return last_written.date() - timedelta(days=cycles + is_before)
    is_before = (within.month, within.day, within.time()) > (latest.month, latest.day, latest.time())
    return date(last_written.year - cycles - is_before, 1, 1)


def clock_of(stamp: Stamp, last: float | None, zone: tzinfo | None) -> float:
    """Return a stamp as seconds on the log's own clock, `last` being what it stood at before."""
    if stamp.cycle is None:
        return _instant(stamp.moment, zone).timestamp()
    seconds = _within_cycle(stamp)
    return seconds if last is None else last + difference(seconds, last, stamp.cycle)


def difference(later: float, earlier: float, cycle: float | None) -> float:
    """Return how many seconds lie from `earlier` to `later`; in a cycle, little backwards or else forwards."""
    if cycle is None:
        return later - earlier
    forwards = (later - earlier) % cycle
    return forwards - cycle if forwards >= cycle * (1 - _BACKWARDS) else forwards


def seconds_of(stamp: Stamp) -> float:
    """Return a stamp as seconds that can be compared with those of the same log's others, by `difference`."""
    return _within_cycle(stamp) if stamp.cycle else _instant(stamp.moment, None).timestamp()


def point_of(
    stamp: Stamp, clock: float, *, zone: tzinfo | None, file_date: date | None, now: datetime | None
) -> datetime | None:
    """Return a stamp as a point in time, aware UTC; None where the log does not tell enough.

    A date without zone is local time, or that of the named `zone`. What has no date takes it from `file_date`, the date
    at which the log's clock began, only if a `zone` was named, and never a future one if `now` is known.
    """
    if stamp.cycle is None:
        return _instant(stamp.moment, zone)
    if zone is None or file_date is None:
        return None
    cycles = int(clock // stamp.cycle)
    point = _dated(stamp, file_date, cycles, zone)
    while point is not None and now is not None and point > now + timedelta(hours=1):
        cycles -= max(1, int((point - now).total_seconds() // stamp.cycle))
        point = _dated(stamp, file_date, cycles, zone)
    return point


def _read(value: str | float, time_format: str | None) -> Stamp:
    if not isinstance(value, str):
        return Stamp(moment=datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS_FROM else value, UTC))
    if time_format in {None, "iso"}:
        return Stamp(moment=datetime.fromisoformat(value))
    return _parsed(value, str(time_format))


def _parsed(text: str, time_format: str) -> Stamp:
    """Read a text by `strptime`; a format without year is read in a leap year, so that it has all days."""
    if time_format in _ISO_TIMES:
        return Stamp(moment=datetime.combine(_A_DAY, time.fromisoformat(text)), cycle=DAY)
    cycle = cycle_of(time_format)
    if cycle is None:
        return Stamp(moment=datetime.strptime(text, time_format))  # noqa: DTZ007  # the zone is the caller's to say
    moment = datetime.strptime(f"2000 {text}", f"%Y {time_format}")  # noqa: DTZ007  # the same
    return Stamp(moment=moment, cycle=cycle)


def _within_cycle(stamp: Stamp) -> float:
    return (stamp.moment.replace(tzinfo=None) - datetime(2000, 1, 1)).total_seconds()  # noqa: DTZ001  # its own calendar


def _instant(moment: datetime, zone: tzinfo | None) -> datetime:
    return (moment if moment.tzinfo or zone is None else moment.replace(tzinfo=zone)).astimezone(UTC)


def _dated(stamp: Stamp, file_date: date, cycles: int, zone: tzinfo) -> datetime | None:
    """Put the date into a stamp that lacks it; None for one that the calendar does not have."""
    try:
        if stamp.cycle == DAY:
            moment = datetime.combine(file_date + timedelta(days=cycles), stamp.moment.time())
        else:
            moment = stamp.moment.replace(year=file_date.year + cycles)
        return _instant(moment, zone)
    except (ValueError, OverflowError):
        return None
