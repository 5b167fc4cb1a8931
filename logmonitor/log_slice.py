"""Which lines of a log are wanted, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from logmonitor.errors import OperationError
from logmonitor.pattern import compile_pattern

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
    """The last `count` lines; all of them for None.

    Raises:
        OperationError: that is none.
    """

    count: int | None = None

    def __post_init__(self) -> None:
        """Refuse what wants nothing."""
        if self.count is not None:
            _check_count(self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingLines:
    """The last `count` of the lines in which `pattern` (RE2 syntax) matches.

    Raises:
        OperationError: that is none.
        PatternError: the pattern is refused.
    """

    pattern: str
    count: int

    def __post_init__(self) -> None:
        """Refuse what wants nothing or cannot be looked for."""
        _check_count(self.count)
        compile_pattern(self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesSince:
    """The lines from the first on that is not older than `since`, as `clock` reads them; aware UTC."""

    since: datetime
    clock: LogClock


Selection: TypeAlias = LastLines | MatchingLines | LinesSince


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSlice:
    """Whole lines of a log, the last of those that were wanted.

    `lines` counts those in `data`. `found` counts all that were wanted, None where there may be more: of a long log the
    end is read without what is before it, and many that match are not all counted. `is_cut` says that the first line is
    the end of one too long to be held, or that some are the beginning of such a one. `is_timed` is False where a time
    was asked for and no line read tells any. `size_bytes` is the size of the log.
    """

    data: bytes
    lines: int
    found: int | None
    size_bytes: int
    is_cut: bool = False
    is_timed: bool = True


def _check_count(count: int) -> None:
    if count < 1:
        raise OperationError(f"bad count {count!r} of lines; expected 1 or more")
