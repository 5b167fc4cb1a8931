"""Messages arrive by the ways there are, and what a service says decides whether they did."""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psutil
import pytest
import trustme
import zxingcpp
from PIL import Image

from logmonitor.config import FallbackConfig
from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.escalating.way import Way, apprise_way, chat_way
from logmonitor.qr import render_png
from logmonitor.records import Attachment, Health, Link, Qr, Receipt, Sender
from logmonitor.testing import MemoryTransport
from tests.gateway.driver import free_port
from tests.internet import Internet
from tests.mailbox import file_in, mailbox
from tests.service import web_service
from tests.test_second_channel import has_children

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from logmonitor.records import Content, Message
    from logmonitor.transport import Transport

AT: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAYLOAD: Final = "http://weixin.qq.com/x/AbCdEf"
SECRET: Final = "hunter22hunter22hunter22"  # noqa: S105  # nobody's
QR: Final = Attachment(
    filename="bob-qr.png",
    content_type="image/png",
    data=render_png(Qr(payload=PAYLOAD)),
    caption="Login QR of bob",
    qr=Qr(payload=PAYLOAD),
)
PICTURE: Final = Attachment(filename="bob-qr.png", content_type="image/png", data=QR.data, caption="Login QR of bob")
IN_TEXT: Final = (
    "Login QR of bob\nno image can be shown here: turn the next line into a QR on a device of your own,"
    f" and scan that\n{PAYLOAD}"
)


@pytest.fixture
async def internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Internet]:
    """Give services as they are known by name."""
    async with Internet(tmp_path).open() as internet:
        for name, value in internet.environ.items():
            monkeypatch.setenv(name, value)
        yield internet


def way(url: str, *, seconds: float = 30.0) -> Way:
    """Return the way by a URL."""
    config = FallbackConfig(name="test", url=url)
    return apprise_way(config, url, title="alice", translate=str, now=lambda: AT, seconds=seconds)


def processes_here() -> list[str]:
    """Return the command lines of all processes of this machine."""
    lines = []
    for folder in Path("/proc").iterdir():
        try:
            lines.append((folder / "cmdline").read_text() if folder.name.isdecimal() else "")
        except OSError:
            continue
    return lines


async def test_qr_arrives_in_a_mail() -> None:
    """The image is attached as it is, its caption is the mail's text, and the bot's name its subject."""
    async with mailbox() as box:
        receipt = await way(box.url).send(QR)
    (mail,) = box.mails
    body = mail.get_body()
    assert receipt == Receipt(message_id=None, accepted_at=AT)
    assert file_in(mail) == ("bob-qr.png", "image/png", QR.data)
    assert mail["Subject"] == "alice"
    assert body is not None
    assert body.get_content().strip() == "Login QR of bob"


async def test_mail_that_is_refused_did_not_arrive() -> None:
    """What a mail server says no to is a failure."""
    async with mailbox() as box:
        box.answer = "554 no"
        with pytest.raises(TransportError) as caught:
            await way(box.url).send("bob is out")
    assert str(caught.value) == "mailto answered with code 554"


async def test_mail_whose_file_is_refused_goes_as_text() -> None:
    """A server that takes no files, or none as large, is given what the QR says."""
    async with mailbox() as box:
        box.refused = b"image/png"
        await way(box.url).send(QR)
    (mail,) = box.mails
    body = mail.get_body()
    assert body is not None
    assert body.get_content().split() == IN_TEXT.split()


async def test_service_that_cannot_be_reached_is_told_of() -> None:
    """Whether its name, its certificate or its door is at fault is told, and no more of where it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", ssl=context)
    port = server.sockets[0].getsockname()[1]
    told = []
    async with server:
        for url in (f"jsons://127.0.0.1:{port}/{SECRET}", f"json://127.0.0.1:{free_port()}", "json://nowhere.invalid"):
            with pytest.raises(TransportError) as caught:
                await way(url).send("bob is out")
            told.append(str(caught.value))
    assert told == [
        "jsons shows a certificate that cannot be trusted",
        "json refused the connection",
        "json cannot be found by its name",
    ]


@pytest.mark.parametrize(
    ("url", "host", "answer", "said"),
    [
        (
            f"wecombot://{SECRET}",
            "qyapi.weixin.qq.com",
            '{"errcode":0,"errmsg":"ok"}',
            {"msgtype": "text", "text": {"content": f"alice\r\n{IN_TEXT}"}},
        ),
        (
            f"feishu://{SECRET}",
            "open.feishu.cn",
            '{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}',
            {"msg_type": "text", "content": {"text": f"alice\r\n{IN_TEXT}"}},
        ),
    ],
)
async def test_qr_arrives_as_text_where_a_service_shows_no_image(
    internet: Internet, url: str, host: str, answer: str, said: object
) -> None:
    """A group's robot is told what the QR says, to be made into one again."""
    internet.answers = [(200, answer)]
    await way(url).send(QR)
    (asked,) = internet.asked
    assert (asked.host, asked.json) == (host, said)


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        (f"dingtalk://{SECRET}", '{"errcode":0,"errmsg":"ok"}'),
        (f"schan://{SECRET}", '{"code":0,"message":"","data":{"pushid":"1","errno":0}}'),
        (f"lark://{SECRET}", '{"code":0,"data":{},"msg":"success"}'),
    ],
)
async def test_service_that_says_so_has_taken_it(internet: Internet, url: str, answer: str) -> None:
    """Each service is asked once and believed by its own code."""
    internet.answers = [(200, answer)]
    await way(url).send("bob is out")
    assert len(internet.asked) == 1


async def test_qr_arrives_as_an_image_by_telegram(internet: Internet) -> None:
    """Where a service shows images the QR is one, and nothing of it goes as text."""
    internet.answers = [(200, '{"ok":true,"result":{"message_id":1}}')]
    await way(f"tgram://123456789:{SECRET}abcdefghijk/12345").send(QR)
    assert {asked.host for asked in internet.asked} == {"api.telegram.org"}
    assert any(QR.data in asked.body for asked in internet.asked)
    assert not any(PAYLOAD.encode() in asked.body for asked in internet.asked)


@pytest.mark.parametrize(
    ("url", "answer", "problem"),
    [
        (
            f"wecombot://{SECRET}",
            (200, '{"errcode":45009,"errmsg":"api freq out of limit"}'),
            ThrottledError("wecombot takes no more for now (code 45009)"),
        ),
        (
            f"wecombot://{SECRET}",
            (200, f'{{"errcode":93000,"errmsg":"invalid webhook url {SECRET}"}}'),
            RejectedError("wecombot answered with code 93000"),
        ),
        (
            f"dingtalk://{SECRET}",
            (200, '{"errcode":310000,"errmsg":"keywords not in content"}'),
            RejectedError("dingtalk answered with code 310000"),
        ),
        (
            f"feishu://{SECRET}",
            (200, '{"code":11232,"msg":"frequency limited psm"}'),
            ThrottledError("feishu takes no more for now (code 11232)"),
        ),
        (
            f"schan://{SECRET}",
            (400, '{"message":"[AUTH]","code":40001}'),
            RejectedError("schan answered with status 400"),
        ),
        (
            f"tgram://123456789:{SECRET}abcdefghijk/12345",
            (429, '{"ok":false,"error_code":429,"parameters":{"retry_after":35}}'),
            ThrottledError("tgram answered with status 429", retry_after=35.0),
        ),
        (f"wecombot://{SECRET}", (200, "<html>log in</html>"), None),
        (f"wecombot://{SECRET}", (502, ""), TransportError("wecombot answered with status 502")),
    ],
)
async def test_service_that_says_otherwise_has_not_taken_it(
    internet: Internet,
    caplog: pytest.LogCaptureFixture,
    url: str,
    answer: tuple[int, str],
    problem: TransportError | None,
) -> None:
    """An answer that is none of success is a failure of its kind; neither URL nor content is in it, nor in a log."""
    caplog.set_level(logging.DEBUG)
    problem = problem or TransportError("wecombot answered with something else than its code")
    internet.answers = [answer]
    with pytest.raises(TransportError) as caught:
        await way(url).send("bob is out")
    assert (type(caught.value), str(caught.value)) == (type(problem), str(problem))
    assert getattr(caught.value, "retry_after", None) == getattr(problem, "retry_after", None)
    assert [secret for secret in (SECRET, "bob is out") if secret in caplog.text + str(caught.value)] == []


async def test_file_that_a_service_refuses_goes_as_text(internet: Internet) -> None:
    """A server of ntfy that takes no files is given what the QR says."""
    internet.answers = [(400, '{"code":40014,"http":400,"error":"attachments not allowed"}'), (200, "{}")]
    await way("ntfys://ntfy.example.org/topic").send(QR)
    assert [PAYLOAD.encode() in asked.body for asked in internet.asked] == [False, True]


async def test_file_that_has_no_text_is_told_of(internet: Internet) -> None:
    """Of a picture that a service does not show its caption arrives, and that it is missing."""
    internet.answers = [(200, '{"errcode":0}')]
    await way(f"wecombot://{SECRET}").send(PICTURE)
    (asked,) = internet.asked
    told = "bob-qr.png cannot be shown here, and holds nothing that could be sent as a text"
    assert asked.json["text"]["content"] == f"alice\r\nLogin QR of bob\n{told}"


async def test_long_text_arrives_as_one_message(internet: Internet) -> None:
    """What is longer than a service takes is shortened in its middle, in the units by which it counts."""
    internet.answers = [(200, '{"errcode":0}')]
    await way(f"wecombot://{SECRET}").send("开头" + "错误日志\n" * 2000 + "结尾")
    (asked,) = internet.asked
    text = asked.json["text"]["content"]
    assert len(text.encode()) <= 2048
    assert text.startswith("alice\r\n开头")
    assert text.endswith("结尾")


async def test_text_that_a_service_would_refuse_as_too_long_goes_in_parts(internet: Internet) -> None:
    """Of one whose messages are shorter than others' several arrive, which together hold everything."""
    internet.answers = [(200, '{"status":1}')]
    text = " ".join(f"line{number}" for number in range(200))
    await way(f"pover://{'u' * 30}@{'t' * 30}").send(text)
    said = [asked.form["message"] for asked in internet.asked]
    assert len(said) == 2
    assert " ".join(said).split() == text.split()


async def test_service_that_hangs_is_given_up(internet: Internet) -> None:
    """A service that does not answer is given up in time, and its process with it."""
    internet.hangs = True
    with pytest.raises(TransportError) as caught:
        await way(f"wecombot://{SECRET}?rto=3600", seconds=1).send("bob is out")
    assert str(caught.value) == "wecombot has not taken it within 1 s"
    assert not has_children()


async def test_url_is_in_no_list_of_processes(internet: Internet) -> None:
    """Whoever sees what runs here sees that something is sent, not where; whoever stops it leaves nothing behind."""
    internet.hangs = True
    sending = asyncio.ensure_future(way(f"wecombot://{SECRET}?rto=3600").send("bob is out"))
    async with asyncio.timeout(30):
        await internet.called.wait()
    lines = processes_here()
    assert [line for line in lines if "apprise_process" in line] != []
    assert [line for line in lines if SECRET in line] == []
    sending.cancel()
    await asyncio.wait({sending})
    assert not has_children()


async def test_process_that_is_killed_has_not_sent(internet: Internet) -> None:
    """Whatever ends the process that sends, such as a machine without memory, is a failure like another."""
    internet.hangs = True
    sending = asyncio.ensure_future(way(f"wecombot://{SECRET}?rto=3600").send("bob is out"))
    async with asyncio.timeout(30):
        await internet.called.wait()
        for child in psutil.Process().children():
            if "logmonitor.channel.apprise_process" in child.cmdline():
                child.kill()
        with pytest.raises(TransportError) as caught:
            await sending
    assert str(caught.value) == "wecombot ended without an answer"


async def test_link_arrives_as_text() -> None:
    """A link is its title and where it leads."""
    async with web_service() as service:
        await way(f"json://127.0.0.1:{service.port}").send(Link(title="Log", url="https://e.org/log"))
    assert [one["message"] for one in service.heard] == ["Log\nhttps://e.org/log"]


class Down:
    """A chat that is down for good, as it says, or that is up and never answers; `left` is set once it was left."""

    limits = MemoryTransport().limits

    def __init__(self, *, is_up: bool = False) -> None:
        """Be up, or not."""
        self.left = False
        self._is_up = is_up

    async def __aenter__(self) -> Self:
        """Enter it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave it."""
        self.left = True

    def messages(self) -> AsyncIterator[Message]:
        """Yield nothing; nobody asks."""
        raise NotImplementedError

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Take nothing; nobody asks."""
        raise NotImplementedError

    async def resolve(self, who: str, /) -> Sender:
        """Never answer."""
        await asyncio.Event().wait()
        return Sender(id=who)

    def health(self) -> Health:
        """Tell that it is down."""
        return Health(is_up=self._is_up, since=AT, reason="closed" if self.left else "alice is logged out")

    async def wait_until_up(self) -> None:
        """Wait for ever, unless it is up."""
        if not self._is_up:
            await asyncio.Event().wait()


def chat(transport: Transport, *to: str, connect_seconds: float = 10.0, seconds: float = 30.0) -> Way:
    """Return the way by another chat."""
    config = FallbackConfig(name="other", transport="kit:Chat", to=to)
    return chat_way(config, lambda: transport, translate=str, connect_seconds=connect_seconds, seconds=seconds)


async def test_qr_arrives_in_another_chat() -> None:
    """Whoever is to be told there is known by id, number or alias, and gets the image."""
    transport = MemoryTransport(Sender(id="boss-id", alias="Boss"), Sender(id="two-id"))
    receipt = await chat(transport, "Boss", "two-id").send(QR)
    assert transport.sent == [("boss-id", QR), ("two-id", QR)]
    assert receipt.accepted_at is not None


async def test_one_who_is_reached_in_another_chat_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    """Who is unknown there keeps nobody else from being told."""
    transport = MemoryTransport(Sender(id="boss-id", alias="Boss"))
    await chat(transport, "nobody", "Boss").send("bob is out")
    assert transport.sent == [("boss-id", "bob is out")]
    assert len(caplog.records) == 1


async def test_other_chat_that_reaches_nobody_is_a_failure() -> None:
    """It is refused for good if all are; what may work later for one is tried again."""
    with pytest.raises(RejectedError):
        await chat(MemoryTransport(Sender(id="boss-id")), "nobody").send("bob is out")
    with pytest.raises(RejectedError):
        await chat(MemoryTransport()).send("bob is out")
    transport = MemoryTransport(Sender(id="boss-id"))
    transport.fail_next(TransportError("busy"))
    with pytest.raises(TransportError) as caught:
        await chat(transport, "boss-id", "nobody").send("bob is out")
    assert str(caught.value) == "busy"


async def test_other_chat_that_stays_down_is_given_up() -> None:
    """A chat that is down too is left in time, and the reason is told."""
    transport = Down()
    with pytest.raises(TransportError) as caught:
        await chat(transport, "boss-id", connect_seconds=0.1).send("bob is out")
    assert str(caught.value) == "it is down: alice is logged out"
    assert transport.left


async def test_other_chat_that_hangs_is_given_up() -> None:
    """A chat that is up and does not take a message is left in time."""
    transport = Down(is_up=True)
    with pytest.raises(TransportError) as caught:
        await chat(transport, "boss-id", seconds=0.1).send("bob is out")
    assert str(caught.value) == "it has not taken it within 0.1 s"
    assert transport.left


async def test_other_chats_own_timeout_is_its_fault() -> None:
    """What the chat's code raises by itself is not taken for our deadline."""
    transport = MemoryTransport(Sender(id="boss-id"))
    transport.fail_next(TimeoutError("its own"))
    with pytest.raises(TimeoutError):
        await chat(transport, "boss-id").send("bob is out")


def test_image_that_is_sent_shows_the_qr() -> None:
    """The image that these tests send is a QR that a phone reads."""
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(QR.data)))
    assert found.text == PAYLOAD
