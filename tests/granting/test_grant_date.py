"""Until when: dates as phones type them, and days that begin or end where no clock shows midnight."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import UsageError
from logmonitor.granting.date import end_of_day, excerpt, parse_until, until_text
from logmonitor.language import translation

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_SAO_PAULO = ZoneInfo("America/Sao_Paulo")
_APIA = ZoneInfo("Pacific/Apia")
_NOW = datetime(2026, 11, 20, 12, 0, 5, 250, tzinfo=UTC)  # 20:00:05 in Shanghai
_SECOND = timedelta(seconds=1)


def _until(text: str, zone: ZoneInfo | None = _SHANGHAI, *, now: datetime = _NOW) -> str:
    """Return what is understood, in UTC."""
    until = parse_until(text, now=now, zone=zone, translate=str)
    assert until.utcoffset() == timedelta(0)
    return until.strftime("%Y-%m-%d %H:%M:%S")


def _refusal(text: str, zone: ZoneInfo | None = _SHANGHAI, *, now: datetime = _NOW) -> str:
    with pytest.raises(UsageError) as caught:
        parse_until(text, now=now, zone=zone, translate=str)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-31",
        " 2026-12-31 ",
        "2026/12/31",
        "2026.12.31",
        "２０２６－１２－３１",
        "2026—12—31",
        "2026--12--31",
        "2026 - 12 - 31",
        "2026年12月31日",
        "2026年12月31号",
        "２０２６年１２月３１日",
        "2026 年 12 月 31 日",
        "2026-12-31 24:00",
    ],
)
def test_date_means_the_end_of_that_day_in_the_zone(text: str) -> None:
    """However it is typed, a date is the first moment of the next day in Shanghai, and not in UTC."""
    assert _until(text) == "2026-12-31 16:00:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-31 18:00", "2026-12-31 10:00:00"),
        ("2026-12-31T18:00", "2026-12-31 10:00:00"),
        ("2026-12-31 18:00:30", "2026-12-31 10:00:30"),
        ("2026-12-31　１８：００", "2026-12-31 10:00:00"),
        ("2026年12月31日18点", "2026-12-31 10:00:00"),
        ("2026年12月31日 18点30分", "2026-12-31 10:30:00"),
        ("2026年12月31日18时5分", "2026-12-31 10:05:00"),
        ("2026-1-1 8:00", None),
        ("today", "2026-11-20 16:00:00"),
        ("Today", "2026-11-20 16:00:00"),
        ("今天", "2026-11-20 16:00:00"),
        ("today 20:01", "2026-11-20 12:01:00"),
        ("明天18:00", "2026-11-21 10:00:00"),
        ("tomorrow", "2026-11-21 16:00:00"),
        ("后天", "2026-11-22 16:00:00"),
        ("7d", "2026-11-27 12:00:05"),
        ("７天", "2026-11-27 12:00:05"),
        ("7 days", "2026-11-27 12:00:05"),
        ("12h", "2026-11-21 00:00:05"),
        ("12小时", "2026-11-21 00:00:05"),
        ("2w", "2026-12-04 12:00:05"),
        ("30min", "2026-11-20 12:30:05"),
        ("30分钟", "2026-11-20 12:30:05"),
        ("9998-12-31", "9998-12-31 16:00:00"),
    ],
)
def test_time_and_length_mean_a_moment(text: str, expected: str | None) -> None:
    """A time is one of the zone, a length counts from now, in whole seconds; what has passed is none."""
    if expected is None:
        assert _refusal(text) == f"'{text}' has passed; expected a time to come"
    else:
        assert _until(text) == expected


@pytest.mark.parametrize("text", ["2020-01-01", "2026-11-19", "today 20:00", "today 0:00", "0d", "0h"])
def test_past_date_is_refused(text: str) -> None:
    """What lies before now, or at it, grants nothing and is no date of a grant."""
    assert _refusal(text) == f"'{text}' has passed; expected a time to come"


def test_now_itself_has_passed() -> None:
    """A grant until this very moment would never hold."""
    assert "has passed" in _refusal("2026-11-20 20:00", now=datetime(2026, 11, 20, 12, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2027-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-12-00",
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        "2026-12-31 25:00",
        "2026-12-31 24:01",
        "2026-12-31 18:60",
    ],
)
def test_impossible_date_is_refused(text: str) -> None:
    """A day or time that no calendar and no clock has is told apart from one that cannot be read."""
    assert _refusal(text) == f"there is no such time: '{text}'"


@pytest.mark.parametrize("text", ["12-31", "12/31", "12月31日", "12月31日18:00", "31.12.2026", "12/31/2026", "1-1-27"])
def test_date_without_its_year_in_front_is_refused(text: str) -> None:
    """Which year, or which of two numbers is the month, is not guessed."""
    assert _refusal(text) == (
        f"'{text}' names no year, or not first; expected 2026-12-31, 2026-12-31 18:00, today or tomorrow, or a length"
        " such as 7d or 12h"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "7", "7m", "7y", "-7d", "+7d", "1.5h", "123456d", "٧d", "1e3d", "next week", "20261231", "2026-12"),
        *("2026-12-31 18", "2026-12-31 18:5", "2026-12-3118:00", "2026-12-31 2027-12-31", "2026-12-31\x00"),
    ],
)
def test_what_is_no_date_is_refused_with_what_was_expected(text: str) -> None:
    """What cannot be read is not guessed: the answer shows it and what could be read."""
    refusal = _refusal(text)
    assert refusal.endswith(
        "is no time; expected 2026-12-31, 2026-12-31 18:00, today or tomorrow, or a length such as 7d or 12h"
    )
    assert "\x00" not in refusal


@given(text=st.text(max_size=30), day=st.dates(date(1980, 1, 1), date(2060, 1, 1)))
def test_every_text_is_a_time_to_come_or_is_refused(text: str, day: date) -> None:
    """Nothing that is typed gives a time that has passed, or another error."""
    now = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
    for zone in (_SHANGHAI, _SAO_PAULO, _APIA):
        try:
            until = parse_until(text, now=now, zone=zone, translate=str)
        except UsageError:
            continue
        assert until > now


def test_refusal_speaks_chinese() -> None:
    """Who reads Chinese is told in Chinese."""
    with pytest.raises(UsageError, match=r"已经过去"):
        parse_until("2020-01-01", now=_NOW, zone=_SHANGHAI, translate=translation("zh"))


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("Asia/Shanghai", "2026-12-31", "2026-12-31T16:00:00"),
        ("UTC", "2026-12-31", "2027-01-01T00:00:00"),
        ("America/Sao_Paulo", "2018-11-03", "2018-11-04T03:00:00"),  # the clocks skip the midnight behind it
        ("America/Sao_Paulo", "2018-11-04", "2018-11-05T02:00:00"),  # begins at one
        ("America/Sao_Paulo", "2018-02-17", "2018-02-18T03:00:00"),  # its last hour comes twice
        ("America/Havana", "2023-11-04", "2023-11-05T04:00:00"),  # the next day's midnight comes twice
        ("America/St_Johns", "2010-11-06", "2010-11-07T03:30:00"),  # its midnight is taken back for an hour
        ("America/Toronto", "1919-03-30", "1919-03-31T04:30:00"),  # the clocks go from 23:30 to 0:30
        ("Pacific/Apia", "2011-12-29", "2011-12-30T10:00:00"),  # the day behind it was left out
        ("Pacific/Apia", "2011-12-31", "2011-12-31T10:00:00"),
    ],
)
def test_end_of_day_is_when_the_clocks_leave_it(zone: str, day: str, expected: str) -> None:
    """A day ends when its last second does, whatever the clocks do to midnight."""
    assert end_of_day(date.fromisoformat(day), ZoneInfo(zone)) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@given(
    day=st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    zone=st.sampled_from(
        [
            *("Asia/Shanghai", "America/Sao_Paulo", "Pacific/Apia", "America/Havana", "America/St_Johns", "Asia/Gaza"),
            *(
                "Europe/Berlin",
                "Pacific/Kwajalein",
                "Africa/Cairo",
                "America/Asuncion",
                "Asia/Beirut",
                "Asia/Kathmandu",
            ),
        ]
    ).map(ZoneInfo),
)
def test_end_of_day_parts_it_from_the_next(day: date, zone: ZoneInfo) -> None:
    """Before its end no later day is shown for good, and from it on the day is never shown again."""
    end = end_of_day(day, zone)
    assert (end - _SECOND).astimezone(zone).date() <= day
    assert all((end + timedelta(minutes=minutes)).astimezone(zone).date() > day for minutes in range(0, 26 * 60, 15))


def test_day_that_the_calendar_left_out_is_refused() -> None:
    """Samoa went from 29 to 31 December 2011; a grant until the 30th has no end to mean."""
    now = datetime(2011, 12, 1, tzinfo=UTC)
    assert _until("2011-12-29", _APIA, now=now) == "2011-12-30 10:00:00"
    assert _refusal("2011-12-30", _APIA, now=now) == "there is no such time: '2011-12-30'"


def test_time_that_the_clocks_skip_is_refused() -> None:
    """At the midnight that Sao Paulo skipped in 2018, half past never came."""
    now = datetime(2018, 1, 1, tzinfo=UTC)
    assert _refusal("2018-11-04 0:30", _SAO_PAULO, now=now) == "there is no such time: '2018-11-04 0:30'"
    assert _until("2018-11-04 1:00", _SAO_PAULO, now=now) == "2018-11-04 03:00:00"


def test_time_that_comes_twice_is_the_earlier() -> None:
    """Of two moments with one time a grant takes the one that gives less."""
    now = datetime(2018, 1, 1, tzinfo=UTC)
    assert _until("2018-02-17 23:30", _SAO_PAULO, now=now) == "2018-02-18 01:30:00"


@pytest.fixture
def machine_in_berlin() -> Iterator[None]:
    """Have a machine whose own zone is that of Berlin."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("machine_in_berlin")
def test_date_without_a_zone_is_one_of_the_machine() -> None:
    """Without a configured zone a day ends as the machine's clock says, in summer and in winter."""
    assert _until("2026-12-31", None) == "2026-12-31 23:00:00"
    assert _until("2027-07-01", None) == "2027-07-01 22:00:00"
    until = parse_until("2027-07-01", now=_NOW, zone=None, translate=str)
    assert until_text(until, zone=None, translate=str) == "the end of 2027-07-01 (UTC+02:00)"


@pytest.mark.parametrize(
    ("typed", "zone", "shown"),
    [
        ("2026-12-31", "Asia/Shanghai", "the end of 2026-12-31 (UTC+08:00)"),
        ("2026-12-31", "UTC", "the end of 2026-12-31 (UTC)"),
        ("2026-12-31", "America/St_Johns", "the end of 2026-12-31 (UTC-03:30)"),
        ("2026-12-31 18:00", "Asia/Shanghai", "2026-12-31 18:00 (UTC+08:00)"),
        ("2026-12-31 18:00:30", "Asia/Shanghai", "2026-12-31 18:00:30 (UTC+08:00)"),
        ("12h", "Asia/Shanghai", "2026-11-21 08:00:05 (UTC+08:00)"),
    ],
)
def test_until_text_says_what_was_understood(typed: str, zone: str, shown: str) -> None:
    """A day is said as a day, a time with its clocks' offset, so that nobody takes it for another zone's."""
    until = parse_until(typed, now=_NOW, zone=ZoneInfo(zone), translate=str)
    assert until_text(until, zone=ZoneInfo(zone), translate=str) == shown


def test_until_text_copes_with_the_ends_of_the_calendar() -> None:
    """A moment that a zone's calendar does not have is said in UTC."""
    assert until_text(datetime.max.replace(tzinfo=UTC), zone=_SHANGHAI, translate=str).startswith("9999-12-31 23:59:59")
    assert until_text(datetime.min.replace(tzinfo=UTC), zone=_SHANGHAI, translate=str).startswith("0001-01-01 00:00:00")


def test_excerpt_shows_what_was_typed_and_obeys_nothing_in_it() -> None:
    """What is told back is in quotes, on one line, and short."""
    assert excerpt(" a\nb\u202e ") == "'a␊b\\u202e'"
    assert excerpt("x" * 61) == "'" + "x" * 60 + "…'"
