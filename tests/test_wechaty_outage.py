"""The Wechaty transport through outages of a real gateway: nothing is lost, nothing comes twice, each is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.directory import Directory
from logmonitor.errors import TransportError
from logmonitor.outbox import Outbox
from logmonitor.qr import render_png
from logmonitor.records import Attachment, EventKind, Priority, Qr
from logmonitor.transports.puppet_service import account
from logmonitor.transports.wechaty import Wechaty
from tests.gateway.driver import DEADLINE, Gateway, Sent, free_port, needs_gateway
from tests.torture.way import SOUND, Fault, Way
from tests.wechaty_client import client, recorded, take_events, take_messages, up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wechaty_client import Record

pytestmark = needs_gateway

QR: Final = "http://weixin.qq.com/x/QcaXbLjGmnYzkSgNnRtQ"
OTHER: Final = "another-token"
LOGGED_OUT: Final = "the account is logged out; it asks for a scan"


@pytest.fixture
def record() -> Iterator[Record]:
    """Return what the transport logs in one test."""
    with recorded() as record:
        yield record


async def test_wechaty_does_not_tell_again_what_is_repeated(gateway: Gateway, record: Record) -> None:
    """The scan and the login that a gateway repeats on a new connection were told already; what is new is told."""
    await gateway.do("scan", qr=QR)
    async with Way(gateway.port) as network, client(gateway, endpoint=network.endpoint) as chat:
        await record.wait_for(LOGGED_OUT, times=1)
        await network.cut()
        await record.wait_for("was lost", times=1)
        await record.wait_for(LOGGED_OUT, times=2)
        await gateway.do("scan", qr=f"{QR}2")
        await gateway.do("login")
        await record.wait_for("the chat is back", times=1)
        await network.cut()
        await record.wait_for("the chat is back", times=2)
        await gateway.do("logout")
        await gateway.do("scan", qr=f"{QR}2")
        events = [(event.kind, event.qr and event.qr.payload) for event in await take_events(chat, 5)]
    assert events == [
        (EventKind.SCAN, QR),
        (EventKind.SCAN, f"{QR}2"),
        (EventKind.LOGIN, None),
        (EventKind.LOGOUT, None),
        (EventKind.SCAN, f"{QR}2"),
    ]


async def test_wechaty_fetches_after_an_outage_what_was_announced_before(gateway: Gateway, record: Record) -> None:
    """A message whose content was not there yet when the connection died comes when it is back, before later ones."""
    await gateway.do("contact", id="admin")
    await gateway.do("login")
    async with Way(gateway.port) as network, up(client(gateway, endpoint=network.endpoint)) as chat:
        await gateway.say("admin", "first")
        assert [message.text for message in await take_messages(chat, 1)] == ["first"]
        taking = asyncio.ensure_future(take_messages(chat, 2))
        network.become(Fault(deaf=True))
        await gateway.say("admin", "second")
        async with asyncio.timeout(DEADLINE):
            await network.kept_back.wait()
        await network.cut()
        network.become(SOUND)
        await record.wait_for("the chat is back")
        await gateway.say("admin", "third")
        texts = [message.text for message in await taking]
    assert texts == ["second", "third"]


async def test_wechaty_passes_over_what_cannot_be_fetched_in_time(
    gateway: Gateway, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message whose content does not come for too long is logged and passed over, and later ones come."""
    await gateway.do("contact", id="admin")
    await gateway.do("login")
    async with Way(gateway.port) as network:
        chat = client(gateway, endpoint=network.endpoint)
        chat.pace = replace(chat.pace, quiet=60.0)
        async with up(chat):
            await gateway.say("admin", "first")
            assert [message.text for message in await take_messages(chat, 1)] == ["first"]
            monkeypatch.setattr(account, "_FETCH_SECONDS", 0.2)
            taking = asyncio.ensure_future(take_messages(chat, 1))
            network.become(Fault(deaf=True))
            lost = await gateway.say("admin", "lost")
            await record.wait_for(f"message {lost!r} is passed over: it could not be fetched in time")
            monkeypatch.undo()
            await network.cut()
            network.become(SOUND)
            await record.wait_for("the chat is back")
            await gateway.say("admin", "later")
            assert [message.text for message in await taking] == ["later"]


async def test_wechaty_delivers_once_what_waited_for_a_gateway(gateway: Gateway, record: Record) -> None:
    """A QR that is due while the gateway is dead arrives once, after it is back and the account logged in."""
    await gateway.do("contact", id="admin", weixin="AdminWeixin")
    await gateway.do("login")
    async with up(client(gateway)) as chat, asyncio.TaskGroup() as tasks:
        directory = Directory(chat, ["AdminWeixin"])
        await directory.look_up()
        outbox = Outbox(directory)
        delivery = tasks.create_task(outbox.run())
        await gateway.kill()
        outbox.put("admin", Attachment(filename="q", content_type="image/png", data=b"old"), slot="q")
        await record.wait_for("cannot be reached: connection refused")
        png = render_png(Qr(payload=QR))
        image = Attachment(filename="bob.png", content_type="image/png", data=png, caption="bob needs a scan")
        outbox.put("admin", image, slot="q", priority=Priority.QR)
        assert not await outbox.flush(0)
        await gateway.restart()
        await gateway.do("login")
        assert await outbox.flush(DEADLINE)
        delivery.cancel()
        assert (outbox.failed, outbox.delivery().failing_for) == (0, None)
    text, file = gateway.sent
    assert (text.type, text.to, text.text) == ("text", "admin", "bob needs a scan")
    assert (file.type, file.to, file.data) == ("file", "admin", png)


async def test_wechaty_is_down_until_a_restarted_gateway_logs_in(gateway: Gateway, record: Record) -> None:
    """A gateway that repeated the login before and does not after its restart holds an account that is logged out."""
    await gateway.do("login")
    async with up(client(gateway)) as chat:
        assert [event.kind for event in await take_events(chat, 1)] == [EventKind.LOGIN]
        await gateway.restart()
        await record.wait_for(f"the chat is down: {LOGGED_OUT}")
        assert chat.health().since is not None
        with pytest.raises(TransportError, match=LOGGED_OUT):
            await chat.resolve("admin")
        await gateway.do("login")
        async with asyncio.timeout(DEADLINE):
            await chat.wait_until_up()
        assert [event.kind for event in await take_events(chat, 1)] == [EventKind.LOGIN]


async def test_wechaty_says_that_nobody_listens(record: Record) -> None:
    """At first it is connecting; then it says what host and port cannot be reached, and since when."""
    endpoint = f"127.0.0.1:{free_port()}"
    chat = Wechaty(endpoint=endpoint, token=OTHER, tls=False)
    assert (chat.health().since, chat.health().reason) == (None, f"connecting to {endpoint}")
    async with chat:
        await record.wait_for("the chat is down")
        assert chat.health().reason == f"{endpoint} cannot be reached: connection refused"
        assert chat.health().since is not None
    assert chat.health().reason == "closed"
    assert record.lines == [f"the chat is down: {endpoint} cannot be reached: connection refused"]


async def test_wechaty_takes_over_from_another_client(gateway: Gateway, record: Record) -> None:
    """Who comes later is served; the earlier is told that another client has taken over, and does not fight back."""
    await gateway.do("contact", id="admin")
    await gateway.do("login")
    async with up(client(gateway, pause=3600.0)) as earlier, up(client(gateway)) as later:
        await record.wait_for("the chat is down: another client has taken over the gateway, which serves one")
        assert not earlier.health().is_up
        await gateway.do("login")
        await later.send("admin", "hello")
        await gateway.say("admin", "status")
        texts = [(message.text, message.from_self) for message in await take_messages(later, 2)]
        assert texts == [("hello", True), ("status", False)]


async def test_wechaty_finds_a_stream_that_tells_nothing(gateway: Gateway, record: Record) -> None:
    """A stream that stays open and tells nothing is found by asking for an answer, and is not up until one comes."""
    await gateway.do("contact", id="admin")
    await gateway.do("login")
    chat = client(gateway)
    chat.pace = replace(chat.pace, quiet=0.05, answer=0.5)
    async with up(chat):
        for _ in range(2):
            await gateway.say("admin", "hello")
            await take_messages(chat, 1)
        await gateway.do("mute")
        await record.wait_for(f"the gateway at {gateway.endpoint} is connected and tells nothing any more")
        assert not chat.health().is_up
        await gateway.restart()
        async with asyncio.timeout(DEADLINE):
            await record.wait_for(LOGGED_OUT)
            await gateway.do("login")
            await chat.wait_until_up()


async def test_wechaty_leaves_the_account_logged_in(gateway: Gateway) -> None:
    """Closing ends what it started and nothing more: the next one finds the account logged in, nothing is busy."""
    await gateway.do("contact", id="admin")
    await gateway.do("login")
    before = asyncio.all_tasks()
    for _ in range(3):
        async with up(client(gateway)) as chat:
            assert [(event.kind, event.user) for event in await take_events(chat, 1)] == [(EventKind.LOGIN, "bob")]
        assert [message async for message in chat.messages()] == []
        assert asyncio.all_tasks() == before
    assert gateway.sent == list[Sent]()
