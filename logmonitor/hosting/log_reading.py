"""Parts of logs: the last lines, those since a time, those that match; in bounded memory and linear time.

A log is read as it stood when it was opened, whatever takes its name meanwhile. All is done in a thread, which ends at
the next block when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from logmonitor.lines import CAP_BYTES
from logmonitor.log_slice import LastLines, LinesSince, LogSlice, MatchingLines
from logmonitor.machine import FileState
from logmonitor.reading.looking_back import Search, meet, reader_of
from logmonitor.reading.suspicion import spans_before
from logmonitor.records import Chunk
from logmonitor.scan import Scanner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logmonitor.log_slice import Selection

BLOCK_BYTES: Final = 1 << 18
MOST_COUNTED: Final = 100_000
"""Of more lines than these that match it is not counted how many there are."""

_ATTEMPTS: Final = 3


class _CutMeanwhileError(Exception):
    """The log has become shorter while it was read."""


class _UnwantedError(Exception):
    """Nobody waits for it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """A log that is open, as it stood then. `unwanted` is set when nobody waits for it any more."""

    path: Path
    descriptor: int
    size_bytes: int
    written_at: float
    unwanted: threading.Event

    def lines(self) -> Iterator[tuple[bytes, bool]]:
        """Yield its lines in chunks, the last chunk first; of a line that is over-long the head, alone, and True.

        Raises:
            _CutMeanwhileError: there is less than there was.
        """
        carried: deque[bytes] = deque()
        is_cut = False
        for start, block in self.blocks(self.size_bytes):
            begin = block.find(b"\n") + 1 if start else 0
            if start and not begin:
                carried.appendleft(block)
                is_cut = _keep_head(carried) or is_cut
                continue
            data = block[begin:]
            if is_cut:
                last = max(begin, block.rfind(b"\n") + 1)
                yield b"".join((block[last:], *carried))[:CAP_BYTES], True
                data = block[begin:last]
                carried.clear()
            if whole := b"".join((data, *carried)):
                yield whole, False
            carried, is_cut = deque([block[:begin]]), False

    def blocks(self, limit_bytes: int) -> Iterator[tuple[int, bytes]]:
        """Yield its last blocks, `limit_bytes` in all, the very last first, each with its offset.

        Raises:
            _CutMeanwhileError: there is less than there was.
        """
        end = self.size_bytes
        while end > max(0, self.size_bytes - limit_bytes):
            if self.unwanted.is_set():
                raise _UnwantedError
            start = max(0, self.size_bytes - limit_bytes, end - BLOCK_BYTES)
            data = os.pread(self.descriptor, end - start, start)
            if len(data) < end - start:
                raise _CutMeanwhileError
            yield start, data
            end = start


def file_state(path: Path) -> FileState:
    """Return how a file stands.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    status = path.stat()
    return FileState(size_bytes=status.st_size, modified_at=datetime.fromtimestamp(status.st_mtime, UTC))


async def read_log(path: Path, selection: Selection, *, limit_bytes: int, owner: int | None = None) -> LogSlice:
    """Return the selected lines of a log, at most the last `limit_bytes` of them.

    A hole at its beginning, behind which a truncated log goes on, is left out. Where `owner` is given, it is read if it
    is that user's, or root's and open to others for writing, and no link: this program may read more than others.

    Raises:
        OSError: it cannot be read, is no regular file, or is not that user's.
        PatternError: how the lines tell their time is refused.
    """
    unwanted = threading.Event()
    try:
        return await asyncio.to_thread(_read, path, selection, limit_bytes, owner, unwanted)
    finally:
        unwanted.set()


def _read(path: Path, selection: Selection, limit_bytes: int, owner: int | None, unwanted: threading.Event) -> LogSlice:
    for _attempt in range(_ATTEMPTS):
        with _opened(path, owner, unwanted) as log:
            try:
                return _select(log, selection, limit_bytes)
            except _CutMeanwhileError:
                continue
    raise OSError(errno.EAGAIN, "it is cut again and again while it is read", str(path))


@contextmanager
def _opened(path: Path, owner: int | None, unwanted: threading.Event) -> Iterator[_Log]:
    """Open a log; one that is no regular file is refused, and not waited for."""
    follow = os.O_NOFOLLOW if owner is not None else 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | follow)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if owner is not None and not _could_write(owner, status):
            raise PermissionError(errno.EPERM, "it is another user's", str(path))
        yield _Log(
            path=path,
            descriptor=descriptor,
            size_bytes=status.st_size,
            written_at=status.st_mtime,
            unwanted=unwanted,
        )
    finally:
        os.close(descriptor)


def _could_write(uid: int, status: os.stat_result) -> bool:
    is_open = bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return status.st_uid == uid or (status.st_uid == 0 and is_open)


def _select(log: _Log, selection: Selection, limit_bytes: int) -> LogSlice:
    match selection:
        case LastLines():
            return _last(log, selection.count, limit_bytes)
        case LinesSince():
            return _since(log, selection, limit_bytes)
        case _:
            return _matching(log, selection, limit_bytes)


def _last(log: _Log, count: int | None, limit_bytes: int) -> LogSlice:
    """Return the last lines, reading no more of the log than may be returned."""
    blocks: deque[bytes] = deque()
    ends = 0
    for _, block in log.blocks(limit_bytes + 1):
        ends += block.count(b"\n", 0, len(block) - (not blocks))  # the end of the last line is none between two
        blocks.appendleft(block)
        if count is not None and ends >= count:
            break
    data = b"".join(blocks)
    if count is not None and ends >= count:
        return _slice_of(log, data[_start_of_last(data, count) :], is_all=True)
    is_all = len(data) <= limit_bytes
    data, is_cut = _end_of(data, limit_bytes)
    return _slice_of(log, data, is_all=is_all, is_cut=is_cut)


def _since(log: _Log, wanted: LinesSince, limit_bytes: int) -> LogSlice:
    """Return the lines since a time, found by going back from the end."""
    stamp_at = reader_of(wanted.clock)
    search = Search(since=wanted.since.timestamp(), written_at=log.written_at, zone=wanted.clock.zone)
    held: deque[bytes] = deque()
    held_bytes = wanted_bytes = 0
    heads_at: list[int] = []
    for chunk, is_head in log.lines():
        data = chunk + b"\n" if is_head else chunk
        for start, end in spans_before(data, len(data) + (not data.endswith(b"\n"))):
            stamp = stamp_at(data[start:end])
            if stamp is not None:
                search, is_wanted = meet(search, stamp)
                wanted_bytes = held_bytes + len(data) - start if is_wanted else wanted_bytes
            if search.is_over:
                break
        held.appendleft(data)
        held_bytes += len(data)
        heads_at += [held_bytes] if is_head else []
        if search.is_over or held_bytes > limit_bytes:
            break
    data, is_end = _end_of(b"".join(held)[held_bytes - wanted_bytes :], limit_bytes)
    is_all = (search.is_over or held_bytes <= limit_bytes) and len(data) == wanted_bytes
    is_cut = is_end or any(at <= wanted_bytes for at in heads_at)
    return _slice_of(log, data, is_all=is_all, is_cut=is_cut, is_timed=search.is_timed)


def _matching(log: _Log, wanted: MatchingLines, limit_bytes: int) -> LogSlice:
    """Return the last lines that match, and count the others."""
    scanner = Scanner([wanted.pattern], strip_ansi=True)
    kept: deque[bytes] = deque()
    kept_bytes = found = 0
    is_full = is_cut = False
    for data, is_head in log.lines():
        chunk = Chunk(path=log.path, data=data, start_offset=0, end_offset=len(data), number=1, truncated=is_head)
        if is_full:
            found += scanner.count(chunk)
            if found > MOST_COUNTED:
                break
            continue
        hits = tuple(scanner.hits(chunk))
        found += len(hits)
        for hit in reversed(hits):
            line = hit.line.raw[: limit_bytes - 1] + b"\n"
            is_full = len(kept) == wanted.count or kept_bytes + len(line) > limit_bytes
            if is_full:
                break
            kept.appendleft(line)
            kept_bytes += len(line)
            is_cut = is_cut or is_head or len(line) <= len(hit.line.raw)
    slice_ = _slice_of(log, b"".join(kept), is_all=False, is_cut=is_cut)
    return replace(slice_, found=found if found <= MOST_COUNTED else None)


def _slice_of(log: _Log, data: bytes, *, is_all: bool, is_cut: bool = False, is_timed: bool = True) -> LogSlice:
    """Return lines that were found; `is_all` says that no others were wanted."""
    data = data.lstrip(b"\0")
    lines = _count(data)
    return LogSlice(
        data=data,
        lines=lines,
        found=lines if is_all else None,
        size_bytes=log.size_bytes,
        is_cut=is_cut,
        is_timed=is_timed,
    )


def _count(data: bytes) -> int:
    """Count lines, an unfinished last one too."""
    return data.count(b"\n") + (not data.endswith(b"\n") and data != b"")


def _start_of_last(data: bytes, count: int) -> int:
    """Return where the last `count` lines begin, before which there are more."""
    position = len(data) - data.endswith(b"\n")
    for _ in range(count):
        position = data.rfind(b"\n", 0, position)
    return position + 1


def _end_of(data: bytes, limit_bytes: int) -> tuple[bytes, bool]:
    """Return the last whole lines that the limit allows, or the end of one line that is longer, and True."""
    if len(data) <= limit_bytes:
        return data, False
    end = data[-limit_bytes - 1 :]
    behind_hole = end.lstrip(b"\0")
    if len(behind_hole) < len(end):
        return behind_hole, False
    newline = end.find(b"\n", 0, -1)
    if newline >= 0:
        return end[newline + 1 :], False
    return _from_character(end[1:]), True


def _keep_head(pieces: deque[bytes]) -> bool:
    """Drop what is behind the head of an over-long line; tell whether anything was."""
    left = sum(map(len, pieces))
    is_cut = False
    while (left := left - len(pieces[-1])) >= CAP_BYTES:
        pieces.pop()
        is_cut = True
    return is_cut


def _from_character(data: bytes) -> bytes:
    """Leave out what is left of a character of UTF-8 in front."""
    begin = next((index for index, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)  # noqa: PLR2004  # its form
    return data[begin:]
