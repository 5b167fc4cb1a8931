"""One followed path: what stands there now, and what is to be read next."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from logmonitor.following.generation import Generation
from logmonitor.following.lineage import Lineage
from logmonitor.following.position import EXHAUSTED, holds, open_log
from logmonitor.following.surroundings import OutdatedError
from logmonitor.following.unpacking import Verdict
from logmonitor.records import Notice, NoticeKind

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.following.pace import Beginning, Pace
    from logmonitor.following.roster import Roster
    from logmonitor.following.rotation import Trace

_ATTEMPTS: Final = 20
_WRITTEN_LATELY: Final = 2.0
_MISSING: Final = "does not exist; is read from its beginning once it does"


class Trail:
    """A path that is followed, looked at again and again."""

    __slots__ = (
        "_beginning",
        "_beginning_bytes",
        "_context_bytes",
        "_is_begun",
        "_missing_since",
        "_overlooked",
        "_pace",
        "_refusal",
        "_roster",
        "_said_missing",
        "grew_at",
        "is_caught_up",
        "lineage",
        "path",
    )

    def __init__(self, path: Path, *, roster: Roster, pace: Pace, beginning: Beginning | None) -> None:
        """Follow `path`, which need not exist; with no `beginning`, from the beginning of what appears."""
        self.path: Final = path
        self.lineage: Final = Lineage(path, trail=self, roster=roster)
        self.grew_at: float | None = None
        self.is_caught_up = False
        self._roster: Final = roster
        self._pace: Final = pace
        self._beginning = beginning
        self._beginning_bytes: int | None = None
        self._context_bytes: Final = beginning.context_bytes if beginning else 0
        self._is_begun = False
        self._overlooked: Trace | None = None
        self._missing_since: float | None = None
        self._said_missing = False
        self._refusal: int | None = None

    @property
    def is_gone(self) -> bool:
        """Whether nothing stands at the path and nothing is left to read."""
        return self._missing_since is not None and self.lineage.current is None and not self.lineage.old

    @property
    def trouble(self) -> Notice | None:
        """What has been said of the path and still holds: that nothing stands there, or that it cannot be read."""
        if self._said_missing:
            return Notice(kind=NoticeKind.MISSING, path=self.path, detail=_MISSING)
        if self._refusal is not None:
            return Notice(kind=NoticeKind.UNREADABLE, path=self.path, detail=os.strerror(self._refusal))
        return None

    def open(self, now: float) -> None:
        """Take up the file that stands at the path, without reading from it yet."""
        try:
            self._try_to_arrive(os.stat(self.lineage.name), now)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            self._miss(now, is_tick=False)
        except OSError as error:
            self.refuse(error)

    def look(self, now: float, *, is_tick: bool = False) -> bool:
        """Look at the path, read at most one turn, and return whether more waits to be read."""
        try:
            status = os.stat(self.lineage.name)  # noqa: PTH116 - of thousands of files each second
        except (FileNotFoundError, NotADirectoryError):
            self._miss(now, is_tick=is_tick)
        except OSError as error:
            self.refuse(error)
        else:
            return self._look(status, now, is_tick=is_tick)
        return self._read(now, is_tick=is_tick)

    def _look(self, status: os.stat_result, now: float, *, is_tick: bool) -> bool:
        """Look at what stands at the path, and read."""
        current = self.lineage.current
        signature = (status.st_size, status.st_mtime_ns)
        if current is None or current.identity != (status.st_dev, status.st_ino):
            self._try_to_arrive(status, now)
        elif (
            current.is_settled
            and current.signature == signature
            and not self.lineage.old
            and self._missing_since is None
        ):
            current.looked_at = now
            return False
        self._missing_since = None
        if self._said_missing:
            self._said_missing = False
            self.lineage.say(NoticeKind.APPEARED, "has appeared")
        current = self.lineage.current
        if current is None or current.identity != (status.st_dev, status.st_ino):
            return self._read(now, is_tick=is_tick)
        if current.is_blank and current.signature not in {None, signature}:
            self.lineage.catch_missed(current, now)
        changed_at = now if current.signature != signature else current.changed_at
        offset = current.offset
        more = self._read(now, is_tick=is_tick)
        if self.lineage.current is not current:
            return more
        current.changed_at, current.looked_at = changed_at, now
        current.is_settled = current.signature == signature and current.offset == offset and not more
        current.signature = signature
        current.modified_ns = status.st_mtime_ns
        current.known_bytes = max(current.offset, min(status.st_size, current.size()))
        return more

    # What stands at the path

    def _miss(self, now: float, *, is_tick: bool) -> None:
        """Take note that nothing stands at the path."""
        is_first = self._begin(None)
        if self._missing_since is None:
            self._missing_since = now
            if self.lineage.current is not None:
                self.lineage.current.await_quiet(now)
        is_late = is_tick and now - self._missing_since >= self._pace.tick / 2
        if not self._said_missing and (is_late or is_first):
            self._said_missing = True
            self.lineage.say(NoticeKind.MISSING, _MISSING)
        if self._beginning is not None and self._beginning.position is not None:
            self.lineage.resume(self._beginning.position, None, now, tail_bytes=self._context_bytes)
        self._beginning = None
        self.is_caught_up = True
        if self.lineage.current is not None and (
            self.lineage.current.descriptor is None or self.lineage.current.is_quiet(now, grace=self._pace.grace)
        ):
            self.lineage.set_aside(now, is_over=True)

    def refuse(self, error: OSError) -> None:
        """Take note that the path cannot be read."""
        self.is_caught_up = True
        if self._refusal != error.errno:
            self._refusal = error.errno
            self.lineage.say(NoticeKind.UNREADABLE, f"cannot be read: {error.strerror or error}")

    def _welcome(self) -> None:
        """Take note that the path can be read."""
        if self._refusal is not None:
            self._refusal = None
            self.lineage.say(NoticeKind.APPEARED, "can be read again")

    def _begin(self, status: os.stat_result | None) -> bool:
        """Remember how things stood at the first look; return whether this is it."""
        if self._is_begun:
            return False
        self.lineage.resolve()
        self._is_begun = True
        if status is not None and stat.S_ISREG(status.st_mode):
            self._beginning_bytes = status.st_size
        elif self._beginning is not None and self._beginning.position is None:
            self._beginning = None
        return True

    def _try_to_arrive(self, status: os.stat_result, now: float) -> None:
        """Take up the file that stands at the path; where nothing can be opened now, at a later look."""
        for _ in range(_ATTEMPTS):
            try:
                self._arrive(status, now)
            except OutdatedError:
                try:
                    status = os.stat(self.lineage.name)  # noqa: PTH116 - names are strings here
                except FileNotFoundError:
                    return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                self.refuse(error)
                return
            else:
                return

    def _arrive(self, status: os.stat_result, now: float) -> None:
        """Take up the file that stands at the path, which is not the one that stood there before."""
        self._begin(status)
        trace = ((status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)
        if trace == self._overlooked or self._roster.is_held(trace[0], self):
            self.is_caught_up = True
            self.lineage.set_aside(now)
            return
        try:
            descriptor, status = open_log(self.lineage.name)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            self.refuse(error)
            self.lineage.set_aside(now)
            return
        identity = (status.st_dev, status.st_ino)
        known = next((generation for generation in self.lineage.generations if generation.identity == identity), None)
        if known is not None:
            os.close(descriptor)
            if known is not self.lineage.current:
                self.lineage.old.remove(known)
                self.lineage.set_aside(now)
                self.lineage.current = known
        elif self._beginning is None and self._roster.is_copy(descriptor, status.st_size, self):
            os.close(descriptor)
            self._overlooked = trace
            self.lineage.set_aside(now)
        else:
            beginning = self._beginning
            try:
                self._take_up(descriptor, status, now)
            except (OSError, OutdatedError):
                if self.lineage.current is None or self.lineage.current.descriptor != descriptor:
                    os.close(descriptor)
                    self._beginning = beginning
                raise
        self._welcome()

    def _take_up(self, descriptor: int, status: os.stat_result, now: float) -> None:
        """Begin to read an open file: where the settings say, where it was left, or at its beginning."""
        self._overlooked = None
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            self._start(descriptor, status, beginning, now)
            return
        previous = self.lineage.current
        position = self._roster.recall((status.st_dev, status.st_ino))
        if position is not None and not holds(descriptor, position):
            position = None
        is_replaced = position is None and previous is not None and previous.is_replaced_by(descriptor)
        if is_replaced and previous is not None:
            position = previous.position()
        generation = Generation(descriptor, status, path=self.path, now=now, position=position)
        if is_replaced and previous is not None:
            previous.continue_in(generation)
        if previous is None and position is None:
            self.lineage.add_missed(generation, now)
        self.lineage.set_aside(now, generation)
        self.lineage.enter(generation)

    def _start(self, descriptor: int, status: os.stat_result, beginning: Beginning, now: float) -> None:
        """Begin with a file that was there when following began."""
        position = beginning.position
        generation = Generation(descriptor, status, path=self.path, now=now)
        size_bytes = status.st_size if self._beginning_bytes is None else min(self._beginning_bytes, status.st_size)
        if position is not None:
            if self.lineage.resume(position, generation, now, tail_bytes=self._context_bytes):
                generation.go_on(position, tail_bytes=self._context_bytes)
            generation.is_backlog = True
            size_bytes = max(size_bytes, position.offset if generation.offset else 0)
        elif beginning.tail_bytes is not None:
            generation.start_at_end(
                tail_bytes=beginning.tail_bytes, cap_bytes=self._pace.cap_bytes, size_bytes=size_bytes
            )
        generation.backlog_end = max(size_bytes, generation.offset)
        self.lineage.enter(generation)

    # Reading

    def _read(self, now: float, *, is_tick: bool) -> bool:
        """Read one turn of the oldest generation that has something; be done with those that are over."""
        for generation in tuple(self.lineage.old):
            if generation not in self.lineage.old:
                continue
            if self._turn(generation, now, is_tick=is_tick):
                return True
            if generation not in self.lineage.old:
                continue
            if generation.unpacking is not None and not generation.unpacking.is_over:
                return False
            is_over = generation.is_copy or generation.unpacking is not None
            if is_over or generation.is_quiet(now, grace=self._pace.grace):
                self.lineage.end(generation)
        return self.lineage.current is not None and self._turn(self.lineage.current, now, is_tick=is_tick)

    def _turn(self, generation: Generation, now: float, *, is_tick: bool) -> bool:
        """Read one turn of one generation; return whether to go on with it at once."""
        unpacking = generation.unpacking
        if unpacking is not None and not unpacking.is_found:
            return self._seek(generation, now, is_tick=is_tick)
        try:
            if (is_more := self._approach(generation, now, is_tick=is_tick)) is not None:
                return is_more
            taken = generation.take(turn_bytes=self._pace.turn_bytes, cap_bytes=self._pace.cap_bytes)
        except OSError as error:
            self._fail(generation, error)
            return False
        if taken is None:
            return self._change(generation, now)
        if generation is self.lineage.current and self._refusal not in EXHAUSTED:
            self._welcome()
        self.lineage.give(generation, taken)
        self.is_caught_up |= taken.is_caught_up
        if taken.read_bytes:
            self.grew_at = generation.grew_at = now
        elif unpacking is not None and unpacking.is_stuck:
            return self._wait(generation, now, is_tick=is_tick)
        elif is_tick:
            generation.count_tick()
        return taken.is_more

    def _approach(self, generation: Generation, now: float, *, is_tick: bool) -> bool | None:
        """Prepare to read; return None if that can be done now, else whether to look again at once."""
        if generation.descriptor is None and not self._reopen(generation):
            return False
        if not generation.is_blank or generation is not self.lineage.current or generation.backlog_end is not None:
            return None
        if not generation.has_begun():
            return self._rest(generation, is_tick=is_tick)
        return True if self.lineage.catch_missed(generation, now) or generation.is_empty else None

    def _rest(self, generation: Generation, *, is_tick: bool) -> bool:
        """Leave a file alone that is still empty."""
        generation.is_exhausted = True
        if self._refusal not in EXHAUSTED:
            self._welcome()
        if is_tick:
            generation.count_tick()
        return False

    def _seek(self, generation: Generation, now: float, *, is_tick: bool) -> bool:
        """Unpack a piece of an archive that may be of `generation`; return whether to go on at once."""
        verdict = self.lineage.seek(generation, now, turn_bytes=self._pace.turn_bytes, tail_bytes=self._context_bytes)
        return verdict is not Verdict.WAITS or self._wait(generation, now, is_tick=is_tick)

    def _wait(self, generation: Generation, now: float, *, is_tick: bool) -> bool:
        """Wait for an archive that is still being written; return whether to go on with it at once."""
        unpacking = generation.unpacking
        if unpacking is None:
            return False
        if unpacking.has_changed(generation.position()):
            generation.await_quiet(now)
            return True
        if is_tick:
            generation.count_tick()
        if not generation.is_quiet(now, grace=self._pace.grace):
            return False
        unpacking.give_up()
        return True

    def _fail(self, generation: Generation, error: OSError) -> None:
        """Take note that a generation could not be read; one that nothing leads to any more is lost."""
        if isinstance(error, FileNotFoundError):
            return
        self.refuse(error)
        if error.errno in EXHAUSTED:
            return
        generation.close()
        if generation is not self.lineage.current:
            self.lineage.lose(generation, detail="can no longer be read")

    def _change(self, generation: Generation, now: float) -> bool:
        """Take note that what was read of `generation` is no longer there."""
        if generation.descriptor is not None and not generation.is_copy and generation.unpacking is None:
            lately = now - _WRITTEN_LATELY * self._pace.tick
            is_certain = generation.changed_at <= lately <= generation.looked_at
            self.lineage.restart(generation, generation.descriptor, now, is_certain=is_certain)
            return True
        self.lineage.lose(generation, detail="lost the copy of what stood there")
        return False

    def _reopen(self, generation: Generation) -> bool:
        """Open a file again that was put aside; return whether it is still the same."""
        descriptor, status = open_log(self.lineage.name)
        if (status.st_dev, status.st_ino) != generation.identity:
            os.close(descriptor)
            return False
        self.lineage.reopened(descriptor, generation)
        if self._refusal in EXHAUSTED:
            self._welcome()
        return True
