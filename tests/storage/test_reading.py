"""A look at who is enrolled, which leaves no trace."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import StoreError
from logmonitor.grant import Grant
from logmonitor.storage.schema import MIGRATIONS
from logmonitor.store import Store, read_enrolled, read_grants, read_kept

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store may be."""
    return tmp_path / "bot.db"


def contents(folder: Path) -> dict[str, bytes]:
    """Return all that stands in a folder, but for the locks that SQLite has beside a file in use."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def test_nobody_is_enrolled_where_there_is_no_file(path: Path) -> None:
    """A store that is not there yet has nobody, and is not made."""
    assert read_enrolled(path) == NOBODY
    assert os.listdir(path.parent) == []  # noqa: PTH208 - what stands there, not what is made of it


def test_nobody_is_enrolled_in_an_empty_file(path: Path) -> None:
    """A file in which nothing stands has nobody, and stays empty."""
    path.touch()
    assert read_enrolled(path) == NOBODY
    assert contents(path.parent) == {"bot.db": b""}


def test_enrolled_are_read_from_a_closed_store(path: Path) -> None:
    """Who is enrolled is read, and nothing is there or other than before."""
    with Store(path) as store:
        store.enrol("bob", b"sealed", recovery=[b"1"], at=NOW)
        store.enrol("alice", b"sealed", recovery=[], at=NOW)
        store.remove_enrolment("alice")
    before = contents(path.parent)
    assert read_enrolled(path) == {"bob"}
    assert contents(path.parent) == before
    assert list(before) == ["bot.db"]


def test_grants_are_read_without_a_trace(path: Path) -> None:
    """Grants and denials are read as the store has them, none where there is no file, and nothing is made."""
    assert read_grants(path) == ()
    assert not path.exists()
    with Store(path) as store:
        for is_denial in (False, True):
            store.add_grant(Grant(user="bob", until=NOW, is_denial=is_denial, at=NOW))
        grants = store.grants()
        assert read_grants(path) == grants
    before = contents(path.parent)
    assert read_grants(path) == grants
    assert [grant.is_denial for grant in grants] == [False, True]
    assert contents(path.parent) == before


def test_enrolled_are_read_beside_a_running_writer(path: Path) -> None:
    """Who is enrolled is read from a store in use, as far as it is written, and its user is not disturbed."""
    with Store(path) as store:
        store.enrol("bob", b"sealed", recovery=[], at=NOW)
        with store.transaction():
            store.enrol("alice", b"sealed", recovery=[], at=NOW)
            assert read_enrolled(path) == {"bob"}
        before = contents(path.parent)
        assert read_enrolled(path) == {"alice", "bob"}
        assert contents(path.parent) == before
        store.remove_enrolment("bob")
        assert read_enrolled(path) == {"alice"}


@pytest.mark.parametrize("left", ["bot.db-wal", "bot.db-shm"])
def test_enrolled_are_read_from_what_a_killed_writer_leaves(path: Path, tmp_path: Path, left: str) -> None:
    """What was written last and lies beside the file counts, with or without SQLite's locks; nothing is made."""
    copy = tmp_path / "copy" / "bot.db"
    copy.parent.mkdir()
    with Store(path) as store:
        store.enrol("bob", b"sealed", recovery=[], at=NOW)
        for name in {"bot.db", "bot.db-wal", left}:
            shutil.copy(path.with_name(name), copy.with_name(name))
    before = contents(copy.parent)
    names = sorted(copy.parent.iterdir())
    assert read_enrolled(copy) == {"bob"}
    assert contents(copy.parent) == before
    assert sorted(copy.parent.iterdir()) == names


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"PRAGMA user_version = {len(MIGRATIONS) + 1}", "made by a newer logmonitor"),
        ("PRAGMA application_id = 7", "another program"),
        ("DROP TABLE enrolment", "no such table"),
        ("INSERT INTO enrolment VALUES (x'00', x'00', 0)", "expected a text"),
    ],
)
def test_what_is_no_store_of_ours_is_a_store_error(path: Path, statement: str, said: str) -> None:
    """What cannot be relied on has not nobody: it is refused."""
    Store(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
    before = contents(path.parent)
    with pytest.raises(StoreError, match=said):
        read_enrolled(path)
    assert contents(path.parent) == before


@pytest.mark.parametrize("content", [b"this is no database" * 1000, b"?"])
def test_damaged_store_is_a_store_error_with_a_remedy(path: Path, content: bytes) -> None:
    """A damaged file is refused with what sets it aside, and is not set aside here."""
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"store {path} is damaged: .*; the next start of logmonitor"):
        read_enrolled(path)
    assert contents(path.parent) == {"bot.db": content}


def test_link_and_directory_are_store_errors(path: Path, tmp_path: Path) -> None:
    """What the store would refuse is refused here too."""
    path.symlink_to(tmp_path / "target.db")
    with pytest.raises(StoreError, match="symbolic link"):
        read_enrolled(path)
    with pytest.raises(StoreError, match="directory"):
        read_enrolled(tmp_path)
    with pytest.raises(StoreError, match="cannot be opened"):
        read_enrolled(tmp_path / "\0")


def test_kept_text_is_read_without_a_trace(path: Path) -> None:
    """What one owner keeps is read from a closed store and beside an open one; what is not there is none."""
    assert read_kept(path, "audit", "newest") is None
    with Store(path) as store:
        store.view("audit").put("newest", "7")
        store.view("other").put("newest", "8")
        assert read_kept(path, "audit", "newest") == "7"
    before = contents(path.parent)
    assert read_kept(path, "audit", "newest") == "7"
    assert read_kept(path, "audit", "oldest") is None
    assert contents(path.parent) == before
