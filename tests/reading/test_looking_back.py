"""From a log's last line back to a time: by dates, by times of day alone, and past lines that lie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from logmonitor.log_slice import LogClock
from logmonitor.reading.looking_back import Search, meet, reader_of

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TIME_OF_DAY = LogClock(prefix=r"(?P<time>\d{2}:\d{2}:\d{2}) ", time_format="%H:%M:%S")
YEARLESS = LogClock(prefix=r"(?P<time>\d{2}-\d{2} \d{2}:\d{2}:\d{2}) ", time_format="%m-%d %H:%M:%S")
DATED = LogClock(prefix=r"(?:\[?(?P<time>\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2})\]? )?", time_format="iso")


def wanted(
    clock: LogClock, *lines: str, since: timedelta, written_at: datetime = NOON, zone: timezone = UTC
) -> list[str]:
    """Return the lines, given from the first to the last, that are found to be no older than `since` before writing."""
    read = reader_of(clock)
    search = Search(since=(written_at - since).timestamp(), written_at=written_at.timestamp(), zone=zone)
    found: list[str] = []
    for line in reversed(lines):
        stamp = read(line.encode())
        if stamp is None or search.is_over:
            continue
        search, is_wanted = meet(search, stamp)
        if is_wanted:
            found.insert(0, line)
    return found


@pytest.mark.parametrize(
    ("line", "is_stamped"),
    [
        (b"\x1b[32m[2026-11-20 11:00:00] \x1b[0mcoloured", True),
        (b"\xef\xbb\xbf2026-11-20T11:00:00 behind a mark", True),
        (b"\0\0\x002026-11-20T11:00:00 behind a hole\r", True),
        (b"no time", False),
        (b"2026-13-20 11:00:00 no such month", False),
        (b"\xff\xfe", False),
        (b"", False),
    ],
)
def test_reader_reads_the_time_as_the_follower_does(line: bytes, *, is_stamped: bool) -> None:
    """Colours and what may stand before a file's first line are passed over."""
    assert (reader_of(DATED)(line) is not None) == is_stamped


def test_search_ends_only_behind_several_older_lines() -> None:
    """A message that looks like older lines hides none of those before it, dated or not."""
    minute = timedelta(minutes=1)
    forged = [f"00:00:0{number} forged" for number in range(4)]
    lines = ["11:50:00 old", "11:59:10 a", *forged, "11:59:20 b"]
    assert wanted(TIME_OF_DAY, *lines, since=minute) == ["11:59:10 a", "11:59:20 b"]
    forged = [f"2001-01-01 00:00:{number} forged" for number in range(10, 60)]
    lines = ["2026-11-20 11:59:10 a", *forged, "2026-11-20 11:59:20 b"]
    assert wanted(DATED, *lines, since=minute) == ["2026-11-20 11:59:10 a", "2026-11-20 11:59:20 b"]


def test_search_ends_behind_a_night_of_the_log() -> None:
    """Lines of the same time on the day before are not taken for today's once enough lines lie between."""
    night = [f"0{hour}:00:00 night" for hour in range(8)]
    lines = ["11:59:30 yesterday", *night, "11:59:40 today"]
    assert wanted(TIME_OF_DAY, *lines, since=timedelta(minutes=1)) == ["11:59:40 today"]


@pytest.mark.parametrize(
    ("last", "since", "is_wanted"),
    [
        ("11:45:00", timedelta(minutes=10), False),  # by its own time, which can be trusted so near
        ("11:45:00", timedelta(minutes=15), True),
        ("19:59:59", timedelta(minutes=1), True),  # a log in another zone: by when the file was written
        ("03:30:00", timedelta(minutes=1), True),
    ],
)
def test_last_line_of_a_day_is_dated_by_when_the_log_was_written(
    last: str, since: timedelta, *, is_wanted: bool
) -> None:
    """A time of day that cannot be in the zone that is known says nothing of when its line was written."""
    assert bool(wanted(TIME_OF_DAY, f"{last} x", since=since)) == is_wanted


def test_times_of_day_go_on_over_midnight_and_little_backwards() -> None:
    """The day before is gone into, and lines of two writers need not be in order."""
    at = datetime(2026, 11, 20, 0, 1, tzinfo=UTC)
    lines = ["23:57:00 old", "23:58:30 a", "23:59:30 b", "23:59:29 c", "00:00:30 d"]
    assert wanted(TIME_OF_DAY, *lines, since=timedelta(minutes=3), written_at=at) == lines[1:]


@pytest.mark.parametrize(
    ("written_at", "line", "since", "is_wanted"),
    [
        (NOON, "11-20 11:55:00 x", timedelta(minutes=10), True),
        (NOON, "11-20 11:45:00 x", timedelta(minutes=10), False),
        (NOON, "11-21 08:00:00 x", timedelta(minutes=10), True),  # a clock that is ahead, or another zone
        (datetime(2027, 1, 1, 0, 5, tzinfo=UTC), "12-31 23:58:00 x", timedelta(minutes=10), True),
        (datetime(2027, 1, 1, 0, 5, tzinfo=UTC), "12-31 23:50:00 x", timedelta(minutes=10), False),
        (datetime(2027, 3, 1, 0, 5, tzinfo=UTC), "02-28 23:58:00 x", timedelta(minutes=10), True),
        (datetime(2028, 3, 1, 0, 5, tzinfo=UTC), "02-29 23:58:00 x", timedelta(minutes=10), True),
        (datetime(2029, 3, 1, 0, 5, tzinfo=UTC), "02-29 00:01:00 x", timedelta(days=400), True),
        (datetime(2027, 3, 1, 0, 5, tzinfo=UTC), "02-29 23:58:00 x", timedelta(days=9999), False),
    ],
)
def test_a_date_without_a_year_is_of_the_last_that_fits(
    written_at: datetime, line: str, since: timedelta, *, is_wanted: bool
) -> None:
    """The year is the one in which the line is not to come yet; in years without such a day there is none."""
    assert bool(wanted(YEARLESS, line, since=since, written_at=written_at)) == is_wanted


def test_dates_are_read_in_the_zone() -> None:
    """What names no zone is meant in the log's."""
    zone = timezone(timedelta(hours=8))
    assert wanted(DATED, "2026-11-20 19:59:30 x", since=timedelta(minutes=1), zone=zone)
    assert not wanted(DATED, "2026-11-20 11:59:30 x", since=timedelta(minutes=1), zone=zone)
