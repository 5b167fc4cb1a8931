"""What handlers decide is written with the place in the log that made them decide."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.checkpoint import Cause, Checkpoint, Draft
from logmonitor.errors import StoreError, StoreUnavailableError
from logmonitor.following.generation import Position
from logmonitor.machine import Completed
from logmonitor.outbox import Outbox
from logmonitor.reading.file_state import FileState
from logmonitor.records import EventKind, Session, SessionState, Transition
from logmonitor.store import Store
from logmonitor.testing import MemoryTransport, batch, event
from logmonitor.watch import WatchState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmonitor.records import LogBatch

LOG = Path("bob.log")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DONE = Completed(argv=("true",), exit_code=0, stdout="", stderr="", seconds=0.1)
QUICK, SLOW = "quick", "slow"


class Scene:
    """A checkpoint of one watch, whose store can be made to fail."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.store = Store()
        self.chat = MemoryTransport()
        self.outbox = Outbox(self.chat, letters=self.store.letters)
        self.checkpoint = Checkpoint(self.store, self.outbox, now=lambda: NOW)
        self.progress = self.checkpoint.watch("bob")
        self.chunks = 0

    def hand_out(self, *operations: str, transitions: Sequence[Transition] = ()) -> tuple[Cause, ...]:
        """Hand the next chunk out to some operations; its file goes on at its number."""
        self.chunks += 1
        causes = tuple(Cause(watch="bob", operation=name, value=batch_of(self.chunks)) for name in operations)
        self.progress.note(
            WatchState(session=Session(watch="bob", loss=self.chunks)),
            causes,
            place=(LOG, place(self.chunks)),
            transitions=transitions,
            at=NOW,
        )
        return causes

    def decide(self, cause: Cause, *, key: str | None = None) -> None:
        """End a call that has decided to keep something, or nothing."""
        draft = Draft() if key is None else Draft(texts={key: ""})
        self.checkpoint.decide(cause.operation, draft, cause=cause)

    def reached(self) -> int:
        """Return the number of the last chunk that is not read again after a crash."""
        positions = self.store.progress.positions("bob")
        return positions[LOG].offset if positions else 0

    def pending(self) -> list[tuple[str, int]]:
        """Return the calls that are made again after a crash."""
        restored = Checkpoint(self.store, self.outbox, now=lambda: NOW).restore("bob")
        return [(cause.operation, number_in(cause.value)) for cause in restored.causes]

    def fail(self, *, fails: bool = True) -> None:
        """Let nothing be written, or something again."""
        switch = "ON" if fails else "OFF"
        self.store._database.rows(f"PRAGMA query_only = {switch}")  # noqa: SLF001  # a disk that is full


@pytest.fixture
def scene() -> Scene:
    """A checkpoint of one watch."""
    return Scene()


def batch_of(number: int) -> LogBatch:
    """Make the only line of a chunk."""
    return batch(str(number), path=LOG)


def number_in(value: object) -> int:
    """Return the number of a chunk."""
    return int(getattr(value, "lines")[0].text)  # noqa: B009  # it is one of several records


def place(offset: int) -> Position:
    """Make a place in a file."""
    return Position(offset=offset, marker=b"", number=offset)


def test_decision_is_written_with_its_place_and_with_the_calls_that_are_not_over(scene: Scene) -> None:
    """What came before and another operation has not finished is made again; what comes later is read again."""
    (slow, quick) = scene.hand_out(SLOW, QUICK)
    scene.hand_out(SLOW)
    scene.decide(quick, key="kept")
    assert (scene.reached(), scene.pending()) == (1, [(SLOW, 1)])
    assert scene.store.view(QUICK).keys() == ("kept",)
    scene.decide(slow, key="kept")
    assert (scene.reached(), scene.pending()) == (1, [])


def test_place_is_written_now_and_then_where_nothing_is_decided(scene: Scene) -> None:
    """It goes as far as no call is open."""
    first, second, third = (cause for _ in range(3) for cause in scene.hand_out(QUICK))
    scene.decide(first)
    scene.decide(third)
    assert scene.reached() == 0
    scene.checkpoint.flush()
    assert (scene.reached(), scene.pending()) == (1, [])
    scene.decide(second)
    scene.checkpoint.flush()
    assert (scene.reached(), len(scene.progress)) == (3, 0)


def test_chunks_that_concern_nobody_cost_nothing(scene: Scene) -> None:
    """However many there are they are one mark, behind an open call too."""
    for _ in range(1000):
        scene.hand_out()
    assert len(scene.progress) == 1
    scene.hand_out(SLOW)
    for _ in range(1000):
        scene.hand_out()
    assert len(scene.progress) == 2
    scene.checkpoint.flush()
    assert (scene.reached(), len(scene.progress)) == (1000, 1)


def test_marks_are_few_behind_a_call_that_hangs(scene: Scene) -> None:
    """Those whose calls are over are put together, whatever hangs before them; nothing of them is lost."""
    (slow,) = scene.hand_out(SLOW)
    for _ in range(10_000):
        (quick,) = scene.hand_out(QUICK)
        scene.decide(quick)
        assert len(scene.progress) < 100
    scene.checkpoint.flush()
    assert scene.reached() == 0
    scene.decide(slow, key="kept")
    scene.checkpoint.flush()
    assert (scene.reached(), len(scene.progress)) == (10_001, 0)


def test_state_is_written_when_it_is_another_one(scene: Scene) -> None:
    """How its files read does not count, nor does what could not be written."""
    state = WatchState(session=Session(watch="bob"))
    scene.progress.note(state, (), at=NOW)
    scene.checkpoint.flush()
    scene.store._database.change("DELETE FROM watch_state")  # noqa: SLF001  # to see whether it is written again
    scene.progress.note(replace(state, files={LOG: FileState()}), (), at=NOW)
    scene.checkpoint.flush()
    assert scene.store.progress.state("bob") is None
    scene.fail()
    scene.progress.note(replace(state, scans=1), (), at=NOW)
    scene.checkpoint.flush()
    scene.fail(fails=False)
    scene.progress.note(replace(state, scans=1), (), at=NOW)
    scene.checkpoint.flush()
    assert scene.store.progress.state("bob") == replace(state, scans=1)


def test_history_of_a_session_is_written_once_however_marks_are_put_together(scene: Scene) -> None:
    """Each state that was entered is kept, in order; another QR is no other state."""
    before, states = Session(watch="bob"), (SessionState.LOGGED_IN, SessionState.LOGGED_OUT, SessionState.LOGGED_OUT)
    for state in states:
        after = Session(watch="bob", state=state, since=NOW)
        move = Transition(before=before, after=after, event=event(EventKind.LOGIN))
        (cause,) = scene.hand_out(QUICK, transitions=[move])
        scene.decide(cause)
        before = after
    scene.hand_out(transitions=[Transition(before=before, after=Session(watch="bob"), event=event(EventKind.LOGIN))])
    scene.checkpoint.flush()
    changes = scene.store.progress.changes("bob", since=NOW)
    assert [change.state for change in changes] == [*states[:2], SessionState.UNKNOWN]


def test_store_that_cannot_be_written_loses_nothing_but_texts(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """That is said once, and once that it is over; the messages go meanwhile, and the place is written then."""
    caplog.set_level("INFO")
    scene.fail()
    for _ in range(3):
        (cause,) = scene.hand_out(QUICK)
        letter = scene.outbox.letter("admin", "hello")
        assert letter is not None
        scene.checkpoint.decide(QUICK, Draft(steps=[letter], texts={"kept": ""}), cause=cause)
    assert scene.checkpoint.failure
    assert scene.outbox.delivery().waiting == 3
    scene.fail(fails=False)
    scene.hand_out()
    scene.checkpoint.flush()
    assert (scene.checkpoint.failure, scene.reached(), scene.store.view(QUICK).keys()) == ("", 4, ())
    said = [one.message for one in caplog.records if one.name == "logmonitor.checkpoint"]
    assert [text.partition(":")[0] for text in said] == [
        "what is decided is kept in memory only",
        "what is decided is written again",
    ]


def test_store_is_tried_again_though_nothing_is_to_be_written(scene: Scene) -> None:
    """Whether it can be written is known before it is needed."""
    (cause,) = scene.hand_out(QUICK)
    scene.checkpoint.decide_before(QUICK, Draft(), cause=cause)
    scene.fail()
    scene.checkpoint.end_run(cause, 0, DONE)
    assert scene.checkpoint.failure
    scene.fail(fails=False)
    scene.checkpoint.flush()
    assert not scene.checkpoint.failure


def test_what_an_operation_keeps_by_itself_is_written_with_what_it_has_handled(scene: Scene) -> None:
    """Where it cannot be written, whoever wants it kept is told."""
    (cause,) = scene.hand_out(QUICK)
    scene.decide(cause)
    view = scene.store.view(QUICK)
    scene.checkpoint.keep(QUICK, lambda: view.put("kept", "text"))
    assert (scene.reached(), view.get("kept")) == (1, "text")
    scene.checkpoint.keep("other", lambda: None)
    scene.fail()
    with pytest.raises(StoreError):
        scene.checkpoint.keep(QUICK, lambda: view.delete("kept"))


def test_text_is_forgotten_by_a_decision(scene: Scene) -> None:
    """A draft takes texts away as well."""
    scene.store.view(QUICK).put("old", "text")
    scene.checkpoint.decide(QUICK, Draft(texts={"old": None, "new": "text"}))
    assert scene.store.view(QUICK).keys() == ("new",)


def test_call_that_goes_on_is_kept_with_what_it_has_sent(scene: Scene) -> None:
    """After a crash it is made again, and knows how much was sent and what was run."""
    (cause,) = scene.hand_out(QUICK)
    draft = Draft(said=1)
    scene.checkpoint.decide_before(QUICK, draft, cause=cause)
    scene.checkpoint.begin_run(cause, 0)
    scene.checkpoint.begin_run(cause, 1)
    scene.checkpoint.end_run(cause, 0, DONE)
    draft.said = 2
    scene.checkpoint.decide_before(QUICK, draft, cause=cause)
    (again,) = Checkpoint(scene.store, scene.outbox, now=lambda: NOW).restore("bob").causes
    assert (again.sent, again.runs) == (2, {0: DONE, 1: None})
    scene.decide(cause)
    scene.checkpoint.flush()
    assert scene.pending() == []


def test_run_that_cannot_be_put_on_record_does_not_begin(scene: Scene) -> None:
    """It might happen twice; where only its end cannot be written, it is not known after a crash."""
    (cause,) = scene.hand_out(QUICK)
    with pytest.raises(StoreError, match="the call is not kept"):
        scene.checkpoint.begin_run(cause, 0)
    scene.checkpoint.end_run(cause, 0, DONE)
    scene.checkpoint.decide_before(QUICK, Draft(), cause=cause)
    scene.checkpoint.begin_run(cause, 0)
    scene.fail()
    scene.checkpoint.end_run(cause, 0, DONE)
    with pytest.raises(StoreError):
        scene.checkpoint.begin_run(cause, 1)
    assert scene.checkpoint.failure
    (again,) = Checkpoint(scene.store, scene.outbox, now=lambda: NOW).restore("bob").causes
    assert again.runs == {0: None}


@pytest.mark.parametrize(
    ("damage", "positions", "is_state", "calls"),
    [
        ("UPDATE followed_file SET marker = 'text'", 0, True, [QUICK, SLOW]),
        ("UPDATE watch_state SET state = 'x'", 1, False, [QUICK, SLOW]),
        ("UPDATE pending_call SET value = '{}' WHERE operation = 'quick'", 1, True, [SLOW]),
        ("UPDATE pending_call SET kind = 'Mystery' WHERE operation = 'slow'", 1, True, [QUICK]),
        ("UPDATE begun_run SET completed = '{}'", 1, True, [SLOW]),
        ("DELETE FROM pending_call", 1, True, []),
    ],
)
def test_what_can_be_read_of_a_damaged_history_is_used(
    scene: Scene, damage: str, positions: int, *, is_state: bool, calls: list[str]
) -> None:
    """What cannot is left out; a call that cannot be made again is forgotten at the next occasion."""
    quick, slow = scene.hand_out(QUICK, SLOW)
    scene.checkpoint.decide_before(QUICK, Draft(), cause=quick)
    scene.checkpoint.begin_run(quick, 0)
    scene.checkpoint.end_run(quick, 0, DONE)
    assert slow.row is not None
    scene.store._database.change(damage)  # noqa: SLF001  # SQLite sees nothing wrong with it
    checkpoint = Checkpoint(scene.store, scene.outbox, now=lambda: NOW)
    restored = checkpoint.restore("bob")
    assert (len(restored.positions), restored.state is not None) == (positions, is_state)
    assert [cause.operation for cause in restored.causes] == calls
    assert bool(restored.problem) == (not damage.startswith("DELETE"))
    checkpoint.flush()
    assert len(scene.store.progress.pending("bob")) == len(calls)


def test_store_that_was_not_opened_is_no_damaged_history(tmp_path: Path) -> None:
    """That it cannot be used is told once, elsewhere; a history that is damaged as a whole is told here."""
    for error, problem in ((StoreUnavailableError("disk full"), ""), (StoreError("bad"), "bad")):
        store = Store.refusing(tmp_path / "bob.db", error)
        restored = Checkpoint(store, Outbox(MemoryTransport()), now=lambda: NOW).restore("bob")
        assert restored.is_fresh
        assert restored.problem.startswith(problem)
        assert bool(restored.problem) == bool(problem)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hand out"), st.sampled_from([(), (QUICK,), (SLOW,), (QUICK, SLOW)])),
        st.tuples(st.sampled_from(["decide", "end", "go on"]), st.integers(min_value=0, max_value=5)),
        st.tuples(st.sampled_from(["flush", "fail", "work"]), st.none()),
    ),
    max_size=60,
)


@given(STEPS)
@settings(deadline=None)
def test_each_call_takes_effect_once_wherever_the_program_is_killed(steps: list[tuple[str, object]]) -> None:
    """After any steps each chunk is decided on, or its call is made again, or it is read again: one of the three."""
    scene = Scene()
    waiting: list[Cause] = []
    ended: set[tuple[str, int]] = set()
    is_failing = False
    for step, argument in steps:
        if step == "hand out":
            assert isinstance(argument, tuple)
            waiting += scene.hand_out(*argument)
        elif step == "flush":
            scene.checkpoint.flush()
        elif step in ("fail", "work"):
            is_failing = step == "fail"
            scene.fail(fails=is_failing)
        elif waiting:
            assert isinstance(argument, int)
            cause = waiting[argument % len(waiting)]
            if step == "go on":
                scene.checkpoint.decide_before(cause.operation, Draft(), cause=cause)
                continue
            waiting.remove(cause)
            number = number_in(cause.value)
            scene.decide(cause, key=str(number) if step == "decide" else None)
            if step == "end" or is_failing:
                ended.add((cause.operation, number))
    scene.fail(fails=False)
    pending, reached = Counter(scene.pending()), scene.reached()
    for operation in (QUICK, SLOW):
        decided = set(map(int, scene.store.view(operation).keys()))
        for number in range(1, scene.chunks + 1):
            outcomes = (number in decided) + pending[operation, number] + (number > reached)
            is_open = any(cause.operation == operation and number_in(cause.value) == number for cause in waiting)
            assert outcomes <= 1 or (operation, number) in ended
            assert outcomes == 1 or not is_open
