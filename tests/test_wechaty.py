"""The Wechaty transport against a real gateway: what is sent arrives, what happens is told, what is wrong is said."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Final

import pytest
import zxingcpp
from PIL import Image

from logmonitor.directory import Directory
from logmonitor.errors import RejectedError, TransportError
from logmonitor.outbox import Outbox, Retry
from logmonitor.qr import render_png
from logmonitor.records import Attachment, EventKind, Link, Qr, Sender
from logmonitor.transport import CanRecall, CanReportOwnEvents, CanVisit, CanWait
from logmonitor.transports.puppet_service import puppet
from logmonitor.transports.wechaty import Wechaty
from tests.gateway.driver import DEADLINE, Gateway, needs_gateway
from tests.wechaty_client import client, recorded, take_events, take_messages, up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.gateway.certificate import Certificate
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


async def test_wechaty_sends_text_image_and_link(gateway: Gateway) -> None:
    """All three arrive as what they are, and the image of a QR decodes to exactly its payload."""
    await gateway.do("contact", id="admin")
    await gateway.do("login")
    png = Attachment(filename="bob.png", content_type="image/png", data=render_png(Qr(payload=QR)))
    link = Link(title="the log", url="https://example.com/log", description="of bob")
    async with up(client(gateway)) as chat:
        receipts = [await chat.send("admin", content) for content in ("请扫码 🙂\nsecond line", png, link)]
    text, image, card = await gateway.wait_for(3)
    assert (text.type, text.to, text.text) == ("text", "admin", "请扫码 🙂\nsecond line")
    assert (image.type, image.to, image.filename, image.data) == ("file", "admin", "bob.png", png.data)
    assert [found.text for found in zxingcpp.read_barcodes(Image.open(BytesIO(image.data or b"")))] == [QR]
    assert (card.type, card.text, card.url) == ("link", "the log", "https://example.com/log")
    assert [receipt.message_id for receipt in receipts] == [text.id, image.id, card.id]


async def test_wechaty_sends_the_largest_file_and_takes_it_back(gateway: Gateway) -> None:
    """A file of the size it says that it carries arrives whole and can be recalled, a larger one is refused."""
    await gateway.do("contact", id="admin")
    await gateway.do("login")
    chat = client(gateway)
    data = bytes(range(256)) * (chat.limits.attachment_bytes // 256)
    async with up(chat):
        receipt = await chat.send("admin", Attachment(filename="log.txt", content_type="text/plain", data=data))
        with pytest.raises(RejectedError):
            await chat.send("admin", Attachment(filename="f", content_type="text/plain", data=data + data))
        await chat.recall(receipt.message_id or "")
    (sent,) = await gateway.wait_for(1)
    assert sent.data == data
    assert gateway.recalled == [sent.id]


async def test_wechaty_can_wait_recall_and_tell_of_itself() -> None:
    """It is all that the runtime looks for in a transport."""
    chat = Wechaty(endpoint="127.0.0.1:1", token=OTHER, tls=False)
    assert isinstance(chat, CanWait)
    assert isinstance(chat, CanRecall)
    assert isinstance(chat, CanReportOwnEvents)
    assert isinstance(chat, CanVisit)
    assert not chat.limits.captions


@pytest.mark.parametrize(
    ("code", "kind"),
    [(None, TransportError), (14, TransportError), (3, RejectedError), (5, RejectedError), (8, RejectedError)],
)
async def test_wechaty_tells_what_may_work_later(gateway: Gateway, code: int | None, kind: type[Exception]) -> None:
    """A refusal is for good or for now by its status, and its text is one line without the token."""
    await gateway.do("contact", id="admin")
    await gateway.do("login")
    async with up(client(gateway)) as chat:
        await gateway.do("fail", times=1, text=f"no {gateway.token} today\n    at stack", code=code)
        with pytest.raises(TransportError) as caught:
            await chat.send("admin", "hello")
        assert type(caught.value) is kind
        assert gateway.token not in str(caught.value)
        assert "stack" not in str(caught.value)
        await chat.send("admin", "hello")
    assert [sent.text for sent in await gateway.wait_for(1)] == ["hello"]


async def test_wechaty_receives_each_message_once_and_in_order(gateway: Gateway, record: Record) -> None:
    """Messages of contacts and rooms come with who wrote them, one delivered twice comes once, its own as such."""
    await gateway.do("contact", id="admin", name="Ann", alias="boss", weixin="ann")
    await gateway.do("room", id="ops@chatroom", members=["admin", "bob"])
    await gateway.do("login")
    at = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
    async with up(client(gateway)) as chat:
        first = await gateway.say("admin", "QR", at=int(at.timestamp() * 1000))
        await gateway.do("repeat", id=first)
        await gateway.say("bob", "from itself")
        await gateway.say("admin", "<msg><img/></msg>")
        await gateway.say("admin", "old seconds", at=int(at.timestamp()))
        await gateway.say("admin", "in the room", room="ops@chatroom")
        await gateway.say("admin", "no time", at=0)
        message, own, xml, old, room, untimed = await take_messages(chat, 6)
        assert message.sender.id == message.conversation == "admin"
        assert (message.sender.alias, message.sender.name, message.sender.weixin) == ("boss", "Ann", "ann")
        assert (message.id, message.text, message.sent_at, message.room) == (first, "QR", at, None)
        assert (own.from_self, own.sender) == (True, Sender(id="bob"))
        assert not any(one.from_self for one in (message, xml, old, room, untimed))
        assert xml.text == ""
        assert (old.text, old.sent_at) == ("old seconds", at.replace(microsecond=0))
        assert (room.text, room.room, room.conversation) == ("in the room", "ops@chatroom", "ops@chatroom")
        assert abs(untimed.sent_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert f"message {first!r} was announced twice" in record.lines
    assert not any("QR" in line or "in the room" in line for line in record.lines)


async def test_wechaty_sees_every_login_and_logout(gateway: Gateway, record: Record) -> None:
    """Two full cycles in one process are both told, in order, with the account's name and the QR's payload."""
    await gateway.do("contact", id="bob", name="Bob the bot")
    await gateway.do("login")
    chat = client(gateway)
    async with up(chat):
        for number in (1, 2):
            await gateway.do("logout")
            await gateway.do("scan", qr=f"{QR}{number}")
            await gateway.do("scan", qr=f"{QR}{number}")
            await gateway.do("scan", qr=f"{QR}{number}", status=3)
            await gateway.do("scan", qr=f"{QR}{number}", status=5)
            await record.wait_for(f"the chat is down: {LOGGED_OUT}", times=number)
            assert (chat.health().is_up, chat.health().reason) == (False, LOGGED_OUT)
            await gateway.do("login")
            async with asyncio.timeout(DEADLINE):
                await chat.wait_until_up()
        events = await take_events(chat, 11)
    cycle = [EventKind.LOGOUT, EventKind.SCAN, EventKind.SCANNED, EventKind.EXPIRED, EventKind.LOGIN]
    assert [event.kind for event in events] == [EventKind.LOGIN, *cycle, *cycle]
    assert [event.qr.payload for event in events if event.qr] == [f"{QR}1", f"{QR}2"]
    assert {event.user for event in events if event.kind in (EventKind.LOGIN, EventKind.LOGOUT)} == {"Bob the bot"}
    assert {(event.path, event.line) for event in events} == {(None, 0)}
    assert not any(QR in line for line in record.lines)


async def test_wechaty_resolves_by_what_nobody_chooses_for_himself(gateway: Gateway) -> None:
    """Id, weixin and alias find a contact; a name, the account itself and what fits twice do not."""
    await gateway.do("contact", id="wxid_1", name="Ann", alias="boss", weixin="ann")
    await gateway.do("contact", id="wxid_2", name="boss", weixin="ben")
    await gateway.do("contact", id="bob", name="Bob", alias="myself", weixin="bobweixin")
    await gateway.do("login")
    async with up(client(gateway)) as chat:
        assert {(await chat.resolve(who)).id for who in ("wxid_1", "ann", "boss")} == {"wxid_1"}
        for who in ("Ann", "bob", "myself", "bobweixin", ""):
            with pytest.raises(RejectedError) as caught:
                await chat.resolve(who)
            assert str(caught.value) == (
                f"no contact fits {who!r}; expected the id of one:"
                " wxid_1 (alias “boss”, number “ann”), wxid_2 (number “ben”)"
            )
        await gateway.do("contact", id="wxid_2", name="Ben", weixin="boss")
        await take_until_dirty(gateway, chat)
        with pytest.raises(
            RejectedError,
            match=r"^2 contacts fit 'boss'; expected the id of one: wxid_1 \(alias “boss”, number “ann”\), wxid_2 \(",
        ):
            await chat.resolve("boss")


async def test_wechaty_finds_an_admin_that_is_listed_late(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contact that the gateway lists only some time after the login is found, and gets what waited for it."""
    monkeypatch.setattr(puppet, "_FRESH_SECONDS", 0.0)
    await gateway.do("login")
    async with up(client(gateway)) as chat, asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
        directory = Directory(chat, ["AdminWeixin"], pause=lambda _: 0.02)
        outbox = Outbox(directory, retry=Retry(first=0.02, longest=0.02))
        working = [tasks.create_task(directory.run()), tasks.create_task(outbox.run())]
        await directory.wait_until_looked_up()
        outbox.put(directory.address("AdminWeixin"), "bob needs a scan")
        assert directory.found(["AdminWeixin"]) == ()
        await gateway.do("contact", id="admin", weixin="AdminWeixin")
        assert await outbox.flush(DEADLINE)
        assert [sender.id for sender in directory.found(["AdminWeixin"])] == ["admin"]
        for task in working:
            task.cancel()
    assert [(sent.to, sent.text) for sent in gateway.sent] == [("admin", "bob needs a scan")]


async def take_until_dirty(gateway: Gateway, chat: Wechaty) -> None:
    """Wait for what the gateway told before now: a message comes behind it."""
    await gateway.say("wxid_2", "hello")
    await take_messages(chat, 1)


async def test_wechaty_says_that_the_token_is_refused(gateway: Gateway, record: Record) -> None:
    """A wrong token is one clear sentence, which shows neither token."""
    async with client(gateway, token=OTHER) as chat:
        await record.wait_for("the chat is down: the gateway refuses the token")
        assert (chat.health().is_up, chat.health().reason) == (False, "the gateway refuses the token")
        with pytest.raises(TransportError, match=r"^the gateway refuses the token$"):
            await chat.send("admin", "hello")
    assert not any(token in line for line in record.lines for token in (OTHER, gateway.token))


async def test_wechaty_trusts_its_own_authority(certificate: Certificate, record: Record) -> None:
    """With the authority's file and the certificate's name it connects, without either it says what is wrong."""
    async with Gateway(certificate=certificate.pair) as gateway:
        await gateway.do("contact", id="admin")
        await gateway.do("login")
        ca_file, name = certificate.ca_path, certificate.name
        async with up(client(gateway, tls=True, ca_file=ca_file, server_name=name)) as chat:
            await chat.send("admin", "hello")
        endpoint = gateway.endpoint
        for parameters, sentence in (
            ({"server_name": name}, f"the certificate of {endpoint} is not trusted by the system's authorities: "),
            ({"ca_file": ca_file}, f"the certificate of {endpoint} is not for '127.0.0.1'; server_name says which "),
            ({"ca_file": ca_file, "server_name": "other.test"}, f"the certificate of {endpoint} is not for 'other.te"),
            ({"tls": False}, f"{endpoint} ends the connection at once, as one that speaks TLS does; tls = true "),
        ):
            async with client(gateway, **{"tls": True, **parameters}) as chat:  # type: ignore[arg-type]  # as above
                await record.wait_for(sentence)
                assert chat.health().reason.startswith(sentence)


async def test_wechaty_says_that_a_gateway_speaks_no_tls(gateway: Gateway, record: Record) -> None:
    """TLS to a gateway that speaks none is told as such."""
    async with client(gateway, tls=True):
        await record.wait_for(f"{gateway.endpoint} does not speak TLS; tls = false speaks to it in the clear")


async def test_wechaty_takes_the_default_certificate_only_when_told_to(record: Record) -> None:
    """The certificate that every gateway has proves nothing: it is taken with `insecure`, which is warned of."""
    async with Gateway(default_certificate=True) as gateway:
        async with client(gateway, tls=True) as chat:
            await record.wait_for("is not trusted by the system's authorities")
        await gateway.do("contact", id="admin")
        await gateway.do("login")
        async with up(client(gateway, tls=True, insecure=True)) as chat:
            await chat.send("admin", "hello")
        assert [sent.text for sent in gateway.sent] == ["hello"]
    warnings = [line for line in record.lines if "is not checked (insecure)" in line]
    assert len(warnings) == 1
    assert "can read the token" in warnings[0]


def test_wechaty_has_the_budgets_it_is_given() -> None:
    """What an account may send is for the configuration to say; what a message can carry is not."""
    chat = Wechaty(endpoint="127.0.0.1:1", token=OTHER, tls=False, per_period=60, period=9.5, per_inbound=3)
    assert chat.limits == replace(puppet.LIMITS, per_period=60, period=9.5, per_inbound=3)
    assert chat.visiting().limits == chat.limits
    assert Wechaty(endpoint="127.0.0.1:1", token=OTHER, tls=False).limits == puppet.LIMITS
