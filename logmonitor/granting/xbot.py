"""What an XBot permitted, as grants: what it says is taken over, what it only seems to say is not.

XBot asks whether the user is the one named, and whether scene and command are those named or `*`. It never looks at the
date of a permission; a grant ends with it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from logmonitor.display import whole
from logmonitor.errors import UsageError
from logmonitor.grant import DIRECT, Grant
from logmonitor.granting.date import end_of_day

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM: Final = 10**11
_DATE_NUMBERS: Final = range(19_700_101, 99_991_232)
_LONGEST: Final = 100
_EXPECTED: Final = "expected a date such as 2024-12-31, or seconds or milliseconds since 1970"
_NUMBER: Final = re.compile(r"[0-9]{1,16}(?:\.0*)?")
_STAMP: Final = re.compile(
    r"""
    (?P<year>[0-9]{4}) [-/.年] (?P<month>[0-9]{1,2}) [-/.月] (?P<day>[0-9]{1,2}) 日?
    (?: [ T]? (?P<hour>[0-9]{1,2}) : (?P<minute>[0-9]{2}) (?: : (?P<second>[0-9]{2}) (?:\.[0-9]+)? )?
        (?P<zone> \ ?Z | \ ?[+-][0-9]{2}:?[0-9]{2} )?
    )?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A row of an XBot's permissions, with whatever stands in its columns."""

    row: object
    user: object
    scene: object
    command: object
    valid_until: object


def grant_of(
    permission: Permission,
    *,
    at: datetime,
    by: str,
    zone: tzinfo | None,
    room: str = DIRECT,
    users: Mapping[str, str] | None = None,
) -> Grant:
    """Return the grant that says what `permission` says, which may have ended; it holds in `room` only.

    `users` are stable ids by XBot's names for them, which are taken for ids where they are not among these.

    Raises:
        UsageError: something in it cannot be read, or would permit more here than it did there.
    """
    named = _text(permission.user, "username")
    user = (users or {}).get(named, named)
    if "*" in user or "?" in user:
        raise UsageError(f"bad username {user!r}; XBot takes it for one user's name, and here it would mean others too")
    return Grant(
        user=user,
        operation=_pattern(permission.scene, "cmd"),
        command=_pattern(permission.command, "subcmd"),
        room=room,
        until=read_valid_until(permission.valid_until, zone=zone),
        by=by,
        at=at,
    )


def read_valid_until(value: object, *, zone: tzinfo | None) -> datetime:
    """Return the first moment after a `valid_until`, aware UTC; it may lie in the past.

    A date, also one as a number such as 20241231 or as the seconds or milliseconds of its midnight in `zone` or UTC,
    lasts to its end in `zone`, None for the machine's. Anything else is a moment.

    Raises:
        UsageError: it is no date.
    """
    text = unicodedata.normalize("NFKC", str(value)).strip() if isinstance(value, str | int | float) else ""
    try:
        stamp = _STAMP.fullmatch(text)
        if stamp is not None:
            return _of_stamp(stamp, zone)
        if _NUMBER.fullmatch(text):
            return _of_number(int(text.partition(".")[0]), zone)
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"bad valid_until {_shown(value)}; {_EXPECTED}")


def _of_stamp(stamp: re.Match[str], zone: tzinfo | None) -> datetime:
    day = date(int(stamp["year"]), int(stamp["month"]), int(stamp["day"]))
    clock = time(int(stamp["hour"] or 0), int(stamp["minute"] or 0), int(stamp["second"] or 0))
    if clock == time():
        return end_of_day(day, zone)
    moment = datetime.combine(day, clock)
    if stamp["zone"] is None:
        return moment.replace(tzinfo=zone).astimezone(UTC)
    return datetime.fromisoformat(f"{moment.isoformat()}{stamp['zone'].strip()}").astimezone(UTC)


def _of_number(number: int, zone: tzinfo | None) -> datetime:
    if number in _DATE_NUMBERS:
        return end_of_day(date(number // 10_000, number // 100 % 100, number % 100), zone)
    moment = _EPOCH + timedelta(milliseconds=number if number >= _MILLISECONDS_FROM else number * 1000)
    for local in (moment.astimezone(zone), moment):
        if local.time() == time():
            return end_of_day(local.date(), zone)
    return moment


def _pattern(value: object, column: str) -> str:
    """Return the name in a column, or `*` alone; XBot takes a star in a name for a star."""
    text = _text(value, column)
    if text != "*" and ("*" in text or "?" in text or len(text.split()) != 1):
        raise UsageError(f"bad {column} {_shown(value)}; expected one word, or '*' alone")
    return text


def _text(value: object, column: str) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        expected = "a user's name" if column == "username" else "one word, or '*' for all"
        raise UsageError(f"{column} is empty; expected {expected}")
    if not isinstance(value, str) or len(value) > _LONGEST or whole(value) != value:
        raise UsageError(f"bad {column} {_shown(value)}; expected a text of at most {_LONGEST} characters")
    if not value.isprintable():
        raise UsageError(f"bad {column} {_shown(value)}; expected a text on one line")
    return value


def _shown(value: object) -> str:
    shown = ascii(value) if isinstance(value, bytes) else repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
