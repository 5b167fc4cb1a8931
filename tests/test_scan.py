"""Tests of scanning: whatever finds the lines, they are those that RE2 finds one by one."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from logmonitor import scan
from logmonitor.errors import PatternError
from logmonitor.lines import split
from logmonitor.records import Chunk, Line
from logmonitor.scan import Candidate, Engine, Hit, Scanner, clean_text, compile_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINES: tuple[Engine, ...] = ("hyperscan", "re2")

ATOMS = st.sampled_from(
    [
        *("a", "b", "k", "s", "abc", "1", "中", "é", "ა", " ", "-", ".", "^", "$", r"\b", r"\B", ""),
        *("[ab]", "[^a]", "[é中]", "[^é]", "[ა-ჰ]", "[k-s]", "[^k]", r"[\s\d]", r"[^\s]", r"[\S]", r"[^\v]", "[^\n]"),
        *(r"\w", r"\W", r"\s", r"\S", r"\d", r"\D", r"\v", r"\x{4e2d}", r"\xe9", r"\x00", r"\n", r"\r"),
        *(r"\p{L}", r"\PL", r"[^\p{Lu}a]", "[[:space:]]", "[^[:alpha:]]", "[[:upper:]]", r"\Qa.\E"),
    ]
)
WRAPPINGS = st.sampled_from(["(?:{})", "({})", "(?i:{})", "(?s:{})", "(?m:{})", "((?i){})"])
REPEATS = st.sampled_from(["*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{0}", "{3,40}"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(WRAPPINGS, inner).map(lambda pair: pair[0].format(pair[1])),
        st.tuples(inner, REPEATS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(ATOMS, REPEATS).map("".join),
    ),
    max_leaves=8,
)
PIECES = st.sampled_from(
    [
        *(b"\n", b"\r\n", b"\r", b"a", b"b", b"c", b"A", b"k", b"s", b"S", b"1", b" ", b"-", b"\t", b"\x0b", b"\x00"),
        *(text.encode() for text in ("中", "é", "É", "\u212a", "\u017f", "ა", "Ა", "\x85", "🗣")),
        *(b"\xff", b"\x80", b"\xe4\xb8", b"\xed\xa0\x80", b"\x1b[1m", b"\x1b]0;a\x07", b"\x1b[", b"a.", b"abc"),
    ]
)
DATA = st.lists(PIECES, max_size=60).map(b"".join)


def chunk_of(data: bytes, *, truncated: bool = False) -> Chunk:
    """Return a chunk that stands somewhere in a file."""
    return Chunk(
        path=Path("bob.log"),
        data=data,
        start_offset=70,
        end_offset=70 + len(data),
        number=5,
        truncated=truncated,
    )


def hits_one_by_one(patterns: Sequence[str], chunk: Chunk, *, strip_ansi: bool = False) -> list[Hit]:
    """Match each line on its own, with RE2."""
    regexes = [compile_pattern(pattern) for pattern in patterns]
    hits = []
    for line in split(chunk):
        text = clean_text(line.raw, strip_ansi=strip_ansi)
        if matching := tuple(index for index, regex in enumerate(regexes) if regex.search(text)):
            hits.append(Hit(line=line, text=text, patterns=matching))
    return hits


@given(patterns=st.lists(PATTERNS, max_size=4), data=DATA, strip_ansi=st.booleans(), engine=st.sampled_from(ENGINES))
@settings(max_examples=600, deadline=None)
def test_scanner_finds_what_line_by_line_matching_finds(
    patterns: list[str], data: bytes, *, strip_ansi: bool, engine: Engine
) -> None:
    """Whatever the patterns and the bytes, hits are those of RE2 on each line, and no engine misses a candidate."""
    try:
        scanner = Scanner(patterns, strip_ansi=strip_ansi, engine=engine)
    except PatternError:
        reject()
    chunk = chunk_of(data)
    expected = hits_one_by_one(patterns, chunk, strip_ansi=strip_ansi)
    assert list(scanner.hits(chunk)) == expected
    assert scanner.count(chunk) == len(expected)
    lines = {line.number: line for line in split(chunk)}
    candidates = [candidate.line for candidate in scanner.candidates(chunk)]
    assert candidates == [lines[number] for number in sorted({line.number for line in candidates})]
    assert {hit.line.number for hit in expected} <= {line.number for line in candidates}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pattern", ["", ".", "o", "error.*", "^[^x]+$", "(?i)ERROR", "h[^x]+"])
def test_scanner_finds_every_line_where_all_match(pattern: str, engine: Engine) -> None:
    """Chunks in which every line matches are counted in full, chunk after chunk."""
    scanner = Scanner([pattern], engine=engine)
    chunk = chunk_of(b"hello error world\n" * 1000)
    assert [scanner.count(chunk) for _ in range(20)] == [1000] * 20
    assert len(list(scanner.hits(chunk))) == 1000


@pytest.mark.parametrize("engine", ENGINES)
def test_scanner_goes_back_to_finding_after_a_dense_chunk(engine: Engine) -> None:
    """A dense chunk changes nothing about what is found in the chunks behind it."""
    scanner = Scanner(["error"], engine=engine)
    dense, sparse = chunk_of(b"error\n" * 5000), chunk_of(b"fine\n" * 5000 + b"error\n")
    assert [scanner.count(chunk) for chunk in (dense, *[sparse] * 20)] == [5000, *[1] * 20]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "(?:a?){30}a{30}$", "(.*)(.*)(.*)(.*)(.*)[^a]$"])
def test_scanner_takes_hostile_lines_in_its_stride(pattern: str, engine: Engine) -> None:
    """Patterns that take a backtracking engine ages on such lines end, on long lines as on short."""
    data = b"a" * 26 + b"!\n" + b"a" * 50_000 + b"!\n" + b"a" * 40 + b"\n"
    scanner = Scanner([pattern], engine=engine)
    assert list(scanner.hits(chunk_of(data))) == hits_one_by_one([pattern], chunk_of(data))


@pytest.mark.parametrize("engine", ENGINES)
def test_scanner_says_which_patterns_match_and_where(engine: Engine) -> None:
    """A hit carries the line with its place in the file, the text matched, and the indices of all that match."""
    scanner = Scanner(["login$", "(?P<user>王\\w*|王.+) ", "x"], engine=engine)
    chunk = chunk_of("nothing\r\n王小明 login\r\n\r\n王 logout\n".encode())
    assert list(scanner.hits(chunk)) == [
        Hit(line=Line(raw="王小明 login".encode(), offset=79, number=6), text="王小明 login", patterns=(0, 1)),
        Hit(line=Line(raw="王 logout".encode(), offset=98, number=8), text="王 logout", patterns=(1,)),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_scanner_takes_colours_away_where_asked(engine: Engine) -> None:
    """Patterns see the text without ANSI sequences; the line keeps its bytes."""
    raw = b"\x1b[32mINFO\x1b[39m \x1b]8;;http://a\x1b\\login\x1b[0m"
    scanner = Scanner(["^INFO login$"], strip_ansi=True, engine=engine)
    assert list(scanner.candidates(chunk_of(raw + b"\r\n"))) == [
        Candidate(line=Line(raw=raw, offset=70, number=5), text="INFO login")
    ]
    assert Scanner(["^INFO login$"], engine=engine).count(chunk_of(raw + b"\r\n")) == 0
    assert scanner.count(chunk_of((raw + b"\n") * 5000)) == 5000


@pytest.mark.parametrize("engine", ENGINES)
def test_scanner_matches_the_head_of_a_truncated_line(engine: Engine) -> None:
    """The head of an over-long line is matched as a line, and stays marked."""
    chunk = chunk_of("login 中".encode()[:-1], truncated=True)
    assert [hit.line.truncated for hit in Scanner(["login"], engine=engine).hits(chunk)] == [True]


def test_scanner_without_patterns_finds_nothing() -> None:
    """No pattern is no match, not every line."""
    scanner = Scanner([])
    assert (list(scanner.hits(chunk_of(b"a\n"))), scanner.count(chunk_of(b"a\n"))) == ([], 0)


def test_scanner_refuses_a_pattern_before_anything_is_read() -> None:
    """A pattern that the engines do not have is refused when the scanner is made."""
    with pytest.raises(PatternError, match="lookahead"):
        Scanner(["fine", "a(?=b)"])


def test_scanner_works_where_hyperscan_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hyperscan, RE2 finds the same."""
    monkeypatch.setattr(scan, "hyperscan", None)
    scanner = Scanner(["b$"])
    assert (scanner.engine, scanner.count(chunk_of(b"ab\nba\nb\n"))) == ("re2", 2)


@pytest.mark.skipif(scan.hyperscan is None, reason="hyperscan has no wheel for this platform")
@pytest.mark.parametrize(
    ("pattern", "engine"),
    [("(?:a$|b)c|d$", "hyperscan"), ("^*a", "hyperscan"), (".a" * 500 + "|b", "re2")],
)
def test_scanner_keeps_patterns_that_hyperscan_refuses(pattern: str, engine: Engine) -> None:
    """Assertions amid a pattern are left to RE2; a pattern beyond that is left to RE2 altogether."""
    scanner = Scanner([pattern, "x"])
    chunk = chunk_of(b"ac\nbc\nd\nx\na\n")
    assert scanner.engine == engine
    assert list(scanner.hits(chunk)) == hits_one_by_one([pattern, "x"], chunk)


@pytest.mark.parametrize("engine", ENGINES)
def test_scanner_counts_a_last_line_without_terminator(engine: Engine) -> None:
    """The last line of a finished file counts, in sparse chunks and in dense ones."""
    scanner = Scanner(["error"], engine=engine)
    sparse, dense = chunk_of(b"fine\nerror"), chunk_of(b"error\n" * 999 + b"error")
    assert [scanner.count(chunk) for chunk in (sparse, dense, sparse)] == [1, 1000, 1]


def test_scanner_takes_patterns_too_large_to_be_joined() -> None:
    """Patterns that RE2 takes one by one, but not as one, are matched one by one."""
    patterns = [rf"{number} \pL{{200}}" for number in range(40)]
    chunk = chunk_of(b"fine\n17 " + b"x" * 200 + b"\n")
    assert [hit.patterns for hit in Scanner(patterns, engine="re2").hits(chunk)] == [(7, 17)]
    assert Scanner(patterns, engine="re2").count(chunk) == 1


def test_scan_loads_where_hyperscan_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module itself is importable on a platform for which there is no hyperscan."""
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    spec = spec_from_file_location("scan_without_hyperscan", scan.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    assert module.Scanner(["b$"]).engine == "re2"
