"""Watches on directories, by file system events where there are any and by polling elsewhere; only hints come of them.

This is the only importer of watchdog. Its threads meet the event loop in one line, in `_Hints`.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchdog.events import (
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from logmonitor.records import Notice, NoticeKind

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Collection

    from watchdog.observers.api import BaseObserver, ObservedWatch

_EVENTS: Final[list[type[FileSystemEvent]]] = [FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent]
_MAX_WATCHES: Final = 128
_SILENCE: Final = 1.0
_POLL_TICKS: Final = 2
_MOUNTS: Final = Path("/proc/self/mountinfo")
_SILENT: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
    | {"fuse.ceph", "fuse.davfs2", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "prl_fs", "vboxsf"}
    | {"virtiofs", "vmhgfs", "fuse.vmhgfs-fuse"}
)

logger = logging.getLogger(__name__)


class Backend(StrEnum):
    """Where hints that a log has grown come from; a look at each log once a tick is taken besides."""

    AUTO = "auto"
    EVENTS = "events"
    POLLING = "polling"
    TICK = "tick"


class _Hints(FileSystemEventHandler):
    """What watchdog calls: it notes paths and wakes the loop, and cannot raise."""

    def __init__(self, loop: AbstractEventLoop, on_hints: Callable[[Collection[str]], None]) -> None:
        """Pass hints to `on_hints`, in the loop."""
        self._loop = loop
        self._on_hints = on_hints
        self._paths: dict[str, None] = {}
        self._is_due = False

    def dispatch(self, event: FileSystemEvent) -> None:
        """Note the paths of `event`; in a watchdog thread, where an exception would end all dispatching unseen."""
        self._paths[os.fsdecode(event.src_path)] = None
        if event.dest_path:
            self._paths[os.fsdecode(event.dest_path)] = None
        if not self._is_due:
            self._is_due = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                return  # the loop is closed, and nobody waits for hints

    def _deliver(self) -> None:
        self._is_due = False
        paths: list[str] = []
        while self._paths:
            paths.append(self._paths.popitem()[0])
        self._on_hints(paths)


@dataclass(slots=True, kw_only=True)
class _Watched:
    """A directory under watch: which one it was, and what watches it; nothing does where only ticks are left."""

    identity: tuple[int, int]
    observer: BaseObserver | None = None
    watch: ObservedWatch | None = None
    suspect_since: float | None = None

    @property
    def is_silent(self) -> bool:
        """Whether a file grew in it a good while ago, and no event has told of anything since."""
        return self.suspect_since is not None and time.monotonic() - self.suspect_since >= _SILENCE


class Watches:
    """One watch for each directory that logs are in, kept up as directories and watches come and go."""

    def __init__(
        self,
        *,
        loop: AbstractEventLoop,
        backend: Backend,
        tick: float,
        on_hints: Callable[[Collection[str]], None],
        on_notice: Callable[[Notice], None],
    ) -> None:
        """Prepare to watch; nothing starts before the first `check`."""
        self._backend: Final = backend
        self._tick: Final = tick
        self._hints: Final = _Hints(loop, on_hints)
        self._on_notice: Final = on_notice
        self._watched: dict[str, _Watched] = {}
        self._events: BaseObserver | None = None
        self._polling: BaseObserver | None = None
        self._doubted: set[str] = set()
        self._silent: dict[str, str] = {}
        self._is_full = False

    def check(self, directories: Collection[str]) -> None:
        """Bring the watches up to date, and set up again those that were lost.

        To be called at the start and at each tick. A directory that does not exist is not watched.
        """
        if self._backend is Backend.TICK:
            return
        alive = self._living()
        for directory in [known for known in self._watched if known not in directories]:
            self._unwatch(directory)
        for directory in directories:
            try:
                status = os.stat(directory)  # noqa: PTH116 - each tick
            except OSError:
                self._unwatch(directory)
                continue
            identity = (status.st_dev, status.st_ino)
            known = self._watched.get(directory)
            if known is not None and (reason := self._loss(known, identity, alive)):
                self._unwatch(directory)
                if known.is_silent and directory in self._doubted:
                    self._silent[directory] = "the file system gives no events"
                else:
                    self._say(NoticeKind.WATCH_LOST, directory, f"{reason}; it is watched anew")
                self._doubted.add(directory)
            if directory not in self._watched:
                self._watch(directory, identity)

    def note_hint(self, path: str) -> None:
        """Note that a hint came, so that events of its directory do come."""
        directory = os.path.dirname(path)  # noqa: PTH120 - for every hint
        known = self._watched.get(directory)
        if known is not None:
            known.suspect_since = None
            self._doubted.discard(directory)

    def note_growth(self, directory: str) -> None:
        """Note that a tick found something new in `directory` that no hint had told of."""
        known = self._watched.get(directory)
        if known is not None and known.observer is not None and known.observer is self._events:
            known.suspect_since = known.suspect_since or time.monotonic()

    def close(self) -> None:
        """Stop every thread and give back every watch."""
        for observer in (self._events, self._polling):
            if observer is not None:
                _stop(observer)
        self._events = self._polling = None
        self._watched.clear()

    def _say(self, kind: NoticeKind, directory: str, detail: str) -> None:
        self._on_notice(Notice(kind=kind, path=Path(directory), detail=detail))

    def _living(self) -> set[ObservedWatch]:
        """Collect the watches whose threads live; let go of an observer that does not."""
        if self._events is not None and not self._events.is_alive():
            _stop(self._events)
            self._events = None
        if self._polling is not None and not self._polling.is_alive():
            _stop(self._polling)
            self._polling = None
        return {
            emitter.watch
            for observer in (self._events, self._polling)
            if observer is not None
            for emitter in observer.emitters
            if emitter.is_alive()
        }

    def _loss(self, known: _Watched, identity: tuple[int, int], alive: Collection[ObservedWatch]) -> str:
        """Say how a watch was lost; nothing if it was not."""
        if known.identity != identity:
            return "the directory was replaced by another"
        if known.watch is None:
            return ""
        if known.watch not in alive or known.observer not in {self._events, self._polling}:
            return "the watch on the directory has ended"
        return "the watch on the directory is silent" if known.is_silent else ""

    def _watch(self, directory: str, identity: tuple[int, int]) -> None:
        """Watch a directory by events, or poll it and say why, or leave it to the ticks and say why."""
        watched = self._watched[directory] = _Watched(identity=identity)
        if len(self._watched) > _MAX_WATCHES:
            if not self._is_full:
                self._is_full = True
                self._say_polling(directory, f"more than {_MAX_WATCHES} directories; from here on they")
            return
        if not os.access(directory, os.R_OK):
            self._say_polling(directory, "the directory cannot be listed; its logs")
            return
        reason = self._silent.pop(directory, "") or self._silence(directory)
        if not reason and self._backend is not Backend.POLLING:
            try:
                self._events = self._events or _start(Observer())
                self._schedule(watched, self._events, directory)
            except FileNotFoundError:
                del self._watched[directory]
                return
            except OSError as error:
                reason = error.strerror or str(error)
            else:
                return
        if reason:
            self._say_polling(directory, f"{reason}; its logs")
        try:
            self._polling = self._polling or _start(PollingObserver(timeout=self._tick * _POLL_TICKS))
            self._schedule(watched, self._polling, directory)
        except OSError as error:
            logger.debug("cannot poll %r: %s", directory, error)

    def _schedule(self, watched: _Watched, observer: BaseObserver, directory: str) -> None:
        watched.watch = observer.schedule(self._hints, directory, event_filter=_EVENTS)
        watched.observer = observer

    def _unwatch(self, directory: str) -> None:
        watched = self._watched.pop(directory, None)
        if watched is None or watched.watch is None or watched.observer not in {self._events, self._polling}:
            return
        if watched.observer is not None:
            with suppress(KeyError, OSError):
                watched.observer.unschedule(watched.watch)

    def _silence(self, directory: str) -> str:
        """Say why no events are to be expected of a directory; nothing if they are."""
        if self._backend is not Backend.AUTO:
            return ""
        kind = _file_system(directory)
        return f"the file system {kind} gives no events of what others write" if kind in _SILENT else ""

    def _say_polling(self, directory: str, reason: str) -> None:
        self._say(NoticeKind.POLLING, directory, f"{reason} are looked at every {self._tick:g} s")


def _start(observer: BaseObserver) -> BaseObserver:
    observer.start()
    return observer


def _stop(observer: BaseObserver) -> None:
    observer.stop()
    if observer.is_alive():
        observer.join()


def _file_system(directory: str) -> str:
    """Name the type of the file system that a directory is on, as the kernel's table of mounts has it."""
    found = ("", "")
    with suppress(OSError), _MOUNTS.open(encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            place, _, kind = line.partition(" - ")
            mounted = place.split()[4].replace("\\040", " ")
            is_above = mounted in {"/", directory} or directory.startswith(mounted + "/")
            if is_above and len(mounted) >= len(found[0]):
                found = (mounted, kind.split()[0])
    return found[1]
