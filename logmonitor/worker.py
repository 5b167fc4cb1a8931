"""One operation at work: its handlers run one at a time, each with a deadline, and a failing one stops nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from logmonitor.checkpoint import Draft
from logmonitor.errors import LogMonitorError, OperationError
from logmonitor.handler_context import HandlerContext
from logmonitor.inbox import PATIENCE_SECONDS, Inbox
from logmonitor.isolation import isolated
from logmonitor.language import translation
from logmonitor.records import LogBatch, Priority
from logmonitor.throttle import Throttle, admit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
    from pathlib import Path

    from logmonitor.checkpoint import Cause, Checkpoint
    from logmonitor.clock import Clock
    from logmonitor.directory import Directory
    from logmonitor.log_slice import LogClock
    from logmonitor.machine import Host, ProcessSelector
    from logmonitor.operation import Context, Invocation, Operation, Outcome
    from logmonitor.outbox import Outbox
    from logmonitor.records import Session
    from logmonitor.store import Store

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
HANDLER_SECONDS: Final = 60.0
STOP_SECONDS: Final = 2.0
_LINE_BYTES: Final = 128
"""What a line takes beside its text."""

_ALERT_SECONDS: Final = 600.0
_WANTS_EXIT: Final = "it tried to end the whole program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What is watched, and what is known of it.

    `processes` are the bots' own, as far as an operation says which. `overview` tells how one bot is, or everything.
    """

    watches: Collection[str]
    processes: Mapping[str, ProcessSelector]
    logs: Callable[[str], tuple[Path, ...]]
    log_clock: Callable[[str], LogClock | None]
    overview: Callable[[Context, str | None], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What all operations share: the chat, the sessions, the machine, what lasts, the clocks."""

    outbox: Outbox
    directory: Directory
    sessions: Mapping[str, Session]
    host: Host
    admins: tuple[str, ...]
    store: Store
    checkpoint: Checkpoint
    clock: Clock
    watching: Watching


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a handler; without `reply_to` what it sends goes to the operation's admins.

    `seconds` is its deadline, None where whoever makes the call sees to that. `cause` is what came of a log: the call
    is made again if it is interrupted, and what it decides is written with the place in the log. It is about so many
    `lines`, which take `size_bytes`; an event takes none.
    """

    about: str
    handler: Callable[[Context], Awaitable[Outcome | None]]
    reply_to: str | None = None
    seconds: float | None = HANDLER_SECONDS
    cause: Cause | None = None
    lines: int = 1
    size_bytes: int = 0


def ask_of(question: Callable[[Invocation], _T], invocation: Invocation, /) -> _T:
    """Return what a command says about an invocation, before anybody is asked or anything runs.

    Raises:
        OperationError: it would have ended more than the command.
    """
    try:
        return question(invocation)
    except (SystemExit, asyncio.CancelledError) as error:
        raise OperationError(_WANTS_EXIT) from error


def call_of(
    about: str,
    handler: Callable[[Context, _T], Awaitable[Outcome | None]],
    value: _T,
    /,
    *,
    reply_to: str | None = None,
    seconds: float | None = HANDLER_SECONDS,
    cause: Cause | None = None,
) -> Call:
    """Make the call of `handler` with `value`."""

    async def with_value(context: Context) -> Outcome | None:
        return await handler(context, value)

    call = Call(about=about, handler=with_value, reply_to=reply_to, seconds=seconds, cause=cause)
    if not isinstance(value, LogBatch):
        return call
    size_bytes = sum(len(line.raw) + _LINE_BYTES for line in value.lines)
    return replace(call, lines=len(value.lines), size_bytes=size_bytes)


class Worker:
    """Runs the handlers of one operation in the order their inputs came."""

    def __init__(self, operation: Operation, world: World) -> None:
        """Serve `operation`; `run` does the work."""
        self.operation = operation
        self.name = operation.config.name or operation.name
        self._world = world
        self._inbox = Inbox(world.clock)
        self._wake_at: float | None = None
        self._translate = translation(operation.config.language)
        self._omissions = Throttle(limit=3, period=_ALERT_SECONDS)
        self._is_omitting = False
        self._is_omission_told = False
        self._told_lines = 0
        self._failures: dict[str, Throttle] = {}
        self._untold_failures: Counter[str] = Counter()

    @property
    def admins(self) -> tuple[str, ...]:
        """The configured names of the operation's admins."""
        own = self.operation.config.admins
        return self._world.admins if own is None else own

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for the operation that whoever can should ask again later."""
        return self._inbox.is_behind

    @property
    def is_full(self) -> bool:
        """Whether lines have to wait, or to pass the operation over."""
        return self._inbox.is_full

    def is_about(self, watch: str) -> bool:
        """Tell whether the operation wants to hear of `watch`."""
        return self.operation.config.watch in (None, watch)

    def submit(self, call: Call) -> None:
        """Queue a call, however much waits."""
        self._inbox.put(call)

    def try_submit(self, call: Call) -> bool:
        """Queue a call unless the operation is too far behind; tell whether it was."""
        if not self.is_behind:
            self.submit(call)
            return True
        return False

    async def hand(self, call: Call, cause: Cause) -> None:
        """Queue what came of a log: lines wait while the operation is slow, and pass it over when it takes nothing."""
        if await self._inbox.offer(call, watch=cause.watch):
            return
        self._world.checkpoint.decide(self.name, Draft(), cause=cause)
        if self._is_omitting:
            return
        _log.warning("operation %s takes nothing; lines are being passed over", self.name)
        self._is_omitting = True
        self._omissions, self._is_omission_told = admit(self._omissions, self._world.clock.monotonic())
        if self._is_omission_told:
            text = self._translate("{operation} has taken no line for {seconds:g} s; lines are being passed over")
            await self._alert(text.format(operation=self.name, seconds=PATIENCE_SECONDS))

    async def _end_omission(self) -> None:
        """Tell how many lines were passed over, once no more are; where the beginning was not told, tell it later."""
        self._is_omitting = False
        count = self._inbox.passed_over.total() - self._told_lines
        _log.warning("operation %s takes lines again; passed over: %d", self.name, count)
        if self._is_omission_told:
            self._told_lines += count
            text = self._translate("{operation} takes lines again; lines that were passed over: {count}")
            await self._alert(text.format(operation=self.name, count=count))

    async def _alert(self, text: str) -> None:
        """Tell the operation's admins what it cannot say itself."""
        await HandlerContext(self, self._world, None).send(text, priority=Priority.ALERT)

    def remarks(self, watch: str, translate: Callable[[str], str]) -> tuple[str, ...]:
        """Return what an admin should know of how the operation keeps up with a bot's log."""
        count = self._inbox.passed_over[watch]
        if not count:
            return ()
        if self._inbox.is_passing_over:
            row = translate("{operation} takes no lines; passed over since the start: {count}")
        else:
            row = translate("{operation} could not keep up; lines passed over since the start: {count}")
        return (row.format(operation=self.name, count=count),)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until no other handler of the operation runs, and keep it so while in this context."""
        begun, over = asyncio.Event(), asyncio.Event()

        async def hold(_context: Context) -> None:
            begun.set()
            await over.wait()

        try:
            self.submit(Call(about="turn", handler=hold, seconds=None))
            await begun.wait()
            yield
        finally:
            over.set()

    async def run(self) -> None:
        """Work until cancelled."""
        if self.operation.on_start is not None:
            await self.handle(Call(about="on_start", handler=self.operation.on_start))
        try:
            while True:
                call = await self._next_call()
                if self._is_omitting and not self._inbox.is_passing_over:
                    await self._end_omission()
                if call is not None:
                    await self.handle(call)
                    await asyncio.sleep(0)  # however much waits and is quickly done: what was sent is to go meanwhile
        finally:
            if self._is_omitting:
                count = self._inbox.passed_over.total() - self._told_lines
                _log.warning("operation %s ends; lines that were passed over: %d", self.name, count)
            if self.operation.on_stop is not None:
                await self.handle(Call(about="on_stop", handler=self.operation.on_stop, seconds=STOP_SECONDS))

    async def handle(self, call: Call) -> None:
        """Call a handler now, and tell of its failure; what it decided is written once it is over."""
        context = HandlerContext(self, self._world, call)
        _outcome, error = await self._attempt(call, context)
        if error is not None:
            await self._tell_failure(call, error, context)
        with isolated(lambda error: _log.error("%s of %s took no effect", call.about, self.name, exc_info=error)):
            context.finish()

    async def _tell_failure(self, call: Call, error: Exception, context: Context) -> None:
        """Tell of a failure whoever asked for the call, or the admins, these of no more than a few."""
        if call.reply_to is not None:
            await context.send(self.failure(call, error))
            return
        failures = self._failures.get(call.about, Throttle(limit=3, period=_ALERT_SECONDS))
        self._failures[call.about], is_admitted = admit(failures, self._world.clock.monotonic())
        if not is_admitted:
            self._untold_failures[call.about] += 1
            return
        text = self.failure(call, error)
        if count := self._untold_failures.pop(call.about, 0):
            text = self._translate("{text} (and {count} times more before, which was not told)").format(
                text=text, count=count
            )
        await context.send(text, priority=Priority.ALERT)

    async def attempt(self, call: Call) -> tuple[Outcome | None, Exception | None]:
        """Call a handler now; return what it returned, or what it raised."""
        return await self._attempt(call, HandlerContext(self, self._world, call))

    async def _attempt(self, call: Call, context: Context) -> tuple[Outcome | None, Exception | None]:
        outcome: Outcome | None = None
        errors: list[Exception] = []
        with isolated(errors.append):
            async with asyncio.timeout(call.seconds):
                try:
                    outcome = await call.handler(context)
                except SystemExit as end:
                    raise OperationError(_WANTS_EXIT) from end
        for error in errors:
            _log.error("%s of operation %s failed", call.about, self.name, exc_info=error)
        return outcome, next(iter(errors), None)

    def context(self, call: Call) -> Context:
        """Return what the handler of a call may do."""
        return HandlerContext(self, self._world, call)

    def wake_at(self, monotonic: float) -> None:
        """Call `on_tick` once at that time, or at an earlier one already asked for."""
        if self._wake_at is not None and self._wake_at <= monotonic:
            return
        self._wake_at = monotonic
        self._inbox.wake()  # who waits for the next call has to hear of it

    def failure(self, call: Call, error: Exception) -> str:
        """Return the sentence that tells of a failure."""
        if isinstance(error, TimeoutError) and call.seconds is not None:
            return self._translate("{job} of {operation} was ended after {seconds:g} s").format(
                job=call.about, operation=self.name, seconds=call.seconds
            )
        reason = str(error) if isinstance(error, LogMonitorError) else type(error).__name__
        return self._translate("{job} of {operation} failed: {reason}; the log of logmonitor tells more").format(
            job=call.about, operation=self.name, reason=reason
        )

    async def _next_call(self) -> Call | None:
        """Wait for a call; once the time to wake has come, for that of `on_tick`."""
        if self._wake_at is None:
            return await self._inbox.get()
        clock = self._world.clock
        getting = asyncio.ensure_future(self._inbox.get())
        waking = asyncio.ensure_future(clock.sleep(max(0.0, self._wake_at - clock.monotonic())))
        try:
            await asyncio.wait({getting, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            getting.cancel()
        await asyncio.wait({getting})
        if not getting.cancelled():
            return getting.result()
        self._wake_at = None
        tick = self.operation.on_tick
        return None if tick is None else Call(about="on_tick", handler=tick)
