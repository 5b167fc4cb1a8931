"""Packed logs: told by their first bytes, and unpacked a piece at a time into a window that has no name.

The window is a file in memory that holds the first bytes of the log, the last ones before what is to be read, and what
is ahead; it is emptied as it is read. So neither a full disk nor an archive that unpacks to a thousand times its size
is in the way.
"""

from __future__ import annotations

import bz2
import lzma
import os
import tempfile
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from logmonitor.following.position import MARKER_BYTES, PREFIX_BYTES, peek

if TYPE_CHECKING:
    from collections.abc import Callable

PACKED: Final = frozenset({".gz", ".bz2", ".xz"})
"""How the names of archives end that can be unpacked."""

_WINDOW_BYTES: Final = 1 << 23
_FEED_BYTES: Final = 1 << 16
_HEAD_FEED_BYTES: Final = 1 << 20
_MAX_FEEDS: Final = 32
_MAX_DICTIONARY_BYTES: Final = 1 << 28
_MAGIC_BYTES: Final = 6
_BROKEN: Final = (OSError, EOFError, zlib.error, lzma.LZMAError)


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """That of zlib, with the manners of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        unpacked = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = len(unpacked) < max_length and not self._inner.unconsumed_tail
        return unpacked


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_DICTIONARY_BYTES)


_MAGICS: Final[tuple[tuple[bytes, Callable[[], _Decompressor]], ...]] = (
    (b"\x1f\x8b\x08", _Gzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", _xz),
)


def is_packed(descriptor: int) -> bool:
    """Tell whether an open file is, by its first bytes, an archive that can be unpacked."""
    return _decompressor_of(peek(descriptor, _MAGIC_BYTES, 0)) is not None


def _decompressor_of(data: bytes) -> _Decompressor | None:
    return next((make() for magic, make in _MAGICS if data.startswith(magic)), None)


def anonymous_file() -> int:
    """Open a file that has no name and is gone when it is closed; in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("unpacked log", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Archive:
    """A packed file that is being unpacked into a window.

    `end_offset` is how much of the log has been unpacked, and `is_over` says that there is no more. `is_stuck` says
    that there should be and is not: the archive is still being written, or damaged, which `is_broken` tells apart.
    """

    __slots__ = (
        "_decompressor",
        "_feed",
        "_keep_from",
        "_packed",
        "_packed_offset",
        "end_offset",
        "is_broken",
        "is_over",
        "is_stuck",
        "window",
    )

    def __init__(self, packed: int, *, window: int, keep_from: int = 0) -> None:
        """Take over the descriptor of a packed file; unpack into `window`, and keep what lies from `keep_from` on."""
        self.end_offset = 0
        self.is_over = self.is_stuck = self.is_broken = False
        self._packed: Final = packed
        self._packed_offset = 0
        self.window: Final = window
        self._keep_from = keep_from
        self._feed = b""
        self._decompressor: _Decompressor | None = None

    @property
    def packed_bytes(self) -> int:
        """How large the packed file is by now."""
        return os.fstat(self._packed).st_size

    def advance(self, size_bytes: int) -> None:
        """Unpack at most `size_bytes` more; less where much of the packed file holds little."""
        if self.is_over or self.is_broken:
            return
        self.is_stuck = False
        end_offset = self.end_offset + size_bytes
        try:
            for _ in range(_MAX_FEEDS):
                unpacked = self._unpack(end_offset - self.end_offset)
                self._keep(unpacked)
                if self.end_offset >= end_offset or self.is_over or self.is_stuck:
                    return
        except _BROKEN:
            self.is_stuck = self.is_broken = True

    def rewind(self) -> None:
        """Unpack from the beginning again: what was broken has been written anew."""
        os.ftruncate(self.window, 0)
        self.end_offset = self._packed_offset = 0
        self.is_over = self.is_stuck = self.is_broken = False
        self._feed = b""
        self._decompressor = None

    def keep(self, keep_from: int) -> None:
        """Keep what lies from `keep_from` on; to be said before anything is unpacked."""
        self._keep_from = keep_from

    def trim(self) -> None:
        """Let go of what was read, once there is much of it; all that has been unpacked must have been read."""
        kept_from = max(self._keep_from, self.end_offset - MARKER_BYTES)
        if self.end_offset - self._keep_from < _WINDOW_BYTES:
            return
        kept = os.pread(self.window, self.end_offset - kept_from, kept_from)
        os.ftruncate(self.window, PREFIX_BYTES)
        os.pwrite(self.window, kept, kept_from)
        self._keep_from = kept_from

    def give_up(self) -> None:
        """Take what could be unpacked for all there is."""
        self.is_over = True

    def close(self) -> None:
        """Let go of the packed file; the window is somebody else's."""
        os.close(self._packed)

    def _unpack(self, max_bytes: int) -> bytes:
        """Unpack a piece; an empty one where more is to be read of the packed file, or where there is none."""
        decompressor = self._decompressor
        if decompressor is None:
            return self._begin()
        if decompressor.eof:
            self._feed = decompressor.unused_data
            self._decompressor = None
            return b""
        feed = b""
        if decompressor.needs_input:
            feed, self._feed = self._feed or self._read(), b""
            if not feed:
                self.is_stuck = True
                return b""
        return decompressor.decompress(feed, max_bytes)

    def _begin(self) -> bytes:
        """Begin with the first or the next stream of the archive; padding may lie before it, and behind the last."""
        self._feed = self._feed.lstrip(b"\0") if self._packed_offset else self._feed
        if len(self._feed) < _MAGIC_BYTES:
            more = self._read()
            self._feed += more
            if more:
                return b""
        self._decompressor = _decompressor_of(self._feed)
        if self._decompressor is None:
            is_first = self.end_offset == 0 and self._packed_offset <= _MAGIC_BYTES
            self.is_over, self.is_stuck = not is_first, is_first
        return b""

    def _read(self) -> bytes:
        data = os.pread(self._packed, _FEED_BYTES, self._packed_offset)
        self._packed_offset += len(data)
        return data

    def _keep(self, unpacked: bytes) -> None:
        """Put what has been unpacked where it stands in the log, as far as it is wanted."""
        start, end = self.end_offset, self.end_offset + len(unpacked)
        if start < PREFIX_BYTES:
            os.pwrite(self.window, unpacked[: PREFIX_BYTES - start], start)
        if end > self._keep_from:
            skipped_bytes = max(0, self._keep_from - start)
            os.pwrite(self.window, unpacked[skipped_bytes:] if skipped_bytes else unpacked, start + skipped_bytes)
        self.end_offset = end


def head_of(descriptor: int) -> tuple[bytes, bool]:
    """Unpack the first bytes of a packed file; tell also whether these are all that will be needed."""
    decompressor = _decompressor_of(peek(descriptor, _MAGIC_BYTES, 0))
    if decompressor is None:
        return b"", False
    head = b""
    try:
        packed = os.pread(descriptor, _HEAD_FEED_BYTES, 0)
        while len(head) < PREFIX_BYTES and not decompressor.eof:
            feed = b""
            if decompressor.needs_input:
                feed, packed = packed[:_FEED_BYTES], packed[_FEED_BYTES:]
                if not feed:
                    return head, False
            head += decompressor.decompress(feed, PREFIX_BYTES - len(head))
    except _BROKEN:
        return head, False
    return head, len(head) == PREFIX_BYTES or not (decompressor.unused_data or packed)
