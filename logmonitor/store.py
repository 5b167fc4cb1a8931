"""What must last, in one SQLite file: grants, enrolments, used codes, locks, and what operations keep.

Nothing of it is a secret that is not sealed, yet whoever can write the file can grant themselves anything: it is its
owner's alone. No failure permits anything: what cannot be read or written raises `StoreError`.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Self

from logmonitor.lockout import Lockout
from logmonitor.storage.database import Database
from logmonitor.storage.letters import Letters
from logmonitor.storage.moment import to_milliseconds
from logmonitor.storage.place import set_aside_before
from logmonitor.storage.progress import Progress
from logmonitor.storage.reading import read_enrolled, read_grants, read_kept, read_undelivered
from logmonitor.storage.refusal import Refusal
from logmonitor.storage.row import GRANTS, enrolment_of, grant_of, grant_values, lockout_of, lockout_values
from logmonitor.storage.schema import MIGRATIONS
from logmonitor.storage.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from logmonitor.enrolment import Enrolment
    from logmonitor.errors import StoreError
    from logmonitor.grant import Grant
    from logmonitor.operation import KeyValue
    from logmonitor.storage.schema import Migration

__all__ = ["Store", "read_enrolled", "read_grants", "read_kept", "read_undelivered", "set_aside_before"]

PATIENCE_SECONDS: Final = 5.0
_LARGEST_ID: Final = (1 << 63) - 1


class Store:
    """One file for one instance. Synchronous, with short transactions; used from one thread.

    The command line may use the file of a running bot: each waits for the other's transaction, and sees what it did.
    `set_aside` is where a damaged file was put when this one was opened, None if it was sound.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        migrations: tuple[Migration, ...] = MIGRATIONS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Open the file at `path`, or make it; without a path nothing lasts.

        Other processes are waited for `patience` seconds.

        Raises:
            StoreUnavailableError: it cannot be used because of its place, which may pass.
            StoreError: it is no store, another program's or a newer version's.
        """
        self.path = path.absolute() if path is not None else None
        self._database: Database | Refusal = Database(self.path, migrations=migrations, patience=patience)
        self.set_aside = self._database.set_aside
        self._grants: tuple[int, tuple[Grant, ...]] | None = None
        self.progress = Progress(self._database)

    @classmethod
    def refusing(cls, path: Path, error: StoreError, /) -> Self:
        """Return what stands in for the file at `path` that `error` kept from being opened.

        Nothing is opened. All that is asked of it raises an error of that kind, so that what needs the store is refused
        until the next start, and everything else goes on. It may be closed.
        """
        store = cls()
        store.path = path.absolute()
        store._database = Refusal(error)
        store.progress = Progress(store._database)
        return store

    def close(self) -> None:
        """Close the file; may be called again."""
        self._database.close()

    def __enter__(self) -> Self:
        """Return the store itself, to be closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of what is done inside, or nothing if it raises; do not await inside.

        One inside another is undone by itself if it raises, and lasts once the outer one is over.

        Raises:
            StoreError: it cannot be begun, or cannot be written.
        """
        with self._database.transaction():
            yield

    @contextmanager
    def quick_transaction(self) -> Iterator[None]:
        """Write as `transaction` does, without waiting for the disk: the loss of power may undo it, nothing else.

        It may so until `settle` is called, or a transaction that waits has written something.

        Raises:
            StoreError: it cannot be begun, or cannot be written.
        """
        with self._database.quick_transaction():
            yield

    @property
    def is_settled(self) -> bool:
        """Whether all that is written outlasts the loss of power."""
        return self._database.is_settled

    def settle(self) -> None:
        """See to it that all that is written outlasts the loss of power.

        Raises:
            StoreError: it cannot be written.
        """
        self._database.settle()

    @property
    def is_refused(self) -> bool:
        """Whether the file could not be opened, and all that is asked of it is refused."""
        return isinstance(self._database, Refusal)

    def touch(self) -> None:
        """Write nothing that matters, to find out whether anything can be written.

        Raises:
            StoreError: nothing can.
        """
        self._database.touch()

    def grants(self) -> tuple[Grant, ...]:
        """Return all grants by id, expired ones too.

        They are read again only after a change, by whatever process: this is asked for each message.
        """
        version = self._database.version()
        if version is not None and self._grants is not None and self._grants[0] == version:
            return self._grants[1]
        grants = tuple(grant_of(row) for row in self._database.rows(f"{GRANTS} ORDER BY id"))
        if version is not None:  # what is seen inside a transaction may be undone
            self._grants = version, grants
        return grants

    def add_grant(self, grant: Grant, /) -> Grant:
        """Keep a grant; return it as it is kept, with its id, which no other grant ever gets."""
        values = grant_values(grant)
        self._grants = None
        id_ = self._database.insert(
            "INSERT INTO access_grant (user, operation, command, room, until, is_denial, given_by, given_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *values,
        )
        return grant_of((id_, *values))

    def remove_grant(self, id_: int, /) -> Grant | None:
        """Forget a grant; return it, None if there is none of that id."""
        if not 0 < id_ <= _LARGEST_ID:
            return None
        with self.transaction():
            self._grants = None
            rows = self._database.rows(f"{GRANTS} WHERE id = ?", id_)
            self._database.change("DELETE FROM access_grant WHERE id = ?", id_)
        return grant_of(rows[0]) if rows else None

    def enrolments(self) -> tuple[Enrolment, ...]:
        """Return who can give one-time codes, by user."""
        rows = self._database.rows(
            "SELECT user, sealed, enrolled_at, (SELECT count(*) FROM recovery_code"
            " WHERE recovery_code.user = enrolment.user AND used_at IS NULL) FROM enrolment ORDER BY user"
        )
        return tuple(enrolment_of(row) for row in rows)

    def enrol(self, user: str, sealed: bytes, *, recovery: Sequence[bytes], at: datetime) -> None:
        """Keep a user's secret and the digests of their recovery codes, in place of earlier ones.

        Steps that were used stay used, and a lock stays.
        """
        with self.transaction():
            self.remove_enrolment(user)
            self._database.change(
                "INSERT INTO enrolment (user, sealed, enrolled_at) VALUES (?, ?, ?)", user, sealed, to_milliseconds(at)
            )
            for digest in recovery:
                self._database.change("INSERT INTO recovery_code (user, digest) VALUES (?, ?)", user, digest)

    def remove_enrolment(self, user: str, /) -> bool:
        """Forget a user's secret and recovery codes; tell whether there were any."""
        return self._database.change("DELETE FROM enrolment WHERE user = ?", user) > 0

    def use_step(self, user: str, step: int, *, purpose: str, at: datetime) -> bool:
        """Use up a time step; tell whether it was unused. It is on disk once True is returned, outside a transaction.

        `purpose` says what it was used for, as the SHA-256 of the command. No step is ever forgotten: a clock may be
        set forward and back again. Ten years of a code every hour take some 10 MB.
        """
        used = self._database.change(
            "INSERT INTO used_step (user, step, purpose, used_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (user, step) DO NOTHING",
            user,
            step,
            purpose,
            to_milliseconds(at),
        )
        return used == 1

    def use_recovery_code(self, user: str, digest: bytes, *, at: datetime) -> bool:
        """Use up the recovery code of that digest; tell whether it is one of the user's and was unused."""
        used = self._database.change(
            "UPDATE recovery_code SET used_at = ? WHERE user = ? AND digest = ? AND used_at IS NULL",
            to_milliseconds(at),
            user,
            digest,
        )
        return used == 1

    def lockout(self, user: str, /) -> Lockout:
        """Return what a user's wrong codes led to so far."""
        rows = self._database.rows("SELECT failures, times, until FROM lockout WHERE user = ?", user)
        return lockout_of(rows[0]) if rows else Lockout()

    def put_lockout(self, user: str, lockout: Lockout, /) -> None:
        """Keep what a user's wrong codes led to, in place of what was kept."""
        if lockout == Lockout():
            self._database.change("DELETE FROM lockout WHERE user = ?", user)
            return
        self._database.change(
            "INSERT INTO lockout (user, failures, times, until) VALUES (?, ?, ?, ?) ON CONFLICT (user) DO UPDATE"
            " SET failures = excluded.failures, times = excluded.times, until = excluded.until",
            user,
            *lockout_values(lockout),
        )

    def note_message(self, id_: str, /, *, at: datetime, keep_seconds: float) -> bool:
        """Note a message's id; tell whether it is new. It is on disk once True is returned, outside a transaction.

        Ids noted more than `keep_seconds` before are forgotten. Those noted later than `at`, before the clock was set
        back, count from `at`, so that they are neither forgotten too early nor kept for ever. Any text is an id.
        """
        now = to_milliseconds(at)
        digest = sha256(id_.encode("utf-8", "surrogatepass")).digest()
        with self.transaction():
            self._database.change("DELETE FROM seen_message WHERE seen_at < ?", now - math.ceil(keep_seconds * 1000))
            self._database.change("UPDATE seen_message SET seen_at = ? WHERE seen_at > ?", now, now)
            noted = self._database.change(
                "INSERT INTO seen_message (digest, seen_at) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", digest, now
            )
        return noted == 1

    @property
    def letters(self) -> Letters:
        """What is to be sent, and what became of it."""
        return Letters(self._database)

    def view(self, owner: str, /) -> KeyValue:
        """Return what `owner` alone keeps: texts by key."""
        return View(self._database, owner)
