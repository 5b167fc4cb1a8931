"""The files an audit stands in: its own and the copies that logrotate makes of it, compressed or not."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from logmonitor.auditing.chain import Tail, tail_of
from logmonitor.following.rotation import is_relative

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from logmonitor.auditing.chain import Link

UNREADABLE: Final = (OSError, EOFError, zlib.error)
"""What reading a copy may raise."""

_COMPRESSED: Final = ".gz"
_WINDOWS_BYTES: Final = (1 << 16, 1 << 24)
_CHUNK_BYTES: Final = 1 << 20
_LIMIT_BYTES: Final = 1 << 28
_LOOKED_AT: Final = 16


def copies_of(path: Path) -> tuple[Path, ...]:
    """List the rotated copies of the audit at `path` that lie beside it, the one written last first."""
    found: list[tuple[int, Path]] = []
    for name in os.listdir(path.parent):  # noqa: PTH208 - names are what is compared
        if not any(is_relative(one, of=path.name) for one in (name, name.removesuffix(_COMPRESSED))):
            continue
        with suppress(OSError):
            status = (path.parent / name).lstat()
            if stat.S_ISREG(status.st_mode):
                found.append((status.st_mtime_ns, path.parent / name))
    return tuple(copy for _, copy in sorted(found, reverse=True))


@contextmanager
def opened_copy(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open the audit or a copy of it, to read what was written to it.

    Raises:
        OSError: it cannot be opened.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        if path.suffix != _COMPRESSED:
            yield stream
            return
        with gzip.GzipFile(fileobj=stream) as unpacked:
            yield unpacked


def newest_in_copies(path: Path, anchor: Link | None) -> Link | None:
    """Return the newest record of the rotated copies; the search ends at one as new as `anchor`.

    A copy that cannot be read is passed over.
    """
    newest: Link | None = None
    for copy in copies_of(path)[:_LOOKED_AT]:
        with suppress(*UNREADABLE), opened_copy(copy) as stream:
            found = (_unpacked_tail(stream) if isinstance(stream, gzip.GzipFile) else read_tail(stream.fileno())).newest
            if found is not None and (newest is None or found.n > newest.n):
                newest = found
        if newest is not None and (anchor is None or newest.n >= anchor.n):
            break
    return newest


def read_tail(descriptor: int) -> Tail:
    """Look at the end of an open file.

    Raises:
        OSError: it cannot be read.
    """
    size = os.fstat(descriptor).st_size
    tail = Tail()
    for window in _WINDOWS_BYTES:
        start = max(0, size - window)
        tail = tail_of(_read(descriptor, start, size), is_whole=start == 0)
        if tail.newest is not None or start == 0:
            break
    return tail


def _read(descriptor: int, start: int, end: int) -> bytes:
    data = bytearray()
    while start + len(data) < end and (part := os.pread(descriptor, end - start - len(data), start + len(data))):
        data += part
    return bytes(data)


def _unpacked_tail(stream: gzip.GzipFile) -> Tail:
    """Look at the end of what can only be read from its beginning; of what is too long for that nothing is known."""
    data, count = b"", 0
    while part := stream.read(_CHUNK_BYTES):
        count += len(part)
        if count > _LIMIT_BYTES:
            return Tail()
        data = (data + part)[-2 * _CHUNK_BYTES :]
    return tail_of(data, is_whole=count == len(data))
