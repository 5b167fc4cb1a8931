"""Counted alerts as text, to be kept while the program does not run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from logmonitor.alert.alerting import MOST_KINDS, Group, Tally

if TYPE_CHECKING:
    from logmonitor.alert.alerting import Now

_VERSION = 1


def keep(tally: Tally, now: Now) -> str | None:
    """Return what is to be kept, None if nothing is; times are those of the calendar."""
    if tally.ends_at is None:
        return None
    record = {
        "version": _VERSION,
        "began_at": (tally.began_at or now.at).isoformat(),
        "ends_at": _at(now, tally.ends_at).isoformat(),
        "told": tally.told,
        "seen": {kind: _at(now, seen).isoformat() for kind, seen in tally.seen.items()},
        "groups": {kind: _row(group) for kind, group in tally.groups.items()},
        "others": None if tally.others is None else _row(tally.others),
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def restore(text: str, now: Now) -> Tally:
    """Return what was kept.

    A period that is over by now ends at once; none ends later than it would have, whatever was done to the clock.

    Raises:
        ValueError: that is not what was kept.
    """
    try:
        record = json.loads(text)
        if record["version"] != _VERSION:
            raise ValueError(f"unknown version {record['version']!r}; expected {_VERSION}")
        began_at, ends_at = map(_time, (record["began_at"], record["ends_at"]))
        length = (ends_at - began_at).total_seconds()
        left = (ends_at - now.at).total_seconds()
        seen = {str(kind): min(now.monotonic, _monotonic(now, _time(at))) for kind, at in record["seen"].items()}
        groups = {str(kind): _group(row) for kind, row in list(record["groups"].items())[:MOST_KINDS]}
        return Tally(
            groups=groups,
            others=None if record["others"] is None else _group(record["others"]),
            seen=seen,
            began_at=began_at,
            ends_at=now.monotonic + min(left, length),
            told=int(record["told"]),
        )
    except (AttributeError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no kept alerts: {type(error).__name__}") from error


def _row(group: Group) -> tuple[object, ...]:
    return group.count, group.first_at.isoformat(), group.last_at.isoformat(), group.example


def _group(row: object) -> Group:
    if not isinstance(row, list):
        raise TypeError("no group")
    count, first_at, last_at, example = row
    return Group(
        count=int(count), first_at=_time(first_at), last_at=_time(last_at), example=tuple(str(line) for line in example)
    )


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def _at(now: Now, monotonic: float) -> datetime:
    return now.at + timedelta(seconds=monotonic - now.monotonic)


def _monotonic(now: Now, at: datetime) -> float:
    return now.monotonic + (at - now.at).total_seconds()
