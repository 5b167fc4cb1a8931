"""What waits for the disk and what does not: nothing of it is lost with the program, power is another matter."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from logmonitor.checkpoint import Checkpoint, Draft
from logmonitor.errors import StoreError
from logmonitor.store import Store
from tests.outbox_bench import Chat, outbox_of

NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
FULL, NORMAL = 2, 1
KILLED = """
import os, signal, sys
from pathlib import Path
from logmonitor.store import Store
store = Store(Path(sys.argv[1]))
with store.quick_transaction():
    store.view("one").put("a", "1")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store may be."""
    return tmp_path / "bot.db"


def written_bytes(path: Path) -> int:
    """Return how much stands beside a store that is not in it yet."""
    return path.with_name(f"{path.name}-wal").stat().st_size


def pace(store: Store) -> object:
    """Return what SQLite does for the disk in a transaction now."""
    return store._database.rows("PRAGMA synchronous")[0][0]  # noqa: SLF001  # nobody else has to know


def test_transaction_that_waits_for_no_disk_outlasts_its_program(path: Path) -> None:
    """What was written so is there after a SIGKILL right behind it."""
    root = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, cwd=root)
    with Store(path) as store:
        assert store.view("one").get("a") == "1"


def test_transaction_waits_for_the_disk_unless_it_is_quick(path: Path) -> None:
    """Each transaction is as its outermost one says, whatever the one before was."""
    seen = []
    with Store(path) as store:
        for outer in (store.transaction, store.quick_transaction, store.transaction):
            for inner in (store.transaction, store.quick_transaction):
                with outer(), inner():
                    seen.append(pace(store))
        store.view("one").put("a", "1")
        seen.append(pace(store))
    assert seen == [FULL, FULL, NORMAL, NORMAL, FULL, FULL, FULL]


@pytest.mark.parametrize("denied", [{"COMMIT", "ROLLBACK"}, {"synchronous"}])
def test_store_that_might_not_wait_for_the_disk_any_more_is_not_used(path: Path, denied: set[str]) -> None:
    """Where what was quick cannot be ended nothing is written any more, and nobody hears it from SQLite itself."""

    def say(_action: int, what: str | None, value: str | None, *_: object) -> int:
        is_denied = what in denied and value != "NORMAL"
        return sqlite3.SQLITE_DENY if is_denied else sqlite3.SQLITE_OK

    with Store(path) as store:
        store._database._connection.set_authorizer(say)  # type: ignore[union-attr]  # noqa: SLF001  # no disk fails so
        with suppress(StoreError), store.quick_transaction():
            store.view("one").put("a", "1")
        with pytest.raises(StoreError, match="is not used any more"):
            store.view("one").put("b", "1")


def test_settling_writes_once(path: Path) -> None:
    """It makes the disk have what was written, by one page; where nothing is new, by none."""
    with Store(path) as store:
        settled, sizes = [store.is_settled], []
        with store.quick_transaction():
            store.view("one").put("a", "1")
        settled.append(store.is_settled)
        for _ in range(3):
            sizes.append(written_bytes(path))
            store.settle()
        settled.append(store.is_settled)
        assert (settled, pace(store), store.view("one").get("a")) == ([True, False, True], FULL, "1")
        assert sizes[0] < sizes[1] == sizes[2]


def test_store_is_settled_when_it_is_closed(path: Path) -> None:
    """What was written without waiting for the disk is in the file itself after the end."""
    with Store(path) as store, store.quick_transaction():
        store.view("one").put("a", "1")
    assert store.is_settled
    assert not path.with_name("bot.db-wal").exists()


def test_store_in_memory_has_nothing_to_settle() -> None:
    """No power loss matters to what lasts as long as its program."""
    store = Store()
    with store.quick_transaction():
        store.view("one").put("a", "1")
    assert store.is_settled


def test_decision_waits_for_no_disk_and_is_settled_soon(path: Path) -> None:
    """A message that is decided on is sent before the disk has it; the next look at the progress sees to that."""
    with Store(path) as store:
        outbox = outbox_of(Chat(), letters=store.letters)
        checkpoint = Checkpoint(store, outbox, now=lambda: NOW)
        letter = outbox.letter("ann", "hello")
        assert letter is not None
        checkpoint.decide("one", Draft(steps=[letter]))
        decided = store.is_settled, [one.id for one in store.letters.waiting(at=NOW)]
        checkpoint.flush()
        assert (decided, store.is_settled) == ((False, [letter.id]), True)


def test_what_somebody_asked_to_keep_waits_for_the_disk(path: Path) -> None:
    """What an operation keeps for a command is settled at once."""
    with Store(path) as store:
        checkpoint = Checkpoint(store, outbox_of(Chat()), now=lambda: NOW)
        checkpoint.keep("one", lambda: store.view("one").put("a", "1"))
        assert (store.is_settled, store.view("one").get("a")) == (True, "1")
