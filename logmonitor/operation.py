"""The contract of an operation: a record of handlers, and the `Context` through which they reach the world."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from logmonitor.errors import OperationError
from logmonitor.records import Event, LogBatch, Message, Priority, Transition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime, tzinfo
    from pathlib import Path

    from logmonitor.log_slice import LogClock
    from logmonitor.machine import Completed, Host, ProcessSelector
    from logmonitor.records import Content, Delivery, MessageKey, Sender, Session

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Proof that the outbox took a message: one id for each recipient."""

    ids: tuple[int, ...]


class SecurityRule(StrEnum):
    """What has to be shown before a command runs, besides the right to run it. Rules combine.

    `CONFIRM`: the same user repeats a short id in the same conversation. `TOTP`: a one-time code of the user's
    authenticator (RFC 6238). `OUT_OF_BAND`: a code sent over a second channel. `PEER`: another admin confirms.
    """

    CONFIRM = "confirm"
    TOTP = "totp"
    OUT_OF_BAND = "out_of_band"
    PEER = "peer"


class Right(StrEnum):
    """Who may run a command, whom a grant denies it excepted.

    `ADMIN`: admins, and nobody else whatever is granted. `GRANT`: admins, and whom an admin has granted it. `ANYONE`:
    whoever writes to the bot.
    """

    ADMIN = "admin"
    GRANT = "grant"
    ANYONE = "anyone"


class KeyValue(Protocol):
    """What an operation keeps across restarts: texts by key, apart from those of every other operation."""

    def get(self, key: str, /) -> str | None:
        """Return the text kept under `key`, None if there is none.

        Raises:
            StoreError: the store cannot be read.
        """

    def put(self, key: str, value: str, /) -> None:
        """Keep `value` under `key`, in place of what was there; it is on disk once this returns.

        Raises:
            StoreError: the store cannot be written.
        """

    def delete(self, key: str, /) -> None:
        """Forget what is kept under `key`, if anything is.

        Raises:
            StoreError: the store cannot be written.
        """

    def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted.

        Raises:
            StoreError: the store cannot be read.
        """


class Context(Protocol):
    """What a handler may do; the runtime gives it, tests record it."""

    @property
    def host(self) -> Host:
        """The machine."""

    @property
    def store(self) -> KeyValue:
        """What this operation keeps across restarts."""

    @property
    def admins(self) -> tuple[Sender, ...]:
        """The operation's admins that the chat knows; who receives what has no `to`."""

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
        """Hand `content` to the outbox.

        Without `to` it goes back to the conversation a command came from, and from any other handler to the admins.
        A message with a `slot` replaces one that still waits in the same slot for the same recipient, and is taken back
        where the chat can when a newer one has replaced it. Of messages with the same `key` each recipient gets one.
        From `expires_at` (aware UTC) on it is not sent any more. What a handler of lines, events or transitions sends
        leaves once the handler is over, or awaits `run` or `sleep`.
        """

    def withdraw(self, slot: str, /) -> None:
        """Take back what waits in `slot`, and where the chat can what it has taken."""

    def session(self, watch: str | None = None, /) -> Session:
        """Return the session of `watch`; without it, of the operation's own or the only one."""

    @property
    def watches(self) -> tuple[str, ...]:
        """The bots that the operation is about, as they are configured."""

    def logs(self, watch: str, /) -> tuple[Path, ...]:
        """Return the log files of a bot that are there now, the one written to last at the end."""

    def log_clock(self, watch: str, /) -> LogClock | None:
        """Return how the log of a bot tells the time; None where it does not, or its family is not known yet."""

    def process(self, watch: str, /) -> ProcessSelector | None:
        """Return which process is the bot's, as one of the operations about it says; None if none does."""

    def overview(self, watch: str | None = None, /) -> tuple[str, ...]:
        """Return what the program and all its operations have to say of how things stand, of one bot or of all."""

    def delivery(self) -> Delivery:
        """Return how delivery stands."""

    async def run(self, *argv: str, timeout: float = 30.0) -> Completed:  # noqa: ASYNC109  # a deadline that ends the tree
        """Run a program to its end, with nothing to read; at the deadline end it and all that it started.

        A handler of lines, events or transitions that a crash has interrupted is called again for the same; what it ran
        then is not run again: it gets what it got, or an `OperationError` where that is not known.

        Raises:
            HostError: it cannot be started.
            TimeoutError: it was ended at the deadline.
        """

    def now(self) -> datetime:
        """Return the time, aware UTC."""

    def monotonic(self) -> float:
        """Return a clock in seconds that never steps."""

    async def sleep(self, seconds: float, /) -> None:
        """Wait, by the same clock."""

    def wake_at(self, monotonic: float, /) -> None:
        """Ask for one call of `on_tick` once `monotonic` has come; the earliest asked for wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A command as it reaches its handler.

    `arguments` are the words behind the name; `text` is all of it as typed. `watch` is the bot the command is about,
    None for a command that is about none.
    """

    message: Message
    name: str
    arguments: tuple[str, ...] = ()
    text: str = ""
    watch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command's handler may return for the audit: the exit code of what it ran."""

    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A chat command of an operation.

    `usage` shows the arguments (`[BOT]`), `help` is one sentence. With `takes_watch` the first argument may name a bot;
    without one the command is about the only bot, else the list is shown. With `takes_arguments` it takes others
    besides, so that the last one may name the bot, or else the first. `timeout` in seconds ends it.

    `right` says who may run it, and `security` what has to be shown first; a configuration may add rules to it, and
    takes none away. `objection` says, for its user, what is wrong with an invocation, so that nothing is asked or run;
    None if nothing is. `effect` says in one sentence what this very invocation will do, where `help` says too little to
    confirm it by. `read_only` says that it changes nothing, so that it runs even while the audit cannot be written.

    A `control` command waits for nothing. Others run one at a time for each user, and behind the other handlers of
    their operation unless they are `concurrent`.
    """

    name: str
    handler: Callable[[Context, Invocation], Awaitable[Outcome | None]]
    help: str
    usage: str = ""
    takes_watch: bool = False
    takes_arguments: bool = False
    right: Right = Right.ADMIN
    security: frozenset[SecurityRule] = frozenset()
    objection: Callable[[Invocation], str | None] | None = None
    effect: Callable[[Invocation], str] | None = None
    read_only: bool = False
    control: bool = False
    concurrent: bool = False
    timeout: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what could never be typed."""
        if not _NAME.fullmatch(self.name):
            raise OperationError(
                f"bad command name {self.name!r}; expected lower-case letters, digits, '-' and '_', a letter first"
            )
        if not self.help:
            raise OperationError(f"command {self.name!r} has no help; expected one sentence")
        if not self.timeout > 0:
            raise OperationError(f"bad timeout {self.timeout!r} of command {self.name!r}; expected seconds above 0")
        if self.right is Right.ANYONE and self.security:
            raise OperationError(
                f"command {self.name!r} is for anyone and asks for {', '.join(sorted(self.security))}; expected a right"
                " that tells people apart"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationConfig:
    """What every operation is configured with.

    `watch` is the bot it is about; None means every bot. `admins` are who receives its messages, None the chat's
    admins. `language` is `en` or `zh`. Times of day are read and shown in `timezone`, None for the machine's.
    """

    name: str = ""
    watch: str | None = None
    admins: tuple[str, ...] | None = None
    language: str = "en"
    timezone: tzinfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What an operation reacts to; every handler is optional.

    `on_start` is called once, before anything else, and `on_stop` once behind everything else, for two seconds at most,
    when the program ends in order. `patterns` choose the lines of `on_batch` (RE2 syntax; all lines if empty).
    `on_message` gets every message that is no command, strangers' too. `contacts` names whom it sends to beside its
    admins. `signals` are texts that twins send each other: whoever sends one, it is no command and gets no answer.
    `status` returns rows for the `status` command about a bot. `process` is the process of the bot `config.watch`, for
    every operation about it to know.
    """

    name: str
    config: OperationConfig
    patterns: tuple[str, ...] = ()
    on_start: Callable[[Context], Awaitable[None]] | None = None
    on_stop: Callable[[Context], Awaitable[None]] | None = None
    on_batch: Callable[[Context, LogBatch], Awaitable[None]] | None = None
    on_event: Callable[[Context, Event], Awaitable[None]] | None = None
    on_transition: Callable[[Context, Transition], Awaitable[None]] | None = None
    on_message: Callable[[Context, Message], Awaitable[None]] | None = None
    on_tick: Callable[[Context], Awaitable[None]] | None = None
    commands: tuple[Command, ...] = ()
    contacts: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    status: Callable[[Context, str], tuple[str, ...]] | None = None
    process: ProcessSelector | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not _NAME.fullmatch(self.name):
            raise OperationError(
                f"bad operation name {self.name!r}; expected lower-case letters, digits, '-' and '_', a letter first"
            )
        if "." in self.config.name:
            raise OperationError(
                f"bad name {self.config.name!r} of operation {self.name!r}; expected one without a dot"
            )
        if self.patterns and self.on_batch is None:
            raise OperationError(f"operation {self.name!r} has patterns but no on_batch to receive their lines")
        if self.process is not None and self.config.watch is None:
            raise OperationError(
                f"operation {self.name!r} says which process is its bot's, but not which bot; expected a watch"
            )
        names = [command.name for command in self.commands]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise OperationError(f"operation {self.name!r} has command {twice[0]!r} twice")
