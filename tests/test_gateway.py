"""The gateway that other tests talk to does what its head says, as a client of its protocol sees it."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from wechaty_grpc.wechaty import PuppetStub

from tests.gateway.driver import DEADLINE, Gateway, GatewayError, Sent, find_lack, free_port, needs_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateway.certificate import Certificate

pytestmark = needs_gateway

HEARTBEAT, MESSAGE, DONG, SCAN, LOGIN, LOGOUT = 1, 2, 3, 22, 25, 26
ADMIN: Final = "admin"


class Client:
    """One client of a gateway, which hears all events but heartbeats."""

    def __init__(self, channel: Channel, *, token: str) -> None:
        """Speak over `channel`."""
        self.stub = PuppetStub(channel, metadata={"authorization": f"Wechaty {token}"})
        self._events: asyncio.Queue[tuple[int, dict[str, Any]]] = asyncio.Queue()

    async def listen(self, listening: asyncio.Event) -> None:
        """Hear events until the stream ends."""
        async for event in self.stub.event():
            listening.set()
            if event.type != HEARTBEAT:
                await self._events.put((event.type, json.loads(event.payload)))

    async def next(self) -> tuple[int, dict[str, Any]]:
        """Return the next event, which comes in time."""
        async with asyncio.timeout(DEADLINE):
            return await self._events.get()

    async def message(self) -> Any:  # noqa: ANN401  # the bindings have no types
        """Return the next event's message."""
        kind, payload = await self.next()
        assert kind == MESSAGE
        return await self.stub.message_payload(id=payload["messageId"])


@asynccontextmanager
async def connected(gateway: Gateway, *, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """Connect, and hear events once entered."""
    channel = Channel("127.0.0.1", gateway.port, ssl=context)
    client, listening = Client(channel, token=gateway.token), asyncio.Event()
    try:
        await client.stub.start()
        hearing = asyncio.create_task(client.listen(listening))
        try:
            async with asyncio.timeout(DEADLINE):
                await listening.wait()
            yield client
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
    finally:
        channel.close()


async def test_gateway_tells_what_becomes_of_its_account(gateway: Gateway) -> None:
    """A scan with its payload and status, a login and a logout are events, as often as they happen."""
    async with connected(gateway) as client:
        for payload in ("http://weixin.qq.com/x/one", "http://weixin.qq.com/x/two"):
            await gateway.do("scan", qr=payload)
            assert await client.next() == (SCAN, {"qrcode": payload, "status": 2})
            await gateway.do("scan", qr=payload, status=3)
            assert await client.next() == (SCAN, {"qrcode": payload, "status": 3})
            await gateway.do("login")
            assert await client.next() == (LOGIN, {"contactId": "bob"})
            await gateway.do("logout", reason="kicked out")
            assert await client.next() == (LOGOUT, {"contactId": "bob", "data": "kicked out"})


async def test_gateway_has_contacts_that_change(gateway: Gateway) -> None:
    """A contact is there with its name, alias and weixin number, and is another one after a second command."""
    await gateway.do("contact", id=ADMIN, name="Ann", alias="boss", weixin="AdminWeixin")
    async with connected(gateway) as client:
        assert set((await client.stub.contact_list()).ids) == {"bob", ADMIN}
        contact = await client.stub.contact_payload(id=ADMIN)
        assert (contact.name, contact.alias, contact.weixin) == ("Ann", "boss", "AdminWeixin")
        await gateway.do("contact", id=ADMIN, name="Ann", alias="chief")
        await client.next()
        contact = await client.stub.contact_payload(id=ADMIN)
        assert (contact.alias, contact.weixin) == ("chief", "")


async def test_gateway_delivers_what_contacts_say(gateway: Gateway) -> None:
    """A message comes in directly or in a room, with the time and id that were asked for, and once more if repeated."""
    await gateway.do("contact", id=ADMIN)
    await gateway.do("room", id="ops@chatroom", members=["bob", ADMIN], topic="ops")
    await gateway.do("login")
    async with connected(gateway) as client:
        await client.next()
        said = await gateway.say(ADMIN, "status", at=1_700_000_000_000)
        direct = await client.message()
        assert (direct.id, direct.text, direct.timestamp) == (said, "status", 1_700_000_000_000)
        assert (direct.from_id, direct.to_id, direct.room_id) == (ADMIN, "bob", "")
        await gateway.do("repeat", id=said)
        assert await client.next() == (MESSAGE, {"messageId": said})
        assert await gateway.say(ADMIN, "qr", room="ops@chatroom", id="mine") == "mine"
        public = await client.message()
        assert (public.id, public.from_id, public.room_id) == ("mine", ADMIN, "ops@chatroom")


async def test_gateway_reports_what_is_sent(gateway: Gateway) -> None:
    """Texts, files with their bytes, links and recalls are reported; the account hears its own messages, too."""
    await gateway.do("contact", id=ADMIN)
    await gateway.do("login")
    data = bytes(range(256)) * 8
    box = {"type": 1, "boxType": 1, "name": "二维码.png", "metadata": {}, "base64": b64encode(data).decode()}
    card = {"title": "scan", "url": "https://example.com/qr", "description": "", "thumbnailUrl": ""}
    async with connected(gateway) as client:
        await client.next()
        text = await client.stub.message_send_text(conversation_id=ADMIN, text="您好\nworld")
        own = await client.message()
        assert (own.id, own.from_id, own.to_id, own.text) == (text.id, "bob", ADMIN, "您好\nworld")
        file = await client.stub.message_send_file(conversation_id=ADMIN, filebox=json.dumps(box))
        link = await client.stub.message_send_url(conversation_id=ADMIN, url_link=json.dumps(card))
        assert await gateway.wait_for(3) == (
            Sent(id=text.id, type="text", to=ADMIN, text="您好\nworld"),
            Sent(id=file.id, type="file", to=ADMIN, filename="二维码.png", data=data),
            Sent(id=link.id, type="link", to=ADMIN, text="scan", url="https://example.com/qr"),
        )
        assert (await client.stub.message_recall(id=text.id)).success
        await gateway.do("scan", qr="behind it in the order of reports")
        assert gateway.recalled == [text.id]


async def test_gateway_refuses_as_often_as_it_is_told(gateway: Gateway) -> None:
    """The next sends fail with the text given, those after them work; a stranger and a lost account are refused."""
    await gateway.do("contact", id=ADMIN)
    async with connected(gateway) as client:
        with pytest.raises(GRPCError, match="not logged in"):
            await client.stub.message_send_text(conversation_id=ADMIN, text="too early")
        await gateway.do("login")
        with pytest.raises(GRPCError, match="no conversation nobody"):
            await client.stub.message_send_text(conversation_id="nobody", text="hello")
        await gateway.do("fail", times=2, text="too often")
        for _ in range(2):
            with pytest.raises(GRPCError, match="too often"):
                await client.stub.message_send_text(conversation_id=ADMIN, text="hello")
        await client.stub.message_send_text(conversation_id=ADMIN, text="hello")
        assert [sent.text for sent in await gateway.wait_for(1)] == ["hello"]


async def test_gateway_holds_up_what_is_sent(gateway: Gateway) -> None:
    """A send that is delayed has not arrived when a later one, which is not, has."""
    await gateway.do("contact", id=ADMIN)
    await gateway.do("login")
    async with connected(gateway) as client:
        await client.next()
        await gateway.do("delay", seconds=3600)
        late = asyncio.create_task(client.stub.message_send_text(conversation_id=ADMIN, text="late"))
        await client.stub.version()
        await gateway.do("delay", seconds=0)
        await client.stub.message_send_text(conversation_id=ADMIN, text="prompt")
        assert [sent.text for sent in await gateway.wait_for(1)] == ["prompt"]
        assert not late.done()
        late.cancel()


async def test_gateway_tells_when_a_client_hears_it(gateway: Gateway) -> None:
    """Each event stream is counted once, when it is open."""
    for count in (1, 2):
        async with connected(gateway) as client:
            await gateway.wait_for_connection(count)
            await gateway.do("scan", qr="heard")
            assert await client.next() == (SCAN, {"qrcode": "heard", "status": 2})
            await client.stub.stop()
    assert gateway.connections == 2


async def test_gateway_goes_mute(gateway: Gateway) -> None:
    """It answers a ding with a dong until it is mute; then nothing is told any more, though calls are answered."""
    async with connected(gateway) as client:
        await client.stub.ding(data="one")
        assert await client.next() == (DONG, {"data": "one"})
        await gateway.do("mute")
        await client.stub.ding(data="two")
        await gateway.do("scan", qr="unheard")
        assert await client.stub.contact_list()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.next(), timeout=0)


async def test_gateway_refuses_a_wrong_token(gateway: Gateway) -> None:
    """A client without the token is not let in."""
    channel = Channel("127.0.0.1", gateway.port)
    try:
        with pytest.raises(GRPCError) as refused:
            await PuppetStub(channel, metadata={"authorization": "Wechaty wrong"}).version()
        assert refused.value.status is Status.UNAUTHENTICATED
    finally:
        channel.close()


async def test_gateway_survives_commands_it_does_not_know(gateway: Gateway) -> None:
    """An unknown command, one that lacks a value and one about nobody are refused in a sentence each."""
    for action, values, reason in (
        ("reboot", {}, "unknown command 'reboot'; expected one of contact, room, scan"),
        ("say", {"from": "bob"}, "say lacks text"),
        ("say", {"from": "nobody", "text": "hi"}, "no contact 'nobody'; expected one of bob"),
        ("repeat", {"id": "none"}, "no message 'none'"),
    ):
        with pytest.raises(GatewayError, match=reason):
            await gateway.do(action, **values)
    await gateway.do("login")


async def test_gateway_comes_back_where_it_was() -> None:
    """After a crash it listens at the same endpoint, knows its contacts, is logged out, and repeats no id."""
    async with Gateway() as gateway:
        await gateway.do("contact", id=ADMIN, weixin="AdminWeixin")
        first = await gateway.say(ADMIN, "hello")
        await gateway.kill()
        with pytest.raises(GatewayError, match="does not run"):
            await gateway.do("login")
        await gateway.restart()
        async with connected(gateway) as client:
            assert (await client.stub.contact_payload(id=ADMIN)).weixin == "AdminWeixin"
            with pytest.raises(GRPCError, match="not logged in"):
                await client.stub.message_send_text(conversation_id=ADMIN, text="hello")
        assert await gateway.say(ADMIN, "hello") != first


async def test_gateway_speaks_tls(certificate: Certificate) -> None:
    """With a certificate of one's own, the authority and the name prove the gateway; the default one proves nothing."""
    trusting = ssl.create_default_context(cafile=str(certificate.ca_path))
    trusting.set_alpn_protocols(["h2"])
    trusting.check_hostname = False  # a channel has no name to check but its address
    async with Gateway(certificate=certificate.pair) as gateway, connected(gateway, context=trusting) as client:
        assert (await client.stub.version()).version
    async with Gateway(default_certificate=True) as gateway:
        channel = Channel("127.0.0.1", gateway.port, ssl=trusting)
        with pytest.raises(ssl.SSLError):
            await PuppetStub(channel, metadata={"authorization": f"Wechaty {gateway.token}"}).version()
        channel.close()


async def test_gateway_that_cannot_start_says_why() -> None:
    """A port that is taken is one sentence, and nothing is left running."""
    async with Gateway(port=free_port()) as first:
        second = Gateway(port=first.port)
        with pytest.raises(GatewayError, match=f"cannot listen on {first.endpoint}"):
            await second.__aenter__()
        with pytest.raises(GatewayError, match="does not run"):
            await second.do("login")


async def test_gateway_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a test ends, its gateway listens no more, and its files are gone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gateway = Gateway()

    async def fail() -> None:
        async with gateway:
            await gateway.do("reboot")

    with pytest.raises(GatewayError):
        await fail()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", gateway.port)
    assert sum(1 for _ in tmp_path.iterdir()) == 0  # noqa: ASYNC240  # nobody else is waiting


def test_gateway_without_packages_says_so(tmp_path: Path) -> None:
    """Where the npm packages are not installed, the sentence tells how they are."""
    assert find_lack(tmp_path) == "a real Wechaty gateway needs its npm packages; run `make gateway`"
