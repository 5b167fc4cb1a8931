"""How far the generations of one path have been read and given out."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from logmonitor.following.generation import Generation
    from logmonitor.following.position import Position

_HISTORY: Final = 16


class Course:
    """What stands at a path, what stood there and may still be written to, the oldest first, and what was read.

    `history` are the ends of the last generations that are over.
    """

    __slots__ = ("_ended", "_leaving", "current", "history", "old")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.current: Generation | None = None
        self.old: list[Generation] = []
        self.history: deque[Position] = deque(maxlen=_HISTORY)
        self._ended: tuple[Generation, Position] | None = None
        self._leaving: list[Generation] = []

    @property
    def generations(self) -> tuple[Generation, ...]:
        """What is being read, the oldest first."""
        return (*self.old, *((self.current,) if self.current else ()))

    def position(self) -> Position | None:
        """Say where the first line starts that has not been given out; None if no file was read yet."""
        for generation in self._leaving:
            if generation.pending:
                return generation.given_position()
        for index, generation in enumerate(self.old):
            if generation.pending or not generation.is_exhausted:
                return self._place(index)
        for generation in reversed(self.generations):
            if self._ended is not None and self._ended[0] is generation:
                return self._ended[1]
            if generation.is_given:
                return generation.given_position()
        first = next(iter(self.generations), None)
        if first is not None and not (first.is_blank and self.history):
            return first.given_position()
        return self.history[-1] if self.history else None

    def _place(self, index: int) -> Position:
        """Say how far an old generation was given out; of one of which nothing is known, how far that before it was."""
        position = self.old[index].given_position()
        if position.is_known:
            return position
        if not index:
            return self.history[-1] if self.history else position
        previous = self.old[index - 1]
        if self._ended is not None and self._ended[0] is previous:
            return self._ended[1]
        return self._place(index - 1)
