"""What handlers decide, written in one transaction with the place in the log that made them decide.

Each chunk that is handed out leaves a mark: where its file is to be read on, where the session stands after it, and the
calls that it causes. When a call is over, what it sends and keeps is written together with all marks up to its own, and
with the calls before that which other operations have not finished. After a crash these are made again, and reading
goes on behind the last mark that was written: nothing is decided twice, and nothing is left out.

Nothing waits for the disk meanwhile but what must not happen twice, and what somebody asked to keep. The loss of power
may undo the last second, with its place in the log; what was sent in it may then be sent again.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final, TypeVar

from logmonitor.errors import StoreError, StoreUnavailableError
from logmonitor.storage.progress import SessionChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from logmonitor.following.generation import Position
    from logmonitor.machine import Completed
    from logmonitor.outbox import Outbox, Step
    from logmonitor.records import Transition
    from logmonitor.storage.progress import Input
    from logmonitor.store import Store
    from logmonitor.watch import WatchState

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
FLUSH_SECONDS: Final = 1.0
"""How often it is written how far everything has been handled, where nothing was decided."""

_MOST_CLOSED: Final = 64
"""How many marks without an open call are kept by themselves."""


@dataclass(slots=True, eq=False)
class Cause:
    """Why a handler is called: for `value`, which came with the mark `mark` of a watch.

    `row` is what the call has in the store, if it is kept there. `sent` counts what it sent that is kept, and `runs`
    holds what it ran before a crash, None where it is not known how that ended.
    """

    watch: str
    operation: str
    value: Input
    mark: int = 0
    row: int | None = None
    sent: int = 0
    runs: Mapping[int, Completed | None] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Mark:
    """How things stood when a chunk had been handed out, and those behind it that have no open call."""

    number: int
    state: WatchState
    places: dict[Path, Position]
    changes: list[SessionChange]
    open: dict[Cause, None]

    def absorb(self, later: _Mark) -> None:
        """Stand for the next mark too, which has no open call: where this one is written, that may be written."""
        self.state = later.state
        self.places.update(later.places)
        self.changes.extend(later.changes)


class WatchProgress:
    """The marks of one watch that are not written yet, oldest first.

    Each but the first has an open call, or had one a short while ago: there are few more than open calls.
    """

    def __init__(self, name: str) -> None:
        """Begin behind what is written."""
        self.name = name
        self.written = 0
        self.kept: WatchState | None = None
        self._marks: dict[int, _Mark] = {}
        self._last = 0
        self._closed = 0

    def __len__(self) -> int:
        """Return how many marks are kept."""
        return len(self._marks)

    def note(
        self,
        state: WatchState,
        causes: Sequence[Cause],
        *,
        place: tuple[Path, Position] | None = None,
        transitions: Sequence[Transition] = (),
        at: datetime,
    ) -> None:
        """Note that a chunk is handed out: `place` is where its file goes on, `causes` are the calls for it."""
        self._last += 1
        for cause in causes:
            cause.mark = self._last
        mark = _Mark(
            number=self._last,
            state=state,
            places={} if place is None else dict((place,)),
            changes=[
                SessionChange(state=one.after.state, loss=one.after.loss, at=one.after.since or at)
                for one in transitions
                if one.after.state is not one.before.state
            ],
            open=dict.fromkeys(causes),
        )
        if not causes and self._marks:
            next(reversed(self._marks.values())).absorb(mark)
        else:
            self._marks[self._last] = mark
            self._closed += not causes

    def finished(self) -> int:
        """Return the number of the last mark up to which no call is open."""
        number = self.written
        for mark in self._marks.values():
            if mark.open:
                break
            number = mark.number
        return number

    def close(self, cause: Cause) -> None:
        """Note that a call is over."""
        mark = self._marks.get(cause.mark)
        if mark is None or cause not in mark.open:
            return
        del mark.open[cause]
        self._closed += not mark.open
        if self._closed > _MOST_CLOSED and 2 * self._closed > len(self._marks):
            self._gather()

    def up_to(self, number: int) -> tuple[_Mark, ...]:
        """Return the marks that are not written, up to that one."""
        return tuple(takewhile(lambda mark: mark.number <= number, self._marks.values()))

    def forget(self, number: int) -> None:
        """Note that everything up to that mark is written."""
        for mark in self.up_to(number):
            self.kept = replace(mark.state, files={})
            del self._marks[mark.number]
            self._closed -= not mark.open
        self.written = max(self.written, number)

    def _gather(self) -> None:
        """Let each mark without an open call be a part of the one before it."""
        kept: list[_Mark] = []
        for mark in self._marks.values():
            if kept and not mark.open:
                kept[-1].absorb(mark)
            else:
                kept.append(mark)
        self._marks = {mark.number: mark for mark in kept}
        self._closed = sum(not mark.open for mark in kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What is known of a watch from before: where to read on, where it stands, and the calls to make again.

    `problem` is why something that is kept cannot be read. Without a `state` the lines before the positions tell it.
    """

    positions: Mapping[Path, Position] = field(default_factory=dict)
    state: WatchState | None = None
    causes: tuple[Cause, ...] = ()
    problem: str = ""

    @property
    def is_fresh(self) -> bool:
        """Whether there is no place to go on from."""
        return not self.positions


@dataclass(slots=True)
class Draft:
    """What a call has decided and is not written: messages, withdrawals, and texts to keep or, None, to forget."""

    steps: list[Step] = field(default_factory=list)
    texts: dict[str, str | None] = field(default_factory=dict)
    said: int = 0
    """How many messages it has decided, those among them that were kept before a crash."""


class Checkpoint:
    """All progress of one program, and the one place that writes it."""

    def __init__(self, store: Store, outbox: Outbox, *, now: Callable[[], datetime]) -> None:
        """Write to `store`, and hand messages that are written to `outbox`."""
        self._store = store
        self._outbox = outbox
        self._now = now
        self._watches: dict[str, WatchProgress] = {}
        self._reached: dict[str, dict[str, int]] = {}
        self._over: set[int] = set()
        self.failure = ""
        """Why nothing can be written now; empty while everything is."""

    def watch(self, name: str) -> WatchProgress:
        """Return the progress of the watch of that name."""
        return self._watches.setdefault(name, WatchProgress(name))

    def restore(self, watch: str) -> Restored:
        """Return what is known of a watch from before, as far as it can be read."""
        progress = self._store.progress
        problems: list[str] = []

        def read(ask: Callable[[], _T], otherwise: _T) -> _T:
            try:
                return ask()
            except StoreError as error:
                _log.error("%s: its history cannot be used: %s", watch, error)
                problems.extend(() if isinstance(error, StoreUnavailableError) else (str(error),))
                return otherwise

        nowhere: dict[Path, Position] = {}
        positions = read(partial(progress.positions, watch), nowhere)
        state = read(partial(progress.state, watch), None)
        none: tuple[int, ...] = ()
        causes = []
        for id_ in read(partial(progress.pending, watch), none):
            call = read(partial(progress.call, id_), None)
            if call is None:
                self._over.add(id_)
            else:
                value, operation = call.value, call.operation
                causes.append(
                    Cause(watch=watch, operation=operation, value=value, row=id_, sent=call.sent, runs=call.runs)
                )
        return Restored(positions=positions, state=state, causes=tuple(causes), problem=next(iter(problems), ""))

    def decide(self, operation: str, draft: Draft, *, cause: Cause | None = None) -> None:
        """Write what a handler of an operation has decided, and let it take effect: it is over.

        Without a `cause` no line made it decide. Where the store fails it takes effect nevertheless, but for the texts.
        """
        if cause is not None:
            self._watches[cause.watch].close(cause)
            reached = self._reached.setdefault(operation, {})
            reached[cause.watch] = max(cause.mark, reached.get(cause.watch, 0))
            if cause.row is not None:
                self._over.add(cause.row)
        if draft.steps or draft.texts:
            self._take_effect(operation, draft, self._reached.get(operation, {}), texts=draft.texts)

    def decide_before(self, operation: str, draft: Draft, *, cause: Cause) -> None:
        """Write what a handler that goes on has sent so far, and keep its call; the texts wait for its end."""
        cause.sent = max(cause.sent, draft.said)
        reached = self._reached.get(operation, {})
        until = {**reached, cause.watch: max(cause.mark, reached.get(cause.watch, 0))}
        self._take_effect(operation, draft, until, cause=cause)
        draft.steps.clear()

    def _take_effect(
        self,
        operation: str,
        draft: Draft,
        until: Mapping[str, int],
        *,
        texts: Mapping[str, str | None] | None = None,
        cause: Cause | None = None,
    ) -> None:
        steps, view = tuple(draft.steps), self._store.view(operation)

        def write() -> None:
            self._outbox.save(steps)
            for key, text in (texts or {}).items():
                if text is None:
                    view.delete(key)
                else:
                    view.put(key, text)
            if cause is not None and cause.row is not None:
                self._store.progress.note_sent(cause.row, cause.sent)

        self._write(until, write)
        self._outbox.post(steps)

    def keep(self, operation: str, write: Callable[[], None]) -> None:
        """Write what an operation keeps outside the calls that lines cause, together with what it has handled.

        Raises:
            StoreError: it cannot be written.
        """
        with self._writing(self._reached.get(operation, {}), self._store.transaction()):
            write()

    def begin_run(self, cause: Cause, ordinal: int) -> None:
        """Put on record that a call is about to run something, which must not happen twice.

        Raises:
            StoreError: it cannot be written, so that it might happen twice.
        """
        if cause.row is None:
            raise StoreError(self.failure or "the call is not kept")
        with self._store.transaction():
            self._store.progress.begin_run(cause.row, ordinal)

    def end_run(self, cause: Cause, ordinal: int, completed: Completed) -> None:
        """Put on record how it ended."""
        if cause.row is None:
            return
        try:
            self._store.progress.end_run(cause.row, ordinal, completed)
        except StoreError as error:
            self._fail(error)

    def flush(self) -> None:
        """Write how far everything has been handled where nothing was decided, and have all of it outlast anything."""
        until = {name: number for name, one in self._watches.items() if (number := one.finished()) > one.written}
        if until or self._over:
            self._write(until, lambda: None)
        elif self.failure:
            self._write({}, self._store.touch)
        if not self._store.is_settled:
            self._attempt(self._store.settle)

    def _write(self, until: Mapping[str, int], write: Callable[[], None]) -> None:
        def write_all() -> None:
            with self._writing(until, self._store.quick_transaction()):
                write()

        self._attempt(write_all)

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except StoreError as error:
            self._fail(error)
        else:
            if self.failure:
                _log.info("what is decided is written again")
            self.failure = ""

    @contextmanager
    def _writing(self, until: Mapping[str, int], transaction: AbstractContextManager[None]) -> Iterator[None]:
        """Write what is inside, and all marks up to those numbers, or nothing."""
        rows: list[tuple[Cause, int]] = []
        over = frozenset(self._over)
        with transaction:
            yield
            for name, number in until.items():
                rows += self._write_marks(self._watches[name], number)
            for row in over:
                self._store.progress.remove_pending(row)
        for cause, row in rows:
            cause.row = row
        self._over -= over
        for name, number in until.items():
            self._watches[name].forget(number)

    def _write_marks(self, watch: WatchProgress, until: int) -> list[tuple[Cause, int]]:
        """Write marks; return the calls that had to be kept, and their rows."""
        marks = watch.up_to(until)
        if not marks:
            return []
        progress = self._store.progress
        for path, position in {path: place for mark in marks for path, place in mark.places.items()}.items():
            progress.put_position(watch.name, path, position)
        state = replace(marks[-1].state, files={})
        if state != watch.kept:  # what was verified makes it large
            progress.put_state(watch.name, state, at=self._now())
        for mark in marks:
            for change in mark.changes:
                progress.add_change(watch.name, change)
        return [
            (cause, progress.add_pending(watch.name, cause.operation, cause.value, sent=cause.sent))
            for mark in marks
            for cause in mark.open
            if cause.row is None
        ]

    def _fail(self, error: StoreError) -> None:
        """Say once why nothing is written."""
        if not self.failure:
            _log.error("what is decided is kept in memory only: %s", error)
        self.failure = str(error)
