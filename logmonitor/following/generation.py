"""One generation of a log: an inode between two rotations, how far it has been read, and how to know it again."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from logmonitor.lines import Rest, cut, finish
from logmonitor.records import Chunk

if TYPE_CHECKING:
    from pathlib import Path

MARKER_BYTES: Final = 256
PREFIX_BYTES: Final = 1024
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_BACK_BYTES: Final = 1 << 16
_QUIET_TICKS: Final = 3

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a log, and what is needed to find it again after rotations.

    `marker` are the last bytes before `offset`, at most 256. `number` is that of the line that starts at `offset`.
    `prefix_digest` is a hash of the file's first `prefix_bytes` bytes. Device and inode are a hint: inodes are used
    again, so the marker and the prefix decide.
    """

    offset: int
    marker: bytes
    number: int = 1
    device: int | None = None
    inode: int | None = None
    prefix_bytes: int = 0
    prefix_digest: bytes = b""

    @property
    def identity(self) -> tuple[int | None, int | None]:
        """Device and inode."""
        return self.device, self.inode


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


def open_log(name: str) -> tuple[int, os.stat_result]:
    """Open a regular file for reading; return its descriptor and status.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    descriptor = os.open(name, _FLAGS)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return descriptor, status


def holds(descriptor: int, position: Position) -> bool:
    """Tell whether an open file has all that was read up to `position`, by its prefix and its marker."""
    if _peek(descriptor, len(position.marker), position.offset - len(position.marker)) != position.marker:
        return False
    head = _peek(descriptor, position.prefix_bytes, 0)
    return len(head) == position.prefix_bytes and (not head or _digest(head) == position.prefix_digest)


class Generation:
    """An open log file and how far it has been read.

    `descriptor` is None while the file is put aside to save descriptors. `offset` is where to read on, `marker` the
    last bytes before it, `rest` what was read and not given out, `prefix` the first bytes of the file. A copy of a log
    is read to its end and is then over; a blank one was empty when it was taken up.
    """

    __slots__ = (
        "_given_marker",
        "_given_number",
        "_given_offset",
        "_is_aligning",
        "_is_backlog",
        "_marker",
        "_path",
        "_prefix",
        "_quiet_ticks",
        "backlog_end",
        "descriptor",
        "grew_at",
        "identity",
        "is_blank",
        "is_copy",
        "is_exhausted",
        "is_settled",
        "known_bytes",
        "modified_ns",
        "offset",
        "pending",
        "rest",
        "signature",
    )

    def __init__(
        self, descriptor: int, status: os.stat_result, *, path: Path, now: float, position: Position | None = None
    ) -> None:
        """Take over an open descriptor; begin at `position`, or at the file's beginning."""
        at = position or Position(offset=0, marker=b"")
        self.descriptor: int | None = descriptor
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.offset = at.offset
        self.rest = Rest(offset=at.offset, number=at.number)
        self.known_bytes = status.st_size
        self.modified_ns = status.st_mtime_ns
        self.signature: tuple[int, int] | None = None
        self.backlog_end: int | None = None
        self.grew_at = now
        self.pending = 0
        self.is_settled = self.is_exhausted = self.is_copy = False
        self._path: Final = path
        self._prefix = os.pread(descriptor, PREFIX_BYTES, 0)
        self._marker = at.marker
        self._quiet_ticks = 0
        self._is_aligning = self._is_backlog = False
        self._given_offset = at.offset
        self._given_number = at.number
        self._given_marker = at.marker
        self.is_blank = not self._prefix

    def start_at_end(self, *, tail_bytes: int, cap_bytes: int, size_bytes: int) -> None:
        """Start `tail_bytes` before the end at `size_bytes`, with a whole line; the last one may not have ended yet."""
        descriptor = self._open_descriptor()
        start = min(self._last_line_start(size_bytes, cap_bytes=cap_bytes), max(0, size_bytes - tail_bytes))
        if start > 0:
            start -= 1
            self._is_aligning = True
        self._is_backlog = True
        self.offset = self._given_offset = start
        self.rest = Rest(offset=start)
        marker_bytes = min(start, MARKER_BYTES)
        self._marker = self._given_marker = os.pread(descriptor, marker_bytes, start - marker_bytes)

    def take(self, *, turn_bytes: int, cap_bytes: int) -> Taken | None:
        """Read at most `turn_bytes` and cut them into chunks; return None if what was read before is gone.

        Raises:
            OSError: the file cannot be read.
        """
        limit_bytes = turn_bytes if self.backlog_end is None else min(turn_bytes, self.backlog_end - self.offset)
        data = self._read(limit_bytes)
        if data is None:
            return None
        is_caught_up = self.backlog_end is not None and (not data or self.offset >= self.backlog_end)
        self.is_exhausted = len(data) < turn_bytes and not is_caught_up
        read_bytes = len(data)
        if self._is_aligning and data:
            data = self._align(data)
        before = self.rest
        self.rest, chunks = cut(
            before,
            data,
            path=self._path,
            cap_bytes=cap_bytes,
            caught_up=is_caught_up or self.is_exhausted,
            backlog=self._is_backlog,
        )
        if is_caught_up:
            chunks = chunks or (self._nothing(),)
            self.backlog_end = None
            self._is_backlog = False
        long_offsets = [chunk.start_offset for chunk in chunks if chunk.truncated]
        if self.rest.skipped_bytes:
            long_offsets.append(self.rest.offset)
        if before.skipped_bytes:
            del long_offsets[0]
        return Taken(
            chunks=self._numbered(chunks),
            long_offsets=tuple(long_offsets),
            read_bytes=read_bytes,
            is_more=is_caught_up or not self.is_exhausted,
            is_caught_up=is_caught_up,
        )

    def finish(self) -> Taken:
        """Give out the unterminated rest: the file will not be read again."""
        self.rest, chunks = finish(self.rest, path=self._path, backlog=self._is_backlog)
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
        return self._position(self.offset, self._marker, self.rest.number)

    def given_position(self) -> Position:
        """Say where the first line starts that has not been given out."""
        return self._position(self._given_offset, self._given_marker, self._given_number)

    def is_copied_by(self, descriptor: int, size_bytes: int) -> bool:
        """Tell whether an open file of `size_bytes` is a copy of this one, finished or still being made."""
        if not size_bytes or not self._prefix:
            return False
        if size_bytes >= self.offset:
            return holds(descriptor, self.position())
        if self.descriptor is None:
            return False
        tail_bytes = min(size_bytes, MARKER_BYTES)
        tail = _peek(descriptor, tail_bytes, size_bytes - tail_bytes)
        return self.begins_as(descriptor) and _peek(self.descriptor, tail_bytes, size_bytes - tail_bytes) == tail

    def size(self) -> int:
        """How large the file is now."""
        return self.known_bytes if self.descriptor is None else os.fstat(self.descriptor).st_size

    def begins_as(self, descriptor: int) -> bool:
        """Tell whether an open file that is not empty begins as this one does, as far as both go."""
        head = _peek(descriptor, len(self._prefix), 0)
        return bool(head) and self._prefix.startswith(head)

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

    def peek(self) -> None:
        """Look at the first bytes, to know the file by them before any of it is read."""
        if not self._prefix and self.descriptor is not None:
            self._prefix = os.pread(self.descriptor, PREFIX_BYTES, 0)
        self.is_blank = not self._prefix

    def close(self) -> None:
        """Let go of the descriptor."""
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
        self.rest = Rest(offset=self.offset - len(aligned))
        self._given_offset = self.rest.offset
        self._given_marker = self._bytes_before(self.rest.offset)
        return aligned

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
            backlog=self._is_backlog,
        )

    def _position(self, offset: int, marker: bytes, number: int) -> Position:
        device, inode = self.identity
        return Position(
            offset=offset,
            marker=marker,
            number=number,
            device=device,
            inode=inode,
            prefix_bytes=len(self._prefix),
            prefix_digest=_digest(self._prefix),
        )

    def _open_descriptor(self) -> int:
        if self.descriptor is None:
            raise OSError(errno.EBADF, "the log is not open")
        return self.descriptor

    def _bytes_before(self, offset: int) -> bytes:
        marker_bytes = min(offset, MARKER_BYTES)
        return b"" if self.descriptor is None else _peek(self.descriptor, marker_bytes, offset - marker_bytes)

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


def _peek(descriptor: int, size_bytes: int, offset: int) -> bytes:
    """Read a little for a comparison; nothing where that is not possible."""
    try:
        return os.pread(descriptor, size_bytes, offset)
    except OSError:
        return b""


def _digest(head: bytes) -> bytes:
    return blake2b(head, digest_size=16).digest()
