"""One generation of a log: an inode between two rotations, how far it has been read, and how to know it again."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from logmonitor.following.likeness import Likeness
from logmonitor.following.position import MARKER_BYTES, PREFIX_BYTES, Identity, Position, peek
from logmonitor.lines import Rest, cut, finish
from logmonitor.records import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logmonitor.following.unpacking import Unpacking

__all__ = ["Generation", "Position", "Taken"]

_BACK_BYTES: Final = 1 << 16
_QUIET_TICKS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one turn of reading gave: chunks, each with the number of the line after it, and where long lines start.

    `is_more` says that the turn ended before the file did; `is_caught_up`, that what stood there at the start is read.
    """

    chunks: tuple[tuple[Chunk, int], ...] = ()
    long_offsets: tuple[int, ...] = ()
    read_bytes: int = 0
    is_more: bool = False
    is_caught_up: bool = False


class Generation(Likeness):
    """An open log file and how far it has been read.

    `rest` is what was read and not given out. A copy of a log is read to its end and is then over. With an `unpacking`
    it is read out of an archive. `changed_at` is when its size or time was last seen to be another.
    """

    __slots__ = (
        "_given_marker",
        "_given_number",
        "_given_offset",
        "_handled_end",
        "_is_aligning",
        "_is_leading",
        "_path",
        "_quiet_ticks",
        "_saved",
        "backlog_end",
        "changed_at",
        "grew_at",
        "is_backlog",
        "is_copy",
        "is_exhausted",
        "is_settled",
        "looked_at",
        "pending",
        "rest",
        "signature",
        "unpacking",
    )

    def __init__(
        self, descriptor: int, status: os.stat_result, *, path: Path, now: float, position: Position | None = None
    ) -> None:
        """Take over an open descriptor; begin at `position`, or at the file's beginning."""
        at = position or Position(offset=0, marker=b"")
        super().__init__(descriptor, status, position=at)
        self.rest = Rest(offset=at.offset, number=at.number)
        self.signature: tuple[int, int] | None = None
        self.backlog_end: int | None = None
        self.grew_at = self.changed_at = self.looked_at = now
        self.pending = 0
        self.is_settled = self.is_exhausted = self.is_copy = self.is_backlog = False
        self.unpacking: Unpacking | None = None
        self._path: Final = path
        self._quiet_ticks = 0
        self._is_aligning = False
        self._is_leading = not at.offset
        self._handled_end: int | None = None
        self._saved: Position | None = None
        self._given_offset = at.offset
        self._given_number = at.number
        self._given_marker = at.marker

    def start_at_end(self, *, tail_bytes: int, cap_bytes: int, size_bytes: int) -> None:
        """Start `tail_bytes` before the end at `size_bytes`, with a whole line; the last one may not have ended yet."""
        descriptor = self._open_descriptor()
        start = min(self._last_line_start(size_bytes, cap_bytes=cap_bytes), max(0, size_bytes - tail_bytes))
        if start > 0:
            start -= 1
            self._is_aligning = True
        self.is_backlog = True
        self._is_leading = not start
        self.offset = self._given_offset = start
        self.rest = Rest(offset=start)
        marker_bytes = min(start, MARKER_BYTES)
        self._marker = self._given_marker = os.pread(descriptor, marker_bytes, start - marker_bytes)

    def go_on(self, position: Position, *, tail_bytes: int) -> None:
        """Go on from a saved position; what lies up to `tail_bytes` before it is given out first, as handled."""
        descriptor = self._open_descriptor()
        self._saved = position
        self._prefix = self._prefix or os.pread(descriptor, PREFIX_BYTES, 0)
        self._given_offset, self._given_number = position.offset, position.number
        self._given_marker = position.marker
        self._handled_end = position.offset
        start = max(0, position.offset - tail_bytes)
        self._is_aligning = start > 0
        start -= self._is_aligning
        lines = sum(data.count(b"\n") for data in _pieces(descriptor, start, position.offset)) - self._is_aligning
        self.offset = start
        self.rest = Rest(offset=start, number=max(1, position.number - lines))
        self.is_backlog = True
        self._is_leading = not start
        marker_bytes = min(start, MARKER_BYTES)
        is_whole = start == position.offset
        self._marker = position.marker if is_whole else os.pread(descriptor, marker_bytes, start - marker_bytes)
        self.known_bytes = max(self.known_bytes, position.offset)

    def adopt(self, descriptor: int, identity: Identity) -> None:
        """Be in another open file from now on."""
        if self.descriptor is not None:
            os.close(self.descriptor)
        self.descriptor, self.identity = descriptor, identity

    def await_rest(self, position: Position) -> None:
        """Stand for a file that has not been found yet, but in which that position is."""
        self._saved = position
        self.is_backlog = True
        self.known_bytes = self.offset

    def take(self, *, turn_bytes: int, cap_bytes: int) -> Taken | None:
        """Read at most `turn_bytes` and cut them into chunks; return None if what was read before is gone.

        Raises:
            OSError: the file cannot be read.
        """
        if self.unpacking is not None:
            self.unpacking.unpack_ahead(self.offset, turn_bytes, is_all_taken=not self.pending)
        if self._is_leading and not self.offset:
            self._skip_hole()
        end = self.backlog_end if self._handled_end is None else self._handled_end
        limit_bytes = turn_bytes if end is None else min(turn_bytes, end - self.offset)
        data = self._read(limit_bytes)
        if data is None:
            return None
        read_bytes = len(data)
        is_at_end = end is not None and (not data or self.offset >= end)
        is_ahead = self.unpacking is not None and not self.unpacking.is_over
        if self._is_leading:
            data = self._skip_nulls(data)
        if self._is_aligning and data:
            data = self._align(data)
        before = self.rest
        if self._handled_end is not None:
            return self._take_handled(data, read_bytes, cap_bytes=cap_bytes, is_over=is_at_end)
        is_caught_up = is_at_end and not (is_ahead and not read_bytes)
        self.is_exhausted = read_bytes < turn_bytes and not is_caught_up and not is_ahead
        self.rest, chunks = cut(
            before,
            data,
            path=self._path,
            cap_bytes=cap_bytes,
            caught_up=is_caught_up or (self.is_exhausted and not self.is_backlog),
            backlog=self.is_backlog,
        )
        if is_caught_up:
            chunks = chunks or (self._nothing(),)
            self.backlog_end = None
            self.is_backlog = False
        long_offsets = [chunk.start_offset for chunk in chunks if chunk.truncated]
        if self.rest.skipped_bytes:
            long_offsets.append(self.rest.offset)
        if before.skipped_bytes:
            del long_offsets[0]
        return Taken(
            chunks=self._numbered(chunks),
            long_offsets=tuple(long_offsets),
            read_bytes=read_bytes,
            is_more=is_caught_up or not (self.is_exhausted or (is_ahead and not read_bytes)),
            is_caught_up=is_caught_up,
        )

    def _take_handled(self, data: bytes, read_bytes: int, *, cap_bytes: int, is_over: bool) -> Taken:
        """Cut what was handled before; it ends at the saved position, with a chunk that is caught up."""
        self.rest, chunks = cut(self.rest, data, path=self._path, cap_bytes=cap_bytes, backlog=True)
        if is_over:
            self.rest, last = finish(self.rest, path=self._path, backlog=True)
            chunks = (*chunks, *last)
            self.rest = Rest(offset=self._given_offset, number=self._given_number)
            self._is_aligning = False
            self._is_leading = not self.offset
            self._handled_end = None
            chunks = chunks or (self._nothing(),)
            chunks = (*chunks[:-1], replace(chunks[-1], caught_up=True))
        self.is_exhausted = False
        numbered = self._numbered(tuple(replace(chunk, handled=True) for chunk in chunks))
        return Taken(chunks=numbered, read_bytes=read_bytes, is_more=True)

    def finish(self) -> Taken:
        """Give out the unterminated rest: the file will not be read again."""
        self.rest, chunks = finish(self.rest, path=self._path, backlog=self.is_backlog)
        is_caught_up = self.backlog_end is not None
        if is_caught_up:
            last = chunks[0] if chunks else self._nothing()
            chunks = (replace(last, caught_up=True),)
            self.backlog_end = None
        return Taken(chunks=self._numbered(chunks), is_caught_up=is_caught_up)

    def carry(self, successor: Generation) -> bool:
        """Hand an unterminated rest to the generation that goes on with the same line; return whether it could be.

        Such a line starts before the file it ends in: its offset is negative.
        """
        if successor.offset or successor.rest != Rest():
            return False
        carried_bytes = self.rest.held_bytes + self.rest.skipped_bytes
        if carried_bytes:
            successor._saved = self.given_position()
        successor.rest = replace(self.rest, offset=-carried_bytes, number=1)
        self.rest = Rest(offset=self.offset, number=self.rest.number)
        return True

    def continue_in(self, successor: Generation) -> None:
        """Hand everything to a file that replaced this one and holds all that was read of it."""
        successor.rest = self.rest
        successor._given_offset = self._given_offset
        successor._given_number = self._given_number
        successor._given_marker = self._given_marker
        self.rest = Rest(offset=self.offset, number=self.rest.number)

    def note_given(self, chunk: Chunk, number: int) -> None:
        """Note that `chunk` has been given out, and that line `number` comes next."""
        self.pending -= 1
        if chunk.handled:
            return
        self._saved = None
        self._given_offset = max(0, chunk.end_offset)
        self._given_number = number
        if chunk.truncated:
            self._given_marker = self._bytes_before(self._given_offset)
            return
        tail = chunk.data[-MARKER_BYTES:]
        marker = tail if len(tail) == MARKER_BYTES else (self._given_marker + tail)[-MARKER_BYTES:]
        self._given_marker = marker[max(0, len(marker) - self._given_offset) :]

    def position(self) -> Position:
        """Say what has been read, in a form by which it can be known again."""
        return self.place(self.offset, self._marker, self.rest.number)

    def given_position(self) -> Position:
        """Say where the first line starts that has not been given out."""
        return self._saved or self.place(self._given_offset, self._given_marker, self._given_number)

    @property
    def is_given(self) -> bool:
        """Whether any of it has been given out, or need not be."""
        return self._given_offset > 0 and self._saved is None

    def await_quiet(self, now: float) -> None:
        """Begin to wait until nothing has been written for a while."""
        self.grew_at = now
        self._quiet_ticks = 0

    def count_tick(self) -> None:
        """Count a tick at which there was nothing to read."""
        self._quiet_ticks += 1

    def is_quiet(self, now: float, *, grace: float) -> bool:
        """Tell whether nothing has been written for `grace` seconds and several ticks."""
        return now - self.grew_at >= grace and self._quiet_ticks >= _QUIET_TICKS

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.unpacking is not None:
            self.unpacking.close()
            self.unpacking = None
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def _read(self, limit_bytes: int) -> bytes | None:
        """Read on; return None where what was read before is not there, or may not have been while reading.

        The marker and the prefix are compared after the data has been read: a file that was truncated and written anew
        at any moment before does not pass.
        """
        descriptor = self._open_descriptor()
        marker = self._marker
        start = self.offset - len(marker)
        data = os.pread(descriptor, limit_bytes, self.offset)
        prefix = os.pread(descriptor, PREFIX_BYTES, 0)
        if os.pread(descriptor, len(marker), start) != marker or not prefix.startswith(self._prefix):
            return None
        if start == 0 and not prefix.startswith((marker + data[:PREFIX_BYTES])[:PREFIX_BYTES]):
            return None
        if data:
            self.is_blank = False
            self.offset += len(data)
            self.known_bytes = max(self.known_bytes, self.offset)
            self._marker = data[-MARKER_BYTES:] if len(data) >= MARKER_BYTES else (marker + data)[-MARKER_BYTES:]
        self._prefix = prefix
        return data

    def _align(self, data: bytes) -> bytes:
        """Drop what is left of the line in whose middle reading began."""
        end = data.find(b"\n") + 1
        self._is_aligning = not end
        aligned = data[end:] if end else b""
        self.rest = Rest(offset=self.offset - len(aligned), number=self.rest.number)
        if self._saved is None:
            self._given_offset = self.rest.offset
            self._given_marker = self._bytes_before(self.rest.offset)
        return aligned

    def _skip_hole(self) -> None:
        """Begin behind the hole that such a writer leaves: by NULs alone it would not be seen that it was truncated."""
        descriptor = self._open_descriptor()
        if self._prefix.strip(b"\0") or self.rest.held_bytes or self._handled_end is not None:
            return
        try:
            start = os.lseek(descriptor, 0, os.SEEK_DATA)
        except OSError:
            return
        self.offset = start
        self.rest = replace(self.rest, offset=start)
        self._marker = os.pread(descriptor, min(start, MARKER_BYTES), max(0, start - MARKER_BYTES))

    def _skip_nulls(self, data: bytes) -> bytes:
        """Drop the NULs at the beginning of a file whose writer goes on at its old place though it was truncated."""
        text = data.lstrip(b"\0")
        self._is_leading = not text
        self.rest = replace(self.rest, offset=self.rest.offset + len(data) - len(text))
        return text

    def _numbered(self, chunks: tuple[Chunk, ...]) -> tuple[tuple[Chunk, int], ...]:
        self.pending += len(chunks)
        numbers = (*(chunk.number for chunk in chunks[1:]), self.rest.number)
        return tuple(zip(chunks, numbers, strict=False))

    def _nothing(self) -> Chunk:
        """Make the empty chunk that only says that all is read."""
        return Chunk(
            path=self._path,
            data=b"",
            start_offset=self.rest.offset,
            end_offset=self.rest.offset,
            number=self.rest.number,
            caught_up=True,
            backlog=self.is_backlog,
        )

    def _open_descriptor(self) -> int:
        if self.descriptor is None:
            raise OSError(errno.EBADF, "the log is not open")
        return self.descriptor

    def _bytes_before(self, offset: int) -> bytes:
        marker_bytes = min(offset, MARKER_BYTES)
        return b"" if self.descriptor is None else peek(self.descriptor, marker_bytes, offset - marker_bytes)

    def _last_line_start(self, size_bytes: int, *, cap_bytes: int) -> int:
        """Find where the line starts that has not ended yet; give the end if that is further back than the cap."""
        descriptor = self._open_descriptor()
        end = size_bytes
        while end > max(0, size_bytes - cap_bytes):
            start = max(0, end - _BACK_BYTES)
            found = os.pread(descriptor, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0 if end == 0 else size_bytes


def _pieces(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """Read what lies between two offsets of a file."""
    while start < end and (data := os.pread(descriptor, min(_BACK_BYTES, end - start), start)):
        start += len(data)
        yield data
