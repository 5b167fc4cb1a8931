"""Enrolling an authenticator: what is handed over, what has to be shown, and what it takes away."""

from __future__ import annotations

from base64 import b32decode
from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from logmonitor.errors import CodeError, ConfigurationError
from logmonitor.one_time_code import CodeKind, kind_of
from logmonitor.totp import Totp, Verdict, Verification
from tests.totp_bench import ADMIN, NAMES, NOW, SECRET, Bench, enrolling


def test_recovery_codes_work_once_each(bench: Bench) -> None:
    """There are ten, of two groups of five; each is accepted once, however it is typed, and those left are told."""
    assert len(set(bench.recovery)) == 10
    assert {kind_of(code) for code in bench.recovery} == {CodeKind.RECOVERY}
    for left, code in zip(range(9, -1, -1), bench.recovery, strict=True):
        assert bench.verify(code.lower().replace("-", " ")) == Verification(
            verdict=Verdict.ACCEPTED, user=ADMIN, by_recovery_code=True, recovery_codes_left=left
        )
        assert bench.verify(code).verdict is Verdict.WRONG
        bench.totp.clear(NAMES)


def test_recovery_codes_are_guessed_at_as_little_as_others(bench: Bench) -> None:
    """Wrong recovery codes lock like wrong codes."""
    assert [bench.verify("ABCD2-EFGH3").is_newly_locked for _ in range(5)] == [False] * 4 + [True]


def test_enrolling_hands_over_what_every_authenticator_takes(bench: Bench) -> None:
    """The secret has 160 bits, and the address names issuer and user and leaves all else at what everybody assumes."""
    begun = bench.totp.begin("管理员:1", issuer="logmonitor: bob")
    parts = urlsplit(begun.uri)
    assert (parts.scheme, parts.netloc, unquote(parts.path)) == ("otpauth", "totp", "/logmonitor  bob:管理员 1")
    assert parse_qs(parts.query) == {"secret": [begun.secret], "issuer": ["logmonitor  bob"]}
    assert len(b32decode(begun.secret)) == 20
    assert bench.totp.begin(ADMIN, issuer="bob").secret != begun.secret
    assert bench.totp.enrolled() == {ADMIN}


def test_enrolling_counts_only_with_the_code_of_now(bench: Bench) -> None:
    """A wrong code, one of another time and what is no code enrol nobody, and say what is wrong but not the code."""
    begun = bench.totp.begin("Bob", issuer="bob")
    secret = b32decode(begun.secret)
    for code, wanted in (
        (bench.wrong(), "not the code of now"),
        ("12345", "not the code of now"),
        (bench.code(secret=secret, steps=4), "about 125 seconds ahead of this machine's"),
        (bench.code(secret=secret, steps=-4), "about 115 seconds behind this machine's"),
    ):
        with pytest.raises(CodeError, match=wanted) as caught:
            bench.totp.finish(begun, code)
        assert code not in str(caught.value)
    assert bench.totp.enrolled() == {ADMIN}
    assert len(bench.totp.finish(begun, bench.code(secret=secret))) == 10
    assert bench.totp.enrolled() == {ADMIN, "Bob"}


def test_enrolling_can_be_checked_before_anything_is_kept(bench: Bench) -> None:
    """A right code passes as often as it is checked, a wrong one never; neither is used up, and nobody is enrolled."""
    begun = bench.totp.begin("Bob", issuer="bob")
    code = bench.code(secret=b32decode(begun.secret))
    for _ in range(2):
        bench.totp.check(begun, code)
        with pytest.raises(CodeError, match="not the code of now"):
            bench.totp.check(begun, bench.wrong())
    assert bench.totp.enrolled() == {ADMIN}
    assert len(bench.totp.finish(begun, code)) == 10


def test_enrolling_uses_its_code_up(bench: Bench) -> None:
    """The code that was shown to enrol works for no command."""
    bench.enrol("Bob", SECRET)
    assert bench.verify(bench.code(), names=("Bob",)).verdict is Verdict.USED


def test_enrolling_anew_takes_a_step_that_the_old_secret_used(bench: Bench) -> None:
    """Within the half minute of a code of the old secret one of the new secret enrols, and is used up by it."""
    second = b"09876543210987654321"
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED
    bench.enrol(ADMIN, second)
    assert bench.verify(bench.code(secret=second)).verdict is Verdict.USED
    assert bench.verify(bench.code(secret=second, steps=1)).verdict is Verdict.ACCEPTED


def test_enrolling_anew_replaces_secret_recovery_codes_and_lock(bench: Bench) -> None:
    """After it nothing of the old enrolment works, and a lock is over."""
    for number in range(5):
        bench.verify(bench.wrong(number))
    second = b"09876543210987654321"
    recovery = bench.enrol(ADMIN, second)
    bench.now += timedelta(seconds=60)
    assert bench.verify(bench.code(secret=SECRET)).verdict is Verdict.WRONG
    assert bench.verify(bench.recovery[0]).verdict is Verdict.WRONG
    assert bench.verify(recovery[0]).verdict is Verdict.ACCEPTED
    assert bench.verify(bench.code(secret=second)).verdict is Verdict.ACCEPTED


def test_enrolling_without_a_key_is_refused(bench: Bench) -> None:
    """Where there is no key, nothing is kept."""
    totp = Totp(bench.store, None, now=lambda: NOW)
    with pytest.raises(ConfigurationError, match="there is no key for one-time codes"):
        totp.finish(enrolling("Bob", SECRET), bench.code())
    assert totp.enrolled() == {ADMIN}


def test_revoking_leaves_nothing_that_works(bench: Bench) -> None:
    """After it neither code nor recovery code is accepted, and revoking again tells that nobody is enrolled."""
    assert bench.totp.revoke(ADMIN)
    assert not bench.totp.revoke(ADMIN)
    assert bench.verify(bench.code()).verdict is Verdict.NOT_ENROLLED
    assert bench.verify(bench.recovery[0]).verdict is Verdict.NOT_ENROLLED
    assert bench.totp.enrolled() == frozenset()


@pytest.mark.parametrize(
    ("steps", "ahead"),
    [(-11, None), (-10, -295.0), (-2, -55.0), (-1, None), (0, None), (1, None), (2, 65.0), (11, None)],
)
def test_skew_is_told_for_a_code_of_another_time(bench: Bench, steps: int, ahead: float | None) -> None:
    """A code of up to ten steps off tells how far the clocks are apart, and is neither counted nor used up."""
    for _ in range(10):
        assert bench.totp.skew(ADMIN, bench.code(steps=steps)) == ahead
    assert bench.totp.skew("Bob", bench.code(steps=steps)) is None
    assert bench.totp.skew(ADMIN, "no code") is None
    bench.now += timedelta(seconds=30 * steps)
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED
