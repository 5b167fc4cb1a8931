"""What is damaged permits nothing, whenever it is found."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.errors import StoreError
from logmonitor.grant import Grant
from logmonitor.lockout import Lockout
from logmonitor.store import Store, read_enrolled
from tests.storage.files import (
    NOW,
    PAGE_BYTES,
    cut_at_a_page,
    cut_header,
    cut_page,
    damaged_header,
    damaged_page,
    execute,
    fill,
    garbage,
    short_garbage,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store may be."""
    return tmp_path / "bot.db"


@pytest.mark.parametrize(
    "damage",
    [garbage, short_garbage, damaged_header, damaged_page, cut_page, cut_header, cut_at_a_page],
)
def test_damaged_file_is_set_aside(
    path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged file is renamed and said to be, and the new one that takes its place permits nothing."""
    fill(path)
    damage(path)
    left = path.read_bytes()
    with Store(path) as store:
        assert store.set_aside is not None
        assert store.set_aside.name.startswith("bot.db.corrupt-")
        assert store.set_aside.read_bytes() == left
        assert (store.grants(), store.enrolments(), store.view("one").keys()) == ((), (), ())
        store.add_grant(Grant(user="eve", at=NOW))
    ((logger, level, text),) = caplog.record_tuples
    assert (logger, level) == ("logmonitor.storage.database", logging.ERROR)
    assert str(path) in text
    assert str(store.set_aside) in text
    with Store(path) as store:
        assert store.set_aside is None
        assert [grant.user for grant in store.grants()] == ["eve"]


def test_damage_in_the_words_of_the_complaint_is_damage(path: Path) -> None:
    """A file in which the names of the tables are no text any more is set aside too, and never used."""
    fill(path)
    path.write_bytes(
        path.read_bytes().replace(b"CREATE TABLE access_grant", b"CREATE \x80\x81\x82\x83\x84 access_grant")
    )
    with pytest.raises(StoreError, match=f"store {path} is damaged: a text in it is no UTF-8"):
        read_enrolled(path)
    with Store(path) as store:
        assert store.set_aside is not None


def test_what_belongs_to_a_damaged_file_goes_with_it(path: Path) -> None:
    """What was written last and lies beside a damaged file keeps that file's name, and is no part of the new one."""
    fill(path)
    store = Store(path)
    store.add_grant(Grant(user="bob", at=NOW))
    log = path.with_name("bot.db-wal")
    kept = log.read_bytes()
    store.close()
    garbage(path)
    log.write_bytes(kept)
    with Store(path) as store:
        assert store.grants() == ()
        assert store.set_aside is not None
        assert store.set_aside.with_name(f"{store.set_aside.name}-wal").read_bytes() == kept


def test_files_set_aside_do_not_replace_each_other(path: Path) -> None:
    """Several that are damaged one after the other are all kept."""
    asides = set()
    for number in range(3):
        path.write_bytes(b"damaged %d" % number)
        with Store(path) as store:
            asides.add(store.set_aside)
    assert {aside.read_bytes() for aside in asides if aside} == {b"damaged 0", b"damaged 1", b"damaged 2"}


def test_emptied_file_is_damaged(path: Path) -> None:
    """A file that is empty although something was written to it is set aside with that."""
    path.touch()
    path.with_name("bot.db-wal").write_bytes(b"what was written")
    with Store(path) as store:
        assert store.set_aside is not None
        assert store.set_aside.with_name(f"{store.set_aside.name}-wal").read_bytes() == b"what was written"


def test_damage_met_later_permits_nothing(path: Path) -> None:
    """A file that is damaged while in use raises, whatever is asked from then on; the next start sets it aside."""
    fill(path)
    with Store(path) as store:
        assert [grant.user for grant in store.grants()] == ["bob"]
        with path.open("r+b") as file:
            file.seek(8 * PAGE_BYTES)
            file.write(b"\xff" * 40 * PAGE_BYTES)
        with pytest.raises(StoreError, match="malformed; start logmonitor again, which sets it aside"):
            _ = [store.view("one").get(key) for key in store.view("one").keys()]  # noqa: SIM118 - no mapping
        with pytest.raises(StoreError, match="malformed"):
            store.grants()
        with pytest.raises(StoreError, match="malformed"):
            store.use_step("bob", 7, purpose="", at=NOW)
    with Store(path) as store:
        assert store.set_aside is not None


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.rename(path.with_name("old.db")), garbage])
def test_file_replaced_while_in_use_permits_nothing(path: Path, change: Callable[[Path], None]) -> None:
    """A file that the next start would not find is not written to any more: what was used up would be usable again."""
    with Store(path) as store:
        store.add_grant(Grant(user="bob", at=NOW))
        if change is garbage:
            path.unlink()
        change(path)
        for ask in (store.grants, lambda: store.use_step("bob", 7, purpose="", at=NOW)):
            with pytest.raises(StoreError, match="was moved, removed or replaced while in use; start logmonitor again"):
                ask()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE access_grant SET user = ''", "a grant that is none"),
        ("UPDATE access_grant SET user = x'00'", "holds bytes; expected a text"),
        ("UPDATE access_grant SET until = 'never'", "bad time 'never'"),
        ("UPDATE access_grant SET given_at = 4611686018427387904", "bad time"),
        ("UPDATE enrolment SET sealed = 'text'", "no sealed secret for 'bob'"),
        ("UPDATE lockout SET failures = 'many'", "expected a number"),
        ("UPDATE enrolment SET user = cast(x'ff' AS TEXT)", "UTF-8"),
        ("DROP TABLE access_grant", "no such table"),
    ],
)
def test_row_that_is_none_permits_nothing(path: Path, statement: str, said: str) -> None:
    """What the file holds and we would never have put there is a store error, not an empty answer."""
    with Store(path) as store:
        store.add_grant(Grant(user="bob", at=NOW))
        store.enrol("bob", b"sealed", recovery=[], at=NOW)
    execute(path, "INSERT INTO lockout (user, failures, times) VALUES ('bob', 1, 1)", statement)

    def ask() -> None:
        with Store(path) as store:
            assert store.set_aside is None
            store.grants()
            store.enrolments()
            store.lockout("bob")

    with pytest.raises(StoreError, match=said):
        ask()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_damage_is_set_aside_or_a_store_error(data: st.DataObject) -> None:
    """Whatever bytes change, the store opens, or another one takes its place, or it says why not; nothing else."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "bot.db")
        with Store(path) as store:
            store.add_grant(Grant(user="bob", until=NOW, at=NOW))
            store.enrol("bob", b"sealed", recovery=[b"1"], at=NOW)
            store.put_lockout("bob", Lockout(failures=1))
            store.view("one").put("a", "1")
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            new = data.draw(st.binary(min_size=1, max_size=20))
            at = data.draw(st.integers(0, 200) | st.integers(0, len(content) - len(new)))
            content[at : at + len(new)] = new
        path.write_bytes(content)
        for _ in range(2):
            with suppress(StoreError):
                read_enrolled(path)
            with suppress(StoreError), Store(path) as store:
                ask_everything(store)


def ask_everything(store: Store) -> None:
    """Use every table; each failure has to be a store error."""
    view = store.view("one")
    asks: tuple[Callable[[], object], ...] = (
        store.grants,
        store.enrolments,
        lambda: store.lockout("bob"),
        lambda: (view.keys(), view.get("a")),
        lambda: store.use_step("bob", 7, purpose="", at=NOW),
        lambda: store.use_recovery_code("bob", b"1", at=NOW),
        lambda: store.enrol("bob", b"sealed", recovery=[b"2"], at=NOW),
        lambda: store.add_grant(Grant(user="eve", at=NOW)),
        lambda: store.remove_grant(1),
        lambda: view.put("a", "2"),
    )
    for ask in asks:
        with suppress(StoreError):
            ask()
