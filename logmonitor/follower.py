"""Logs to async chunks of whole lines, through every kind of rotation, with nothing lost, doubled or torn.

    async with Follower("bot.log", start=Start.END) as follower:
        async for item in follower:
            ...  # a Chunk or a Notice

An event is a hint; the guarantee is a look at every file each tick. Nothing is read before the consumer asks for it:
the file is the buffer. Reading happens in the event loop, a bounded piece at a time.

Up to half the process's descriptors stay open, so that a log is found again wherever it is moved; with more logs than
that, those opened longest ago are closed, and known again by device, inode, prefix and marker.
"""

from __future__ import annotations

import asyncio
import glob
import os
import resource
from collections import OrderedDict, deque
from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from logmonitor.errors import ConfigurationError
from logmonitor.following.observing import Backend, Watches
from logmonitor.following.pace import Beginning, Pace
from logmonitor.following.position import Position
from logmonitor.following.roster import Roster
from logmonitor.following.source import Source
from logmonitor.following.trail import Trail
from logmonitor.following.waker import LoopWaker, Waker
from logmonitor.lines import CAP_BYTES
from logmonitor.records import Notice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import TracebackType

    from logmonitor.records import Chunk

__all__ = ["Backend", "Follower", "Position", "Start", "Waker"]

TURN_BYTES: Final = 1 << 18
_SLICE: Final = 64
_HOT_PARTS: Final = 10
_HOT_TICKS: Final = 2
_MIN_OPEN: Final = 16
_MAX_OPEN: Final = 1 << 16


class Start(StrEnum):
    """Where to start in a log that exists already; a log that appears later is read from its beginning."""

    BEGINNING = "beginning"
    END = "end"


class Follower:
    """The logs at some paths, as chunks of whole lines and notices, for one consumer.

    A source is a `Path`, or text that may be a glob; a glob takes in new files as they appear. `start` says where to
    begin in files that are there at the start: at the end (of which `tail_bytes` are read first, as backlog), at the
    beginning, or at the saved `Position` of each; one without begins at the end, or at its beginning if another of its
    glob has one. What is read first ends with a chunk that is `caught_up`; it is empty where there is nothing.

    With a position, the `tail_bytes` before it come first, as chunks that are `handled`; the last of them ends at the
    position and is caught up. What was written since comes as backlog, from rotated files too: siblings of the log and
    files in `archives`, directories into which it is rotated, packed or not.

    `grace` is how many seconds an old inode must be quiet, and `tick` how many lie between two looks at a quiet file.
    `exclude` names files that are never followed: the log one writes oneself.
    """

    def __init__(
        self,
        *sources: str | Path,
        start: Start | Mapping[Path, Position] = Start.END,
        tail_bytes: int = 0,
        backend: Backend = Backend.AUTO,
        tick: float = 1.0,
        grace: float = 5.0,
        cap_bytes: int = CAP_BYTES,
        turn_bytes: int = TURN_BYTES,
        exclude: Iterable[str | Path] = (),
        archives: Iterable[str | Path] = (),
        max_open: int | None = None,
        waker: Waker | None = None,
    ) -> None:
        """Name what to follow; nothing is opened before the follower is entered."""
        self._sources: Final = tuple(map(Source.parse, sources))
        self._start: Final = start
        self._tail_bytes: Final = tail_bytes
        self._backend: Final = backend
        self._excluded: Final = frozenset(os.path.realpath(path) for path in exclude)
        self._pace: Final = Pace(turn_bytes=turn_bytes, cap_bytes=cap_bytes, grace=grace, tick=tick)
        self._waker: Waker = waker or LoopWaker()
        self._roster: Final = Roster(
            max_open=_default_max_open() if max_open is None else max_open,
            archives=map(os.path.realpath, archives),
        )
        self._watches: Watches | None = None
        self._ready: Final[OrderedDict[Trail, None]] = OrderedDict()
        self._due: Final[deque[Trail]] = deque()
        self._hot: Final[dict[Trail, None]] = {}
        self._old: Final[dict[Trail, None]] = {}
        self._hinted: Final[set[Trail]] = set()
        self._globbed: Final[set[Path]] = set()
        self._is_expansion_due = False
        self._next_tick = self._next_hot = 0.0

    async def __aenter__(self) -> Self:
        """Set up the watches, open the files, and note where each begins."""
        self._watches = Watches(
            loop=asyncio.get_running_loop(),
            backend=self._backend,
            tick=self._pace.tick,
            on_hints=self._take_hints,
            on_notice=self._roster.give_notice,
        )
        self._begin()
        self._watches.check(self._directories())
        self._next_tick = self._waker.now() + self._pace.tick
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Give back every watch, thread and descriptor."""
        for trail in tuple(self._roster.trails.values()):
            self._roster.drop(trail)
        if self._watches is not None:
            self._watches.close()
            self._watches = None

    def __aiter__(self) -> Self:
        """Iterate over what is found, until the follower is left."""
        return self

    async def __anext__(self) -> Chunk | Notice:
        """Give the next chunk or notice; reading goes on only when it is asked for."""
        while not self._roster.has_items:
            if self._watches is None:
                raise StopAsyncIteration
            if self._work():
                await asyncio.sleep(0)
            else:
                await self._waker.wait(max(0.0, self._next_wake() - self._waker.now()))
        return self._roster.take_item()

    def position(self, path: Path) -> Position | None:
        """Say where in the log at `path`, as chunks name it, the first line starts that has not been given out."""
        trail = self._roster.trails.get(path)
        return None if trail is None else trail.lineage.position()

    def troubles(self) -> tuple[Notice, ...]:
        """Say which logs are not there or cannot be read by now; a glob is not there while nothing fits it."""
        missing = (Path(source.text) for source in self._sources if source.is_glob and not self._paths(source))
        of_trails = (trail.trouble for trail in self._roster.trails.values())
        return (
            *(Notice(kind=NoticeKind.MISSING, path=path, detail="nothing fits it") for path in missing),
            *(
                trouble
                for trouble in of_trails
                if trouble is not None and not (trouble.kind is NoticeKind.MISSING and trouble.path in self._globbed)
            ),
        )

    # Looking

    def _work(self) -> bool:
        """Look at one log that is ready and at some that are due; return whether there was any."""
        now = self._waker.now()
        self._roster.forget_names()
        if now >= self._next_tick:
            self._tick(now)
        elif self._hot and now >= self._next_hot:
            self._heat(now)
        elif self._is_expansion_due and now >= self._next_hot:
            self._expand(now)
        is_busy = bool(self._ready or self._due)
        if self._ready:
            self._look(self._ready.popitem(last=False)[0], now, is_tick=False)
        for _ in range(min(_SLICE, len(self._due))):
            self._look(self._due.popleft(), now, is_tick=True)
            if self._roster.has_items:
                break
        return is_busy

    def _look(self, trail: Trail, now: float, *, is_tick: bool) -> None:
        """Look at one log, and see to it that it is looked at again as soon as it may have more."""
        if trail.path not in self._roster.trails:
            return
        try:
            if trail.look(now, is_tick=is_tick):
                self._ready[trail] = None
        except OSError as error:
            trail.refuse(error)
        if trail.lineage.old:
            self._old[trail] = None
        else:
            self._old.pop(trail, None)
        if trail.grew_at == now:
            if not self._hot:
                self._next_hot = now + self._pace.tick / _HOT_PARTS
            self._hot[trail] = None
            if is_tick and trail not in self._hinted and self._watches is not None:
                self._watches.note_growth(os.path.dirname(trail.lineage.way[-1]))  # noqa: PTH120
        self._hinted.discard(trail)

    def _tick(self, now: float) -> None:
        """Let every log be looked at, and the watches be checked; the last tick's looks are finished first."""
        self._next_tick = now + self._pace.tick
        for trail in [trail for trail in self._roster.trails.values() if trail.is_gone and trail.path in self._globbed]:
            self._forget(trail)
        for source in self._sources:
            self._is_expansion_due |= source.has_changed()
        if self._is_expansion_due:
            self._expand(now)
        if not self._due:
            self._due.extend(self._roster.trails.values())
        if self._watches is not None:
            self._watches.check(self._directories())

    def _heat(self, now: float) -> None:
        """Look between ticks at what grew lately: two rotations of it may be less than a tick apart."""
        self._next_hot = now + self._pace.tick / _HOT_PARTS
        limit = now - _HOT_TICKS * self._pace.tick
        for trail in tuple(self._hot):
            if trail.grew_at is None or trail.grew_at < limit:
                del self._hot[trail]
            else:
                self._ready[trail] = None
        if self._is_expansion_due:
            self._expand(now)

    def _next_wake(self) -> float:
        is_soon = bool(self._hot) or self._is_expansion_due
        return min(self._next_hot, self._next_tick) if is_soon else self._next_tick

    def _take_hints(self, places: Collection[str]) -> None:
        """Let those logs be looked at that changed; called in the loop, whenever it gets to it."""
        if self._watches is None:
            return
        for place in places:
            self._watches.note_hint(place)
            trails = self._roster.at(place)
            for trail in trails:
                self._ready[trail] = None
                self._hinted.add(trail)
            if not trails:
                self._take_stray_hint(place)
        if self._ready or self._is_expansion_due:
            self._waker.wake()

    def _take_stray_hint(self, place: str) -> None:
        """Make what can be made of a change beside the logs: one that was renamed, or a new one."""
        directory = os.path.dirname(place)  # noqa: PTH120 - for every hint
        for trail in self._old:
            if directory in trail.lineage.directories:
                self._ready[trail] = None
                self._hinted.add(trail)
        self._is_expansion_due |= any(
            source.is_glob and fnmatchcase(place, source.real_pattern) for source in self._sources
        )

    # What to look at

    def _directories(self) -> frozenset[str]:
        globs = (source.directory() for source in self._sources)
        return self._roster.directories.union(directory for directory in globs if directory is not None)

    def _begin(self) -> None:
        """Take up what the sources name at the start."""
        for source in self._sources:
            paths = self._paths(source)
            is_resumed = isinstance(self._start, Mapping) and any(path in self._start for path in paths)
            for path in paths:
                self._add(path, source, self._beginning(path, is_resumed=is_resumed))

    def _expand(self, now: float) -> None:
        """Take up what the globs name by now."""
        self._is_expansion_due = False
        self._next_hot = now + self._pace.tick / _HOT_PARTS
        for source in self._sources:
            if source.is_glob:
                for path in self._paths(source):
                    self._add(path, source, None)

    def _paths(self, source: Source) -> list[Path]:
        if not source.is_glob:
            return [Path(source.text)]
        return [Path(name) for name in sorted(glob.glob(source.text, recursive=True))]  # noqa: PTH207 - keeps the form

    def _add(self, path: Path, source: Source, beginning: Beginning | None) -> None:
        """Follow one more path, unless it is followed already or excluded."""
        if path in self._roster.trails:
            return
        if self._excluded and os.path.realpath(path) in self._excluded:
            if source.is_glob:
                return
            raise ConfigurationError(f"log {os.fspath(path)!r} is excluded; expected a log that somebody else writes")
        if source.is_glob:
            if path.is_dir():
                return
            self._globbed.add(path)
        trail = Trail(path, roster=self._roster, pace=self._pace, beginning=beginning)
        self._roster.trails[path] = trail
        trail.open(self._waker.now())
        self._ready[trail] = None

    def _beginning(self, path: Path, *, is_resumed: bool) -> Beginning:
        if isinstance(self._start, Mapping):
            position = self._start.get(path)
            if position is not None or is_resumed:
                return Beginning(position=position, tail_bytes=None if position is None else self._tail_bytes)
        elif self._start is Start.BEGINNING:
            return Beginning()
        return Beginning(tail_bytes=self._tail_bytes)

    def _forget(self, trail: Trail) -> None:
        """Follow a path no more."""
        self._roster.drop(trail)
        self._globbed.discard(trail.path)
        for kept in (self._hot, self._old, self._ready):
            kept.pop(trail, None)
        self._hinted.discard(trail)


def _default_max_open() -> int:
    """Take half of what the process may open, and leave the rest to others."""
    soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(_MIN_OPEN, soft_limit // 2) if soft_limit != resource.RLIM_INFINITY else _MAX_OPEN
