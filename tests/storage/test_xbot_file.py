"""An XBot's database is read and nothing else: not changed, not trusted, not waited for."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import StoreError
from logmonitor.granting.xbot import Permission
from logmonitor.storage import xbot_file
from logmonitor.storage.xbot_file import read_permissions
from logmonitor.store import Store

if TYPE_CHECKING:
    from pathlib import Path

_TABLE = """
CREATE TABLE permissions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL,
    cmd TEXT NOT NULL,
    subcmd TEXT NOT NULL,
    valid_until DATE NOT NULL
)
"""


def _database(path: Path, *statements: str) -> Path:
    """Make a database of these statements."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        read_permissions(path)
    return str(caught.value)


def _row(values: str) -> str:
    return f"INSERT INTO permissions (username, cmd, subcmd, valid_until) VALUES ({values})"  # noqa: S608 - our own


def test_permissions_are_read_as_they_stand(tmp_path: Path) -> None:
    """Texts, numbers, broken text and blobs come as they are, in the order of their ids."""
    path = _database(
        tmp_path / "local #1?.db",
        _TABLE,
        _row("'ann', '*', '*', '2024-12-31'"),
        _row("'张三', 'act_demo', 'setup', 1735574400000"),
        _row("CAST(x'ff' AS TEXT), x'00', 'setup', '20241231'"),
    )
    assert read_permissions(path) == (
        Permission(row=1, user="ann", scene="*", command="*", valid_until="2024-12-31"),
        Permission(row=2, user="张三", scene="act_demo", command="setup", valid_until=1735574400000),
        Permission(row=3, user="\udcff", scene=b"\x00", command="setup", valid_until=20241231),
    )


def test_reading_leaves_the_file_and_its_folder_as_they_are(tmp_path: Path) -> None:
    """Nothing is written, also where nothing could be."""
    path = _database(tmp_path / "local.db", _TABLE, _row("'ann', '*', '*', '2024-12-31'"))
    before = path.read_bytes()
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        assert len(read_permissions(path)) == 1
        assert os.listdir(tmp_path) == ["local.db"]  # noqa: PTH208 - the names are all that is asked for
    finally:
        tmp_path.chmod(0o700)
    assert path.read_bytes() == before


def test_file_that_is_none_of_xbots_is_refused(tmp_path: Path) -> None:
    """What is missing, no file, no database or another program's is told with what was expected."""
    assert _refusal(tmp_path / "none.db").endswith("none.db: no such file or directory")
    assert _refusal(tmp_path).endswith("is no ordinary file; expected the local.db of an XBot")
    empty = tmp_path / "empty.db"
    empty.touch()
    assert _refusal(empty).endswith("has no table 'permissions'; expected the local.db of an XBot")
    text = tmp_path / "text.db"
    text.write_text("hello, I am no database at all\n" * 100, encoding="utf-8")
    assert _refusal(text).endswith("cannot be read as the local.db of an XBot: file is not a database")
    with Store(tmp_path / "bot.db"):
        pass
    assert "has no table 'permissions'" in _refusal(tmp_path / "bot.db")
    other = _database(tmp_path / "other.db", "CREATE TABLE permissions (id, username, cmd, valid_until)")
    assert _refusal(other).endswith("table 'permissions' has no column 'subcmd'; expected the local.db of an XBot")


def test_view_in_place_of_the_table_is_refused(tmp_path: Path) -> None:
    """A view could compute without end what the rows are."""
    path = _database(
        tmp_path / "local.db",
        "CREATE VIEW permissions AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT i AS id, 'a' AS username, '*' AS cmd, '*' AS subcmd, '2030-01-01' AS valid_until FROM n",
    )
    assert "has no table 'permissions'" in _refusal(path)


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    """Of a file whose pages are damaged nothing is believed."""
    path = _database(tmp_path / "local.db", _TABLE, *(_row(f"'user{n}', '*', '*', '2030-01-01'") for n in range(500)))
    data = bytearray(path.read_bytes())
    data[4096 : 4096 + 2000] = b"\xff" * 2000
    path.write_bytes(data)
    assert str(path) in _refusal(path)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    """A copy that was cut off is no database."""
    path = _database(tmp_path / "local.db", _TABLE, *(_row(f"'user{n}', '*', '*', '2030-01-01'") for n in range(500)))
    path.write_bytes(path.read_bytes()[:5000])
    assert str(path) in _refusal(path)


def test_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """A size that no XBot's database has is not read at all."""
    path = tmp_path / "local.db"
    with path.open("wb") as file:
        file.truncate(xbot_file.LONGEST_BYTES + 1)
    assert _refusal(path).endswith("is larger than 64 MiB; expected the local.db of an XBot")


def test_value_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """A text of megabytes is not loaded."""
    path = _database(tmp_path / "local.db", _TABLE, _row("hex(zeroblob(1000000)), '*', '*', '2030-01-01'"))
    assert "too big" in _refusal(path)


def test_too_many_permissions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than anybody grants are not taken over."""
    monkeypatch.setattr(xbot_file, "MOST_PERMISSIONS", 3)
    path = _database(tmp_path / "local.db", _TABLE, *[_row("'ann', '*', '*', '2030-01-01'")] * 4)
    assert "has more than 3 permissions" in _refusal(path)


def test_reading_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is made to take for ever is given up."""
    monkeypatch.setattr(xbot_file, "_STEPS", 1)
    monkeypatch.setattr(xbot_file, "_MOST_CALLS", 3)
    path = _database(tmp_path / "local.db", _TABLE, _row("'ann', '*', '*', '2030-01-01'"))
    assert _refusal(path).endswith("interrupted")


def test_file_that_another_process_writes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the XBot holds its file, that is what is said."""
    monkeypatch.setattr(xbot_file, "_PATIENCE_SECONDS", 0.0)
    path = _database(tmp_path / "local.db", _TABLE)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert _refusal(path).endswith("database is locked")
