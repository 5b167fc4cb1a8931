"""A look into a store that leaves no trace: nothing is made, migrated or changed."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from logmonitor.errors import StoreError
from logmonitor.storage.database import connect, damage_of
from logmonitor.storage.failure import told_as_store_error
from logmonitor.storage.letter_row import SHOWN, undelivered_of
from logmonitor.storage.place import beside, log_size_bytes, require_file, told_as_place_error, visible_damage
from logmonitor.storage.row import GRANTS, Row, grant_of, text_of
from logmonitor.storage.schema import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection

    from logmonitor.grant import Grant
    from logmonitor.sending.letter import Undelivered

T = TypeVar("T")
_PATIENCE_SECONDS: Final = 5.0
_TRIES: Final = 10


class _State(NamedTuple):
    """What changes whenever the file does."""

    size_bytes: int
    modified: int
    inode: int
    log_bytes: int
    is_in_use: bool


def read_enrolled(path: Path, /) -> frozenset[str]:
    """Return who is enrolled in the store at `path`, nobody if there is no file; works beside a running bot.

    Raises:
        StoreError: it is no store, is damaged, of a newer version, or cannot be read.
    """
    return frozenset(text_of(user) for (user,) in _rows(path, "SELECT user FROM enrolment"))


def read_kept(path: Path, owner: str, key: str, /) -> str | None:
    """Return the text that `owner` keeps under `key` in the store at `path`, as `read_enrolled` reads.

    None if there is none, or no file.

    Raises:
        StoreError: it is no store, is damaged, of a newer version, or cannot be read.
    """
    rows = _rows(path, "SELECT value FROM kept_text WHERE owner = ? AND key = ?", owner, key)
    return text_of(rows[0][0]) if rows else None


def read_grants(path: Path, /) -> tuple[Grant, ...]:
    """Return all grants in the store at `path` by id, expired ones too, as `read_enrolled` reads.

    Raises:
        StoreError: it is no store, is damaged, of a newer version, or cannot be read.
    """
    return tuple(grant_of(row) for row in _rows(path, f"{GRANTS} ORDER BY id"))


def read_undelivered(path: Path, /) -> tuple[Undelivered, ...]:
    """Return what waits to be sent and what failed in the store at `path`, by id, as `read_enrolled` reads.

    Raises:
        StoreError: it is no store, is damaged, of a newer version, or cannot be read.
    """

    def ask(connection: Connection) -> list[Row]:
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'letter'").fetchall()
        return connection.execute(SHOWN).fetchall() if known else []  # an older version sent from memory

    return tuple(map(undelivered_of, look(path, ask) or []))


def look(
    path: Path,
    ask: Callable[[Connection], T],
    /,
    *,
    known: int = len(MIGRATIONS),
    application_id: int = APPLICATION_ID,
    remedy: str = "the next start of logmonitor, or logmonitor totp enroll, sets it aside and makes a new one",
) -> T | None:
    """Return what `ask` finds in the store at `path`, None if there is no file, or nothing in it.

    `application_id` says whose file it is, `known` which version is the newest, `remedy` what becomes of a damaged one.

    Raises:
        StoreError: it is no store, is damaged, of a newer version, or cannot be read.
    """

    def query(file: Path, options: str) -> T | None:
        with told_as_store_error(path), closing(connect(file, options, patience=_PATIENCE_SECONDS)) as connection:
            damage = visible_damage(file) or damage_of(connection, path, known=known, application_id=application_id)
            if damage is not None:
                raise StoreError(f"store {path} is damaged: {damage}; {remedy}")
            return None if connection.execute("PRAGMA user_version").fetchone() == (0,) else ask(connection)

    with told_as_place_error(path):
        for _ in range(_TRIES):
            try:
                state = _state(path)
            except FileNotFoundError:
                return None
            try:
                found = _read(path, state, query)
            except (StoreError, FileNotFoundError):  # also what stood beside the file a moment ago
                if _state(path) == state:
                    raise
            else:
                if state.is_in_use or _state(path) == state:
                    return found
    raise StoreError(f"store {path} was changed each time it was looked at; try again")


def _rows(path: Path, statement: str, *values: str) -> list[Row]:
    """Return what a SELECT finds, nothing if there is no file."""

    def select(connection: Connection) -> list[Row]:
        return connection.execute(statement, values).fetchall()

    return look(path, select) or []


def _read(path: Path, state: _State, query: Callable[[Path, str], T]) -> T:
    """Read the file in a way that makes no file beside it."""
    if not state.log_bytes:
        return query(path, "immutable=1")
    if state.is_in_use:
        return query(path, "mode=ro")
    with TemporaryDirectory(prefix="logmonitor-") as folder:  # a copy whose -shm was left behind; SQLite makes one
        copy = Path(folder, "store")
        shutil.copyfile(path, copy)
        shutil.copyfile(beside(path, "-wal"), beside(copy, "-wal"))
        return query(copy, "mode=rw")


def _state(path: Path) -> _State:
    status = require_file(path)
    log_bytes = log_size_bytes(path)
    return _State(
        size_bytes=status.st_size,
        modified=status.st_mtime_ns,
        inode=status.st_ino,
        log_bytes=log_bytes,
        is_in_use=log_bytes > 0 and beside(path, "-shm").exists(),
    )
