"""Times of day, and hours that come every day."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor import OperationError
from logmonitor.time_of_day import DailyHours, end_of_hours, parse_hours, time_text

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")
NIGHT = DailyHours(start=time(22), end=time(7))


def test_hours_are_read() -> None:
    """Hours are written as start and end, blanks around them do not matter."""
    assert parse_hours("22:00-07:00") == NIGHT
    assert parse_hours(" 9:30 - 17:05 ") == DailyHours(start=time(9, 30), end=time(17, 5))


@pytest.mark.parametrize(
    "text", ["", "22:00", "22-07", "24:00-07:00", "22:60-07:00", "22:00-07:00-08:00", "٢٢:00-07:00"]
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    """What is no start and end is refused with what is expected."""
    with pytest.raises(OperationError, match="expected a start and an end, such as 22:00-07:00"):
        parse_hours(text)


def test_hours_without_length_are_refused() -> None:
    """Hours that end as they begin would be none or all of the day."""
    with pytest.raises(OperationError, match="bad hours from 07:00 to 07:00; expected an end that differs"):
        parse_hours("07:00-07:00")


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-11-20 21:59:59", None),
        ("2026-11-20 22:00:00", "2026-11-21 07:00:00"),
        ("2026-11-21 00:00:00", "2026-11-21 07:00:00"),
        ("2026-11-21 06:59:59", "2026-11-21 07:00:00"),
        ("2026-11-21 07:00:00", None),
    ],
)
def test_hours_go_over_midnight(at: str, end: str | None) -> None:
    """Hours whose end is the earlier one last into the next day; their end does not belong to them."""
    now = datetime.fromisoformat(at).replace(tzinfo=SHANGHAI)
    expected = None if end is None else datetime.fromisoformat(end).replace(tzinfo=SHANGHAI)
    assert end_of_hours(NIGHT, now, SHANGHAI) == expected


def test_hours_within_a_day_end_on_it() -> None:
    """Hours whose end is the later one begin and end on the same day."""
    lunch = DailyHours(start=time(12), end=time(13))
    now = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    assert end_of_hours(lunch, now, UTC) == datetime(2026, 11, 20, 13, tzinfo=UTC)
    assert end_of_hours(lunch, now + timedelta(minutes=30), UTC) is None


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 28), 8), ((2026, 6, 1), 9), ((2026, 10, 24), 10)])
def test_hours_follow_the_clocks(day: tuple[int, int, int], hours: int) -> None:
    """A night in which the clocks are changed is an hour shorter or longer."""
    begin = datetime(*day, 22, tzinfo=BERLIN).astimezone(UTC)
    end = end_of_hours(NIGHT, begin, BERLIN)
    assert end is not None
    assert end - begin == timedelta(hours=hours)
    assert end_of_hours(NIGHT, begin - timedelta(seconds=1), BERLIN) is None


@settings(deadline=None)
@given(
    st.integers(min_value=0, max_value=1 << 32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
)
def test_hours_end_after_they_have_begun(now: datetime, start: time, end: time) -> None:
    """An end lies ahead, by a day and a change of the clocks at most, and does not belong to the hours."""
    if start == end:
        return
    over = end_of_hours(DailyHours(start=start, end=end), now, BERLIN)
    if over is not None:
        assert now < over <= now + timedelta(hours=25)
        assert end_of_hours(DailyHours(start=start, end=end), over, BERLIN) is None or over.astimezone(BERLIN).fold


def test_time_is_told_with_its_date_unless_it_is_today() -> None:
    """Today is that of the zone."""
    now = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    assert time_text(now, now=now, zone=SHANGHAI) == "01:00:00"
    assert time_text(now - timedelta(hours=2), now=now, zone=SHANGHAI) == "2026-11-20 23:00:00"
    assert time_text(now - timedelta(hours=2), now=now, zone=UTC) == "15:00:00"
