"""A generation that is in an archive: which of some archives it is, and its lines, unpacked as they are read."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from logmonitor.following.archive import Archive
from logmonitor.following.position import MARKER_BYTES, PREFIX_BYTES, Position, holds, peek

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmonitor.following.search import Opened


class Verdict(Enum):
    """What is known of an archive by now."""

    UNKNOWN = auto()
    BEGINS = auto()
    HOLDS = auto()
    DIFFERS = auto()
    WAITS = auto()


class Unpacking:
    """The archives that may hold a generation, one of which is being unpacked.

    For a generation that was read up to `position`, that is the first of them that holds all up to there; with none it
    is not to be found, and `loss` is said. A generation that was missed is in one archive; once its first bytes are
    known, there may be doubts: the ends of those that were read and begin alike. Is it one of them, it is passed over.
    """

    __slots__ = (
        "_packed_bytes",
        "_rest",
        "archive",
        "doubts",
        "is_found",
        "is_placed",
        "is_torn",
        "loss",
        "opened",
        "position",
    )

    def __init__(
        self,
        archives: Iterable[Opened],
        *,
        position: Position | None = None,
        loss: str | None = None,
    ) -> None:
        """Take over what was opened, at least one; nothing is unpacked yet."""
        self.opened, *rest = archives
        self._rest: Final[list[Opened]] = rest
        self.position = position
        self.doubts: Final[list[Position]] = []
        self.loss: Final = loss
        self.is_found = False
        self.is_placed = self.is_torn = False
        self.archive = _archive(self.opened)
        self._packed_bytes = self.opened.status.st_size

    @property
    def is_over(self) -> bool:
        """Whether there is no more to unpack."""
        return self.archive.is_over

    @property
    def is_stuck(self) -> bool:
        """Whether there should be more, and is not yet."""
        return self.archive.is_stuck and not self.archive.is_over

    @property
    def _sought(self) -> Position | None:
        return self.position or (self.doubts[0] if self.doubts else None)

    def seek(self, size_bytes: int, *, tail_bytes: int) -> Verdict:
        """Unpack a piece on the way to what is sought, and tell what is known then."""
        sought, archive = self._sought, self.archive
        if sought is None:
            return self._begin()
        if not archive.end_offset:
            archive.keep(max(0, sought.offset - max(MARKER_BYTES, tail_bytes + 1)))
        head_bytes = max(sought.offset, sought.prefix_bytes)
        if archive.end_offset < head_bytes and not archive.is_over:
            archive.advance(min(size_bytes, head_bytes - archive.end_offset))
            if archive.end_offset < head_bytes and not archive.is_over:
                return Verdict.WAITS if archive.is_stuck else Verdict.UNKNOWN
        if archive.end_offset < sought.offset:
            return Verdict.DIFFERS
        return Verdict.HOLDS if holds(archive.window, sought) else Verdict.DIFFERS

    def _begin(self) -> Verdict:
        """Unpack the first bytes."""
        archive = self.archive
        if archive.end_offset < PREFIX_BYTES and not archive.is_over:
            archive.advance(PREFIX_BYTES - archive.end_offset)
        if archive.end_offset >= PREFIX_BYTES or archive.is_over:
            return Verdict.BEGINS
        return Verdict.WAITS if archive.is_stuck else Verdict.UNKNOWN

    @property
    def head(self) -> bytes:
        """The first bytes, as far as they have been unpacked."""
        return peek(self.archive.window, PREFIX_BYTES, 0)

    def doubt(self, positions: Iterable[Position]) -> None:
        """Begin anew if it may be one of those; else go on."""
        self.doubts.extend(positions)
        if self.doubts:
            self.archive.rewind()
        self.is_found = not self.doubts

    @property
    def is_shorter_copy(self) -> bool:
        """Whether what was unpacked begins as a generation that was read, and ends before that did."""
        doubt = self.doubts[0]
        return self.is_over and self.archive.end_offset < doubt.offset and doubt.prefix_bytes == PREFIX_BYTES

    def doubt_no_more(self) -> None:
        """Take up the next doubt; with none left, unpack all."""
        del self.doubts[0]
        self.archive.keep(0)
        self.archive.rewind()
        self.is_found = not self.doubts

    def next_archive(self) -> bool:
        """Turn to the next archive, which has a window of its own; return whether there is one."""
        if not self._rest:
            return False
        self.archive.close()
        self.opened = self._rest.pop(0)
        self.archive = _archive(self.opened)
        self._packed_bytes = self.opened.status.st_size
        return True

    def has_changed(self, position: Position) -> bool:
        """Tell whether the archive was written to meanwhile; one that was broken is unpacked anew up to `position`."""
        before, self._packed_bytes = self._packed_bytes, self.archive.packed_bytes
        if before == self._packed_bytes:
            return False
        if self.archive.is_broken:
            if self.is_found and position.offset:
                self.position, self.is_found = position, False
            self.archive.rewind()
        return True

    def give_up(self) -> None:
        """Take what could be unpacked for all there is."""
        self.is_torn = True
        self.archive.give_up()

    def unpack_ahead(self, offset: int, size_bytes: int, *, is_all_taken: bool) -> None:
        """Unpack so much that a piece can be read at `offset`."""
        ahead_bytes = self.archive.end_offset - offset
        if not ahead_bytes and is_all_taken:
            self.archive.trim()
        if ahead_bytes < size_bytes:
            self.archive.advance(size_bytes - ahead_bytes)

    def close(self) -> None:
        """Let go of the archives, but not of what was unpacked."""
        self.archive.close()
        for opened in self._rest:
            opened.close()
        self._rest.clear()


def _archive(opened: Opened) -> Archive:
    if opened.window is None:
        raise ValueError(f"{opened.sibling.path!r} is no archive; expected one")
    return Archive(opened.descriptor, window=opened.window)
