"""One-time codes out of log text: every one somebody may have typed, and not what every log is full of."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logmonitor.code_redaction import redact_codes
from logmonitor.one_time_code import ALPHABET, kind_of

_DATA = Path(__file__).parent / "data"
_WIDE = {ord(character): ord(character) + 0xFEE0 for character in "0123456789" + ALPHABET}
_RECOVERY = (
    st.text(st.sampled_from(ALPHABET), min_size=10, max_size=10)
    .map(lambda code: f"{code[:5]}-{code[5:]}")
    .filter(lambda code: kind_of(code) is not None)
)
_DIGITS = st.text(st.sampled_from("0123456789"), min_size=6, max_size=6) | st.text(
    st.sampled_from("0123456789"), min_size=8, max_size=8
).filter(lambda code: not code.startswith("20"))
_FORMS = st.sampled_from(
    [
        lambda code: code,
        str.lower,
        lambda code: code.translate(_WIDE),
        lambda code: code if "-" in code else f"{code[: len(code) // 2]} {code[len(code) // 2 :]}",
        lambda code: code if "-" in code else f"{code[: len(code) // 2]}\u3000{code[len(code) // 2 :]}",
    ]
)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("123456", "[redacted]"),
        ("Message#Text[Contact<bob>]\t987654", "Message#Text[Contact<bob>]\t[redacted]"),
        ("22:44:35 INFO StarterBot bob: sh 123456 uptime", "22:44:35 INFO StarterBot bob: sh [redacted] uptime"),
        ("bob: １２３　４５６ restart", "bob: [redacted] restart"),
        ("验证码123456请", "验证码[redacted]请"),
        ('{"text":"123456","id":7}', '{"text":"[redacted]","id":7}'),
        ("1700000000,123456,hi", "1700000000,[redacted],hi"),
        ("code 1234-5678.", "code [redacted]."),
        ("bob: 12 34 56 ", "bob: [redacted] "),
        ("/123456 -123456 text=123456", "/[redacted] -[redacted] text=[redacted]"),
        ("123456\r\n12345678\n", "[redacted]\r\n[redacted]\n"),
        ("use abcd2-efgh3 now", "use [redacted] now"),
        ("use abcd2 efgh3 now", "use [redacted] now"),
        ("hi12a abcd2 efgh3", "[redacted]"),
        ("bob: abcdeefgh3", "bob: [redacted]"),
        ('"ABCDE FGHJ2"', '"[redacted]"'),
    ],
)
def test_redact_codes_takes_out_what_somebody_may_have_typed(text: str, redacted: str) -> None:
    """A code goes alone in a message and within one, in any width, in halves, and beside Chinese."""
    assert redact_codes(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20 22:36:02,975 - Wechaty - INFO - receive <heart-beat>",
        "2026-11-21T06:25:10.123456Z and 22:35:57,627123 took 0.123456 of 123456.5",
        "backup of 20261121, made 20261121 062510, as db-20261121-062510.gz and 20261121T062510Z",
        "expires: 2026-11-21",
        "sshd[123456]: session of pid 123456 and uid=100000 on port 123456 ends",
        "0x12345678 id123456 123456ms 123456_1 /proc/123456/stat https://example.com/a/123456?x job #123456",
        "12345678-9abc-4def-8123-123456789abc +8613800138000 1700000000 12345 1234567",
        "123  456 and 12 34 56 of it",
        "hello-world, utf-8 latin-1, after 250ms sleep, ERROR E1234, commit 7f4e2dbce0 by bob",
        "AB123-CD456-EF789",
        "take 2 pills",
        "",
    ],
)
def test_redact_codes_leaves_what_every_log_is_full_of(text: str) -> None:
    """Times, dates, fractions, process ids, parts of longer names and prose stay."""
    assert redact_codes(text) == text


@pytest.mark.parametrize("path", sorted(filter(Path.is_file, _DATA.iterdir())), ids=lambda path: path.name)
def test_redact_codes_leaves_the_logs_of_real_bots(path: Path) -> None:
    """Nothing in the logs that real bots wrote reads as a code."""
    text = path.read_text("utf-8")
    assert redact_codes(text) == text


@given(code=_DIGITS | _RECOVERY, form=_FORMS, word=st.sampled_from(["", "sh ", "code ", "22:44:36 INFO bob: ", "请 "]))
@example(code="00000-ABCD2", form=str.lower, word="sh ")
def test_redact_codes_leaves_nothing_of_a_code_where_one_is_typed(code: str, form: type[str], word: str) -> None:
    """As a whole message, and behind a command's name with more behind it, no code is left in any form."""
    typed = form(code)
    assert redact_codes(word + typed) == f"{word}[redacted]"
    assert redact_codes(f"{word}{typed} uptime") == f"{word}[redacted] uptime"


@given(text=st.text(st.sampled_from("0123456789ab -:.,/[]\"'\n\u3000１２Ａ") | st.characters(), max_size=60))
def test_redact_codes_changes_nothing_else(text: str) -> None:
    """What is left stands in the text in that order, and a second look finds nothing in it."""
    redacted = redact_codes(text)
    at = 0
    for piece in redacted.split("[redacted]"):
        at = text.index(piece, at) + len(piece)
    if "[redacted]" not in redacted:
        assert redacted == text
