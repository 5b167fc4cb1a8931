"""The life of messages through failures, withdrawals and kills, against a model of what has to become of each."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.errors import RejectedError, ThrottledError
from logmonitor.records import Content, Health, Priority, Receipt
from logmonitor.store import Store
from logmonitor.transport import Limits
from tests.outbox_bench import DEADLINE, DOWN, NOON, Clock, outbox_of

_STAMP = re.compile(r"^\[[^]]*\] ")
_SLOTS = st.sampled_from([None, None, None, "a", "b"])
_PUTS = st.tuples(st.just("put"), st.sampled_from(["ann", "ben"]), st.sampled_from(Priority), _SLOTS)
_WITHDRAWALS = st.tuples(st.just("withdraw"), st.sampled_from(["a", "b"]))
_ANSWERS = st.sampled_from(["take", "take", "fail", "throttle", "refuse", "kill before", "kill after"])
_DELIVERIES = st.tuples(st.just("deliver"), st.lists(_ANSWERS, max_size=6))
_KILLS = st.tuples(st.just("kill"))


class _Chat:
    """Answers as it is told, then takes everything; `killed` is set where the program is to end."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.answers: list[str] = []
        self.taken: list[tuple[str, str]] = []
        self.refused: set[str] = set()
        self.unnoted: list[str] = []
        self.killed = asyncio.Event()

    async def send(self, to: str, content: Content, /) -> Receipt:
        if self.killed.is_set():
            await asyncio.Event().wait()
        text = _STAMP.sub("", str(content))
        answer = self.answers.pop(0) if self.answers else "take"
        match answer:
            case "fail":
                raise DOWN
            case "throttle":
                raise ThrottledError("too often")
            case "refuse":
                self.refused.add(text)
                raise RejectedError("no")
            case "kill after":
                self.unnoted.append(text)
                self.taken.append((to, text))
            case "take":
                self.taken.append((to, text))
        if answer.startswith("kill"):
            self.killed.set()
            await asyncio.Event().wait()
        return Receipt(message_id=text, accepted_at=NOON)

    def health(self) -> Health:
        return Health(is_up=True)


class _Life:
    """One store, the programs that use it one after the other, and what was asked of them."""

    def __init__(self) -> None:
        self.store = Store()
        self.clock = Clock()
        self.chat = _Chat()
        self.put: list[tuple[str, str, Priority, str | None]] = []
        self.taken_back: dict[str, int] = {}
        """How much had been taken when a message was withdrawn or replaced, by its text."""
        self.begin()

    def begin(self) -> None:
        """Start a program, the one before being dead."""
        self.chat.killed.clear()
        self.outbox = outbox_of(self.chat, self.clock, letters=self.store.letters, rand=lambda: 0.0)

    def do_put(self, to: str, priority: Priority, slot: str | None) -> None:
        """Send something."""
        if slot is not None:
            self.note_taken_back(slot, to)
        text = f"message {len(self.put)}"
        self.put.append((text, to, priority, slot))
        self.outbox.put(to, text, priority=priority, slot=slot)

    def note_taken_back(self, slot: str, to: str | None = None) -> None:
        """Note what is not to be sent any more."""
        for text, recipient, _, waiting_slot in self.put:
            if waiting_slot == slot and to in (None, recipient):
                self.taken_back.setdefault(text, len(self.chat.taken))

    async def deliver(self, answers: list[str]) -> None:
        """Let the program run until nothing waits, or it is killed."""
        self.chat.answers = answers
        running = asyncio.create_task(self.outbox.run())
        ends = {asyncio.create_task(self.outbox.flush(DEADLINE)), asyncio.create_task(self.chat.killed.wait())}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, *ends):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self.chat.killed.is_set():
            self.begin()

    def check(self) -> None:
        """Hold what became of each message against what had to."""
        texts = [text for _, text in self.chat.taken]
        for text, to, _, _ in self.put:
            times = texts.count(text)
            assert times <= 1 + self.chat.unnoted.count(text), "sent twice without a kill in between"
            if text in self.taken_back:
                assert text not in texts[self.taken_back[text] :], "sent after it was taken back"
            elif text in self.chat.refused:
                assert times == self.chat.unnoted.count(text), "sent though it was refused"
            else:
                assert times, "lost"
            assert {recipient for recipient, sent in self.chat.taken if sent == text} <= {to}
        for kind in {(to, priority) for _, to, priority, _ in self.put}:
            plain = [text for text, to, priority, slot in self.put if (to, priority) == kind and slot is None]
            first = [text for text in dict.fromkeys(texts) if text in plain]
            assert first == [text for text in plain if text in first], "out of order"
        kept = {f"message {one.id - 1}" for one in self.store.letters.undelivered()}
        assert kept == self.chat.refused, "what failed is not what is kept"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(_PUTS, _PUTS, _WITHDRAWALS, _DELIVERIES, _KILLS), max_size=14))
def test_outbox_loses_nothing_and_doubles_only_what_a_kill_kept_from_being_noted(
    deeds: list[tuple[object, ...]],
) -> None:
    """Whatever is put, taken, refused, throttled and taken back in between, and wherever the program is killed.

    A message is taken once, in its order, unless it was taken back before, or refused, which is kept; it is taken again
    only where the program was killed between the chat's taking it and its being noted.
    """

    async def story() -> None:
        life = _Life()
        for deed in deeds:
            match deed:
                case ("put", str(to), Priority() as priority, slot):
                    life.do_put(to, priority, slot if isinstance(slot, str) else None)
                case ("withdraw", str(slot)):
                    life.note_taken_back(slot)
                    life.outbox.withdraw(slot)
                case ("deliver", list(answers)):
                    await life.deliver(list(answers))
                case _:
                    life.begin()
        while life.outbox.delivery().waiting:
            await life.deliver([])
        life.check()

    asyncio.run(story())
