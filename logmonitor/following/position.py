"""A place in a log that can be found again after rotations, and whether an open file holds it."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

MARKER_BYTES: Final = 256
PREFIX_BYTES: Final = 1024
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What an attempt to open a file ends with where nothing is wrong with the file, and a later one will do."""

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a log, and what is needed to find it again after rotations.

    `marker` are the last bytes before `offset`, at most 256. `number` is that of the line that starts at `offset`.
    `prefix_digest` is a hash of the file's first `prefix_bytes` bytes. Device and inode are a hint: inodes are used
    again, so the marker and the prefix decide. `modified_ns` is when the file had last been written to, and `directory`
    the one it was really in; both are hints too, None and empty where they are not known.
    """

    offset: int
    marker: bytes
    number: int = 1
    device: int | None = None
    inode: int | None = None
    prefix_bytes: int = 0
    prefix_digest: bytes = b""
    modified_ns: int | None = None
    directory: str = ""

    @property
    def identity(self) -> tuple[int | None, int | None]:
        """Device and inode."""
        return self.device, self.inode

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the file besides its inode: it was not empty."""
        return bool(self.offset or self.prefix_bytes)

    @property
    def is_distinct(self) -> bool:
        """Whether so much was read that no other file is likely to begin in the same way."""
        return self.offset >= MARKER_BYTES

    def begins(self, head: bytes) -> bool:
        """Tell whether `head`, the first bytes of a file, are those of the file that this is a place in."""
        return len(head) >= self.prefix_bytes and (
            not self.prefix_bytes or digest(head[: self.prefix_bytes]) == self.prefix_digest
        )


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
    if peek(descriptor, len(position.marker), position.offset - len(position.marker)) != position.marker:
        return False
    return position.begins(peek(descriptor, position.prefix_bytes, 0))


def peek(descriptor: int, size_bytes: int, offset: int) -> bytes:
    """Read a little for a comparison; nothing where that is not possible."""
    try:
        return os.pread(descriptor, size_bytes, offset)
    except OSError:
        return b""


def digest(head: bytes) -> bytes:
    """Hash the first bytes of a file."""
    return blake2b(head, digest_size=16).digest()
