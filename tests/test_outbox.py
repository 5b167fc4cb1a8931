"""Delivery: in order, again and again, and without a word of it in the log. Time is the tests' own."""

from __future__ import annotations

import asyncio
import gzip
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import RejectedError, TransportError
from logmonitor.outbox import Outbox, Retry
from logmonitor.records import Attachment, Content, Delivery, Health, Link, Priority, Qr, Receipt
from logmonitor.testing import MemoryTransport
from logmonitor.transport import Limits
from tests.outbox_bench import deliver, running

if TYPE_CHECKING:
    from collections.abc import Coroutine

_DOWN = TransportError("the chat is down")
_NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_IMAGE = Attachment(filename="qr.png", content_type="image/png", data=b"x" * 100, caption="bob needs a scan")


class _Clock:
    """A clock that moves when the outbox sleeps on it; `stopped`, its sleeps last until it goes on."""

    def __init__(self, *, stopped: bool = False) -> None:
        self.time = 0.0
        self.pauses: list[float] = []
        self.asleep = asyncio.Event()
        self.going = asyncio.Event()
        if not stopped:
            self.going.set()

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return _NOON + timedelta(seconds=self.time)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.asleep.set()
        await self.going.wait()
        await asyncio.sleep(0)
        self.time += seconds


class _Gate:
    """A chat that takes a message only when told to: `begun` has what it was given, `sent` what it took."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.begun: asyncio.Queue[Content] = asyncio.Queue()
        self.sent: list[Content] = []
        self._answers: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def send(self, _to: str, content: Content, /) -> Receipt:
        self.begun.put_nowait(content)
        answer = await self._answers.get()
        if answer is not None:
            raise answer
        self.sent.append(content)
        return Receipt(message_id=None, accepted_at=datetime.now(UTC))

    def health(self) -> Health:
        return Health(is_up=True)

    def take(self) -> None:
        self._answers.put_nowait(None)

    def fail(self, error: Exception = _DOWN) -> None:
        self._answers.put_nowait(error)


def _outbox(carrier: MemoryTransport | _Gate, clock: _Clock | None = None, **more: object) -> Outbox:
    clock = clock or _Clock()
    values: dict[str, object] = {
        "now": clock.now,
        "monotonic": clock.monotonic,
        "sleep": clock.sleep,
        "rand": lambda: 1.0,
    } | more
    return Outbox(carrier, **values)  # type: ignore[arg-type]  # the names are checked by Outbox itself


def _run(story: Coroutine[object, object, None]) -> None:
    """Run a test's story, which leaves no task behind."""

    async def with_check() -> None:
        await story
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(with_check())


def _texts(chat: MemoryTransport) -> list[Content]:
    return [content for _, content in chat.sent]


def test_outbox_sends_in_the_order_it_was_given() -> None:
    """Messages of one priority reach a recipient in order, before and after delivery began."""

    async def story() -> None:
        chat = MemoryTransport()
        outbox = _outbox(chat)
        ids = [outbox.put("admin", "one"), outbox.put("admin", "two")]
        async with running(outbox):
            assert await outbox.flush(20)
            ids.append(outbox.put("admin", "three"))
            assert await outbox.flush(20)
        assert chat.sent == [("admin", "one"), ("admin", "two"), ("admin", "three")]
        assert ids == [1, 2, 3]

    _run(story())


def test_outbox_sends_the_most_urgent_first() -> None:
    """What waits leaves by priority: QR, reply, alert, digest."""

    async def story() -> None:
        chat = MemoryTransport()
        outbox = _outbox(chat)
        for priority in reversed(Priority):
            outbox.put("admin", priority.name, priority=priority)
        assert await deliver(outbox)
        assert _texts(chat) == ["QR", "REPLY", "ALERT", "DIGEST"]

    _run(story())


def test_outbox_sends_one_message_at_a_time_to_a_recipient() -> None:
    """The second message begins when the first was taken; another recipient does not wait for it."""

    async def story() -> None:
        gate = _Gate()
        outbox = _outbox(gate)
        outbox.put("alice", "first")
        outbox.put("alice", "second")
        outbox.put("bob", "other")
        async with running(outbox):
            assert [await gate.begun.get(), await gate.begun.get()] == ["first", "other"]
            assert gate.begun.empty()
            gate.take()
            assert await gate.begun.get() == "second"
            gate.take()
            gate.take()
            assert await outbox.flush(20)
        assert sorted(map(str, gate.sent)) == ["first", "other", "second"]

    _run(story())


@pytest.mark.parametrize("part", [1.0, 0.5, 0.0])
def test_outbox_doubles_its_pauses_up_to_a_minute(part: float) -> None:
    """A message is tried again after a random part of 1, 2, 4 ... seconds, 60 at most, until it goes."""

    async def story() -> None:
        chat, clock = MemoryTransport(), _Clock()
        chat.fail_next(_DOWN, times=8)
        outbox = _outbox(chat, clock, rand=lambda: part)
        outbox.put("admin", "hello")
        assert await deliver(outbox)
        assert _texts(chat) == ["[12:00] hello" if part else "hello"]
        assert clock.pauses == [part * seconds for seconds in (1, 2, 4, 8, 16, 32, 60, 60)]

    _run(story())


def test_outbox_begins_with_a_short_pause_after_a_success() -> None:
    """Failures count in a row only."""

    async def story() -> None:
        chat, clock = MemoryTransport(), _Clock()
        outbox = _outbox(chat, clock)
        async with running(outbox):
            for _ in range(2):
                chat.fail_next(_DOWN, times=2)
                outbox.put("admin", "hello")
                assert await outbox.flush(20)
        assert clock.pauses == [1.0, 2.0, 1.0, 2.0]

    _run(story())


def test_outbox_gives_up_after_an_hour() -> None:
    """What has waited an hour is given up at its next failure, with all that has waited as long."""

    async def story() -> None:
        chat, clock = MemoryTransport(), _Clock()
        chat.fail_next(_DOWN, times=1000)
        outbox = _outbox(chat, clock)
        outbox.put("admin", "hello")
        outbox.put("admin", "world")
        assert await deliver(outbox)
        assert (chat.sent, outbox.failed, outbox.delivery().waiting) == ([], 2, 0)
        assert 3600 <= sum(clock.pauses) < 3720

    _run(story())


def test_outbox_gives_up_at_once_what_the_chat_rejects() -> None:
    """A refusal for good is not repeated, and the next message goes."""

    async def story() -> None:
        chat, clock = MemoryTransport(), _Clock()
        chat.fail_next(RejectedError("no such contact"))
        outbox = _outbox(chat, clock)
        outbox.put("admin", "refused")
        outbox.put("admin", "taken")
        assert await deliver(outbox)
        assert (_texts(chat), outbox.failed, clock.pauses) == (["taken"], 1, [])
        assert outbox.delivery() == Delivery(
            waiting=0, failed=1, dropped=0, reason="no such contact", sent_last_hour=1, sent_in_period=1
        )

    _run(story())


def test_outbox_lets_a_retry_hold_back_only_its_own_priority() -> None:
    """While a reply waits to be tried again the next reply stays behind it, and an alert goes."""

    async def story() -> None:
        gate, clock = _Gate(), _Clock(stopped=True)
        outbox = _outbox(gate, clock)
        outbox.put("admin", "reply")
        outbox.put("admin", "next reply")
        async with running(outbox):
            gate.fail()
            await clock.asleep.wait()
            outbox.put("admin", "alert", priority=Priority.ALERT)
            for _ in range(3):
                gate.take()
            assert [await gate.begun.get(), await gate.begun.get()] == ["reply", "alert"]
            assert outbox.delivery().waiting >= 2
            clock.going.set()
            assert await outbox.flush(20)
        assert gate.sent == ["alert", "reply", "next reply"]

    _run(story())


def test_outbox_replaces_what_waits_in_a_slot() -> None:
    """The newer message takes the place of the older for the same recipient, and of no other."""

    async def story() -> None:
        chat = MemoryTransport()
        outbox = _outbox(chat)
        outbox.put("admin", "old QR", slot="qr bob")
        outbox.put("admin", "text")
        outbox.put("other", "old QR", slot="qr bob")
        outbox.put("admin", "QR of carol", slot="qr carol")
        outbox.put("admin", "new QR", slot="qr bob")
        assert await deliver(outbox)
        assert [content for to, content in chat.sent if to == "admin"] == ["new QR", "text", "QR of carol"]
        assert [content for to, content in chat.sent if to == "other"] == ["old QR"]

    _run(story())


def test_outbox_replaces_in_a_slot_across_priorities() -> None:
    """A message of another priority takes the older one out and queues by its own."""

    async def story() -> None:
        chat = MemoryTransport()
        outbox = _outbox(chat)
        outbox.put("admin", "old QR", slot="qr", priority=Priority.QR)
        outbox.put("admin", "text")
        outbox.put("admin", "new QR", slot="qr", priority=Priority.DIGEST)
        assert await deliver(outbox)
        assert _texts(chat) == ["text", "new QR"]

    _run(story())


def test_outbox_replaces_what_waits_for_its_retry() -> None:
    """A message that failed once and waits in a slot is replaced like any other."""

    async def story() -> None:
        chat, clock = MemoryTransport(), _Clock(stopped=True)
        chat.fail_next(_DOWN)
        outbox = _outbox(chat, clock)
        outbox.put("admin", "old QR", slot="qr")
        async with running(outbox):
            await clock.asleep.wait()
            outbox.put("admin", "new QR", slot="qr")
            clock.going.set()
            assert await outbox.flush(20)
        assert _texts(chat) == ["new QR"]

    _run(story())


@pytest.mark.parametrize(("fails", "sent"), [(False, ["old QR", "new QR"]), (True, ["new QR"])])
def test_outbox_lets_be_what_is_being_sent(*, fails: bool, sent: list[str]) -> None:
    """A message in flight is not called back, but not tried again either once a newer one has its slot."""

    async def story() -> None:
        gate = _Gate()
        outbox = _outbox(gate)
        outbox.put("admin", "old QR", slot="qr")
        async with running(outbox):
            await gate.begun.get()
            outbox.put("admin", "newer QR", slot="qr")
            outbox.put("admin", "new QR", slot="qr")
            if fails:
                gate.fail()
            else:
                gate.take()
            gate.take()
            assert await outbox.flush(20)
        assert gate.sent == sent

    _run(story())


def test_outbox_takes_back_what_is_withdrawn() -> None:
    """What waits in a withdrawn slot is gone for every recipient; what is being sent in it is not tried again."""

    async def story() -> None:
        gate = _Gate()
        outbox = _outbox(gate)
        outbox.put("admin", "QR in flight", slot="qr")
        async with running(outbox):
            await gate.begun.get()
            outbox.put("admin", "QR", slot="qr", priority=Priority.QR)
            outbox.put("other", "QR", slot="qr")
            outbox.withdraw("qr")
            outbox.withdraw("nothing")
            gate.fail()
            assert await outbox.flush(20)
            outbox.put("admin", "text")
            gate.take()
            assert await outbox.flush(20)
        assert (gate.sent, outbox.failed) == (["text"], 0)

    _run(story())


def test_outbox_with_everything_withdrawn_has_nothing_to_wait_for() -> None:
    """A flush ends when the last message is taken back."""

    async def story() -> None:
        outbox = _outbox(MemoryTransport())
        outbox.put("admin", "QR", slot="qr")
        assert not await outbox.flush(0)
        outbox.withdraw("qr")
        assert await outbox.flush(0)

    _run(story())


def test_outbox_drops_the_oldest_of_the_least_urgent_when_full(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond its bound something goes, the least urgent first, and the log says so once a minute."""

    async def story() -> None:
        chat, clock = MemoryTransport(), _Clock()
        outbox = _outbox(chat, clock, max_waiting=2)
        outbox.put("admin", "old alert", priority=Priority.ALERT)
        outbox.put("other", "new alert", priority=Priority.ALERT)
        outbox.put("admin", "reply")
        outbox.put("admin", "digest", priority=Priority.DIGEST)
        clock.time = 61.0
        outbox.put("admin", "QR", priority=Priority.QR)
        assert (outbox.delivery().waiting, outbox.dropped, outbox.failed) == (2, 3, 3)
        assert await deliver(outbox)
        assert _texts(chat) == ["QR", "[12:00] reply"]

    _run(story())
    assert [record.getMessage() for record in caplog.records] == [
        "over 2 messages wait to be sent; 1 dropped so far",
        "over 2 messages wait to be sent; 3 dropped so far",
    ]


def test_outbox_cuts_a_long_text_and_goes_on_where_it_failed() -> None:
    """The parts of a text go in order; one that failed is tried again, those before it are not."""

    async def story() -> None:
        gate = _Gate()
        gate.limits = Limits(text_size=50)
        outbox = _outbox(gate)
        outbox.put("admin", "word " * 20)
        outbox.put("admin", "next")
        async with running(outbox):
            for fails in (False, True, False, False, False):
                await gate.begun.get()
                if fails:
                    gate.fail()
                else:
                    gate.take()
            assert await outbox.flush(20)
        assert [str(content)[:6] for content in gate.sent] == ["(1/3)\n", "(2/3)\n", "(3/3)\n", "next"]
        assert "".join(str(content)[6:] for content in gate.sent[:3]) == "word " * 20

    _run(story())


def test_outbox_sends_a_text_of_many_parts_as_a_file() -> None:
    """Above four parts its first and last lines go, and the whole of it as a file; one that failed is tried again."""

    async def story() -> None:
        gate = _Gate()
        gate.limits = Limits(text_size=120)
        outbox = _outbox(gate)
        text = "line of text\n" * 60
        outbox.put("admin", text)
        async with running(outbox):
            gate.take()
            gate.fail()
            gate.take()
            assert await outbox.flush(20)
        overview, file = gate.sent
        assert "left out here; all of it is in message-1.txt" in str(overview)
        assert file == Attachment(filename="message-1.txt", content_type="text/plain", data=text.encode())

    _run(story())


def test_outbox_sends_no_secret() -> None:
    """What is put loses its secrets there and then, by their shape and by the values given; a QR still goes."""

    async def story() -> None:
        chat = MemoryTransport()
        outbox = _outbox(chat, secrets=iter(["hush-hush"]))
        qr = Attachment(
            filename="qr.png", content_type="image/png", data=b"hush-hush", caption="scan", qr=Qr(payload="hush-hush")
        )
        outbox.put("admin", "hush-hush password: xyz")
        outbox.put("admin", Attachment(filename="a.txt", content_type="text/plain", data=b"x hush-hush"))
        outbox.put("admin", Link(title="hush-hush", url="https://example.com/"))
        outbox.put("admin", qr)
        assert await deliver(outbox)
        assert _texts(chat) == [
            "[redacted] password: [redacted]",
            Attachment(filename="a.txt", content_type="text/plain", data=b"x [redacted]"),
            Link(title="[redacted]", url="https://example.com/"),
            qr,
        ]

    _run(story())


def test_outbox_makes_what_is_large_ready_beside_everything_else() -> None:
    """A large file is cleared of secrets and packed while the loop goes on, and goes as it was made ready."""

    async def story() -> None:
        loop, begun, going = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def translate(text: str) -> str:
            loop.call_soon_threadsafe(begun.set)
            assert going.wait(20)
            return text

        chat = MemoryTransport(limits=Limits(attachment_bytes=60_000))
        outbox = _outbox(chat, secrets=["hush"], translate=translate)
        data = b"".join(b"hush %s\n" % os.urandom(30).hex().encode() for _ in range(3000))
        packing = asyncio.create_task(outbox.pack(Attachment(filename="a", content_type="text/plain", data=data)))
        await begun.wait()
        going.set()
        outbox.put("admin", await packing)
        outbox.put("admin", await outbox.pack("hush"))
        assert await deliver(outbox)
        file, text = _texts(chat)
        assert isinstance(file, Attachment)
        assert data.replace(b"hush", b"[redacted]").endswith(gzip.decompress(file.data))
        assert text == "[redacted]"

    _run(story())


def test_outbox_lets_a_qr_pass_a_long_text() -> None:
    """Something more urgent does not wait for the last part of a text."""

    async def story() -> None:
        gate = _Gate()
        gate.limits = Limits(text_size=50)
        outbox = _outbox(gate)
        outbox.put("admin", "word " * 12)
        async with running(outbox):
            await gate.begun.get()
            outbox.put("admin", "QR", priority=Priority.QR)
            for _ in range(3):
                gate.take()
            assert await outbox.flush(20)
        assert [str(content)[:5] for content in gate.sent] == ["(1/2)", "QR", "(2/2)"]

    _run(story())


def test_outbox_sends_files_and_links_as_they_are() -> None:
    """What the chat can carry is not touched."""

    async def story() -> None:
        chat = MemoryTransport()
        link = Link(title="status", url="https://example.com/")
        outbox = _outbox(chat)
        outbox.put("admin", _IMAGE)
        outbox.put("admin", link)
        assert await deliver(outbox)
        assert _texts(chat) == [_IMAGE, link]

    _run(story())


@pytest.mark.parametrize("caption", ["bob needs a scan", ""])
def test_outbox_sends_a_sentence_in_place_of_a_file_too_large(caption: str, caplog: pytest.LogCaptureFixture) -> None:
    """The caption and a sentence in the admin's language tell of a file over the chat's limit."""
    chinese = "文件 {filename} 未发送：{size} 字节，上限 {limit} 字节"

    async def story() -> None:
        chat = MemoryTransport(limits=Limits(attachment_bytes=99))
        outbox = _outbox(chat, translate=lambda _text: chinese)
        outbox.put("admin", Attachment(filename="qr.png", content_type="image/png", data=_IMAGE.data, caption=caption))
        assert await deliver(outbox)
        told = "文件 qr.png 未发送：100 字节，上限 99 字节"
        assert _texts(chat) == [f"{caption}\n{told}" if caption else told]

    _run(story())
    assert [record.getMessage() for record in caplog.records] == [
        "the file of message 1 has 100 bytes; the chat carries 99"
    ]


def test_outbox_sends_a_caption_too_long_before_its_file() -> None:
    """A caption over the limit goes as texts, and the file without it."""

    async def story() -> None:
        chat = MemoryTransport(limits=Limits(text_size=40))
        outbox = _outbox(chat)
        outbox.put(
            "admin", Attachment(filename="qr.png", content_type="image/png", data=b"x", caption="bob needs a scan " * 3)
        )
        assert await deliver(outbox)
        first, second, image = _texts(chat)
        assert (str(first)[:6], str(second)[:6]) == ("(1/2)\n", "(2/2)\n")
        assert image == Attachment(filename="qr.png", content_type="image/png", data=b"x")

    _run(story())


@pytest.mark.parametrize(
    "content",
    [
        "classified text",
        Attachment(filename="f", content_type="image/png", data=b"", caption="classified text"),
        Attachment(filename="f", content_type="image/png", data=b"", caption="ok", qr=Qr(payload="classified text")),
        Attachment(filename="f", content_type="image/png", data=b"", caption="classified text", qr=Qr()),
        Link(title="classified text", url="https://example.com/classified", description="classified"),
    ],
)
@pytest.mark.parametrize("error", [TransportError, RejectedError])
def test_outbox_logs_no_content(
    content: Content, error: type[TransportError], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a failure whose text quotes the message nor anything else brings it into the log or the status."""
    caplog.set_level("DEBUG")

    async def story() -> None:
        chat = MemoryTransport()
        chat.fail_next(error("cannot send 'classified text' with https://login.weixin.qq.com/l/classified"))
        outbox = _outbox(chat)
        outbox.put("admin", content)
        assert await deliver(outbox)
        assert "classified" not in outbox.delivery().reason

    _run(story())
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("logmonitor.sending.")]
    assert logged
    assert all("classified" not in line for line in logged)


def test_outbox_tells_an_outage_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """However often and for how many a chat fails, the log says it once, and once that it is over."""
    caplog.set_level("INFO", "logmonitor.sending")

    async def story() -> None:
        chat, clock = MemoryTransport(), _Clock()
        chat.fail_next(_DOWN, times=5)
        outbox = _outbox(chat, clock)
        outbox.put("admin", "hello")
        outbox.put("other", "hello")
        assert await deliver(outbox)

    _run(story())
    first, last = [record.getMessage() for record in caplog.records]
    assert first == "message 1 to admin did not go and will be tried again: the chat is down"
    assert last.startswith("the chat takes messages again, after ")


def test_outbox_tells_how_delivery_stands() -> None:
    """It counts what waits, and says how long the chat has failed and why, until it works again."""

    async def story() -> None:
        gate, clock = _Gate(), _Clock(stopped=True)
        outbox = _outbox(gate, clock)
        assert outbox.delivery() == Delivery(waiting=0, failed=0, dropped=0)
        outbox.put("admin", "hello")
        clock.time = 5.0
        async with running(outbox):
            await gate.begun.get()
            assert outbox.delivery() == Delivery(waiting=1, failed=0, dropped=0)
            gate.fail()
            await clock.asleep.wait()
            clock.time = 7.0
            assert outbox.delivery() == Delivery(
                waiting=1, failed=0, dropped=0, failing_for=2.0, reason="the chat is down"
            )
            clock.going.set()
            gate.take()
            assert await outbox.flush(20)
        assert outbox.delivery() == Delivery(
            waiting=0, failed=0, dropped=0, reason="the chat is down", sent_last_hour=1, sent_in_period=1
        )

    _run(story())


def test_outbox_counts_what_the_chat_took_within_an_hour() -> None:
    """Each message counts for an hour from when it went, each of its parts by itself; a refused one never."""

    async def story() -> None:
        chat, clock = MemoryTransport(limits=Limits(captions=False)), _Clock()
        outbox = _outbox(chat, clock)
        chat.fail_next(RejectedError("no such contact"))
        outbox.put("admin", "refused")
        outbox.put("admin", _IMAGE)
        assert await deliver(outbox)
        clock.time = 1800.0
        outbox.put("other", "hello")
        assert await deliver(outbox)
        counts = []
        for clock.time in (1800.0, 3599.0, 3600.0, 5399.0, 5400.0):
            counts.append(outbox.delivery().sent_last_hour)
        assert counts == [3, 3, 1, 1, 0]

    _run(story())


def test_outbox_counts_an_alert_to_several_admins_once() -> None:
    """What counts is how many alerts one person was sent at most, whether they have arrived or not."""
    outbox = _outbox(MemoryTransport())
    assert outbox.delivery().alerts == 0
    for to in ("ann", "ann", "ben"):
        outbox.put(to, "bob: ERROR", priority=Priority.ALERT)
    outbox.put("ben", "no alert")
    assert outbox.delivery().alerts == 2


def test_outbox_loses_patience_with_a_chat_that_hangs() -> None:
    """A send that never returns is a failure like any other."""

    async def story() -> None:
        gate, clock = _Gate(), _Clock(stopped=True)
        outbox = _outbox(gate, clock, retry=Retry(patience=0.0))
        outbox.put("admin", "hello")
        async with running(outbox):
            await clock.asleep.wait()
            assert outbox.delivery().reason == "the chat took longer than 0 s"
            gate.take()
            clock.going.set()
            assert await outbox.flush(20)
        assert gate.sent == ["hello"]

    _run(story())


@pytest.mark.parametrize("bug", [ValueError("bug"), TimeoutError("bug")])
def test_outbox_ends_at_a_bug_and_goes_on_when_run_again(bug: Exception) -> None:
    """What is no `TransportError` ends `run`; the message that met it is gone, the others go with the next run."""

    async def story() -> None:
        chat, clock = MemoryTransport(), _Clock(stopped=True)
        outbox = _outbox(chat, clock)
        chat.fail_next(_DOWN)
        outbox.put("admin", "held back")
        run = asyncio.create_task(outbox.run())
        await clock.asleep.wait()
        chat.fail_next(bug)
        outbox.put("admin", "met a bug", priority=Priority.ALERT)
        with pytest.raises(ExceptionGroup) as caught:
            await run
        assert caught.value.exceptions == (bug,)
        assert outbox.delivery().waiting == 1
        assert await deliver(outbox)
        assert _texts(chat) == ["held back"]

    _run(story())


def test_outbox_is_cancelled_cleanly_while_it_sends() -> None:
    """Cancelling `run` ends the send in flight, and a flush after it does not hang."""

    async def story() -> None:
        gate = _Gate()
        outbox = _outbox(gate)
        outbox.put("admin", "one")
        outbox.put("admin", "two")
        async with running(outbox):
            await gate.begun.get()
        assert not await outbox.flush(0)
        assert gate.sent == []

    _run(story())


@given(
    messages=st.lists(st.tuples(st.sampled_from(["alice", "bob"]), st.sampled_from(Priority)), max_size=12),
    failures=st.integers(min_value=0, max_value=12),
)
def test_outbox_delivers_everything_once_and_in_order(messages: list[tuple[str, Priority]], failures: int) -> None:
    """Whatever fails on the way, each message arrives once, and those of one recipient and priority in order."""

    async def story() -> None:
        chat = MemoryTransport()
        chat.fail_next(_DOWN, times=failures)
        outbox = _outbox(chat, rand=lambda: 0.0)
        for number, (to, priority) in enumerate(messages):
            outbox.put(to, f"{priority.name} {number:02}", priority=priority)
        assert await deliver(outbox)
        for to in ("alice", "bob"):
            for priority in Priority:
                expected = [f"{priority.name} {n:02}" for n, wanted in enumerate(messages) if wanted == (to, priority)]
                assert [
                    text for who, text in chat.sent if who == to and str(text).startswith(priority.name)
                ] == expected
        assert len(chat.sent) == len(messages)

    _run(story())


class _Outage(MemoryTransport):
    """A chat that says whether it is up, and takes nothing while it is down."""

    def __init__(self) -> None:
        super().__init__()
        self.up = asyncio.Event()
        self.waited_for = asyncio.Event()

    def health(self) -> Health:
        return Health(is_up=self.up.is_set())

    async def wait_until_up(self) -> None:
        if not self.up.is_set():
            self.waited_for.set()
        await self.up.wait()

    async def send(self, to: str, content: Content, /) -> Receipt:
        if not self.up.is_set():
            raise _DOWN
        return await super().send(to, content)


def test_outbox_tries_nothing_while_the_chat_says_it_is_down() -> None:
    """What waits out an outage fails in nothing, does not grow old, and is sent at once when the chat is back."""

    async def story() -> None:
        chat, clock = _Outage(), _Clock()
        outbox = _outbox(chat, clock)
        outbox.put("admin", "old QR", slot="qr", priority=Priority.QR)
        outbox.put("admin", "taken back", slot="text")
        outbox.put("other", "hello")
        async with running(outbox):
            await chat.waited_for.wait()
            outbox.put("admin", "new QR", slot="qr", priority=Priority.QR)
            outbox.withdraw("text")
            clock.time += 100_000
            assert outbox.delivery() == Delivery(waiting=2, failed=0, dropped=0)
            assert not await outbox.flush(0)
            chat.fail_next(TransportError("not yet"))
            chat.up.set()
            assert await outbox.flush(20)
        assert sorted(chat.sent) == [
            ("admin", "[2026-11-20 12:00] new QR"),
            ("other", "[2026-11-20 12:00] hello"),
        ]
        assert (outbox.failed, clock.pauses) == (0, [1.0])

    _run(story())


class _Breaking(_Outage):
    """A chat that goes down in the middle of the first message."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.broken = asyncio.Event()

    async def send(self, to: str, content: Content, /) -> Receipt:
        if not self.broken.is_set():
            self.begun.set()
            await self.broken.wait()
            raise _DOWN
        return await super().send(to, content)


@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_outbox_counts_no_failure_that_an_outage_brings(
    *, is_withdrawn: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What is being sent when the chat goes down goes back to its place, unless it was taken back meanwhile."""

    async def story() -> None:
        chat, clock = _Breaking(), _Clock()
        chat.up.set()
        outbox = _outbox(chat, clock)
        outbox.put("admin", "QR", slot="qr")
        async with running(outbox):
            await chat.begun.wait()
            if is_withdrawn:
                outbox.withdraw("qr")
            outbox.put("admin", "text")
            chat.up.clear()
            chat.broken.set()
            await chat.waited_for.wait()
            chat.up.set()
            assert await outbox.flush(20)
        assert _texts(chat) == (["text"] if is_withdrawn else ["QR", "text"])
        assert (outbox.failed, clock.pauses) == (0, [])

    _run(story())
    assert caplog.records == []


def test_outbox_lets_a_pause_end_with_an_outage() -> None:
    """What waits for its retry when an outage ends is tried at once, and fails with a short pause again."""

    async def story() -> None:
        chat, clock = _Outage(), _Clock(stopped=True)
        chat.up.set()
        outbox = _outbox(chat, clock)
        chat.fail_next(_DOWN)
        outbox.put("admin", "held")
        async with running(outbox):
            await clock.asleep.wait()
            chat.up.clear()
            outbox.put("other", "hello")
            await chat.waited_for.wait()
            assert chat.sent == []
            chat.up.set()
            assert await outbox.flush(20)
        assert sorted(chat.sent) == [("admin", "held"), ("other", "hello")]
        assert clock.pauses == [1.0]

    _run(story())


def test_outbox_sends_a_caption_before_a_file_that_carries_none() -> None:
    """In a chat without captions the text goes first, by itself, and a file that fails is tried again by itself."""

    async def story() -> None:
        gate = _Gate()
        gate.limits = Limits(captions=False)
        outbox = _outbox(gate)
        outbox.put("admin", _IMAGE)
        outbox.put("admin", Attachment(filename="f", content_type="image/png", data=b"x"))
        async with running(outbox):
            gate.take()
            gate.fail()
            gate.take()
            gate.take()
            assert await outbox.flush(20)
        bare = Attachment(filename="qr.png", content_type="image/png", data=_IMAGE.data)
        assert gate.sent == ["bob needs a scan", bare, Attachment(filename="f", content_type="image/png", data=b"x")]

    _run(story())
