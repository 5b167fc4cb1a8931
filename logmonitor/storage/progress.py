"""How far each bot's logs have been handled: positions, sessions and their history, and the calls still to be made."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from logmonitor.errors import StoreError
from logmonitor.following.generation import Position
from logmonitor.machine import Completed
from logmonitor.records import Event, LogBatch, SessionState, Transition
from logmonitor.storage.codec import decode, encode
from logmonitor.storage.moment import to_milliseconds, to_moment
from logmonitor.storage.row import number_of, text_of
from logmonitor.watch import WatchState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from logmonitor.storage.database import Database
    from logmonitor.storage.refusal import Refusal
    from logmonitor.storage.row import Row

Input: TypeAlias = Event | Transition | LogBatch
"""What a handler is called with because of a line."""

_INPUTS: Final[Mapping[str, type[Input]]] = {one.__name__: one for one in (Event, Transition, LogBatch)}
_HISTORY: Final = timedelta(days=400)
_LARGEST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCall:
    """A call of an operation's handler that was not over.

    `sent` of what it sends is kept already. `runs` is what it has run, None where it is not known how that ended.
    """

    operation: str
    value: Input
    sent: int
    runs: Mapping[int, Completed | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """A state that a bot's session entered; `loss` counts the losses up to then, `at` is aware UTC."""

    state: SessionState
    loss: int
    at: datetime


class Progress:
    """The progress of all watches; what belongs together is written in one transaction of the store."""

    def __init__(self, database: Database | Refusal, /) -> None:
        """Use the store's database."""
        self._database = database

    def positions(self, watch: str, /) -> dict[Path, Position]:
        """Return where to go on in each of a bot's logs."""
        rows = self._database.rows(
            "SELECT path, device, inode, offset, marker, number, prefix_bytes, prefix_digest, modified_ns, directory"
            " FROM followed_file WHERE watch = ?",
            watch,
        )
        return dict(map(_position_of, rows))

    def put_position(self, watch: str, path: Path, position: Position, /) -> None:
        """Keep where to go on in one of a bot's logs."""
        self._database.change(
            "INSERT OR REPLACE INTO followed_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            watch,
            os.fsencode(path),
            _kept_number(position.device),
            _kept_number(position.inode),
            position.offset,
            position.marker,
            position.number,
            position.prefix_bytes,
            position.prefix_digest,
            _kept_number(position.modified_ns),
            os.fsencode(position.directory),
        )

    def state(self, watch: str, /) -> WatchState | None:
        """Return where a watch stands, without the reading of its files; None if nothing is kept."""
        rows = self._database.rows("SELECT state FROM watch_state WHERE watch = ?", watch)
        return decode(text_of(rows[0][0]), WatchState) if rows else None

    def put_state(self, watch: str, state: WatchState, /, *, at: datetime) -> None:
        """Keep where a watch stands; how its files are read is found out again from the lines before the position."""
        self._database.change(
            "INSERT OR REPLACE INTO watch_state VALUES (?, ?, ?)",
            watch,
            encode(replace(state, files={})),
            to_milliseconds(at),
        )

    def add_change(self, watch: str, change: SessionChange, /) -> None:
        """Keep a change of a bot's session, and forget those of more than a year ago, of whatever bot."""
        oldest = to_milliseconds(change.at - _HISTORY)
        self._database.change("DELETE FROM session_change WHERE changed_at < ?", oldest)
        self._database.change(
            "INSERT INTO session_change (watch, state, loss, changed_at) VALUES (?, ?, ?, ?)",
            watch,
            change.state.value,
            change.loss,
            to_milliseconds(change.at),
        )

    def changes(self, watch: str, /, *, since: datetime) -> tuple[SessionChange, ...]:
        """Return how a bot's session changed, the oldest first."""
        rows = self._database.rows(
            "SELECT state, loss, changed_at FROM session_change WHERE watch = ? AND changed_at >= ? ORDER BY id",
            watch,
            to_milliseconds(since),
        )
        return tuple(
            SessionChange(state=SessionState(text_of(state)), loss=number_of(loss), at=to_moment(at))
            for state, loss, at in rows
        )

    def pending(self, watch: str, /) -> tuple[int, ...]:
        """Return the ids of the calls about a bot that are to be made again, in order."""
        rows = self._database.rows("SELECT id FROM pending_call WHERE watch = ? ORDER BY id", watch)
        return tuple(number_of(id_) for (id_,) in rows)

    def call(self, id_: int, /) -> PendingCall | None:
        """Return a call that is to be made again; None if there is none of that id."""
        rows = self._database.rows("SELECT operation, kind, value, sent FROM pending_call WHERE id = ?", id_)
        return _call_of(rows[0], self._runs(id_)) if rows else None

    def add_pending(self, watch: str, operation: str, value: Input, /, *, sent: int) -> int:
        """Keep a call that is not over; return its id."""
        return self._database.insert(
            "INSERT INTO pending_call (watch, operation, kind, value, sent) VALUES (?, ?, ?, ?, ?)",
            watch,
            operation,
            type(value).__name__,
            encode(value),
            sent,
        )

    def note_sent(self, id_: int, sent: int, /) -> None:
        """Keep how much of what a call sends is kept."""
        self._database.change("UPDATE pending_call SET sent = ? WHERE id = ?", sent, id_)

    def remove_pending(self, id_: int, /) -> None:
        """Forget a call, and what it ran: it is over."""
        self._database.change("DELETE FROM pending_call WHERE id = ?", id_)

    def begin_run(self, id_: int, ordinal: int, /) -> None:
        """Keep that a call is about to run something, for the `ordinal`-th time."""
        self._database.change("INSERT INTO begun_run (call_id, ordinal) VALUES (?, ?)", id_, ordinal)

    def end_run(self, id_: int, ordinal: int, completed: Completed, /) -> None:
        """Keep how it ended."""
        self._database.change(
            "UPDATE begun_run SET completed = ? WHERE call_id = ? AND ordinal = ?", encode(completed), id_, ordinal
        )

    def _runs(self, id_: int) -> dict[int, Completed | None]:
        """Return what a call has run, None where it is not known how it ended."""
        rows = self._database.rows("SELECT ordinal, completed FROM begun_run WHERE call_id = ?", id_)
        return {
            number_of(ordinal): None if completed is None else decode(text_of(completed), Completed)
            for ordinal, completed in rows
        }


def _kept_number(number: int | None) -> int | None:
    """Return a number as far as the database can hold it: these are hints."""
    return None if number is None or number > _LARGEST else number


def _position_of(row: Row) -> tuple[Path, Position]:
    path, device, inode, offset, marker, number, prefix_bytes, prefix_digest, modified_ns, directory = row
    if not (
        isinstance(path, bytes)
        and isinstance(marker, bytes)
        and isinstance(prefix_digest, bytes)
        and isinstance(directory, bytes)
    ):
        raise StoreError("the store holds a position that is none")
    return Path(os.fsdecode(path)), Position(
        offset=number_of(offset),
        marker=marker,
        number=number_of(number),
        device=None if device is None else number_of(device),
        inode=None if inode is None else number_of(inode),
        prefix_bytes=number_of(prefix_bytes),
        prefix_digest=prefix_digest,
        modified_ns=None if modified_ns is None else number_of(modified_ns),
        directory=os.fsdecode(directory),
    )


def _call_of(row: Row, runs: Mapping[int, Completed | None]) -> PendingCall:
    operation, kind, value, sent = row
    known = _INPUTS.get(text_of(kind))
    if known is None:
        raise StoreError(f"the store holds a call with {kind!r}; expected {', '.join(_INPUTS)}")
    return PendingCall(
        operation=text_of(operation), value=decode(text_of(value), known), sent=number_of(sent), runs=runs
    )
