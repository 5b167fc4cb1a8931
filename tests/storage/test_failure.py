"""What SQLite complains of, told to who runs the bot."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from logmonitor.errors import StoreError, StoreUnavailableError
from logmonitor.storage.failure import is_damage, store_error

PATH = Path("bot.db")


def error_of(*statements: str) -> sqlite3.Error:
    """Return what SQLite says of the last statement."""
    *before, last = statements
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in before:
            connection.execute(statement)
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute(last)
    return caught.value


def test_full_disk_is_told_with_its_remedy() -> None:
    """No room left, by the file system's word or a quota, says what to make."""
    error = error_of(
        "PRAGMA max_page_count = 2", "CREATE TABLE text (text)", "INSERT INTO text VALUES (zeroblob(100000))"
    )
    assert str(store_error(error, PATH)) == (
        "store bot.db cannot be used: database or disk is full; make room on its disk, then try again"
    )
    assert type(store_error(error, PATH)) is StoreUnavailableError
    assert not is_damage(error)


def test_file_that_may_not_be_written_is_told_with_its_remedy() -> None:
    """A file that SQLite may only read says who has to be able to write it."""
    error = error_of("PRAGMA query_only = ON", "CREATE TABLE text (text)")
    assert type(store_error(error, PATH)) is StoreUnavailableError
    assert str(store_error(error, PATH)) == (
        "store bot.db cannot be used: attempt to write a readonly database; make the file and its folder writable for"
        " the user that runs logmonitor"
    )


def test_what_should_not_happen_is_told_as_our_mistake() -> None:
    """An error that no user causes asks for a report, and one of Python's own, without a code, does too."""
    for error in (error_of("SELECT nothing"), sqlite3.ProgrammingError("wrong thread")):
        assert type(store_error(error, None)) is StoreError
        assert str(store_error(error, None)) == (
            f"store in memory cannot be used: {error}; this is a mistake in logmonitor, please report it"
        )
