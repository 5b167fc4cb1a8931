"""Sentences about sessions and times."""

from __future__ import annotations

from datetime import timedelta

import pytest

from logmonitor import Session, SessionState, duration_text, session_text, translation
from logmonitor.testing import START


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (2 * 86400 - 1, "47 h"),
        (2 * 86400, "2 days"),
    ],
)
def test_duration_is_said_in_its_largest_unit(seconds: float, text: str) -> None:
    """A length of time is rounded down to the unit a person would use."""
    assert duration_text(seconds, str) == text


@pytest.mark.parametrize(
    ("session", "text"),
    [
        (Session(watch="bob"), "bob: not known yet"),
        (Session(watch="bob", state=SessionState.LOGGED_IN), "bob: logged in"),
        (Session(watch="bob", state=SessionState.LOGGED_IN, user="Bob"), "bob: logged in as Bob"),
        (Session(watch="bob", state=SessionState.LOGGED_OUT, user="Bob"), "bob: logged out"),
        (
            Session(watch="bob", state=SessionState.AWAITING_SCAN, since=START - timedelta(minutes=3)),
            "bob: waiting for a scan, for 3 min",
        ),
        (Session(watch="bob", state=SessionState.SCANNED), "bob: scanned, waiting for the phone's confirmation"),
    ],
)
def test_session_is_one_line(session: Session, text: str) -> None:
    """Every state reads as a sentence, with how long it has lasted where that is known."""
    assert session_text(session, now=START, translate=str) == text


def test_session_is_told_in_chinese() -> None:
    """The line is in the admin's language."""
    session = Session(watch="bob", state=SessionState.LOGGED_IN, user="Bob", since=START - timedelta(hours=2))
    assert session_text(session, now=START, translate=translation("zh")) == "bob: 已登录（Bob），已持续 2 小时"
