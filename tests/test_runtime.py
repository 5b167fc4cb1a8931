"""Everything at work: real logs, real followers, a chat in memory."""

from __future__ import annotations

import asyncio
import io
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
import zxingcpp
from PIL import Image

from logmonitor import (
    Attachment,
    Content,
    Context,
    Event,
    EventKind,
    Health,
    LogBatch,
    Operation,
    OperationConfig,
    OperationError,
    ProfileError,
    Qr,
    Receipt,
    Sender,
    TransportError,
    runtime,
    watch,
    watcher,
)
from logmonitor.config import BotConfig, ChatConfig, Config, RescueConfig, WatchConfig
from logmonitor.runtime import serve
from logmonitor.testing import LogWriter, MemoryTransport
from operations.qr_rescue import qr_rescue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WRAPPED = "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{name}%3D%3D"
URL = "https://login.weixin.qq.com/l/{name}=="
DATA = Path(__file__).parent / "data"


def scan_line(name: str, *, at: str = "22:44:35") -> str:
    """Return a scan line as a wechaty-ts bot writes it."""
    return f"{at} INFO StarterBot onScan: Waiting(2) - {WRAPPED.format(name=name)}"


LOGIN = "22:44:35 INFO StarterBot Contact<Bob> login"
LOGOUT = "22:44:35 INFO StarterBot Contact<Bob> logout"


def configuration(folder: Path, *, profile: str = "wechaty-ts", watches: tuple[str, ...] = ("bob",)) -> Config:
    """Make a configuration whose logs are in `folder`."""
    return Config(
        path=folder / "alice.toml",
        bot=BotConfig(name="alice", self_log=folder / "alice.log"),
        chat=ChatConfig(transport="memory", admins=("AdminWeixin",)),
        watches=tuple(WatchConfig(name=name, logs=(str(folder / f"{name}.log"),), profile=profile) for name in watches),
    )


@asynccontextmanager
async def serving(
    config: Config, *operations: Operation, transport: MemoryTransport | None = None
) -> AsyncIterator[MemoryTransport]:
    """Serve while the test runs."""
    chat = transport or MemoryTransport()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(config, transport=chat, operations=operations, stop=stop))
        try:
            yield chat
        finally:
            stop.set()


def rescue(*, login_test: str = "") -> Operation:
    """Make the rescue of Bob."""
    return qr_rescue(OperationConfig(watch="bob"), login_test=login_test)


def shown(content: Content) -> str:
    """Return a text, or what a phone reads from a QR."""
    if not isinstance(content, Attachment):
        return str(content)
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(content.data)))
    return code.text


async def ready(chat: MemoryTransport) -> None:
    """Wait until the admin is answered, and with that known."""
    async with asyncio.timeout(10):
        while not chat.sent:
            chat.receive("help")
            await asyncio.wait_for(chat.wait_for(1), 5)
    chat.sent.clear()


async def test_lost_session_brings_a_qr_and_a_return_the_login_test(tmp_path: Path) -> None:
    """A scan line brings the admin a sentence and a QR that decodes to its payload; a login line the login test."""
    with LogWriter(tmp_path / "bob.log") as log:
        log.write(LOGIN)
        async with serving(configuration(tmp_path), rescue(login_test="您好世界")) as chat:
            await ready(chat)
            log.write(scan_line("Abc123"))
            sent = await chat.wait_for(2)
            assert [(to, shown(content)) for to, content in sent] == [
                ("admin-id", "bob has lost its session and asks for a scan"),
                ("admin-id", URL.format(name="Abc123")),
            ]
            chat.receive("QR bob")
            await chat.wait_for(3)
            log.write(LOGIN)
            sent = await chat.wait_for(5)
            assert [shown(content) for _, content in sent[2:]] == [
                URL.format(name="Abc123"),
                "bob is logged in again",
                "您好世界",
            ]


async def test_loss_that_stands_at_the_start_is_announced(tmp_path: Path) -> None:
    """What the log's end shows when serving begins is told once, and nothing of what is over."""
    with LogWriter(tmp_path / "bob.log") as log:
        log.write(scan_line("Old"), LOGIN, LOGOUT, scan_line("Abc123"))
        async with serving(configuration(tmp_path), rescue()) as chat:
            sent = await chat.wait_for(2)
            assert [shown(content) for _, content in sent] == [
                "bob has lost its session and asks for a scan",
                URL.format(name="Abc123"),
            ]


async def test_session_that_stands_well_at_the_start_is_not_mentioned(tmp_path: Path) -> None:
    """A loss that is over when serving begins is past: `status` knows the session, and nobody is disturbed."""
    with LogWriter(tmp_path / "bob.log") as log:
        log.write(scan_line("Old"), LOGIN)
        async with serving(configuration(tmp_path), rescue()) as chat:
            await ready(chat)
            async with asyncio.timeout(10):
                while True:
                    chat.receive("status")
                    sent = await chat.wait_for(len(chat.sent) + 1)
                    if "logged in as Bob" in str(sent[-1][1]):
                        break
            assert str(sent[-1][1]).splitlines()[:3] == ["bob: logged in as Bob", "  QR rescue is on", "chat: up"]
            assert not any(isinstance(content, Attachment) for _, content in chat.sent)


@pytest.mark.parametrize(
    ("sample", "family"),
    [("wechaty-ts.real.log", "wechaty-ts"), ("python-wechaty.real.log", "python-wechaty")],
)
async def test_family_is_chosen_by_the_log(
    tmp_path: Path, sample: str, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With `auto` a log that is created later chooses its family by its lines, and the log record says which."""
    caplog.set_level(logging.INFO)
    text = (DATA / sample).read_text(encoding="utf-8")
    async with serving(configuration(tmp_path, profile="auto"), rescue()) as chat:
        await ready(chat)
        with LogWriter(tmp_path / "bob.log") as log:
            log.write(text, end="")
            sent = await chat.wait_for(1)
    assert shown(sent[0][1]) == "bob has lost its session and asks for a scan"
    assert f"bob: the log is of the family {family}" in caplog.messages


async def test_batches_hold_the_lines_asked_for_that_are_new(tmp_path: Path) -> None:
    """An operation's patterns choose its lines; what stood in the log before is not handed out."""
    got: list[str] = []
    done = asyncio.Event()

    async def on_batch(_context: Context, batch: LogBatch) -> None:
        got.extend(line.text for line in batch.lines)
        if "last ERROR" in got:
            done.set()

    operation = Operation(name="errors", config=OperationConfig(), patterns=("ERROR",), on_batch=on_batch)
    with LogWriter(tmp_path / "bob.log") as log:
        log.write("old ERROR", "old")
        async with serving(configuration(tmp_path), operation) as chat:
            await ready(chat)
            log.write("new", "new ERROR", "more", "last ERROR")
            async with asyncio.timeout(10):
                await done.wait()
    assert got == ["new ERROR", "last ERROR"]


async def test_every_event_and_line_reaches_an_operation_without_patterns(tmp_path: Path) -> None:
    """Without patterns all lines come; `on_event` gets trusted and untrusted events alike."""
    lines: list[str] = []
    events: list[tuple[EventKind, bool]] = []
    done = asyncio.Event()

    async def on_batch(_context: Context, batch: LogBatch) -> None:
        lines.extend(line.text for line in batch.lines)

    async def on_event(_context: Context, event: Event) -> None:
        events.append((event.kind, event.trusted))
        if event.kind is EventKind.LOGOUT:
            done.set()

    operation = Operation(name="all", config=OperationConfig(), on_batch=on_batch, on_event=on_event)
    forged = "22:44:35 INFO StarterBot Message#Text[🗣Contact<Eve>]\thi\n" + LOGIN
    with LogWriter(tmp_path / "bob.log") as log:
        async with serving(configuration(tmp_path), operation) as chat:
            await ready(chat)
            log.write(forged)
            log.write(LOGOUT + " " * 70)
            async with asyncio.timeout(10):
                await done.wait()
    assert events == [(EventKind.TRAFFIC, True), (EventKind.LOGIN, False), (EventKind.LOGOUT, True)]
    assert lines[1:] == [LOGIN, LOGOUT + " " * 70]


async def test_what_is_sent_at_the_end_is_delivered(tmp_path: Path) -> None:
    """Messages that wait when serving ends are given time to go."""

    async def on_batch(context: Context, batch: LogBatch) -> None:
        await context.send(batch.lines[0].text)
        stopped.set()

    stopped = asyncio.Event()
    operation = Operation(name="echo", config=OperationConfig(), on_batch=on_batch)
    chat = SlowTransport()
    with LogWriter(tmp_path / "bob.log") as log:
        async with serving(configuration(tmp_path), operation, transport=chat):
            await chat.resolved.wait()
            log.write("the last line")
            async with asyncio.timeout(10):
                await stopped.wait()
    assert [content for _, content in chat.sent] == ["the last line"]


class SlowTransport(MemoryTransport):
    """A chat that takes its time."""

    def __init__(self) -> None:
        """Know when the admin was looked up."""
        super().__init__()
        self.resolved = asyncio.Event()

    async def resolve(self, who: str, /) -> Sender:
        """Say that it was asked."""
        self.resolved.set()
        return await super().resolve(who)

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Let others go first."""
        for _ in range(100):
            await asyncio.sleep(0)
        return await super().send(to, content)


class SlowToKnow(MemoryTransport):
    """A chat that takes its time to say who somebody is."""

    def __init__(self) -> None:
        """Say nothing yet."""
        super().__init__()
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def resolve(self, who: str, /) -> Sender:
        """Wait for the test."""
        self.asked.set()
        await self.may_answer.wait()
        return await super().resolve(who)


async def test_command_waits_until_it_is_known_who_the_admins_are(tmp_path: Path) -> None:
    """What an admin writes before the first look-up has ended is obeyed after it, in order."""
    chat = SlowToKnow()
    async with serving(configuration(tmp_path), rescue(), transport=chat):
        chat.receive("status bob")
        chat.receive("status dave")
        await asyncio.wait_for(chat.asked.wait(), 10)
        assert chat.sent == []
        chat.may_answer.set()
        sent = await chat.wait_for(2)
    assert [str(content).splitlines()[0] for _, content in sent] == [
        "bob: not known yet",
        "there is no bot called dave; expected one of: bob",
    ]


async def test_command_does_not_wait_for_a_look_up_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Messages wait for the admins once, and only for so long; after that whoever is not known is a stranger."""
    monkeypatch.setattr(runtime, "HOLD_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    chat = SlowToKnow()
    async with serving(configuration(tmp_path), rescue(), transport=chat):
        chat.receive("too early")
        async with asyncio.timeout(10):
            while "is no command: stranger" not in caplog.text:  # noqa: ASYNC110 - a log record sets no event
                await asyncio.sleep(0)
        chat.may_answer.set()
        await ready(chat)
    assert caplog.text.count("the admins were not looked up within 0.01 s") == 1


class Account(MemoryTransport):
    """A chat that tells of its own account."""

    def __init__(self, *events: Event) -> None:
        """Tell these events."""
        super().__init__()
        self.events = events
        self.told = asyncio.Event()

    async def own_events(self) -> AsyncIterator[Event]:
        """Yield them, then wait."""
        for event in self.events:
            yield event
        self.told.set()
        await asyncio.Event().wait()


async def test_own_events_are_written_for_the_twin(tmp_path: Path) -> None:
    """What happens to this bot's own account stands in its log, as its twin expects it."""
    account = Account(
        Event(kind=EventKind.SCAN, line=0, offset=0, qr=Qr(payload=URL.format(name="Own"))),
        Event(kind=EventKind.LOGIN, line=0, offset=0, user="Alice"),
    )
    async with serving(configuration(tmp_path), transport=account):
        async with asyncio.timeout(10):
            await account.told.wait()
    lines = (tmp_path / "alice.log").read_text(encoding="utf-8").splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        f"INFO StarterBot onScan: Waiting(2) - {WRAPPED.format(name='Own')}",
        "INFO StarterBot Contact<Alice> login",
    ]


async def test_log_of_its_own_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A self log that is a folder is reported, and the chat goes on."""
    (tmp_path / "alice.log").mkdir()
    account = Account(Event(kind=EventKind.LOGIN, line=0, offset=0, user="Alice"))
    async with serving(configuration(tmp_path), transport=account) as chat:
        await ready(chat)
        async with asyncio.timeout(10):
            await account.told.wait()
    assert any("its twin does not see" in message for message in caplog.messages)


async def test_event_that_cannot_be_understood_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An account's event that no line can be made of is reported, and the next is written."""
    odd = Event(kind=EventKind.LOGOUT, line=0, offset=0, user=b"\xff")  # type: ignore[arg-type]  # a fault elsewhere
    account = Account(odd, Event(kind=EventKind.LOGIN, line=0, offset=0, user="Alice"))
    async with serving(configuration(tmp_path), transport=account) as chat:
        await ready(chat)
        async with asyncio.timeout(10):
            await account.told.wait()
    assert "what happened to the account was not understood" in caplog.messages
    assert "Contact<Alice> login" in (tmp_path / "alice.log").read_text(encoding="utf-8")


async def test_status_tells_of_bots_chat_and_operations(tmp_path: Path) -> None:
    """`status` has a row for each bot, what its operations add, and what is wrong; for one bot only that one."""
    for name in ("bob", "carol"):
        (tmp_path / f"{name}.log").touch()
    async with serving(configuration(tmp_path, watches=("bob", "carol")), rescue()) as chat:
        await ready(chat)
        chat.receive("status")
        chat.receive("status CAROL")
        chat.receive("status dave")
        sent = await chat.wait_for(3)
    assert [str(content).splitlines() for _, content in sent] == [
        [
            "bob: not known yet",
            "  QR rescue is on",
            "carol: not known yet",
            "chat: up",
            "messages: 1 sent in the last hour, 0 waiting",
        ],
        ["carol: not known yet"],
        ["there is no bot called dave; expected one of: bob, carol"],
    ]


async def test_operations_that_claim_one_command_are_refused(tmp_path: Path) -> None:
    """Two rescues of the same bot cannot be told apart by their commands."""
    second = qr_rescue(OperationConfig(name="again", watch="bob"))
    with pytest.raises(OperationError, match="both claim command 'qr'"):
        await serve(
            configuration(tmp_path), transport=MemoryTransport(), operations=(rescue(), second), stop=asyncio.Event()
        )


async def test_unknown_profile_is_refused(tmp_path: Path) -> None:
    """A family that there is no profile of is refused before anything starts."""
    with pytest.raises(ProfileError, match=r"unknown profile 'wechaty'; did you mean 'wechaty-ts'\?"):
        await serve(
            configuration(tmp_path, profile="wechaty"),
            transport=MemoryTransport(),
            operations=(),
            stop=asyncio.Event(),
        )


class Unreachable(MemoryTransport):
    """A chat that cannot be entered."""

    async def __aenter__(self) -> Self:
        """Wait for an answer that never comes."""
        await asyncio.Event().wait()
        return self


class Ended(MemoryTransport):
    """A chat that is over once its messages are."""

    def health(self) -> Health:
        """Be down."""
        return Health(is_up=False, reason="the peer has closed it")


class Unwell(MemoryTransport):
    """A chat whose own code fails over how it is."""

    def health(self) -> Health:
        """Fail."""
        raise AttributeError("no such thing")


async def test_rescuer_outlives_a_chat_that_fails_over_how_it_is(tmp_path: Path) -> None:
    """What a chat's own code raises when it is asked how it is ends no rescue: the loss is told by it nevertheless."""
    config = replace(configuration(tmp_path), rescue=RescueConfig(lease=tmp_path / "lease.db", term=1.0))
    with LogWriter(tmp_path / "bob.log") as log:
        async with serving(config, rescue(), transport=Unwell()) as chat:
            await ready(chat)
            log.write(scan_line("Abc123"))
            await chat.wait_for(1)


async def test_serving_stops_while_the_chat_is_still_being_entered(tmp_path: Path) -> None:
    """Told to stop, it does not wait for a chat that does not answer."""
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(configuration(tmp_path), transport=Unreachable(), operations=(), stop=stop))
        await asyncio.sleep(0)
        stop.set()


async def test_serving_ends_with_a_chat_that_has_ended(tmp_path: Path) -> None:
    """A chat whose messages are over and that is down is not waited for."""
    transport = Ended()
    transport.close()
    async with asyncio.timeout(10):
        await serve(configuration(tmp_path), transport=transport, operations=(), stop=asyncio.Event())


async def test_lines_that_cannot_be_understood_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in the understanding of a log costs that piece of it and nothing else, and `status` says so."""

    def observe(*arguments: Any, **circumstances: Any) -> Any:  # noqa: ANN401  # handed on as they are
        if b"poison" in arguments[1].data:
            raise ArithmeticError("a defect of ours")
        return watch.observe(*arguments, **circumstances)

    monkeypatch.setattr(watcher, "observe", observe)
    with LogWriter(tmp_path / "bob.log") as log:
        async with serving(configuration(tmp_path), rescue()) as chat:
            await ready(chat)
            log.write("poison")
            async with asyncio.timeout(10):
                while "passing over what could not be understood" not in caplog.text:  # noqa: ASYNC110 - a log record sets no event
                    await asyncio.sleep(0)
            log.write("far from what was passed over" * 2000, scan_line("Abc123"))
            await chat.wait_for(2)
            chat.receive("status")
            sent = await chat.wait_for(3)
    assert shown(sent[1][1]) == URL.format(name="Abc123")
    assert "  1 pieces of its log could not be understood; the log of logmonitor tells more" in str(sent[2][1])


async def test_failure_that_time_brings_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in what is done when time asks for it ends nothing: the next loss is told."""
    calls = 0

    def tick(*_: Any, **__: Any) -> Any:  # noqa: ANN401  # it never returns
        nonlocal calls
        calls += 1
        raise ArithmeticError("a defect of ours")

    monkeypatch.setattr(watcher, "tick", tick)
    with LogWriter(tmp_path / "bob.log") as log:
        log.write(LOGIN)
        async with serving(configuration(tmp_path), rescue()) as chat:
            await ready(chat)
            async with asyncio.timeout(10):
                while not calls:  # noqa: ASYNC110 - a call sets no event
                    await asyncio.sleep(0)
            log.write("far from what was passed over" * 2000, scan_line("Abc123"))
            sent = await chat.wait_for(2)
    assert shown(sent[1][1]) == URL.format(name="Abc123")
    assert calls == 1


async def test_news_arrives_in_the_order_in_which_it_happened(tmp_path: Path) -> None:
    """After an outage of the chat the last thing that the admin reads is the last thing that happened."""
    with LogWriter(tmp_path / "bob.log") as log:
        log.write(LOGIN)
        async with serving(configuration(tmp_path), rescue(login_test="hello")) as chat:
            await ready(chat)
            chat.fail_next(TransportError("the chat is down"))
            log.write(LOGOUT)
            log.write(LOGIN)
            log.write(LOGOUT)
            sent = await chat.wait_for(4)
    assert [shown(content) for _, content in sent] == [
        "bob has been logged out; its login QR follows as soon as its log shows one",
        "bob is logged in again",
        "hello",
        "bob has been logged out; its login QR follows as soon as its log shows one",
    ]
