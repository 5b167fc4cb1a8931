"""How a path is read: where it begins, how much at a time, and how long an old file is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logmonitor.following.position import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much is read in one turn, how long a line may be, and how long an old inode is kept once it is quiet."""

    turn_bytes: int
    cap_bytes: int
    grace: float
    tick: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """Where to start in a file that is there already: at `position`, before the end, or with neither at its beginning.

    `tail_bytes` says how much before that is read first, as backlog; None that the file is read from its beginning.
    """

    position: Position | None = None
    tail_bytes: int | None = None

    @property
    def context_bytes(self) -> int:
        """How much before a saved position is read first."""
        return self.tail_bytes or 0
