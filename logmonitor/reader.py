"""A file as it stands, once, in whole lines and bounded memory: what `replay` and `follow --once` read with."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.lines import CAP_BYTES, Rest, cut, finish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logmonitor.records import Chunk

BLOCK_BYTES: Final = 1 << 18
"""How much is read at a time: small enough to stay in a core's cache until it has been scanned."""


def read_chunks(
    path: str | Path,
    *,
    start_offset: int = 0,
    block_bytes: int = BLOCK_BYTES,
    cap_bytes: int = CAP_BYTES,
) -> Iterator[Chunk]:
    """Read the file from `start_offset`, the start of a line, to its present end.

    The last line is given out even without terminator. What is written behind the size that the file had when it was
    opened is left for the next reading, so that reading a busy log ends. What has no size is read until it ends.

    Raises:
        OSError: it cannot be read, or is a directory.
    """
    path = Path(path)
    with path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        left = status.st_size - start_offset if stat.S_ISREG(status.st_mode) and status.st_size else None
        if start_offset:
            file.seek(start_offset)
        rest = Rest(offset=start_offset)
        while data := file.read(block_bytes if left is None else max(0, min(block_bytes, left))):
            left = None if left is None else left - len(data)
            rest, chunks = cut(rest, data, path=path, cap_bytes=cap_bytes, caught_up=left == 0)
            yield from chunks
        yield from finish(rest, path=path, caught_up=True)[1]
