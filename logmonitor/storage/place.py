"""Where the store's file stands: made for its owner alone, opened by one process at a time, set aside when damaged.

No file is opened here that SQLite may have open: closing it would drop SQLite's locks on it, which are the process's.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Final

from logmonitor.errors import ForeignStoreError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)
_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PAUSE_SECONDS: Final = 0.01
_HEADER_BYTES: Final = 512  # SQLite takes a shorter file for an empty one
COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a file, by what is behind the file's name."""


@contextmanager
def opening(path: Path, /, *, patience: float) -> Iterator[int]:
    """Be the only process that opens a store in the folder of `path`; give a descriptor of the folder.

    Raises:
        StoreUnavailableError: the folder cannot be used, or another process is not done after `patience` seconds.
    """
    with told_as_place_error(path):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + patience
        with told_as_place_error(path):
            while not _is_locked(folder):
                if time.monotonic() >= deadline:
                    raise StoreUnavailableError(
                        f"store {path} cannot be opened: another process has been opening one in the same folder for"
                        f" more than {patience:g} s; try again when it is done"
                    )
                time.sleep(_PAUSE_SECONDS)
        yield folder
    finally:
        os.close(folder)


def prepare(path: Path, folder: int, /) -> None:
    """Make an empty file where there is none, for its owner alone.

    Raises:
        ForeignStoreError: what is there is no file.
        StoreUnavailableError: it cannot be made, or may not be read and written.
    """
    with told_as_place_error(path):
        try:
            is_empty = not require_file(path).st_size and not log_size_bytes(path)
        except FileNotFoundError:
            _make(path, folder)
        else:
            if is_empty:
                _log.warning("store %s was empty; nothing is granted or enrolled in it", path)
        for companion in COMPANIONS:
            with suppress(FileNotFoundError):
                require_file(beside(path, companion))
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            reason = errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(reason, os.strerror(reason))


def visible_damage(path: Path, /) -> str | None:
    """Return what is damaged that SQLite would take for an empty file, None if nothing is.

    Raises:
        OSError: the file's size cannot be told.
    """
    size_bytes = path.stat().st_size
    is_cut = size_bytes < _HEADER_BYTES and (size_bytes > 0 or log_size_bytes(path) > 0)
    return f"only {size_bytes} bytes of it are left" if is_cut else None


def tighten(path: Path, /) -> None:
    """Take away what others may do with our file: whoever can write it can grant themselves anything.

    Raises:
        StoreUnavailableError: it cannot be taken away.
    """
    with told_as_place_error(path):
        for each in (path, *(beside(path, companion) for companion in COMPANIONS)):
            with suppress(FileNotFoundError):
                _tighten(each)


def require_file(path: Path, /) -> os.stat_result:
    """Return the status of what stands at `path`.

    Raises:
        ForeignStoreError: it is no ordinary file.
        OSError: it cannot be told, or nothing is there.
        ValueError: no file can have that name.
    """
    status = path.lstat()
    for is_kind, name in (
        (stat.S_ISLNK, "a symbolic link; expected the file itself, where nobody else can swap it"),
        (stat.S_ISDIR, "a directory; expected a file"),
    ):
        if is_kind(status.st_mode):
            raise ForeignStoreError(f"store {path} is {name}")
    if not stat.S_ISREG(status.st_mode):
        raise ForeignStoreError(f"store {path} is no ordinary file; expected one, or a name that no file has")
    return status


def set_aside(path: Path, folder: int, /) -> Path:
    """Give the damaged file another name, and what SQLite keeps beside it too; return that name.

    Raises:
        StoreUnavailableError: it cannot be renamed.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (f"{path.name}.corrupt-{stamp}{'' if number == 1 else f'-{number}'}" for number in count(1))
    with told_as_place_error(path):
        aside = next(name for name in map(path.with_name, names) if not os.path.lexists(name))
        path.rename(aside)
        for companion in COMPANIONS:
            with suppress(FileNotFoundError):
                beside(path, companion).rename(beside(aside, companion))
        os.fsync(folder)
    return aside


def set_aside_before(path: Path, /) -> tuple[Path, ...]:
    """Return the damaged files that were put aside in place of which the store at `path` was made, oldest first."""
    start = f"{path.name}.corrupt-"
    found = (one for one in path.parent.glob("*") if one.name.startswith(start))
    return tuple(sorted(one for one in found if not one.name.endswith(COMPANIONS)))


def log_size_bytes(path: Path, /) -> int:
    """Return the size of SQLite's log of what was written and is not in the file itself yet."""
    try:
        return beside(path, "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def beside(path: Path, companion: str, /) -> Path:
    """Return where SQLite puts its `companion` of a file."""
    return path.with_name(path.name + companion)


@contextmanager
def told_as_place_error(path: Path, /) -> Iterator[None]:
    """Raise what the system says about a file or its folder as a `StoreUnavailableError`.

    A name that no file can have is a plain `StoreError`: it does not pass.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        kind = StoreUnavailableError if isinstance(error, OSError) else StoreError
        raise kind(
            f"store {path} cannot be opened: {reason}; expected a file in a folder that exists, both writable for the"
            " user that runs logmonitor"
        ) from error


def _is_locked(folder: int) -> bool:
    """Lock the folder, which needs no file for it; tell whether nobody else had."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(path: Path, folder: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    try:
        os.fchmod(descriptor, _MODE)  # whatever the umask is; SQLite gives its companions the mode of the file
    finally:
        os.close(descriptor)
    os.fsync(folder)


def _tighten(path: Path) -> None:
    """Take away what others may do with a file: whoever can write it can grant themselves anything."""
    mode = stat.S_IMODE(require_file(path).st_mode)
    if mode & _OTHERS:
        path.chmod(_MODE)
        _log.warning("store %s had mode %03o, which lets others use it; it has %03o now", path, mode, _MODE)
