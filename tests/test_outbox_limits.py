"""What a chat takes: so much in a period, so much in answer; and what becomes of what it throttles."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import ThrottledError, TransportError
from logmonitor.records import Priority
from logmonitor.store import Store
from logmonitor.transport import Limits
from tests.outbox_bench import NOON, Chat, Clock, deliver, outbox_of, run, running, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("asked", "waited"), [(None, 60.0), (30.0, 30.0), (0.0, 1.0), (float("nan"), 60.0)])
def test_outbox_lets_a_chat_be_that_was_sent_too_much(asked: float | None, waited: float) -> None:
    """Nothing is tried for so long as the chat asked, for anybody; nothing has failed, nothing is given up."""

    async def story() -> None:
        chat, clock = Chat(), Clock(stopped=True)
        chat.failures = [ThrottledError("too often", retry_after=asked)]
        outbox = outbox_of(chat, clock)
        outbox.put("ann", "one")
        async with running(outbox):
            await clock.asleep.wait()
            outbox.put("ben", "two", priority=Priority.QR)
            told = outbox.delivery()
            assert (told.waiting, told.failed, told.failing_for, told.paused_for) == (2, 0, None, waited)
            assert (told.reason, chat.begun.qsize()) == ("too often", 1)
            clock.going.set()
            assert await outbox.flush(20)
        assert sorted(chat.sent) == [("ann", "one"), ("ben", "two")]
        assert outbox.delivery().paused_for is None
        assert set(clock.pauses) == {waited}

    run(story())


def test_outbox_does_not_age_what_a_throttled_chat_holds_up() -> None:
    """After a day of pauses a message still has its hour of retries."""

    async def story() -> None:
        chat, clock = Chat(), Clock()
        chat.failures = [ThrottledError("too often", retry_after=86_400.0), TransportError("no")]
        outbox = outbox_of(chat, clock)
        outbox.put("ann", "one")
        assert await deliver(outbox)
        assert (chat.texts, outbox.failed) == (["[2026-11-20 12:00] one"], 0)

    run(story())


def test_outbox_lets_a_message_be_replaced_while_the_chat_is_throttled() -> None:
    """What is throttled waits in its place like any other, and is not sent once it is withdrawn."""

    async def story() -> None:
        chat, clock = Chat(), Clock(stopped=True)
        chat.failures = [ThrottledError("too often")]
        outbox = outbox_of(chat, clock)
        outbox.put("ann", "old QR", slot="qr")
        outbox.put("ann", "text", slot="text")
        async with running(outbox):
            await clock.asleep.wait()
            outbox.put("ann", "new QR", slot="qr")
            outbox.withdraw("text")
            clock.going.set()
            assert await outbox.flush(20)
        assert chat.texts == ["new QR"]

    run(story())


def test_outbox_sends_no_more_than_a_chat_takes_in_a_period() -> None:
    """In any period there go as many as the chat takes, the last fifth of them QRs alone, the most urgent first."""

    async def story() -> None:
        chat, clock = Chat(limits=Limits(per_period=10, period=100.0)), Clock()
        outbox = outbox_of(chat, clock)
        for number in range(12):
            outbox.put("ann", f"alert {number}", priority=Priority.ALERT)
        async with running(outbox):
            assert await outbox.flush(20)
        alerts = [f"alert {number}" for number in range(12)]
        assert chat.texts == [*alerts[:8], *(f"[12:00] {text}" for text in alerts[8:])]
        assert clock.pauses == [100.0]

    run(story())


def test_outbox_keeps_room_for_qrs() -> None:
    """With nothing left for alerts a QR goes at once, up to what the chat takes at all."""

    async def story() -> None:
        chat, clock = Chat(limits=Limits(per_period=10, period=100.0)), Clock(stopped=True)
        outbox = outbox_of(chat, clock)
        for number in range(9):
            outbox.put("ann", f"alert {number}", priority=Priority.ALERT)
        async with running(outbox):
            await clock.asleep.wait()
            assert len(chat.sent) == 8
            for number in range(3):
                outbox.put(f"admin {number}", "QR", priority=Priority.QR)
            await until(lambda: len(chat.sent) == 10)
            assert outbox.delivery().sent_in_period == 10
            clock.going.set()
            assert await outbox.flush(20)
        assert len(chat.sent) == 12
        assert clock.time == 100.0

    run(story())


def test_outbox_gives_what_is_left_to_the_most_urgent() -> None:
    """Of several recipients' messages the more urgent gets what the chat takes last."""

    async def story() -> None:
        chat, clock = Chat(limits=Limits(per_period=2, period=100.0), gated=True), Clock()
        outbox = outbox_of(chat, clock)
        outbox.put("ann", "digest", priority=Priority.DIGEST)
        outbox.put("ben", "alert", priority=Priority.ALERT)
        async with running(outbox):
            chat.take()
            await until(lambda: chat.sent)
            assert chat.texts == ["alert"]
            chat.take()
            assert await outbox.flush(20)
        assert (chat.texts[1:], clock.time) == (["[12:00] digest"], 100.0)

    run(story())


@pytest.mark.parametrize("fails", [False, True])
def test_outbox_counts_what_is_under_way(*, fails: bool) -> None:
    """Two recipients at once do not get more than the chat takes; what failed makes room again."""

    async def story() -> None:
        chat, clock = Chat(limits=Limits(per_period=1, period=100.0), gated=True), Clock(stopped=True)
        outbox = outbox_of(chat, clock)
        outbox.put("ann", "one")
        outbox.put("ben", "two")
        async with running(outbox):
            await chat.begun.get()
            for _ in range(20):
                await asyncio.sleep(0)
            assert chat.begun.empty()
            if fails:
                chat.fail()
                assert await chat.begun.get() == "two"
            chat.take()
            await until(lambda: len(chat.sent) == 1)
            clock.going.set()
            chat.take()
            assert await outbox.flush(20)
        assert len(chat.sent) == 2

    run(story())


def test_outbox_counts_from_before_a_restart(tmp_path: Path) -> None:
    """What the last program sent counts for this one, whatever the clock was set to in between."""

    async def story() -> None:
        limits = Limits(per_period=5, period=7200.0, per_inbound=5)
        path = tmp_path / "store"
        with Store(path) as store:
            outbox = outbox_of(Chat(limits=limits), letters=store.letters)
            for number in range(4):
                outbox.put("ann", str(number))
            assert await deliver(outbox)
        for clock in (clock_at(1800.0), clock_at(-1800.0)):
            with Store(path) as store:
                chat = Chat(limits=limits)
                outbox = outbox_of(chat, clock, letters=store.letters)
                told = outbox.delivery()
                assert (told.sent_last_hour, told.sent_in_period, told.waiting) == (4, 4, 0)
                outbox.put("ann", "waits", slot="s")
                assert not await deliver(outbox)
                assert outbox.delivery().unanswered == ("ann",)
                outbox.withdraw("s")
        with Store(path) as store:
            outbox = outbox_of(Chat(limits=limits), clock_at(9 * 3600.0), letters=store.letters)
            assert outbox.delivery().sent_in_period == 0

    def clock_at(seconds: float) -> Clock:
        clock = Clock()
        clock.set_by = timedelta(seconds=seconds)
        return clock

    run(story())


def test_outbox_waits_for_a_word_from_a_conversation_that_had_its_share(tmp_path: Path) -> None:
    """After so many messages a conversation gets no more, but QRs, until something comes from there; others do."""

    async def story() -> None:
        chat = Chat(limits=Limits(per_inbound=5))
        path = tmp_path / "store"
        with Store(path) as store:
            outbox = outbox_of(chat, letters=store.letters)
            for number in range(5):
                outbox.put("ann", f"alert {number}", priority=Priority.ALERT)
            outbox.put("ben", "hello")
            assert not await deliver(outbox)
            assert len(chat.sent) == 5
            assert outbox.delivery().unanswered == ("ann",)
            outbox.put("ann", "QR", priority=Priority.QR)
            outbox.put("ann", "QR too many", priority=Priority.QR)
            assert not await deliver(outbox)
            assert chat.texts[-1] == "QR"
        with Store(path) as store:
            outbox = outbox_of(chat, letters=store.letters)
            async with running(outbox):
                assert not await outbox.flush(20)
                outbox.note_inbound("ben")
                outbox.note_inbound("nobody")
                assert not await outbox.flush(20)
                outbox.note_inbound("ann")
                assert await outbox.flush(20)
            assert chat.texts[-2:] == ["QR too many", "alert 4"]
        with Store(path) as store:
            assert store.letters.unanswered() == {"ann": 2}

    run(story())


def test_outbox_flushes_nothing_that_waits_for_somebody() -> None:
    """The end of a program is not held up by what cannot go now anyway."""

    async def story() -> None:
        outbox = outbox_of(Chat(limits=Limits(per_inbound=1)))
        outbox.put("ann", "one")
        outbox.put("ann", "two")
        assert not await deliver(outbox)
        assert outbox.delivery().waiting == 1

    run(story())


def test_outbox_tells_the_time_of_what_it_sent_by_the_chats_period() -> None:
    """The hour and the chat's own period are counted each for itself."""

    async def story() -> None:
        chat, clock = Chat(limits=Limits(per_period=100, period=7200.0)), Clock()
        outbox = outbox_of(chat, clock)
        outbox.put("ann", "one")
        assert await deliver(outbox)
        clock.time = 5000.0
        told = outbox.delivery()
        assert (told.sent_last_hour, told.sent_in_period, clock.now() - NOON) == (0, 1, timedelta(seconds=5000))

    run(story())


def test_outbox_keeps_room_for_qrs_over_a_restart(tmp_path: Path) -> None:
    """What the last program sent leaves the same room for QRs, in the period and for a conversation, and no more."""

    async def story() -> None:
        path = tmp_path / "store"
        for limits in (Limits(per_period=5, period=3600.0), Limits(per_inbound=5)):
            with Store(path) as store:
                outbox = outbox_of(Chat(limits=limits), Clock(stopped=True), letters=store.letters)
                for number in range(5):
                    outbox.put("ann", f"alert {number}", priority=Priority.ALERT)
                async with running(outbox):
                    await until(lambda: outbox.delivery().waiting == 1)  # noqa: B023  # awaited here
            with Store(path) as store:
                chat = Chat(limits=limits)
                outbox = outbox_of(chat, Clock(stopped=True), letters=store.letters)
                outbox.put("ann", "QR 1", priority=Priority.QR)
                outbox.put("ann", "QR 2", priority=Priority.QR)
                async with running(outbox):
                    await until(lambda: chat.sent)  # noqa: B023  # awaited here
                    assert [letter.content for letter in outbox.waiting()] == ["QR 2", "alert 4"]
                assert chat.texts == ["QR 1"]
            path = tmp_path / "another"

    run(story())


def test_outbox_sends_what_is_least_urgent_once_the_rest_is_gone() -> None:
    """A digest waits for whatever is more urgent, however much of it comes, and for nothing longer than that."""

    async def story() -> None:
        chat = Chat(gated=True)
        outbox = outbox_of(chat)
        outbox.put("ann", "digest", priority=Priority.DIGEST)
        outbox.put("ann", "reply 0")
        async with running(outbox):
            for number in range(1, 20):
                await chat.begun.get()
                outbox.put("ann", f"reply {number}")
                chat.take()
            chat.take()
            chat.take()
            assert await outbox.flush(5)
        assert chat.texts == [*(f"reply {number}" for number in range(20)), "digest"]

    run(story())
