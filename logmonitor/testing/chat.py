"""A whole program in a chat in memory, with the people in it: what an author sees here is what an admin will see."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

from logmonitor.command import RESERVED
from logmonitor.grant import DIRECT, EVERYWHERE, Grant
from logmonitor.sealing import load_seal, make_key_file
from logmonitor.store import Store
from logmonitor.testing.authenticator import Authenticator, enrol
from logmonitor.testing.clock import FakeClock
from logmonitor.testing.denial import check_denied
from logmonitor.testing.judge import Judge
from logmonitor.testing.log_fence import LogFence
from logmonitor.testing.log_writer import LogWriter
from logmonitor.testing.participant import Room, User
from logmonitor.testing.program import Program
from logmonitor.testing.quiet import Quiet
from logmonitor.testing.second_channel import MemorySecondChannel
from logmonitor.testing.setting import AUDIT, KEY_FILE, Setting, room_id
from logmonitor.testing.transcript import Transcript
from logmonitor.testing.transport import MemoryTransport
from logmonitor.watcher import SETTLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from datetime import datetime

    from logmonitor.machine import Host
    from logmonitor.operation import Operation, SecurityRule
    from logmonitor.transport import Limits

DEADLINE: Final = 10.0
"""How many seconds of real time anything may take that real time decides: logs, threads, processes."""


@asynccontextmanager
async def chat(
    *operations: Operation,
    admins: Sequence[str] = ("Ann",),
    users: Sequence[str] = (),
    rooms: Mapping[str, Sequence[str]] | None = None,
    command_rooms: Sequence[str] = (),
    watches: Sequence[str] = (),
    log_of: Mapping[str, LogWriter] | None = None,
    profile: str = "auto",
    rules: Mapping[str, Iterable[SecurityRule]] | None = None,
    second_channels: Sequence[str] = (),
    language: str = "en",
    limits: Limits | None = None,
    max_age: float = 60.0,
    clock: FakeClock | None = None,
    host: Host | None = None,
    folder: Path | None = None,
    strict: bool = True,
    deadline: float = DEADLINE,
) -> AsyncIterator[Chat]:
    """Run the program with `operations` in a chat with `admins`, other `users`, and `rooms` by their members.

    The bot is heard in `command_rooms`. It follows a log for each of `watches`: that of `log_of`, or one of its own.
    `rules` and `second_channels` (names of who has one) are what a configuration would say. What lasts is kept in
    `folder`, to be found again by the next chat there, or not at all. At the end, everything that the bot has said has
    to have been expected by an assertion, unless this is not `strict`.

    Raises:
        AssertionError: something was said, at the end, that no assertion has expected.
        ValueError: somebody or a room is named that is not there.
        OperationError: the operations cannot be put together.
    """
    setting = Setting(
        operations=operations,
        admins=tuple(admins),
        users=tuple(users),
        rooms={name: tuple(members) for name, members in (rooms or {}).items()},
        command_rooms=tuple(command_rooms),
        watches=tuple(dict.fromkeys((*watches, *(log_of or {})))),
        profile=profile,
        rules={name: frozenset(wanted) for name, wanted in (rules or {}).items()},
        second_channels=tuple(second_channels),
        language=language,
        limits=limits,
        max_age=max_age,
    )
    async with AsyncExitStack() as stack:
        place = folder or Path(stack.enter_context(TemporaryDirectory()))
        writers = {name: (log_of or {}).get(name) or LogWriter(place / f"{name}.log") for name in setting.watches}
        for name in set(writers).difference(log_of or {}):
            stack.enter_context(writers[name])
        here = Chat(setting, clock=clock or FakeClock(), host=host, folder=place, logs=writers, deadline=deadline)
        await stack.enter_async_context(here)
        yield here
        if strict:
            await here.should_say_nothing_more()


class Chat:
    """A chat at work; made by `chat`.

    `transport` has the faults that a chat can have, `transcript` everything that was said, `clock` the time, which
    `move_on` lets pass; `second_channel` is what went past the chat.
    """

    def __init__(
        self,
        setting: Setting,
        *,
        clock: FakeClock,
        host: Host | None,
        folder: Path,
        logs: Mapping[str, LogWriter],
        deadline: float,
    ) -> None:
        """Put the parts together; entering it starts the program."""
        self.clock = clock
        self.transcript = Transcript()
        people = setting.people
        self.transcript.know(people)
        for name, members in setting.rooms.items():
            self.transcript.know_room(room_id(name), name=name, members=members)
        self.transport = MemoryTransport(
            *people.values(),
            limits=setting.limits,
            clock=clock,
            transcript=self.transcript,
            prefix=secrets.token_hex(4),
        )
        self.second_channel = MemorySecondChannel(
            *setting.second_channels,
            on_sent=lambda name, text: self.remark(f"bot → {name}, over the second channel: {text}"),
        )
        self.language = setting.language
        self._setting = setting
        self._key_file, self._audit = folder / KEY_FILE, folder / AUDIT
        config = setting.config(folder, {name: writer.path for name, writer in logs.items()})
        self._logs = dict(logs)
        self._store = Store(config.bot.store)
        self._fence = LogFence(logs)
        self._quiet = Quiet(clock, self.transport)
        self._deadline = deadline
        self._program = Program(
            config,
            operations=setting.operations,
            transport=self.transport,
            channel=self.second_channel,
            clock=clock,
            host=host,
            fence=self._fence,
            quiet=self._quiet,
        )
        self.judge = Judge(self.transcript, self._quiet, settle=self._program.settle, deadline=deadline)
        self.commands = tuple(command.name for operation in setting.operations for command in operation.commands)
        self.own_commands = RESERVED

    async def __aenter__(self) -> Self:
        """Begin, and let the program come to rest."""
        try:
            if not self._key_file.exists():
                make_key_file(self._key_file)
            for writer in self._logs.values():
                writer.path.parent.mkdir(parents=True, exist_ok=True)
                writer.path.touch()
            self._program.begin()
            await self.settle()
            if self._logs:
                await self.clock.move_on(SETTLE_SECONDS, settle=self.settle)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End the program."""
        await self._end()

    async def _end(self) -> None:
        with self._store:
            is_over = await self._program.end(deadline=self._deadline)
        if not is_over:
            raise self.judge.failure(f"the program does not end within {self._deadline:g} s of real time")

    # Who and what is here

    def user(self, name: str) -> User:
        """Return who is called so.

        Raises:
            ValueError: nobody is.
        """
        people = self._setting.people
        if name not in people:
            raise ValueError(f"nobody is called {name!r}; expected one of {', '.join(map(repr, people))}")
        return User(self, name, people[name].id)

    def room(self, name: str) -> Room:
        """Return the room of that name.

        Raises:
            ValueError: there is none.
        """
        rooms = self._setting.rooms
        if name not in rooms:
            raise ValueError(f"no room is called {name!r}; expected one of {', '.join(map(repr, rooms)) or 'none'}")
        return Room(self, name, room_id(name), rooms[name])

    def log(self, watch: str) -> LogWriter:
        """Return the log of a bot that is watched, to be written to.

        Raises:
            ValueError: no such bot is.
        """
        if watch not in self._logs:
            raise ValueError(
                f"no bot {watch!r} is watched; expected one of {', '.join(map(repr, self._logs)) or 'none'}"
            )
        return self._logs[watch]

    @property
    def ran(self) -> frozenset[str]:
        """The ids of the messages that have had a command of an operation run."""
        return frozenset(id_ for _, id_ in self._quiet.ran)

    @property
    def audit(self) -> tuple[Mapping[str, object], ...]:
        """What was put on record, oldest first, each as the fields of its line."""
        lines = self._audit.read_bytes().splitlines() if self._audit.exists() else ()
        return tuple(map(json.loads, lines))

    # Rights and codes

    def grant(
        self, user: User, right: str, *, room: str | None = None, until: datetime | None = None, is_denial: bool = False
    ) -> Grant:
        """Grant somebody `operation.command`, either of which may be a pattern, as an admin does; return the grant.

        It holds in the `room` of that name, with `direct` in direct messages, or with `*` everywhere. Without a room a
        grant is for direct messages, a denial for everywhere.

        Raises:
            ValueError: `right` has no dot, or there is no such room.
        """
        operation, dot, command = right.rpartition(".")
        if not dot:
            raise ValueError(f"bad right {right!r}; expected operation.command")
        room = room or (EVERYWHERE if is_denial else DIRECT)
        place = room if room in {DIRECT, EVERYWHERE} else self.room(room).id
        grant = self._store.add_grant(
            Grant(
                user=user.id,
                operation=operation,
                command=command,
                room=place,
                until=until,
                is_denial=is_denial,
                by="logmonitor.testing",
                at=self.clock.now(),
            )
        )
        end = "" if until is None else f" until {until.isoformat()}"
        self.remark(f"{user.name} is {'denied' if is_denial else 'granted'} {right} ({room or 'direct'}){end}")
        return grant

    def deny(self, user: User, right: str, *, room: str | None = None, until: datetime | None = None) -> Grant:
        """Deny somebody what `grant` would grant; a denial wins."""
        return self.grant(user, right, room=room, until=until, is_denial=True)

    def revoke(self, grant: Grant) -> None:
        """Take back a grant or a denial."""
        self._store.remove_grant(grant.id)
        self.remark(f"grant {grant.id} of {self.transcript.name_of(grant.user)} is revoked")

    def enrol(self, user: User) -> Authenticator:
        """Give somebody an authenticator, whose codes are those of the fake time."""
        authenticator = enrol(user.id, self._store, load_seal(key=None, key_file=self._key_file), self.clock)
        self.remark(f"{user.name} is enrolled")
        return authenticator

    # What happens

    async def settle(self, *, deadline: float | None = None) -> None:
        """Let everything happen that can happen now: without more input, and without time passing.

        Raises:
            AssertionError: it goes on and on, or a log is not read, for `deadline` seconds of real time.
        """
        __tracebackhide__ = True
        seconds = self._deadline if deadline is None else deadline
        try:
            async with asyncio.timeout(seconds):
                await self._program.settle()
        except TimeoutError:
            lines = ", ".join(f"{count} lines of {watch}" for watch, count in self._fence.unread.items())
            problem = f"were not read: {lines}" if lines else "does not come to rest"
            raise self.judge.failure(f"within {seconds:g} s of real time {problem}") from None

    async def move_on(self, seconds: float) -> None:
        """Let time pass, from one who waits for it to the next, and everything happen that then happens."""
        self.remark(f"{seconds:g} s pass")
        await self.clock.move_on(seconds, settle=self.settle)

    async def should_say_nothing_more(self) -> None:
        """Expect that the bot has said nothing that no assertion has expected of anybody.

        Raises:
            AssertionError: it has.
        """
        __tracebackhide__ = True
        await self.judge.expect_no_more()

    def ignore_so_far(self) -> None:
        """Take all that was said until now as expected."""
        self.judge.ignore_so_far()

    def remark(self, text: str) -> None:
        """Have the transcript tell something."""
        self.transcript.remark(text, at=self.clock.now())

    async def check_denied(self, user: User, text: str, *, room: str | None) -> None:
        """Do what `User.should_be_denied` promises."""
        __tracebackhide__ = True
        await check_denied(self, user, text, room=room)

    @asynccontextmanager
    async def without(self, command: str) -> AsyncIterator[Chat]:
        """Begin another chat, the same but for a command that it lacks, in which operations hear and do nothing."""
        with TemporaryDirectory() as folder:
            place = Path(folder)
            logs = {name: LogWriter(place / f"{name}.log") for name in self._setting.watches}
            other = Chat(
                self._setting.without(command),
                clock=FakeClock(self.clock.now()),
                host=None,
                folder=place,
                logs=logs,
                deadline=self._deadline,
            )
            async with other:
                for grant in self._store.grants():
                    other._store.add_grant(grant)
                yield other
