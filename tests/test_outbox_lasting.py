"""What is to be sent outlives the program: in order, once, and with the time it was written when it is late."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from logmonitor import outbox as outbox_module
from logmonitor.errors import RejectedError, StoreError
from logmonitor.outbox import Withdrawal
from logmonitor.parcel import Parcel
from logmonitor.records import Attachment, Content, Link, Priority, Qr
from logmonitor.sending import ledger
from logmonitor.storage.database import Database
from logmonitor.storage.letters import FAILED_DAYS, FEWEST_KEYS, KEY_DAYS, MOST_FAILED, Letters
from logmonitor.storage.schema import MIGRATIONS
from logmonitor.store import Store
from logmonitor.transport import Limits
from tests.outbox_bench import DOWN, NOON, Chat, Clock, deliver, key_of, outbox_of, run, running, until

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from logmonitor.outbox import Outbox
    from logmonitor.records import MessageKey

_QR = Attachment(
    filename="qr.png",
    content_type="image/png",
    data=bytes(range(256)),
    caption="bob needs a scan 扫码",
    qr=Qr(payload="https://x", modules=(b"\x00\x01", b"\x01\x00"), first_seen=NOON, expires=NOON, verified=True),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store is to be."""
    return tmp_path / "alice.sqlite3"


def _waiting(outbox: Outbox) -> list[Content]:
    return [letter.content for letter in outbox.waiting()]


def _rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def test_outbox_stores_before_it_sends_and_forgets_at_once(path: Path) -> None:
    """While a message is under way it stands in the store, and once the chat has it, it does not."""

    async def story() -> None:
        chat = Chat(gated=True)
        with Store(path) as store:
            outbox = outbox_of(chat, letters=store.letters)
            outbox.put("ann", "hello")
            async with running(outbox):
                await chat.begun.get()
                assert _rows(path, "SELECT id, recipient, failed_at FROM letter") == [(1, "ann", None)]
                chat.take()
                assert await outbox.flush(20)
                assert _rows(path, "SELECT id FROM letter") == []

    run(story())


@pytest.mark.parametrize(
    "content",
    [
        "text 中文 \ud800 \x00",
        _QR,
        Attachment(filename="\udc80.txt", content_type="text/plain", data=b""),
        Attachment(filename="f", content_type="image/png", data=b"x", qr=Qr()),
        Link(title="t", url="https://example.com/", description="d"),
    ],
)
def test_outbox_goes_on_with_what_waited(path: Path, content: Content) -> None:
    """A new program sends what the one before had not, as it was, in order, and with ids that go on."""

    async def story() -> None:
        clock = Clock()
        key = key_of()
        with Store(path) as store:
            before = outbox_of(Chat(), clock, letters=store.letters)
            before.put("ann", Parcel(content=content), slot="s", key=key, expires_at=NOON + timedelta(hours=1))
            before.put("ann", "second", priority=Priority.QR)
            before.put("ann", "third")
            waiting = before.waiting()
        with Store(path) as store:
            chat = Chat()
            after = outbox_of(chat, clock, letters=store.letters)
            assert after.waiting() == waiting
            assert after.put("ann", "fourth") == 4
            assert await deliver(after)
            assert chat.texts == ["second", content, "third", "fourth"]
        with Store(path) as store:
            after = outbox_of(Chat(), clock, letters=store.letters)
            assert after.waiting() == ()
            assert after.put("ann", "fifth") == 5

    run(story())


def test_outbox_sends_no_part_twice(path: Path) -> None:
    """A program that ends between two parts of a message leaves the second to the next, cut as the first was."""

    async def story() -> None:
        chat = Chat(limits=Limits(text_size=50), gated=True)
        clock = Clock()
        with Store(path) as store:
            outbox = outbox_of(chat, clock, letters=store.letters)
            outbox.put("ann", "word " * 12)
            clock.time += 61
            async with running(outbox):
                chat.take()
                await chat.begun.get()
                await chat.begun.get()
        clock.time += 86_400
        with Store(path) as store:
            rest = Chat(limits=Limits(text_size=50))
            assert await deliver(outbox_of(rest, clock, letters=store.letters))
        first, second = str(chat.texts[0]), str(rest.texts[0])
        assert (first[:14], second[:6], len(rest.texts)) == ("(1/2)\n[12:00] ", "(2/2)\n", 1)
        assert first[14:] + second[6:] == "word " * 12

    run(story())


def test_outbox_sends_the_last_part_where_the_chat_carries_more_than_before(path: Path) -> None:
    """What was cut in two and is one now has its end sent again rather than lost."""

    async def story() -> None:
        chat = Chat(limits=Limits(text_size=50), gated=True)
        with Store(path) as store:
            outbox = outbox_of(chat, letters=store.letters)
            outbox.put("ann", "word " * 12)
            async with running(outbox):
                chat.take()
                await chat.begun.get()
                await chat.begun.get()
        with Store(path) as store:
            rest = Chat()
            assert await deliver(outbox_of(rest, letters=store.letters))
        assert rest.texts == ["word " * 12]

    run(story())


def test_outbox_decides_on_a_key_once_for_each_recipient(path: Path) -> None:
    """A message of the same key goes to nobody twice, delivered or waiting, before a restart or after, for 30 days.

    So it is after those, until a hundred keys are newer.
    """

    async def story() -> None:
        clock, chat = Clock(), Chat()
        with Store(path) as store:
            outbox = outbox_of(chat, clock, letters=store.letters)
            assert [outbox.put(to, "loss", key=key_of()) for to in ("ann", "ann", "ben", "ben")] == [1, 0, 2, 0]
            assert await deliver(outbox)
            assert outbox.put("ann", "again", key=key_of()) == 0
            assert outbox.put("ann", "return", key=key_of("return")) == 3
            assert outbox.put("ann", "no key") == 4
        for days, newer, is_new in (
            (0, 0, False),
            (KEY_DAYS - 1, 0, False),
            (1.01, FEWEST_KEYS - 1, False),
            (0, FEWEST_KEYS, True),
        ):
            clock.time += days * 86_400
            with Store(path) as store:
                for number in range(newer):
                    store.letters.decide("dan", key_of(f"qr {number}"), at=clock.now())
                outbox = outbox_of(chat, clock, letters=store.letters)
                async with running(outbox):
                    await until(lambda: store.letters.is_decided("ann", key_of()) != is_new)  # noqa: B023  # awaited here
                assert (outbox.letter("ann", "again", key=key_of()) is not None) == is_new
                assert outbox.letter("cy", "loss", key=key_of()) is not None
        assert [to for to, text in chat.sent if text == "loss"] == ["ann", "ben"]

    run(story())


@pytest.mark.parametrize("is_lasting", [True, False])
def test_outbox_posts_the_first_of_those_with_one_key(path: Path, *, is_lasting: bool) -> None:
    """Of two letters that were made before either was saved the first goes, whichever is posted when."""

    async def story() -> None:
        chat = Chat()
        with Store(path) as store:
            outbox = outbox_of(chat, letters=store.letters if is_lasting else None)
            one, two = (outbox.letter("ann", text, key=key_of()) for text in ("one", "two"))
            assert one is not None
            assert two is not None
            outbox.save((one, two))
            outbox.post((one, two))
            assert await deliver(outbox)
            assert chat.texts == ["one"]
            assert store.letters.undelivered() == ()

    run(story())


def test_outbox_saves_nothing_of_a_transaction_that_fails(path: Path) -> None:
    """What was saved in a transaction that is undone is in memory only, and is written once it can be."""

    async def story() -> None:
        with Store(path) as store:
            outbox = outbox_of(Chat(gated=True), letters=store.letters)
            letter = outbox.letter("ann", "hello", key=key_of())
            assert letter is not None

            def fail() -> None:
                with store.transaction():
                    outbox.save((letter, Withdrawal(slot="s")))
                    raise StoreError("the rest cannot be written")

            with pytest.raises(StoreError):
                fail()
            assert store.letters.undelivered() == ()
            outbox.post((letter,))
            assert outbox.delivery().unsaved == 1
            async with running(outbox):
                await until(store.letters.undelivered)
                assert outbox.delivery().unsaved == 0

    run(story())


def test_outbox_forgets_what_waits_in_a_slot(path: Path) -> None:
    """What was replaced or withdrawn is not there after a restart."""

    async def story() -> None:
        with Store(path) as store:
            outbox = outbox_of(Chat(), letters=store.letters)
            for slot in ("a", "b"):
                for to in ("ann", "ben"):
                    outbox.put(to, f"old {slot}", slot=slot)
            outbox.put("ann", "new a", slot="a", priority=Priority.QR)
            outbox.withdraw("b")
        with Store(path) as store:
            assert _waiting(outbox_of(Chat(), letters=store.letters)) == ["new a", "old a"]

    run(story())


def test_outbox_sends_nothing_that_has_expired(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """From its time on a message is not tried any more, whether it waits, failed before, or stood in the store."""
    caplog.set_level("INFO", "logmonitor.sending")

    async def story() -> None:
        clock, chat = Clock(), Chat()
        chat.failures = [DOWN] * 6
        with Store(path) as store:
            outbox = outbox_of(chat, clock, letters=store.letters)
            outbox.put("ann", _QR, expires_at=NOON + timedelta(seconds=30))
            outbox.put("ann", "hello")
            assert await deliver(outbox)
            assert outbox.delivery().failed == 0
            outbox.put("ann", "kept", expires_at=clock.now() + timedelta(seconds=5))
        assert chat.texts == ["hello"] or len(chat.texts) == 1
        clock.time += 5
        with Store(path) as store:
            outbox = outbox_of(chat, clock, letters=store.letters)
            assert outbox.waiting() == ()
            assert outbox.delivery().waiting == 0
            assert store.letters.undelivered() == ()
        assert len(chat.texts) == 1

    run(story())
    assert [r.getMessage() for r in caplog.records if "is not sent" in r.getMessage()] == [
        "message 1 to ann is not sent: it is of no use any more",
        "message 3 to ann is not sent: it is of no use any more",
    ]


@pytest.mark.parametrize(
    ("content", "late", "later"),
    [
        ("hello", "[20:00] hello", "[2026-11-20 20:00] hello"),
        (
            Attachment(filename="f", content_type="image/png", data=b"", caption="c"),
            Attachment(filename="f", content_type="image/png", data=b"", caption="[20:00] c"),
            Attachment(filename="f", content_type="image/png", data=b"", caption="[2026-11-20 20:00] c"),
        ),
        (
            Attachment(filename="f", content_type="image/png", data=b""),
            Attachment(filename="f", content_type="image/png", data=b"", caption="[20:00]"),
            Attachment(filename="f", content_type="image/png", data=b"", caption="[2026-11-20 20:00]"),
        ),
        (Link(title="t", url="u"), Link(title="[20:00] t", url="u"), Link(title="[2026-11-20 20:00] t", url="u")),
    ],
)
def test_outbox_tells_when_a_late_message_was_written(
    path: Path, content: Content, late: Content, later: Content
) -> None:
    """Over a minute old it tells its time in the bot's zone, on another day its date too, also after a restart."""

    async def story() -> None:
        for seconds, expected in ((60.0, content), (60.5, late), (3 * 3600, late), (4 * 3600, later)):
            clock, chat = Clock(), Chat()
            with Store() as store:
                outbox = outbox_of(chat, clock, letters=store.letters, zone=ZoneInfo("Asia/Shanghai"))
                outbox.put("ann", content)
                clock.time += seconds
                assert await deliver(outbox)
            assert chat.texts == [expected]
        with Store(path) as store:
            outbox_of(Chat(), Clock(), letters=store.letters).put("ann", content)
        with Store(path) as store:
            clock, chat = Clock(), Chat()
            clock.set_by = timedelta(hours=4)
            assert await deliver(outbox_of(chat, clock, letters=store.letters, zone=ZoneInfo("Asia/Shanghai")))
        assert chat.texts == [later]

    run(story())


def test_outbox_keeps_what_failed_for_good(path: Path) -> None:
    """A refused message stays in the store with its reason, is counted by the next program, and is not sent by it."""

    async def story() -> None:
        clock, chat = Clock(), Chat()
        chat.failures = [RejectedError("no such contact")]
        with Store(path) as store:
            outbox = outbox_of(chat, clock, letters=store.letters)
            outbox.put("ann", "refused")
            assert await deliver(outbox)
            (kept,) = store.letters.undelivered()
            assert (kept.id, kept.to, kept.attempts, kept.reason, kept.failed_at) == (
                1,
                "ann",
                1,
                "no such contact",
                NOON,
            )
        with Store(path) as store:
            outbox = outbox_of(chat, clock, letters=store.letters)
            assert (outbox.waiting(), outbox.failed) == ((), 1)
            clock.time += FAILED_DAYS * 86_400 + 1
            async with running(outbox):
                await until(lambda: not store.letters.undelivered())
        assert chat.sent == []

    run(story())


def test_outbox_keeps_a_bounded_number_of_failures() -> None:
    """The oldest failures make room for newer ones."""
    with Store() as store:
        outbox = outbox_of(Chat(), letters=store.letters)
        letters = [outbox.letter("ann", str(number)) for number in range(MOST_FAILED + 2)]
        with store.transaction():
            for letter in letters:
                assert letter is not None
                store.letters.give_up(letter, reason="no", at=NOON)
        assert [one.id for one in store.letters.undelivered()] == list(range(3, MOST_FAILED + 3))


def test_outbox_begins_with_the_most_urgent_and_newest_where_too_much_waited(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What there is no room for at the start has failed for good; the rest goes in order."""

    async def story() -> None:
        with Store(path) as store:
            outbox = outbox_of(Chat(), letters=store.letters)
            for number in range(6):
                outbox.put("ann", str(number), priority=Priority.QR if number == 1 else Priority.ALERT)
        with Store(path) as store:
            chat = Chat()
            outbox = outbox_of(chat, letters=store.letters, max_waiting=3)
            assert (outbox.delivery().waiting, outbox.dropped, outbox.failed) == (3, 3, 3)
            assert [(one.id, one.reason) for one in store.letters.undelivered() if one.failed_at] == [
                (id_, "too many messages were waiting") for id_ in (1, 3, 4)
            ]
            assert await deliver(outbox)
            assert chat.texts == ["1", "4", "5"]
            with Store(path) as command_line:
                command_line.letters.remove(1)
            async with running(outbox):
                await until(lambda: outbox.failed == 2)
            assert outbox.dropped == 3
            assert "over 3 messages waited to be sent; 3 were dropped" in caplog.text

    run(story())


def test_outbox_heeds_what_the_command_line_did(path: Path) -> None:
    """A failed message that was let be sent after all is, and one that was dropped is not, while the program runs."""

    async def story() -> None:
        chat, clock = Chat(gated=True), Clock()
        with Store(path) as store, Store(path) as other:
            outbox = outbox_of(chat, clock, letters=store.letters)
            outbox.put("ann", "refused")
            outbox.put("ann", "in flight")
            outbox.put("ann", "dropped")
            async with running(outbox):
                chat.fail(RejectedError("not yet"))
                await until(lambda: chat.begun.qsize() == 2)
                assert outbox.failed == 1
                assert other.letters.retry(1)
                assert not other.letters.retry(1)
                assert other.letters.remove(3)
                await until(lambda: [letter.id for letter in outbox.waiting()] == [1, 2])
                assert outbox.failed == 0
                chat.take()
                chat.take()
                assert await outbox.flush(20)
        assert chat.texts == ["in flight", "refused"]

    run(story())


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a store that failed be tried again at once."""
    monkeypatch.setattr(ledger, "REST_SECONDS", 0.0)


def test_outbox_tries_what_is_let_be_sent_after_all_as_long_as_anything(path: Path) -> None:
    """A message that failed hours ago and is let be sent is not given up at the chat's next failure."""

    async def story() -> None:
        chat, clock = Chat(gated=True), Clock()
        with Store(path) as store, Store(path) as other:
            outbox = outbox_of(chat, clock, letters=store.letters)
            outbox.put("ann", "refused")
            async with running(outbox):
                chat.fail(RejectedError("not yet"))
                await until(lambda: outbox.failed)
                clock.time += 5 * 3600
                assert other.letters.retry(1)
                chat.fail()
                chat.take()
                await until(lambda: chat.sent)
                assert (outbox.failed, await outbox.flush(5)) == (0, True)
        assert chat.texts == ["[12:00] refused"]

    run(story())


def test_outbox_sends_nothing_that_another_program_wrote(path: Path) -> None:
    """Of two programs that were started with one store each sends what it wrote, and what has a key is sent once."""

    async def story() -> None:
        one, two = Chat(), Chat(gated=True)
        with Store(path) as store, Store(path) as other:
            outbox, another = outbox_of(one, letters=store.letters), outbox_of(two, letters=other.letters)
            ids = [
                outbox.put("ann", "one", key=key_of()),
                another.put("ann", "two", key=key_of()),
                another.put("ann", "two"),
                outbox.put("ann", "one"),
                another.put("ann", "two"),
            ]
            assert ids == [1, 0, 2, 3, 4]
            async with running(another), running(outbox):
                assert await outbox.flush(5)
                outbox.put("ann", "one")
                await until(lambda: one.texts == ["one"] * 3)
                await until(lambda: [letter.id for letter in another.waiting()] == [2, 4])
                assert [kept.id for kept in store.letters.undelivered()] == [2, 4]
                for _ in range(2):
                    two.take()
                assert await another.flush(5)
            assert (one.texts, two.texts) == (["one"] * 3, ["two"] * 2)
            assert store.letters.undelivered() == ()

    run(story())


class _Deaf(Letters):
    """Letters that cannot be asked nor written for a while."""

    def __init__(self) -> None:
        super().__init__(Database(None, migrations=MIGRATIONS, patience=0.0))
        self.is_deaf = False
        self.pruned = self.touched = 0

    def is_decided(self, to: str, key: MessageKey, /) -> bool:
        self._answer()
        return super().is_decided(to, key)

    def prune(self, *, at: datetime, period: float) -> None:
        self.pruned += 1
        super().prune(at=at, period=period)

    def touch(self) -> None:
        self.touched += 1
        self._answer()
        super().touch()

    def _answer(self) -> None:
        if self.is_deaf:
            raise StoreError("gone")


@pytest.mark.usefixtures("restless")
def test_outbox_that_could_not_read_says_so_until_it_can_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that failed when it was asked, with nothing to be written, counts as failing no longer than it does."""
    monkeypatch.setattr(outbox_module, "LOOK_SECONDS", 0.01)

    async def story() -> None:
        letters = _Deaf()
        outbox = outbox_of(Chat(), letters=letters)
        async with running(outbox):
            await until(lambda: letters.pruned)
            letters.is_deaf = True
            assert outbox.letter("ann", "loss", key=key_of()) is not None
            await until(lambda: letters.touched)
            assert outbox.store_failure == "gone"
            letters.is_deaf = False
            await until(lambda: not outbox.store_failure)

    run(story())


@pytest.mark.usefixtures("restless")
def test_outbox_goes_on_in_memory_while_the_store_fails(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While another process holds the store messages go nevertheless, that is told, and all is made up for later."""
    caplog.set_level(logging.INFO, "logmonitor.sending")

    async def story() -> None:
        chat = Chat(gated=True)
        with Store(path, patience=0.01) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
            outbox = outbox_of(chat, letters=store.letters)
            outbox.put("ann", "stored before")
            outbox.put("ann", "withdrawn", slot="s")
            other.execute("BEGIN IMMEDIATE")
            outbox.put("ann", "in memory", key=key_of())
            outbox.put("ann", "waits longer")
            outbox.withdraw("s")
            assert outbox.put("ann", "twice", key=key_of()) == 0
            told = outbox.delivery()
            assert (told.unsaved, "another process holds it" in told.store_failure) == (2, True)
            async with running(outbox):
                chat.take()
                chat.take()
                await until(lambda: len(chat.sent) == 2)
                other.execute("COMMIT")
                await until(lambda: not outbox.delivery().unsaved)
                assert outbox.delivery().store_failure == ""
                assert [letter.id for letter in store.letters.undelivered()] == [4]
            assert store.letters.is_decided("ann", key_of())
        with Store(path) as store:
            assert _waiting(outbox_of(Chat(), letters=store.letters)) == ["waits longer"]

    run(story())
    ours = [record.getMessage() for record in caplog.records if record.name == "logmonitor.sending.ledger"]
    assert [text.rpartition("; ")[2] for text in ours] == [
        "what is to be sent is kept in memory, and lost if logmonitor ends before it is sent",
        "what is to be sent can be kept in the store again",
    ]


@pytest.mark.usefixtures("restless")
def test_outbox_takes_no_newer_message_for_one_that_was_withdrawn(path: Path) -> None:
    """A withdrawal that could not be written is made up for without what was put into the slot after it."""

    async def story() -> None:
        chat, clock = Chat(gated=True), Clock()
        with Store(path, patience=0.01) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
            outbox = outbox_of(chat, clock, letters=store.letters)
            outbox.put("ann", "old", slot="s")
            outbox.put("ben", "old", slot="s")
            other.execute("BEGIN IMMEDIATE")
            outbox.withdraw("s")
            other.execute("COMMIT")
            clock.time += ledger.REST_SECONDS
            outbox.put("ann", "new", slot="s")
            assert [letter.id for letter in store.letters.undelivered()] == [2, 3]
            async with running(outbox):
                await chat.begun.get()
                assert [letter.id for letter in store.letters.undelivered()] == [3]

    run(story())


def test_outbox_lets_a_store_that_failed_rest(path: Path) -> None:
    """Of many messages while the store cannot be written not each waits for it."""
    clock = Clock()
    with Store(path, patience=0.2) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        outbox = outbox_of(Chat(), clock, letters=store.letters)
        other.execute("BEGIN IMMEDIATE")
        for number in range(100):
            outbox.put("ann", str(number))
        assert outbox.delivery().unsaved == 100
        other.execute("COMMIT")
        outbox.put("ann", "still at rest")
        assert store.letters.undelivered() == ()
        clock.time += ledger.REST_SECONDS
        outbox.put("ann", "stored")
        assert [letter.id for letter in store.letters.undelivered()] == [102]


def test_outbox_works_with_a_store_that_could_not_be_opened(path: Path) -> None:
    """Without its store everything is sent, once, and what is in memory only is told."""

    async def story() -> None:
        chat = Chat()
        store = Store.refusing(path, StoreError("store cannot be opened"))
        outbox = outbox_of(chat, letters=store.letters)
        assert [outbox.put("ann", "hello", key=key_of()) for _ in range(2)] == [1, 0]
        assert outbox.delivery().unsaved == 1
        outbox.withdraw("s")
        assert await deliver(outbox)
        assert chat.texts == ["hello"]
        assert "cannot be opened" in outbox.delivery().store_failure

    run(story())


def test_outbox_sets_a_damaged_letter_aside(path: Path) -> None:
    """A row that is no letter has failed for good, and keeps no other from being sent."""

    async def story() -> None:
        with Store(path) as store:
            outbox = outbox_of(Chat(), letters=store.letters)
            for text in ("one", "two", "three", "four", "five", "six"):
                outbox.put("ann", text)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE letter SET content = 'no JSON' WHERE id = 1")
            connection.execute("UPDATE letter SET priority = 9 WHERE id = 2")
            connection.execute("""UPDATE letter SET content = '{"file": {}}' WHERE id = 3""")
            connection.execute("UPDATE letter SET content = '[]' WHERE id = 4")
            connection.execute("""UPDATE letter SET content = '{"text": 1}' WHERE id = 5""")
            connection.execute("UPDATE letter SET priority = 1 WHERE id = 2")
        with Store(path) as store:
            chat = Chat()
            assert await deliver(outbox_of(chat, letters=store.letters))
            assert chat.texts == ["two", "six"]
            assert {one.reason for one in store.letters.undelivered()} == {"its row in the store cannot be read"}

    run(story())
