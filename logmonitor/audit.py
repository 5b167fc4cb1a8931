"""The audit: what was decided, appended to a file as a chain of lines, each on disk before anything comes of it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Final

from logmonitor.auditing.chain import Link, Tail, anchor_text, digest, line_of, next_place, parse_anchor
from logmonitor.auditing.copies import newest_in_copies, read_tail
from logmonitor.errors import AuditError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from logmonitor.auditing.record import AuditRecord
    from logmonitor.operation import KeyValue

ANCHOR_OWNER: Final = "logmonitor.audit"
"""Whose view of the store holds the anchor; no operation can be called so."""

ANCHOR_KEY: Final = "newest"
"""The key under which it stands there."""

LOCK_SECONDS: Final = 0.5
"""How long to wait for whoever else writes."""

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 0.005
_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_FULL: Final = "make room on its disk, and it is written to again by itself"
_FORBIDDEN: Final = "let the user that the bot runs as write to it, and enter the folders above it"
_REMEDIES: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: "name a file that can be written to as [security] audit",
    errno.ELOOP: "name the file that the link leads to as [security] audit",
    errno.EISDIR: "name a file as [security] audit",
    errno.ENOENT: "make the folder that it is to stand in",
    errno.ENOTDIR: "name a file in a folder as [security] audit",
}


class Audit:
    """Appends records to the audit, each in one write, followed by an fsync.

    Several processes may write to one audit. The newest record's number and hash are kept in the store, its anchor,
    once the record is on disk. What a failed write left is taken back where that can be done, and otherwise stays as a
    torn line; the next write goes on behind it.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        anchor: KeyValue,
        secrets: Sequence[str] = (),
        transaction: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Write to `path`, which need not exist, in a folder that does; with None nothing is written.

        `anchor` is the store's view called `ANCHOR_OWNER`. `secrets` are texts that no record may show. `transaction`
        is the store's: where records are written within one, all writers have to begin with it, or two of them could
        wait for each other, one for the store and one for the file.
        """
        self._path = path
        self._anchor = anchor
        self._transaction = transaction
        self._secrets = tuple(secrets)
        self._known: tuple[tuple[int, int, int], Tail] | None = None
        self._failing_since: datetime | None = None
        self._failure = ""

    @property
    def path(self) -> Path | None:
        """The file that is written to, None if the audit is switched off."""
        return self._path

    @property
    def failing_since(self) -> datetime | None:
        """Since when no record can be written: the first that could not be, or the probe, after the last that could."""
        return self._failing_since

    @property
    def failure(self) -> str:
        """Why the last record could not be written, or could not have been; empty if it was."""
        return self._failure

    def write(self, record: AuditRecord, /) -> None:
        """Append a record; it is on disk, and anchored, once this returns. Blocks at most for about `LOCK_SECONDS`.

        Raises:
            AuditError: it could not be written, or not be anchored.
        """
        if self._path is None:
            return
        with self._remembered(record.at):
            self._write(self._path, record)
        self._failing_since, self._failure = None, ""

    def probe(self, at: datetime, /) -> None:
        """Find out, `at` this time, whether a record could be written: make the file, lock it and write nothing.

        A failure is remembered as one of `write` is; that one is forgotten with the next record alone. Blocks at most
        for about `LOCK_SECONDS`.

        Raises:
            AuditError: none could be.
        """
        if self._path is None:
            return
        with self._remembered(at):
            try:
                with _locked(self._path) as descriptor:
                    _require_room(descriptor)
            except OSError as error:
                raise _failure(self._path, error) from None

    @contextmanager
    def _remembered(self, at: datetime) -> Iterator[None]:
        """Keep in mind why it failed, and since when it does."""
        try:
            yield
        except AuditError as error:
            self._failing_since = self._failing_since or at
            self._failure = str(error)
            raise

    def _write(self, path: Path, record: AuditRecord) -> None:
        try:
            if not self._try_to_write(path, record, is_behind=False):
                self._try_to_write(path, record, is_behind=True)
        except OSError as error:
            raise _failure(path, error) from None
        except StoreError as error:
            raise AuditError(f"{path}: cannot be anchored in the store: {error}") from None

    def _try_to_write(self, path: Path, record: AuditRecord, *, is_behind: bool) -> bool:
        """Append a record and anchor it, unless the store has to be told of the one before first.

        That is done by itself, so that the store is never more than one record behind. It may stay behind if it
        `is_behind` anyway.
        """
        with self._transaction(), _locked(path) as descriptor:
            before = os.fstat(descriptor)
            is_known = self._known is not None and self._known[0] == _trace(before)
            tail = self._known[1] if self._known is not None and is_known else read_tail(descriptor)
            anchor = read_anchor(self._anchor)
            rotated = newest_in_copies(path, anchor) if tail.newest is None else None
            newest = tail.newest or rotated
            if newest is not None and (anchor is None or newest.n > anchor.n) and not is_behind:
                self._anchor.put(ANCHOR_KEY, anchor_text(newest))
                return False
            place = next_place(tail, anchor=anchor, rotated=rotated)
            line = line_of(record, place, self._secrets)
            _append(path, descriptor, b"\n" * tail.is_torn + line + b"\n", size=before.st_size)
            link = Link(n=place.n, digest=digest(line))
            self._known = _trace(os.fstat(descriptor)), Tail(newest=link, covered=link.digest)
            self._anchor.put(ANCHOR_KEY, anchor_text(link))
            return True


def read_anchor(anchor: KeyValue) -> Link | None:
    """Return the newest record that the store knows of.

    Raises:
        StoreError: the store cannot be read.
    """
    return parse_anchor(anchor.get(ANCHOR_KEY))


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the file, made if it is not there, with nobody else writing to it.

    Raises:
        AuditError: somebody else has been writing for too long, it is no ordinary file, or others may use it.
        OSError: it cannot be opened.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, _MODE
        )
        try:
            opened = os.fstat(descriptor)
            if not stat.S_ISREG(opened.st_mode):
                raise AuditError(f"{path}: is no ordinary file; name another as [security] audit")
            wait_for_lock(path, descriptor, fcntl.LOCK_EX, deadline=deadline)
            if _is_at(path, opened):
                _tighten(path, descriptor)
                yield descriptor
                return
            if time.monotonic() >= deadline:
                raise AuditError(f"{path}: is replaced again and again; name a file that stays as [security] audit")
        finally:
            os.close(descriptor)


def wait_for_lock(path: Path, descriptor: int, kind: int, *, deadline: float) -> None:
    """Lock an open file; the lock goes when it is closed. `deadline` is on the monotonic clock.

    Raises:
        AuditError: somebody else held it up to the deadline.
        OSError: it cannot be locked.
    """
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise AuditError(
                    f"{path}: another process has held its lock for {LOCK_SECONDS:g} s; end that one"
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _tighten(path: Path, descriptor: int) -> None:
    """Take away what others may do with the file: who can write it can make up records, who can read it knows them.

    Raises:
        AuditError: it cannot be taken away.
    """
    status = os.fstat(descriptor)
    mode = stat.S_IMODE(status.st_mode)
    if not mode & _OTHERS:
        return
    try:
        os.fchmod(descriptor, _MODE)
    except PermissionError:
        raise AuditError(
            f"{path}: has mode {mode:03o}, which lets others use it, and belongs to user {status.st_uid}; chown it to"
            f" user {os.geteuid()}, who writes to it"
        ) from None
    _log.warning("audit %s had mode %03o, which lets others use it; it has %03o now", path, mode, _MODE)


def _is_at(path: Path, opened: os.stat_result) -> bool:
    """Tell whether what was opened is still what stands at the path: it may have been rotated away meanwhile."""
    try:
        now = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(now, opened)


def _trace(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_size


def _append(path: Path, descriptor: int, data: bytes, *, size: int) -> None:
    """Have all of `data` on disk behind the first `size` bytes, or nothing of it."""
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        if size == 0:
            _sync_folder(path.parent)
    except OSError:
        _take_back(descriptor, size)
        raise


def _require_room(descriptor: int) -> None:
    """Tell a full disk without writing to it.

    Raises:
        OSError: it has no room left.
    """
    disk = os.fstatvfs(descriptor)
    if disk.f_blocks and not (disk.f_bavail or (disk.f_bfree and os.geteuid() == 0)):  # without blocks none are counted
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _take_back(descriptor: int, size: int) -> None:
    """Undo a write that failed; never make the file longer, should it have been emptied meanwhile."""
    with suppress(OSError):
        if os.fstat(descriptor).st_size > size:
            os.ftruncate(descriptor, size)


def _sync_folder(folder: Path) -> None:
    """Have a new file's name on disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(path: Path, error: OSError) -> AuditError:
    reason = (error.strerror or str(error)).lower()
    remedy = _REMEDIES.get(error.errno or 0, "name another file as [security] audit")
    return AuditError(f"{path}: cannot be written: {reason}; {remedy}")
