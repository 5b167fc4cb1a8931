"""The generations of one followed path: the one that stands there, those before it, and how each came and went."""

from __future__ import annotations

import os
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Final

from logmonitor.following.generation import Generation, Position, Taken
from logmonitor.following.rotation import Found, Search, find, relatives
from logmonitor.records import Notice, NoticeKind

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.following.roster import Roster
    from logmonitor.following.rotation import Trace
    from logmonitor.following.trail import Trail

_HISTORY: Final = 16
_MAX_OLD: Final = 32
_MAX_LINKS: Final = 40
_NOWHERE: Final = Position(offset=0, marker=b"")


class Lineage:
    """What stands at a path, what stood there and may still be written to, the oldest first, and what was read.

    `way` are the places the path leads through, `history` the last generations that are over.
    """

    __slots__ = ("_path", "_roster", "_seen", "_trail", "current", "history", "name", "old", "way")

    def __init__(self, path: Path, *, trail: Trail, roster: Roster) -> None:
        """Begin with nothing at `path`."""
        self.name: Final = os.path.abspath(path)  # noqa: PTH100 - a string, made once, for a stat each second
        self.way: tuple[str, ...] = ()
        self.current: Generation | None = None
        self.old: list[Generation] = []
        self.history: deque[Position] = deque(maxlen=_HISTORY)
        self._path: Final = path
        self._trail: Final = trail
        self._roster: Final = roster
        self._seen: frozenset[Trace] = frozenset()

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories that the path leads through, as they really are."""
        return tuple(dict.fromkeys(os.path.dirname(hop) for hop in self.way))  # noqa: PTH120

    @property
    def generations(self) -> tuple[Generation, ...]:
        """What is being read, the oldest first."""
        return (*self.old, *((self.current,) if self.current else ()))

    def position(self) -> Position | None:
        """Say where the first line starts that has not been given out; None if no file was read yet."""
        for generation in self.old:
            if generation.pending or not generation.is_exhausted:
                return generation.given_position()
        if self.current is not None:
            return self.current.given_position()
        if self.old:
            return self.old[-1].given_position()
        return self.history[-1] if self.history else None

    def say(self, kind: NoticeKind, detail: str, *, lost_bytes: int | None = None) -> None:
        """Give out a notice about the path."""
        self._roster.give_notice(Notice(kind=kind, path=self._path, detail=detail, lost_bytes=lost_bytes))

    def give(self, generation: Generation, taken: Taken) -> None:
        """Give out what a turn of `generation` gave."""
        for offset in taken.long_offsets:
            self.say(NoticeKind.LONG_LINE, f"the line at offset {offset} is cut: only its first bytes are given out")
        for chunk, number in taken.chunks:
            self._roster.give_chunk(chunk, generation, number)

    def enter(self, generation: Generation) -> None:
        """Make `generation` the current one."""
        self.current = generation
        self.resolve()
        self._roster.hold(generation.identity, self._trail)

    def set_aside(self, now: float, successor: Generation | None = None, *, is_over: bool = False) -> None:
        """Let the current generation be an old one, which is read on until it is over; find what came after it."""
        previous = self.current
        if previous is None:
            return
        found = find(self._search(successor, previous.modified_ns), previous.position(), copied=False)
        self.current = None
        self.old.append(previous)
        if found.rest is not None:
            if previous.descriptor is None:
                previous.descriptor = found.rest[0]
            else:
                os.close(found.rest[0])
        if not is_over:
            previous.await_quiet(now)
            self.say(NoticeKind.ROTATED, "was rotated; its old file is read on until it is quiet")
        if previous.descriptor is None:
            self.lose(previous, detail=None if is_over else "was rotated, and its old file is not to be found")
        self._add_missed(found, now, is_copy=False)
        while len(self.old) > _MAX_OLD and self.old[0].is_exhausted:
            self.end(self.old[0])

    def restart(self, previous: Generation, descriptor: int, now: float, *, is_busy: bool) -> None:
        """Begin again in a file that was truncated, after what is left to read in the copy that was made before.

        Where there is none, a file that `is_busy` may have lost what nobody has seen.
        """
        generation = Generation(descriptor, os.fstat(descriptor), path=self._path, now=now)
        found = find(self._search(generation, previous.modified_ns), previous.position(), copied=True)
        previous.descriptor = None
        if previous is self.current:
            self.current = generation
            self.old.append(previous)
        else:
            self.old.insert(self.old.index(previous) + 1, generation)
        self._add_missed(found, now, is_copy=True, after=previous)
        if found.rest is not None:
            previous.descriptor, status = found.rest
            previous.identity = (status.st_dev, status.st_ino)
            previous.is_copy = True
            self._roster.hold(previous.identity, self._trail)
            self.say(NoticeKind.TRUNCATED, "was truncated; what had not been read is in the copy made before")
        else:
            self.say(NoticeKind.TRUNCATED, "was truncated; there is no copy of what stood there")
            self.lose(previous, detail="was truncated, and no copy was made before" if is_busy else None)
            self._roster.hold(generation.identity, self._trail)

    def resume(self, position: Position, now: float) -> None:
        """Go on from a saved position in the file that the one it was in has been renamed or copied to."""
        found = find(self._search(self.current, 0), position, copied=False)
        if found.rest is None:
            found.close()
            found = find(self._search(self.current, 0), position, copied=True)
        if found.rest is None:
            found.close()
            self.say(NoticeKind.GAP, f"what was read up to offset {position.offset} is not to be found any more")
            return
        left = Generation(*found.rest, path=self._path, now=now, position=position)
        self.old.append(left)
        self._roster.hold(left.identity, self._trail)
        self._add_missed(found, now, is_copy=False)

    def catch_missed(self, current: Generation, now: float) -> None:
        """Find generations that came and went since the file at the path was seen empty.

        If that is still the same file, they are copies of what stood in it.
        """
        current.peek()
        modified_ns = max((generation.modified_ns for generation in self.old), default=0)
        found = find(self._search(current, modified_ns), _NOWHERE, copied=False)
        is_copy = current.signature is not None
        old_count = len(self.old)
        self._add_missed(found, now, is_copy=is_copy)
        if is_copy and self.old[old_count:]:
            current.carry(self.old[old_count])

    def put_aside(self) -> None:
        """Close the current file's descriptor for now; the file is opened again, and known again, when it has grown."""
        if self.current is not None:
            self.current.close()

    def close(self) -> None:
        """Let go of every descriptor."""
        for generation in self.generations:
            self._roster.release(generation.identity, None)
            generation.close()
        self.old.clear()
        self.current = None

    def lose(self, generation: Generation, *, detail: str | None) -> None:
        """Give up a generation, and say what is known to be lost; with no `detail`, perhaps nothing is."""
        lost_bytes = generation.known_bytes - generation.offset
        if lost_bytes > 0:
            self.say(NoticeKind.GAP, detail or "what had not been read is gone", lost_bytes=lost_bytes)
        elif detail is not None:
            self.say(NoticeKind.GAP, detail)
        self.end(generation)

    def end(self, generation: Generation) -> None:
        """Be done with an old generation; its unterminated rest is given out, or handed to the file that goes on."""
        index = self.old.index(generation)
        del self.old[index]
        successor = next(chain(self.old[index:], (self.current,)), None)
        if not (generation.is_copy and successor is not None and generation.carry(successor)):
            self.give(generation, generation.finish())
        self.history.append(generation.position())
        self._roster.release(generation.identity, generation.position())
        generation.close()

    def resolve(self) -> None:
        """Follow the path's links; where it leads elsewhere than before, see who stands there."""
        way = _way(self.name)
        if way == self.way:
            return
        self._roster.lead(self._trail, way)
        self.way = way
        name = os.path.basename(way[-1])  # noqa: PTH119
        self._seen = frozenset(
            trace
            for directory in self.directories
            for trace in relatives(directory, self._roster.names(directory), of=name)
        )

    def _add_missed(self, found: Found, now: float, *, is_copy: bool, after: Generation | None = None) -> None:
        """Let what a search found be read `after` a generation, or after all that is old; remember what it saw."""
        self._seen = found.relatives
        index = len(self.old) if after is None else self.old.index(after) + 1
        for descriptor, status in reversed(found.missed):
            generation = Generation(descriptor, status, path=self._path, now=now)
            generation.is_copy = is_copy
            self.old.insert(index, generation)
            self._roster.hold(generation.identity, self._trail)

    def reopened(self, descriptor: int, generation: Generation) -> None:
        """Take a descriptor for a generation that had been put aside."""
        generation.descriptor = descriptor
        self._roster.hold(generation.identity, self._trail)

    def _search(self, current: Generation | None, since_ns: int) -> Search:
        own = {generation.identity for generation in self.generations}
        if current is not None:
            own.add(current.identity)
        return Search(
            name=os.path.basename(self.way[-1]),  # noqa: PTH119 - names are strings here
            directories=self.directories,
            seen=self._seen,
            generations=tuple(generation for generation in self.generations if generation is not current),
            history=tuple(self.history),
            current=current,
            since_ns=since_ns,
            is_held=lambda identity: identity in own or self._roster.is_held(identity, self._trail),
        )


def _way(name: str) -> tuple[str, ...]:
    """Name every place that a path leads through: the links it is, and the file; each in its real directory."""
    hops: list[str] = []
    for _ in range(_MAX_LINKS):
        directory, base = os.path.split(name)
        hop = os.path.join(os.path.realpath(directory), base)  # noqa: PTH118
        hops.append(hop)
        if not os.path.islink(hop):  # noqa: PTH114
            break
        name = os.path.join(os.path.dirname(hop), os.readlink(hop))  # noqa: PTH115, PTH118, PTH120
    return tuple(dict.fromkeys(hops))
