"""The generations of one followed path: the one that stands there, those before it, and how each came and went."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from logmonitor.following.generation import Generation, Taken
from logmonitor.following.position import Identity, Position, holds
from logmonitor.following.search import Found, Opened, find, find_missed
from logmonitor.following.surroundings import OutdatedError, Surroundings
from logmonitor.following.unpacking import Unpacking, Verdict
from logmonitor.records import Notice, NoticeKind

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.following.roster import Roster
    from logmonitor.following.trail import Trail

_ATTEMPTS: Final = 20
_MAX_OLD: Final = 32
_UNSEEN: Final = "what was written after the last look at it is lost"
_NOWHERE: Final = Position(offset=0, marker=b"")


class Lineage(Surroundings):
    """The generations of a path, and what becomes of them when it is rotated."""

    __slots__ = ("_path",)

    def __init__(self, path: Path, *, trail: Trail, roster: Roster) -> None:
        """Begin with nothing at `path`."""
        super().__init__(path, trail=trail, roster=roster)
        self._path: Final = path

    def say(self, kind: NoticeKind, detail: str, *, lost_bytes: int | None = None) -> None:
        """Give out a notice about the path."""
        self._roster.give_notice(Notice(kind=kind, path=self._path, detail=detail, lost_bytes=lost_bytes))

    def give(self, generation: Generation, taken: Taken) -> None:
        """Give out what a turn of `generation` gave."""
        for offset in taken.long_offsets:
            self.say(NoticeKind.LONG_LINE, f"the line at offset {offset} is cut: only its first bytes are given out")
        for chunk, number in taken.chunks:
            self._roster.give_chunk(chunk, generation, number)
        if taken.is_caught_up:
            for other in self.generations:
                other.is_backlog &= other.backlog_end is not None

    def enter(self, generation: Generation) -> None:
        """Make `generation` the current one."""
        self.current = generation
        self.resolve()
        generation.directory = os.path.dirname(self.way[-1])  # noqa: PTH120 - names are strings here
        self._roster.hold(generation.identity, self._trail)

    def set_aside(self, now: float, successor: Generation | None = None, *, is_over: bool = False) -> None:
        """Let the current generation be an old one, which is read on until it is over; find what came after it.

        Raises:
            OutdatedError: the successor stands there no more; nothing has changed.
            OSError: this process may open no more files; nothing has changed.
        """
        previous = self.current
        if previous is None:
            return
        search = self._search(successor, previous.modified_ns, is_copied=False)
        found = find(search, previous.position(), copied=False)
        if previous.descriptor is None and found.rest is None:
            found.close()
            found = find(search, previous.position(), copied=True)
        self._check(successor, found)
        if found.rest is not None and previous.descriptor is not None:
            found.rest.close()
        detail = None if is_over else f"was rotated, and its old file is not to be found; {_UNSEEN}"
        is_lost = previous.descriptor is None and not self._fill(previous, found, loss=detail)
        self.current = None
        self.old.append(previous)
        if not is_over:
            previous.await_quiet(now)
            self.say(NoticeKind.ROTATED, "was rotated; its old file is read on until it is quiet")
        self._add_missed(found, now, is_copy=False)
        if is_lost:
            self.lose(previous, detail=detail)
        while len(self.old) > _MAX_OLD and self.old[0].is_exhausted:
            self.end(self.old[0])

    def restart(self, previous: Generation, descriptor: int, now: float, *, is_certain: bool) -> None:
        """Begin again in a file that was truncated, after what is left to read in the copy that was made before.

        Where there is none, nothing that nobody has seen is lost only if that `is_certain`.
        """
        for _ in range(_ATTEMPTS):
            status = os.fstat(descriptor)
            generation = Generation(descriptor, status, path=self._path, now=now)
            search = self._search(generation, previous.modified_ns, is_copied=True)
            found = find(search, previous.position(), copied=True)
            if generation.begins_as_before():
                break
            found.close()
        generation.directory = previous.directory
        generation.signature = (status.st_size, status.st_mtime_ns)
        detail = f"was truncated, and no copy was made before; {_UNSEEN}"
        is_found = self._fill(previous, found, loss=detail)
        is_read = not is_found and not previous.offset and any(map(previous.is_copied_in, self.old))
        is_read |= found.is_spent if not previous.offset else False
        is_read |= bool(found.relatives) and not previous.is_known
        if not is_found:
            previous.descriptor = None
        if previous is self.current:
            self.current = generation
            self.old.append(previous)
        else:
            self.old.insert(self.old.index(previous) + 1, generation)
        self._add_missed(found, now, is_copy=True, after=previous)
        previous.is_copy |= is_found or is_read
        if is_found or is_read:
            self.say(NoticeKind.TRUNCATED, "was truncated; what had not been read is in the copy made before")
        else:
            self.say(NoticeKind.TRUNCATED, "was truncated; there is no copy of what stood there")
        if is_read or (is_certain and not is_found and previous.known_bytes <= previous.offset):
            self.end(previous)
        elif not is_found:
            self.lose(previous, detail=detail)
        self._roster.hold(generation.identity, self._trail)

    def resume(self, position: Position, current: Generation | None, now: float, *, tail_bytes: int) -> bool:
        """Find the file in which a saved position is; return whether that is the current one.

        Else it is read first, and what came after it; where it is not to be found that is said.

        Raises:
            OutdatedError: the current file stands there no more; nothing has changed.
            OSError: this process may open no more files; nothing has changed.
        """
        is_here = current is not None and current.descriptor is not None and holds(current.descriptor, position)
        is_same = current is not None and current.identity == position.identity
        if is_here and position.is_distinct:
            return True
        self._places = (position.directory,) if position.directory else ()
        search = self._search_since(position, current, is_copied=is_same)
        found = Found() if is_here and is_same else find(search, position, copied=False)
        if found.rest is None:
            found.close()
            found = find(search, position, copied=True)
            if is_here and not _is_since(found, position):
                found.close()
                return True
        self._check(current, found)
        left = None
        loss = f"what was read up to offset {position.offset} is not to be found any more"
        if found.rest is not None:
            left = Generation(found.rest.descriptor, found.rest.status, path=self._path, now=now)
            left.go_on(position, tail_bytes=tail_bytes)
            left.directory = os.path.dirname(found.rest.sibling.path)  # noqa: PTH120
        elif found.archives:
            unpacking = Unpacking(found.archives, position=position, loss=loss)
            left = Generation(unpacking.archive.window, found.archives[0].status, path=self._path, now=now)
            left.unpacking = unpacking
            left.await_rest(position)
        elif position.modified_ns is None:
            found = _without_missed(found)
        if left is None:
            if position.offset or not found.missed:
                self.say(NoticeKind.GAP, loss)
        else:
            left.is_copy = is_same
            self.old.append(left)
            self._roster.hold(left.identity, self._trail)
        self._add_missed(found, now, is_copy=is_same, is_backlog=True)
        if current is None and self.old:
            self.old[-1].backlog_end = sys.maxsize
        return False

    def catch_missed(self, current: Generation, now: float) -> bool:
        """Find what came and went in a file that was seen empty before what stands there; return whether any did.

        In one that has been renamed since, nothing did.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self.add_missed(current, now)
            except OutdatedError:
                if not self.stands(current):
                    break
        return False

    def add_missed(self, current: Generation, now: float) -> bool:
        """Find generations that came and went since the file at the path was seen empty; return whether any did.

        If that is still the same file, they are copies of what stood in it.

        Raises:
            OutdatedError: the file stands there no more; nothing has changed.
            OSError: this process may open no more files; nothing has changed.
        """
        current.has_begun()
        modified_ns = max((generation.modified_ns for generation in self.old), default=0)
        is_copy = current.signature is not None
        found = find(self._search(current, modified_ns, is_copied=is_copy), _NOWHERE, copied=False)
        self._check(current, found)
        old_count = len(self.old)
        self._add_missed(found, now, is_copy=is_copy)
        is_any = len(self.old) > old_count
        if is_copy and is_any:
            current.carry(self.old[old_count])
        return is_any

    def seek(self, generation: Generation, now: float, *, turn_bytes: int, tail_bytes: int) -> Verdict:
        """Unpack a piece of an archive that may hold `generation`, and go on with what is known then."""
        unpacking = generation.unpacking
        if unpacking is None:
            return Verdict.HOLDS
        before = unpacking.archive.end_offset
        verdict = unpacking.seek(turn_bytes, tail_bytes=tail_bytes)
        if unpacking.archive.end_offset > before:
            generation.await_quiet(now)
        if verdict is Verdict.BEGINS:
            unpacking.doubt(self._ends_alike(unpacking.head, generation))
        elif verdict is Verdict.HOLDS and unpacking.position is not None:
            if not self._take_archive(generation, unpacking, now, tail_bytes=tail_bytes):
                return Verdict.UNKNOWN
        elif verdict is Verdict.HOLDS or (
            verdict is Verdict.DIFFERS and unpacking.doubts and unpacking.is_shorter_copy
        ):
            self._pass_over(generation)
        elif verdict is Verdict.DIFFERS and unpacking.doubts:
            unpacking.doubt_no_more()
        elif verdict is Verdict.DIFFERS and not unpacking.next_archive():
            if unpacking.position is not None and not unpacking.is_placed:
                try:
                    self._add_later(generation, unpacking.position, now, place=None)
                except OutdatedError:
                    return Verdict.UNKNOWN
            self.lose(generation, detail=unpacking.loss)
        elif verdict is Verdict.DIFFERS:
            generation.adopt(unpacking.archive.window, unpacking.opened.sibling.identity)
            self._roster.hold(generation.identity, self._trail)
        return verdict

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
        """Give up a generation, and say how much is known to be lost; with no `detail`, nothing is if none is known."""
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
        if index:
            self._ended = (self.old[index - 1], generation.position())
        elif self._ended is not None and self._ended[0] is generation:
            self._ended = None
        if generation.unpacking is not None and generation.unpacking.is_torn:
            name = os.path.basename(generation.unpacking.opened.sibling.path)  # noqa: PTH119
            self.say(NoticeKind.GAP, f"the archive {name!r} is damaged or was never finished; what it lacks is lost")
        successor = next(chain(self.old[index:], (self.current,)), None)
        if not (generation.is_copy and successor is not None and generation.carry(successor)):
            self.give(generation, generation.finish())
        self.history.append(generation.position())
        self._leaving = [one for one in (*self._leaving, generation) if one.pending]
        self._roster.release(generation.identity, generation.position())
        generation.close()

    def reopened(self, descriptor: int, generation: Generation) -> None:
        """Take a descriptor for a generation that had been put aside."""
        generation.descriptor = descriptor
        self._roster.hold(generation.identity, self._trail)

    def _fill(self, generation: Generation, found: Found, *, loss: str | None) -> bool:
        """Let a generation whose file is gone go on in what was found; return whether anything was."""
        if found.rest is not None:
            opened = found.rest
            generation.descriptor = opened.descriptor
        elif found.archives:
            opened = found.archives[0]
            generation.unpacking = Unpacking(found.archives, position=generation.position(), loss=loss)
            generation.descriptor = generation.unpacking.archive.window
        else:
            return False
        generation.identity = opened.sibling.identity
        generation.is_exhausted = False
        self._roster.hold(generation.identity, self._trail)
        return True

    def _take_archive(self, generation: Generation, unpacking: Unpacking, now: float, *, tail_bytes: int) -> bool:
        """Read on in the archive that holds what was read, and find what came after it; return whether that could be.

        It cannot while the log is being rotated: what stands at the path has to be seen first.
        """
        if unpacking.position is not None and not unpacking.is_placed:
            try:
                self._add_later(generation, unpacking.position, now, place=unpacking.opened.sibling.identity)
            except OutdatedError:
                return False
            unpacking.is_placed = True
            if not generation.offset and generation.is_backlog:
                generation.go_on(unpacking.position, tail_bytes=tail_bytes)
        unpacking.is_found = True
        return True

    def _add_later(self, generation: Generation, position: Position, now: float, *, place: Identity | None) -> None:
        """Let the generations be read that came after the one whose archive is, or was not, found."""
        search = self._search_since(position, self.current, is_copied=generation.is_copy)
        found = find_missed(search, position, place=place)
        self._check(self.current, found)
        if place is None and position.modified_ns is None:
            found = _without_missed(found)
        is_last = generation.backlog_end is not None and self.old[-1] is generation and bool(found.missed)
        self._add_missed(found, now, is_copy=generation.is_copy, after=generation, is_backlog=generation.is_backlog)
        if is_last:
            generation.backlog_end, self.old[-1].backlog_end = None, generation.backlog_end

    def _ends_alike(self, head: bytes, generation: Generation) -> list[Position]:
        """Say how far other generations were read that begin with the same bytes."""
        others = (other for other in self.generations if other is not generation and other.begins_with(head))
        known = (position for position in self.history if position.offset and position.begins(head))
        return [*(other.position() for other in others), *known]

    def _pass_over(self, generation: Generation) -> None:
        """Be done with an archive that holds only what was read before."""
        index = self.old.index(generation)
        del self.old[index]
        successor = next(chain(self.old[index:], (self.current,)), None)
        if successor is not None:
            generation.carry(successor)
        self._roster.release(generation.identity, None)
        generation.close()

    def _add_missed(
        self, found: Found, now: float, *, is_copy: bool, after: Generation | None = None, is_backlog: bool = False
    ) -> None:
        """Let what a search found be read `after` a generation, or after all that is old; remember what it saw."""
        self._seen = found.relatives
        index = len(self.old) if after is None else self.old.index(after) + 1
        for opened in reversed(found.missed):
            generation = self._missed(opened, now)
            generation.is_copy = is_copy
            generation.is_backlog = is_backlog
            self.old.insert(index, generation)
            self._roster.hold(generation.identity, self._trail)

    def _missed(self, opened: Opened, now: float) -> Generation:
        """Make a generation of a file or an archive that was missed."""
        if not opened.is_packed:
            return Generation(opened.descriptor, opened.status, path=self._path, now=now)
        unpacking = Unpacking([opened])
        generation = Generation(unpacking.archive.window, opened.status, path=self._path, now=now)
        generation.unpacking = unpacking
        generation.known_bytes = 0
        return generation


def _is_since(found: Found, position: Position) -> bool:
    """Tell whether what was found was written to after the position was taken."""
    first = found.rest or next(iter(found.archives if position.offset else found.missed), None)
    since_ns = position.modified_ns
    return first is not None and since_ns is not None and first.sibling.modified_ns > since_ns


def _without_missed(found: Found) -> Found:
    """Let go of what may have been missed, where that cannot be told from what was read long ago."""
    for opened in found.missed:
        opened.close()
    return replace(found, missed=())
