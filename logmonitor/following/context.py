"""What stands right before the place where a log is read on: it was handled, and tells how to read what follows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from logmonitor.following.generation import holds, open_log
from logmonitor.records import Chunk

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.following.generation import Position


def lines_before(path: Path, position: Position, /, *, size_bytes: int) -> tuple[Chunk, int] | None:
    """Return the whole lines before a position, as many as `size_bytes` hold, and the size of the file by now.

    None where the file at `path` is not the one that the position is in, or cannot be read.
    """
    try:
        descriptor, status = open_log(os.fspath(path))
    except OSError:
        return None
    try:
        if not holds(descriptor, position):
            return None
        start = max(0, position.offset - size_bytes)
        data = os.pread(descriptor, position.offset - start, start)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    skipped = data.find(b"\n") + 1 if start else 0
    chunk = Chunk(
        path=path,
        data=data[skipped:],
        start_offset=start + skipped,
        end_offset=position.offset,
        number=1,
        caught_up=True,
        backlog=True,
        handled=True,
    )
    return chunk, status.st_size
