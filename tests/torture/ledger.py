"""What a follower gave out, and where it stood then: in one file, of which a kill leaves both or neither."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from logmonitor.following.generation import Position
from logmonitor.records import Chunk, Notice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, data BLOB, kind TEXT, detail TEXT, lost_bytes INTEGER);
CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY CHECK (id = 1), document TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A notice, as it was given out."""

    kind: str
    detail: str
    lost_bytes: int | None


class Ledger:
    """What one follower wrote down, read or written by one process."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`, which is created if need be."""
        self._database = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, item: Chunk | Notice, position: Position | None) -> None:
        """Write down what was given out, and what position the follower told behind it, both or neither."""
        self._database.execute("BEGIN IMMEDIATE")
        if isinstance(item, Chunk):
            self._database.execute("INSERT INTO item (data) VALUES (?)", (item.data,))
        else:
            row = (item.kind.value, item.detail, item.lost_bytes)
            self._database.execute("INSERT INTO item (kind, detail, lost_bytes) VALUES (?, ?, ?)", row)
        if position is not None:
            self._database.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (_packed(position),))
        self._database.execute("COMMIT")

    def position(self) -> Position | None:
        """Return the last position, None where there is none yet."""
        with closing(self._database.execute("SELECT document FROM position")) as rows:
            row = rows.fetchone()
        return None if row is None else _unpacked(row[0])

    def lines(self) -> Iterator[bytes]:
        """Yield all lines in the order given out, without terminators; half a line was the last of its chunk."""
        with closing(self._database.execute("SELECT data FROM item WHERE data IS NOT NULL ORDER BY id")) as rows:
            for (data,) in rows:
                yield from data.split(b"\n")[: -1 if data.endswith(b"\n") or not data else None]

    def has(self, raw: bytes) -> bool:
        """Tell whether the last data end with a line."""
        query = "SELECT data FROM item WHERE data IS NOT NULL AND length(data) > 0 ORDER BY id DESC LIMIT 1"
        with closing(self._database.execute(query)) as rows:
            row = rows.fetchone()
        return row is not None and bytes(row[0]).endswith(raw)

    def size_bytes(self) -> int:
        """Return how much data there is."""
        with closing(self._database.execute("SELECT coalesce(sum(length(data)), 0) FROM item")) as rows:
            return int(rows.fetchone()[0])

    def remarks(self) -> list[Remark]:
        """Return the notices in the order given out."""
        query = "SELECT kind, detail, lost_bytes FROM item WHERE kind IS NOT NULL ORDER BY id"
        with closing(self._database.execute(query)) as rows:
            return [Remark(kind=kind, detail=detail, lost_bytes=lost_bytes) for kind, detail, lost_bytes in rows]


def _packed(position: Position) -> str:
    document = asdict(position)
    return json.dumps({name: value.hex() if isinstance(value, bytes) else value for name, value in document.items()})


def _unpacked(text: str) -> Position:
    document: dict[str, Any] = json.loads(text)
    for name in ("marker", "prefix_digest"):
        document[name] = bytes.fromhex(document[name])
    return Position(**document)
