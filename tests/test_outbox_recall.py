"""What has become useless is taken back, where the chat can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.records import Attachment, Priority
from logmonitor.sending.recalling import PAUSE_SECONDS, TRIES
from logmonitor.store import Store
from logmonitor.testing import MemoryTransport
from logmonitor.transport import Limits
from tests.outbox_bench import Chat, Clock, deliver, outbox_of, run, running, until

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.outbox import Outbox

_QR = Priority.QR


async def _send(outbox: Outbox, text: str, *, to: str = "ann", slot: str = "qr", priority: Priority = _QR) -> None:
    outbox.put(to, text, slot=slot, priority=priority)
    assert await outbox.flush(20)


def test_outbox_takes_back_a_qr_once_a_newer_one_is_there() -> None:
    """The older one goes when the newer was taken, for that recipient and that slot alone, and only once."""

    async def story() -> None:
        chat = Chat()
        outbox = outbox_of(chat)
        async with running(outbox):
            await _send(outbox, "old")
            await _send(outbox, "of ben", to="ben")
            await _send(outbox, "of carol", slot="qr carol")
            assert chat.recalled == []
            await _send(outbox, "new")
            await until(lambda: chat.recalled == ["m1"])
            await _send(outbox, "newest")
            await until(lambda: chat.recalled == ["m1", "m4"])
            outbox.withdraw("qr")
            await until(lambda: chat.recalled == ["m1", "m4", "m2", "m5"])
            outbox.withdraw("qr")
        assert chat.recalled == ["m1", "m4", "m2", "m5"]

    run(story())


def test_outbox_leaves_what_was_no_qr_where_it_is() -> None:
    """A newer text in the slot of an older does not make it untrue; taken back by name, the newest goes."""

    async def story() -> None:
        chat = Chat()
        outbox = outbox_of(chat)
        async with running(outbox):
            await _send(outbox, "ping", priority=Priority.REPLY)
            await _send(outbox, "ping again", priority=Priority.REPLY)
            outbox.withdraw("qr")
            await until(lambda: chat.recalled)
        assert chat.recalled == ["m2"]

    run(story())


def test_outbox_takes_back_all_parts_of_a_message() -> None:
    """A caption and its image are one message: neither is taken back for the other, both for a newer."""

    async def story() -> None:
        chat = Chat(limits=Limits(captions=False))
        outbox = outbox_of(chat)
        async with running(outbox):
            for name in ("old", "new"):
                image = Attachment(filename=name, content_type="image/png", data=b"x", caption=name)
                outbox.put("ann", image, slot="qr", priority=_QR)
                assert await outbox.flush(20)
            await until(lambda: chat.recalled == ["m1", "m2"])

    run(story())


@pytest.mark.parametrize("is_replaced", [True, False])
def test_outbox_takes_back_what_was_withdrawn_while_it_was_sent(*, is_replaced: bool) -> None:
    """What the chat takes though it was withdrawn meanwhile goes at once, what was replaced when the newer is there."""

    async def story() -> None:
        chat = Chat(gated=True)
        outbox = outbox_of(chat)
        outbox.put("ann", "old", slot="qr", priority=_QR)
        async with running(outbox):
            await chat.begun.get()
            if is_replaced:
                outbox.put("ann", "new", slot="qr", priority=_QR)
            else:
                outbox.withdraw("qr")
            chat.take()
            if is_replaced:
                await chat.begun.get()
                assert chat.recalled == []
                chat.take()
            await until(lambda: chat.recalled == ["m1"])

    run(story())


def test_outbox_takes_back_what_the_last_program_sent(tmp_path: Path) -> None:
    """Ids survive a restart, and so does what was still to be taken back."""

    async def story() -> None:
        path, chat = tmp_path / "store", Chat()
        with Store(path) as store:
            outbox = outbox_of(chat, letters=store.letters)
            async with running(outbox):
                await _send(outbox, "old")
        with Store(path) as store:
            outbox_of(chat, letters=store.letters).withdraw("qr")
            assert chat.recalled == []
        with Store(path) as store:
            outbox = outbox_of(chat, letters=store.letters)
            async with running(outbox):
                await until(lambda: chat.recalled == ["m1"] and not store.letters.accepted())

    run(story())


@pytest.mark.parametrize(
    ("failures", "recalled", "pauses"),
    [
        ([RejectedError("too late")], [], []),
        ([TransportError("no")] * (TRIES - 1), ["m1"], [PAUSE_SECONDS] * (TRIES - 1)),
        ([TransportError("no")] * TRIES, [], [PAUSE_SECONDS] * (TRIES - 1)),
        ([ThrottledError("too often", retry_after=7.0)] * 5, ["m1"], [7.0] * 5),
    ],
)
def test_outbox_tries_a_few_times_to_take_back(
    tmp_path: Path, failures: list[Exception], recalled: list[str], pauses: list[float]
) -> None:
    """What cannot be taken back is forgotten, at once or after some tries; a throttled chat is let be."""

    async def story() -> None:
        chat, clock = Chat(), Clock()
        chat.recall_failures = list(failures)
        with Store(tmp_path / "store") as store:
            outbox = outbox_of(chat, clock, letters=store.letters)
            async with running(outbox):
                await _send(outbox, "old")
                outbox.withdraw("qr")
                await until(lambda: not store.letters.accepted())
        assert (chat.recalled, clock.pauses) == (recalled, pauses)

    run(story())


def test_outbox_loses_patience_with_a_recall_that_hangs_and_goes_on_where_it_was_broken_off() -> None:
    """A recall that is under way when delivery ends is done by the next run."""

    class Hanging(Chat):
        hangs = True

        async def recall(self, message_id: str, /) -> None:
            await super().recall(message_id)
            if self.hangs:
                self.recalled.pop()
                await until(lambda: not self.hangs)

    async def story() -> None:
        chat = Hanging()
        outbox = outbox_of(chat)
        async with running(outbox):
            await _send(outbox, "old")
            outbox.withdraw("qr")
            await chat.was_asked_to_recall.wait()
        chat.hangs = False
        async with running(outbox):
            await until(lambda: chat.recalled == ["m1"])

    run(story())


def test_outbox_remembers_nothing_for_a_chat_that_takes_nothing_back(tmp_path: Path) -> None:
    """Without a way to recall no ids are kept."""

    async def story() -> None:
        chat = MemoryTransport()
        with Store(tmp_path / "store") as store:
            outbox = outbox_of(chat, letters=store.letters)
            outbox.put("admin", "QR", slot="qr", priority=_QR)
            assert await deliver(outbox)
            outbox.withdraw("qr")
            assert store.letters.accepted() == ()

    run(story())
