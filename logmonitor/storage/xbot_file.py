"""The permissions of an XBot, read from its `local.db`: a look that changes nothing and trusts nothing in it."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Final

from logmonitor.errors import StoreError
from logmonitor.granting.xbot import Permission

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_BYTES: Final = 64 << 20
MOST_PERMISSIONS: Final = 10_000
_LONGEST_VALUE_BYTES: Final = 1 << 20
_PATIENCE_SECONDS: Final = 5.0
_STEPS: Final = 1_000_000
_MOST_CALLS: Final = 2_000  # of the handler after so many steps each: some seconds, for a file made to take for ever
_TABLE: Final = "permissions"
_COLUMNS: Final = ("id", "username", "cmd", "subcmd", "valid_until")


def read_permissions(path: Path, /) -> tuple[Permission, ...]:
    """Return what the XBot database at `path` permits, in the order of its rows.

    Raises:
        StoreError: it cannot be read, is none of XBot's, is damaged, or holds more than any XBot's.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise StoreError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{path} is no ordinary file; expected the local.db of an XBot")
    if status.st_size > LONGEST_BYTES:
        raise StoreError(f"{path} is larger than {LONGEST_BYTES >> 20} MiB; expected the local.db of an XBot")
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE_SECONDS)) as connection:
            return _read(connection, path)
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
        raise StoreError(f"{path} cannot be read as the local.db of an XBot: {error}") from None


def _read(connection: sqlite3.Connection, path: Path) -> tuple[Permission, ...]:
    calls = iter(range(_MOST_CALLS))
    connection.set_progress_handler(lambda: next(calls, None) is None, _STEPS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    found = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise StoreError(f"{path} is damaged: {found[0]}; expected the local.db of an XBot")
    kinds = connection.execute("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (_TABLE,)).fetchall()
    if ("table",) not in kinds:
        raise StoreError(f"{path} has no table {_TABLE!r}; expected the local.db of an XBot")
    columns = {
        str(name).casefold() for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (_TABLE,))
    }
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise StoreError(f"{path}: table {_TABLE!r} has no column {missing[0]!r}; expected the local.db of an XBot")
    rows = connection.execute(
        "SELECT id, username, cmd, subcmd, valid_until FROM permissions ORDER BY id, rowid LIMIT ?",
        (MOST_PERMISSIONS + 1,),
    ).fetchall()
    if len(rows) > MOST_PERMISSIONS:
        raise StoreError(f"{path} has more than {MOST_PERMISSIONS} permissions; expected the local.db of an XBot")
    return tuple(
        Permission(row=row, user=user, scene=scene, command=command, valid_until=valid_until)
        for row, user, scene, command, valid_until in rows
    )
