"""Forged lines: which lines of a log a stranger may have written, by what the message records before them can show.

Text alone cannot tell a forged line from a real one. A line is suspect that lies wholly within what a message record
can still show of its text, or, where a family does not say how much that is, that follows one in the same write; in a
log that is read later, that follows one without a later stamp between.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

from logmonitor.reading.clock import difference, seconds_of
from logmonitor.reading.recognition import UNKNOWN_START, plain, stamp_of, text_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    until there is one, all is suspect that a name may be long enough for.
    """
    text_after = profile.source.text_after

    @cache
    def seen(start: int, end: int) -> tuple[int, int | None, int | None]:
        """Return a line's length, where in it a message's text starts, and where one that began before it may."""
        line = plain(data[start:end], profile.framing)
        mark = line.rfind(text_after) if text_after is not None else -1
        return len(line), text_start(line, profile), mark + len(text_after or "") if mark >= 0 else None

    def is_suspect(start: int, end: int) -> bool:
        shown = len(plain(data[start:end], profile.framing))
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


def suspect_by_write(chunk: Chunk, profile: CompiledProfile, *, fresh_at: int) -> Suspect:
    """Judge lines that are read as they are written: all behind a message record of the same write are suspect.

    `chunk` holds what is known of the log, `fresh_at` is where in it the present write began.
    """
    first = next(iter(_messages(chunk, profile, fresh_at, len(chunk.data))), None)

    def is_suspect(start: int, _end: int) -> bool:
        return first is not None and start > first

    return is_suspect


def suspect_by_stamp(
    chunk: Chunk, profile: CompiledProfile, *, is_tainted: bool, is_future: Callable[[Stamp], bool]
) -> Suspect:
    """Judge lines that are read later: those behind a message record are suspect until one has a later stamp.

    A stamp from the future counts for nothing. `is_tainted` says that a message record stands further before, in a log
    without any stamps: no line is ever later then.
    """
    data, framing = chunk.data, profile.framing
    stamps: dict[int, Stamp | None] = {}
    messages: list[int] = []
    searched_to = 0

    def stamp_at(start: int, end: int | None = None) -> Stamp | None:
        if start not in stamps:
            line_end = data.find(b"\n", start) if end is None else end
            stamps[start] = stamp_of(plain(data[start : line_end if line_end >= 0 else len(data)], framing), profile)
        return stamps[start]

    def messages_before(start: int) -> list[int]:
        nonlocal searched_to
        first = max(0, start - REACH_BYTES)
        messages.extend(_messages(chunk, profile, max(searched_to, data.rfind(b"\n", 0, first) + 1), start))
        searched_to = max(searched_to, start)
        return messages[bisect_left(messages, first) : bisect_left(messages, start)]

    def is_suspect(start: int, end: int) -> bool:
        if is_tainted:
            return True
        near = messages_before(start)
        if not near:
            return False
        own = stamp_at(start, end)
        if own is not None and not is_future(own):
            near = [at for at in near if not _is_later(own, stamp_at(at))]
        later: list[Stamp] = []
        for line_start, line_end in spans_before(data, start):
            if not near or line_start < near[0]:
                break
            stamp = stamp_at(line_start, line_end)
            if line_start == near[-1]:
                near.pop()
                if not any(_is_later(other, stamp) for other in later):
                    return True
            if stamp is not None and not is_future(stamp):
                later = _latest(later, stamp)
        return False

    return is_suspect


def _latest(later: list[Stamp], stamp: Stamp) -> list[Stamp]:
    """Keep the latest stamp alone, which is later than whatever any of them is later than."""
    return [stamp] if not later or _is_later(stamp, later[0]) else later


def _is_later(stamp: Stamp, other: Stamp | None) -> bool:
    """Tell whether a stamp is later than another; none is later than a record without one."""
    if other is None or stamp.cycle != other.cycle:
        return False
    return difference(seconds_of(stamp), seconds_of(other), stamp.cycle) > 0


def _messages(chunk: Chunk, profile: CompiledProfile, start: int, end: int) -> list[int]:
    """Return where the message records start that stand in the bytes from `start` to `end`, at the start of a line."""
    if start >= end:
        return []
    part = replace(chunk, data=chunk.data[start:end], start_offset=start, truncated=False)
    return [hit.line.offset for hit in profile.messages().hits(part)]
