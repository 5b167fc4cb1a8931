"""When a program has done all that it can do without more input or more time.

Nothing is waited for by the real clock to find that out. The event loop comes round until nothing changes any more that
can be seen: what the chat has handed over, what was sent, which tasks there are, which handlers are at work, who sleeps
on the fake clock. No step of the runtime is further from the next that can be seen than `ROUNDS`, by far. What handlers
do is their author's: each is counted from its beginning to its end. One that sleeps on the fake clock waits for time,
which the test has to let pass. One that waits for something else, such as a file, a process or an event of the test,
cannot be told from one that goes on in a moment: it is waited for under a deadline.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from logmonitor.testing.clock import ROUNDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from logmonitor.operation import Command, Context, Invocation, Operation, Outcome
    from logmonitor.testing.clock import FakeClock
    from logmonitor.testing.transport import MemoryTransport

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """A handler at work: what it is called, and the task that it runs in."""

    about: str
    task: asyncio.Task[object] | None


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, _T], **options: object
) -> asyncio.Future[_T]:
    """Make a task as a loop does that has no factory."""
    make: Callable[..., asyncio.Future[_T]] = asyncio.Task
    return make(coroutine, loop=loop, **options)


class TaskCounter:
    """A task factory that counts what it makes and what has ended.

    `asyncio.all_tasks()` would tell the same, but goes through every task that the process still remembers, also those
    of loops that were closed long ago: too much for what is asked for each time that the loop comes round.
    """

    def __init__(self, make: Callable[..., asyncio.Future[Any]]) -> None:
        """Count from zero what `make` makes, a task factory itself."""
        self.begun = 0
        self.ended = 0
        self._make = make

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> TaskCounter:
        """Return the counter of a loop, which has one from then on."""
        factory: object = loop.get_task_factory()
        if isinstance(factory, cls):
            return factory
        counter = cls(loop.get_task_factory() or _make_task)
        loop.set_task_factory(counter)
        return counter

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, _T] | Generator[Any, None, _T],
        /,
        **options: object,
    ) -> asyncio.Future[_T]:
        """Make a task and count it."""
        task = self._make(loop, coroutine, **options)
        self.begun += 1
        task.add_done_callback(self._count_end)
        return task

    def _count_end(self, _task: asyncio.Future[Any]) -> None:
        self.ended += 1


class Quiet:
    """Knows what is at work in one chat."""

    def __init__(self, clock: FakeClock, transport: MemoryTransport) -> None:
        """See nothing at work yet. `ran` will hold the commands that were run, with the ids of their messages."""
        self.ran: list[tuple[str, str]] = []
        self._clock = clock
        self._transport = transport
        self._at_work: set[Work] = set()
        self._ended = asyncio.Event()

    @property
    def undecided(self) -> tuple[str, ...]:
        """The handlers at work that wait for something that is not the fake clock."""
        return tuple(sorted(work.about for work in self._at_work if not self._clock.is_slept_on_by(work.task)))

    async def settle(self) -> None:
        """Let the loop come round until nothing changes any more; handlers that wait for something are left to it."""
        tasks = TaskCounter.of(asyncio.get_running_loop())
        before, rounds = self._seen(tasks), 0
        while rounds < ROUNDS:
            await asyncio.sleep(0)
            now = self._seen(tasks)
            before, rounds = now, rounds + 1 if now == before else 0

    async def wait_for_change(self) -> None:
        """Wait until a handler ends, begins to sleep, or has something sent."""
        self._ended.clear()
        waits: tuple[Coroutine[object, object, object], ...] = (
            self._ended.wait(),
            self._clock.wait_for_sleeper(),
            self._transport.wait_for_change(),
        )
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def watched(self, operation: Operation) -> Operation:
        """Return the same operation with handlers that are counted while they are at work."""
        name = operation.config.name or operation.name
        return replace(
            operation,
            on_start=self._counted_alone(operation.on_start, f"on_start of {name}"),
            on_stop=self._counted_alone(operation.on_stop, f"on_stop of {name}"),
            on_batch=self._counted(operation.on_batch, f"on_batch of {name}"),
            on_event=self._counted(operation.on_event, f"on_event of {name}"),
            on_transition=self._counted(operation.on_transition, f"on_transition of {name}"),
            on_message=self._counted(operation.on_message, f"on_message of {name}"),
            on_tick=self._counted_alone(operation.on_tick, f"on_tick of {name}"),
            commands=tuple(self._counted_command(command) for command in operation.commands),
        )

    def _seen(self, tasks: TaskCounter) -> tuple[object, ...]:
        """Return all that can be seen to change."""
        return (
            self._transport.is_read,
            len(self._transport.transcript.entries),
            frozenset(self._at_work),
            self._clock.sleepers,
            tasks.begun,
            tasks.ended,
        )

    async def _work(self, about: str, doing: Awaitable[_T]) -> _T:
        """Do something, and be at work meanwhile."""
        work = Work(about=about, task=asyncio.current_task())
        self._at_work.add(work)
        try:
            return await doing
        finally:
            self._at_work.discard(work)
            self._ended.set()

    def _counted(
        self, handler: Callable[[Context, _T], Awaitable[None]] | None, about: str
    ) -> Callable[[Context, _T], Awaitable[None]] | None:
        if handler is None:
            return None

        async def counted(context: Context, value: _T) -> None:
            await self._work(about, handler(context, value))

        return counted

    def _counted_alone(
        self, handler: Callable[[Context], Awaitable[None]] | None, about: str
    ) -> Callable[[Context], Awaitable[None]] | None:
        if handler is None:
            return None

        async def counted(context: Context) -> None:
            await self._work(about, handler(context))

        return counted

    def _counted_command(self, command: Command) -> Command:
        async def counted(context: Context, invocation: Invocation) -> Outcome | None:
            self.ran.append((command.name, invocation.message.id))
            return await self._work(f"command {invocation.name}", command.handler(context, invocation))

        return replace(command, handler=counted)
