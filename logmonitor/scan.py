r"""Many patterns over whole chunks, in time linear in the bytes.

Hyperscan, where it can be had, finds the lines in which something may match; RE2 confirms on the one line. Without it
RE2 does both. A chunk in which so many lines match that finding them gains nothing is taken line by line.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import re2

from logmonitor.pattern import Match, Regex, compile_pattern, options, widen
from logmonitor.records import Line

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


def clean_text(line: Line, *, strip_ansi: bool = False) -> str:
    """Return the text that patterns see of `line`: U+FFFD for what is not UTF-8, ANSI sequences left out if asked."""
    return _ANSI.sub("", line.text) if strip_ansi else line.text


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
        view = _View(chunk, strip_ansi=self._strip_ansi)
        for start, end in self._spans(view.data):
            if not view.is_filler(start, end):
                line = view.line(start, end)
                yield Candidate(line=line, text=view.data[start:end].decode())

    def hits(self, chunk: Chunk) -> Iterator[Hit]:
        """Yield the lines of `chunk` in which a pattern matches, in order."""
        view = _View(chunk, strip_ansi=self._strip_ansi)
        for start, end in self._spans(view.data):
            data = view.data[start:end]
            if self._union and not self._union.search(data):
                continue
            patterns = tuple(index for index, regex in enumerate(self._regexes) if regex.search(data))
            if patterns and not view.is_filler(start, end):
                yield Hit(line=view.line(start, end), text=data.decode(), patterns=patterns)

    def count(self, chunk: Chunk) -> int:
        """Count the lines of `chunk` in which a pattern matches."""
        view = _View(chunk, strip_ansi=self._strip_ansi)
        spans = self._spans(view.data)
        return sum(1 for start, end in spans if self._matches(view.data[start:end]) and not view.is_filler(start, end))

    def _matches(self, data: bytes) -> bool:
        """Tell whether any pattern matches in the line `data`."""
        if self._union:
            return self._union.search(data) is not None
        return any(regex.search(data) for regex in self._regexes)

    def _spans(self, data: bytes) -> Iterable[tuple[int, int]]:
        """Return start and end of the lines that may match; of all lines where they are many."""
        if not self._regexes or not data:
            return ()
        if self._skipped_chunks:
            self._skipped_chunks -= 1
            return _all_spans(data)
        ends = self._find(data)
        if ends is None:
            self._skipped_chunks = _CHUNKS_TAKEN_BY_LINE
            return _all_spans(data)
        return ((data.rfind(b"\n", 0, end) + 1, end) for end in ends)


_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_BYTES_FOR_EACH_FIND: Final = 256
_LEAST_FINDS: Final = 64
_CHUNKS_TAKEN_BY_LINE: Final = 15
_UNION_BYTES: Final = 32 << 20


class _View:
    r"""A chunk as patterns see it: valid UTF-8, lines that end with `\n` only, ANSI sequences left out if asked.

    A position in `data` is one in the chunk where that is possible; `\r\n` then becomes `\n\n`, and the empty line
    between the two is a filler. Else lines are found again by counting them.
    """

    def __init__(self, chunk: Chunk, *, strip_ansi: bool) -> None:
        data = chunk.data
        has_returns = b"\r" in data and b"\r\n" in data
        has_ansi = strip_ansi and b"\x1b" in data
        self._chunk = chunk
        self._is_aligned = not has_ansi and _is_utf8(data)
        self._has_fillers = self._is_aligned and has_returns
        self._seen_position = 0
        self._seen_lines = 0
        if self._is_aligned:
            self.data = data.replace(b"\r\n", b"\n\n") if has_returns else data
            return
        *whole, last = data.split(b"\n")
        self._offsets = (0, *accumulate(len(raw) + 1 for raw in whole))
        self._raws = (*(raw.removesuffix(b"\r") for raw in whole), last)
        text = data.replace(b"\r\n", b"\n").decode("utf-8", "replace")
        self.data = (_ANSI.sub("", text) if has_ansi else text).encode() + (b"\n" if last else b"")

    def is_filler(self, start: int, end: int) -> bool:
        """Tell whether the line from `start` to `end` is none of the chunk."""
        return self._has_fillers and start == end and self._chunk.data[start - 1 : start + 1] == b"\r\n"

    def line(self, start: int, end: int) -> Line:
        """Return the chunk's line that stands from `start` to `end`; lines are to be asked for in order."""
        chunk = self._chunk
        counted = chunk.data if self._is_aligned else self.data
        self._seen_lines += counted.count(b"\n", self._seen_position, start)
        self._seen_position = start
        index = self._seen_lines
        return Line(
            raw=chunk.data[start:end] if self._is_aligned else self._raws[index],
            offset=chunk.start_offset + (start if self._is_aligned else self._offsets[index]),
            number=chunk.number + index,
            truncated=chunk.truncated,
        )


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


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


_Finder: TypeAlias = "Callable[[bytes], Sequence[int] | None]"


def _finder_by_re2(patterns: Sequence[str]) -> _Finder:
    """Return what finds the ends of the lines in which a pattern matches, None where they are too many."""
    union = _union(patterns, over_lines=True)

    def find(data: bytes) -> Sequence[int] | None:
        ends: list[int] = []
        position = 0
        for _ in range(len(data) // _BYTES_FOR_EACH_FIND + _LEAST_FINDS):
            match = union.search(data, position) if union and position < len(data) else None
            if not match or _is_behind(data, match.end()):
                return ends if union else None
            end = _line_end(data, match.end())
            ends.append(end)
            position = end + 1
        return None

    return find


def _finder_by_hyperscan(database: Any) -> _Finder:  # noqa: ANN401 - hyperscan has no types that hold on every platform
    """Return what finds the ends of the lines in which a pattern may match, None where they are too many.

    Hyperscan reports every end of every match, and not always in order.
    """

    def find(data: bytes) -> Sequence[int] | None:
        ends: set[int] = set()
        seen_from = seen_to = -1
        left = len(data) // _BYTES_FOR_EACH_FIND + _LEAST_FINDS

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
        return sorted(ends)

    return find


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
    flags = (
        hyperscan.HS_FLAG_MULTILINE
        | hyperscan.HS_FLAG_UTF8
        | hyperscan.HS_FLAG_PREFILTER
        | hyperscan.HS_FLAG_ALLOWEMPTY
    )
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
