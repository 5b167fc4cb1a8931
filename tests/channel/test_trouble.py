"""Why a service was not reached is told in a sentence that quotes nothing."""

from __future__ import annotations

import pytest

from logmonitor.channel.trouble import trouble_in
from logmonitor.channel.verdict import Outcome, Verdict


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("host='h' (Caused by NameResolutionError(\"Failed to resolve\"))", "cannot be found by its name"),
        ("[Errno -2] Name or service not known", "cannot be found by its name"),
        ("[Errno -3] Temporary failure in name resolution", "cannot be found by its name"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] …'))",
            "shows a certificate that cannot be trusted",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS as it should"),
        ("[Errno 111] Connection refused", "refused the connection"),
        ("[Errno 101] Network is unreachable", "cannot be reached over the network"),
        ("Read timed out. (read timeout=1.0)", "has not answered in time"),
        ("Connection unexpectedly closed", "broke off the connection"),
        ("(451, b'later')", "answered with code 451"),
        ("(535, b'authentication failed')", "answered with code 535"),
    ],
)
def test_trouble_is_told_in_words_of_our_own(message: str, sentence: str) -> None:
    """What may pass is told as what may pass."""
    said = ("JSON POST URL: http://secret@host timed out", f"Socket Exception: {message}")
    assert trouble_in(said) == Verdict(outcome=Outcome.FAILED, problem=sentence)


def test_refusal_of_a_mail_server_is_one() -> None:
    """What a server says no to for good is not offered to it again."""
    for message in ("(552, b'too big')", "{'a@e.org': (550, b\"nobody\")}"):
        verdict = trouble_in([f"Socket Exception: {message}"])
        assert verdict is not None
        assert (verdict.outcome, verdict.problem) == (
            Outcome.REFUSED,
            f"answered with code {message.split(',')[0][-3:]}",
        )


def test_trouble_that_is_not_told_is_none() -> None:
    """What is no trouble, or one that nobody knows, has no sentence; the last that is known has."""
    assert trouble_in(()) is None
    assert trouble_in(["it timed out", "Socket Exception: what"]) is None
    several = ["Socket Exception: Connection refused", "Socket Exception: timed out", "Socket Exception: what"]
    assert trouble_in(several) == Verdict(outcome=Outcome.FAILED, problem="has not answered in time")
