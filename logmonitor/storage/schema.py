"""What stands in the store's file: its tables, step by step, and how a file is known to be ours.

To change what is kept, append a migration; one that was ever released is never touched again. Tables whose key is more
than a number are WITHOUT ROWID: there is no index beside the table that could tell another story than the table.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from logmonitor.errors import ForeignStoreError, NewerStoreError, StoreError, StoreUnavailableError
from logmonitor.storage.failure import is_damage, is_of_its_place

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID: Final = 0x6C6F676D  # "logm", in the header of every file of ours

Migration = tuple[str, ...]
"""The statements, one each, that lead from one version to the next."""

MIGRATIONS: Final[tuple[Migration, ...]] = (
    (
        """
        CREATE TABLE access_grant (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user TEXT NOT NULL,
            operation TEXT NOT NULL,
            command TEXT NOT NULL,
            room TEXT NOT NULL,
            until INTEGER,
            is_denial INTEGER NOT NULL CHECK (is_denial IN (0, 1)),
            given_by TEXT NOT NULL,
            given_at INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE enrolment (
            user TEXT NOT NULL PRIMARY KEY,
            sealed BLOB NOT NULL,
            enrolled_at INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE recovery_code (
            user TEXT NOT NULL REFERENCES enrolment (user) ON DELETE CASCADE,
            digest BLOB NOT NULL,
            used_at INTEGER,
            PRIMARY KEY (user, digest)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE used_step (
            user TEXT NOT NULL,
            step INTEGER NOT NULL,
            purpose TEXT NOT NULL,
            used_at INTEGER NOT NULL,
            PRIMARY KEY (user, step)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE lockout (
            user TEXT NOT NULL PRIMARY KEY,
            failures INTEGER NOT NULL,
            times INTEGER NOT NULL,
            until INTEGER
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE kept_text (
            owner TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (owner, key)
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE seen_message (
            digest BLOB NOT NULL PRIMARY KEY,
            seen_at INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE followed_file (
            watch TEXT NOT NULL,
            path BLOB NOT NULL,
            device INTEGER,
            inode INTEGER,
            offset INTEGER NOT NULL,
            marker BLOB NOT NULL,
            number INTEGER NOT NULL,
            prefix_bytes INTEGER NOT NULL,
            prefix_digest BLOB NOT NULL,
            modified_ns INTEGER,
            directory BLOB NOT NULL,
            PRIMARY KEY (watch, path)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE watch_state (
            watch TEXT NOT NULL PRIMARY KEY,
            state TEXT NOT NULL,
            saved_at INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE session_change (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            watch TEXT NOT NULL,
            state TEXT NOT NULL,
            loss INTEGER NOT NULL,
            changed_at INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE pending_call (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            watch TEXT NOT NULL,
            operation TEXT NOT NULL,
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            sent INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE begun_run (
            call_id INTEGER NOT NULL REFERENCES pending_call (id) ON DELETE CASCADE,
            ordinal INTEGER NOT NULL,
            completed TEXT,
            PRIMARY KEY (call_id, ordinal)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE letter (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            recipient TEXT NOT NULL,
            priority INTEGER NOT NULL,
            slot TEXT,
            watch TEXT,
            loss TEXT,
            kind TEXT,
            content TEXT NOT NULL,
            data BLOB,
            written_at INTEGER NOT NULL,
            expires_at INTEGER,
            parts_sent INTEGER NOT NULL,
            stamp TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            failed_at INTEGER,
            reason TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE delivered_key (
            recipient TEXT NOT NULL,
            watch TEXT NOT NULL,
            loss TEXT NOT NULL,
            kind TEXT NOT NULL,
            decided_at INTEGER NOT NULL,
            PRIMARY KEY (recipient, watch, loss, kind)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE accepted_message (
            slot TEXT NOT NULL,
            recipient TEXT NOT NULL,
            message_id TEXT NOT NULL,
            letter_id INTEGER NOT NULL,
            accepted_at INTEGER NOT NULL,
            is_useless INTEGER NOT NULL CHECK (is_useless IN (0, 1)),
            PRIMARY KEY (slot, recipient, message_id)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE sent_message (
            id INTEGER PRIMARY KEY,
            sent_at INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE conversation (
            recipient TEXT NOT NULL PRIMARY KEY,
            unanswered INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)
"""The n-th leads to version n."""


def require_ours(
    connection: sqlite3.Connection, path: Path, *, known: int, application_id: int = APPLICATION_ID
) -> int:
    """Return the version of what is open; 0 means that nothing stands in it yet.

    Raises:
        ForeignStoreError: it is another program's; a `NewerStoreError` if it is of a version above `known`.
        sqlite3.Error: it cannot be read.
    """
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if application != application_id and (application or version or not _is_empty(connection)):
        raise ForeignStoreError(
            f"store {path} is a database of another program and was left as it is; expected one of logmonitor, or a"
            " name that no file has"
        )
    if version > known:
        raise NewerStoreError(
            f"store {path} has version {version}, made by a newer logmonitor; this one knows versions up to {known}:"
            " install the newer logmonitor or name another store"
        )
    return version


def migrate(
    connection: sqlite3.Connection,
    path: Path | None,
    *,
    migrations: tuple[Migration, ...],
    application_id: int = APPLICATION_ID,
) -> None:
    """Bring what is open to the newest version, all the way or not at all.

    Raises:
        StoreError: a migration fails, or it cannot be migrated by us; a `StoreUnavailableError` if its place is why.
        sqlite3.Error: it cannot be written at all.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = (
            0 if path is None else require_ours(connection, path, known=len(migrations), application_id=application_id)
        )
        for number, migration in enumerate(migrations[version:], start=version + 1):
            _apply(connection, path, migration, number=number)
        if version < len(migrations):
            connection.execute(f"PRAGMA application_id = {application_id}")
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _apply(connection: sqlite3.Connection, path: Path | None, migration: Migration, *, number: int) -> None:
    try:
        for statement in migration:
            connection.execute(statement)
    except sqlite3.Error as error:
        kind = StoreUnavailableError if is_of_its_place(error) else StoreError
        raise kind(
            f"store {path or 'in memory'} cannot be brought to version {number} and was left as it was: {error}; make"
            " room if the disk is full, else run the logmonitor that made it"
        ) from error


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Tell whether there is no table yet; damaged ones are some, and not ours, whose header would say so."""
    try:
        return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])
    except UnicodeDecodeError:
        return False
    except sqlite3.Error as error:
        if is_damage(error):
            return False
        raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
