"""From a message to a command, and to nothing else."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from logmonitor import (
    Command,
    Context,
    Invocation,
    Message,
    Operation,
    OperationConfig,
    OperationError,
    Right,
    SecurityRule,
    Sender,
    Session,
)
from logmonitor.audit import Audit
from logmonitor.checkpoint import Checkpoint
from logmonitor.clock import SystemClock
from logmonitor.directory import Directory
from logmonitor.dispatcher import Dispatcher, Safeguards
from logmonitor.host import LocalHost
from logmonitor.outbox import Outbox
from logmonitor.recorder import Recorder
from logmonitor.second_channel import AppriseChannel
from logmonitor.store import Store
from logmonitor.testing import ADMIN, MemoryTransport
from logmonitor.totp import Totp
from logmonitor.worker import Call, Worker, World
from tests.nothing_watched import NOTHING_WATCHED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

STRANGER = Sender(id="eve-id", name="AdminWeixin", alias="AdminWeixin")
KEEPER = Sender(id="keeper-id", weixin="Keeper")


@dataclass
class Stage:
    """A dispatcher with everything around it, and what the chat was sent."""

    transport: MemoryTransport
    dispatcher: Dispatcher
    workers: tuple[Worker, ...]
    read_along: list[str] = field(default_factory=list)

    async def say(self, text: str, *, sender: Sender = ADMIN, room: str | None = None, **changes: object) -> Message:
        """Let a message come in and take effect."""
        message = replace(self.transport.receive(text, sender=sender, room=room), **changes)  # type: ignore[arg-type]
        self.dispatcher.handle(message)
        return message

    async def replies(self, count: int) -> list[tuple[str, str]]:
        """Wait for `count` replies in all; return them."""
        return [(to, str(content)) for to, content in await self.transport.wait_for(count)]


def command(
    name: str,
    handler: Callable[[Context, Invocation], Awaitable[None]],
    *,
    control: bool = False,
    timeout: float = 60.0,
) -> Command:
    """Make a command about a bot."""
    return Command(
        name=name, handler=handler, help=f"{name} it", usage="[BOT]", takes_watch=True, control=control, timeout=timeout
    )


def status_command() -> Command:
    """Make the one command that a runtime brings along here."""

    async def tell(context: Context, invocation: Invocation) -> None:
        await context.send(f"status of {next(iter(invocation.arguments), None)}")

    return Command(name="status", handler=tell, help="tell how it is", usage="[BOT]", right=Right.GRANT, control=True)


@asynccontextmanager
async def stage(
    *operations: Operation, watches: tuple[str, ...] = ("bob",), rooms: tuple[str, ...] = ()
) -> AsyncIterator[Stage]:
    """Run workers, outbox and dispatcher over a chat in memory."""
    transport = MemoryTransport(ADMIN, KEEPER)
    directory = Directory(transport, ["AdminWeixin", "Keeper"])
    await directory.look_up()
    outbox = Outbox(directory)
    sessions = {watch: Session(watch=watch) for watch in watches}
    clock, store = SystemClock(), Store()
    world = World(
        outbox=outbox,
        directory=directory,
        sessions=sessions,
        host=LocalHost(),
        admins=("AdminWeixin",),
        store=store,
        checkpoint=Checkpoint(store, outbox, now=clock.now),
        clock=clock,
        watching=NOTHING_WATCHED,
    )
    workers = tuple(Worker(operation, world) for operation in operations)
    tasks: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:

        def start(work: Coroutine[object, object, None]) -> asyncio.Task[None]:
            task = group.create_task(work)
            tasks.add(task)
            return task

        dispatcher = Dispatcher(
            workers,
            world,
            Safeguards(
                totp=Totp(store, None, now=clock.now),
                channel=AppriseChannel({}),
                recorder=Recorder(Audit(None, anchor=store.view("audit")), clock),
                rooms=rooms,
            ),
            start=start,
            commands=(status_command(),),
            language="en",
        )
        start(outbox.run())
        for worker in workers:
            start(worker.run())
        yield Stage(transport=transport, dispatcher=dispatcher, workers=workers)
        for task in tasks:
            task.cancel()


async def greet(context: Context, invocation: Invocation) -> None:
    """Answer with what was asked."""
    await context.send(f"hello {invocation.watch} {' '.join(invocation.arguments)}".strip())


def greeter(**config: object) -> Operation:
    """Make an operation with one command."""
    return Operation(name="greeter", config=OperationConfig(**config), commands=(command("greet", greet),))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["greet", "GREET", " /greet bob ", "ｇｒｅｅｔ ＢＯＢ", "Greet"])
async def test_command_of_an_admin_is_answered_where_it_was_sent(text: str) -> None:
    """However a phone writes it, the command runs and its reply goes to the conversation it came from."""
    async with stage(greeter()) as here:
        await here.say(text)
        assert await here.replies(1) == [("admin-id", "hello bob")]


@pytest.mark.parametrize(
    ("sender", "room", "changes", "reason"),
    [
        (STRANGER, None, {}, "stranger"),
        (ADMIN, "room-id", {}, "room"),
        (ADMIN, None, {"from_self": True}, "from_self"),
    ],
)
async def test_message_of_nobody_entitled_gets_silence_and_a_log_record(
    sender: Sender, room: str | None, changes: dict[str, object], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stranger with an admin's name, a room and the bot itself are not answered; the log says so without the text."""
    async with stage(greeter()) as here:
        with caplog.at_level(logging.INFO):
            await here.say("greet secret", sender=sender, room=room, **changes)
            await here.say("greet bob last")
        assert await here.replies(1) == [("admin-id", "hello bob last")]
    assert any(record.message.endswith(f"is no command: {reason}") for record in caplog.records)
    assert "secret" not in caplog.text


async def test_busy_room_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The first message of each kind in each conversation stands in the log, the others only among its details."""
    async with stage() as here:
        with caplog.at_level(logging.DEBUG, logger="logmonitor.dispatcher"):
            for number in range(3):
                await here.say(f"talk {number}", sender=STRANGER, room="busy-id")
                await here.say(f"talk {number}", sender=STRANGER, room="other-id")
                await here.say(f"talk {number}", sender=STRANGER)
    records = [(record.levelname, record.message) for record in caplog.records if "is no command" in record.message]
    assert [text for level, text in records if level == "INFO"] == [
        "message from 'eve-id' in 'busy-id' is no command: room",
        "message from 'eve-id' in 'other-id' is no command: room",
        "message from 'eve-id' in 'eve-id' is no command: stranger",
    ]
    assert len(records) == 9


async def test_log_of_many_strangers_takes_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond a thousand conversations the oldest is forgotten, and logged again when it comes back."""
    async with stage() as here:
        with caplog.at_level(logging.INFO, logger="logmonitor.dispatcher"):
            for number in (*range(1001), 0, 1000):
                await here.say("x", sender=Sender(id=f"eve-{number}"))
    assert [record.message for record in caplog.records][1000:] == [
        "message from 'eve-1000' in 'eve-1000' is no command: stranger",
        "message from 'eve-0' in 'eve-0' is no command: stranger",
    ]


async def test_command_in_a_configured_room_is_answered_there() -> None:
    """An admin is heard in a room that is named; a stranger there is not, nor an admin in another room."""
    async with stage(greeter(), rooms=("ops@chatroom",)) as here:
        await here.say("greet", sender=STRANGER, room="ops@chatroom")
        await here.say("greet", room="other@chatroom")
        await here.say("greet", room="ops@chatroom")
        assert await here.replies(1) == [("ops@chatroom", "hello bob")]


async def test_talk_in_a_configured_room_is_left_to_the_people_there(caplog: pytest.LogCaptureFixture) -> None:
    """What an admin says in a room and is no command gets no answer, young or old; what is nearly one does."""
    heard: list[str] = []

    async def on_message(_context: Context, message: Message) -> None:
        heard.append(message.text)

    reader = Operation(name="reader", config=OperationConfig(), on_message=on_message)
    async with stage(greeter(), reader, watches=("bob", "carol"), rooms=("ops@chatroom",)) as here:
        with caplog.at_level(logging.INFO, logger="logmonitor.dispatcher"):
            message = await here.say("the bot is down again", room="ops@chatroom")
            here.dispatcher.handle(replace(message, id="old", sent_at=message.sent_at - timedelta(minutes=5)))
            await here.say("\u200b", room="ops@chatroom")
        await here.say("greet", room="ops@chatroom")
        assert await here.replies(1) == [("ops@chatroom", "which bot? Say greet and one of: bob, carol")]
    assert [record.message for record in caplog.records] == [
        "message from 'admin-id' in 'ops@chatroom' is no command: talk"
    ]
    assert heard == ["the bot is down again", "the bot is down again", "\u200b"]


async def test_stale_commands_are_not_refused_for_ever() -> None:
    """A twin whose messages all come late is told so five times and then no more."""
    async with stage(greeter()) as here:
        for number in range(20):
            message = here.transport.receive("greet")
            here.dispatcher.handle(replace(message, id=f"{number}", sent_at=message.sent_at - timedelta(minutes=5)))
        await here.say("greet")
        replies = [text for _, text in await here.replies(6)]
    assert replies[5:] == ["hello bob"]


@pytest.mark.parametrize("text", ["ding", " DONG\n", "ping", "Pong", "您好世界", " Hello World "])
@pytest.mark.parametrize("sender", [ADMIN, STRANGER])
async def test_signal_is_no_command_and_gets_no_answer(
    sender: Sender, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What twins tell each other is heard by who reads along, logged, and answered to nobody."""
    heard: list[str] = []

    async def on_message(_context: Context, message: Message) -> None:
        heard.append(message.text)

    greeting = replace(greeter(), signals=("您好世界", "hello world"), on_message=on_message)
    async with stage(greeting) as here:
        with caplog.at_level(logging.INFO, logger="logmonitor.dispatcher"):
            message = await here.say(text, sender=sender)
            here.dispatcher.handle(replace(message, id="old", sent_at=message.sent_at - timedelta(minutes=5)))
        await here.say("greet")
        assert await here.replies(1) == [("admin-id", "hello bob")]
    assert heard == [text, text]
    assert caplog.messages[0] == f"message from {sender.id!r} in {sender.id!r} is no command: signal"


async def test_stale_command_is_refused_and_said_so() -> None:
    """An admin's command that was written long ago is not carried out, and the admin is told."""
    async with stage(greeter()) as here:
        message = here.transport.receive("greet")
        here.dispatcher.handle(replace(message, sent_at=message.sent_at - timedelta(minutes=5)))
        ((_, text),) = await here.replies(1)
        assert text == "that was written too long ago, nothing was done; send it again"


async def test_message_delivered_twice_runs_once() -> None:
    """A message id that came before is dropped."""
    async with stage(greeter()) as here:
        message = await here.say("greet")
        here.dispatcher.handle(message)
        await here.say("greet bob last")
        assert [text for _, text in await here.replies(2)] == ["hello bob", "hello bob last"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("gret", "gret is no command of yours; did you mean greet?"),
        ("xyzzy", "xyzzy is no command of yours; `help` lists them"),
        ("greet", "which bot? Say greet and one of: bob, carol"),
        ("greet dave", "there is no bot called dave; expected one of: bob, carol"),
        ("help gret", "gret is no command of yours; did you mean greet?"),
        ("help greet", "greet [BOT]\ngreet it\nFor admins only."),
        ("status carol", "status of carol"),
    ],
)
async def test_unclear_command_is_explained_and_runs_nothing(text: str, answer: str) -> None:
    """What is not clear is answered with what would be."""
    async with stage(greeter(), watches=("bob", "carol")) as here:
        await here.say(text)
        assert await here.replies(1) == [("admin-id", answer)]


async def test_help_lists_what_the_sender_may_run() -> None:
    """`help` names the runtime's commands and the operations'."""
    async with stage(greeter()) as here:
        await here.say("help")
        ((_, text),) = await here.replies(1)
        assert [row.split(":")[0] for row in text.splitlines()] == [
            "status [BOT]",
            "help [COMMAND]",
            "confirm ID",
            "jobs",
            "cancel [NUMBER]",
            "greet [BOT]",
        ]


async def test_admin_of_one_operation_runs_only_its_commands() -> None:
    """Who is an operation's admin and not the chat's runs that operation, and is told nothing of others."""
    mine = Operation(name="mine", config=OperationConfig(admins=("Keeper",)), commands=(command("keep", greet),))
    async with stage(greeter(), mine) as here:
        await here.say("keep", sender=KEEPER)
        await here.say("greet", sender=KEEPER)
        await here.say("help", sender=KEEPER)
        replies = [text for _, text in await here.replies(3)]
        assert "hello bob" in replies
        assert "greet is no command of yours; `help` lists them" in replies
        assert not any(row.startswith("greet") for row in replies[-1].splitlines()[1:])


async def test_control_command_does_not_wait_behind_a_slow_one() -> None:
    """While a command is stuck, a control command of the same operation answers."""
    stuck = asyncio.Event()

    async def wait(_context: Context, _invocation: Invocation) -> None:
        await stuck.wait()

    operation = Operation(
        name="slow",
        config=OperationConfig(),
        commands=(command("wait", wait), command("now", greet, control=True)),
    )
    async with stage(operation) as here:
        await here.say("wait")
        await here.say("now")
        assert await here.replies(1) == [("admin-id", "hello bob")]
        stuck.set()


async def test_failing_command_is_told_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An exception becomes one sentence for who asked, and the next command runs."""

    async def fail(_context: Context, _invocation: Invocation) -> None:
        raise ValueError("a secret")

    operation = Operation(
        name="broken", config=OperationConfig(), commands=(command("fail", fail), command("greet", greet))
    )
    async with stage(operation) as here:
        await here.say("fail")
        await here.say("greet")
        assert [text for _, text in await here.replies(2)] == [
            "fail of broken failed: ValueError; the log of logmonitor tells more",
            "hello bob",
        ]
    assert "fail of operation broken failed" in caplog.text


async def test_command_is_ended_at_its_deadline() -> None:
    """A command that takes longer than its timeout is ended, and who asked is told."""

    async def hang(_context: Context, _invocation: Invocation) -> None:
        await asyncio.Event().wait()

    operation = Operation(name="slow", config=OperationConfig(), commands=(command("hang", hang, timeout=0.01),))
    async with stage(operation) as here:
        await here.say("hang")
        assert await here.replies(1) == [("admin-id", "job 1 (hang bob) was ended after 0.01 s")]


async def test_message_that_is_no_command_reaches_who_reads_along() -> None:
    """An operation with `on_message` sees strangers' messages; the bot's own stay out."""
    heard: list[str] = []
    done = asyncio.Event()

    async def on_message(_context: Context, message: Message) -> None:
        heard.append(message.text)
        if message.text == "last":
            done.set()

    operation = Operation(name="reader", config=OperationConfig(), on_message=on_message)
    async with stage(operation) as here:
        await here.say("hello", sender=STRANGER)
        await here.say("mine", sender=STRANGER, from_self=True)
        await here.say("last", sender=STRANGER)
        async with asyncio.timeout(10):
            await done.wait()
    assert heard == ["hello", "last"]


async def test_worker_wakes_an_operation_at_the_time_it_asked_for() -> None:
    """`on_tick` runs once after `wake_at`, the earliest asked for, while nothing else happens."""
    woken = asyncio.Event()

    async def on_tick(context: Context) -> None:
        await context.send("awake")
        woken.set()

    async def doze(context: Context, _invocation: Invocation) -> None:
        context.wake_at(context.monotonic() + 3600)
        context.wake_at(context.monotonic() + 0.01)
        context.wake_at(context.monotonic() + 7200)

    operation = Operation(name="sleeper", config=OperationConfig(), on_tick=on_tick, commands=(command("doze", doze),))
    async with stage(operation) as here:
        await here.say("doze")
        async with asyncio.timeout(10):
            await woken.wait()
        assert await here.replies(1) == [("admin-id", "awake")]


async def test_context_knows_admins_sessions_and_slots() -> None:
    """Without `to` a call's messages go to the admins; a slot belongs to its operation; an unknown bot is an error."""
    async with stage(greeter(), watches=("bob", "carol")) as here:
        (worker,) = here.workers

        async def look(context: Context) -> None:
            await context.send(", ".join(admin.id for admin in context.admins), slot="a")
            context.withdraw("b")
            context.session("dave")

        await worker.handle(Call(about="look", handler=look))
        replies = await here.replies(2)
        assert {to for to, _ in replies} == {"admin-id"}
        assert [text for _, text in replies] == [
            "admin-id",
            (
                "look of greeter failed: no session of 'dave'; expected one of bob, carol;"
                " the log of logmonitor tells more"
            ),
        ]


async def test_what_is_not_understood_is_not_explained_for_ever() -> None:
    """Who never says anything else, such as a twin that does the same, is answered five times and then no more."""
    async with stage(greeter()) as here:
        for number in range(20):
            await here.say(f"xyzzy is no command of yours {number}")
        await here.say("greet")
        replies = [text for _, text in await here.replies(6)]
    assert replies[:4] == ["xyzzy is no command of yours; `help` lists them"] * 4
    assert replies[4].splitlines()[1] == "Mistakes get no more answers for 10 min; commands do."
    assert replies[5:] == ["hello bob"]


async def test_operation_that_is_behind_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """Messages beyond what an operation can queue are missed by it, and commands go on."""
    stuck = asyncio.Event()

    async def on_message(_context: Context, _message: Message) -> None:
        await stuck.wait()

    operation = Operation(name="reader", config=OperationConfig(), on_message=on_message)
    async with stage(operation, greeter()) as here:
        for _ in range(100):
            await here.say("hello", sender=STRANGER)
        await here.say("greet")
        assert await here.replies(1) == [("admin-id", "hello bob")]
        stuck.set()
    assert "operation reader is too far behind; it misses a message" in caplog.messages


async def test_message_of_invisible_characters_is_no_command() -> None:
    """What a phone shows as nothing gets nothing."""
    async with stage(greeter()) as here:
        await here.say("\u200b")
        await here.say("greet")
        assert await here.replies(1) == [("admin-id", "hello bob")]


async def test_stale_command_delivered_twice_is_refused_once() -> None:
    """A redelivery of what was refused is dropped."""
    async with stage(greeter()) as here:
        message = here.transport.receive("greet")
        old = replace(message, sent_at=message.sent_at - timedelta(minutes=5))
        here.dispatcher.handle(old)
        here.dispatcher.handle(old)
        await here.say("greet")
        replies = [text for _, text in await here.replies(2)]
    assert replies == ["that was written too long ago, nothing was done; send it again", "hello bob"]


async def test_command_for_an_operation_that_is_behind_is_refused_and_holds_nobody_up() -> None:
    """With the queue of an operation full, a further command of it is refused in a sentence; `status` is answered."""
    stuck = asyncio.Event()

    async def wait(_context: Context) -> None:
        await stuck.wait()

    async with stage(greeter()) as here:
        (worker,) = here.workers
        while worker.try_submit(Call(about="wait", handler=wait)):
            pass
        await here.say("greet")
        await here.say("status bob")
        replies = [text for _, text in await here.replies(2)]
        stuck.set()
    assert replies == ["greeter is too far behind; try again later", "status of bob"]


async def test_user_who_asks_for_too_much_is_told_and_holds_nobody_up() -> None:
    """Of more than eight commands at a time of one user the others are refused; what never waits is answered."""
    stuck = asyncio.Event()

    async def wait(_context: Context, _invocation: Invocation) -> None:
        await stuck.wait()

    operation = Operation(name="slow", config=OperationConfig(), commands=(command("wait", wait),))
    async with stage(operation) as here:
        for _ in range(10):
            await here.say("wait")
        await here.say("status bob")
        replies = [text for _, text in await here.replies(3)]
        stuck.set()
    assert replies == ["too many of your commands wait; `jobs` lists them"] * 2 + ["status of bob"]


async def test_command_that_is_understood_makes_mistakes_answered_again() -> None:
    """Who mistypes now and then, and does not go on with nothing else, is always told."""
    async with stage(greeter()) as here:
        for number in range(12):
            await here.say("xyzzy")
            await here.say("greet")
            assert len(await here.replies(2 * number + 2)) == 2 * number + 2


async def test_very_long_message_is_no_command(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody types is not even read."""
    async with stage(greeter()) as here:
        with caplog.at_level(logging.INFO, logger="logmonitor.dispatcher"):
            await here.say("greet " + "x" * 20_000)
            await here.say("greet")
        assert await here.replies(1) == [("admin-id", "hello bob")]
    assert caplog.messages[0].endswith("is no command: too_long")


async def test_mistake_in_a_commands_own_words_is_told_and_runs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An `effect` or `objection` that raises ends in a sentence; nothing waits, and nothing runs."""

    def fail(_invocation: Invocation) -> str:
        raise ValueError("a secret")

    for field_ in ("effect", "objection"):
        broken = replace(command("drop", greet), security=frozenset({SecurityRule.CONFIRM}), **{field_: fail})  # type: ignore[arg-type]
        async with stage(Operation(name="broken", config=OperationConfig(), commands=(broken,))) as here:
            await here.say("drop")
            assert await here.replies(1) == [
                ("admin-id", "nothing was done, by a mistake in the program; its log tells more")
            ]
    assert "a command was not understood" in caplog.messages


async def test_operation_cannot_take_the_programs_own_name() -> None:
    """An operation called as the runtime's own commands are would give its admins their rights."""
    with pytest.RaisesGroup(pytest.RaisesExc(OperationError, match="an operation has the name 'logmonitor'")):
        async with stage(Operation(name="logmonitor", config=OperationConfig())):
            pass  # pragma: no cover


@pytest.mark.parametrize("error", [SystemExit(2), asyncio.CancelledError()])
async def test_command_that_would_end_the_program_ends_itself(error: BaseException) -> None:
    """What parses arguments as a program does may raise SystemExit: it is told, and everything goes on."""

    def say(_invocation: Invocation) -> str:
        raise error

    async def exit_(_context: Context, _invocation: Invocation) -> None:
        raise SystemExit(2)

    confirmed = frozenset({SecurityRule.CONFIRM})
    broken = Operation(
        name="broken",
        config=OperationConfig(),
        commands=(
            replace(command("first", greet), objection=say),
            replace(command("second", greet), effect=say, security=confirmed),
            command("third", exit_),
            command("greet", greet),
        ),
    )
    async with stage(broken) as here:
        for count, name in enumerate(("first", "second", "third", "greet"), start=1):
            await here.say(name)
            await here.replies(count)
        replies = [text for _, text in await here.replies(4)]
    assert replies == [
        "nothing was done, by a mistake in the program; its log tells more",
        "nothing was done, by a mistake in the program; its log tells more",
        "third of broken failed: it tried to end the whole program; the log of logmonitor tells more",
        "hello bob",
    ]


async def test_same_id_in_another_conversation_is_another_message() -> None:
    """Where a chat counts messages for each conversation nobody's message takes the place of an admin's."""
    async with stage(greeter()) as here:
        message = await here.say("greet", id="7")
        here.dispatcher.handle(replace(message, conversation="elsewhere"))
        here.dispatcher.handle(message)
        await here.say("greet bob last")
        assert [text for _, text in await here.replies(3)] == ["hello bob", "hello bob", "hello bob last"]
