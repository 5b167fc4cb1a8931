"""Which files are opened, made or refused."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import ForeignStoreError, NewerStoreError, StoreError, StoreUnavailableError
from logmonitor.grant import Grant
from logmonitor.storage.schema import APPLICATION_ID, MIGRATIONS
from logmonitor.store import Store
from tests.storage.files import (
    NOW,
    execute,
    fill,
    garbage,
    modes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store may be."""
    return tmp_path / "bot.db"


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """Return a folder of an ordinary user, whose rights are looked at, and be that user."""
    with TemporaryDirectory(prefix="logmonitor-test-") as name:
        folder, user = Path(name), os.geteuid()
        if user:
            yield folder
            return
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(user)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Make files with `mask` taken from their mode."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_what_a_lost_file_leaves_beside_is_not_believed(path: Path) -> None:
    """A new file is empty, even where the last one's writes still lie beside it."""
    store = Store(path)
    store.add_grant(Grant(user="bob", at=NOW))
    log = path.with_name("bot.db-wal")
    kept = log.read_bytes()
    store.close()
    path.unlink()
    log.write_bytes(kept)
    with Store(path) as store:
        assert store.grants() == ()


def test_empty_file_is_a_new_store(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file in which nothing stands is used and said to have been empty: it may have been a store."""
    path.touch(mode=0o600)
    with Store(path) as store:
        assert (store.grants(), store.set_aside) == ((), None)
    assert modes(path.parent) == {"bot.db": 0o600}
    assert caplog.messages == [f"store {path} was empty; nothing is granted or enrolled in it"]


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE user (name)",),
        ("PRAGMA application_id = 7",),
        ("PRAGMA user_version = 7",),
        ("PRAGMA journal_mode = WAL", "CREATE TABLE user (name)"),
    ],
)
def test_other_programs_database_is_left_alone(path: Path, statements: tuple[str, ...]) -> None:
    """A database that is not ours is refused, and neither moved, nor changed, nor closed to who uses it."""
    execute(path, *statements)
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program") as caught:
        Store(path)
    assert caught.type is ForeignStoreError
    assert path.read_bytes() == before
    assert modes(path.parent) == {"bot.db": 0o644}


@pytest.mark.parametrize("name", [b"TABLE", b"T\x80BLE"])
def test_other_programs_damaged_database_is_left_alone(path: Path, name: bytes) -> None:
    """A database that does not say it is ours is refused and left alone, damaged or not."""
    execute(path, "CREATE TABLE user (name)")
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE user", b"CREAT\x00 " + name + b" user"))
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_newer_version_is_refused_with_a_remedy(path: Path) -> None:
    """A file of a newer version is refused in a sentence with both versions and what to do, and left as it is."""
    fill(path)
    newer = len(MIGRATIONS) + 1
    execute(path, f"PRAGMA user_version = {newer}")
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert caught.type is NewerStoreError
    assert str(caught.value) == (
        f"store {path} has version {newer}, made by a newer logmonitor; this one knows versions up to {newer - 1}:"
        " install the newer logmonitor or name another store"
    )
    assert path.read_bytes() == before


def test_file_says_whose_it_is(path: Path) -> None:
    """A store carries our application id and its version in the header."""
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_files_are_their_owners_alone(path: Path, mask: int) -> None:
    """The file and what SQLite puts beside it have mode 0600 under any umask."""
    with umask(mask), Store(path) as store:
        store.view("one").put("a", "1")
        assert modes(path.parent) == {"bot.db": 0o600, "bot.db-wal": 0o600, "bot.db-shm": 0o600}


def test_file_that_others_can_use_is_closed_to_them(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store that others could read or write is taken from them, and that it was is said."""
    fill(path)
    path.chmod(0o666)
    Store(path).close()
    assert modes(path.parent) == {"bot.db": 0o600}
    assert caplog.messages == [f"store {path} had mode 666, which lets others use it; it has 600 now"]


def test_symbolic_link_is_refused(path: Path) -> None:
    """A link is not followed: whoever can swap it chooses the store."""
    target = path.with_name("target.db")
    fill(target)
    path.symlink_to(target)
    with pytest.raises(StoreError, match="a symbolic link; expected the file itself"):
        Store(path)


def test_link_for_what_stands_beside_is_refused(path: Path) -> None:
    """A link in the place of what SQLite writes beside the file is not followed either."""
    fill(path)
    path.with_name("bot.db-wal").symlink_to(path.with_name("target"))
    with pytest.raises(StoreError, match=r"bot\.db-wal is a symbolic link"):
        Store(path)


def test_directory_is_refused(tmp_path: Path) -> None:
    """A directory is no store."""
    with pytest.raises(StoreError, match="is a directory; expected a file"):
        Store(tmp_path)


def test_pipe_is_refused(path: Path) -> None:
    """What is no ordinary file is not opened."""
    os.mkfifo(path)
    with pytest.raises(StoreError, match="is no ordinary file"):
        Store(path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("missing/bot.db", StoreUnavailableError),
        ("file/bot.db", StoreUnavailableError),
        ("n" * 300, StoreUnavailableError),
        ("\0", StoreError),
    ],
)
def test_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str, kind: type[StoreError]) -> None:
    """A folder that is missing or none, and a name that is none, are store errors that say what was expected."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be opened: .*; expected a file in a folder that exists") as caught:
        Store(tmp_path / name)
    assert caught.type is kind


@pytest.mark.parametrize("name", ["a?mode=memory", "a#b", "a%20b", "a b", "日志.db", "\udce4"])
def test_any_name_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    """A name that means something in an address is a name here."""
    with Store(tmp_path / name) as store:
        store.view("one").put("a", "1")
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208 - what stands there, not what is made of it


def test_folder_that_cannot_be_written_is_refused(own_folder: Path) -> None:
    """A store that cannot be made is a store error, and so is one beside which nothing can be."""
    path = own_folder / "bot.db"
    other = own_folder / "other.db"
    fill(other)
    own_folder.chmod(0o500)
    with pytest.raises(StoreUnavailableError, match="cannot be opened: permission denied"):
        Store(path)
    with pytest.raises(StoreUnavailableError, match="folder writable"):
        Store(other)
    own_folder.chmod(0o700)


def test_damaged_file_that_cannot_be_set_aside_is_unavailable(own_folder: Path) -> None:
    """A damaged store in a folder that cannot be written is left as it is, and is its place's fault."""
    path = own_folder / "bot.db"
    garbage(path)
    own_folder.chmod(0o500)
    with pytest.raises(StoreUnavailableError, match="cannot be opened: permission denied"):
        Store(path)
    own_folder.chmod(0o700)
    assert os.listdir(own_folder) == ["bot.db"]  # noqa: PTH208 - the names are all that is asked for


@pytest.mark.parametrize("mode", [0o000, 0o200, 0o400])
def test_file_that_cannot_be_read_and_written_is_refused(own_folder: Path, mode: int) -> None:
    """A file that may not be read or written is refused when it is opened, and not set aside."""
    path = own_folder / "bot.db"
    fill(path)
    path.chmod(mode)
    with pytest.raises(StoreUnavailableError, match="permission denied; expected"):
        Store(path)
    assert modes(own_folder)["bot.db"] == mode


def test_file_of_somebody_else_that_we_may_write_is_refused(own_folder: Path) -> None:
    """A store that another user owns and opened to us is theirs to fill with grants: it is not used."""
    if os.getuid():
        pytest.skip("only root can make a file of somebody else")
    path = own_folder / "bot.db"
    fill(path)
    os.seteuid(0)
    os.chown(path, 1, 1)
    path.chmod(0o666)
    os.seteuid(NOBODY)
    with pytest.raises(StoreUnavailableError, match="operation not permitted"):
        Store(path)
