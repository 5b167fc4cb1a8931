"""From a log's last line back to a point in time, by what its lines tell of theirs.

A log may hold lines out of order, and a message in it may look like older ones: it takes several older lines in a row
to end the search. Lines that tell the time of day alone are dated from the last, which was written when the file was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from logmonitor.profile import Framing, JsonFraming, Profile
from logmonitor.reading.clock import DAY, Stamp, clock_of, difference, seconds_of
from logmonitor.reading.recognition import compile_profile, plain, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from logmonitor.log_slice import LogClock

_OLDER_DATED: Final = 64
_OLDER_OF_A_DAY: Final = 8  # few, as in a log of a few lines a day the next ones may be of the same time the day before
_AHEAD: Final = timedelta(days=1)
_SAME_ZONE_SECONDS: Final = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How far a log was gone back through, in seconds since 1970.

    `since` is what is looked for, `written_at` when the log was last written to. `known` is the last line that was not
    older, of those with a time of day alone: its seconds in that day, and its point in time. `older` counts the older
    lines in a row. `is_timed` says that a line told its time.
    """

    since: float
    written_at: float
    zone: tzinfo | None = None
    known: tuple[float, float] | None = None
    older: int = 0
    is_timed: bool = False

    @property
    def is_over(self) -> bool:
        """Whether so many lines were older that all before them are."""
        return self.older >= (_OLDER_DATED if self.known is None else _OLDER_OF_A_DAY)


def reader_of(clock: LogClock) -> Callable[[bytes], Stamp | None]:
    """Return what reads the stamp of a line, None where it has none, as one that continues a record."""
    framing = Framing(
        prefix=clock.prefix,
        time_format=clock.time_format,
        json=None if clock.json_time is None else JsonFraming(message="", time=clock.json_time),
    )
    profile = compile_profile(Profile(name="clock", title="", framing=framing, events=()))
    return lambda raw: stamp_of(plain(raw, framing), profile)


def meet(search: Search, stamp: Stamp) -> tuple[Search, bool]:
    """Take the stamp of the line before those met so far; tell whether that line is not older than what is sought."""
    if stamp.cycle == DAY:
        return _meet_time_of_day(search, seconds_of(stamp))
    at = _point(search, stamp)
    if at is None:
        return search, False
    is_wanted = at >= search.since
    return replace(search, is_timed=True, older=0 if is_wanted else search.older + 1), is_wanted


def _meet_time_of_day(search: Search, seconds: float) -> tuple[Search, bool]:
    if search.known is not None:
        at = search.known[1] - difference(search.known[0], seconds, DAY)
    else:
        at = _point_of_last(search, seconds)
    is_wanted = at >= search.since
    known = (seconds, at) if is_wanted or search.known is None else search.known
    return replace(search, is_timed=True, known=known, older=0 if is_wanted else search.older + 1), is_wanted


def _point_of_last(search: Search, seconds: float) -> float:
    """Date the last line: by its own time if that is shortly before the last writing, and its zone not another."""
    written = datetime.fromtimestamp(search.written_at, UTC).astimezone(search.zone)
    within_day = seconds_of(Stamp(moment=written.replace(year=2000, month=1, day=1), cycle=DAY))
    before = difference(within_day, seconds, DAY)
    return search.written_at - (before if 0 <= before < _SAME_ZONE_SECONDS else 0.0)


def _point(search: Search, stamp: Stamp) -> float | None:
    """Return a dated stamp as a point in time; one without a year is in the last in which it is not to come."""
    if stamp.cycle is None:
        return clock_of(stamp, None, search.zone)
    latest = datetime.fromtimestamp(search.written_at, UTC) + _AHEAD
    for year in (latest.year, latest.year - 1):
        try:
            dated = Stamp(moment=stamp.moment.replace(year=year))
        except ValueError:  # the 29th of February
            continue
        at = clock_of(dated, None, search.zone)
        if at <= latest.timestamp():
            return at
    return None
