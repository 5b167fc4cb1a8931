"""An open log file, and how to know it again: by its inode, its first bytes, and the last ones that were read of it."""

from __future__ import annotations

import os

from logmonitor.following.position import MARKER_BYTES, PREFIX_BYTES, Identity, Position, digest, holds, peek


class Likeness:
    """What is known of an open file by which it, its copies and what it was renamed to can be told from others.

    `descriptor` is None while the file is put aside to save descriptors. `offset` is where to read on. A blank one was
    empty when it was looked at last.
    """

    __slots__ = (
        "_marker",
        "_prefix",
        "descriptor",
        "directory",
        "identity",
        "is_blank",
        "known_bytes",
        "modified_ns",
        "offset",
    )

    def __init__(self, descriptor: int, status: os.stat_result, *, position: Position) -> None:
        """Take over an open descriptor; all up to `position` has been read."""
        self.descriptor: int | None = descriptor
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.offset = position.offset
        self.known_bytes = status.st_size
        self.modified_ns = status.st_mtime_ns
        self.directory = ""
        self._marker = position.marker
        self._prefix = os.pread(descriptor, PREFIX_BYTES, 0)
        self.is_blank = not (self.offset or self._prefix.strip(b"\0"))

    @property
    def is_known(self) -> bool:
        """Whether it can be told from others: some of it was read, or its first bytes are not all NULs."""
        return bool(self.offset or self._prefix.strip(b"\0"))

    def is_copied_by(self, descriptor: int, size_bytes: int) -> bool:
        """Tell whether an open file of `size_bytes` is a copy of this one, finished or still being made."""
        if not size_bytes or not self.is_known:
            return False
        if size_bytes >= self.offset:
            return holds(descriptor, self.place(self.offset, self._marker))
        if self.descriptor is None:
            return False
        tail_bytes = min(size_bytes, MARKER_BYTES)
        tail = peek(descriptor, tail_bytes, size_bytes - tail_bytes)
        head = peek(descriptor, len(self._prefix), 0)
        return self._prefix.startswith(head) and peek(self.descriptor, tail_bytes, size_bytes - tail_bytes) == tail

    def is_copied_in(self, other: Likeness) -> bool:
        """Tell whether another generation, which is read, is a copy of this one."""
        return other is not self and other.descriptor is not None and self.is_copied_by(other.descriptor, other.size())

    def size(self) -> int:
        """How large the file is now."""
        return self.known_bytes if self.descriptor is None else os.fstat(self.descriptor).st_size

    def is_replaced_by(self, descriptor: int) -> bool:
        """Tell whether an open file takes the place of this one, which is gone, and holds all that was read of it.

        So does what rsync and editors leave: a new inode with the old lines and more.
        """
        if self.offset < MARKER_BYTES:
            return False
        is_gone = self.descriptor is None or not os.fstat(self.descriptor).st_nlink
        return is_gone and holds(descriptor, self.place(self.offset, self._marker))

    def begins_as_before(self) -> bool:
        """Tell whether the first bytes that are known stand there still."""
        return self.descriptor is None or peek(self.descriptor, len(self._prefix), 0) == self._prefix

    @property
    def is_empty(self) -> bool:
        """Whether nothing stood there at the last look at its first bytes."""
        return not self._prefix

    def forget_beginning(self) -> None:
        """Take a file of which nothing was read for one that was seen empty."""
        self._prefix = b""
        self.is_blank = True

    def begins_as(self, descriptor: int, size_bytes: int) -> bool:
        """Tell whether an open file of `size_bytes` that is not empty begins as this one does, as far as both go.

        NULs are no beginning: all files begin so of a writer that goes on at its old place in one that was truncated.
        The end of such a one tells.
        """
        self.has_begun()
        own = self._fresh_prefix()
        head = peek(descriptor, len(own), 0)
        if head.strip(b"\0"):
            return own.startswith(head)
        start = max(0, size_bytes - MARKER_BYTES)
        tail = peek(descriptor, MARKER_BYTES, start)
        is_same = self.descriptor is not None and peek(self.descriptor, len(tail), start) == tail
        return is_same and bool(tail.strip(b"\0"))

    def begins_with(self, head: bytes) -> bool:
        """Tell whether `head`, the first bytes of an archive, are those of this file, as far as both go."""
        own = self._fresh_prefix()
        return bool(own.strip(b"\0")) and (own.startswith(head) or head.startswith(own))

    def _fresh_prefix(self) -> bytes:
        """Return the first bytes as they stand now, where they are those that were read."""
        fresh = b"" if self.descriptor is None else peek(self.descriptor, PREFIX_BYTES, 0)
        return fresh if fresh.startswith(self._prefix) else self._prefix

    def has_begun(self) -> bool:
        """Tell whether anything stands in a blank file by now; it is known by its first bytes from then on.

        By NULs it is not known.
        """
        if not self._prefix.strip(b"\0") and self.descriptor is not None:
            self._prefix = os.pread(self.descriptor, PREFIX_BYTES, 0)
        self.is_blank = not (self.offset or self._prefix.strip(b"\0"))
        return bool(self._prefix)

    def place(self, offset: int, marker: bytes, number: int = 1) -> Position:
        """Make a position in this file."""
        device, inode = self.identity
        prefix = self._prefix if self._prefix.strip(b"\0") else b""
        return Position(
            offset=offset,
            marker=marker,
            number=number,
            device=device,
            inode=inode,
            prefix_bytes=len(prefix),
            prefix_digest=digest(prefix),
            modified_ns=self.modified_ns,
            directory=self.directory,
        )
