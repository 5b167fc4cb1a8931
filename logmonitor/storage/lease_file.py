"""The leases of the rescuers of one machine, and what was delivered under them, in a small SQLite file they share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from logmonitor.errors import StoreError
from logmonitor.lease import Lease, Reach
from logmonitor.storage.database import Database
from logmonitor.storage.reading import look
from logmonitor.storage.row import number_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from logmonitor.records import MessageKey
    from logmonitor.storage.row import Row
    from logmonitor.storage.schema import Migration

LEASE_APPLICATION_ID: Final = 0x6C6F676C  # "logl", so that no store is taken for one
LONGEST_MEMORY: Final = 10_000
"""How many deliveries are remembered: months of them, whatever time it is taken to be."""

LEASE_MIGRATIONS: Final[tuple[Migration, ...]] = (
    (
        """
        CREATE TABLE lease (
            watch TEXT NOT NULL PRIMARY KEY,
            holder TEXT NOT NULL,
            instance TEXT NOT NULL,
            boot TEXT NOT NULL,
            since INTEGER NOT NULL,
            until INTEGER NOT NULL,
            reach INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE delivery (
            recipient TEXT NOT NULL,
            watch TEXT NOT NULL,
            loss TEXT NOT NULL,
            kind TEXT NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (recipient, watch, loss, kind)
        ) WITHOUT ROWID
        """,
    ),
)
"""The n-th leads to version n."""


def require_leases(path: Path, /) -> None:
    """Look whether the file at `path` can be shared, if there is one; nothing is made or changed.

    Raises:
        StoreError: it is no such file, is damaged, of a newer version, or cannot be read.
    """
    look(
        path,
        lambda _: None,
        known=len(LEASE_MIGRATIONS),
        application_id=LEASE_APPLICATION_ID,
        remedy="whoever uses it next sets it aside and makes a new one",
    )


class LeaseFile:
    """One file for all rescuers that share leases. Synchronous, with short transactions; used from one thread."""

    def __init__(self, path: Path, /, *, patience: float) -> None:
        """Open the file at `path`, or make it; wait for other processes `patience` seconds.

        Raises:
            StoreError: it cannot be used; a `StoreUnavailableError` if its place is at fault.
        """
        self._database = Database(
            path.absolute(),
            migrations=LEASE_MIGRATIONS,
            patience=patience,
            application_id=LEASE_APPLICATION_ID,
            loss="it is not known any more who held which lease, nor what was delivered",
        )

    def close(self) -> None:
        """Close the file; may be called again.

        Raises:
            StoreError: what is written cannot be moved into the file itself; it is safe beside it.
        """
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of what is inside, or nothing if it raises; nobody else writes meanwhile.

        Raises:
            StoreError: it cannot be begun, or cannot be written.
        """
        with self._database.transaction():
            yield

    def lease(self, watch: str, /) -> Lease | None:
        """Return the last lease of a bot, whether it still holds or not; None if there was none.

        Raises:
            StoreError: it cannot be read.
        """
        rows = self._database.rows(
            "SELECT watch, holder, instance, boot, since, until, reach FROM lease WHERE watch = ?", watch
        )
        return _lease_of(rows[0]) if rows else None

    def put_lease(self, lease: Lease, /) -> None:
        """Keep a lease in place of the last one of that bot.

        Raises:
            StoreError: it cannot be written.
        """
        self._database.change(
            "INSERT INTO lease (watch, holder, instance, boot, since, until, reach) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (watch) DO UPDATE SET holder = excluded.holder, instance = excluded.instance,"
            " boot = excluded.boot, since = excluded.since, until = excluded.until, reach = excluded.reach",
            lease.watch,
            lease.holder,
            lease.instance,
            lease.boot,
            _milliseconds(lease.since),
            _milliseconds(lease.until),
            int(lease.reach),
        )

    def release(self, instance: str, /) -> None:
        """Give up every lease that an instance holds.

        Raises:
            StoreError: it cannot be written.
        """
        self._database.change("DELETE FROM lease WHERE instance = ?", instance)

    def is_delivered(self, to: str, key: MessageKey, /) -> bool:
        """Tell whether any rescuer has delivered a message to that recipient.

        Raises:
            StoreError: it cannot be read.
        """
        return bool(
            self._database.rows(
                "SELECT 1 FROM delivery WHERE recipient = ? AND watch = ? AND loss = ? AND kind = ?",
                to,
                key.watch,
                key.loss,
                key.kind,
            )
        )

    def note_delivered(self, names: Iterable[str], key: MessageKey, /) -> None:
        """Remember that a message was delivered to who has these names; forget the oldest beyond `LONGEST_MEMORY`.

        Raises:
            StoreError: it cannot be written.
        """
        with self.transaction():
            ((last,),) = self._database.rows("SELECT coalesce(max(number), 0) FROM delivery")
            number = number_of(last) + 1
            for name in names:
                self._database.change(
                    "INSERT INTO delivery (recipient, watch, loss, kind, number) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (recipient, watch, loss, kind) DO NOTHING",
                    name,
                    key.watch,
                    key.loss,
                    key.kind,
                    number,
                )
            self._database.change("DELETE FROM delivery WHERE number <= ?", number - LONGEST_MEMORY)


def _lease_of(row: Row) -> Lease:
    watch, holder, instance, boot, since, until, reach = row
    if reach not in {int(one) for one in Reach}:
        raise StoreError(f"the lease of {watch!r} has the reach {reach!r}; expected one of {[*map(int, Reach)]}")
    return Lease(
        watch=text_of(watch),
        holder=text_of(holder),
        instance=text_of(instance),
        boot=text_of(boot),
        since=number_of(since) / 1000,
        until=number_of(until) / 1000,
        reach=Reach(number_of(reach)),
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
