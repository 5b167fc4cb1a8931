"""One operation at work: its handlers run one at a time, each with a deadline, and a failing one stops nothing else."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from logmonitor.errors import LogMonitorError, OperationError
from logmonitor.isolation import isolated
from logmonitor.language import translation
from logmonitor.operation import Ticket
from logmonitor.records import Priority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from logmonitor.clock import Clock
    from logmonitor.directory import Directory
    from logmonitor.log_slice import LogClock
    from logmonitor.machine import Completed, Host, ProcessSelector
    from logmonitor.operation import Context, Invocation, KeyValue, Operation, Outcome
    from logmonitor.outbox import Outbox
    from logmonitor.records import Content, Delivery, MessageKey, Sender, Session
    from logmonitor.store import Store

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
HANDLER_SECONDS: Final = 60.0
STOP_SECONDS: Final = 2.0
_QUEUE_LENGTH: Final = 64
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
    clock: Clock
    watching: Watching


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a handler; without `reply_to` what it sends goes to the operation's admins.

    `seconds` is its deadline, None where whoever makes the call sees to that.
    """

    about: str
    handler: Callable[[Context], Awaitable[Outcome | None]]
    reply_to: str | None = None
    seconds: float | None = HANDLER_SECONDS


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
) -> Call:
    """Make the call of `handler` with `value`."""

    async def with_value(context: Context) -> Outcome | None:
        return await handler(context, value)

    return Call(about=about, handler=with_value, reply_to=reply_to, seconds=seconds)


class Worker:
    """Runs the handlers of one operation in the order their inputs came."""

    def __init__(self, operation: Operation, world: World) -> None:
        """Serve `operation`; `run` does the work."""
        self.operation = operation
        self.name = operation.config.name or operation.name
        self._world = world
        self._calls: asyncio.Queue[Call | None] = asyncio.Queue(_QUEUE_LENGTH)
        self._wake_at: float | None = None
        self._translate = translation(operation.config.language)

    @property
    def admins(self) -> tuple[str, ...]:
        """The configured names of the operation's admins."""
        own = self.operation.config.admins
        return self._world.admins if own is None else own

    @property
    def is_behind(self) -> bool:
        """Whether too much waits for the operation to take more."""
        return self._calls.full()

    def is_about(self, watch: str) -> bool:
        """Tell whether the operation wants to hear of `watch`."""
        return self.operation.config.watch in (None, watch)

    async def submit(self, call: Call) -> None:
        """Queue a call; wait while the operation is too far behind."""
        await self._calls.put(call)

    def try_submit(self, call: Call) -> bool:
        """Queue a call unless the operation is too far behind; tell whether it was."""
        if self.is_behind:
            return False
        self._calls.put_nowait(call)
        return True

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until no other handler of the operation runs, and keep it so while in this context."""
        begun, over = asyncio.Event(), asyncio.Event()

        async def hold(_context: Context) -> None:
            begun.set()
            await over.wait()

        try:
            await self.submit(Call(about="turn", handler=hold, seconds=None))
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
                if call is not None:
                    await self.handle(call)
        finally:
            if self.operation.on_stop is not None:
                await self.handle(Call(about="on_stop", handler=self.operation.on_stop, seconds=STOP_SECONDS))

    async def handle(self, call: Call) -> None:
        """Call a handler now, and tell of its failure."""
        _outcome, error = await self.attempt(call)
        if error is not None:
            priority = Priority.ALERT if call.reply_to is None else Priority.REPLY
            await self.context(call).send(self.failure(call, error), priority=priority)

    async def attempt(self, call: Call) -> tuple[Outcome | None, Exception | None]:
        """Call a handler now; return what it returned, or what it raised."""
        outcome: Outcome | None = None
        errors: list[Exception] = []
        with isolated(errors.append):
            async with asyncio.timeout(call.seconds):
                try:
                    outcome = await call.handler(self.context(call))
                except SystemExit as end:
                    raise OperationError(_WANTS_EXIT) from end
        for error in errors:
            _log.error("%s of operation %s failed", call.about, self.name, exc_info=error)
        return outcome, next(iter(errors), None)

    def context(self, call: Call) -> Context:
        """Return what the handler of a call may do."""
        return _HandlerContext(self, self._world, call.reply_to)

    def wake_at(self, monotonic: float) -> None:
        """Call `on_tick` once at that time, or at an earlier one already asked for."""
        if self._wake_at is not None and self._wake_at <= monotonic:
            return
        self._wake_at = monotonic
        if self._calls.empty():
            self._calls.put_nowait(None)  # who waits for the next call has to hear of it

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
            return await self._calls.get()
        clock = self._world.clock
        getting = asyncio.ensure_future(self._calls.get())
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


class _HandlerContext:
    """The `Context` of one call."""

    def __init__(self, worker: Worker, world: World, reply_to: str | None) -> None:
        self._worker = worker
        self._world = world
        self._reply_to = reply_to

    @property
    def host(self) -> Host:
        return self._world.host

    @property
    def store(self) -> KeyValue:
        return self._world.store.view(self._worker.name)

    @property
    def admins(self) -> tuple[Sender, ...]:
        return self._world.directory.found(self._worker.admins)

    async def send(
        self,
        content: Content,
        /,
        *,
        to: str | None = None,
        priority: Priority = Priority.REPLY,
        slot: str | None = None,
        key: MessageKey | None = None,
        expires_at: datetime | None = None,
    ) -> Ticket:
        address = self._world.directory.address
        one = to or self._reply_to
        recipients = (address(one),) if one else tuple(dict.fromkeys(map(address, self._worker.admins)))
        scoped = None if slot is None else self._scoped(slot)
        parcel = await self._world.outbox.pack(content)
        return Ticket(
            ids=tuple(
                self._world.outbox.put(who, parcel, priority=priority, slot=scoped, key=key, expires_at=expires_at)
                for who in recipients
            )
        )

    def withdraw(self, slot: str, /) -> None:
        self._world.outbox.withdraw(self._scoped(slot))

    def session(self, watch: str | None = None, /) -> Session:
        known = self._world.sessions
        return known[
            self._known(
                watch or self._worker.operation.config.watch or (next(iter(known)) if len(known) == 1 else None)
            )
        ]

    def _known(self, watch: str | None) -> str:
        """Return the name of a bot that is watched."""
        if watch is None or watch not in self._world.sessions:
            raise OperationError(f"no session of {watch!r}; expected one of {', '.join(self._world.sessions)}")
        return watch

    @property
    def watches(self) -> tuple[str, ...]:
        return tuple(filter(self._worker.is_about, self._world.watching.watches))

    def logs(self, watch: str, /) -> tuple[Path, ...]:
        return self._world.watching.logs(self._known(watch))

    def log_clock(self, watch: str, /) -> LogClock | None:
        return self._world.watching.log_clock(self._known(watch))

    def process(self, watch: str, /) -> ProcessSelector | None:
        return self._world.watching.processes.get(watch)

    def overview(self, watch: str | None = None, /) -> tuple[str, ...]:
        return self._world.watching.overview(self, watch)

    def delivery(self) -> Delivery:
        return self._world.outbox.delivery()

    async def run(self, *argv: str, timeout: float = 30.0) -> Completed:  # noqa: ASYNC109  # the host keeps it
        return await self._world.host.run(*argv, timeout=timeout)

    def now(self) -> datetime:
        return self._world.clock.now()

    def monotonic(self) -> float:
        return self._world.clock.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        await self._world.clock.sleep(seconds)

    def wake_at(self, monotonic: float, /) -> None:
        self._worker.wake_at(monotonic)

    def _scoped(self, slot: str) -> str:
        return f"{self._worker.name}/{slot}"
