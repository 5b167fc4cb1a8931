"""The letters of an outbox in the store: which wait, which failed, what was taken by the chat, what may be recalled."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from logmonitor.errors import StoreError
from logmonitor.storage.letter_row import (
    LETTERS,
    SHOWN,
    kept_text,
    key_values,
    letter_of,
    letter_values,
    undelivered_of,
)
from logmonitor.storage.moment import to_milliseconds, to_moment
from logmonitor.storage.row import number_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from logmonitor.records import MessageKey
    from logmonitor.sending.letter import Letter, Undelivered
    from logmonitor.storage.database import Database
    from logmonitor.storage.refusal import Refusal

KEY_DAYS: Final = 30
FEWEST_KEYS: Final = 100
"""How long it is known that a message was decided on, so that it reaches nobody twice; of so many for ever.

The clock may be set forward while a QR is valid.
"""

FAILED_DAYS: Final = 7
MOST_FAILED: Final = 1000
"""How long, and how many, letters that failed for good can be looked at and sent after all."""

RECALLABLE_DAYS: Final = 2
"""How long it is known what the chat took; none takes back what is older."""

_DAMAGED: Final = "its row in the store cannot be read"


class Accepted(NamedTuple):
    """A message that the chat has taken, as it calls it: part of the letter `letter_id`, which was sent in a slot."""

    slot: str
    to: str
    message_id: str
    letter_id: int


class Letters:
    """One file's letters. Each change is a transaction of its own, or part of the one it is made in."""

    def __init__(self, database: Database | Refusal, /) -> None:
        """Look at the letters in `database`."""
        self._database = database

    def transaction(self) -> AbstractContextManager[None]:
        """Return what writes all of what is done inside, or nothing."""
        return self._database.transaction()

    def quick_transaction(self) -> AbstractContextManager[None]:
        """Return what writes as `transaction` does, but for what the loss of power may undo."""
        return self._database.quick_transaction()

    def version(self) -> int | None:
        """Return a number that is another one once another process has changed something; None in a transaction."""
        return self._database.version()

    def touch(self) -> None:
        """Write nothing that matters, to find out whether anything can be written."""
        self._database.touch()

    def last_id(self) -> int:
        """Return the highest number that a letter ever had, 0 before the first."""
        rows = self._database.rows("SELECT seq FROM sqlite_sequence WHERE name = 'letter'")
        return number_of(rows[0][0]) if rows else 0

    def waiting(self, *, at: datetime) -> tuple[Letter, ...]:
        """Return what is to be sent, oldest first; one whose row is damaged has failed from `at` on."""
        letters = []
        for row in self._database.rows(f"{LETTERS} WHERE failed_at IS NULL ORDER BY id"):
            try:
                letters.append(letter_of(row))
            except StoreError:
                self._database.change(
                    "UPDATE letter SET failed_at = ?, reason = ? WHERE id = ?",
                    to_milliseconds(at),
                    _DAMAGED,
                    number_of(row[0]),
                )
        return tuple(letters)

    def holds(self, id_: int, /) -> bool:
        """Tell whether a letter of that id is to be sent."""
        return bool(self._database.rows("SELECT 1 FROM letter WHERE id = ? AND failed_at IS NULL", id_))

    def undelivered(self) -> tuple[Undelivered, ...]:
        """Return what waits and what failed as it is shown, by id."""
        return tuple(map(undelivered_of, self._database.rows(SHOWN)))

    def count_failed(self) -> int:
        """Count what failed for good."""
        return len(self.failed_ids())

    def failed_ids(self) -> frozenset[int]:
        """Return the ids of what failed for good."""
        return frozenset(
            number_of(id_) for (id_,) in self._database.rows("SELECT id FROM letter WHERE failed_at IS NOT NULL")
        )

    def is_decided(self, to: str, key: MessageKey, /) -> bool:
        """Tell whether a message of that key was decided on for that recipient."""
        rows = self._database.rows(
            "SELECT 1 FROM delivered_key WHERE recipient = ? AND watch = ? AND loss = ? AND kind = ?",
            kept_text(to),
            *key_values(key),
        )
        return bool(rows)

    def add(self, letter: Letter, /) -> bool:
        """Keep a letter in place of what waits in its slot for its recipient; tell whether its key was a new one.

        If it was not, nothing is kept of it.
        """
        with self.transaction():
            if letter.key is not None and not self.decide(letter.to, letter.key, at=letter.written_at):
                return False
            if letter.slot is not None:
                self._database.change(
                    "DELETE FROM letter WHERE slot = ? AND recipient = ? AND id < ? AND failed_at IS NULL",
                    kept_text(letter.slot),
                    kept_text(letter.to),
                    letter.id,
                )
            self._put(letter)
        return True

    def add_again(self, letter: Letter, /) -> None:
        """Keep a letter that was decided on when nothing could be written."""
        with self.transaction():
            if letter.key is not None:
                self.decide(letter.to, letter.key, at=letter.written_at)
            self._put(letter)

    def decide(self, to: str, key: MessageKey, /, *, at: datetime) -> bool:
        """Note that a message of that key was decided on for that recipient; tell whether it was the first."""
        decided = self._database.change(
            "INSERT INTO delivered_key (recipient, watch, loss, kind, decided_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (recipient, watch, loss, kind) DO NOTHING",
            kept_text(to),
            *key_values(key),
            to_milliseconds(at),
        )
        return decided == 1

    def _put(self, letter: Letter) -> None:
        self._database.change(
            "INSERT OR REPLACE INTO letter (id, recipient, priority, slot, watch, loss, kind, content, data,"
            " written_at, expires_at, parts_sent, stamp, attempts, failed_at, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, '')",
            *letter_values(letter),
        )

    def withdraw(self, slot: str, /, *, until: int) -> None:
        """Forget what waits in a slot, and have recalled what the chat has taken of it, up to the letter `until`."""
        with self.transaction():
            self._database.change(
                "DELETE FROM letter WHERE slot = ? AND id <= ? AND failed_at IS NULL", kept_text(slot), until
            )
            self._database.change(
                "UPDATE accepted_message SET is_useless = 1 WHERE slot = ? AND letter_id <= ?", kept_text(slot), until
            )

    def remove(self, id_: int, /) -> bool:
        """Forget a letter, whatever became of it; tell whether there was one."""
        return self._database.change("DELETE FROM letter WHERE id = ?", id_) > 0

    def note_attempt(self, id_: int, /, *, attempts: int, reason: str) -> None:
        """Note that a letter did not go, so often and last for that reason."""
        self._database.change("UPDATE letter SET attempts = ?, reason = ? WHERE id = ?", attempts, reason, id_)

    def give_up(self, letter: Letter, /, *, reason: str, at: datetime) -> None:
        """Note that a letter will not be sent; only so many are kept for so long."""
        with self.transaction():
            if not self._database.rows("SELECT 1 FROM letter WHERE id = ?", letter.id):
                self._put(letter)
            self._database.change(
                "UPDATE letter SET failed_at = ?, reason = ?, attempts = ? WHERE id = ?",
                to_milliseconds(at),
                reason,
                letter.attempts,
                letter.id,
            )
            self._forget_failed()

    def give_up_all(self, ids: Iterable[int], /, *, reason: str, at: datetime) -> None:
        """Note that letters will not be sent; only so many are kept for so long."""
        with self.transaction():
            self._database.change(
                "UPDATE letter SET failed_at = ?, reason = ? WHERE id IN (SELECT value FROM json_each(?))",
                to_milliseconds(at),
                reason,
                json.dumps(tuple(ids)),
            )
            self._forget_failed()

    def _forget_failed(self) -> None:
        """Keep only so many of those that failed."""
        self._database.change(
            "DELETE FROM letter WHERE id IN (SELECT id FROM letter WHERE failed_at IS NOT NULL"
            " ORDER BY failed_at DESC, id DESC LIMIT -1 OFFSET ?)",
            MOST_FAILED,
        )

    def retry(self, id_: int, /) -> bool:
        """Let a letter that failed be sent after all, as if it had never been tried; tell whether there was one."""
        retried = self._database.change(
            "UPDATE letter SET failed_at = NULL, reason = '', attempts = 0 WHERE id = ? AND failed_at IS NOT NULL", id_
        )
        return retried == 1

    def accept(
        self, letter: Letter, message: Accepted | None, /, *, is_whole: bool, is_answer: bool, at: datetime
    ) -> None:
        """Note that the chat has taken a part of a letter, and the whole of it with the last one.

        `letter` counts the part already; `message` is what may be recalled later. `is_answer` says that what its
        recipient was sent is counted.
        """
        with self.transaction():
            if is_whole:
                self.remove(letter.id)
            else:
                self._database.change(
                    "UPDATE letter SET parts_sent = ?, stamp = ? WHERE id = ?",
                    letter.parts_sent,
                    letter.stamp,
                    letter.id,
                )
            self._database.insert("INSERT INTO sent_message (sent_at) VALUES (?)", to_milliseconds(at))
            if is_answer:
                self._database.change(
                    "INSERT INTO conversation (recipient, unanswered) VALUES (?, 1)"
                    " ON CONFLICT (recipient) DO UPDATE SET unanswered = unanswered + 1",
                    kept_text(letter.to),
                )
            if message is not None:
                self._database.change(
                    "INSERT OR REPLACE INTO accepted_message"
                    " (slot, recipient, message_id, letter_id, accepted_at, is_useless) VALUES (?, ?, ?, ?, ?, 0)",
                    kept_text(message.slot),
                    kept_text(message.to),
                    kept_text(message.message_id),
                    message.letter_id,
                    to_milliseconds(at),
                )

    def make_useless(self, message: Accepted, /) -> None:
        """Have a message recalled that the chat has taken."""
        self._database.change(
            "UPDATE accepted_message SET is_useless = 1 WHERE slot = ? AND recipient = ? AND message_id = ?",
            *map(kept_text, message[:3]),
        )

    def forget(self, message: Accepted, /) -> None:
        """Forget a message that the chat has taken: it is recalled, or cannot be."""
        self._database.change(
            "DELETE FROM accepted_message WHERE slot = ? AND recipient = ? AND message_id = ?",
            *map(kept_text, message[:3]),
        )

    def accepted(self) -> tuple[tuple[Accepted, bool], ...]:
        """Return what the chat has taken in slots, oldest first, and whether it is to be recalled."""
        rows = self._database.rows(
            "SELECT slot, recipient, message_id, letter_id, is_useless FROM accepted_message"
            " ORDER BY letter_id, accepted_at"
        )
        return tuple(
            (Accepted(text_of(slot), text_of(to), text_of(message_id), number_of(letter_id)), bool(is_useless))
            for slot, to, message_id, letter_id, is_useless in rows
        )

    def sent_since(self, at: datetime, /) -> tuple[datetime, ...]:
        """Return when the chat took messages from `at` on, in the order it did."""
        rows = self._database.rows(
            "SELECT sent_at FROM sent_message WHERE sent_at >= ? ORDER BY id", to_milliseconds(at)
        )
        return tuple(to_moment(sent_at) for (sent_at,) in rows)

    def unanswered(self) -> dict[str, int]:
        """Return how many messages each conversation was sent since the last one that came from it."""
        rows = self._database.rows("SELECT recipient, unanswered FROM conversation")
        return {text_of(to): number_of(count) for to, count in rows}

    def note_inbound(self, conversation: str, /) -> None:
        """Note that a message came in from a conversation."""
        self._database.change("DELETE FROM conversation WHERE recipient = ?", kept_text(conversation))

    def _newest_keys_since(self) -> int:
        """Return when the oldest of those keys was decided that are kept however old they are; 0 where all are."""
        rows = self._database.rows(
            "SELECT decided_at FROM delivered_key ORDER BY decided_at DESC LIMIT 1 OFFSET ?", FEWEST_KEYS - 1
        )
        return number_of(rows[0][0]) if rows else 0

    def prune(self, *, at: datetime, period: float) -> None:
        """Forget what is too old to be of use, and what was sent more than `period` seconds ago.

        What is said to be later than `at`, before the clock was set back, counts from `at`.
        """
        now = to_milliseconds(at)

        def before(days: float) -> int:
            return to_milliseconds(at - timedelta(days=days))

        with self.transaction():
            for table, column, oldest, rest in (
                ("delivered_key", "decided_at", min(before(KEY_DAYS), self._newest_keys_since()), ""),
                ("accepted_message", "accepted_at", before(RECALLABLE_DAYS), ""),
                ("letter", "failed_at", before(FAILED_DAYS), " AND failed_at IS NOT NULL"),
                ("sent_message", "sent_at", before(period / 86400), ""),
            ):
                self._database.change(f"UPDATE {table} SET {column} = ? WHERE {column} > ?{rest}", now, now)  # noqa: S608  # names of ours
                self._database.change(f"DELETE FROM {table} WHERE {column} < ?{rest}", oldest)  # noqa: S608  # names of ours
