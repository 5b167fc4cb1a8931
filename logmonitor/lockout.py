"""How many wrong codes a person may give before none is looked at for a while.

The figures behind five failures, five minutes, doubling up to a day. A code has six digits and those of three time
steps are accepted, so that a guess hits with a chance of 3 in 1,000,000 at most; like a birthday among many guests, the
chance of `n` guesses is `1 - (1 - 3e-6) ** n`, nearly `n * 3e-6`. Without locks a thousand guesses a minute find a code
within four hours as likely as not. With them 45 guesses are looked at in the first day and 5 in each later one, of
which each lock is told: 0.014 % after a day, 0.06 % after a month, 0.6 % after a year; 10,000 guesses (3 %) take five
years and a half. A right code forgets the failures; were the owner to give one each day, whoever guesses beside them
had 45 a day, 0.4 % in a month, and eight locks a day that are told. A recovery code has more than 2 ** 50 forms, ten
of which work: guessing them comes to less than 1 in 10 ** 14 a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

FAILURES: Final = 5
"""After so many failures in a row it is locked."""

FIRST_LOCK: Final = timedelta(minutes=5)
LONGEST_LOCK: Final = timedelta(days=1)

_DOUBLINGS: Final = 9
"""After so many the longest lock is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockout:
    """What wrong codes led to, since the last right one.

    `failures` are those since the last lock, `times` is how often it was locked, and `until` (aware UTC) is when the
    last lock ends or ended, None if there was none.
    """

    failures: int = 0
    times: int = 0
    until: datetime | None = None


def fail(lockout: Lockout, *, now: datetime) -> Lockout:
    """Count a wrong code; while it is locked none is looked at, so that none counts."""
    if is_locked(lockout, now=now):
        return lockout
    failures = lockout.failures + 1
    if failures < FAILURES:
        return Lockout(failures=failures, times=lockout.times, until=lockout.until)
    length = min(FIRST_LOCK * 2 ** min(lockout.times, _DOUBLINGS), LONGEST_LOCK)
    return Lockout(times=lockout.times + 1, until=now + length)


def is_locked(lockout: Lockout, *, now: datetime) -> bool:
    """Tell whether no code may be looked at now.

    A clock that was set back makes the lock longer, never shorter.
    """
    return lockout.until is not None and now < lockout.until
