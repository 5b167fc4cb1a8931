"""Commands at work: each asked once more whether it may, put on record, given its turn, its time and its end."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from logmonitor.display import visible
from logmonitor.errors import AuditError, OperationError
from logmonitor.isolation import isolated
from logmonitor.wording import duration_text
from logmonitor.worker import call_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from logmonitor.access import Decision
    from logmonitor.approval import Request
    from logmonitor.clock import Clock
    from logmonitor.operation import Outcome
    from logmonitor.recorder import Recorder
    from logmonitor.worker import Worker

_log = logging.getLogger(__name__)
ACKNOWLEDGED_AFTER: Final = 1.5
"""Seconds until who asked is told that it takes longer; two are promised."""

SHUTDOWN: Final = "the program stops"
"""Who cancels what is at work at the end."""

LAST_SECONDS: Final = 0.2
"""How long a job has to come to its own end once the program stops."""

GRACE_SECONDS: Final = 5.0
"""How long a handler may take to end once it has been told to."""

WAITING_FOR_ONE_USER: Final = 8
_SHOWN_CHARACTERS: Final = 60


@dataclass(slots=True, eq=False)
class Job:
    """One command at work.

    `canceller` is the id of who cancelled it. Cancelling `task` ends it; `whole` is over once its end was told, too.
    """

    id: int
    request: Request
    factors: tuple[str, ...]
    began: float
    is_running: bool = False
    is_acknowledged: bool = False
    canceller: str | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    whole: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """What was asked for, short."""
        text = visible(self.request.shown)
        return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


class Jobs:
    """Runs commands: one of each user at a time, behind the other handlers of its operation; control commands at once.

    Who has waited longer than two seconds has been told that it takes longer, and is told when it ends, either way.
    """

    def __init__(
        self,
        *,
        start: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
        clock: Clock,
        authorise: Callable[[Request], Decision],
        recorder: Recorder,
        answer: Callable[[Request, str], None],
        translate: Callable[[str], str],
    ) -> None:
        """Run nothing yet.

        `start` makes a task of a coroutine. `authorise` is asked right before a command runs. `answer` replies where
        it was asked for.
        """
        self._start = start
        self._clock = clock
        self._authorise = authorise
        self._recorder = recorder
        self._answer = answer
        self._translate = translate
        self._is_stopped = False
        self._ids = count(1)
        self._jobs: dict[int, Job] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def all(self) -> tuple[Job, ...]:
        """What runs or waits, oldest first."""
        return tuple(self._jobs.values())

    def submit(self, request: Request, worker: Worker, *, factors: tuple[str, ...] = ()) -> None:
        """Have a command run as soon as it is its turn, or say why it will not."""
        _ = self._translate
        if self._is_stopped:
            self._answer(request, _("{command} was not run: the program stops").format(command=visible(request.shown)))
            return
        if not request.command.control:
            if worker.is_behind:
                self._answer(request, _("{operation} is too far behind; try again later").format(operation=worker.name))
                return
            if sum(job.request.user == request.user for job in self._jobs.values()) >= WAITING_FOR_ONE_USER:
                self._answer(request, _("too many of your commands wait; `jobs` lists them"))
                return
        job = Job(id=next(self._ids), request=request, factors=factors, began=self._clock.monotonic())
        self._jobs[job.id] = job
        _log.info("job %d: %s of %s for %r", job.id, request.command.name, worker.name, request.user)
        job.whole = self._start(self._see_through(job, worker))

    def cancel(self, job: Job, *, by: str) -> None:
        """End a job; who asked for it is told."""
        job.canceller = by
        if job.task is not None:
            job.task.cancel()

    async def stop(self) -> None:
        """End all jobs, and tell whom they are for; take no more."""
        self._is_stopped = True
        ending = [job.whole for job in self._jobs.values() if job.whole is not None]
        if ending:
            await asyncio.wait(ending, timeout=LAST_SECONDS)
        for job in self.all:
            self.cancel(job, by=SHUTDOWN)
        await asyncio.gather(*ending)

    def rows(self, jobs: Iterable[Job], *, names: Callable[[Request], str | None]) -> tuple[str, ...]:
        """Describe jobs, one row each; `names` tells whose one is, None where that needs no saying."""
        _ = self._translate
        rows = []
        for job in jobs:
            since = duration_text(self._clock.monotonic() - job.began, _)
            form = (
                _("{id}: {command}, running for {duration}")
                if job.is_running
                else _("{id}: {command}, waiting for {duration}")
            )
            row = form.format(id=job.id, command=job.text, duration=since)
            name = names(job.request)
            rows.append(row if name is None else _("{row}, for {name}").format(row=row, name=name))
        return tuple(rows)

    async def _see_through(self, job: Job, worker: Worker) -> None:
        """Run a job to its end, whatever that is."""
        job.task = self._start(self._work(job, worker))
        if job.canceller is not None:  # before it had begun
            job.task.cancel()
        acknowledging = self._start(self._acknowledge(job))
        try:
            await asyncio.wait({job.task})
        finally:
            acknowledging.cancel()
            del self._jobs[job.id]
            self._forget_turn(job.request.user)
        if job.task.cancelled() and job.canceller is not None:
            self._end(job, "cancelled", reason=job.canceller)
            form = (
                self._translate("job {id} ({command}) was ended: the program stops")
                if job.canceller == SHUTDOWN
                else self._translate("job {id} ({command}) was cancelled")
            )
            self._answer(job.request, form.format(id=job.id, command=job.text))

    async def _work(self, job: Job, worker: Worker) -> None:
        """Wait for the job's turn, then do it."""
        command = job.request.command
        with isolated(lambda error: _log.error("job %d could not be run", job.id, exc_info=error)):
            async with AsyncExitStack() as turns:
                if not command.control:
                    await turns.enter_async_context(self._turns[job.request.user])
                    if not command.concurrent:
                        await turns.enter_async_context(worker.turn())
                if self._begin(job):
                    await self._run(job, worker)

    def _begin(self, job: Job) -> bool:
        """Ask once more whether a command may run, and put it on record; tell whether both worked."""
        _ = self._translate
        request = job.request
        decision = self._authorise(request)
        if not decision.allowed:
            with suppress(AuditError):
                self._recorder.record(request, "refused", reason=f"{decision.reason}, at its turn", job=job.id)
            self._answer(request, _("{command} was not run: you may not any more").format(command=job.text))
            return False
        try:
            self._recorder.record(
                request, "allowed", reason=decision.reason, grant=decision.grant, factors=job.factors, job=job.id
            )
        except AuditError as error:
            _log.error("%s", error)
            if not request.command.read_only:
                self._answer(
                    request,
                    _("{command} was not run: it cannot be put on record; `status` tells more").format(
                        command=job.text
                    ),
                )
                return False
        return True

    async def _run(self, job: Job, worker: Worker) -> None:
        """Call the handler, for as long as its deadline allows, and tell how it ended."""
        command = job.request.command
        call = call_of(
            command.name, command.handler, job.request.invocation, reply_to=job.request.conversation, seconds=None
        )
        job.is_running = True
        job.began = self._clock.monotonic()
        working = asyncio.ensure_future(worker.attempt(call))
        is_late = True
        try:
            is_late = not await self._is_done_within(command.timeout, working)
        finally:
            working.cancel()
            if not await self._is_done_within(GRACE_SECONDS, working):
                _log.error("%s of %s goes on after its end; it does not let itself be ended", command.name, worker.name)
        if is_late:
            self._end(job, "timeout")
            self._answer(
                job.request,
                self._translate("job {id} ({command}) was ended after {seconds:g} s").format(
                    id=job.id, command=job.text, seconds=command.timeout
                ),
            )
            return
        outcome: Outcome | None = None
        error: Exception | None = OperationError("it cancelled itself")
        if not working.cancelled():
            outcome, error = working.result()
        self._end(job, "done" if error is None else "failed", outcome=outcome)
        if error is not None:
            self._answer(job.request, worker.failure(call, error))
        elif job.is_acknowledged:
            took = duration_text(self._clock.monotonic() - job.began, self._translate)
            has_failed = outcome is not None and outcome.exit_code not in (None, 0)
            form = (
                self._translate("job {id} ({command}) is over after {duration}, without success")
                if has_failed
                else self._translate("job {id} ({command}) is done after {duration}")
            )
            self._answer(job.request, form.format(id=job.id, command=job.text, duration=took))

    async def _is_done_within(self, seconds: float, task: asyncio.Task[Any]) -> bool:
        """Wait for a task, for so long at most; tell whether it is done."""
        ringing = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, ringing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ringing.cancel()
        return task.done()

    async def _acknowledge(self, job: Job) -> None:
        """Say that a job takes longer, once it has."""
        await self._clock.sleep(ACKNOWLEDGED_AFTER)
        job.is_acknowledged = True
        form = (
            self._translate("job {id} ({command}) is running; you are told when it ends. `cancel {id}` ends it now")
            if job.is_running
            else self._translate("job {id} ({command}) waits for its turn; `jobs` lists what is before it")
        )
        self._answer(job.request, form.format(id=job.id, command=job.text))

    def _end(self, job: Job, decision: str, *, reason: str = "", outcome: Outcome | None = None) -> None:
        """Put the end of a job on record."""
        with suppress(AuditError):
            self._recorder.record(
                job.request,
                decision,
                reason=reason,
                job=job.id,
                exit_code=None if outcome is None else outcome.exit_code,
                duration=self._clock.monotonic() - job.began,
            )

    def _forget_turn(self, user: str) -> None:
        """Keep nothing of who has no job any more."""
        if all(job.request.user != user for job in self._jobs.values()):
            self._turns.pop(user, None)
