"""Files that are stores, and what can happen to them."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from logmonitor.grant import Grant
from logmonitor.store import Store

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
PAGE_BYTES = 4096


def modes(folder: Path) -> dict[str, int]:
    """Return the mode of each file in a folder."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def fill(path: Path) -> None:
    """Make a store with a grant, an enrolment and so many texts that it has many pages."""
    with Store(path) as store, store.transaction():
        store.add_grant(Grant(user="bob", at=NOW))
        store.enrol("bob", b"sealed", recovery=[], at=NOW)
        for number in range(200):
            store.view("one").put(str(number), "x" * 1000)


def execute(path: Path, *statements: str) -> None:
    """Do something to a file that the store would not do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def garbage(path: Path) -> None:
    """Put something else there."""
    path.write_bytes(b"this is no database" * 1000)


def short_garbage(path: Path) -> None:
    """Put very little there."""
    path.write_bytes(b"?")


def damaged_header(path: Path) -> None:
    """Break the first bytes."""
    with path.open("r+b") as file:
        file.write(b"\0" * 16)


def damaged_page(path: Path) -> None:
    """Break one page in the middle."""
    with path.open("r+b") as file:
        file.seek(20 * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)


def cut_page(path: Path) -> None:
    """Cut the file in the middle of a page."""
    os.truncate(path, 10 * PAGE_BYTES + 100)


def cut_header(path: Path) -> None:
    """Cut the file in the middle of its first page."""
    os.truncate(path, 1000)


def cut_at_a_page(path: Path) -> None:
    """Cut the file at the end of a page."""
    os.truncate(path, 10 * PAGE_BYTES)
