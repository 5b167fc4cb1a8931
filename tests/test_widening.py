"""Tests of widening; that it never loses a line is what the tests of scanning show."""

from __future__ import annotations

import pytest

from logmonitor.widening import widen

FOREIGN = r"[\x80-\xff]{2,3}"


@pytest.mark.parametrize(
    ("pattern", "widened"),
    [
        (r"(?P<n>a|b){1,3}c", "(?:a|b)+c"),
        (r"(a|b){0,3}(c)?d", "(?:a|b)*(?:c)*d"),
        (r"\d{2}:\d{2,3}x", r"\d{2,2}\x3a\d{2,3}x"),
        (r"a{0,40}b{30}c{2,}d{0}e*?f+?g", "a*b+c+d*e*f+g"),
        (r"\Qa.\E*b", r"a\x2e*b"),
        (r"(?m)^a(?s-i:b)(?i-m)(?s:c)d", "^a(?-i:b)(?i)(?:c)d"),
        (r"^*a$\b?b", r"(?:^)*a\r?$(?:\b)*b"),
        (r"x|y$", r"x|y\r?$"),
        (r"\a\t\n\.", r"\x07\x09\x0a\x2e"),
        (r"\x2e\101\x{41}b", r"\x2eAAb"),
        (r"a\Bb", "a(?:)b"),
    ],
)
def test_widen_keeps_what_decides_and_drops_captures_and_large_counts(pattern: str, widened: str) -> None:
    """Text, small counts and the flag i stay; groups lose their names, lines may end in CRLF."""
    assert widen(pattern) == widened


@pytest.mark.parametrize(
    ("pattern", "widened"),
    [
        (r"中+\x{4e2d}\xe9", r"(?:\xe4\xb8\xad)+(?:\xe4\xb8\xad)(?:\xc3\xa9)"),
        (r".a.?a.*a.+a.{3}a", ".{1,4}a.{0,4}a.*a.+a.+a"),
        (r"[^a]b\D\Wb", r"[^\na]{1,4}b[^\d\n]{1,4}[^\w\n]{1,4}b"),
        (r"[^]a]b[^-a]b[^^]b", r"[^\n\]a]{1,4}b[^\n\-a]{1,4}b[^\n^]{1,4}b"),
        (r"\s\S\v[\s\v]x", r"[\t\n\f\r\x20][^\t\n\f\r\x20]{1,4}\x0b[\t\n\f\r\x20\x0b]x"),
        (r"\p{Han}[^\pL][\S][é][[:^alpha:]][\x{1}]x", ".{1,4}" * 6 + "x"),
        ("\ufffdx", ".{1,4}x"),
    ],
)
def test_widen_takes_characters_for_bytes(pattern: str, widened: str) -> None:
    """A character of several bytes is spelled out; what can match one takes up to four bytes, valid or not."""
    assert widen(pattern) == widened


@pytest.mark.parametrize(
    ("pattern", "widened"),
    [
        (r"(?i)é中x", r"(?i).{1,4}(?:\xe4\xb8\xad)x"),
        (r"(?i)ok", f"(?i)o(?:k|{FOREIGN})"),
        (r"(?i)[a-z]x", f"(?i)(?:[a-z]|{FOREIGN})x"),
        (r"(?i)\w\W[\w]x", rf"(?i)(?:\w|{FOREIGN}).{{1,4}}.{{1,4}}x"),
        (r"(?i)\d\Dx", r"(?i)\d[^\d\n]{1,4}x"),
    ],
)
def test_widen_leaves_case_beyond_ascii_to_re2(pattern: str, widened: str) -> None:
    """Where case is ignored, a character that may have another case outside ASCII matches any."""
    assert widen(pattern) == widened


@pytest.mark.parametrize(
    ("pattern", "widened"),
    [
        ("ERR (.*)", r"ERR\x20(?:)"),
        ("ERR .+", r"ERR\x20."),
        ("ERR [^x]{3,5}", r"ERR\x20[^\nx]"),
        (r"(a(\d{2,5}))", r"(?:a(?:\d{2,2}))"),
        ("a*", ""),
        ("(ab)+", "(?:ab)+"),
        ("中", r"(?:\xe4\xb8\xad)"),
        ("", ""),
        ("()", "(?:)"),
    ],
)
def test_widen_cuts_the_end_down_to_what_has_to_be_there(pattern: str, widened: str) -> None:
    """What may follow without limit would be reported byte by byte."""
    assert widen(pattern) == widened


def test_widen_drops_assertions_if_asked() -> None:
    """Anchors and word boundaries, which hyperscan takes at the ends only, can be left out."""
    assert widen(r"(?:a$|b)\bc^", drop_assertions=True) == "(?:a(?:)|b)(?:)c(?:)"
