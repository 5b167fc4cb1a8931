r"""Bytes to whole lines, in any chunking: `cut` as they are read, `finish` where a file ends, `split` into lines.

A line ends with `\n`; a `\r` right before it belongs to the terminator, any other `\r` to the line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from logmonitor.records import Chunk, Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CAP_BYTES: Final = 1 << 20
"""Length from which on a line is over-long: only so much of its head is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Where the cutting of a file stands: what was read of it and not yet given out.

    `offset` is that of the first byte not yet given out, `number` that of its line. `held` are the bytes read from
    there on, in pieces; never more than the cap. `skipped_bytes` counts what was passed over behind them, and is not 0
    only while the line is over-long.
    """

    offset: int = 0
    number: int = 1
    held: tuple[bytes, ...] = ()
    skipped_bytes: int = 0

    @property
    def held_bytes(self) -> int:
        """How many bytes are held."""
        return sum(map(len, self.held))

    @property
    def read_offset(self) -> int:
        """Where in the file the next byte is to be read."""
        return self.offset + self.held_bytes + self.skipped_bytes


def cut(
    rest: Rest,
    data: bytes,
    *,
    path: Path,
    cap_bytes: int = CAP_BYTES,
    caught_up: bool = False,
    backlog: bool = False,
) -> tuple[Rest, tuple[Chunk, ...]]:
    """Cut whole lines out of `data`, the bytes that follow those already read.

    An over-long line is given out once its end is known, alone and by its head. `caught_up` marks the last chunk, but
    none while a line goes on that is being written: what comes next is of the same write. `backlog` marks all chunks,
    and there the last is marked in any case. What is given out does not depend on how the bytes were divided; a line
    that comes in n pieces is copied log n times, not n.
    """
    chunks: list[Chunk] = []
    if rest.skipped_bytes:
        end = data.find(b"\n") + 1
        if not end:
            return replace(rest, skipped_bytes=rest.skipped_bytes + len(data)), ()
        rest = _give_long(rest, end, path=path, backlog=backlog, chunks=chunks)
        data = data[end:]
    if end := data.rfind(b"\n") + 1:
        whole = data[:end] if not rest.held else b"".join((*rest.held, memoryview(data)[:end]))
        data = data[end:]
        rest = _give_whole(rest, whole, path=path, cap_bytes=cap_bytes, backlog=backlog, chunks=chunks)
    if data:
        rest = _hold(rest, data, cap_bytes=cap_bytes)
    if caught_up and chunks and (backlog or not rest.held):
        chunks[-1] = replace(chunks[-1], caught_up=True)
    return rest, tuple(chunks)


def finish(rest: Rest, *, path: Path, caught_up: bool = False, backlog: bool = False) -> tuple[Rest, tuple[Chunk, ...]]:
    """Give out the unterminated rest of a file that will not grow again; nothing if it ended with a whole line."""
    if not rest.held:
        return rest, ()
    end_offset = rest.read_offset
    chunk = Chunk(
        path=path,
        data=b"".join(rest.held),
        start_offset=rest.offset,
        end_offset=end_offset,
        number=rest.number,
        truncated=rest.skipped_bytes > 0,
        caught_up=caught_up,
        backlog=backlog,
    )
    return Rest(offset=end_offset, number=rest.number + 1), (chunk,)


def split(chunk: Chunk) -> Iterator[Line]:
    """Yield the lines of `chunk` in order; NULs, a lone carriage return and invalid UTF-8 stay in `raw`."""
    if chunk.truncated:
        yield Line(raw=chunk.data, offset=chunk.start_offset, number=chunk.number, truncated=True)
        return
    *whole, last = chunk.data.split(b"\n")
    offset = chunk.start_offset
    number = chunk.number
    for raw in whole:
        yield Line(raw=raw.removesuffix(b"\r"), offset=offset, number=number)
        offset += len(raw) + 1
        number += 1
    if last:
        yield Line(raw=last, offset=offset, number=number)


def _give_whole(rest: Rest, whole: bytes, *, path: Path, cap_bytes: int, backlog: bool, chunks: list[Chunk]) -> Rest:
    """Give out `whole`, which starts at `rest.offset` and ends with a terminator, around any over-long lines in it."""
    start = position = 0
    while len(whole) - position > cap_bytes + 1:
        if end := whole.rfind(b"\n", position, position + cap_bytes + 1) + 1:
            position = end
            continue
        rest = _give(rest, whole[start:position], path=path, backlog=backlog, chunks=chunks)
        head_end = position + cap_bytes
        rest = replace(rest, held=(whole[position:head_end],))
        start = whole.find(b"\n", head_end) + 1
        rest = _give_long(rest, start - head_end, path=path, backlog=backlog, chunks=chunks)
        position = start
    return _give(rest, whole[start:], path=path, backlog=backlog, chunks=chunks)


def _give(rest: Rest, data: bytes, *, path: Path, backlog: bool, chunks: list[Chunk]) -> Rest:
    """Give out `data`, lines none of which is over-long."""
    if not data:
        return rest
    end_offset = rest.offset + len(data)
    chunk = Chunk(
        path=path,
        data=data,
        start_offset=rest.offset,
        end_offset=end_offset,
        number=rest.number,
        backlog=backlog,
    )
    chunks.append(chunk)
    return Rest(offset=end_offset, number=rest.number + data.count(b"\n"))


def _give_long(rest: Rest, rest_bytes: int, *, path: Path, backlog: bool, chunks: list[Chunk]) -> Rest:
    """Give out the head that is held of an over-long line, which ends `rest_bytes` behind what was read of it."""
    ended = replace(rest, skipped_bytes=rest.skipped_bytes + rest_bytes)
    ended, given = finish(ended, path=path, backlog=backlog)
    chunks.extend(given)
    return ended


def _hold(rest: Rest, data: bytes, *, cap_bytes: int) -> Rest:
    """Hold `data`, which has no terminator, as far as the cap allows.

    Pieces are joined as in a binary counter, so that each byte is copied a logarithmic number of times.
    """
    room_bytes = cap_bytes - rest.held_bytes
    held = [*rest.held]
    if kept := data[:room_bytes]:
        held.append(kept)
    while len(held) > 1 and len(held[-2]) <= len(held[-1]) * 2:
        held[-2:] = [held[-2] + held[-1]]
    return replace(rest, held=tuple(held), skipped_bytes=max(0, len(data) - room_bytes))
