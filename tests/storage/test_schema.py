"""How a file comes from one version to the next."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import StoreError
from logmonitor.grant import Grant
from logmonitor.storage.schema import MIGRATIONS
from logmonitor.store import Store

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
SECOND = (
    "CREATE TABLE note (grant_id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    "INSERT INTO note SELECT id, 'given to ' || user FROM access_grant",
)
THIRD = ("UPDATE note SET text = text || '!'",)
BROKEN = ("DELETE FROM access_grant", "INSERT INTO nowhere VALUES (1)")


def ask(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Return what stands in a file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a store of version 1 with a grant."""
    path = tmp_path / "bot.db"
    with Store(path, migrations=MIGRATIONS[:1]) as store:
        store.add_grant(Grant(user="bob", at=NOW))
    assert ask(path, "PRAGMA user_version") == [(1,)]
    return path


def test_older_file_is_migrated_with_what_is_in_it(path: Path) -> None:
    """A file of version 1 goes through each later migration once, and keeps what it held."""
    for _ in range(2):
        with Store(path, migrations=(MIGRATIONS[0], SECOND, THIRD)) as store:
            assert [grant.user for grant in store.grants()] == ["bob"]
        assert ask(path, "PRAGMA user_version") == [(3,)]
        assert ask(path, "SELECT * FROM note") == [(1, "given to bob!")]


def test_migrated_file_is_refused_by_the_older_version(path: Path) -> None:
    """There is no way back: the version before refuses the file and names the remedy."""
    Store(path, migrations=(MIGRATIONS[0], SECOND)).close()
    with pytest.raises(StoreError, match="has version 2, made by a newer logmonitor"):
        Store(path, migrations=MIGRATIONS[:1])


def test_half_done_migration_is_rolled_back(path: Path) -> None:
    """A migration that fails in the middle leaves the file as it was, the migrations before it undone too."""
    with pytest.raises(StoreError, match="cannot be brought to version 3 and was left as it was: no such table"):
        Store(path, migrations=(MIGRATIONS[0], SECOND, BROKEN))
    assert ask(path, "PRAGMA user_version") == [(1,)]
    assert ask(path, "SELECT name FROM sqlite_master WHERE name = 'note'") == []
    with Store(path) as store:
        assert [grant.user for grant in store.grants()] == ["bob"]
        assert store.set_aside is None


def test_new_file_that_cannot_be_made_is_empty(tmp_path: Path) -> None:
    """A first migration that fails leaves nothing that the next start would take for a store."""
    path = tmp_path / "bot.db"
    with pytest.raises(StoreError, match="cannot be brought to version 1"):
        Store(path, migrations=(BROKEN,))
    with Store(path) as store:
        assert store.grants() == ()


def test_store_in_memory_is_migrated_too() -> None:
    """Every migration runs where nothing lasts, and fails there as elsewhere."""
    with Store(migrations=(*MIGRATIONS, SECOND, THIRD)) as store:
        assert store.grants() == ()
    with pytest.raises(StoreError, match="store in memory cannot be brought to version 2"):
        Store(migrations=(MIGRATIONS[0], BROKEN))
