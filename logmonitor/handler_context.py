"""What one call of a handler may do, and when it takes effect.

What a call for a log's sake decides is held until it is over, and then written with the place in the log. Any other
call's decisions take effect at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.checkpoint import Draft
from logmonitor.errors import OperationError, StoreError
from logmonitor.operation import Ticket
from logmonitor.outbox import Withdrawal
from logmonitor.records import Priority

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from logmonitor.checkpoint import Checkpoint
    from logmonitor.log_slice import LogClock
    from logmonitor.machine import Completed, Host, ProcessSelector
    from logmonitor.operation import KeyValue
    from logmonitor.outbox import Step
    from logmonitor.records import Content, Delivery, MessageKey, Sender, Session
    from logmonitor.worker import Call, Worker, World


class HandlerContext:
    """The `Context` of one call."""

    def __init__(self, worker: Worker, world: World, call: Call | None) -> None:
        """Let a handler of `worker` reach the world; without a call, whoever speaks for it."""
        self._worker = worker
        self._world = world
        self._reply_to = None if call is None else call.reply_to
        self._cause = None if call is None else call.cause
        self._draft = Draft()
        self._runs = 0

    def finish(self) -> None:
        """Write what a call that a log caused has decided."""
        if self._cause is not None:
            self._world.checkpoint.decide(self._worker.name, self._draft, cause=self._cause)

    @property
    def host(self) -> Host:
        """The machine."""
        return self._world.host

    @property
    def store(self) -> KeyValue:
        """What the operation keeps."""
        kept = self._world.store.view(self._worker.name)
        if self._cause is not None:
            return _Drafted(kept, self._draft.texts)
        return _Written(kept, self._world.checkpoint, self._worker.name)

    @property
    def admins(self) -> tuple[Sender, ...]:
        """The operation's admins that the chat knows."""
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
        """Send something, once, whatever interrupts the call."""
        address = self._world.directory.address
        one = to or self._reply_to
        recipients = (address(one),) if one else tuple(dict.fromkeys(map(address, self._worker.admins)))
        scoped = None if slot is None else self._scoped(slot)
        outbox = self._world.outbox
        parcel = await outbox.pack(content)
        self._draft.said += 1
        if self._cause is not None and self._draft.said <= self._cause.sent:
            return Ticket(ids=())  # it was kept before this call was interrupted
        letters = tuple(
            letter
            for who in recipients
            if (letter := outbox.letter(who, parcel, priority=priority, slot=scoped, key=key, expires_at=expires_at))
        )
        self._decide(*letters)
        return Ticket(ids=tuple(letter.id for letter in letters))

    def withdraw(self, slot: str, /) -> None:
        """Take back what was sent in a slot."""
        self._decide(Withdrawal(slot=self._scoped(slot)))

    def _decide(self, *steps: Step) -> None:
        """Let something be done at once, or once the call is over that a log caused."""
        self._draft.steps.extend(steps)
        if self._cause is None:
            self._world.checkpoint.decide(self._worker.name, self._draft)
            self._draft.steps.clear()

    def _decide_now(self) -> None:
        """Let what was decided be done though the call goes on."""
        if self._cause is not None:
            self._world.checkpoint.decide_before(self._worker.name, self._draft, cause=self._cause)

    def session(self, watch: str | None = None, /) -> Session:
        """Return the session of a bot."""
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
        """The bots that the operation is about."""
        return tuple(filter(self._worker.is_about, self._world.watching.watches))

    def logs(self, watch: str, /) -> tuple[Path, ...]:
        """Return the log files of a bot."""
        return self._world.watching.logs(self._known(watch))

    def log_clock(self, watch: str, /) -> LogClock | None:
        """Return how the log of a bot tells the time."""
        return self._world.watching.log_clock(self._known(watch))

    def process(self, watch: str, /) -> ProcessSelector | None:
        """Return which process is the bot's."""
        return self._world.watching.processes.get(watch)

    def overview(self, watch: str | None = None, /) -> tuple[str, ...]:
        """Return how things stand."""
        return self._world.watching.overview(self, watch)

    def delivery(self) -> Delivery:
        """Return how delivery stands."""
        return self._world.outbox.delivery()

    async def run(self, *argv: str, timeout: float = 30.0) -> Completed:  # noqa: ASYNC109  # the host keeps it
        """Run a program; for one cause never twice."""
        if self._cause is None:
            return await self._world.host.run(*argv, timeout=timeout)
        checkpoint, ordinal = self._world.checkpoint, self._runs
        self._runs += 1
        if ordinal in self._cause.runs:
            completed = self._cause.runs[ordinal]
            if completed is None:
                raise OperationError(f"{argv[0]} was begun before logmonitor was interrupted, and is not run twice")
            return completed
        self._decide_now()
        try:
            checkpoint.begin_run(self._cause, ordinal)
        except StoreError as error:
            raise OperationError(f"{argv[0]} is not run, as it cannot be put on record that it is: {error}") from error
        completed = await self._world.host.run(*argv, timeout=timeout)
        checkpoint.end_run(self._cause, ordinal, completed)
        return completed

    def now(self) -> datetime:
        """Return the time."""
        return self._world.clock.now()

    def monotonic(self) -> float:
        """Return the seconds of a clock that never steps."""
        return self._world.clock.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        """Wait; what was sent before goes out meanwhile."""
        if self._draft.steps:
            self._decide_now()
        await self._world.clock.sleep(seconds)

    def wake_at(self, monotonic: float, /) -> None:
        """Ask for a call of `on_tick`."""
        self._worker.wake_at(float(monotonic))

    def _scoped(self, slot: str) -> str:
        return f"{self._worker.name}/{slot}"


class _Written:
    """What an operation keeps, written at once with all the lines that it has handled."""

    def __init__(self, kept: KeyValue, checkpoint: Checkpoint, operation: str) -> None:
        self._kept = kept
        self._checkpoint = checkpoint
        self._operation = operation
        self.get = kept.get
        self.keys = kept.keys

    def put(self, key: str, value: str, /) -> None:
        self._checkpoint.keep(self._operation, lambda: self._kept.put(key, value))

    def delete(self, key: str, /) -> None:
        self._checkpoint.keep(self._operation, lambda: self._kept.delete(key))


class _Drafted:
    """What an operation keeps, as it will be once a call that a log caused is over."""

    def __init__(self, kept: KeyValue, texts: dict[str, str | None]) -> None:
        self._kept = kept
        self._texts = texts

    def get(self, key: str, /) -> str | None:
        return self._texts[key] if key in self._texts else self._kept.get(key)

    def put(self, key: str, value: str, /) -> None:
        self._texts[key] = value

    def delete(self, key: str, /) -> None:
        self._texts[key] = None

    def keys(self) -> tuple[str, ...]:
        drafted = {key for key, text in self._texts.items() if text is not None}
        return tuple(sorted((set(self._kept.keys()) - self._texts.keys()) | drafted))
