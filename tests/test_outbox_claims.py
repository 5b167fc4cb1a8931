"""Who else may send what waits: a fallback that claims it, another rescuer whom a gate speaks for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import RejectedError
from logmonitor.outbox import Verdict
from logmonitor.records import MessageKey, Priority, Receipt
from logmonitor.sending.postbox import REFUSED_SECONDS
from logmonitor.store import Store
from logmonitor.transport import Limits
from tests.outbox_bench import DOWN, NOON, Chat, Clock, deliver, key_of, outbox_of, run, running, until

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.outbox import Letter, Outbox

_RECEIPT = Receipt(message_id="n1", accepted_at=NOON)


class _Gate:
    """Says what a test says, and notes what was delivered."""

    def __init__(self, verdict: Verdict = Verdict.SEND) -> None:
        self.delivered: list[tuple[str, str]] = []
        self.verdicts: dict[str, Verdict] = {}
        self._default = verdict
        self._changed = asyncio.Event()

    def verdict(self, _to: str, key: MessageKey, /) -> Verdict:
        return self.verdicts.get(key.kind, self._default)

    def note_delivered(self, to: str, key: MessageKey, /) -> None:
        self.delivered.append((to, key.kind))

    async def wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def say(self, kind: str, verdict: Verdict) -> None:
        self.verdicts[kind] = verdict
        self._changed.set()


def _claimed(outbox: Outbox, id_: int) -> Letter:
    letter = outbox.claim(id_)
    assert letter is not None
    return letter


def test_outbox_shows_what_waits_the_most_urgent_first() -> None:
    """What waits for whomever is told by urgency, then age, with what it says."""
    outbox = outbox_of(Chat())
    for to, priority in (("ann", Priority.DIGEST), ("ben", Priority.QR), ("cy", Priority.REPLY), ("ann", Priority.QR)):
        outbox.put(to, priority.name, priority=priority)
    outbox.put("dan", "too old", priority=Priority.QR, expires_at=NOON)
    assert [(one.id, one.to, one.content) for one in outbox.waiting()] == [
        (2, "ben", "QR"),
        (4, "ann", "QR"),
        (3, "cy", "REPLY"),
        (1, "ann", "DIGEST"),
    ]
    assert [(one.written_at, one.put_at) for one in outbox.waiting()] == [(NOON, 0.0)] * 4


def test_outbox_does_not_send_what_is_claimed(tmp_path: Path) -> None:
    """What is settled elsewhere never reaches the chat, what is given back goes in its order; both survive a kill."""

    async def story() -> None:
        path, chat, gate = tmp_path / "store", Chat(), _Gate()
        with Store(path) as store:
            outbox = outbox_of(chat, letters=store.letters, gate=gate)
            for text in ("one", "two", "three"):
                outbox.put("ann", text, key=key_of(text))
            one, two = _claimed(outbox, 1), _claimed(outbox, 2)
            assert (outbox.claim(1), outbox.claim(9)) == (None, None)
            assert [letter.id for letter in outbox.waiting()] == [3]
            assert outbox.delivery().waiting == 3
            assert not await outbox.flush(0)
        with Store(path) as store:
            assert [letter.id for letter in outbox_of(chat, letters=store.letters).waiting()] == [1, 2, 3]
            outbox = outbox_of(chat, letters=store.letters, gate=gate)
            one, two = _claimed(outbox, 1), _claimed(outbox, 2)
            outbox.settle(one, _RECEIPT, via="ntfy")
            outbox.give_back(two)
            outbox.give_back(two)
            assert await deliver(outbox)
            assert chat.texts == ["two", "three"]
            assert gate.delivered == [("ann", "one"), ("ann", "two"), ("ann", "three")]
            assert store.letters.undelivered() == ()
            assert outbox.put("ann", "again", key=key_of("one")) == 0

    run(story())


@pytest.mark.parametrize("is_withdrawn", [True, False])
def test_outbox_wants_nothing_sent_elsewhere_that_was_taken_back(*, is_withdrawn: bool) -> None:
    """What was withdrawn or replaced while it was claimed is not wanted any more, and not taken back."""

    async def story() -> None:
        chat = Chat()
        outbox = outbox_of(chat)
        outbox.put("ann", "old", slot="qr")
        outbox.put("ben", "old", slot="qr")
        letter = _claimed(outbox, 1)
        assert outbox.is_wanted(letter)
        if is_withdrawn:
            outbox.withdraw("qr")
        else:
            outbox.put("ann", "new", slot="qr")
        assert not outbox.is_wanted(letter)
        outbox.give_back(letter)
        assert await deliver(outbox)
        assert sorted(chat.sent) == ([] if is_withdrawn else [("ann", "new"), ("ben", "old")])

    run(story())


def test_outbox_takes_nothing_back_that_has_expired() -> None:
    """What grew too old while it was claimed is not wanted, and forgotten when it comes back."""
    clock = Clock()
    outbox = outbox_of(Chat(), clock)
    outbox.put("ann", "QR", expires_at=NOON + timedelta(seconds=5))
    letter = _claimed(outbox, 1)
    clock.time = 5.0
    assert not outbox.is_wanted(letter)
    outbox.give_back(letter)
    assert outbox.delivery().waiting == 0


@pytest.mark.parametrize("is_given_back", [True, False])
def test_outbox_breaks_an_attempt_off_that_is_claimed(*, is_given_back: bool) -> None:
    """A message that the chat hangs with can be claimed; the chat gets the next, and that one again if given back."""

    async def story() -> None:
        chat = Chat(gated=True)
        outbox = outbox_of(chat)
        outbox.put("ann", "hangs")
        outbox.put("ann", "next")
        async with running(outbox):
            await chat.begun.get()
            letter = _claimed(outbox, 1)
            assert outbox.claim(1) is None
            assert await chat.begun.get() == "next"
            if is_given_back:
                outbox.give_back(letter)
            else:
                outbox.settle(letter, _RECEIPT, via="ntfy")
            chat.take()
            chat.take()
            assert await outbox.flush(20)
        assert chat.texts == (["next", "hangs"] if is_given_back else ["next"])

    run(story())


def test_outbox_lets_nobody_claim_what_the_chat_has() -> None:
    """Between the chat's answer and its being noted a message is not to be had."""

    async def story() -> None:
        chat = Chat(gated=True)
        outbox = outbox_of(chat)
        outbox.put("ann", "hello")
        async with running(outbox):
            await chat.begun.get()
            chat.take()
            while not chat.sent:  # noqa: ASYNC110  # no later than that
                await asyncio.sleep(0)
            assert outbox.claim(1) is None
            assert await outbox.flush(20)
        assert chat.texts == ["hello"]

    run(story())


def test_outbox_believes_a_chat_that_takes_what_it_was_told_to_leave() -> None:
    """An attempt that ends well although it was broken off has delivered: the claim is void."""

    class Stubborn(Chat):
        async def send(self, to: str, content: object, /) -> Receipt:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.sent.append((to, str(content)))
            return _RECEIPT

    async def story() -> None:
        chat = Stubborn()
        outbox = outbox_of(chat)
        outbox.put("ann", "hello")
        async with running(outbox):
            await until(lambda: outbox.delivery().waiting == 1)
            for _ in range(5):
                await asyncio.sleep(0)
            letter = _claimed(outbox, 1)
            assert await outbox.flush(20)
            assert not outbox.is_wanted(letter)
            outbox.give_back(letter)
            outbox.put("ann", "once more")
            for _ in range(5):
                await asyncio.sleep(0)
        assert chat.texts == ["hello", "once more"]
        assert outbox.delivery().waiting == 0

    run(story())


def test_outbox_offers_what_the_chat_refused(tmp_path: Path) -> None:
    """A QR or alert that failed for good can be claimed for an hour: settled it has not failed, given back it has."""

    async def story() -> None:
        chat, clock = Chat(), Clock()
        chat.failures = [RejectedError("blocked")] * 4
        with Store(tmp_path / "store") as store:
            outbox = outbox_of(chat, clock, letters=store.letters)
            for text, priority in (("1", Priority.QR), ("2", Priority.ALERT), ("3", Priority.REPLY)):
                outbox.put("ann", text, priority=priority)
            outbox.put("ann", "4", priority=Priority.ALERT, slot="s")
            assert await deliver(outbox)
            assert [letter.id for letter in outbox.refused()] == [1, 2, 4]
            outbox.settle(_claimed(outbox, 1), _RECEIPT, via="ntfy")
            two, four = _claimed(outbox, 2), _claimed(outbox, 4)
            assert [letter.id for letter in outbox.refused()] == []
            outbox.withdraw("s")
            outbox.give_back(four)
            outbox.give_back(two)
            assert [letter.id for letter in outbox.refused()] == [2]
            assert (outbox.failed, [one.id for one in store.letters.undelivered()]) == (3, [2, 3, 4])
            clock.time += REFUSED_SECONDS
            assert outbox.refused() == ()
            assert outbox.claim(2) is None

    run(story())


def test_outbox_asks_who_sends_what_has_a_key() -> None:
    """What another rescuer sends waits, holds nothing up, and goes, or is dropped, as soon as that is said."""

    async def story() -> None:
        chat, gate = Chat(), _Gate(Verdict.WAIT)
        gate.verdicts["taken"] = Verdict.DROP
        outbox = outbox_of(chat, gate=gate)
        for kind in ("loss", "taken", "return"):
            outbox.put("ann", kind, key=key_of(kind))
        outbox.put("ann", "no key")
        async with running(outbox):
            assert not await outbox.flush(20)
            assert chat.texts == ["no key"]
            assert (outbox.waiting(), outbox.claim(1), outbox.delivery().waiting) == ((), None, 2)
            gate.say("loss", Verdict.SEND)
            await until(lambda: len(chat.sent) == 2)
            gate.say("return", Verdict.DROP)
            assert await outbox.flush(20)
        assert chat.texts == ["no key", "loss"]
        assert gate.delivered == [("ann", "loss")]

    run(story())


def test_outbox_ends_what_it_has_begun_whoever_else_may_send_it() -> None:
    """Of what the chat has the first part it gets the rest; what it is being given is not taken back from it."""

    async def story() -> None:
        chat, gate = Chat(gated=True, limits=Limits(text_size=10)), _Gate()
        outbox = outbox_of(chat, gate=gate)
        outbox.put("ann", "one two three", key=key_of("long"))
        outbox.put("ann", "short", key=key_of("short"), slot="s")
        async with running(outbox):
            await chat.begun.get()
            gate.say("long", Verdict.DROP)
            chat.take()
            await chat.begun.get()
            chat.take()
            await chat.begun.get()
            gate.say("short", Verdict.DROP)
            assert outbox.waiting() == ()
            chat.take()
            assert await outbox.flush(20)
        assert [str(text).split()[-1] for text in chat.texts] == ["two", "three", "short"]
        assert chat.recalled == []

    run(story())


def test_outbox_gives_up_nothing_that_it_may_not_send() -> None:
    """A copy that waits for another rescuer outlives the failures of what goes."""

    async def story() -> None:
        chat, gate, clock = Chat(), _Gate(Verdict.WAIT), Clock()
        chat.failures = [DOWN] * 1000
        outbox = outbox_of(chat, clock, gate=gate)
        outbox.put("ann", "copy", key=key_of())
        outbox.put("ann", "goes")
        async with running(outbox):
            await until(lambda: outbox.failed == 1)
            assert outbox.delivery().waiting == 1

    run(story())


def test_outbox_tells_how_long_the_oldest_of_a_bot_waits() -> None:
    """Of what has a key the oldest counts, claimed or not, by bot, from this program's start, while it is of use."""
    clock = Clock()
    clock.time = 100.0
    with Store() as store:
        outbox_of(Chat(), clock, letters=store.letters).put("ann", "old", key=key_of("old", "carol"))
        clock.time = 150.0
        outbox = outbox_of(Chat(), clock, letters=store.letters)
        outbox.put("ann", "no key")
        assert (outbox.oldest_keyed_wait("bob"), outbox.oldest_keyed_wait()) == (None, 0.0)
        clock.time = 160.0
        outbox.put("ann", "new", key=key_of(), expires_at=NOON + timedelta(seconds=175))
        _claimed(outbox, 3)
        clock.time = 170.0
        told = outbox.oldest_keyed_wait("bob"), outbox.oldest_keyed_wait("carol"), outbox.oldest_keyed_wait()
        assert told == (10.0, 20.0, 20.0)
        clock.time = 175.0
        assert outbox.oldest_keyed_wait("bob") is None
