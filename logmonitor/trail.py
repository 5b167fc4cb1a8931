"""One followed path through all its rotations: which generations to read, in which order, and what to say of them."""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from logmonitor.generation import MARKER_BYTES, Generation, Position, Taken, holds, open_log
from logmonitor.records import Notice, NoticeKind
from logmonitor.rotation import Found, Search, find, relatives

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.roster import Roster
    from logmonitor.rotation import Trace

_HISTORY: Final = 16
_MAX_OLD: Final = 32


_NOWHERE: Final = Position(offset=0, marker=b"")
_WRITTEN_LATELY: Final = 2.0
_MAX_LINKS: Final = 40


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

    `tail_bytes` says how much of its end is read first, as backlog.
    """

    position: Position | None = None
    tail_bytes: int | None = None


class Trail:
    """A path that is followed: the generation that stands there, and those before it that may still be written to."""

    __slots__ = (
        "_beginning",
        "_beginning_bytes",
        "_is_begun",
        "_missing_since",
        "_overlooked",
        "_pace",
        "_refusal",
        "_roster",
        "_said_missing",
        "_seen",
        "current",
        "grew_at",
        "history",
        "is_caught_up",
        "name",
        "old",
        "path",
        "way",
    )

    def __init__(self, path: Path, *, roster: Roster, pace: Pace, beginning: Beginning | None) -> None:
        """Follow `path`, which need not exist; with no `beginning`, from the beginning of what appears."""
        self.path: Final = path
        self.name: Final = os.path.abspath(path)  # noqa: PTH100 - a string, made once, for a stat each second
        self.way: tuple[str, ...] = ()
        self.current: Generation | None = None
        self.old: list[Generation] = []
        self.history: deque[Position] = deque(maxlen=_HISTORY)
        self.grew_at: float | None = None
        self.is_caught_up = False
        self._roster: Final = roster
        self._pace: Final = pace
        self._beginning = beginning
        self._beginning_bytes: int | None = None
        self._is_begun = False
        self._seen: frozenset[Trace] = frozenset()
        self._overlooked: Trace | None = None
        self._missing_since: float | None = None
        self._said_missing = False
        self._refusal: int | None = None

    @property
    def is_gone(self) -> bool:
        """Whether nothing stands at the path and nothing is left to read."""
        return self._missing_since is not None and self.current is None and not self.old

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories that the path leads through, as they really are."""
        return tuple(dict.fromkeys(os.path.dirname(hop) for hop in self.way))  # noqa: PTH120

    def open(self, now: float) -> None:
        """Take up the file that stands at the path, without reading from it yet."""
        try:
            self._arrive(os.stat(self.name), now)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            self._miss(now, is_tick=False)
        except OSError as error:
            self._refuse(error)

    def look(self, now: float, *, is_tick: bool = False) -> bool:
        """Look at the path, read at most one turn, and return whether more waits to be read."""
        try:
            status = os.stat(self.name)  # noqa: PTH116 - of thousands of files each second
        except (FileNotFoundError, NotADirectoryError):
            self._miss(now, is_tick=is_tick)
            return self._read(now, is_tick=is_tick)
        except OSError as error:
            self._refuse(error)
            return self._read(now, is_tick=is_tick)
        current = self.current
        signature = (status.st_size, status.st_mtime_ns)
        if current is None or current.identity != (status.st_dev, status.st_ino):
            self._arrive(status, now)
        elif current.is_settled and current.signature == signature and not self.old and self._missing_since is None:
            return False
        self._missing_since = None
        if self._said_missing:
            self._said_missing = False
            self._say(NoticeKind.APPEARED, "has appeared")
        current = self.current
        if current is None:
            return self._read(now, is_tick=is_tick)
        if current.is_blank and (status.st_size or current.signature not in {None, signature}):
            self._catch_missed(current, now)
        offset = current.offset
        more = self._read(now, is_tick=is_tick)
        current.is_settled = current.signature == signature and current.offset == offset and not more
        current.signature = signature
        current.modified_ns = status.st_mtime_ns
        current.known_bytes = max(current.known_bytes, status.st_size)
        return more

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

    def conclude(self) -> None:
        """Give out the unterminated rest of everything, and read no more."""
        for generation in self.generations:
            self._give(generation, generation.finish())
        self.close()

    def close(self) -> None:
        """Let go of every descriptor."""
        for generation in self.generations:
            self._roster.release(generation.identity, None)
            generation.close()
        self.old.clear()
        self.current = None

    def put_aside(self) -> None:
        """Close the current file's descriptor for now; the file is opened again, and known again, when it has grown."""
        if self.current is not None:
            self.current.close()

    @property
    def generations(self) -> tuple[Generation, ...]:
        """What is being read, the oldest first."""
        return (*self.old, *((self.current,) if self.current else ()))

    def _say(self, kind: NoticeKind, detail: str, *, lost_bytes: int | None = None) -> None:
        self._roster.give_notice(Notice(kind=kind, path=self.path, detail=detail, lost_bytes=lost_bytes))

    # What stands at the path

    def _miss(self, now: float, *, is_tick: bool) -> None:
        """Take note that nothing stands at the path."""
        is_first = self._begin(None)
        if self._missing_since is None:
            self._missing_since = now
            if self.current is not None:
                self.current.await_quiet(now)
        is_late = is_tick and now - self._missing_since >= self._pace.tick / 2
        if not self._said_missing and (is_late or is_first):
            self._said_missing = True
            self._say(NoticeKind.MISSING, "does not exist; is read from its beginning once it does")
        beginning, self._beginning = self._beginning, None
        if beginning is not None and beginning.position is not None:
            self._resume(beginning.position, now)
        self.is_caught_up = True
        if self.current is not None and (
            self.current.descriptor is None or self.current.is_quiet(now, grace=self._pace.grace)
        ):
            self._set_aside(now, is_over=True)

    def _refuse(self, error: OSError) -> None:
        """Take note that the path cannot be read."""
        self.is_caught_up = True
        if self._refusal != error.errno:
            self._refusal = error.errno
            self._say(NoticeKind.UNREADABLE, f"cannot be read: {error.strerror or error}")

    def _welcome(self) -> None:
        """Take note that the path can be read."""
        if self._refusal is not None:
            self._refusal = None
            self._say(NoticeKind.APPEARED, "can be read again")

    def _begin(self, status: os.stat_result | None) -> bool:
        """Remember how things stood at the first look; return whether this is it."""
        if self._is_begun:
            return False
        self._is_begun = True
        if status is not None and stat.S_ISREG(status.st_mode):
            self._beginning_bytes = status.st_size
        elif self._beginning is not None and self._beginning.position is None:
            self._beginning = None
        self._resolve()
        return True

    def _arrive(self, status: os.stat_result, now: float) -> None:
        """Take up the file that stands at the path, which is not the one that stood there before."""
        self._begin(status)
        trace = ((status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)
        if trace == self._overlooked or self._roster.is_held(trace[0], self):
            self.is_caught_up = True
            self._set_aside(now)
            return
        try:
            descriptor, status = open_log(self.name)
        except FileNotFoundError:
            return
        except OSError as error:
            self._refuse(error)
            self._set_aside(now)
            return
        self._welcome()
        identity = (status.st_dev, status.st_ino)
        known = next((generation for generation in self.generations if generation.identity == identity), None)
        if known is not None:
            os.close(descriptor)
            if known is not self.current:
                self.old.remove(known)
                self._set_aside(now)
                self.current = known
        elif self._beginning is None and self._roster.is_copy(descriptor, status.st_size, self):
            os.close(descriptor)
            self._overlooked = trace
            self._set_aside(now)
        else:
            self._take_up(descriptor, status, now)

    def _take_up(self, descriptor: int, status: os.stat_result, now: float) -> None:
        """Begin to read an open file: where the settings say, where it was left, or at its beginning."""
        self._overlooked = None
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            self._start(descriptor, status, beginning, now)
            return
        previous = self.current
        position = self._roster.recall((status.st_dev, status.st_ino))
        if position is not None and not holds(descriptor, position):
            position = None
        is_replaced = position is None and previous is not None and _is_replaced(previous, descriptor)
        if is_replaced and previous is not None:
            position = previous.position()
        generation = Generation(descriptor, status, path=self.path, now=now, position=position)
        generation.is_blank |= previous is None and position is None
        if is_replaced and previous is not None:
            previous.continue_in(generation)
        self._set_aside(now, generation)
        self._enter(generation)

    def _start(self, descriptor: int, status: os.stat_result, beginning: Beginning, now: float) -> None:
        """Begin with a file that was there when following began."""
        position = beginning.position
        is_held = position is not None and holds(descriptor, position)
        generation = Generation(descriptor, status, path=self.path, now=now, position=position if is_held else None)
        size_bytes = status.st_size if self._beginning_bytes is None else min(self._beginning_bytes, status.st_size)
        if beginning.tail_bytes is not None and position is None:
            generation.start_at_end(
                tail_bytes=beginning.tail_bytes, cap_bytes=self._pace.cap_bytes, size_bytes=size_bytes
            )
        generation.backlog_end = max(size_bytes, generation.offset)
        self._enter(generation)
        if position is not None and not is_held:
            self._resume(position, now)

    def _resume(self, position: Position, now: float) -> None:
        """Go on from a saved position in the file that the one it was in has been renamed or copied to."""
        found = find(self._search(self.current, 0), position, copied=False)
        if found.rest is None:
            found.close()
            found = find(self._search(self.current, 0), position, copied=True)
        if found.rest is None:
            found.close()
            self._say(NoticeKind.GAP, f"what was read up to offset {position.offset} is not to be found any more")
            return
        left = Generation(*found.rest, path=self.path, now=now, position=position)
        self.old.append(left)
        self._roster.hold(left.identity, self)
        self._add_missed(found, now, is_copy=False)

    def _enter(self, generation: Generation) -> None:
        """Make `generation` the current one."""
        self.current = generation
        self._resolve()
        self._roster.hold(generation.identity, self)

    # What stood there before

    def _set_aside(self, now: float, successor: Generation | None = None, *, is_over: bool = False) -> None:
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
            self._say(NoticeKind.ROTATED, "was rotated; its old file is read on until it is quiet")
        if previous.descriptor is None:
            self._lose(previous, detail=None if is_over else "was rotated, and its old file is not to be found")
        self._add_missed(found, now, is_copy=False)
        while len(self.old) > _MAX_OLD and self.old[0].is_exhausted:
            self._end(self.old[0])

    def _restart(self, previous: Generation, descriptor: int, now: float) -> None:
        """Begin again in a file that was truncated, after what is left to read in the copy that was made before."""
        generation = Generation(descriptor, os.fstat(descriptor), path=self.path, now=now)
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
            self._roster.hold(previous.identity, self)
            self._say(NoticeKind.TRUNCATED, "was truncated; what had not been read is in the copy made before")
        else:
            self._say(NoticeKind.TRUNCATED, "was truncated; there is no copy of what stood there")
            is_busy = self.grew_at is not None and now - self.grew_at < _WRITTEN_LATELY * self._pace.tick
            self._lose(previous, detail="was truncated, and no copy was made before" if is_busy else None)

    def _catch_missed(self, current: Generation, now: float) -> None:
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

    def _add_missed(self, found: Found, now: float, *, is_copy: bool, after: Generation | None = None) -> None:
        """Let what a search found be read `after` a generation, or after all that is old; remember what it saw."""
        self._seen = found.relatives
        index = len(self.old) if after is None else self.old.index(after) + 1
        for descriptor, status in reversed(found.missed):
            generation = Generation(descriptor, status, path=self.path, now=now)
            generation.is_copy = is_copy
            self.old.insert(index, generation)
            self._roster.hold(generation.identity, self)

    def _lose(self, generation: Generation, *, detail: str | None) -> None:
        """Give up a generation, and say what is known to be lost; with no `detail`, perhaps nothing is."""
        lost_bytes = generation.known_bytes - generation.offset
        if lost_bytes > 0:
            self._say(NoticeKind.GAP, detail or "was truncated before it was read", lost_bytes=lost_bytes)
        elif detail is not None:
            self._say(NoticeKind.GAP, detail)
        self._end(generation)

    def _end(self, generation: Generation) -> None:
        """Be done with an old generation; its unterminated rest is given out, or handed to the file that goes on."""
        index = self.old.index(generation)
        del self.old[index]
        successor = next(chain(self.old[index:], (self.current,)), None)
        if not (generation.is_copy and successor is not None and generation.carry(successor)):
            self._give(generation, generation.finish())
        self.history.append(generation.position())
        self._roster.release(generation.identity, generation.position())
        generation.close()

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
            is_held=lambda identity: identity in own or self._roster.is_held(identity, self),
        )

    def _resolve(self) -> None:
        """Follow the path's links; where it leads elsewhere than before, see who stands there."""
        way = _way(self.name)
        if way == self.way:
            return
        self._roster.lead(self, way)
        self.way = way
        name = os.path.basename(way[-1])  # noqa: PTH119
        self._seen = frozenset(
            trace
            for directory in self.directories
            for trace in relatives(directory, self._roster.names(directory), of=name)
        )

    # Reading

    def _read(self, now: float, *, is_tick: bool) -> bool:
        """Read one turn of the oldest generation that has something; be done with those that are over."""
        for generation in tuple(self.old):
            if self._turn(generation, now, is_tick=is_tick):
                return True
            if generation in self.old and (generation.is_copy or generation.is_quiet(now, grace=self._pace.grace)):
                self._end(generation)
        return self.current is not None and self._turn(self.current, now, is_tick=is_tick)

    def _turn(self, generation: Generation, now: float, *, is_tick: bool) -> bool:
        """Read one turn of one generation; return whether to go on with it at once."""
        try:
            if generation.descriptor is None and not self._reopen(generation):
                return False
            taken = generation.take(turn_bytes=self._pace.turn_bytes, cap_bytes=self._pace.cap_bytes)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._refuse(error)
            generation.close()
            if generation is not self.current:
                self._lose(generation, detail="can no longer be read")
            return False
        if taken is None:
            return self._change(generation, now)
        self._welcome()
        self._give(generation, taken)
        if taken.read_bytes:
            self.grew_at = generation.grew_at = now
        elif is_tick:
            generation.count_tick()
        return taken.is_more

    def _change(self, generation: Generation, now: float) -> bool:
        """Take note that what was read of `generation` is no longer there."""
        if generation.descriptor is not None and not generation.is_copy:
            self._restart(generation, generation.descriptor, now)
            return True
        self._lose(generation, detail="lost the copy of what stood there")
        return False

    def _reopen(self, generation: Generation) -> bool:
        """Open a file again that was put aside; return whether it is still the same."""
        descriptor, status = open_log(self.name)
        if (status.st_dev, status.st_ino) != generation.identity:
            os.close(descriptor)
            return False
        generation.descriptor = descriptor
        self._roster.hold(generation.identity, self)
        return True

    def _give(self, generation: Generation, taken: Taken) -> None:
        for offset in taken.long_offsets:
            self._say(NoticeKind.LONG_LINE, f"the line at offset {offset} is longer than {self._pace.cap_bytes} bytes")
        for chunk, number in taken.chunks:
            self._roster.give_chunk(chunk, generation, number)
        self.is_caught_up |= taken.is_caught_up


def _is_replaced(previous: Generation, descriptor: int) -> bool:
    """Tell whether an open file takes the place of one that is gone and holds all that was read of it.

    So does what rsync and editors leave: a new inode with the old lines and more.
    """
    if previous.offset < MARKER_BYTES:
        return False
    is_gone = previous.descriptor is None or not os.fstat(previous.descriptor).st_nlink
    return is_gone and holds(descriptor, previous.position())


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
