"""An audit read and verified beside the bot that writes it: its own file and all rotated copies at one moment."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from logmonitor.audit import LOCK_SECONDS, wait_for_lock
from logmonitor.auditing.chain import entry_of
from logmonitor.auditing.copies import UNREADABLE, copies_of, opened_copy
from logmonitor.auditing.verification import AuditFile, Finding, Part, Verdict, verify
from logmonitor.errors import AuditError

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from logmonitor.auditing.chain import Entry, Link

LINE_BYTES: Final = 1 << 20
"""No record is as long: it holds some ten texts of `TEXT_LIMIT` characters, each of which takes 12 bytes at most."""

_ATTEMPTS: Final = 5
_SPARE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A file that was opened; of one that grows no more than `size_bytes` are looked at."""

    path: Path
    stream: io.BufferedIOBase
    size_bytes: int | None = None


def verify_audit(path: Path, *, read_anchor: Callable[[], Link | None] | None = None) -> Verdict:
    """Verify the audit at `path` with its rotated copies, and against what `read_anchor` reads from the store.

    Raises:
        AuditError: it cannot be read.
        StoreError: the anchor cannot be read.
    """
    unreadable: list[Finding] = []
    with ExitStack() as stack:
        opened, anchor = _open_all(path, stack, read_anchor)
        files = [AuditFile(name=str(one.path), lines=_told_lines(one, unreadable)) for one in opened]
        if not files or opened[0].path != path:
            files.insert(0, AuditFile(name=str(path), lines=()))
        verdict = verify(files, anchor=anchor, is_anchored=read_anchor is not None)
    return replace(verdict, findings=(*verdict.findings, *unreadable))


def read_entries(
    path: Path, *, since: datetime | None = None, newest: int | None = None
) -> tuple[tuple[Entry, bytes], ...]:
    """Read the records of the audit at `path` with their lines, oldest first: all, those `since`, the `newest` ones.

    Copies are looked at as far back as needed; one that cannot be read is left out.

    Raises:
        AuditError: it cannot be read.
    """
    found: dict[tuple[int, bytes], Entry] = {}
    with ExitStack() as stack:
        opened, _ = _open_all(path, stack, None)
        for one in opened:
            is_far_enough = False
            with suppress(*UNREADABLE):
                for line in _lines(one):
                    entry = None if isinstance(line, Part) else entry_of(line)
                    if entry is None or isinstance(line, Part):
                        continue
                    if since is not None and entry.at < since:
                        is_far_enough = True
                        continue
                    found[entry.n, line] = entry
                    if newest is not None and len(found) >= newest + _SPARE:
                        found = {key: found[key] for key in sorted(found)[-newest:]}
            if is_far_enough or (newest is not None and len(found) >= newest):
                break
    keys = sorted(found) if newest is None else sorted(found)[-newest:]
    return tuple((found[key], key[1]) for key in keys)


def _open_all(
    path: Path, stack: ExitStack, read_anchor: Callable[[], Link | None] | None
) -> tuple[list[_Opened], Link | None]:
    """Open the audit and its copies, the newest first, and read the anchor, while nobody writes.

    Raises:
        AuditError: they cannot be read, or the lock cannot be had.
    """
    try:
        for _ in range(_ATTEMPTS):
            with ExitStack() as attempt:
                listed = _listing(path)
                opened = [_Opened(path=each, stream=attempt.enter_context(opened_copy(each))) for each in listed]
                if opened and opened[0].path == path:
                    deadline = time.monotonic() + LOCK_SECONDS
                    wait_for_lock(path, opened[0].stream.fileno(), fcntl.LOCK_SH, deadline=deadline)
                    opened[0] = replace(opened[0], size_bytes=os.fstat(opened[0].stream.fileno()).st_size)
                anchor = None if read_anchor is None else read_anchor()
                if opened and opened[0].path == path:
                    fcntl.flock(opened[0].stream.fileno(), fcntl.LOCK_UN)
                if _listing(path) == listed == {one.path: _identity(os.fstat(one.stream.fileno())) for one in opened}:
                    stack.push(attempt.pop_all())
                    return opened, anchor
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AuditError(f"{path}: cannot be read: {reason}; run this as the user that the bot runs as") from None
    raise AuditError(f"{path}: is rotated again and again; try again")


def _listing(path: Path) -> dict[Path, tuple[int, int]]:
    """List the audit, if it is there, and its copies, the newest first.

    Raises:
        AuditError: it is no ordinary file.
    """
    found: dict[Path, tuple[int, int]] = {}
    with suppress(FileNotFoundError):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise AuditError(f"{path}: is no ordinary file; expected the file that an audit is written to")
        found[path] = _identity(status)
    for copy in copies_of(path):
        with suppress(FileNotFoundError):
            found[copy] = _identity(copy.lstat())
    return found


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _told_lines(opened: _Opened, unreadable: list[Finding]) -> Iterator[bytes | Part]:
    """Yield the lines of a file; what keeps it from being read to its end becomes a finding."""
    try:
        yield from _lines(opened)
    except UNREADABLE as error:
        reason = ((isinstance(error, OSError) and error.strerror) or str(error)).lower()
        unreadable.append(Finding(file=str(opened.path), line=None, text=f"it cannot be read to its end: {reason}"))


def _lines(opened: _Opened) -> Iterator[bytes | Part]:
    """Yield the lines of a file without their terminators, as far as it went when it was opened; long ones in parts."""
    left = opened.size_bytes
    is_amid = False
    while piece := opened.stream.readline(LINE_BYTES if left is None else min(left, LINE_BYTES)):
        left = None if left is None else left - len(piece)
        is_whole = piece.endswith(b"\n") or left == 0
        data = piece.removesuffix(b"\n")
        if is_amid or (len(piece) == LINE_BYTES and not is_whole):
            yield Part(data=data, is_whole=is_whole)
        else:
            yield data
        is_amid = not is_whole
