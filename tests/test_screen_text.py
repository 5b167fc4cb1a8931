"""Output as a screen shows it, and the end of it as a message does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.screen_text import Excerpt, excerpt, screen_text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"one\ntwo\n", "one\ntwo\n"),
        (b"one\r\ntwo\r\n", "one\ntwo\n"),
        (b"10 %\r50 %\r100 %\ndone\n", "100 %\ndone\n"),
        (b"10 %\r20 %\r", "20 %"),
        (b"\x1b[31mred\x1b[0m\n", "red\n"),
        ("日志\n".encode() + b"\xff\n", "日志\n\ufffd\n"),
    ],
)
def test_screen_shows_what_was_written_last(data: bytes, text: str) -> None:
    """Colours go, and what a progress bar has overwritten."""
    assert screen_text(data) == text


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", Excerpt(text="")),
        (b"\n\none\n\ntwo\n\n", Excerpt(text="one\n\ntwo")),
        (b"12345\n1234\n", Excerpt(text="12345\n1234")),
        (b"12345\n12345\n", Excerpt(text="12345", lines=1)),
        (b"1\n2\n3\n4\n5\n6\n7\n", Excerpt(text="3\n4\n5\n6\n7", lines=2)),
        (b"x" * 25, Excerpt(text="x" * 10, lines=1)),
        (b"y\n" + b"x" * 25, Excerpt(text="x" * 10, lines=1)),
        (b"1\n" * 1000, Excerpt(text="1\n1\n1\n1\n1", lines=995)),
        ("志\n".encode() * 1000, Excerpt(text="志\n志\n志\n志\n志", lines=995)),
        (b"1\n\n\n\n\n\n7", Excerpt(text="\n\n\n\n\n7", lines=1)),
        (b"a\x1b]0;title\x07b\x00\n", Excerpt(text="ab␀")),
    ],
)
def test_excerpt_is_the_last_lines(data: bytes, shown: Excerpt) -> None:
    """As many whole lines as there is room for, from the end, and the number of those before."""
    assert excerpt(data, characters=10, lines=6) == shown


@given(st.lists(st.text("ab志\r\x1b[m", max_size=15)), st.integers(1, 40), st.integers(1, 9))
def test_excerpt_is_never_longer_than_asked_for(written: list[str], characters: int, lines: int) -> None:
    """Whatever is written, what is shown fits, and is all of it unless lines are told to be left out."""
    data = "\n".join(written).encode()
    shown = excerpt(data, characters=characters, lines=lines)
    assert len(shown.text) <= characters
    assert len(shown.text.split("\n")) <= lines
    if not shown.lines:
        assert excerpt(data, characters=1 << 20, lines=1 << 20) == shown
