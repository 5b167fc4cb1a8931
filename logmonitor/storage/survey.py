"""What stands in a store, counted, and whether all of it is sound; a look that leaves no trace."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from logmonitor.errors import StoreError
from logmonitor.storage.codec import decode
from logmonitor.storage.moment import to_moment
from logmonitor.storage.reading import look
from logmonitor.storage.row import number_of, text_of
from logmonitor.storage.schema import MIGRATIONS
from logmonitor.watch import WatchState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from logmonitor.records import Session

NEWEST_VERSION: Final = len(MIGRATIONS)
_WITH_PROGRESS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What stands in a store of that `version`.

    `unsound` is what is wrong between its pages, None if nothing is. `logs` counts by bot the logs in which reading
    goes on, `pending_calls` what has to be done again after a crash. `unreadable` are bots whose session is kept and
    cannot be read, each with why.
    """

    version: int
    unsound: str | None = None
    grants: int = 0
    denials: int = 0
    enrolled: int = 0
    letters_waiting: int = 0
    oldest_letter_at: datetime | None = None
    letters_failed: int = 0
    pending_calls: int = 0
    logs: Mapping[str, int] = field(default_factory=dict)
    sessions: tuple[Session, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


def read_survey(path: Path, /) -> Survey | None:
    """Count what stands in the store at `path`; None if there is no file, or nothing in it; works beside a running bot.

    Raises:
        StoreError: it is no store, is damaged, of a newer version, or cannot be read.
    """
    return look(path, _survey)


def _survey(connection: sqlite3.Connection) -> Survey:
    def count(table: str, condition: str = "TRUE") -> int:
        (found,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()  # noqa: S608  # ours
        return number_of(found)

    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    unsound = None if said == "ok" else " ".join(text_of(said).split())
    if unsound is None and (orphan := connection.execute("PRAGMA foreign_key_check").fetchone()) is not None:
        unsound = f"a row of {orphan[0]} belongs to one of {orphan[2]} that is not there"
    survey = Survey(
        version=number_of(version),
        unsound=unsound,
        grants=count("access_grant", "NOT is_denial"),
        denials=count("access_grant", "is_denial"),
        enrolled=count("enrolment"),
    )
    if number_of(version) < _WITH_PROGRESS:
        return survey
    (oldest,) = connection.execute("SELECT min(written_at) FROM letter WHERE failed_at IS NULL").fetchone()
    sessions, unreadable = _sessions(connection)
    return replace(
        survey,
        letters_waiting=count("letter", "failed_at IS NULL"),
        oldest_letter_at=None if oldest is None else to_moment(oldest),
        letters_failed=count("letter", "failed_at IS NOT NULL"),
        pending_calls=count("pending_call"),
        logs={
            text_of(watch): number_of(logs)
            for watch, logs in connection.execute(
                "SELECT watch, count(*) FROM followed_file GROUP BY watch ORDER BY watch"
            )
        },
        sessions=sessions,
        unreadable=unreadable,
    )


def _sessions(connection: sqlite3.Connection) -> tuple[tuple[Session, ...], tuple[tuple[str, str], ...]]:
    """Return the sessions that are kept, by bot, and which cannot be read."""
    sessions: list[Session] = []
    unreadable: list[tuple[str, str]] = []
    for watch, state in connection.execute("SELECT watch, state FROM watch_state ORDER BY watch").fetchall():
        try:
            sessions.append(decode(text_of(state), WatchState).session)
        except StoreError as error:
            unreadable.append((text_of(watch), str(error)))
    return tuple(sessions), tuple(unreadable)
