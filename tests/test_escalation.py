"""What the chat does not take goes by the fallbacks: in time, in order, and once."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from logmonitor import escalation
from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.escalating.way import Way
from logmonitor.escalation import Escalation
from logmonitor.records import Attachment, Content, Delivery, MessageKey, Priority, Receipt
from logmonitor.sending.letter import Letter
from logmonitor.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    import pytest

ADMINS: Final = {"boss-id": ("Boss",), "deputy-id": ("Deputy",), "stranger-id": ()}
PICTURE: Final = Attachment(filename="bob-qr.png", content_type="image/png", data=b"\x89PNG", caption="scan it")
KEY: Final = MessageKey(watch="bob", loss="1", kind="qr")


class Letters:
    """An outbox whose chat takes nothing."""

    def __init__(self, clock: FakeClock) -> None:
        """Begin empty."""
        self._clock = clock
        self.letters: dict[int, Letter] = {}
        self._count = 0
        self.given_up: dict[int, Letter] = {}
        self.settled: list[tuple[int, str]] = []
        self.failing_since: float | None = None

    def put(
        self, content: Content, *, to: str = "boss-id", priority: Priority = Priority.QR, slot: str | None = None
    ) -> Letter:
        """Take a letter."""
        self._count += 1
        number = self._count
        letter = Letter(
            id=number,
            to=to,
            content=content,
            priority=priority,
            slot=slot,
            written_at=self._clock.now(),
            put_at=self._clock.monotonic(),
        )
        self.letters[number] = letter
        return letter

    def waiting(self) -> tuple[Letter, ...]:
        """Return what waits."""
        return tuple(sorted(self.letters.values(), key=lambda letter: (letter.priority, letter.id)))

    def refused(self) -> tuple[Letter, ...]:
        """Return what the chat has refused."""
        return tuple(self.given_up.values())

    def claim(self, id_: int, /) -> Letter | None:
        """Hand a letter over."""
        return self.letters.pop(id_, None) or self.given_up.pop(id_, None)

    def give_back(self, letter: Letter, /) -> None:
        """Take it back."""
        self.letters[letter.id] = letter

    def settle(self, letter: Letter, receipt: Receipt, /, *, via: str) -> None:
        """Note that it is delivered."""
        assert receipt.accepted_at.tzinfo is UTC
        self.settled.append((letter.id, via))

    def delivery(self) -> Delivery:
        """Tell how the chat does."""
        failing_for = None if self.failing_since is None else self._clock.monotonic() - self.failing_since
        return Delivery(waiting=len(self.letters), failed=0, dropped=0, failing_for=failing_for)


class Service:
    """A fallback's other end: `said` is what it was told, `answers` what it raises for the next ones."""

    def __init__(self, clock: FakeClock, name: str = "mail") -> None:
        """Begin by taking everything."""
        self._clock = clock
        self.name = name
        self.said: list[Content] = []
        self.answers: list[Exception] = []
        self.going = asyncio.Event()
        self.going.set()

    async def send(self, content: Content) -> Receipt:
        """Take or refuse what is sent."""
        self.said.append(content)
        await self.going.wait()
        if self.answers:
            raise self.answers.pop(0)
        return Receipt(message_id=None, accepted_at=self._clock.now())

    def way(self, after: float = 60.0, *, admins: tuple[str, ...] | None = None, carries_files: bool = True) -> Way:
        """Return the way to it."""
        return Way(name=self.name, after=after, admins=admins, carries_files=carries_files, send=self.send)


class Bench:
    """A clock, letters, two services, and a chat that is up or down."""

    def __init__(self) -> None:
        """Begin with a chat that is up."""
        self.clock = FakeClock()
        self.letters = Letters(self.clock)
        self.first, self.second = Service(self.clock, "mail"), Service(self.clock, "ntfy")
        self.is_up = True
        self.admins: dict[str, tuple[str, ...]] | None = ADMINS
        self.escalation: Escalation

    @asynccontextmanager
    async def running(self, *ways: Way) -> AsyncIterator[None]:
        """Escalate."""

        def admins_behind(to: str) -> Collection[str] | None:
            return None if self.admins is None else self.admins.get(to)

        self.escalation = Escalation(
            ways or (self.first.way(), self.second.way()),
            self.letters,
            clock=self.clock,
            is_up=lambda: self.is_up,
            admins_behind=admins_behind,
            zone=UTC,
        )
        task = asyncio.create_task(self.escalation.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_message_that_is_not_taken_in_time_goes_by_the_first_fallback() -> None:
    """Before its time nothing goes; then it goes once, with the time at which it was written, and is settled."""
    bench = Bench()
    async with bench.running():
        bench.letters.put("bob is out")
        await bench.clock.move_on(59)
        assert bench.first.said == []
        await bench.clock.move_on(600)
    assert bench.first.said == ["bob is out"]
    assert bench.second.said == []
    assert bench.letters.settled == [(1, "mail")]


async def test_late_message_tells_when_it_was_written() -> None:
    """What goes more than a minute after it was written says when that was."""
    bench = Bench()
    async with bench.running(bench.first.way(120.0)):
        bench.letters.put("bob is out")
        bench.letters.put(PICTURE)
        await bench.clock.move_on(121)
    assert bench.first.said == ["[12:00] bob is out", replace(PICTURE, caption="[12:00] scan it")]


async def test_chat_that_is_down_for_long_is_not_waited_for() -> None:
    """While the chat has been down for longer than the fallback waits, a message goes at once; once it is up, not."""
    bench = Bench()
    async with bench.running():
        bench.is_up = False
        await bench.clock.move_on(60)
        bench.letters.put("bob is out")
        await bench.clock.move_on(1)
        assert bench.first.said == ["bob is out"]
        bench.is_up = True
        await bench.clock.move_on(1)
        bench.letters.put("bob is still out")
        await bench.clock.move_on(58)
        assert bench.first.said == ["bob is out"]
        await bench.clock.move_on(2)
        assert bench.first.said == ["bob is out", "bob is still out"]


async def test_message_is_as_old_as_it_is_whatever_clock_is_set() -> None:
    """What was written before this program has waited since then; a clock that is set makes nothing wait, nor go."""
    bench = Bench()
    async with bench.running():
        letter = bench.letters.put("bob is out")
        bench.letters.letters[1] = replace(
            letter, put_at=letter.put_at - 58, written_at=letter.written_at + timedelta(days=1)
        )
        behind = bench.letters.put("bob is still out")
        bench.letters.letters[2] = replace(behind, written_at=behind.written_at - timedelta(days=1))
        await bench.clock.move_on(3)
        assert bench.first.said == ["bob is out"]
        await bench.clock.move_on(58)
        assert [str(said).endswith("bob is still out") for said in bench.first.said] == [False, True]


async def test_second_fallback_has_what_the_first_does_not_take() -> None:
    """A failure of the first is followed by the second at once; once the first works again it has its place back."""
    bench = Bench()
    bench.first.answers = [TransportError("mail is down")]
    async with bench.running():
        bench.letters.put("bob is out")
        await bench.clock.move_on(61)
        assert (bench.first.said, bench.second.said) == (["bob is out"], ["[12:00] bob is out"])
        assert bench.letters.settled == [(1, "ntfy")]
        bench.letters.put("bob is back")
        await bench.clock.move_on(61)
        assert (bench.first.said[1:], bench.second.said[1:]) == (["bob is back"], [])


async def test_fallbacks_are_tried_again_until_one_takes_it() -> None:
    """While all fail each is tried again, ever more seldom, and in the end it arrives once."""
    bench = Bench()
    bench.first.answers = [TransportError("down")] * 4
    bench.second.answers = [TransportError("down")] * 4
    async with bench.running():
        bench.letters.put("bob is out")
        await bench.clock.move_on(60 + 5 + 10 + 20 - 1)
        assert (len(bench.first.said), len(bench.second.said)) == (3, 3)
        await bench.clock.move_on(300)
    assert bench.letters.settled == [(1, "mail")]
    assert (len(bench.first.said), len(bench.second.said)) == (5, 4)


async def test_fallback_that_takes_no_more_is_left_alone() -> None:
    """A limit is not run into again before its time; meanwhile the next one has what comes."""
    bench = Bench()
    bench.first.answers = [ThrottledError("mail takes no more", retry_after=300)]
    async with bench.running():
        bench.letters.put("one")
        await bench.clock.move_on(61)
        bench.letters.put("two")
        await bench.clock.move_on(61)
        assert (bench.first.said, bench.second.said) == (["one"], ["[12:00] one", "two"])
        await bench.clock.move_on(240)
        bench.letters.put("three")
        await bench.clock.move_on(61)
        assert bench.first.said == ["one", "three"]


async def test_message_that_a_fallback_refuses_is_not_offered_to_it_again() -> None:
    """What was refused for good goes to the next at once, and back to the chat where there is none."""
    bench = Bench()
    bench.first.answers = [RejectedError("mail says no"), RejectedError("mail says no")]
    async with bench.running(bench.first.way(), bench.second.way()):
        bench.letters.put("one")
        await bench.clock.move_on(61)
        assert bench.letters.settled == [(1, "ntfy")]
        bench.second.answers = [RejectedError("ntfy says no")]
        bench.letters.put("two")
        await bench.clock.move_on(400)
    assert (bench.first.said[1:], bench.second.said[1:]) == (["two"], ["[12:01] two"])
    assert list(bench.letters.letters) == [2]


async def test_fallback_that_hangs_holds_up_no_other() -> None:
    """While one message is tried by the first, another one that is due goes by the second once the first rests."""
    bench = Bench()
    bench.first.answers = [TransportError("mail hung")]
    bench.first.going.clear()
    async with bench.running():
        bench.letters.put("one")
        await bench.clock.move_on(61)
        assert (bench.letters.waiting(), bench.second.said) == ((), [])
        bench.first.going.set()
        await bench.clock.move_on(1)
    assert bench.second.said == ["[12:00] one"]
    assert bench.letters.settled == [(1, "ntfy")]


async def test_message_to_several_admins_goes_once() -> None:
    """One place is told once what is to be told to two people, and both count as told; a repetition is another one."""
    bench = Bench()
    async with bench.running():
        for to in ("boss-id", "deputy-id", "boss-id"):
            bench.letters.put("bob is out", to=to)
        await bench.clock.move_on(62)
    assert bench.first.said == ["bob is out", "bob is out"]
    assert bench.letters.settled == [(1, "mail"), (2, "mail"), (3, "mail")]


async def test_only_what_is_urgent_and_for_admins_is_escalated() -> None:
    """Replies, digests, and what a stranger asked for wait for the chat."""
    bench = Bench()
    async with bench.running():
        bench.letters.put("reply", priority=Priority.REPLY)
        bench.letters.put("digest", priority=Priority.DIGEST)
        bench.letters.put("the QR that a guest asked for", to="stranger-id")
        bench.letters.put("alert", priority=Priority.ALERT)
        await bench.clock.move_on(300)
    assert bench.first.said == ["alert"]


async def test_recipient_whom_nobody_knows_yet_may_be_an_admin() -> None:
    """After a restart without a chat ids have no names: what was for one of them is escalated nevertheless."""
    bench = Bench()
    bench.admins = None
    async with bench.running(bench.first.way(admins=("Deputy",))):
        bench.letters.put("bob is out", to="some-id")
        await bench.clock.move_on(61)
    assert bench.first.said == ["bob is out"]


async def test_fallback_of_one_admin_has_no_others_messages() -> None:
    """A channel that is one admin's is told what he is told, and the next ones all the rest."""
    bench = Bench()
    async with bench.running(bench.first.way(admins=("Deputy",)), bench.second.way()):
        bench.letters.put("for the boss", to="boss-id")
        bench.letters.put("for both", to="boss-id")
        bench.letters.put("for both", to="deputy-id")
        await bench.clock.move_on(62)
    assert bench.first.said == ["for both"]
    assert bench.second.said == ["for the boss", "for both"]
    assert sorted(bench.letters.settled) == [(1, "ntfy"), (2, "ntfy"), (3, "mail")]


async def test_picture_goes_by_a_fallback_that_shows_it() -> None:
    """One without images is passed over for a QR that nothing but an image shows, unless there is no other."""
    bench = Bench()
    first = bench.first.way(carries_files=False)
    async with bench.running(first, bench.second.way()):
        bench.letters.put(PICTURE)
        await bench.clock.move_on(61)
    assert (bench.first.said, bench.second.said) == ([], [PICTURE])
    async with bench.running(first):
        bench.letters.put(PICTURE)
        await bench.clock.move_on(61)
    assert bench.first.said == [PICTURE]


async def test_message_that_is_withdrawn_is_not_escalated() -> None:
    """What was taken back goes nowhere."""
    bench = Bench()
    async with bench.running():
        letter = bench.letters.put("withdrawn")
        await bench.clock.move_on(30)
        del bench.letters.letters[letter.id]
        await bench.clock.move_on(300)
    assert bench.first.said == []


async def test_message_that_the_chat_refuses_goes_at_once() -> None:
    """Nobody waits for a chat that will not take a message."""
    bench = Bench()
    async with bench.running():
        letter = bench.letters.put("bob is out")
        bench.letters.given_up[1] = bench.letters.letters.pop(letter.id)
        bench.letters.put("bob is still out")
        await bench.clock.move_on(2)
    assert bench.first.said == ["bob is out"]
    assert bench.letters.settled == [(1, "mail")]


async def test_message_that_somebody_else_took_meanwhile_is_left_alone() -> None:
    """A letter that cannot be had is not sent."""
    bench = Bench()
    bench.letters.claim = lambda id_, /: None  # type: ignore[method-assign]  # noqa: ARG005  # the chat has just taken it
    async with bench.running():
        bench.letters.put("bob is out")
        await bench.clock.move_on(120)
    assert bench.first.said == []


async def test_qr_that_replaces_another_is_not_waited_for_as_long_again() -> None:
    """A chat that is up and takes nothing has each new QR for some seconds, though none gets as old as it may get."""
    bench = Bench()
    async with bench.running():
        for age in range(0, 240, 30):
            bench.letters.letters.clear()
            bench.letters.put(f"QR {age}", slot="qr")
            await bench.clock.move_on(30)
            bench.letters.failing_since = 30.0
        assert bench.first.said == ["QR 60", "QR 90", "QR 120", "QR 150", "QR 180", "QR 210"]
        bench.letters.failing_since = None
        bench.letters.put("QR 240", slot="qr")
        await bench.clock.move_on(59)
        assert len(bench.first.said) == 6


async def test_slow_fallback_has_not_everything_to_itself() -> None:
    """What the first does not get round to goes by the second, and everything goes once."""
    bench = Bench()
    send = bench.first.send

    async def send_slowly(content: Content) -> Receipt:
        await bench.clock.sleep(20)
        return await send(content)

    async with bench.running(replace(bench.first.way(), send=send_slowly), bench.second.way()):
        for number in range(20):
            bench.letters.put(f"bot {number} is out")
        await bench.clock.move_on(60 + 59)
        assert (len(bench.first.said), bench.second.said) == (2, [])
        await bench.clock.move_on(70)
    assert sorted(id_ for id_, _ in bench.letters.settled) == list(range(1, 21))
    assert len(bench.first.said) + len(bench.second.said) == 20
    assert len(bench.first.said) < 10


async def test_stop_waits_for_what_is_on_its_way() -> None:
    """What a fallback takes while the program ends has been sent, and is not sent again."""
    bench = Bench()
    bench.first.going.clear()
    async with bench.running():
        bench.letters.put("bob is out")
        await bench.clock.move_on(61)
        asyncio.get_running_loop().call_soon(bench.first.going.set)
    assert bench.letters.settled == [(1, "mail")]
    assert bench.letters.waiting() == ()


async def test_stop_gives_back_what_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a fallback had not taken soon after the program was to end is the chat's again."""
    monkeypatch.setattr(escalation, "STOP_SECONDS", 0.01)
    bench = Bench()
    bench.first.going.clear()
    async with bench.running():
        bench.letters.put("bob is out")
        await bench.clock.move_on(61)
        assert bench.letters.waiting() == ()
    assert [letter.content for letter in bench.letters.waiting()] == ["bob is out"]
    assert bench.letters.settled == []


async def test_refusal_is_remembered_while_another_fallback_tries() -> None:
    """What one has refused is not offered to it again after another one has failed with it."""
    bench = Bench()
    bench.first.answers = [RejectedError("no")]
    bench.second.answers = [TransportError("down")]
    bench.second.going.clear()
    async with bench.running():
        bench.letters.put("bob is out")
        await bench.clock.move_on(65)
        bench.second.going.set()
        await bench.clock.move_on(60)
    assert len(bench.first.said) == 1
    assert bench.letters.settled == [(1, "ntfy")]


async def test_escalation_survives_a_fault_of_its_own_parts(caplog: pytest.LogCaptureFixture) -> None:
    """Code that fails where it should not counts as a failure, and is logged with where that was."""
    bench = Bench()
    bench.first.answers = [ValueError("secret")]
    async with bench.running():
        bench.letters.put("bob is out")
        await bench.clock.move_on(61)
        assert bench.letters.settled == [(1, "ntfy")]
        assert bench.escalation.rows(str)[0].startswith(
            "fallback mail: 0 sent; the last try failed: ValueError; tried again in "
        )
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [True]


async def test_rows_tell_how_the_fallbacks_are(caplog: pytest.LogCaptureFixture) -> None:
    """Each says what it took and what is wrong with it; the log names no content."""
    bench = Bench()
    bench.first.answers = [RejectedError("mail answered with status 403")]
    async with bench.running():
        assert bench.escalation.rows(str) == ("fallback mail: 0 sent", "fallback ntfy: 0 sent")
        bench.letters.put("hunter22")
        await bench.clock.move_on(61)
        assert bench.escalation.rows(str) == (
            "fallback mail: 0 sent; the last try failed: mail answered with status 403",
            "fallback ntfy: 1 sent",
        )
    assert [record.getMessage() for record in caplog.records] == [
        "message 1 did not go by fallback mail: mail answered with status 403",
        "message 1 went by fallback ntfy after 60 s",
    ]
