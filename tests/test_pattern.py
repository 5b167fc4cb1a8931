"""Tests of single patterns: what is taken, what is refused and what the refusal says."""

from __future__ import annotations

import pytest

from logmonitor.errors import PatternError
from logmonitor.pattern import compile_pattern

REFUSED = [
    (r"x(?=a)", "lookahead (?= at position 1 is not supported; match the text itself and capture the part you need"),
    (r"(?!a)", "negative lookahead (?! at position 0 is not supported; match what may stand there, such as [^x]"),
    (r"(?<=a)b", "lookbehind (?<= at position 0 is not supported; match the text itself and capture the part you need"),
    (r"(?<!a)b", "negative lookbehind (?<! at position 0 is not supported; match what may stand there, such as [^x]"),
    (r"(a)\1", r"back-reference \1 at position 3 is not supported; write the text out, or for a character \x{...}"),
    (r"(?P<n>a)(?P=n)", "back-reference (?P= at position 8 is not supported; write the text out, or capture both"),
    (r"\k<n>", r"back-reference \k at position 0 is not supported; write the text out, or capture both"),
    (r"a++", "possessive repeat + at position 2 is not supported; leave the + out, matching takes linear time anyway"),
    (
        r"a{2}+",
        "possessive repeat + at position 4 is not supported; leave the + out, matching takes linear time anyway",
    ),
    (r"a**", "repeat of a repeat * at position 2 is not supported; put (?:...) around what is to be repeated"),
    (r"(?>a)", "atomic group (?> at position 0 is not supported; write (?:...), matching takes linear time anyway"),
    (r"(?#c)", "comment group (?# at position 0 is not supported; leave it out"),
    (r"(a)?(?(1)b|c)", "conditional (?( at position 4 is not supported; write both alternatives out with |"),
    (r"(?R)", "recursion (?R) at position 0 is not supported; write the repeated part out"),
    (r"(?1)", "recursion (?1 at position 0 is not supported; write the repeated part out"),
    (r"a\Z", r"end of text \Z at position 1 is not supported; write $"),
    (r"a\z", r"end of text \z at position 1 is not supported; write $"),
    (r"\Aa", r"start of text \A at position 0 is not supported; write ^"),
    (r"a\Kb", r"match reset \K at position 1 is not supported; capture the part you need"),
    (r"\C", r"single byte \C at position 0 is not supported; write . for a character"),
    (r"[\C]", r"single byte [\C] at position 0 is not supported; write the characters"),
    (r"(?U)a*", "ungreedy flag (?U) at position 0 is not supported; write *? or +? where it matters"),
    (
        r"(?-m:a)",
        "switched-off multi-line flag (?-m: at position 0 is not supported; leave it out, ^ and $ are the line's",
    ),
    (r"(?x) a", "verbose flag (?x) at position 0 is not supported; write the pattern without layout and comments"),
    (r"\u4e2d", r"escape \u at position 0 is not supported; write \x{...} with the same digits"),
    (r"\Qa", r"open quotation \Qa at position 0 is not supported; close it with \E"),
    (r"a{1001}", "too large repeat {1001} at position 1 is not supported; at most 1000, or write + or *"),
    (r"a{2,1}", "repeat {2,1} at position 1 is not supported; write the smaller number first"),
    (r"(?:(?:a{99}){9}){9}", "repeat '{9}' at position 12 is too large with those around it; write + or *"),
    (r"\pL{1000}", "it needs too much memory; use smaller repeats, or write + or *"),
    (r"a(b", r"the ( at position 1 is not closed; add ) or write \( for the character"),
    (r"(?i)a(b(c)", r"the ( at position 5 is not closed; add ) or write \( for the character"),
    (r"(?i)(a))", r"the ) at position 7 closes nothing; remove it or write \) for the character"),
    (r"[a", r"the [ is not closed; add ] or write \[ for the character"),
    (r"*a", r"nothing stands before '*' at position 0 to repeat; write \ before it for the character"),
    ("a\\", r"it ends in a single \; write \\ for the character"),
    (r"\p{Foo}", r"'\\p{Foo}' at position 0 is no known class or range; write the characters or ranges such as a-z"),
    (r"[b-a]", "'b-a' at position 1 is no known class or range; write the characters or ranges such as a-z"),
    (r"\y", r"escape '\\y' at position 0 is not known; leave the \ out for the plain character"),
    (r"(?~a)", "group '(?~' at position 0 is not known; write (...), (?:...), (?P<name>...) or (?i)"),
    (r"(?P<a-b>x)", "'(?P<a-b>' at position 0 is no group name; write (?P<name>...) in letters, digits and _"),
    (r"(?P<n>a)|(?P<n>b)", "group name 'n' stands a second time at position 9; give it another"),
    ("a\ud800", "the character at position 1 is half of a surrogate pair; write the whole character"),
]


@pytest.mark.parametrize(("pattern", "reason"), REFUSED)
def test_compile_pattern_says_what_to_write_instead(pattern: str, reason: str) -> None:
    """A refused pattern gives one sentence with the pattern, the construct, its position and what to write instead."""
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert str(caught.value) == f"pattern {pattern!r} is refused: {reason}"


@pytest.mark.parametrize(
    "pattern",
    [
        r"[]\C]"[:2] + "a]",
        r"\\C\\A",
        r"\QC(?=\E",
        r"[(?=a)]",
        r"\[(?:a)\]",
        r"a{,3}",
        r"(?i:a)(?s)b(?-s:c)",
        r"(?P<a>x)(?<b>y)",
        r"x{0}",
        r"[[:alpha:]\]]+",
        r"a{2}?b*?",
        "",
    ],
)
def test_compile_pattern_takes_what_only_looks_refused(pattern: str) -> None:
    """Text inside quotations, classes and escapes is no construct."""
    assert compile_pattern(pattern).pattern == pattern


def test_compile_pattern_finds_named_groups() -> None:
    """A compiled pattern searches a line and gives its named groups."""
    match = compile_pattern(r"Contact<(?P<user>[^>]+)> log(?P<what>in|out)$").search("INFO Contact<王小明> login")
    assert match is not None
    assert match.groupdict() == {"user": "王小明", "what": "in"}
