"""What SQLite complains of, as sentences that name the file and say what to do."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from logmonitor.errors import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PRIMARY: Final = 0xFF  # the rest of a code says more than is needed here
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SET_ASIDE: Final = "start logmonitor again, which sets it aside and makes a new one"
UNREADABLE: Final = "a text in it is no UTF-8"
"""What is wrong where SQLite complains in words that are damaged themselves, which Python raises instead of them."""

_HELD: Final = "another process holds it; see that none keeps it open in a transaction, then try again"
_PLACE_REMEDIES: Final = {
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_PROTOCOL: _HELD,
    sqlite3.SQLITE_FULL: "make room on its disk, then try again",
    sqlite3.SQLITE_IOERR: "see that its disk has room and works, then try again",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for the user that runs logmonitor",
    sqlite3.SQLITE_PERM: "make the file and its folder writable for the user that runs logmonitor",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder writable for the user that runs logmonitor",
}
_REMEDIES: Final = {
    sqlite3.SQLITE_CORRUPT: _SET_ASIDE,
    sqlite3.SQLITE_NOTADB: _SET_ASIDE,
}


def is_damage(error: sqlite3.Error, /) -> bool:
    """Tell whether the file itself is at fault: damaged, or no database."""
    return _code(error) in _DAMAGE


def is_of_its_place(error: sqlite3.Error, /) -> bool:
    """Tell whether the place is at fault, which may pass: no room, no right, another process."""
    return _code(error) in _PLACE_REMEDIES


def store_error(error: sqlite3.Error, path: Path | None, /) -> StoreError:
    """Return what `error` means for who runs the bot; a `StoreUnavailableError` if the place is at fault."""
    start = f"store {path or 'in memory'} cannot be used: {error}; "
    if is_of_its_place(error):
        return StoreUnavailableError(start + _PLACE_REMEDIES[_code(error)])
    remedy = _REMEDIES.get(_code(error), "this is a mistake in logmonitor, please report it")
    return StoreError(start + remedy)


@contextmanager
def told_as_store_error(path: Path | None, /) -> Iterator[None]:
    """Raise what SQLite, or the way to it, raises as a `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, path) from error
    except UnicodeDecodeError as error:
        raise StoreError(f"store {path or 'in memory'} cannot be used: {UNREADABLE}; {_SET_ASIDE}") from error
    except UnicodeEncodeError:
        raise StoreError(f"store {path or 'in memory'} cannot keep a text that is no UTF-8") from None
    except OverflowError:
        raise StoreError(f"store {path or 'in memory'} cannot keep a number beyond 64 bits") from None


def _code(error: sqlite3.Error) -> int:
    """Return what kind it is; what Python itself complains of has no code."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & _PRIMARY
