"""What one operation keeps, apart from what the others do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.storage.row import text_of

if TYPE_CHECKING:
    from logmonitor.storage.database import Database
    from logmonitor.storage.refusal import Refusal


class View:
    """The texts of one owner by key; see `logmonitor.operation.KeyValue`."""

    def __init__(self, database: Database | Refusal, owner: str, /) -> None:
        """Look at what `owner` keeps in `database`."""
        self._database = database
        self._owner = owner

    def get(self, key: str, /) -> str | None:
        """Return the text kept under `key`, None if there is none."""
        rows = self._database.rows("SELECT value FROM kept_text WHERE owner = ? AND key = ?", self._owner, key)
        return text_of(rows[0][0]) if rows else None

    def put(self, key: str, value: str, /) -> None:
        """Keep `value` under `key`, in place of what was there."""
        self._database.change(
            "INSERT INTO kept_text (owner, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value",
            self._owner,
            key,
            value,
        )

    def delete(self, key: str, /) -> None:
        """Forget what is kept under `key`, if anything is."""
        self._database.change("DELETE FROM kept_text WHERE owner = ? AND key = ?", self._owner, key)

    def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted."""
        rows = self._database.rows("SELECT key FROM kept_text WHERE owner = ?", self._owner)
        return tuple(sorted(text_of(key) for (key,) in rows))
