"""Lengths of time as they are typed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800.0),
        ("90 seconds", 90.0),
        (" 2 H ", 7200.0),
        ("1.5h", 5400.0),
        ("1h 30m", 5400.0),
        ("2d", 172800.0),
        ("３０ｍｉｎ", 1800.0),
        ("10分钟", 600.0),
        ("1小时30分", 5400.0),
        ("半小时", 1800.0),
        ("半个小时", 1800.0),
        ("3天", 259200.0),
    ],
)
def test_duration_is_read_as_phones_type_it(text: str, seconds: float) -> None:
    """Widths, capitals, blanks, both languages and sums are understood."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "0m", "-5m", "1h 30", "30 parsecs", "半", "999999d", "1m" * 5])
def test_duration_that_is_none_is_not_guessed(text: str) -> None:
    """What has no unit, no number or no length is none."""
    assert parse_duration(text) is None


@settings(deadline=None)
@given(st.text(max_size=40))
def test_duration_never_fails(text: str) -> None:
    """Any text is a length above 0, or none."""
    seconds = parse_duration(text)
    assert seconds is None or seconds > 0
