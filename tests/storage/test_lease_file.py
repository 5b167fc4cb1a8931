"""The file in which rescuers keep their leases and what was delivered."""

from __future__ import annotations

import logging
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.errors import ForeignStoreError, StoreError
from logmonitor.lease import Lease, Reach
from logmonitor.records import MessageKey
from logmonitor.storage import lease_file
from logmonitor.storage.lease_file import LeaseFile
from logmonitor.store import Store
from tests.storage.files import damaged_header, execute, garbage, modes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LEASE: Final = Lease(watch="bob", holder="alice", instance="a", boot="1", since=12.345, until=42.345, reach=Reach.CHAT)
KEY: Final = MessageKey(watch="bob", loss="bob.log:7:1.5", kind="loss")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the leases may be."""
    return tmp_path / "lease.db"


@pytest.fixture
def file(path: Path) -> Iterator[LeaseFile]:
    """Return a new file of leases."""
    file = LeaseFile(path, patience=1.0)
    yield file
    file.close()


def test_lease_comes_back_to_everybody(file: LeaseFile, path: Path) -> None:
    """A lease is read by others as it was written, to the millisecond; the last one of a bot stands alone."""
    assert file.lease("bob") is None
    file.put_lease(LEASE)
    file.put_lease(replace(LEASE, watch="carol"))
    other = LeaseFile(path, patience=1.0)
    assert (other.lease("bob"), other.lease("carol")) == (LEASE, replace(LEASE, watch="carol"))
    taken = replace(LEASE, holder="dave", instance="d", since=50.0, until=80.0, reach=Reach.FALLBACK)
    other.put_lease(taken)
    other.close()
    assert file.lease("bob") == taken


def test_released_leases_are_those_of_one_instance(file: LeaseFile) -> None:
    """Who ends gives up all that it held, and nothing of others."""
    file.put_lease(LEASE)
    file.put_lease(replace(LEASE, watch="carol", instance="c"))
    file.release("a")
    assert file.lease("bob") is None
    assert file.lease("carol") == replace(LEASE, watch="carol", instance="c")


def test_delivery_is_known_to_everybody_for_its_recipient(file: LeaseFile, path: Path) -> None:
    """What one has delivered the others know, for that recipient and that message alone; noting it twice is one."""
    file.note_delivered(["Ann"], KEY)
    file.note_delivered(["Ann"], KEY)
    other = LeaseFile(path, patience=1.0)
    assert other.is_delivered("Ann", KEY)
    assert not other.is_delivered("Ben", KEY)
    for changed in (replace(KEY, watch="x"), replace(KEY, loss="x"), replace(KEY, kind="x")):
        assert not other.is_delivered("Ann", changed)
    other.close()


def test_oldest_deliveries_are_forgotten(file: LeaseFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file does not grow for ever: beyond a number the oldest goes."""
    monkeypatch.setattr(lease_file, "LONGEST_MEMORY", 3)
    for number in range(5):
        file.note_delivered(["Ann"], replace(KEY, kind=str(number)))
    assert [file.is_delivered("Ann", replace(KEY, kind=str(number))) for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_transaction_that_fails_writes_nothing(file: LeaseFile) -> None:
    """A lease written in a transaction that raises has not been written."""

    def fail() -> None:
        with file.transaction():
            file.put_lease(LEASE)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert file.lease("bob") is None


def test_file_is_its_owners_alone(file: LeaseFile, path: Path) -> None:
    """Nobody else may read or change who rescues; a file that others may is taken from them."""
    file.put_lease(LEASE)
    assert set(modes(path.parent).values()) == {0o600}
    file.close()
    path.chmod(0o666)
    LeaseFile(path, patience=1.0).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [garbage, damaged_header])
def test_damaged_file_is_set_aside(
    path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is none any more makes room for a new one, and what that means is logged."""
    before = LeaseFile(path, patience=1.0)
    before.put_lease(LEASE)
    before.close()
    damage(path)
    with caplog.at_level(logging.ERROR):
        file = LeaseFile(path, patience=1.0)
    assert file.lease("bob") is None
    file.put_lease(LEASE)
    file.close()
    (said,) = caplog.messages
    assert said.endswith("so that it is not known any more who held which lease, nor what was delivered")


def test_store_is_no_file_of_leases_nor_the_other_way_round(tmp_path: Path) -> None:
    """The bot's own store named as the lease is refused and left as it was, and so is a lease named as the store."""
    store, path = tmp_path / "bot.db", tmp_path / "lease.db"
    Store(store).close()
    LeaseFile(path, patience=1.0).close()
    with pytest.raises(ForeignStoreError, match="is a database of another program"):
        LeaseFile(store, patience=1.0)
    with pytest.raises(ForeignStoreError, match="is a database of another program"):
        Store(path)
    Store(store).close()
    LeaseFile(path, patience=1.0).close()


@pytest.mark.parametrize(("column", "value"), [("reach", "9"), ("until", "'soon'"), ("holder", "x'00'")])
def test_row_that_is_no_lease_is_an_error(file: LeaseFile, path: Path, column: str, value: str) -> None:
    """What somebody else wrote there is not believed."""
    file.put_lease(LEASE)
    execute(path, f"UPDATE lease SET {column} = {value}")  # noqa: S608  # nothing of it is a stranger's
    with pytest.raises(StoreError, match="expected"):
        file.lease("bob")
