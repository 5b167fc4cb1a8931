"""Where a path leads, what stands beside it, and where what stood there may have gone."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logmonitor.following.course import Course
from logmonitor.following.place import directories_of, way_of
from logmonitor.following.rotation import relatives
from logmonitor.following.search import Search

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.following.generation import Generation
    from logmonitor.following.position import Position
    from logmonitor.following.roster import Roster
    from logmonitor.following.rotation import Trace
    from logmonitor.following.search import Found
    from logmonitor.following.trail import Trail


class OutdatedError(Exception):
    """The file that was opened at a path stood there no more when its predecessors had been sought."""


class Surroundings(Course):
    """The way that a path leads, and the files around it.

    `way` are the places the path leads through.
    """

    __slots__ = ("_places", "_roster", "_seen", "_trail", "name", "way")

    def __init__(self, path: Path, *, trail: Trail, roster: Roster) -> None:
        """Begin with nothing at `path`."""
        super().__init__()
        self.name: Final = os.path.abspath(path)  # noqa: PTH100 - a string, made once, for a stat each second
        self.way: tuple[str, ...] = ()
        self._trail: Final = trail
        self._roster: Final = roster
        self._seen: frozenset[Trace] = frozenset()
        self._places: tuple[str, ...] = ()

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories that the path leads through, as they really are."""
        return directories_of(self.way)

    def stands(self, generation: Generation) -> bool:
        """Tell whether that generation is the one that stands at the path now."""
        try:
            status = os.stat(self.name)  # noqa: PTH116 - names are strings here
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == generation.identity

    def _check(self, current: Generation | None, found: Found) -> None:
        """Make sure that what was found came before the file at the path: that stood there meanwhile, as it was."""
        if current is None or (self.stands(current) and current.begins_as_before()):
            return
        if not current.offset:
            current.forget_beginning()
        found.close()
        raise OutdatedError

    def resolve(self) -> None:
        """Follow the path's links; where it leads to another directory than before, see who stands there."""
        way = way_of(self.name)
        if way == self.way:
            return
        known = (*self.directories, *self._roster.archives) if self.way else ()
        seen = frozenset(
            trace
            for directory in {*directories_of(way), *self._roster.archives}.difference(known)
            for place in way
            for trace in relatives(directory, self._roster.names(directory), of=os.path.basename(place))  # noqa: PTH119
        )
        self._roster.lead(self._trail, way)
        self.way = way
        self._seen |= seen

    def _search_since(self, position: Position, current: Generation | None, *, is_copied: bool) -> Search:
        """Search for what came after a position, as if nothing had been seen before."""
        since_ns = 0 if position.modified_ns is None else position.modified_ns + 1
        return replace(self._search(current, since_ns, is_copied=is_copied), seen=frozenset())

    def _search(self, current: Generation | None, since_ns: int, *, is_copied: bool) -> Search:
        own = {generation.identity for generation in self.generations}
        if current is not None:
            own.add(current.identity)
        way = tuple(dict.fromkeys((*way_of(self.name), *self.way)))
        return Search(
            names=tuple(dict.fromkeys(os.path.basename(place) for place in way)),  # noqa: PTH119
            directories=tuple(dict.fromkeys((*directories_of(way), *self._places, *self._roster.archives))),
            seen=self._seen,
            generations=tuple(generation for generation in self.generations if generation is not current),
            history=tuple(self.history),
            current=current,
            since_ns=since_ns,
            is_copied=is_copied,
            is_held=lambda identity: identity in own or self._roster.is_held(identity, self._trail),
        )
