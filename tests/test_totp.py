"""Codes of an authenticator: each tried in a way that should not work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.sealing import Seal
from logmonitor.store import Store
from logmonitor.totp import STEP_SECONDS, Totp, Verdict, Verification, code_at
from tests.totp_bench import ADMIN, KEY, NAMES, NOW, RFC_6238, SECRET, Bench

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_totp_has_the_codes_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238, appendix B: eight digits as they stand there, and six as their end."""
    assert code_at(SECRET, seconds // 30, digits=8) == code
    assert code_at(SECRET, seconds // 30) == code[2:]


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_totp_accepts_the_codes_of_the_standard(bench: Bench, seconds: int, code: str) -> None:
    """At each of the standard's moments the end of its code is accepted, once, and the end of no far one's."""
    bench.now = datetime.fromtimestamp(seconds, UTC)
    far = [other[2:] for at, other in RFC_6238 if abs(at - seconds) > 60]
    assert {bench.verify(other).verdict for other in far[:4]} == {Verdict.WRONG}
    assert bench.verify(code[2:]) == Verification(verdict=Verdict.ACCEPTED, user=ADMIN)
    assert bench.verify(code[2:]) == Verification(verdict=Verdict.USED, user=ADMIN)


@pytest.mark.parametrize(
    "typed",
    ["{0}", " {0}\n", "{1} {2}", "{1}-{2}", "{1}—{2}", "{3}"],
    ids=["plain", "edges", "space", "-", "—", "wide"],
)
def test_totp_understands_codes_as_they_are_typed(bench: Bench, typed: str) -> None:
    """Full-width digits, a blank and a hyphen within make no difference, and neither do zeros in front."""
    bench.now = next(
        moment
        for moment in (NOW + timedelta(seconds=30 * step) for step in range(10_000))
        if code_at(SECRET, int(moment.timestamp()) // 30).startswith("00")
    )
    code = bench.code()
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
    assert bench.verify(typed.format(code, code[:3], code[3:], wide)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    "form", ["0{}", "{}0", "-{}", "{}a", "+{}", "{}.0", "", "\ud800", "{}" * 200, "²{}", "12345678"]
)
def test_totp_takes_nothing_else_for_a_code(bench: Bench, form: str) -> None:
    """What has not the form of a code is wrong however near it comes, tells nobody anything, and counts for nothing."""
    for _ in range(20):
        assert bench.verify(form.replace("{}", bench.code())) == Verification(verdict=Verdict.WRONG)
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [(-3, "wrong"), (-2, "wrong"), (-1, "accepted"), (0, "accepted"), (1, "accepted"), (2, "wrong"), (3, "wrong")],
)
def test_totp_allows_for_one_step_of_skew(bench: Bench, steps: int, verdict: str) -> None:
    """A code of the step before or behind is accepted, one of two steps off is not."""
    assert bench.verify(bench.code(steps=steps)).verdict == verdict


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**33), st.integers(-150, 150))
def test_totp_law_accepts_a_clock_within_a_step(seconds: int, drift: int) -> None:
    """Whatever the time, a code counts if the authenticator's step is at most one from ours, and not otherwise."""
    bench = Bench()
    bench.now = datetime.fromtimestamp(seconds, UTC)
    shown = max(seconds + drift, 0) // STEP_SECONDS
    near = [code_at(SECRET, step) for step in range(max(seconds // 30 - 1, 0), seconds // 30 + 2)]
    expected = Verdict.ACCEPTED if code_at(SECRET, shown) in near else Verdict.WRONG
    assert (abs(shown - seconds // STEP_SECONDS) <= 1) <= (expected is Verdict.ACCEPTED)
    assert bench.verify(code_at(SECRET, shown)).verdict is expected
    bench.store.close()


def test_totp_works_at_the_beginning_of_time(bench: Bench) -> None:
    """A clock that stands in 1970 or before it makes no code valid but its own, and raises nothing."""
    bench.now = datetime.fromtimestamp(10, UTC)
    assert bench.verify(code_at(SECRET, 0)).verdict is Verdict.ACCEPTED
    bench.now = datetime.fromtimestamp(-1000, UTC)
    assert bench.verify(code_at(SECRET, 1)).verdict is Verdict.WRONG


def test_totp_refuses_a_replayed_code(bench: Bench) -> None:
    """A code that was accepted is used up, for the same command and for any other, as long as it would be in time."""
    code = bench.code(steps=1)
    assert bench.verify(code, command="sh uptime").verdict is Verdict.ACCEPTED
    for seconds in range(0, 90, 15):
        bench.now = NOW + timedelta(seconds=seconds)
        for command in ("sh uptime", "sh reboot"):
            assert bench.verify(code, command=command).verdict in (Verdict.USED, Verdict.WRONG)


def test_totp_counts_no_replay_as_a_failure(bench: Bench) -> None:
    """A code typed twice by its owner locks nobody out, since it tells nothing."""
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED
    assert {bench.verify(bench.code()).verdict for _ in range(20)} == {Verdict.USED}
    assert bench.verify(bench.code(steps=1)).verdict is Verdict.ACCEPTED


def test_totp_keeps_a_step_used_when_the_clock_is_set_back(bench: Bench) -> None:
    """A clock that is stepped back makes no used step work again, nor does one that was ahead meanwhile."""
    code = bench.code()
    assert bench.verify(code).verdict is Verdict.ACCEPTED
    bench.now = NOW + timedelta(hours=5)
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED
    bench.now = NOW - timedelta(seconds=20)
    assert bench.verify(code).verdict is Verdict.USED
    bench.now = NOW
    assert bench.verify(code).verdict is Verdict.USED


def test_totp_keeps_its_memory_across_restarts(tmp_path: Path) -> None:
    """A used step, a used recovery code and a lock are there when the store is opened again."""
    bench = Bench(tmp_path / "bot.db")
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED
    assert bench.verify(bench.recovery[0]).verdict is Verdict.ACCEPTED
    reopened = [Store(tmp_path / "bot.db") for _ in range(2)]
    for store in reopened:
        bench.totp = Totp(store, Seal(KEY), now=lambda: bench.now)
        assert bench.verify(bench.code()).verdict is Verdict.USED
        assert bench.verify(bench.recovery[0]).verdict is Verdict.WRONG
    for number in range(3):
        assert bench.verify(bench.wrong(number)).verdict is Verdict.WRONG
    bench.totp = Totp(reopened[0], Seal(KEY), now=lambda: bench.now)
    assert bench.verify(bench.code(steps=1)) == Verification(
        verdict=Verdict.LOCKED, locked_until=NOW + timedelta(minutes=5)
    )
    for store in (*reopened, bench.store):
        store.close()


def test_totp_locks_with_the_fifth_failure_and_tells_once(bench: Bench) -> None:
    """The fifth wrong code locks for five minutes and is marked; what comes behind it is locked and not marked."""
    until = NOW + timedelta(minutes=5)
    outcomes = [bench.verify(bench.wrong()) for _ in range(7)]
    assert outcomes[:4] == [Verification(verdict=Verdict.WRONG)] * 4
    assert outcomes[4] == Verification(verdict=Verdict.WRONG, locked_until=until, is_newly_locked=True)
    assert outcomes[5:] == [Verification(verdict=Verdict.LOCKED, locked_until=until)] * 2
    assert bench.totp.locked_until(NAMES) == until
    bench.now = until
    assert bench.totp.locked_until(NAMES) is None
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED


def test_totp_looks_at_no_code_while_it_is_locked(bench: Bench) -> None:
    """While it is locked the right code and a recovery code are refused, and are not used up either."""
    for number in range(5):
        bench.verify(bench.wrong(number))
    assert bench.verify(bench.code()).verdict is Verdict.LOCKED
    assert bench.verify(bench.recovery[0]).verdict is Verdict.LOCKED
    bench.totp.clear(NAMES)
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED
    assert bench.verify(bench.recovery[0]).verdict is Verdict.ACCEPTED


def test_totp_looks_at_thirty_of_ten_thousand_wrong_codes(bench: Bench) -> None:
    """Of 10,000 wrong codes, one a second, 30 are looked at and 9,970 meet a lock; each of six locks is told once."""
    outcomes = []
    for second in range(10_000):
        bench.now = NOW + timedelta(seconds=second)
        outcomes.append(bench.verify(bench.wrong() if second % 30 == 0 else "000000"))
    looked_at = [outcome for outcome in outcomes if outcome.verdict is Verdict.WRONG]
    assert len(looked_at) == 30
    assert sum(outcome.verdict is Verdict.LOCKED for outcome in outcomes) == 9_970
    assert sum(outcome.is_newly_locked for outcome in outcomes) == 6


def test_totp_forgets_failures_with_a_right_code(bench: Bench) -> None:
    """After a right code, or a recovery code, there are five failures again, and the next lock is short again."""
    for number in range(5):
        bench.verify(bench.wrong(number))
    bench.now += timedelta(minutes=5)
    for right in (bench.code(), bench.recovery[0]):
        for number in range(4):
            assert bench.verify(bench.wrong(number)).locked_until is None
        assert bench.verify(right).verdict is Verdict.ACCEPTED
    assert [bench.verify(bench.wrong()).locked_until for _ in range(5)][4] == bench.now + timedelta(minutes=5)


def test_totp_shares_a_lock_with_codes_of_another_kind(bench: Bench) -> None:
    """Wrong codes of a second channel count with those of the authenticator; locked, none of them counts."""
    for _ in range(2):
        assert bench.totp.note_failure(NAMES) == Verification(verdict=Verdict.WRONG)
        bench.verify(bench.wrong())
    until = NOW + timedelta(minutes=5)
    assert bench.totp.note_failure(NAMES) == Verification(
        verdict=Verdict.WRONG, locked_until=until, is_newly_locked=True
    )
    assert bench.totp.note_failure(NAMES) == Verification(verdict=Verdict.LOCKED, locked_until=until)
    assert bench.verify(bench.code()).verdict is Verdict.LOCKED


def test_totp_locks_who_is_not_enrolled(bench: Bench) -> None:
    """Failures of who has a second channel and no authenticator are counted under all of their names."""
    names = ("Charlie", "wxid_9", "Charlie")
    assert [bench.totp.note_failure(names).is_newly_locked for _ in range(5)] == [False] * 4 + [True]
    assert bench.totp.locked_until(("wxid_9",)) == bench.totp.locked_until(names) == NOW + timedelta(minutes=5)
    assert bench.totp.locked_until(NAMES) is None
    bench.totp.clear(names)
    assert bench.totp.locked_until(("wxid_9",)) is None


def test_totp_refuses_who_is_not_enrolled(bench: Bench) -> None:
    """Another's code is worth nothing, and no names are nobody."""
    for names in ((), ("wxid_7",), ("adminweixin",), ("",)):
        assert bench.verify(bench.code(), names=names) == Verification(verdict=Verdict.NOT_ENROLLED)
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED


def test_totp_takes_a_person_for_one_whatever_names_they_are_enrolled_under(bench: Bench) -> None:
    """Who is enrolled under a name and an id may use either, and has five failures in all."""
    second = b"09876543210987654321"
    bench.enrol("wxid_7", second)
    bench.now += timedelta(seconds=60)
    assert bench.verify(bench.code(secret=second)).user == "wxid_7"
    assert bench.verify(bench.code()).user == ADMIN
    assert [bench.verify("000000").is_newly_locked for _ in range(5)] == [False] * 4 + [True]
    for name in NAMES:
        assert bench.verify(bench.code(steps=1), names=(name,)).verdict is Verdict.LOCKED


def test_totp_keeps_users_apart(bench: Bench) -> None:
    """One admin's code, recovery code and lock are none of another's, even where both have one secret."""
    recovery = bench.enrol("Bob", SECRET)
    assert bench.verify(bench.code(steps=1)).verdict is Verdict.ACCEPTED
    assert bench.verify(bench.code(steps=1), names=("Bob",)).verdict is Verdict.ACCEPTED
    assert bench.verify(recovery[0]).verdict is Verdict.WRONG
    for number in range(5):
        bench.verify(bench.wrong(number))
    assert bench.verify(recovery[0], names=("Bob",)).verdict is Verdict.ACCEPTED
