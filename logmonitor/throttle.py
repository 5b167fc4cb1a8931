"""At most so much per period: pure states that take the time as an input and give the next wake-up as an output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from logmonitor.errors import OperationError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """At most `limit` in any `period` seconds; `admitted` are the times of those let through, oldest first."""

    limit: int
    period: float
    admitted: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what lets nothing through or everything."""
        if self.limit < 1:
            raise OperationError(f"bad limit {self.limit!r}; expected 1 or more")
        _check_period(self.period)


def admit(throttle: Throttle, now: float) -> tuple[Throttle, bool]:
    """Ask for one more at `now`, in seconds of a clock that never steps; tell whether it is let through."""
    recent = tuple(at for at in throttle.admitted if now < at + throttle.period)
    if len(recent) >= throttle.limit:
        return replace(throttle, admitted=recent), False
    return replace(throttle, admitted=(*recent, now)), True


@dataclass(frozen=True, kw_only=True)  # no slots: with them Python 3.11 cannot call `Newest[str](...)`
class Newest(Generic[T]):
    """At most one item per `period` seconds: of those that come too early the newest waits for the period's end."""

    period: float
    waiting: T | None = None
    sent_at: float | None = None

    def __post_init__(self) -> None:
        """Refuse what holds nothing back or everything."""
        _check_period(self.period)


def offer(newest: Newest[T], item: T, now: float) -> tuple[Newest[T], T | None]:
    """Take `item`; return it if it may go at once, else keep it in place of one that waits."""
    return tick(replace(newest, waiting=item), now)


def tick(newest: Newest[T], now: float) -> tuple[Newest[T], T | None]:
    """Return what waits, if its time has come."""
    if newest.waiting is None or (newest.sent_at is not None and now < newest.sent_at + newest.period):
        return newest, None
    return sent_now(newest, now), newest.waiting


def sent_now(newest: Newest[T], now: float) -> Newest[T]:
    """Note that the newest item went out of turn, because it was asked for: nothing waits, and a period begins."""
    return replace(newest, waiting=None, sent_at=now)


def clear(newest: Newest[T]) -> Newest[T]:
    """Start anew: nothing waits, and the next item goes at once."""
    return replace(newest, waiting=None, sent_at=None)


def wake_at(newest: Newest[T]) -> float | None:
    """Return when `tick` has something to give, or None if nothing waits."""
    if newest.waiting is None or newest.sent_at is None:
        return None
    return newest.sent_at + newest.period


def _check_period(period: float) -> None:
    if not period > 0:
        raise OperationError(f"bad period {period!r}; expected seconds above 0")
