"""One operation at work: its handlers run one at a time, each with a deadline, and a failing one stops nothing else."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from logmonitor.errors import LogMonitorError, OperationError
from logmonitor.isolation import isolated
from logmonitor.language import translation
from logmonitor.operation import Ticket
from logmonitor.records import Priority

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from logmonitor.directory import Directory
    from logmonitor.operation import Context, Host, Operation
    from logmonitor.outbox import Outbox
    from logmonitor.records import Content, Sender, Session

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
HANDLER_SECONDS: Final = 60.0
_QUEUE_LENGTH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What all operations share: the chat, the sessions, the machine."""

    outbox: Outbox
    directory: Directory
    sessions: Mapping[str, Session]
    host: Host
    admins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call of a handler, with its deadline; without `reply_to` what it sends goes to the operation's admins."""

    about: str
    call: Callable[[Context], Awaitable[None]]
    reply_to: str | None = None
    seconds: float = HANDLER_SECONDS


def job_of(
    about: str,
    handler: Callable[[Context, _T], Awaitable[None]],
    value: _T,
    /,
    *,
    reply_to: str | None = None,
    seconds: float = HANDLER_SECONDS,
) -> Job:
    """Make the job that calls `handler` with `value`."""

    async def call(context: Context) -> None:
        await handler(context, value)

    return Job(about=about, call=call, reply_to=reply_to, seconds=seconds)


class Worker:
    """Runs the handlers of one operation in the order their inputs came."""

    def __init__(self, operation: Operation, world: World) -> None:
        """Serve `operation`; `run` does the work."""
        self.operation = operation
        self.name = operation.config.name or operation.name
        self._world = world
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(_QUEUE_LENGTH)
        self._wake_at: float | None = None
        self._translate = translation(operation.config.language)

    @property
    def admins(self) -> tuple[str, ...]:
        """The configured names of the operation's admins."""
        own = self.operation.config.admins
        return self._world.admins if own is None else own

    def is_about(self, watch: str) -> bool:
        """Tell whether the operation wants to hear of `watch`."""
        return self.operation.config.watch in (None, watch)

    async def submit(self, job: Job) -> None:
        """Queue a call; wait while the operation is too far behind."""
        await self._jobs.put(job)

    def try_submit(self, job: Job) -> bool:
        """Queue a call unless the operation is too far behind; tell whether it was."""
        if self._jobs.full():
            return False
        self._jobs.put_nowait(job)
        return True

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            job = await self._next_job()
            if job is not None:
                await self.handle(job)

    async def handle(self, job: Job) -> None:
        """Call a handler now; control commands come here directly, so that they never wait."""
        context = _HandlerContext(self, self._world, job.reply_to)
        errors: list[Exception] = []
        with isolated(errors.append):
            async with asyncio.timeout(job.seconds):
                await job.call(context)
        for error in errors:
            _log.error("%s of operation %s failed", job.about, self.name, exc_info=error)
            priority = Priority.ALERT if job.reply_to is None else Priority.REPLY
            await context.send(self._failure(job, error), priority=priority)

    def wake_at(self, monotonic: float) -> None:
        """Call `on_tick` once at that time, or at an earlier one already asked for."""
        self._wake_at = monotonic if self._wake_at is None else min(self._wake_at, monotonic)

    async def _next_job(self) -> Job | None:
        """Wait for a job; once the time to wake has come, for `on_tick`."""
        if self._wake_at is None:
            return await self._jobs.get()
        try:
            async with asyncio.timeout(max(0.0, self._wake_at - time.monotonic())):
                return await self._jobs.get()
        except TimeoutError:
            self._wake_at = None
            tick = self.operation.on_tick
            return None if tick is None else Job(about="on_tick", call=tick)

    def _failure(self, job: Job, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return self._translate("{job} of {operation} was ended after {seconds:g} s").format(
                job=job.about, operation=self.name, seconds=job.seconds
            )
        reason = str(error) if isinstance(error, LogMonitorError) else type(error).__name__
        return self._translate("{job} of {operation} failed: {reason}; the log of logmonitor tells more").format(
            job=job.about, operation=self.name, reason=reason
        )


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
    ) -> Ticket:
        address = self._world.directory.address
        one = to or self._reply_to
        recipients = (address(one),) if one else tuple(dict.fromkeys(map(address, self._worker.admins)))
        scoped = None if slot is None else self._scoped(slot)
        return Ticket(
            ids=tuple(self._world.outbox.put(who, content, priority=priority, slot=scoped) for who in recipients)
        )

    def withdraw(self, slot: str, /) -> None:
        self._world.outbox.withdraw(self._scoped(slot))

    def session(self, watch: str | None = None, /) -> Session:
        known = self._world.sessions
        name = watch or self._worker.operation.config.watch or (next(iter(known)) if len(known) == 1 else None)
        if name is None or name not in known:
            raise OperationError(f"no session of {name!r}; expected one of {', '.join(known)}")
        return known[name]

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wake_at(self, monotonic: float, /) -> None:
        self._worker.wake_at(monotonic)

    def _scoped(self, slot: str) -> str:
        return f"{self._worker.name}/{slot}"
