"""The doubles do what they say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from logmonitor import Context, EventKind, Priority, Qr, RejectedError, Session, SessionState, TransportError
from logmonitor.testing import ADMIN, START, LogWriter, MemoryTransport, RecordingContext, Sent, batch, event, message


async def test_context_records_what_is_asked_of_it() -> None:
    """Messages, withdrawals and wake-ups are recorded; time stands still until it is moved on."""
    context = RecordingContext(Session(watch="bob", state=SessionState.LOGGED_IN))
    as_a_handler_sees_it: Context = context
    as_a_handler_sees_it.store.put("until", "7")
    ticket = await context.send("hello", priority=Priority.ALERT, slot="a")
    context.withdraw("a")
    context.wake_at(9)
    context.wake_at(7)
    context.wake_at(8)
    context.move_on(1.5)
    assert context.sent == [Sent(content="hello", priority=Priority.ALERT, slot="a")]
    assert (ticket.ids, context.withdrawn, context.woken_at) == ((1,), ["a"], 7)
    assert (context.now(), context.monotonic()) == (START + timedelta(seconds=1.5), 1.5)
    assert context.store.get("until") == "7"
    assert context.session().state is context.session("bob").state is SessionState.LOGGED_IN
    assert context.session("carol") == Session(watch="carol")
    assert RecordingContext().session() == Session(watch="")


async def test_context_lets_a_session_meet_an_event() -> None:
    """`happen` moves the session by the table and returns the transition."""
    context = RecordingContext(Session(watch="bob", state=SessionState.LOGGED_IN))
    transition = context.happen(event(EventKind.SCAN, qr=Qr(payload="2@abc")))
    assert transition is not None
    assert transition.is_loss
    assert context.session("bob").state is SessionState.AWAITING_SCAN
    assert context.happen(event(EventKind.TRAFFIC)) is None


async def test_host_has_the_files_it_was_given() -> None:
    """A file that was not put there is missing, one over the limit refused."""
    host = RecordingContext().host
    host.files[Path("a")] = b"12"
    assert await host.read_file(Path("a"), limit_bytes=2) == b"12"
    with pytest.raises(OSError, match="larger than 1 bytes"):
        await host.read_file(Path("a"), limit_bytes=1)
    with pytest.raises(FileNotFoundError):
        await host.read_file(Path("b"), limit_bytes=1)


async def test_transport_carries_messages_both_ways() -> None:
    """What is received comes out of `messages`, what is sent is kept, until it is closed."""
    async with MemoryTransport() as transport:
        transport.receive("qr")
        transport.receive("hi", room="room-id")
        transport.close()
        got = [(each.id, each.conversation, each.text) async for each in transport.messages()]
        assert got == [("in-1", "admin-id", "qr"), ("in-2", "room-id", "hi")]
        await transport.send("admin-id", "hello")
        assert await transport.wait_for(1) == [("admin-id", "hello")]


async def test_transport_fails_as_the_test_wishes() -> None:
    """The next sends raise what they were told to, and the chat says that it is down."""
    transport = MemoryTransport()
    transport.fail_next(TransportError("down"), times=2)
    assert not transport.health().is_up
    for _ in range(2):
        with pytest.raises(TransportError):
            await transport.send("admin-id", "hello")
    await transport.send("admin-id", "hello")
    assert transport.health().is_up
    with pytest.raises(TimeoutError):
        await transport.wait_for(2, deadline=0)


async def test_transport_knows_its_contacts() -> None:
    """A contact is found by id, weixin number and alias, and not by a name it chose."""
    transport = MemoryTransport()
    assert [await transport.resolve(who) for who in ("admin-id", "AdminWeixin", "admin")] == [ADMIN] * 3
    with pytest.raises(RejectedError, match="no contact fits 'Admin'; expected the id of one: admin-id "):
        await transport.resolve("Admin")


def test_writer_goes_on_in_the_old_file_until_it_reopens(tmp_path: Path) -> None:
    """A renamed log is written to until it is reopened, as bots do."""
    path, old = tmp_path / "logs" / "bob.log", tmp_path / "bob.log.1"
    with LogWriter(path) as log:
        log.write("a", "b")
        log.rename(old)
        log.write("c", end="")
        log.reopen()
        log.write_bytes(b"d\n")
        log.copy_and_truncate(tmp_path / "copy")
        log.write("e")
    assert (old.read_bytes(), (tmp_path / "copy").read_bytes(), path.read_bytes()) == (b"a\nb\nc", b"d\n", b"e\n")


def test_batch_counts_lines_and_bytes() -> None:
    """A batch has the offsets that the lines would have in a file."""
    made = batch("é", "b", path=Path("bob.log"))
    assert [(line.text, line.offset, line.number) for line in made.lines] == [("é", 0, 1), ("b", 3, 2)]
    assert (made.watch, made.start_offset, made.end_offset) == ("bob", 0, 5)


def test_message_is_the_admins_direct_one() -> None:
    """A message comes from the admin, directly, unless told otherwise."""
    assert (message("qr").sender, message("qr").room, message("qr").conversation) == (ADMIN, None, "admin-id")
    assert message("qr", room="room-id").conversation == "room-id"
