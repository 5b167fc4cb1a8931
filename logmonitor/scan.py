r"""Many patterns over whole chunks, in time linear in the bytes.

Hyperscan, where it can be had, finds the lines in which something may match; RE2 confirms on the one line. Without it
RE2 does both. A chunk in which so many lines match that finding them gains nothing is taken line by line.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import re2

from logmonitor.pattern import Match, Regex, compile_pattern, options
from logmonitor.records import Line
from logmonitor.widening import widen

hyperscan: Any
try:
    hyperscan = importlib.import_module("hyperscan")
except ImportError:  # no wheel for this platform
    hyperscan = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from logmonitor.records import Chunk

__all__ = ["Candidate", "Engine", "Hit", "Match", "Regex", "Scanner", "clean_text", "compile_pattern"]

Engine: TypeAlias = Literal["hyperscan", "re2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A line in which a pattern may match; `text` is what patterns are matched against."""

    line: Line
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A line in which at least one pattern matches; `patterns` are the indices of those that do, ascending."""

    line: Line
    text: str
    patterns: tuple[int, ...]


def clean_text(raw: bytes, *, strip_ansi: bool = False) -> str:
    """Return the text that patterns see of a line: U+FFFD for what is not UTF-8, ANSI sequences left out if asked."""
    text = raw.decode("utf-8", "replace")
    return _ANSI.sub("", text) if strip_ansi and "\x1b" in text else text


class Scanner:
    """Patterns, compiled to be looked for in chunks.

    One scanner serves one thread: hyperscan's working memory is not to be shared. Without patterns nothing matches.

    Args:
        patterns: RE2 syntax; `^` and `$` are the ends of the line.
        strip_ansi: leave ANSI sequences out of the text before it is matched.
        engine: what finds candidates; by default hyperscan where it can be had.

    Raises:
        PatternError: a pattern is refused.
    """

    def __init__(self, patterns: Sequence[str], *, strip_ansi: bool = False, engine: Engine | None = None) -> None:
        """Compile `patterns`."""
        self._regexes = tuple(compile_pattern(pattern) for pattern in patterns)
        self._strip_ansi = strip_ansi
        self._union = _union(patterns) if len(patterns) > 1 else None
        database = _database(patterns) if engine != "re2" and patterns else None
        self.engine: Engine = "re2" if database is None else "hyperscan"
        self._find = _finder_by_re2(patterns) if database is None else _finder_by_hyperscan(database)
        self._skipped_chunks = 0

    def candidates(self, chunk: Chunk) -> Iterator[Candidate]:
        """Yield the lines of `chunk` in which something may match, in order; every line that matches is among them."""
        numbering = _Numbering(chunk)
        for start, end in self._spans(chunk.data):
            line = numbering.line(start, end)
            yield Candidate(line=line, text=clean_text(line.raw, strip_ansi=self._strip_ansi))

    def hits(self, chunk: Chunk) -> Iterator[Hit]:
        """Yield the lines of `chunk` in which a pattern matches, in order."""
        numbering = _Numbering(chunk)
        for start, end in self._spans(chunk.data):
            data = self._cleaned(chunk.data, start, end)
            if self._union and not self._union.search(data):
                continue
            if patterns := tuple(index for index, regex in enumerate(self._regexes) if regex.search(data)):
                yield Hit(line=numbering.line(start, end), text=data.decode(), patterns=patterns)

    def count(self, chunk: Chunk) -> int:
        """Count the lines of `chunk` in which a pattern matches."""
        data = chunk.data
        return sum(1 for start, end in self._spans(data) if self._matches(self._cleaned(data, start, end)))

    def _matches(self, data: bytes) -> bool:
        """Tell whether any pattern matches in the line `data`."""
        if self._union:
            return self._union.search(data) is not None
        return any(regex.search(data) for regex in self._regexes)

    def _cleaned(self, data: bytes, start: int, end: int) -> bytes:
        """Return the line from `start` to `end` as patterns see it."""
        raw = _raw(data, start, end)
        if raw.isascii() and not (self._strip_ansi and b"\x1b" in raw):
            return raw
        return clean_text(raw, strip_ansi=self._strip_ansi).encode()

    def _spans(self, data: bytes) -> Iterable[tuple[int, int]]:
        """Return start and end of the lines that may match; of all lines where they are many."""
        if not self._regexes or not data:
            return ()
        if self._skipped_chunks:
            self._skipped_chunks -= 1
            return _all_spans(data)
        ends = self._find(data)
        if ends is not None and self._strip_ansi and b"\x1b" in data:
            ends = _with_escapes(data, ends)
        if ends is None:
            self._skipped_chunks = _CHUNKS_TAKEN_BY_LINE
            return _all_spans(data)
        return ((data.rfind(b"\n", 0, end) + 1, end) for end in sorted(ends))


_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_BYTES_FOR_EACH_FIND: Final = 256
_LEAST_FINDS: Final = 64
_CHUNKS_TAKEN_BY_LINE: Final = 15
_UNION_BYTES: Final = 32 << 20


class _Numbering:
    """Makes records of a chunk's lines, asked for in order."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._position = 0
        self._number = chunk.number

    def line(self, start: int, end: int) -> Line:
        """Return the line from `start` to `end`."""
        self._number += self._chunk.data.count(b"\n", self._position, start)
        self._position = start
        return Line(
            raw=_raw(self._chunk.data, start, end),
            offset=self._chunk.start_offset + start,
            number=self._number,
            truncated=self._chunk.truncated,
        )


def _raw(data: bytes, start: int, end: int) -> bytes:
    r"""Return the line from `start` to `end` without terminator, of which a `\r` is part only before a `\n`."""
    raw = data[start:end]
    return raw.removesuffix(b"\r") if end < len(data) else raw


def _all_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of every line of `data`."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield start, end
        start = end + 1
    if start < len(data):
        yield start, len(data)


def _union(patterns: Sequence[str], *, over_lines: bool = False) -> Regex | None:
    """Compile all patterns into one that captures nothing; None if it would be too large."""
    union = "|".join(f"(?:{pattern})" for pattern in patterns)
    try:
        compiled: Regex = re2.compile(
            f"(?m:{union})" if over_lines else union,
            options(never_capture=True, never_nl=over_lines, max_mem=_UNION_BYTES),
        )
    except re2.error:
        return None
    return compiled


_Finder: TypeAlias = "Callable[[bytes], set[int] | None]"


def _finder_by_re2(patterns: Sequence[str]) -> _Finder:
    """Return what finds the ends of the lines in which a pattern may match, None where they are too many.

    RE2 takes no bytes that are not UTF-8 for characters: a chunk that has any is left to be taken line by line.
    """
    union = _union(patterns, over_lines=True)

    def find(data: bytes) -> set[int] | None:
        if union is None or not _is_utf8(data):
            return None
        ends: set[int] = set()
        position = 0
        scanned = data.replace(b"\r\n", b"\n\n") if b"\r" in data else data
        for _ in range(_most_finds(data)):
            match = union.search(scanned, position) if position < len(data) else None
            if not match or _is_behind(data, match.end()):
                return ends
            end = _line_end(data, match.end())
            ends.add(end)
            position = end + 1
        return None

    return find


def _finder_by_hyperscan(database: Any) -> _Finder:  # noqa: ANN401 - hyperscan has no types that hold on every platform
    """Return what finds the ends of the lines in which a pattern may match, None where they are too many.

    Hyperscan reports every end of every match, and not always in order.
    """

    def find(data: bytes) -> set[int] | None:
        ends: set[int] = set()
        seen_from = seen_to = -1
        left = _most_finds(data)

        def on_match(_id: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            nonlocal seen_from, seen_to, left
            left -= 1
            if not (seen_from <= end <= seen_to or _is_behind(data, end)):
                seen_from, seen_to = end, _line_end(data, end)
                ends.add(seen_to)
            return not left

        try:
            database.scan(data, on_match)
        except hyperscan.ScanTerminated:
            return None
        return ends

    return find


def _with_escapes(data: bytes, ends: set[int]) -> set[int] | None:
    """Add the lines that hold an escape sequence, in which nothing can be found before it is left out."""
    position = 0
    for _ in range(_most_finds(data)):
        escape = data.find(b"\x1b", position)
        if escape < 0:
            return ends
        position = _line_end(data, escape)
        ends.add(position)
    return None


def _most_finds(data: bytes) -> int:
    """Return from how many finds on it is no slower to take every line."""
    return len(data) // _BYTES_FOR_EACH_FIND + _LEAST_FINDS


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_behind(data: bytes, position: int) -> bool:
    """Tell whether `position` lies behind the last line."""
    return position == len(data) and (not data or data.endswith(b"\n"))


def _line_end(data: bytes, position: int) -> int:
    """Return the end of the line in which `position` lies."""
    end = data.find(b"\n", position)
    return len(data) if end < 0 else end


def _database(patterns: Sequence[str]) -> Any | None:  # noqa: ANN401 - see above
    """Compile the patterns, widened, for hyperscan; None where it cannot be had or refuses one nevertheless."""
    if hyperscan is None:
        return None
    widened = [widen(pattern) for pattern in patterns]
    for loosen in (False, True):
        if loosen:
            widened = [
                text if _compiled([text]) else widen(pattern, drop_assertions=True)
                for text, pattern in zip(widened, patterns, strict=True)
            ]
        if database := _compiled(widened):
            return database
    return None


def _compiled(widened: Sequence[str]) -> Any | None:  # noqa: ANN401 - see above
    flags = hyperscan.HS_FLAG_MULTILINE | hyperscan.HS_FLAG_PREFILTER | hyperscan.HS_FLAG_ALLOWEMPTY
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[text.encode() for text in widened],
            ids=list(range(len(widened))),
            elements=len(widened),
            flags=flags,
        )
    except hyperscan.error:
        return None
    return database
