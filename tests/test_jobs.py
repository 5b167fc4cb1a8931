"""Commands at work: whose turn it is, how long they may take, how they end, and that this is told and put on record."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from logmonitor import Command, Context, Invocation, Operation, OperationConfig, Outcome, Sender
from logmonitor.access import Decision, Reason
from logmonitor.approval import Request
from logmonitor.audit import Audit
from logmonitor.checkpoint import Checkpoint
from logmonitor.directory import Directory
from logmonitor.host import LocalHost
from logmonitor.jobs import GRACE_SECONDS, Jobs
from logmonitor.outbox import Outbox
from logmonitor.recorder import Recorder
from logmonitor.store import Store
from logmonitor.testing import ADMIN, FakeClock, MemoryTransport, message
from logmonitor.worker import Worker, World
from tests.nothing_watched import NOTHING_WATCHED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

BEN = Sender(id="ben-id", name="Ben")
ALLOWED = Decision(allowed=True, reason=Reason.ADMIN)


@dataclass
class Bench:
    """Jobs of two operations, `shop` and `mill`, by a clock that a test moves; each command ends when it is let go."""

    jobs: Jobs
    workers: dict[str, Worker]
    clock: FakeClock
    path: Path
    answers: list[str]
    decision: list[Decision]
    began: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    exit_code: int | None = 3

    def ask(self, text: str, *, sender: Sender = ADMIN, operation: str = "shop", **fields: object) -> Request:
        """Submit a command of that text."""

        async def work(_context: Context, _invocation: Invocation) -> Outcome | None:
            self.began.append(text)
            await self.gates.setdefault(text, asyncio.Event()).wait()
            if text in self.errors:
                raise self.errors[text]
            return Outcome(exit_code=self.exit_code)

        command = Command(name="work", handler=work, help="work", timeout=60.0)
        command = replace(command, **fields)  # type: ignore[arg-type]
        invocation = Invocation(message=message(text, sender=sender, identifier=text), name="work", text=text)
        request = Request(
            operation=operation, command=command, invocation=invocation, text=f"work {text}", shown=f"work {text}"
        )
        self.jobs.submit(request, self.workers[operation], factors=("totp",))
        return request

    async def let_go(self, text: str) -> None:
        """Let a command end."""
        self.gates.setdefault(text, asyncio.Event()).set()
        await self.clock.move_on(0)

    async def settle(self) -> None:
        """Let everything happen that waits for no time."""
        await self.clock.move_on(0)

    def job(self, text: str) -> int:
        """Return the number of a job."""
        return next(job.id for job in self.jobs.all if job.request.text == f"work {text}")

    def records(self) -> list[dict[str, object]]:
        """Return the audit."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@asynccontextmanager
async def bench(path: Path) -> AsyncIterator[Bench]:
    """Set up workers and jobs; the audit goes to `path`."""
    clock, store, transport = FakeClock(), Store(), MemoryTransport()
    directory = Directory(transport, ["AdminWeixin"])
    outbox = Outbox(directory)
    world = World(
        outbox=outbox,
        directory=directory,
        sessions={},
        host=LocalHost(),
        admins=("AdminWeixin",),
        store=store,
        checkpoint=Checkpoint(store, outbox, now=clock.now),
        clock=clock,
        watching=NOTHING_WATCHED,
    )
    workers = {name: Worker(Operation(name=name, config=OperationConfig()), world) for name in ("shop", "mill")}
    answers: list[str] = []
    decision = [ALLOWED]
    tasks: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:

        def start(work: Coroutine[object, object, None]) -> asyncio.Task[None]:
            task = group.create_task(work)
            tasks.add(task)
            return task

        jobs = Jobs(
            start=start,
            clock=clock,
            authorise=lambda _request: decision[-1],
            recorder=Recorder(Audit(path, anchor=store.view("audit")), clock),
            answer=lambda _request, text: answers.append(text),
            translate=str,
        )
        for worker in workers.values():
            start(worker.run())
        yield Bench(jobs=jobs, workers=workers, clock=clock, path=path, answers=answers, decision=decision)
        for task in tasks:
            task.cancel()
    store.close()


async def test_quick_command_is_acknowledged_by_its_answer_alone(tmp_path: Path) -> None:
    """What ends within two seconds is not talked about, and stands in the audit with factor, exit code, duration."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        await here.settle()
        await here.clock.move_on(1)
        await here.let_go("a")
    assert here.answers == []
    assert [(one["decision"], one.get("exit_code"), one.get("duration")) for one in here.records()] == [
        ("allowed", None, None),
        ("done", 3, 1.0),
    ]
    assert here.records()[0]["factors"] == ["totp"]
    assert here.records()[0]["job"] == here.records()[1]["job"]


@pytest.mark.parametrize(
    ("exit_code", "told"),
    [
        (0, "job 1 (work a) is done after 12 s"),
        (None, "job 1 (work a) is done after 12 s"),
        (3, "job 1 (work a) is over after 12 s, without success"),
    ],
)
async def test_slow_command_is_acknowledged_within_two_seconds_and_told_when_it_ends(
    tmp_path: Path, exit_code: int | None, told: str
) -> None:
    """After two seconds who asked knows that it runs and how to end it, and later how it ended."""
    async with bench(tmp_path / "audit") as here:
        here.exit_code = exit_code
        here.ask("a")
        await here.settle()
        await here.clock.move_on(2)
        assert here.answers == ["job 1 (work a) is running; you are told when it ends. `cancel 1` ends it now"]
        await here.clock.move_on(10)
        await here.let_go("a")
    assert here.answers[1:] == [told]


async def test_one_command_of_a_user_runs_at_a_time(tmp_path: Path) -> None:
    """A user's second command waits for the first, though of another operation; another user's does not."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.ask("b", operation="mill")
        here.ask("c", operation="mill", sender=BEN)
        await here.settle()
        assert here.began == ["a", "c"]
        await here.clock.move_on(2)
        assert "job 2 (work b) waits for its turn; `jobs` lists what is before it" in here.answers
        await here.let_go("c")
        assert here.began == ["a", "c"]
        await here.let_go("a")
        assert here.began == ["a", "c", "b"]
        await here.let_go("b")


async def test_one_command_of_an_operation_runs_at_a_time(tmp_path: Path) -> None:
    """Two users' commands of one operation run one after the other, in the order in which they were asked for."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.ask("b", sender=BEN)
        await here.settle()
        assert here.began == ["a"]
        await here.let_go("a")
        assert here.began == ["a", "b"]
        await here.let_go("b")


async def test_concurrent_command_waits_for_no_other_of_its_operation(tmp_path: Path) -> None:
    """A command that says so runs beside others of its operation, but not beside one of the same user."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.ask("b", sender=BEN, concurrent=True)
        here.ask("c", sender=BEN, concurrent=True)
        await here.settle()
        assert sorted(here.began) == ["a", "b"]
        for text in "abc":
            await here.let_go(text)


async def test_control_command_waits_for_nothing(tmp_path: Path) -> None:
    """A control command runs beside the same user's slow one of the same operation."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.ask("b", control=True)
        await here.settle()
        assert sorted(here.began) == ["a", "b"]
        for text in "ab":
            await here.let_go(text)


async def test_command_is_ended_at_its_deadline_and_that_is_told(tmp_path: Path) -> None:
    """A deadline counts from the beginning of the work, not of the waiting; the next command then runs."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a", timeout=30.0)
        here.ask("b", timeout=30.0)
        await here.settle()
        await here.clock.move_on(29)
        assert here.began == ["a"]
        await here.clock.move_on(1)
        assert here.began == ["a", "b"]
        assert here.answers[-1] == "job 1 (work a) was ended after 30 s"
        await here.clock.move_on(29)
        assert here.answers[-1] == "job 1 (work a) was ended after 30 s"
        await here.clock.move_on(1)
    assert here.answers[-1] == "job 2 (work b) was ended after 30 s"
    assert [one["decision"] for one in here.records()] == ["allowed", "timeout", "allowed", "timeout"]


async def test_command_that_does_not_let_itself_be_ended_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asked is told after the deadline though the handler goes on, and the log tells the operator that it does."""
    release = asyncio.Event()

    async def stubborn(_context: Context, _invocation: Invocation) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with bench(tmp_path / "audit") as here:
        here.ask("a", handler=stubborn, timeout=5.0)
        await here.settle()
        await here.clock.move_on(5)
        await here.clock.move_on(GRACE_SECONDS)
        assert here.answers[-1] == "job 1 (work a) was ended after 5 s"
        release.set()
        await here.settle()
    assert "work of shop goes on after its end; it does not let itself be ended" in caplog.messages


async def test_failing_command_is_told(tmp_path: Path) -> None:
    """A handler that raises is told in a sentence, once, and stands in the audit."""
    async with bench(tmp_path / "audit") as here:
        here.errors["a"] = ValueError("a secret")
        here.ask("a")
        await here.settle()
        await here.clock.move_on(2)
        await here.let_go("a")
    assert here.answers[1:] == ["work of shop failed: ValueError; the log of logmonitor tells more"]
    assert [one["decision"] for one in here.records()] == ["allowed", "failed"]


@pytest.mark.parametrize("text", ["a", "b"])
async def test_cancelled_job_ends_whether_it_runs_or_waits(tmp_path: Path, text: str) -> None:
    """A job at work and one that waits are both ended, told and put on record with who cancelled; others go on."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.ask("b")
        here.ask("c")
        await here.settle()
        (job,) = (job for job in here.jobs.all if job.request.text == f"work {text}")
        here.jobs.cancel(job, by="ben-id")
        await here.settle()
        assert here.answers[-1] == f"job {job.id} (work {text}) was cancelled"
        for other in "abc":
            await here.let_go(other)
    assert here.began == ["a", "b", "c"] if text == "a" else ["a", "c"]
    assert [one["reason"] for one in here.records() if one["decision"] == "cancelled"] == ["ben-id"]
    assert here.jobs.all == ()


async def test_job_that_is_cancelled_before_it_began_never_begins(tmp_path: Path) -> None:
    """A job cancelled in the very moment in which it was asked for runs nothing, and its end is told."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.jobs.cancel(here.jobs.all[0], by="ben-id")
        await here.settle()
    assert here.began == []
    assert here.answers == ["job 1 (work a) was cancelled"]


async def test_jobs_are_told_that_the_program_stops(tmp_path: Path) -> None:
    """At the end a job at work and one that waits are ended, told and put on record; nothing more begins."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.ask("b")
        await here.settle()
        await here.jobs.stop()
        here.ask("c")
    assert here.began == ["a"]
    assert sorted(here.answers) == [
        "job 1 (work a) was ended: the program stops",
        "job 2 (work b) was ended: the program stops",
        "work c was not run: the program stops",
    ]
    assert [one["decision"] for one in here.records()] == ["allowed", "cancelled", "cancelled"]


async def test_handler_that_cancels_itself_has_failed(tmp_path: Path) -> None:
    """A handler that raises what only cancelling should is told and put on record as failed."""

    async def odd(_context: Context, _invocation: Invocation) -> None:
        raise asyncio.CancelledError

    async with bench(tmp_path / "audit") as here:
        here.ask("a", handler=odd)
        await here.settle()
    assert here.answers == ["work of shop failed: it cancelled itself; the log of logmonitor tells more"]
    assert [one["decision"] for one in here.records()] == ["allowed", "failed"]


async def test_right_is_asked_for_again_when_it_is_a_jobs_turn(tmp_path: Path) -> None:
    """A grant that has ended while a command waited for its turn permits it no more."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.ask("b")
        await here.settle()
        here.decision.append(Decision(allowed=False, reason=Reason.STRANGER))
        await here.let_go("a")
    assert here.began == ["a"]
    assert here.answers[-1] == "work b was not run: you may not any more"
    assert here.records()[-1]["decision"] == "refused"


async def test_command_that_cannot_be_put_on_record_is_not_run(tmp_path: Path) -> None:
    """Without an audit nothing runs that changes anything; what only looks does."""
    (tmp_path / "audit").mkdir()
    async with bench(tmp_path / "audit") as here:
        here.ask("a")
        here.ask("b", read_only=True)
        await here.settle()
        assert here.began == ["b"]
        await here.let_go("b")
    assert here.answers == ["work a was not run: it cannot be put on record; `status` tells more"]


async def test_user_cannot_queue_without_end(tmp_path: Path) -> None:
    """Beyond eight commands of one user further ones are refused, and control commands are not."""
    async with bench(tmp_path / "audit") as here:
        for number in range(9):
            here.ask(str(number))
        here.ask("now", control=True)
        await here.settle()
        assert here.answers == ["too many of your commands wait; `jobs` lists them"]
        assert sorted(here.began) == ["0", "now"]
        for text in (*map(str, range(8)), "now"):
            await here.let_go(text)


async def test_rows_tell_what_is_at_work_for_whom(tmp_path: Path) -> None:
    """Each job is a row with its number, its text, cut where it is long, how long it runs or waits, and for whom."""
    async with bench(tmp_path / "audit") as here:
        here.ask("a" * 100)
        here.ask("b", sender=BEN)
        await here.settle()
        await here.clock.move_on(5)

        def name(request: Request) -> str | None:
            return "Ben" if request.user == BEN.id else None

        assert here.jobs.rows(here.jobs.all, names=name) == (
            f"1: work {'a' * 55}…, running for 5 s",
            "2: work b, waiting for 5 s, for Ben",
        )
        await here.let_go("a" * 100)
        await here.let_go("b")
