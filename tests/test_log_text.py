"""Lines of a log on their way into a chat: codes and controls go, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.code_redaction import redact_codes
from logmonitor.log_text import log_file, log_text

_LINES = st.lists(
    st.sampled_from(
        ["123456", "12345", "654321 ", "pid", "=", "20261121", "bob: ", "#", "1.", "、", "\r", "\t", "\x85"]
    )
    | st.text(st.sampled_from("0123456789 -:.abcXYZ/"), max_size=12),
    max_size=6,
).map("".join)


@pytest.mark.parametrize(
    ("data", "file", "text"),
    [
        (b"", b"", ""),
        (b"bob: 123456\nnext 654321", b"bob: [redacted]\nnext [redacted]", "bob: [redacted]\nnext [redacted]"),
        ("王 \x1b[31mred\x1b[0m\r\n".encode(), "王 \x1b[31mred\x1b[0m\r\n".encode(), "王 red\n"),
        (b"\xff\x00\x07 \xe2\x80\xae", b"\xff\x00\x07 \xe2\x80\xae", "\ufffd␀␇ \\u202e"),
        (b"\xff 123456", b"\xff [redacted]", "\ufffd [redacted]"),
    ],
)
def test_log_text_and_file_hold_no_codes(data: bytes, file: bytes, text: str) -> None:
    """A file keeps every other byte; a text shows what would be obeyed, and has no colours."""
    assert (log_file(data), log_text(data)) == (file, text)


@given(lines=st.lists(_LINES, max_size=5))
def test_codes_never_reach_over_a_line(lines: list[str]) -> None:
    """Looking through a text line by line takes the same out of it, so that it can be done in pieces."""
    assert redact_codes("\n".join(lines)) == "\n".join(map(redact_codes, lines))


def test_log_file_is_looked_through_in_pieces() -> None:
    """A large log, or one line without end, loses its codes as a small one does."""
    lines = b"".join(b"%06d bob: 654321 said\n" % (number % 10 + 5) for number in range(20_000))
    assert log_file(lines) == b"[redacted] bob: [redacted] said\n" * 20_000
    assert log_file(b"x " * 100_000 + b"654321") == b"x " * 100_000 + b"[redacted]"
