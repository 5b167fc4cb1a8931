"""Lines from, and bytes to, a file descriptor, on the event loop and without a thread.

A descriptor keeps its mode: it may be shared with other processes, which non-blocking mode would surprise. So each read
and write waits until the system says that it will not block.
"""

from __future__ import annotations

import asyncio
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.lines import Rest, cut, finish, split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from logmonitor.records import Line

_READ_BYTES: Final = 1 << 16


async def read_lines(descriptor: int, *, cap_bytes: int) -> AsyncIterator[Line]:
    """Yield the lines that `descriptor` brings, until its end; of one longer than `cap_bytes`, the head."""
    loop = asyncio.get_running_loop()
    path = Path(f"/dev/fd/{descriptor}")
    rest = Rest()
    while True:
        await _ready(descriptor, loop.add_reader, loop.remove_reader)
        data = os.read(descriptor, _READ_BYTES)
        rest, chunks = cut(rest, data, path=path, cap_bytes=cap_bytes) if data else finish(rest, path=path)
        for chunk in chunks:
            for line in split(chunk):
                yield line
        if not data:
            return


async def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; a reader that is slow is waited for.

    Raises:
        OSError: it cannot be written, as when the reader has gone.
    """
    loop = asyncio.get_running_loop()
    view = memoryview(data)
    while view:
        await _ready(descriptor, loop.add_writer, loop.remove_writer)
        view = view[os.write(descriptor, view[: select.PIPE_BUF]) :]


async def _ready(
    descriptor: int, add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool]
) -> None:
    """Wait until `descriptor` will not block; a regular file or `/dev/null`, which cannot be asked, never does."""
    ready = asyncio.Event()
    try:
        add(descriptor, ready.set)
    except PermissionError:
        return
    try:
        await ready.wait()
    finally:
        remove(descriptor)
