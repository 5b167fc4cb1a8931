"""The bridge to a bot in any language: JSON lines on standard input and output."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import RejectedError, TransportError
from logmonitor.records import Attachment, EventKind, Link, Message, Qr, Sender
from logmonitor.transport import CanReportOwnEvents, Limits, TextUnit
from logmonitor.transports.stdio import Stdio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from logmonitor.records import Content, Event

DEADLINE = 10.0
ADMIN = {"id": "wxid_1", "name": "Ann", "alias": "boss", "weixin": "AdminWeixin"}
CONTACTS = {"type": "contacts", "contacts": [ADMIN, {"id": "wxid_2", "alias": "boss"}]}
TYPES = "message, contacts, accepted, refused, up, down, scan, scanned, login or logout"
HELLO = {"type": "hello", "protocol": 1}


class Peer:
    """The program on the other side of the two pipes."""

    def __init__(self, feed: int, drain: asyncio.StreamReader) -> None:
        """Write to `feed`, read from `drain`."""
        self._feed = feed
        self._drain = drain

    def tell(self, *frames: object) -> None:
        """Write frames, each on its line; bytes are written as they are."""
        for frame in frames:
            os.write(self._feed, frame if isinstance(frame, bytes) else json.dumps(frame).encode() + b"\n")

    async def read(self) -> dict[str, object]:
        """Read the next frame."""
        async with asyncio.timeout(DEADLINE):
            line = await self._drain.readline()
        frame = json.loads(line)
        assert isinstance(frame, dict)
        return frame

    def leave(self) -> None:
        """End standard input."""
        if self._feed >= 0:
            os.close(self._feed)
            self._feed = -1


@asynccontextmanager
async def connected(monkeypatch: pytest.MonkeyPatch, stdio: Stdio) -> AsyncIterator[Peer]:
    """Connect a transport to a peer by two pipes."""
    source, feed = os.pipe()
    drain, target = os.pipe()
    reader = asyncio.StreamReader(limit=1 << 24)
    drain_file = os.fdopen(drain, "rb", buffering=0)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), drain_file
    )
    peer = Peer(feed, reader)
    with os.fdopen(source, encoding="utf-8") as stdin, os.fdopen(target, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        try:
            async with stdio:
                assert await peer.read() == HELLO
                yield peer
        finally:
            peer.leave()
            pipe.close()


def talk(
    monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Stdio, Peer], Awaitable[None]], stdio: Stdio | None = None
) -> None:
    """Run a scenario between a transport and a peer."""

    async def run(stdio: Stdio) -> None:
        async with connected(monkeypatch, stdio) as peer:
            await scenario(stdio, peer)

    asyncio.run(run(stdio or Stdio()))


async def incoming(stdio: Stdio) -> Message:
    """Return the next message."""
    async with asyncio.timeout(DEADLINE):
        return await anext(aiter(stdio.messages()))


def message(text: str = "status", **more: object) -> dict[str, object]:
    """Make a message frame."""
    return {"type": "message", "id": "m1", "sender": ADMIN, "conversation": "wxid_1", "text": text} | more


def line(**more: object) -> bytes:
    """Make the line of a message frame."""
    return json.dumps(message(**more)).encode() + b"\n"  # type: ignore[arg-type]  # its text is not among them


def test_stdio_passes_messages_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message comes in with all that the peer says of it, its time in UTC."""
    full = message(
        "你好\n",
        sent_at="2026-11-20T20:00:00+08:00",
        room="r1",
        from_self=True,
        mentions=["wxid_9"],
        quoted="before",
        attachments=[{"filename": "a.txt", "content_type": "text/plain", "data": base64.b64encode(b"hi").decode()}],
    )

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        peer.tell(full)
        assert await incoming(stdio) == Message(
            id="m1",
            sender=Sender(id="wxid_1", name="Ann", alias="boss", weixin="AdminWeixin"),
            conversation="wxid_1",
            text="你好\n",
            sent_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
            room="r1",
            from_self=True,
            mentions=("wxid_9",),
            quoted="before",
            attachments=(Attachment(filename="a.txt", content_type="text/plain", data=b"hi"),),
        )

    talk(monkeypatch, scenario)


def test_stdio_takes_a_message_without_a_time_as_sent_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a peer need not say has its default."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        before = datetime.now(UTC)
        peer.tell(message(sender={"id": "x"}))
        received = await incoming(stdio)
        assert before <= received.sent_at <= datetime.now(UTC)
        assert (received.sender, received.room, received.from_self) == (Sender(id="x"), None, False)

    talk(monkeypatch, scenario)


@pytest.mark.parametrize(
    ("content", "frame"),
    [
        ("您好\u2028\x00", {"text": "您好\u2028\x00"}),
        (Link(title="t", url="u", description="d"), {"link": {"title": "t", "url": "u", "description": "d"}}),
        (
            Attachment(
                filename="q.png",
                content_type="image/png",
                data=b"\x89PNG",
                caption="scan",
                qr=Qr(payload="2@x", verified=True),
            ),
            {
                "attachment": {
                    "filename": "q.png",
                    "content_type": "image/png",
                    "data": "iVBORw==",
                    "caption": "scan",
                    "qr": "2@x",
                    "modules": None,
                    "verified": True,
                }
            },
        ),
        (
            Attachment(filename="q", content_type="image/png", data=b"", qr=Qr(modules=(b"\1\0", b"\0\1"))),
            {
                "attachment": {
                    "filename": "q",
                    "content_type": "image/png",
                    "data": "",
                    "caption": "",
                    "qr": None,
                    "modules": ["10", "01"],
                    "verified": False,
                }
            },
        ),
        (
            Attachment(filename="log.txt", content_type="text/plain", data=b"a"),
            {
                "attachment": {
                    "filename": "log.txt",
                    "content_type": "text/plain",
                    "data": "YQ==",
                    "caption": "",
                    "qr": None,
                    "modules": None,
                    "verified": False,
                }
            },
        ),
    ],
)
def test_stdio_sends_what_the_protocol_says(
    monkeypatch: pytest.MonkeyPatch, content: Content, frame: dict[str, object]
) -> None:
    """Each kind of content has its key, and what the peer accepts has the peer's id."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        sending = asyncio.create_task(stdio.send("wxid_1", content))
        assert await peer.read() == {"type": "send", "id": 1, "to": "wxid_1"} | frame
        peer.tell({"type": "accepted", "id": 1, "message_id": "out-7"})
        receipt = await sending
        assert (receipt.message_id, receipt.accepted_at.tzinfo) == ("out-7", UTC)

    talk(monkeypatch, scenario)


def test_stdio_sends_a_large_attachment_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame larger than a pipe arrives in one piece, with others waiting behind it."""
    data = bytes(range(256)) * 4000

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        large = Attachment(filename="a", content_type="application/octet-stream", data=data)
        sending = [asyncio.create_task(stdio.send("x", content)) for content in (large, "behind")]
        frame = await peer.read()
        assert isinstance(frame["attachment"], dict)
        assert base64.b64decode(frame["attachment"]["data"]) == data
        assert (await peer.read())["text"] == "behind"
        peer.tell({"type": "accepted", "id": 2}, {"type": "accepted", "id": 1, "message_id": "first"})
        assert [receipt.message_id for receipt in await asyncio.gather(*sending)] == ["first", None]

    talk(monkeypatch, scenario)


@pytest.mark.parametrize(("permanent", "error"), [(True, RejectedError), (False, TransportError)])
def test_stdio_tells_a_refusal(
    monkeypatch: pytest.MonkeyPatch, *, permanent: bool, error: type[TransportError]
) -> None:
    """A refusal carries the peer's reason, and whether it is for good."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        sending = asyncio.create_task(stdio.send("x", "text"))
        await peer.read()
        peer.tell({"type": "refused", "id": 1, "reason": "not logged in", "permanent": permanent})
        with pytest.raises(TransportError, match=r"^not logged in$") as raised:
            await sending
        assert raised.type is error

    talk(monkeypatch, scenario)


def test_stdio_does_not_wait_for_an_answer_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No answer in time is a failure to try again; the answer that comes later harms nothing."""
    caplog.set_level(logging.INFO)

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        with pytest.raises(TransportError, match=r"no answer from the peer within 0\.01 s"):
            await stdio.send("x", "text")
        peer.tell({"type": "accepted", "id": 1}, message())
        await incoming(stdio)

    talk(monkeypatch, scenario, Stdio(answer_timeout=0.01))
    assert "answer 1 of the peer came too late" in caplog.text


@pytest.mark.parametrize(("who", "expected"), [("wxid_1", "wxid_1"), ("AdminWeixin", "wxid_1"), ("wxid_2", "wxid_2")])
def test_stdio_finds_announced_contacts(monkeypatch: pytest.MonkeyPatch, who: str, expected: str) -> None:
    """A contact is found by id, weixin or alias, and a look-up waits for the peer to announce them."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        looking = asyncio.create_task(stdio.resolve(who))
        peer.tell(CONTACTS)
        assert (await looking).id == expected

    talk(monkeypatch, scenario)


@pytest.mark.parametrize(
    ("contacts", "who", "problem"),
    [
        ([ADMIN], "Ann", "no contact fits 'Ann'; expected the id of one: wxid_1 (alias “boss”, number “AdminWeixin”)"),
        ([], "Ann", "no contact fits 'Ann': the peer knows nobody"),
        (
            CONTACTS["contacts"],
            "boss",
            "expected the id of one: wxid_1 (alias “boss”, number “AdminWeixin”), wxid_2 (alias “boss”)",
        ),
        ([{"id": f"c{number:02}"} for number in range(30)], "Ann", "c08, c09 and 20 more"),
    ],
)
def test_stdio_says_who_is_known(
    monkeypatch: pytest.MonkeyPatch, contacts: list[dict[str, str]], who: str, problem: str
) -> None:
    """None or several that fit are told with what there is; a name authorises nobody."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        peer.tell({"type": "contacts", "contacts": contacts})
        with pytest.raises(RejectedError) as raised:
            await stdio.resolve(who)
        assert str(raised.value).endswith(problem)

    talk(monkeypatch, scenario)


def test_stdio_does_not_wait_for_contacts_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that announces nobody is one to ask again later."""

    async def scenario(stdio: Stdio, _: Peer) -> None:
        with pytest.raises(TransportError, match=r"no contacts within 0\.01 s") as raised:
            await stdio.resolve("x")
        assert raised.type is TransportError

    talk(monkeypatch, scenario, Stdio(contacts_timeout=0.01))


def test_stdio_offers_the_accounts_own_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scan, scanned, login and logout come as events, in order, until the peer leaves."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        peer.tell({"type": "logout"}, {"type": "scan", "qr": "2@x"}, {"type": "scan"}, {"type": "scanned"})
        peer.tell({"type": "login", "user": "Bob"})
        peer.leave()
        events: list[Event] = [event async for event in stdio.own_events()]
        assert [(event.kind, event.user, event.qr and event.qr.payload) for event in events] == [
            (EventKind.LOGOUT, None, None),
            (EventKind.SCAN, None, "2@x"),
            (EventKind.SCAN, None, None),
            (EventKind.SCANNED, None, None),
            (EventKind.LOGIN, "Bob", None),
        ]
        assert all(event.at is not None and event.at == event.seen_at for event in events)

    assert isinstance(Stdio(), CanReportOwnEvents)
    talk(monkeypatch, scenario)


def test_stdio_keeps_the_newest_events_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a `self_log` nobody reads the events: they neither pile up nor stop the messages."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        feeding = asyncio.create_task(
            asyncio.to_thread(peer.tell, *({"type": "login", "user": str(number)} for number in range(1500)), message())
        )
        await incoming(stdio)
        await feeding
        peer.leave()
        users = [event.user async for event in stdio.own_events()]
        assert len(users) <= 1000
        assert users == [str(number) for number in range(1500 - len(users), 1500)]

    talk(monkeypatch, scenario)


def test_stdio_health_is_the_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chat is up until the peer says otherwise, and down for good when it has left."""
    stdio = Stdio()
    assert (stdio.health().is_up, stdio.health().reason) == (False, "not connected")

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        assert stdio.health().is_up
        peer.tell({"type": "down", "reason": "logged out"}, message())
        await incoming(stdio)
        assert (stdio.health().is_up, stdio.health().reason) == (False, "logged out")
        peer.tell({"type": "up"}, message())
        await incoming(stdio)
        assert stdio.health().is_up
        peer.leave()
        assert [message async for message in stdio.messages()] == []
        assert (stdio.health().is_up, stdio.health().reason) == (False, "standard input has ended")
        with pytest.raises(TransportError, match="the peer cannot be reached: standard input has ended"):
            await stdio.send("x", "text")

    talk(monkeypatch, scenario, stdio)


def test_stdio_fails_what_waits_when_the_peer_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message without an answer fails at once when nobody is left to give one."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        sending = asyncio.create_task(stdio.send("x", "text"))
        await peer.read()
        peer.leave()
        with pytest.raises(TransportError, match="standard input has ended"):
            await sending

    talk(monkeypatch, scenario)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"not json\n", "no JSON: expected ident in column 2"),
        (b"\xff\xfe\n", "no JSON: expected value in column 1"),
        (b"[" * 5000 + b"\n", "no JSON: recursion limit exceeded"),
        (b'"text"\n', "no JSON object"),
        (b'{"type": "mesage"}\n', f"unknown type 'mesage'; expected {TYPES}"),
        (b'{"type": "a secret that is no type"}\n', f"unknown type; expected {TYPES}"),
        (b"{}\n", f"no 'type'; expected {TYPES}"),
        (b'{"type": "accepted", "id": "one"}\n', "'accepted': bad 'id'; expected a whole number"),
        (b'{"type": "accepted"}\n', "'accepted': 'id' is missing"),
        (
            b'{"type": "refused", "id": 1, "reason": "x", "permanent": null}\n',
            "'refused': bad 'permanent'; expected true",
        ),
        (b'{"type": "contacts", "contacts": {}}\n', "'contacts': bad 'contacts'; expected a list"),
        (b'{"type": "contacts", "contacts": [{"id": 5}]}\n', "'contacts': bad 'contacts.0.id'; expected a text"),
        (b'{"type": "contacts", "contacts": [{"id": " "}]}\n', "bad 'contacts.0'; expected a contact with an id"),
        (b'{"type": "message", "id": ""}\n', "'message': 'id' is empty"),
        (line(sender="ann"), "'message': bad 'sender'; expected an object"),
        (line(sent_at="soon"), "'message': bad 'sent_at'; expected a time such as 2026-11-20T20:00:00+08:00"),
        (line(sent_at="2026-11-20T20:00:00"), "'message': bad 'sent_at'; expected a time with its offset, such as"),
        (line(sent_at="0001-01-01T00:00:00+08:00"), "bad 'sent_at'; expected a time between the years 1 and 9999"),
        (
            line(attachments=[{"filename": "a", "content_type": "b", "data": "A"}]),
            "'message': bad 'attachments.0.data'; expected base64",
        ),
        (json.dumps(message("x" * 400)).encode() + b"\n", "longer than 300 bytes"),
    ],
)
def test_stdio_skips_what_it_does_not_understand(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, line: bytes, problem: str
) -> None:
    """A line that is no frame is skipped with a warning that says which and why, and what follows is read."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        peer.tell(b"\n", line, message())
        assert (await incoming(stdio)).text == "status"

    talk(monkeypatch, scenario, Stdio(line_bytes=6000 if len(line) > 4000 else 300))
    (record,) = caplog.records
    assert record.getMessage().startswith("line 2 of the peer skipped: ")
    assert problem in record.getMessage()


def test_stdio_logs_no_content(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A warning does not repeat what stood in the line: it may have been a credential."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        peer.tell({"type": "scan", "qr": ["https://login.weixin.qq.com/l/secret"]}, b'{"secret\n', message())
        await incoming(stdio)

    talk(monkeypatch, scenario)
    assert len(caplog.records) == 2
    assert "secret" not in caplog.text


def test_stdio_leaves_its_output_to_the_protocol(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What anybody prints meanwhile goes to standard error and not between the frames."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        sys.stdout.write("a stray line\n")
        sending = asyncio.create_task(stdio.send("x", "text"))
        assert (await peer.read())["type"] == "send"
        peer.tell({"type": "accepted", "id": 1})
        await sending

    talk(monkeypatch, scenario)
    assert capsys.readouterr().err == "a stray line\n"


def test_stdio_goes_down_when_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard output is the end of the chat too, but not one that the peer has asked for."""

    async def scenario() -> None:
        source, feed = os.pipe()
        drain, target = os.pipe()
        os.close(drain)
        with os.fdopen(source) as stdin, os.fdopen(target, "w") as stdout:
            monkeypatch.setattr(sys, "stdin", stdin)
            monkeypatch.setattr(sys, "stdout", stdout)
            async with Stdio() as stdio, asyncio.timeout(DEADLINE):
                with pytest.raises(TransportError, match=r"^standard output cannot be written: Broken pipe$"):
                    await anext(aiter(stdio.messages()))
                assert stdio.health().reason == "standard output cannot be written: Broken pipe"
        os.close(feed)

    asyncio.run(scenario())


def test_stdio_refuses_more_than_a_peer_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames for a peer that does not read do not pile up without bound."""

    async def scenario(stdio: Stdio, _: Peer) -> None:
        sending = [asyncio.create_task(stdio.send("x", "y" * 70_000)) for _ in range(1100)]
        done, _waiting = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(TransportError, match="the peer does not read: 1000 frames are waiting for it"):
            done.pop().result()
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    talk(monkeypatch, scenario)


@pytest.mark.parametrize("name", ["stdin", "stdout"])
async def test_stdio_needs_both_streams(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where the shell has closed one of them, that is said in a sentence."""
    monkeypatch.setattr(sys, f"__{name}__", None)
    which = "input" if name == "stdin" else "output"
    with pytest.raises(TransportError, match=f"have to be open for transport 'stdio', .*; standard {which} is closed"):
        await Stdio().__aenter__()


def test_stdio_has_the_limits_it_is_given() -> None:
    """What the peer's chat carries is for the configuration to say."""
    limits = Stdio(
        text_size=100, text_unit=TextUnit.BYTES, attachment_bytes=5, per_period=60, period=9.5, per_inbound=3
    ).limits
    assert limits == Limits(
        text_size=100, text_unit=TextUnit.BYTES, attachment_bytes=5, per_period=60, period=9.5, per_inbound=3
    )
    assert Stdio().limits == Limits()


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_stdio_survives_any_bytes(chunks: list[bytes]) -> None:
    """Whatever a peer writes, a message behind it on a line of its own is read."""

    async def scenario(stdio: Stdio, peer: Peer) -> None:
        peer.tell(*chunks, b"\n", message("the end"))
        while (await incoming(stdio)).text != "the end":
            pass

    with pytest.MonkeyPatch.context() as monkeypatch:
        talk(monkeypatch, scenario)
