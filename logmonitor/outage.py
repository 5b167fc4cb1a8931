"""Whether something has failed for long enough to tell of it, and works again for long enough: each told once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from logmonitor.throttle import Throttle, admit

FAILING_SECONDS: Final = 3.0
"""What fails for less is not told: another process that holds a file for a moment is no outage."""

WORKING_SECONDS: Final = 10.0
"""What works for less may fail again at once."""


class Turn(Enum):
    """What is to be told now."""

    FAILS = "fails"
    WORKS = "works"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """How something stands: `since` when it is not as was told last, None while it is; `is_told` that it fails.

    What fails again and again is told of so often only as `pace` lets through. Times are seconds of a clock that never
    steps.
    """

    is_told: bool = False
    since: float | None = None
    pace: Throttle = field(default_factory=lambda: Throttle(limit=3, period=3600.0))


def look(outage: Outage, now: float, /, *, is_failing: bool) -> tuple[Outage, Turn | None]:
    """Learn at `now` whether it fails; return what is to be told."""
    if is_failing == outage.is_told:
        return replace(outage, since=None), None
    since = now if outage.since is None else outage.since
    if now - since < (FAILING_SECONDS if is_failing else WORKING_SECONDS):
        return replace(outage, since=since), None
    if not is_failing:
        return replace(outage, is_told=False, since=None), Turn.WORKS
    pace, is_admitted = admit(outage.pace, now)
    if not is_admitted:
        return replace(outage, since=since), None
    return Outage(is_told=True, pace=pace), Turn.FAILS
