"""Forged lines: which lines of a log a stranger may have written, by what the message records before them can show.

Text alone cannot tell a forged line from a real one. A line is suspect that lies wholly within what a message record
can still show of its text, or, where a family does not say how much that is, that follows one in the same write; in a
log that is read later, that follows one without a later stamp between.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

from logmonitor.reading.clock import difference, seconds_of
from logmonitor.reading.recognition import UNKNOWN_START, plain, stamp_of, text_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logmonitor.profile import Framing
    from logmonitor.reading.clock import Stamp
    from logmonitor.reading.recognition import CompiledProfile
    from logmonitor.records import Chunk

Suspect: TypeAlias = "Callable[[int, int], bool]"
"""Tells whether a stranger may have written the line from one position of the bytes to another."""

REACH_BYTES: Final = 32_768
"""How far behind a message record, in a family without a known cut, its text is looked for."""

_RECORD_BYTES: Final = 4096
_CHARACTER_BYTES: Final = 4
_NAME_CHARACTERS: Final = 512
_STAMP_LINES: Final = 50
_DIGIT: Final = re.compile(rb"[0-9]")


def reach_bytes(profile: CompiledProfile) -> int:
    """Return how many bytes before a line have to be known to judge it."""
    cut = profile.source.message_cut
    if cut is None:
        return REACH_BYTES if profile.message_starts else _RECORD_BYTES
    return _RECORD_BYTES + _CHARACTER_BYTES * (_NAME_CHARACTERS + cut)


def spans_before(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the lines before the one at `start`, the nearest first; ends are without terminator."""
    while start > 0:
        end = start - 1
        start = data.rfind(b"\n", 0, end) + 1
        yield start, end


def suspect_by_cut(data: bytes, profile: CompiledProfile, *, cut: int) -> Suspect:
    """Judge lines in a family whose message records show `cut` characters, newlines counted.

    Where a name in the record holds a newline, the text starts in a later line, behind the profile's `text_after`;
    until there is one, all is suspect that a name may be long enough for. Lines are judged as they were written, too:
    an escape sequence that a stranger began in a name would take what stands behind the name away with it.
    """
    framings = [profile.framing]
    if profile.framing.strip_ansi and b"\x1b" in data:
        framings.append(replace(profile.framing, strip_ansi=False))
    judges = [_suspect_by_cut(data, profile, framing, cut=cut) for framing in framings]
    return lambda start, end: any(is_suspect(start, end) for is_suspect in judges)


def _suspect_by_cut(data: bytes, profile: CompiledProfile, framing: Framing, *, cut: int) -> Suspect:
    """Judge lines as `framing` says that they are seen."""
    text_after = profile.source.text_after

    @cache
    def seen(start: int, end: int) -> tuple[int, int | None, int | None]:
        """Return a line's length, where in it a message's text starts, and where one that began before it may."""
        line = plain(data[start:end], framing)
        mark = line.rfind(text_after) if text_after is not None else -1
        return len(line), text_start(line, profile), mark + len(text_after or "") if mark >= 0 else None

    def is_suspect(start: int, end: int) -> bool:
        shown = len(plain(data[start:end], framing))
        since_mark: int | None = None
        for line_start, line_end in spans_before(data, start):
            if shown >= _NAME_CHARACTERS + cut:
                return False
            length, text_at, marked_at = seen(line_start, line_end)
            if text_at is not None and since_mark is not None and since_mark <= cut:
                return True
            if text_at == UNKNOWN_START and since_mark is None:
                return True
            if text_at not in {None, UNKNOWN_START} and length - int(text_at or 0) + 1 + shown <= cut:
                return True
            if since_mark is None and marked_at is not None:
                since_mark = length - marked_at + 1 + shown
            shown += length + 1
        return False

    return is_suspect


def suspect_by_write(chunk: Chunk, profile: CompiledProfile, *, fresh_at: int, is_open: bool) -> Suspect:
    """Judge lines that are read as they are written: all behind a message record of the same write are suspect.

    `chunk` holds what is known of the log, `fresh_at` is where in it begins what was read now; `is_open` says that it
    may go on with a write that has a message record.
    """
    first = fresh_at - 1 if is_open else next(_messages(chunk, profile, fresh_at), None)

    def is_suspect(start: int, _end: int) -> bool:
        return first is not None and start > first

    return is_suspect


def shows_message(chunk: Chunk, profile: CompiledProfile) -> bool:
    """Tell whether a message record starts in a chunk."""
    return next(_messages(chunk, profile, 0), None) is not None


def suspect_by_stamp(
    chunk: Chunk,
    profile: CompiledProfile,
    *,
    stamp_at: Callable[[int, int], Stamp | None],
    is_tainted: bool,
    is_future: Callable[[Stamp], bool],
) -> Suspect:
    """Judge lines that are read later: those behind a message record are suspect until one has a later stamp.

    A stamp from the future counts for nothing. `is_tainted` says that a message record stands further before, in a log
    without any stamps: no line is ever later then.
    """
    if is_tainted:
        return lambda _start, _end: True
    messages = [*_messages(chunk, profile, 0)]
    nearest = _nearest_open(chunk.data, messages, stamp_at=stamp_at, is_future=is_future)
    return lambda start, _end: start - nearest.get(start, start - REACH_BYTES - 1) <= REACH_BYTES


def stamps_of(data: bytes, profile: CompiledProfile) -> Callable[[int, int], Stamp | None]:
    """Return what reads the stamp of the line from one position to another, each at most once."""

    @cache
    def stamp_at(start: int, end: int) -> Stamp | None:
        if _DIGIT.search(data, start, end) is None:
            return None
        return stamp_of(plain(data[start:end], profile.framing), profile)

    return stamp_at


def stamps_before(data: bytes, stamp_at: Callable[[int, int], Stamp | None]) -> Callable[[int], Stamp | None]:
    """Return what finds the stamp of the record that the line at a position continues, None if it is far."""
    found: dict[int, tuple[Stamp | None, int]] = {}

    def stamp_before(start: int) -> Stamp | None:
        stamp: Stamp | None = None
        lines = 0
        for line_start, line_end in spans_before(data, start):
            lines += 1
            stamp = stamp_at(line_start, line_end)
            if stamp is None and line_start in found:
                stamp, more = found[line_start]
                lines += more
            if stamp is not None or lines >= _STAMP_LINES:
                break
        found[start] = stamp, lines
        return stamp if lines <= _STAMP_LINES else None

    return stamp_before


def _nearest_open(
    data: bytes,
    messages: list[int],
    *,
    stamp_at: Callable[[int, int], Stamp | None],
    is_future: Callable[[Stamp], bool],
) -> dict[int, int]:
    """Return for each line behind a message record than which none is later yet, where the nearest such record is.

    The open records are kept with the earliest stamp last: one that a later record outlasts does not matter any more.
    """
    nearest: dict[int, int] = {}
    opened: list[tuple[int, Stamp | None]] = []
    for message, following in zip(messages, [*messages[1:], len(data)], strict=False):
        start = message
        while start < following:
            end = data.find(b"\n", start)
            end = len(data) if end < 0 else end
            stamp = stamp_at(start, end)
            if stamp is not None and not is_future(stamp):
                while opened and _is_later(stamp, opened[-1][1]):
                    opened.pop()
            if opened:
                nearest[start] = opened[-1][0]
            if start == message:
                while opened and not _outlasts(opened[-1][1], stamp):
                    opened.pop()
                opened.append((start, stamp))
            if not opened or start - opened[-1][0] > REACH_BYTES:
                opened = []
                break
            start = end + 1
    return nearest


def _outlasts(stamp: Stamp | None, other: Stamp | None) -> bool:
    """Tell whether it takes a later line to end what was opened at a stamp than at another."""
    return other is not None and (stamp is None or _is_later(stamp, other))


def _is_later(stamp: Stamp, other: Stamp | None) -> bool:
    """Tell whether a stamp is later than another; none is later than a record without one."""
    if other is None or stamp.cycle != other.cycle:
        return False
    return difference(seconds_of(stamp), seconds_of(other), stamp.cycle) > 0


def _messages(chunk: Chunk, profile: CompiledProfile, start: int) -> Iterator[int]:
    """Yield where the message records start that stand behind a position, which is the start of a line."""
    part = replace(chunk, data=chunk.data[start:], start_offset=start, truncated=False)
    return (hit.line.offset for hit in profile.messages().hits(part))
