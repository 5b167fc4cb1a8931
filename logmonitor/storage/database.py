"""One SQLite file in use: opened, checked, migrated; statements in transactions, failures as `StoreError`."""

from __future__ import annotations

import logging
import sqlite3
import weakref
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from logmonitor.errors import StoreError, StoreUnavailableError
from logmonitor.storage.failure import UNREADABLE, is_damage, store_error, told_as_store_error
from logmonitor.storage.place import (
    log_size_bytes,
    opening,
    prepare,
    set_aside,
    tighten,
    told_as_place_error,
    visible_damage,
)
from logmonitor.storage.row import number_of
from logmonitor.storage.schema import APPLICATION_ID, migrate, require_ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logmonitor.storage.row import Row, Value
    from logmonitor.storage.schema import Migration

_log = logging.getLogger(__name__)
GRANTS_LOST: Final = "all that was granted or enrolled in the old one is refused"
"""What it means that a damaged store was set aside."""


class Database:
    """A connection, used from one thread; in memory without a path."""

    def __init__(
        self,
        path: Path | None,
        /,
        *,
        migrations: tuple[Migration, ...],
        patience: float,
        application_id: int = APPLICATION_ID,
        loss: str = GRANTS_LOST,
    ) -> None:
        """Open what is at `path`, or make it; wait for other processes `patience` seconds.

        `application_id` says whose file it is, `loss` what it means that a damaged one was set aside.

        Raises:
            StoreError: it cannot be used; a `StoreUnavailableError` if its place is at fault.
        """
        self.path = path
        self.set_aside: Path | None = None
        self._depth = 0
        self.is_settled = True
        """Whether all that is written outlasts the loss of power."""
        self._damage: str | None = None
        self._place: tuple[int, int] | None = None
        if path is None:
            self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._connection.close)  # nothing lasts in it that closing could lose
            self._set_up(migrations, application_id)
            return
        with opening(path, patience=patience) as folder:
            known = len(migrations)
            damage = _prepared(path, folder, known=known, patience=patience, application_id=application_id)
            self.set_aside = None if damage is None else _replaced(path, folder, damage, loss=loss)
            tighten(path)
            with told_as_store_error(path):
                self._connection = connect(path, "mode=rw", patience=patience)
            self._set_up(migrations, application_id)
            self._place = _place(path)

    def _set_up(self, migrations: tuple[Migration, ...], application_id: int) -> None:
        try:
            with told_as_store_error(self.path):
                _configure(self._connection, self.path)
                migrate(self._connection, self.path, migrations=migrations, application_id=application_id)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; may be called again.

        Raises:
            StoreError: what is written cannot be moved into the file itself; it is safe beside it.
        """
        try:
            with suppress(StoreError):
                self.settle()
        finally:
            with told_as_store_error(self.path):
                self._connection.close()

    def settle(self) -> None:
        """See to it that all that is written outlasts the loss of power.

        Raises:
            StoreError: it cannot be written.
        """
        if not self.is_settled:
            self.touch()  # what reaches the disk does so in order
            self.is_settled = True

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of what is inside, or nothing; one inside another is undone by itself, and lasts with the outer.

        Raises:
            StoreError: it cannot be begun, or cannot be written.
        """
        with self._transaction():
            yield

    @contextmanager
    def quick_transaction(self) -> Iterator[None]:
        """Write as `transaction` does, without waiting for the disk: the loss of power may undo it, nothing else.

        It may so until `settle` is called, or a transaction that waits has written something.

        Raises:
            StoreError: it cannot be begun, or cannot be written.
        """
        if self._depth:
            with self._transaction():
                yield
            return
        self._execute("PRAGMA synchronous = NORMAL")
        self.is_settled = self.path is None
        try:
            with self._transaction():
                yield
        finally:
            self._undo_quickness()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        inner = f"inner_{self._depth}"
        begin, end, undo = (
            (f"SAVEPOINT {inner}", f"RELEASE {inner}", (f"ROLLBACK TO {inner}", f"RELEASE {inner}"))
            if self._depth
            else ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
        )
        self._execute(begin)
        self._depth += 1
        try:
            yield
            self._execute(end)
        except BaseException:
            self._undo(undo)
            raise
        finally:
            self._depth -= 1

    def rows(self, statement: str, /, *values: Value) -> list[Row]:
        """Return what a SELECT finds.

        Raises:
            StoreError: it cannot be read.
        """
        with told_as_store_error(self.path), self._noting_damage():
            return self._execute(statement, *values).fetchall()

    def version(self) -> int | None:
        """Return a number that is another one once another connection has changed the file; None in a transaction.

        Raises:
            StoreError: it cannot be read.
        """
        return None if self._depth else number_of(self.rows("PRAGMA data_version")[0][0])

    def change(self, statement: str, /, *values: Value) -> int:
        """Change rows, by itself or as part of the transaction; return how many.

        Raises:
            StoreError: it cannot be written.
        """
        with self.transaction():
            return self._execute(statement, *values).rowcount

    def touch(self) -> None:
        """Write the version that the file has, to find out whether anything can be written.

        Raises:
            StoreError: nothing can.
        """
        with self.transaction():
            (version,) = self._execute("PRAGMA user_version").fetchone()
            self._execute(f"PRAGMA user_version = {version}")

    def insert(self, statement: str, /, *values: Value) -> int:
        """Insert a row, by itself or as part of the transaction; return its id.

        Raises:
            StoreError: it cannot be written.
        """
        with self.transaction():
            return self._execute(statement, *values).lastrowid or 0

    def _execute(self, statement: str, *values: Value) -> sqlite3.Cursor:
        if self._damage is not None:
            raise StoreError(self._damage)
        with told_as_store_error(self.path), self._noting_damage():
            if self._depth and not self._connection.in_transaction:
                raise StoreError(f"store {self.path or 'in memory'} has undone what was begun; begin again")
            if not self._depth:
                self._require_same_file()
            return self._connection.execute(statement, values)

    @contextmanager
    def _noting_damage(self) -> Iterator[None]:
        """Remember damage: what is damaged in one place is not trusted in another."""
        try:
            yield
        except UnicodeDecodeError:
            self._distrust(UNREADABLE)
            raise
        except sqlite3.Error as error:
            if is_damage(error):
                self._distrust(error)
            raise

    def _distrust(self, reason: sqlite3.Error | str) -> None:
        """Use nothing of the file any more."""
        self._damage = f"store {self.path or 'in memory'} is not used any more: {reason}; start logmonitor again"
        _log.error("%s", self._damage)

    def _undo(self, statements: tuple[str, ...]) -> None:
        """Undo a transaction, unless SQLite did so itself; what cannot be undone now is undone at the next opening."""
        try:
            if self._connection.in_transaction:
                for statement in statements:
                    self._connection.execute(statement)
        except sqlite3.Error as error:
            self._distrust(error)

    def _undo_quickness(self) -> None:
        """Have the next transaction wait for the disk; where that cannot be, there is none."""
        try:
            self._connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            if self._damage is None:
                self._distrust(error)

    def _require_same_file(self) -> None:
        """Refuse to go on with a file that the next start would not find."""
        if self.path is not None and _place(self.path) != self._place:
            raise StoreError(f"store {self.path} was moved, removed or replaced while in use; start logmonitor again")


def connect(path: Path, options: str, /, *, patience: float) -> sqlite3.Connection:
    """Open a file that there is; `options` are those of an SQLite URI.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    uri = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)


def damage_of(
    connection: sqlite3.Connection, path: Path, /, *, known: int, application_id: int = APPLICATION_ID
) -> str | None:
    """Return what is damaged in an open file, None if nothing is; `path` is what an error calls it.

    Raises:
        StoreError: it is another program's, of a version above `known`, or cannot be read.
    """
    try:
        require_ours(connection, path, known=known, application_id=application_id)
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        if is_damage(error):
            return str(error)
        raise store_error(error, path) from error
    except UnicodeDecodeError:
        return UNREADABLE
    return None if said == "ok" else " ".join(str(said).split())


def _prepared(path: Path, folder: int, *, known: int, patience: float, application_id: int) -> str | None:
    """See that a file is there; return what is damaged in it, None if it is sound."""
    prepare(path, folder)
    with told_as_place_error(path), told_as_store_error(path):
        damage = visible_damage(path)
        if damage is None:
            options = "mode=ro" if log_size_bytes(path) else "mode=rw"  # a look writes no log into what is damaged
            with closing(connect(path, options, patience=patience)) as connection:
                damage = damage_of(connection, path, known=known, application_id=application_id)
    return damage


def _replaced(path: Path, folder: int, damage: str, *, loss: str) -> Path:
    """Put a new file in place of a damaged one; return where that is now."""
    aside = set_aside(path, folder)
    prepare(path, folder)
    _log.error("store %s was damaged (%s): it is now %s, and a new one was made, so that %s", path, damage, aside, loss)
    return aside


def _configure(connection: sqlite3.Connection, path: Path | None) -> None:
    """Set what a connection has to be told each time."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA secure_delete = ON")  # a revoked secret is not left in an unused page
    if path is not None:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnavailableError(
                f"store {path} cannot be kept in WAL mode but in {mode!r}; expected a local file system"
            )
        connection.execute("PRAGMA synchronous = FULL")


def _place(path: Path) -> tuple[int, int] | None:
    """Return which file stands at `path`, None if none can be seen."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
