"""What becomes of the account that a bot itself sends by: it is rescued by other ways than itself."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor import EventKind, Health, MessageKey, OperationConfig, Priority, Qr, own_account
from logmonitor.clock import SystemClock
from logmonitor.config import FallbackConfig, RescueConfig, WatchConfig
from logmonitor.directory import Directory
from logmonitor.errors import StoreError
from logmonitor.escalating.assembly import make_escalation
from logmonitor.outbox import Outbox
from logmonitor.own_account import OwnAccount
from logmonitor.records import Attachment, Receipt
from logmonitor.sending.gate import Verdict
from logmonitor.signing import KEY_BYTES
from logmonitor.store import Store
from logmonitor.testing import MemoryTransport, event
from logmonitor.testing.key_value import MemoryKeyValue
from operations.qr_rescue import qr_rescue
from tests.mailbox import file_in, mailbox
from tests.test_runtime import configuration, ready, scan_line, serving, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from logmonitor.config import Config
    from logmonitor.records import Event
    from logmonitor.sending.gate import Gate
    from logmonitor.sending.letter import Letter

PAYLOAD: Final = "https://login.weixin.qq.com/l/{name}=="
KEY: Final = bytes(range(KEY_BYTES))
LOGIN: Final = event(EventKind.LOGIN, user="Alice")
LOGOUT: Final = event(EventKind.LOGOUT, user="Alice")


def scan(name: str) -> Event:
    """Return the event of a QR that is shown."""
    return event(EventKind.SCAN, qr=Qr(payload=PAYLOAD.format(name=name)))


class Account(MemoryTransport):
    """A chat that tells of its own account, which is logged out; `is_known` holds once all that was told was met."""

    def __init__(self) -> None:
        """Have nothing to tell."""
        super().__init__()
        self.is_up = self.is_broken = False
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._up = asyncio.Event()

    def tell(self, *events: Event) -> None:
        """Tell of the account."""
        for one in events:
            self._events.put_nowait(one)

    def come_up(self) -> None:
        """Be logged in, of which nothing is told yet."""
        self.is_up = True
        self._up.set()

    async def wait_until_met(self) -> None:
        """Wait until all that was told has taken effect."""
        async with asyncio.timeout(10):
            await self._events.join()

    async def own_events(self) -> AsyncIterator[Event]:
        """Yield what is told; once it is broken fail over the next."""
        while True:
            if self.is_broken:
                self.is_broken = False
                raise AttributeError("no such event")
            yield await self._events.get()
            self._events.task_done()

    def health(self) -> Health:
        """Tell whether the account is logged in, or fail over it."""
        if self.is_broken:
            raise AttributeError("no such account")
        return Health(is_up=self.is_up, reason="" if self.is_up else "the account is logged out")

    async def wait_until_up(self) -> None:
        """Wait until the account is logged in."""
        await self._up.wait()


def config_in(folder: Path, *, url: str = "json://127.0.0.1:9", after: float = 0.0) -> Config:
    """Return a configuration of Alice with a fallback."""
    return replace(configuration(folder), fallbacks=(FallbackConfig(name="web", url=url, after=after),))


class Bench:
    """Alice's account with its outbox."""

    def __init__(self, config: Config, *, store: Store | None = None, gate: Gate | None = None) -> None:
        """Run nothing yet."""
        self.chat = Account()
        directory = Directory(self.chat, config.chat.admins)
        self.account = OwnAccount(
            config,
            transport=self.chat,
            directory=directory,
            store=MemoryKeyValue() if store is None else store.view("own"),
            gate=gate,
            translate=str,
        )
        self.outbox = Outbox(
            directory, letters=None if store is None else store.letters, gate=self.account.gate, zone=None
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Meet what happens, and send."""
        async with asyncio.TaskGroup() as tasks:
            running = (
                tasks.create_task(self.account.run(self.outbox)),
                tasks.create_task(self.outbox.run()),
            )
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    async def met(self, *events: Event) -> tuple[Letter, ...]:
        """Return what waits once these events have taken effect."""
        self.chat.tell(*events)
        await self.chat.wait_until_met()
        return self.outbox.waiting()


def payloads(letters: tuple[Letter, ...]) -> list[str | None]:
    """Return what QRs say."""
    return [one.content.qr.payload for one in letters if isinstance(one.content, Attachment) and one.content.qr]


async def test_qr_of_the_own_account_waits_until_there_is_another_or_a_login(tmp_path: Path) -> None:
    """The newest alone waits, also while somebody scans it, for each admin, urgently, and not once it is of no use."""
    bench = Bench(config_in(tmp_path))
    async with bench.running():
        (letter,) = await bench.met(scan("One"))
        assert (letter.to, letter.priority) == ("AdminWeixin", Priority.QR)
        assert isinstance(letter.content, Attachment)
        assert "Login QR of alice" in letter.content.caption
        assert payloads(await bench.met(scan("Two"))) == [PAYLOAD.format(name="Two")]
        assert payloads(await bench.met(event(EventKind.SCANNED))) == [PAYLOAD.format(name="Two")]
        assert await bench.met(event(EventKind.EXPIRED)) == ()
        assert payloads(await bench.met(scan("Three"))) == [PAYLOAD.format(name="Three")]
        assert await bench.met(LOGIN) == ()
        assert await bench.met(LOGOUT) == ()


async def test_qr_is_shown_as_the_twin_reads_it(tmp_path: Path) -> None:
    """A link to a picture of the QR is the QR, and what says nothing is none."""
    bench = Bench(config_in(tmp_path))
    shown = event(EventKind.SCAN, qr=Qr(payload="https://wechaty.js.org/qrcode/https%3A%2F%2Fe.org%2Fl%2Fx"))
    async with bench.running():
        assert payloads(await bench.met(shown)) == ["https://e.org/l/x"]
        too_long = event(EventKind.SCAN, qr=Qr(payload="x" * 5000))
        assert payloads(await bench.met(too_long, event(EventKind.SCAN))) == []


async def test_qr_of_the_own_account_never_goes_by_the_account(tmp_path: Path) -> None:
    """A login is seen by the chat before it is told: nothing that it makes useless is sent meanwhile."""
    bench = Bench(config_in(tmp_path))
    async with bench.running():
        await bench.met(scan("One"))
        bench.chat.come_up()
        bench.outbox.put("AdminWeixin", "something else", priority=Priority.DIGEST)
        await bench.chat.wait_for(1)
        assert payloads(bench.outbox.waiting()) == []
        bench.chat.is_up = False
        assert payloads(bench.outbox.waiting()) == [PAYLOAD.format(name="One")]
        bench.chat.is_up = True
        await bench.met(LOGIN)
        assert [content for _, content in bench.chat.sent] == ["something else"]
        assert bench.outbox.delivery().waiting == 0


async def test_account_is_heard_again_of_a_chat_that_failed_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a chat's own code raises is logged with where it came from, and ends nothing."""
    monkeypatch.setattr(own_account, "RETRY_SECONDS", 0.0)
    bench = Bench(config_in(tmp_path))
    bench.chat.tell(scan("One"))
    bench.chat.is_broken = True
    task = asyncio.create_task(bench.account.run(bench.outbox))
    await bench.chat.wait_until_met()
    task.cancel()
    assert payloads(bench.outbox.waiting()) == [PAYLOAD.format(name="One")]
    assert [(one.levelname, one.exc_info is None) for one in caplog.records] == [("ERROR", False)]


async def test_qr_of_the_own_account_goes_past_a_chat_that_fails_to_say_how_it_is(tmp_path: Path) -> None:
    """A chat whose own code fails over the question is down, and a fallback is given the QR."""
    async with mailbox() as box:
        config = config_in(tmp_path, url=box.url)
        bench = Bench(config)
        async with bench.running():
            await bench.met(scan("One"))
        bench.chat.is_broken = True
        escalation = make_escalation(
            config,
            bench.outbox,
            operations=(),
            directory=Directory(bench.chat, config.chat.admins),
            transport=bench.chat,
            translate=str,
            clock=SystemClock(),
        )
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(escalation.run())
            await box.wait_for(1)
            running.cancel()
        image = Attachment(filename="qr.png", content_type="image/png", data=file_in(box.mails[0])[2])
        assert shown(image) == PAYLOAD.format(name="One")


async def test_nothing_waits_where_nobody_can_take_it(tmp_path: Path) -> None:
    """Without fallbacks nothing is put, nor where the account's own log is watched, which is a rescue of its own."""
    config = config_in(tmp_path)
    for one in (
        replace(config, fallbacks=()),
        replace(config, watches=(WatchConfig(name="alice", logs=(str(tmp_path / "alice.log"),)),)),
    ):
        bench = Bench(one)
        assert bench.account.gate is None
        async with bench.running():
            assert await bench.met(LOGOUT, scan("One")) == ()
            assert bench.outbox.delivery().waiting == 0


async def test_restart_begins_no_wait_anew_and_doubles_nothing(tmp_path: Path) -> None:
    """What the gateway repeats after a restart is the same message, as old as it was, and goes once."""
    config = config_in(tmp_path)
    with Store(tmp_path / "alice.db") as store:
        bench = Bench(config, store=store)
        async with bench.running():
            (first,) = await bench.met(scan("One"))
        bench = Bench(config, store=store)
        async with bench.running():
            (again,) = await bench.met(scan("One"))
            assert (again.id, again.written_at.replace(microsecond=0)) == (
                first.id,
                first.written_at.replace(microsecond=0),
            )
            claimed = bench.outbox.claim(again.id)
            assert claimed is not None
            bench.outbox.settle(claimed, Receipt(message_id=None, accepted_at=first.written_at), via="web")
        bench = Bench(config, store=store)
        async with bench.running():
            assert await bench.met(scan("One")) == ()
            assert payloads(await bench.met(scan("Two"))) == [PAYLOAD.format(name="Two")]


async def test_store_that_fails_keeps_nothing_from_being_rescued(tmp_path: Path) -> None:
    """Where nothing can be kept the QR waits all the same."""

    class Broken(MemoryKeyValue):
        """A store that fails."""

        def get(self, key: str, /) -> str | None:
            """Fail."""
            raise StoreError(key)

        def put(self, key: str, value: str, /) -> None:
            """Fail."""
            raise StoreError(f"{key} {value}")

    chat, config = Account(), config_in(tmp_path)
    directory = Directory(chat, config.chat.admins)
    account = OwnAccount(config, transport=chat, directory=directory, store=Broken(), gate=None, translate=str)
    outbox = Outbox(directory, gate=account.gate)
    task = asyncio.create_task(account.run(outbox))
    chat.tell(scan("One"))
    await chat.wait_until_met()
    assert payloads(outbox.waiting()) == [PAYLOAD.format(name="One")]
    task.cancel()
    await asyncio.wait({task})


class Strict:
    """A gate that lets nothing through."""

    def __init__(self) -> None:
        """Have noted nothing."""
        self.noted: list[tuple[str, MessageKey]] = []
        self.changed = asyncio.Event()

    def verdict(self, _to: str, _key: MessageKey, /) -> Verdict:
        """Say that somebody else has sent it."""
        return Verdict.DROP

    def note_delivered(self, to: str, key: MessageKey, /) -> None:
        """Note it."""
        self.noted.append((to, key))

    async def wait_for_change(self) -> None:
        """Return once something has changed."""
        await self.changed.wait()


async def test_everything_else_is_the_other_gates_matter(tmp_path: Path) -> None:
    """What is about other bots, and about this one while its chat is down, is asked of who knows of other rescuers."""
    strict, config = Strict(), config_in(tmp_path)
    chat = Account()
    account = OwnAccount(
        config,
        transport=chat,
        directory=Directory(chat, ()),
        store=MemoryKeyValue(),
        gate=strict,
        translate=str,
    )
    bob, alice = (MessageKey(watch=name, loss="1", kind="qr") for name in ("bob", "alice"))
    assert [account.verdict("to", key) for key in (bob, alice)] == [Verdict.DROP, Verdict.DROP]
    chat.come_up()
    assert [account.verdict("to", key) for key in (bob, alice)] == [Verdict.DROP, Verdict.WAIT]
    account.note_delivered("to", bob)
    assert strict.noted == [("to", bob)]
    strict.changed.set()
    async with asyncio.timeout(10):
        await account.wait_for_change()


async def test_what_another_has_sent_waits_no_longer(tmp_path: Path) -> None:
    """A standby whose chat is down keeps nothing that was delivered, so that it does not take its holder for blind."""
    bench = Bench(config_in(tmp_path), gate=Strict())
    async with bench.running():
        assert await bench.met(scan("One")) == ()
        assert bench.outbox.delivery().waiting == 0
        assert bench.outbox.oldest_keyed_wait("alice") is None


@pytest.mark.parametrize("twin_key", [None, KEY], ids=("unsigned", "signed"))
async def test_twins_that_share_a_lease_send_a_qr_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, twin_key: bytes | None
) -> None:
    """The twin sends by its chat; once it is gone this bot's fallback has the next QR, not the one that was sent."""
    caplog.set_level(logging.INFO)
    for name in ("alice", "bob", "carol"):
        (tmp_path / f"{name}.log").touch()
    async with mailbox() as box:
        alice, bob = config_in(tmp_path, url=box.url), configuration(tmp_path, watches=("alice",))
        alice = replace(
            alice, watches=(WatchConfig(name="carol", logs=(str(tmp_path / "carol.log"),), profile="wechaty-ts"),)
        )
        bob = replace(bob, path=tmp_path / "bob.toml", bot=replace(bob.bot, name="bob", self_log=tmp_path / "bob.log"))
        alice, bob = (
            replace(
                one,
                bot=replace(one.bot, twin_key=twin_key),
                rescue=RescueConfig(lease=tmp_path / "lease.db", term=1.0),
            )
            for one in (alice, bob)
        )
        account = Account()
        async with serving(alice, qr_rescue(OperationConfig(watch="carol")), transport=account):
            account.tell(LOGIN)
            await account.wait_until_met()
            async with serving(bob, qr_rescue(OperationConfig(watch="alice"))) as chat:
                await ready(chat)
                account.tell(scan("One"))
                _, (_, image) = await chat.wait_for(2)
                assert shown(image) == PAYLOAD.format(name="One")
            async with asyncio.timeout(30):
                while "this rescuer speaks for alice now" not in caplog.messages[-20:]:  # noqa: ASYNC110 - a log record sets no event
                    await asyncio.sleep(0)
                with (tmp_path / "carol.log").open("a") as log:
                    log.write(f"{scan_line('Carol')}\n")
                await box.wait_for(2)
                account.tell(scan("Two"))
                await box.wait_for(3)
        assert [
            shown(Attachment(filename="qr.png", content_type="image/png", data=file_in(mail)[2]))
            for mail in box.mails[1:]
        ] == [PAYLOAD.format(name=name) for name in ("Carol", "Two")]
