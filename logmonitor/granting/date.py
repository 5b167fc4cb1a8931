"""Until when a grant holds: dates and lengths of time as a phone types them, and a moment in words."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

_SHOWN_CHARACTERS: Final = 60
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_DASHES: Final = re.compile(r"[‐‑‒–—―−-]+")
_RELATIVE_DAYS: Final = {
    "today": 0,
    "tomorrow": 1,
    "今天": 0,
    "今日": 0,
    "明天": 1,
    "明日": 1,
    "后天": 2,
}
_UNITS: Final = (
    (timedelta(minutes=1), ("min", "mins", "minute", "minutes", "分钟")),
    (timedelta(hours=1), ("h", "hour", "hours", "小时", "个小时")),
    (_DAY, ("d", "day", "days", "天", "日")),
    (timedelta(weeks=1), ("w", "week", "weeks", "周", "星期", "个星期")),
)
_UNIT_LENGTHS: Final = {name: length for length, names in _UNITS for name in names}
_LENGTH: Final = re.compile(rf"(?P<count>[0-9]{{1,5}}) ?(?P<unit>{'|'.join(_UNIT_LENGTHS)})")
_WHEN: Final = re.compile(
    rf"""
    (?:
        (?P<year>[0-9]{{4}}) \ ?[-/.年]\ ? (?P<month>[0-9]{{1,2}}) \ ?[-/.月]\ ? (?P<day>[0-9]{{1,2}}) (?:\ ?[日号])?
      | (?P<relative>{"|".join(_RELATIVE_DAYS)})
    )
    (?:
        (?:\ |t|(?<=[^0-9])) (?P<hour>[0-9]{{1,2}})
        (?: :(?P<minute>[0-9]{{2}}) (?: :(?P<second>[0-9]{{2}}))? | [点时] (?:(?P<minutes>[0-9]{{1,2}})分?)? )
    )?
    """,
    re.VERBOSE,
)
_WITHOUT_YEAR: Final = re.compile(r"[0-9]{1,2} ?[-/.月] ?[0-9]{1,2}(?:[-/. 日号].*)?")


def parse_until(text: str, *, now: datetime, zone: tzinfo | None, translate: Callable[[str], str]) -> datetime:
    """Return the first moment after what `text` names, aware UTC: a day, a time on a day, or a length from `now` on.

    A day is `2026-12-31`, also with `/` or `.` or as `2026年12月31日`, `today` or `tomorrow`, and lasts to its end in
    `zone`, None for the machine's. A time is `18:00` behind it; one that a change of the clocks shows twice is the
    earlier. A length is `7d`, `12h`, `2w` or `30min`, also spelt out. Full-width characters are understood.

    Raises:
        UsageError: it is none of these, has passed, or never comes in `zone`.
    """
    shown = excerpt(text)
    text = _DASHES.sub("-", " ".join(unicodedata.normalize("NFKC", text).casefold().split()))
    try:
        until = _moment(text, now=now, zone=zone)
    except (ValueError, OverflowError):
        raise UsageError(translate("there is no such time: {text}").format(text=shown)) from None
    if until is not None and until > now:
        return until
    if until is not None:
        raise UsageError(translate("{text} has passed; expected a time to come").format(text=shown))
    expected = translate("expected 2026-12-31, 2026-12-31 18:00, today or tomorrow, or a length such as 7d or 12h")
    if _WITHOUT_YEAR.fullmatch(text):
        raise UsageError(
            translate("{text} names no year, or not first; {expected}").format(text=shown, expected=expected)
        )
    raise UsageError(translate("{text} is no time; {expected}").format(text=shown, expected=expected))


def end_of_day(day: date, zone: tzinfo | None) -> datetime:
    """Return when `day` is over in `zone`, None for the machine's, aware UTC.

    A day may end when the clocks skip its midnight, or have shown it twice.

    Raises:
        OverflowError: the calendar ends with it.
    """
    midnight = datetime.combine(day + _DAY, time())
    first, second = (_utc(midnight, zone, fold=fold) for fold in (0, 1))
    if first <= second:
        is_shown_before = (second - _SECOND).astimezone(zone).date() > day
        return first if is_shown_before else second
    seconds = range(int((first - second).total_seconds()))
    return second + _SECOND * bisect_left(
        seconds, x=True, key=lambda passed: (second + _SECOND * passed).astimezone(zone).date() > day
    )


def until_text(until: datetime, *, zone: tzinfo | None, translate: Callable[[str], str]) -> str:
    """Return the moment `until` in words, with the offset of `zone`: the end of a day, or a time."""
    try:
        last = (until - _SECOND).astimezone(zone)
        if end_of_day(last.date(), zone) == until:
            day = last.date().isoformat()
            return translate("the end of {day} ({offset})").format(day=day, offset=_offset(last))
        local = until.astimezone(zone)
    except OverflowError:
        return until.isoformat(" ", "seconds")
    shown = local.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
    return f"{shown} ({_offset(local)})"


def excerpt(text: str) -> str:
    """Return what somebody typed as it is told back to them: in quotes, on one line, and not much of it."""
    shown = visible(text.strip(), one_line=True)
    return f"'{shown}'" if len(shown) <= _SHOWN_CHARACTERS else f"'{shown[:_SHOWN_CHARACTERS]}…'"


def _moment(text: str, *, now: datetime, zone: tzinfo | None) -> datetime | None:
    """Return the moment that `text` names, None if it is written like none; it may lie in the past.

    Raises:
        ValueError: it is written like one, and there is none.
        OverflowError: it lies beyond the calendar.
    """
    length = _LENGTH.fullmatch(text)
    if length:
        return now.astimezone(UTC).replace(microsecond=0) + int(length["count"]) * _UNIT_LENGTHS[length["unit"]]
    when = _WHEN.fullmatch(text)
    if when is None:
        return None
    if when["relative"]:
        day = now.astimezone(zone).date() + _DAY * _RELATIVE_DAYS[when["relative"]]
    else:
        day = date(int(when["year"]), int(when["month"]), int(when["day"]))
    end = end_of_day(day, zone)
    if end_of_day(day - _DAY, zone) == end:
        raise ValueError("the calendar skips that day")
    hour, minute, second = (
        int(text or 0) for text in (when["hour"], when["minute"] or when["minutes"], when["second"])
    )
    if when["hour"] is None or (hour, minute, second) == (24, 0, 0):
        return end
    moment = _utc(datetime.combine(day, time(hour, minute, second)), zone)
    if moment.astimezone(zone).replace(tzinfo=None) != datetime.combine(day, time(hour, minute, second)):
        raise ValueError("the clocks skip that time")
    return moment


def _utc(local: datetime, zone: tzinfo | None, *, fold: int = 0) -> datetime:
    """Return what is `local` time in `zone`; of a time that the clocks skip, what they would have shown."""
    return local.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _offset(local: datetime) -> str:
    """Return how far the clocks of a time are from UTC: `UTC+08:00`."""
    return "UTC" if not local.utcoffset() else f"UTC{local.strftime('%z')[:3]}:{local.strftime('%z')[3:5]}"
