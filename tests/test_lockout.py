"""How many wrong codes are looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.lockout import FAILURES, FIRST_LOCK, LONGEST_LOCK, Lockout, fail, is_locked

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)


def failed(times: int, *, now: datetime = NOW, lockout: Lockout | None = None) -> Lockout:
    """Return what so many wrong codes at one moment lead to."""
    lockout = lockout or Lockout()
    for _ in range(times):
        lockout = fail(lockout, now=now)
    return lockout


def test_lockout_comes_with_the_fifth_failure() -> None:
    """Four wrong codes lock nothing, the fifth locks for five minutes."""
    assert failed(4) == Lockout(failures=4)
    assert not is_locked(failed(4), now=NOW)
    assert failed(5) == Lockout(times=1, until=NOW + timedelta(minutes=5))
    assert is_locked(failed(5), now=NOW)


def test_lockout_ends_at_its_moment_and_not_before() -> None:
    """It is locked to the last microsecond of five minutes, and not from then on."""
    until = NOW + timedelta(minutes=5)
    assert is_locked(failed(5), now=until - timedelta(microseconds=1))
    assert not is_locked(failed(5), now=until)


def test_lockout_counts_nothing_while_it_lasts() -> None:
    """A code that nobody looked at is no failure, however many come."""
    assert failed(1000) == failed(5)


def test_lockout_doubles_up_to_a_day() -> None:
    """Each lock is twice as long as the one before, and none longer than a day."""
    lockout, now, lengths = Lockout(), NOW, []
    for _ in range(12):
        lockout = failed(FAILURES, now=now, lockout=lockout)
        assert lockout.until is not None
        lengths.append(lockout.until - now)
        now = lockout.until
    assert [length // timedelta(minutes=1) for length in lengths] == [
        5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440, 1440,
    ]  # fmt: skip
    assert fail(Lockout(failures=4, times=10**9), now=NOW).until == NOW + LONGEST_LOCK


def test_lockout_gives_four_free_failures_after_each_lock() -> None:
    """Once a lock is over, it takes five more failures for the next; how often it was locked is not forgotten."""
    over = failed(5).until
    assert over is not None
    lockout = failed(4, now=over, lockout=failed(5))
    assert (lockout.failures, lockout.times, is_locked(lockout, now=over)) == (4, 1, False)
    assert fail(lockout, now=over) == Lockout(times=2, until=over + 2 * FIRST_LOCK)


def test_lockout_holds_when_the_clock_is_set_back() -> None:
    """A clock that was set back, by whatever, ends no lock."""
    assert is_locked(failed(5), now=NOW - timedelta(days=400))


@pytest.mark.parametrize(("days", "looked_at"), [(1, 45), (30, 190), (365, 1865)])
def test_lockout_lets_through_as_few_guesses_as_its_text_says(days: int, looked_at: int) -> None:
    """Who guesses at every possible moment has as many tries as the figures of the module are made from."""
    lockout, now, tries = Lockout(), NOW, 0
    while now < NOW + timedelta(days=days):
        lockout = fail(lockout, now=now)
        tries += 1
        if lockout.until is not None and is_locked(lockout, now=now):
            now = lockout.until
    assert tries == looked_at


def test_lockout_looks_at_thirty_of_ten_thousand_guesses() -> None:
    """Of 10,000 wrong codes, one a second, 30 are looked at: five before each of six locks."""
    lockout, moments = Lockout(), []
    for second in range(10_000):
        now = NOW + timedelta(seconds=second)
        if not is_locked(lockout, now=now):
            lockout = fail(lockout, now=now)
            moments.append(second)
    assert len(moments) == 30
    assert moments[::5] == [0, 304, 908, 2112, 4516, 9320]


@given(st.lists(st.integers(0, 7200), max_size=200))
def test_lockout_law_between_locks_there_are_five_failures(pauses: list[int]) -> None:
    """Whenever the guesses come, each lock stands on five that were looked at, and the next is never shorter."""
    lockout, now, tries, before = Lockout(), NOW, 0, timedelta(0)
    for pause in pauses:
        now += timedelta(seconds=pause)
        if is_locked(lockout, now=now):
            assert fail(lockout, now=now) is lockout
            continue
        lockout = fail(lockout, now=now)
        tries += 1
        assert (lockout.times, lockout.failures) == divmod(tries, FAILURES)
        if lockout.until is not None and is_locked(lockout, now=now):
            assert FIRST_LOCK <= lockout.until - now <= LONGEST_LOCK
            assert lockout.until - now >= before
            before = lockout.until - now
