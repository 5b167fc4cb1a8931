"""Which lines of a log are wanted, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime, tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class LogClock:
    """How the lines of a log tell their time.

    `prefix` is a pattern (RE2 syntax) for a line's start, whose group `time` holds it in `time_format`: `iso` or as
    `strptime` reads it. In a line that is a JSON object `json_time` is its key, with dots where it leads deeper. What
    names no zone is meant in `zone`, None for the machine's.
    """

    prefix: str = ""
    time_format: str | None = None
    json_time: str | None = None
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLines:
    """The last `count` lines; all of them for None."""

    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingLines:
    """The last `count` of the lines in which `pattern` (RE2 syntax) matches."""

    pattern: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesSince:
    """The lines from the first on that is not older than `since`, as `clock` reads them; aware UTC."""

    since: datetime
    clock: LogClock


Selection: TypeAlias = LastLines | MatchingLines | LinesSince


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSlice:
    """Whole lines of a log.

    `lines` counts those in `data`, `found` all that were wanted, of which `data` may hold the last. `size_bytes` is the
    size of the log.
    """

    data: bytes
    lines: int
    found: int
    size_bytes: int
