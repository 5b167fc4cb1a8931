"""Stamps as logs write them, the clock they make, and the points in time they can be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.reading.clock import (
    DAY,
    LEAP_YEAR,
    Stamp,
    clock_of,
    cycle_of,
    difference,
    first_date,
    parse_stamp,
    point_of,
    seconds_of,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
TIME = "%H:%M:%S"
MONTH = "%m-%d %H:%M:%S"


@pytest.mark.parametrize(
    ("value", "time_format", "moment", "cycle"),
    [
        ("2026-11-20 22:36:02,975", "iso", datetime(2026, 11, 20, 22, 36, 2, 975000), None),  # noqa: DTZ001  # no zone
        ("2026-11-21T06:54:02.121+08:00", None, datetime(2026, 11, 20, 22, 54, 2, 121000, tzinfo=UTC), None),
        (1795216485661, None, datetime(2026, 11, 20, 23, 14, 45, 661000, tzinfo=UTC), None),
        (1795216485.5, None, datetime(2026, 11, 20, 23, 14, 45, 500000, tzinfo=UTC), None),
        ("22:44:35", TIME, datetime(2000, 1, 1, 22, 44, 35), DAY),  # noqa: DTZ001  # no zone
        ("15:51:20.893", "%H:%M:%S.%f", datetime(2000, 1, 1, 15, 51, 20, 893000), DAY),  # noqa: DTZ001  # no zone
        ("22.44", "%H.%M", datetime(2000, 1, 1, 22, 44), DAY),  # noqa: DTZ001  # no zone
        ("02-29 15:59:03", MONTH, datetime(2000, 2, 29, 15, 59, 3), LEAP_YEAR),  # noqa: DTZ001  # no zone
        ("20/11/26 10:00", "%d/%m/%y %H:%M", datetime(2026, 11, 20, 10, 0), None),  # noqa: DTZ001  # no zone
    ],
)
def test_parse_stamp_reads_what_families_write(
    value: object, time_format: str | None, moment: datetime, cycle: float | None
) -> None:
    """A stamp of every family is read, and how much of the date it lacks is known."""
    assert parse_stamp(value, time_format) == Stamp(moment=moment, cycle=cycle)


@pytest.mark.parametrize("value", ["", "25:00:00", "yesterday", None, True, [1], float("nan"), 1e300])
@pytest.mark.parametrize("time_format", [None, "iso", TIME, MONTH])
def test_parse_stamp_of_anything_else_is_none(value: object, time_format: str | None) -> None:
    """What is no time is none, whoever wrote it."""
    assert parse_stamp(value, time_format) is None


@pytest.mark.parametrize(
    "value", ["0001-01-01 00:00:00", "1970-12-31 23:59:59", "2200-01-01 00:00:00", "9999-12-31 23:59:59", -1, 1e10]
)
def test_parse_stamp_takes_no_date_from_another_century(value: object) -> None:
    """A date that no log is of, and that may lie outside the calendar in another zone, is none."""
    assert parse_stamp(value, "iso") is None


def test_cycle_of_a_format_tells_what_it_lacks() -> None:
    """A format without year comes again after a leap year, one without date after a day."""
    assert [cycle_of(text) for text in (None, "iso", "%Y-%m-%d %H", "%y-%m-%d %H", MONTH, TIME)] == [
        *[None] * 4,
        LEAP_YEAR,
        DAY,
    ]


def clocks(*times: str) -> list[float]:
    """Run a clock over times of day."""
    found: list[float] = []
    for text in times:
        stamp = parse_stamp(text, TIME)
        assert stamp is not None
        found.append(clock_of(stamp, found[-1] if found else None, None))
    return found


def test_clock_goes_on_over_midnight_and_steps_back_a_little() -> None:
    """After midnight a clock without date goes on, a long pause goes forwards, and a small step back is one."""
    assert clocks("23:59:59", "00:00:01", "14:00:00", "13:59:00") == [86399, 86401, 136800, 136740]


def test_clock_of_a_full_date_needs_no_predecessor() -> None:
    """A full date is seconds since 1970, in the named zone where it tells none."""
    stamp = parse_stamp("2026-11-20 22:36:02", "iso")
    assert stamp is not None
    assert clock_of(stamp, None, SHANGHAI) == datetime(2026, 11, 20, 14, 36, 2, tzinfo=UTC).timestamp()
    assert clock_of(stamp, None, UTC) - clock_of(stamp, None, SHANGHAI) == 8 * 3600


@given(st.floats(0, DAY, exclude_max=True), st.floats(0, 10 * DAY))
def test_difference_in_a_cycle_goes_forwards_or_little_back(later: float, earlier: float) -> None:
    """A difference in a cycle is never more than a twelfth of it backwards."""
    found = difference(later, earlier, DAY)
    assert -DAY / 12 <= found < DAY
    assert (earlier + found - later) % DAY == pytest.approx(0, abs=1e-3) or (earlier + found - later) % DAY > DAY - 1e-3


def test_difference_of_full_dates_is_plain() -> None:
    """Without a cycle a difference is a subtraction."""
    assert difference(5, 8, None) == -3


def test_seconds_of_orders_stamps_of_one_log() -> None:
    """A later stamp has more seconds, with a date and without."""
    assert [
        seconds_of(late) > seconds_of(early)
        for early, late in (
            (parse_stamp("10:00:00", TIME), parse_stamp("10:00:01", TIME)),
            (parse_stamp("2026-01-01 10:00:00", "iso"), parse_stamp("2026-01-01 10:00:01", "iso")),
        )
        if early and late
    ] == [True, True]


def at(text: str, time_format: str, *, clock: float | None = None, **known: object) -> datetime | None:
    """Return the point in time of a stamp."""
    stamp = parse_stamp(text, time_format)
    assert stamp is not None
    given: dict[str, object] = {"zone": None, "file_date": None, "now": None, **known}
    return point_of(stamp, clock_of(stamp, None, None) if clock is None else clock, **given)  # type: ignore[arg-type]


def test_point_of_a_time_needs_zone_and_date() -> None:
    """A time of day is a point in time only where a zone was named and the file has a date."""
    day = date(2026, 11, 20)
    assert at("22:44:35", TIME) is None
    assert at("22:44:35", TIME, file_date=day) is None
    assert at("22:44:35", TIME, zone=SHANGHAI) is None
    assert at("22:44:35", TIME, zone=SHANGHAI, file_date=day) == datetime(2026, 11, 20, 14, 44, 35, tzinfo=UTC)
    assert at("00:00:01", TIME, zone=UTC, file_date=day, clock=DAY + 1) == datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC)


def test_point_of_a_time_is_never_in_the_future() -> None:
    """Where now is known, a time of day that would be still to come was yesterday."""
    now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert at("23:00:00", TIME, zone=UTC, file_date=now.date(), now=now) == now.replace(hour=23) - timedelta(days=1)
    assert at("10:30:00", TIME, zone=UTC, file_date=now.date(), now=now) == now.replace(minute=30)


def test_point_of_a_time_comes_down_from_any_day() -> None:
    """A clock that has run through a thousand years of forged times comes back to the last possible day at once."""
    now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    ahead = 365_000 * DAY + 43_200
    assert at("12:00:00", TIME, zone=UTC, file_date=now.date(), now=now, clock=ahead) == now.replace(
        hour=12
    ) - timedelta(days=1)


def test_first_date_of_a_clock_beyond_the_calendar_is_none() -> None:
    """A log whose forged stamps go through more years than there were did not begin at any date."""
    written = datetime(2026, 11, 20, tzinfo=UTC)
    assert first_date(3000 * LEAP_YEAR, cycle=LEAP_YEAR, last_written=written) is None
    assert first_date(1e6 * DAY, cycle=DAY, last_written=written) is None


def test_point_of_a_day_takes_the_files_year() -> None:
    """A stamp without year takes the file's; a day which that year does not have is none."""
    day = date(2026, 1, 1)
    assert at("09-08 15:59:03", MONTH, zone=UTC, file_date=day) == datetime(2026, 9, 8, 15, 59, 3, tzinfo=UTC)
    assert at("02-29 15:59:03", MONTH, zone=UTC, file_date=day) is None


def test_point_of_a_full_date_is_known_at_once() -> None:
    """A full date with zone is a point in time whatever is named; without one it is local time."""
    assert at("2026-11-21T06:54:02+08:00", "iso") == datetime(2026, 11, 20, 22, 54, 2, tzinfo=UTC)
    local = datetime(2026, 11, 21, 6, 54, 2).astimezone(UTC)  # local time is what is meant
    assert at("2026-11-21 06:54:02", "iso") == local


@pytest.mark.parametrize(
    ("clock", "cycle", "written", "expected"),
    [
        (79_200.0, DAY, "2026-11-20 23:00", "2026-11-20"),
        (79_200.0, DAY, "2026-11-21 06:00", "2026-11-20"),
        (79_200.0 + 2 * DAY, DAY, "2026-11-20 22:00", "2026-11-18"),
        (84_600.0, DAY, "2026-11-20 23:10", "2026-11-20"),
        (300 * DAY, LEAP_YEAR, "2026-11-20 23:00", "2026-01-01"),
        (300 * DAY, LEAP_YEAR, "2026-02-20 23:00", "2025-01-01"),
        (LEAP_YEAR + 10 * DAY, LEAP_YEAR, "2026-02-20 23:00", "2025-01-01"),
    ],
)
def test_first_date_counts_back_from_the_last_write(clock: float, cycle: float, written: str, expected: str) -> None:
    """The date of a log's first line is that of its last, less the days or years that its clock tells of."""
    last_written = datetime.fromisoformat(written).replace(tzinfo=SHANGHAI)
    assert first_date(clock, cycle=cycle, last_written=last_written) == date.fromisoformat(expected)
