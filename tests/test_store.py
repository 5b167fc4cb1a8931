"""What the store keeps, and gives back."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.enrolment import Enrolment
from logmonitor.errors import StoreError, StoreUnavailableError
from logmonitor.grant import Grant
from logmonitor.lockout import Lockout
from logmonitor.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 20, 22, 44, 35, 123000, tzinfo=UTC)
PURPOSE = "ab" * 32
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = TEXTS.filter(str.strip)
MOMENTS = st.datetimes(timezones=st.timezones()).filter(lambda at: 1 < at.year < 9999)
GRANTS = st.builds(
    Grant,
    user=NAMES,
    operation=NAMES,
    command=NAMES,
    room=NAMES,
    until=st.none() | MOMENTS,
    is_denial=st.booleans(),
    by=TEXTS,
    at=MOMENTS,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a new store in a file."""
    with Store(tmp_path / "bot.db") as store:
        yield store


def to_the_millisecond(moment: datetime) -> datetime:
    """Return a time as it comes back."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def test_grants_come_back_by_id(store: Store) -> None:
    """What is granted is returned with its id and comes back so, expired ones and denials too."""
    first = store.add_grant(Grant(user="bob", operation="restart", until=NOW - timedelta(days=1), by="alice", at=NOW))
    second = store.add_grant(Grant(user="*", command="sh", room="*", is_denial=True, at=NOW))
    assert (first.id, second.id) == (1, 2)
    assert first.until == NOW - timedelta(days=1)
    assert store.grants() == (first, second)


def test_grant_times_come_back_as_utc(store: Store) -> None:
    """A time comes back in UTC, to the millisecond, whatever zone it was given in."""
    beijing = timezone(timedelta(hours=8))
    until = datetime(2027, 1, 1, 23, 59, 59, 999999, tzinfo=beijing)
    kept = store.add_grant(Grant(user="bob", until=until, at=NOW))
    (found,) = store.grants()
    assert found == kept
    assert found.until == datetime(2027, 1, 1, 15, 59, 59, 999000, tzinfo=UTC)
    assert (found.until.tzinfo, found.at.tzinfo) == (UTC, UTC)


@given(GRANTS)
def test_any_grant_comes_back(grant: Grant) -> None:
    """Every grant comes back as it was, its times to the millisecond."""
    store = Store()
    kept = store.add_grant(grant)
    until = None if grant.until is None else to_the_millisecond(grant.until)
    assert store.grants() == (kept,)
    assert kept == replace(grant, id=1, until=until, at=to_the_millisecond(grant.at))


def test_grants_are_those_that_hold_at_any_moment(store: Store) -> None:
    """What is granted or revoked in a transaction is seen in it, and what is undone is not seen any more."""
    first = store.add_grant(Grant(user="bob", at=NOW))
    assert store.grants() == (first,)

    def fail() -> None:
        with store.transaction():
            assert store.grants() == (first,)
            second = store.add_grant(Grant(user="eve", at=NOW))
            assert store.grants() == (first, second)
            assert store.remove_grant(first.id) == first
            assert store.grants() == (second,)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.grants() == (first,)


def test_grants_are_not_read_again_without_a_change(store: Store) -> None:
    """Grants asked for again are the same records, whatever else is kept meanwhile; one more makes them anew."""
    store.add_grant(Grant(user="bob", at=NOW))
    before = store.grants()
    store.view("one").put("a", "1")
    assert store.note_message("a", at=NOW, keep_seconds=60.0)
    assert store.grants() is before
    after = (*before, store.add_grant(Grant(user="eve", at=NOW)))
    assert store.grants() == after


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "undo"]), st.integers(0, 1), st.integers(1, 5))))
def test_grants_seen_are_those_of_both_who_change_them(steps: list[tuple[str, int, int]]) -> None:
    """Of two that have the file open, each sees after each step what was granted and revoked by either."""
    with TemporaryDirectory() as folder, Store(Path(folder, "bot.db")) as one, Store(Path(folder, "bot.db")) as two:
        kept: tuple[Grant, ...] = ()
        for do, who, id_ in steps:
            store = (one, two)[who]
            if do == "add":
                kept = (*kept, store.add_grant(Grant(user="bob", at=NOW)))
            elif do == "remove":
                store.remove_grant(id_)
                kept = tuple(grant for grant in kept if grant.id != id_)
            else:
                with pytest.raises(KeyError), store.transaction():
                    put_grant_and_fail(store)
            assert one.grants() == two.grants() == kept


def put_grant_and_fail(store: Store) -> None:
    """Grant something, look, and raise."""
    store.add_grant(Grant(user="eve", at=NOW))
    assert store.grants()
    raise KeyError


def test_removed_grant_is_returned_and_its_id_never_used_again(store: Store) -> None:
    """A revoked grant is gone, and its id means no other grant later."""
    kept = store.add_grant(Grant(user="bob", at=NOW))
    assert store.remove_grant(kept.id) == kept
    assert store.remove_grant(kept.id) is None
    assert store.grants() == ()
    assert store.add_grant(Grant(user="eve", at=NOW)).id == 2


@pytest.mark.parametrize("id_", [0, -1, 7, 2**63, 10**40, -(10**40)])
def test_no_grant_of_an_id_that_none_has(store: Store, id_: int) -> None:
    """An id that no grant has removes nothing, however large somebody types it."""
    kept = store.add_grant(Grant(user="bob", at=NOW))
    assert store.remove_grant(id_) is None
    assert store.grants() == (kept,)


def test_enrolment_comes_back(store: Store) -> None:
    """An enrolment is listed by user, with how many recovery codes are left, and shows no secret of itself."""
    store.enrol("bob", b"\x00sealed", recovery=[], at=NOW)
    store.enrol("alice", b"sealed", recovery=[b"1", b"2"], at=NOW)
    assert store.enrolments() == (
        Enrolment(user="alice", sealed=b"sealed", enrolled_at=NOW, recovery_codes_left=2),
        Enrolment(user="bob", sealed=b"\x00sealed", enrolled_at=NOW, recovery_codes_left=0),
    )
    assert "sealed" not in repr(store.enrolments())


def test_enrolling_again_replaces(store: Store) -> None:
    """A new enrolment takes the place of the old with all its recovery codes; a used step stays used."""
    store.enrol("bob", b"old", recovery=[b"1", b"2"], at=NOW)
    assert store.use_step("bob", 7, purpose=PURPOSE, at=NOW)
    store.enrol("bob", b"new", recovery=[b"3"], at=NOW)
    assert store.enrolments() == (Enrolment(user="bob", sealed=b"new", enrolled_at=NOW, recovery_codes_left=1),)
    assert not store.use_recovery_code("bob", b"1", at=NOW)
    assert not store.use_step("bob", 7, purpose=PURPOSE, at=NOW)


def test_enrolling_that_fails_keeps_the_old(store: Store) -> None:
    """An enrolment that cannot be kept whole leaves the one before as it was."""
    store.enrol("bob", b"old", recovery=[b"1"], at=NOW)
    with pytest.raises(StoreError, match="UNIQUE"):
        store.enrol("bob", b"new", recovery=[b"2", b"2"], at=NOW)
    assert store.enrolments() == (Enrolment(user="bob", sealed=b"old", enrolled_at=NOW, recovery_codes_left=1),)


def test_revoked_enrolment_is_gone(store: Store) -> None:
    """A revoked user has no secret and no recovery code left; revoking again says that there was none."""
    store.enrol("bob", b"sealed", recovery=[b"1"], at=NOW)
    assert store.remove_enrolment("bob")
    assert not store.remove_enrolment("bob")
    assert store.enrolments() == ()
    assert not store.use_recovery_code("bob", b"1", at=NOW)


def test_revoked_secret_is_wiped_from_the_file(tmp_path: Path) -> None:
    """A revoked secret does not stay behind in an unused part of the file."""
    path = tmp_path / "bot.db"
    with Store(path) as store:
        store.enrol("bob", b"sealed secret of bob", recovery=[], at=NOW)
    assert b"sealed secret of bob" in path.read_bytes()
    with Store(path) as store:
        store.remove_enrolment("bob")
    assert b"sealed secret of bob" not in path.read_bytes()


def test_step_works_once_for_each_user(store: Store) -> None:
    """A time step is used up by its first use, for whatever purpose, and by its user alone."""
    assert store.use_step("bob", 7, purpose=PURPOSE, at=NOW)
    assert not store.use_step("bob", 7, purpose=PURPOSE, at=NOW)
    assert not store.use_step("bob", 7, purpose="cd" * 32, at=NOW + timedelta(seconds=30))
    assert store.use_step("alice", 7, purpose=PURPOSE, at=NOW)
    assert store.use_step("bob", 8, purpose=PURPOSE, at=NOW)


@given(st.lists(st.tuples(TEXTS, st.integers(-10, 10), st.integers(0, 86_400_000))))
def test_first_use_of_a_step_is_the_only_one(uses: list[tuple[str, int, int]]) -> None:
    """In any order of uses within a day, of any users, each step works the first time and never again."""
    store = Store()
    found = [
        store.use_step(user, step, purpose=PURPOSE, at=NOW + timedelta(milliseconds=later))
        for user, step, later in uses
    ]
    steps = [(user, step) for user, step, _ in uses]
    assert found == [step not in steps[:number] for number, step in enumerate(steps)]


def test_step_stays_used_in_a_store_opened_again(tmp_path: Path) -> None:
    """A restart makes no used step usable."""
    with Store(tmp_path / "bot.db") as store:
        assert store.use_step("bob", 7, purpose=PURPOSE, at=NOW)
    with Store(tmp_path / "bot.db") as store:
        assert not store.use_step("bob", 7, purpose=PURPOSE, at=NOW)


def test_step_stays_used_however_the_clock_is_set(store: Store) -> None:
    """A clock set years forward, with a code used there, and back again makes no used step usable."""
    assert store.use_step("bob", 1, purpose=PURPOSE, at=NOW)
    assert store.use_step("bob", 3, purpose=PURPOSE, at=NOW + timedelta(days=1000))
    assert not store.use_step("bob", 1, purpose=PURPOSE, at=NOW)


def test_recovery_code_works_once_for_its_user(store: Store) -> None:
    """A recovery code works once, for its own user, and is then counted as used."""
    store.enrol("bob", b"sealed", recovery=[b"1", b"2"], at=NOW)
    store.enrol("alice", b"sealed", recovery=[b"3"], at=NOW)
    assert not store.use_recovery_code("alice", b"1", at=NOW)
    assert store.use_recovery_code("bob", b"1", at=NOW)
    assert not store.use_recovery_code("bob", b"1", at=NOW)
    assert [(one.user, one.recovery_codes_left) for one in store.enrolments()] == [("alice", 1), ("bob", 1)]


def test_lockout_lasts(tmp_path: Path) -> None:
    """What wrong codes led to outlives a restart, and a right code takes it away."""
    lockout = Lockout(failures=2, times=3, until=NOW)
    with Store(tmp_path / "bot.db") as store:
        assert store.lockout("bob") == Lockout()
        store.put_lockout("bob", Lockout(failures=1))
        assert store.lockout("bob") == Lockout(failures=1)
        store.put_lockout("bob", lockout)
    with Store(tmp_path / "bot.db") as store:
        assert store.lockout("bob") == lockout
        assert store.lockout("alice") == Lockout()
        store.put_lockout("bob", Lockout())
        assert store.lockout("bob") == Lockout()


def test_message_is_new_once(tmp_path: Path) -> None:
    """A message's id is new the first time, and not again after a restart until it is forgotten."""
    path = tmp_path / "bot.db"
    with Store(path) as store:
        assert store.note_message("a", at=NOW, keep_seconds=60.0)
        assert not store.note_message("a", at=NOW, keep_seconds=60.0)
    with Store(path) as store:
        assert store.note_message("b", at=NOW + timedelta(seconds=30), keep_seconds=60.0)
        assert not store.note_message("a", at=NOW + timedelta(seconds=60), keep_seconds=60.0)
        assert store.note_message("a", at=NOW + timedelta(seconds=60.001), keep_seconds=60.0)
        assert not store.note_message("b", at=NOW + timedelta(seconds=90), keep_seconds=60.0)


def test_message_that_was_not_kept_is_new(store: Store) -> None:
    """An id noted in a transaction that was undone has not been noted."""

    def fail() -> None:
        with store.transaction():
            assert store.note_message("a", at=NOW, keep_seconds=60.0)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.note_message("a", at=NOW, keep_seconds=60.0)


@given(st.lists(st.text(st.characters()), unique=True))
def test_any_text_is_a_message_id(ids: list[str]) -> None:
    """Different texts are different ids, also with half a character, NUL, or nothing in them."""
    store = Store()
    assert all(store.note_message(id_, at=NOW, keep_seconds=60.0) for id_ in ids)
    assert not any(store.note_message(id_, at=NOW, keep_seconds=60.0) for id_ in ids)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40_000))))
def test_message_is_new_again_only_when_it_is_forgotten(steps: list[tuple[str, int]]) -> None:
    """However far apart messages come, an id is new if it was not noted as new within the time it is kept."""
    store, at, noted = Store(), NOW, dict[str, datetime]()
    for id_, later in steps:
        at += timedelta(milliseconds=later)
        is_new = id_ not in noted or at - noted[id_] > timedelta(seconds=60)
        assert store.note_message(id_, at=at, keep_seconds=60.0) == is_new
        if is_new:
            noted[id_] = at


def test_message_outlives_a_clock_set_back_and_is_forgotten_then(store: Store) -> None:
    """An id noted when the clock was years ahead is kept as long as any other once it is right, and no longer."""
    assert store.note_message("a", at=NOW + timedelta(days=1000), keep_seconds=60.0)
    assert not store.note_message("a", at=NOW, keep_seconds=60.0)
    assert not store.note_message("a", at=NOW + timedelta(seconds=60), keep_seconds=60.0)
    assert store.note_message("a", at=NOW + timedelta(seconds=61), keep_seconds=60.0)


def test_messages_take_no_more_room_than_those_that_are_kept(tmp_path: Path) -> None:
    """However many messages came, and however long their ids, the file holds those that are not forgotten."""
    path = tmp_path / "bot.db"
    with Store(path) as store, store.transaction():
        for number in range(5000):
            assert store.note_message(f"{number}" * 100, at=NOW + timedelta(seconds=number), keep_seconds=60.0)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM seen_message").fetchone() == (61,)
    assert path.stat().st_size < 100_000


def test_view_keeps_texts_apart_by_owner(tmp_path: Path) -> None:
    """An operation sees what it kept, sorted, after a restart too, and nothing of another's."""
    with Store(tmp_path / "bot.db") as store:
        view = store.view("one")
        view.put("b", "1")
        view.put("a", "2")
        view.put("b", "3")
        store.view("two").put("b", "4")
    with Store(tmp_path / "bot.db") as store:
        view, other = store.view("one"), store.view("two")
        assert (view.keys(), view.get("a"), view.get("b"), view.get("c")) == (("a", "b"), "2", "3", None)
        view.delete("b")
        view.delete("c")
        assert (view.keys(), view.get("b")) == (("a",), None)
        assert (other.keys(), other.get("b")) == (("b",), "4")


@given(st.dictionaries(st.tuples(TEXTS, TEXTS), TEXTS))
def test_any_text_comes_back(kept: dict[tuple[str, str], str]) -> None:
    """Any texts come back as they were under any owner and key, empty ones and NUL characters too."""
    store = Store()
    for (owner, key), value in kept.items():
        store.view(owner).put(key, value)
    assert {(owner, key): store.view(owner).get(key) for owner, key in kept} == kept
    for owner, _ in kept:
        assert store.view(owner).keys() == tuple(sorted(key for other, key in kept if other == owner))


def put_and_fail(store: Store, key: str) -> None:
    """Begin a transaction that keeps something and uses up a step, and raise in it."""
    with store.transaction():
        store.view("one").put(key, "1")
        store.use_step("bob", 7, purpose=PURPOSE, at=NOW)
        raise KeyError(key)


def test_transaction_undoes_all_of_it(store: Store) -> None:
    """What a transaction did is undone if it raises, and the error goes on as it is."""
    with pytest.raises(KeyError, match="a"):
        put_and_fail(store, "a")
    assert store.view("one").keys() == ()
    assert store.use_step("bob", 7, purpose=PURPOSE, at=NOW)


def test_inner_transaction_lasts_with_the_outer(store: Store) -> None:
    """One inside another that is over is undone with the outer."""

    def fail() -> None:
        with store.transaction():
            with store.transaction():
                store.view("one").put("a", "1")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.view("one").keys() == ()


def test_inner_transaction_is_undone_by_itself(store: Store) -> None:
    """One inside another that raises takes back what it did, and the outer goes on."""
    with store.transaction():
        store.view("one").put("a", "1")
        with pytest.raises(KeyError):
            put_and_fail(store, "b")
        store.view("one").put("c", "3")
    assert store.view("one").keys() == ("a", "c")
    assert store.use_step("bob", 7, purpose=PURPOSE, at=NOW)


def test_text_that_cannot_be_kept_is_a_store_error(store: Store) -> None:
    """A text with half a character is refused as such, in what is kept and in what is asked for."""
    with pytest.raises(StoreError, match="no UTF-8"):
        store.view("one").put("a", "\ud800")
    with pytest.raises(StoreError, match="no UTF-8"):
        store.view("one").get("\ud800")
    assert store.view("one").keys() == ()


def test_number_that_cannot_be_kept_is_a_store_error(store: Store) -> None:
    """A step beyond what SQLite counts to is refused as such."""
    with pytest.raises(StoreError, match="64 bits"):
        store.use_step("bob", 2**63, purpose=PURPOSE, at=NOW)


@pytest.mark.parametrize(
    "at",
    [
        NOW.replace(tzinfo=None),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
    ],
)
def test_time_that_would_not_come_back_is_refused(store: Store, at: datetime) -> None:
    """A time without its zone, or one that UTC cannot tell, is never kept."""
    with pytest.raises(StoreError, match="bad time"):
        store.use_step("bob", 7, purpose=PURPOSE, at=at)
    assert store.use_step("bob", 7, purpose=PURPOSE, at=NOW)


def test_closed_store_permits_nothing(tmp_path: Path) -> None:
    """A store that was closed raises, whatever it is asked; it can be closed again."""
    store = Store(tmp_path / "bot.db")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.grants()
    with pytest.raises(StoreError, match="closed"):
        store.use_step("bob", 7, purpose=PURPOSE, at=NOW)


def test_store_in_memory_needs_no_closing() -> None:
    """Stores without a file share nothing, and one left behind is closed by itself."""
    store, other = Store(), Store()
    store.view("one").put("a", "1")
    assert other.view("one").keys() == ()
    assert (store.path, store.set_aside) == (None, None)
    del store, other
    gc.collect()


def run_in_transaction(store: Store) -> None:
    """Begin a transaction and do nothing in it."""
    with store.transaction():
        pytest.fail("begun")


def run_in_quick_transaction(store: Store) -> None:
    """Begin a transaction that does not wait for the disk and do nothing in it."""
    with store.quick_transaction():
        pytest.fail("begun")


CALLS: dict[str, Callable[[Store], object]] = {
    "transaction": run_in_transaction,
    "quick_transaction": run_in_quick_transaction,
    "touch": Store.touch,
    "grants": Store.grants,
    "add_grant": lambda store: store.add_grant(Grant(user="bob", at=NOW)),
    "remove_grant": lambda store: store.remove_grant(1),
    "enrolments": Store.enrolments,
    "enrol": lambda store: store.enrol("bob", b"sealed", recovery=[], at=NOW),
    "remove_enrolment": lambda store: store.remove_enrolment("bob"),
    "use_step": lambda store: store.use_step("bob", 7, purpose=PURPOSE, at=NOW),
    "use_recovery_code": lambda store: store.use_recovery_code("bob", b"1", at=NOW),
    "lockout": lambda store: store.lockout("bob"),
    "put_lockout": lambda store: store.put_lockout("bob", Lockout()),
    "note_message": lambda store: store.note_message("a", at=NOW, keep_seconds=60.0),
    "view.get": lambda store: store.view("one").get("a"),
    "view.put": lambda store: store.view("one").put("a", "1"),
    "view.delete": lambda store: store.view("one").delete("a"),
    "view.keys": lambda store: store.view("one").keys(),
}
"""All that a store can be asked."""


def test_every_call_is_among_those_that_are_tried() -> None:
    """What the store can be asked is all tried on one that refuses."""
    others = {"close", "is_refused", "is_settled", "letters", "refusing", "settle", "view"}
    assert {name for name in vars(Store) if not name.startswith("_")} - others == {
        name for name in CALLS if not name.startswith("view")
    }


@pytest.mark.parametrize("name", CALLS)
def test_store_that_refuses_permits_nothing(tmp_path: Path, name: str) -> None:
    """What stands in for a store that could not be opened refuses whatever it is asked, each time, by its reason."""
    path = tmp_path / "folder" / "bot.db"
    with pytest.raises(StoreUnavailableError) as reason:
        Store(path)
    with Store.refusing(path, reason.value) as store:
        assert (store.path, store.set_aside) == (path, None)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError) as caught:
                CALLS[name](store)
            assert str(caught.value) == f"{reason.value} (logmonitor was started without it: start it again then)"
    assert list(tmp_path.iterdir()) == []


def test_touch_tells_whether_anything_can_be_written(tmp_path: Path) -> None:
    """It fails while another process holds the file, and changes nothing else that anybody sees."""
    path = tmp_path / "store"
    with Store(path, patience=0.01) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        version = other.execute("PRAGMA user_version").fetchone()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process holds it"):
            store.touch()
        other.execute("ROLLBACK")
        store.touch()
        assert other.execute("PRAGMA user_version").fetchone() == version
