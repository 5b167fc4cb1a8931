"""A chat in memory has the faults that a test wishes, and its transcript tells of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from logmonitor import Attachment, Link, RejectedError, Sender, TransportError
from logmonitor.testing import ADMIN, START, FakeClock, MemoryTransport, Transcript

EVE = Sender(id="eve-id", name="Eve")


def transport(clock: FakeClock | None = None) -> MemoryTransport:
    """Make a chat with two people and a room, which refuses what is for nobody."""
    transcript = Transcript()
    transcript.know({"Ann": ADMIN, "Eve": EVE})
    transcript.know_room("ops-id", name="ops", members=("Ann", "Eve"))
    return MemoryTransport(ADMIN, EVE, clock=clock or FakeClock(), transcript=transcript)


async def read(chat: MemoryTransport) -> list[tuple[str, str, float]]:
    """Read what came in: id, text, and how many seconds before the clock's beginning it was written."""
    chat.close()
    return [(one.id, one.text, (START - one.sent_at).total_seconds()) async for one in chat.messages()]


async def test_messages_come_twice_late_and_out_of_order() -> None:
    """What comes in has the faults that were asked for, each for as many messages as was said."""
    chat = transport()
    chat.duplicate_next()
    chat.delay_next(120)
    for text in ("first", "second"):
        chat.receive(text)
    chat.reorder_next(3)
    for text in ("third", "fourth", "fifth", "sixth"):
        chat.receive(text)
    assert await read(chat) == [
        ("in-1", "first", 120),
        ("in-1", "first", 120),
        ("in-2", "second", 0),
        ("in-5", "fifth", 0),
        ("in-4", "fourth", 0),
        ("in-3", "third", 0),
        ("in-6", "sixth", 0),
    ]
    assert [entry.problem for entry in chat.transcript.entries] == [
        "written 120 s ago, comes twice",
        "",
        "held back, to come in behind the next",
        "held back, to come in behind the next",
        "",
        "",
    ]


async def test_message_is_delivered_as_it_is() -> None:
    """A message that a test has changed comes in as it is."""
    chat = transport()
    message = chat.receive("hello")
    chat.deliver(replace(message, text="hello again"))
    assert [text for _, text, _ in await read(chat)] == ["hello", "hello again"]


async def test_throttled_chat_takes_so_many_in_a_period() -> None:
    """Beyond its limit a chat fails until the period is over, by the fake time."""
    clock = FakeClock()
    chat = transport(clock)
    chat.throttle(2, period=60)
    for text in ("1", "2"):
        await chat.send("admin-id", text)
    with pytest.raises(TransportError, match="the chat takes 2 messages in 60 s"):
        await chat.send("admin-id", "3")
    clock.jump(60)
    await chat.send("admin-id", "3")
    assert chat.sent == [("admin-id", text) for text in ("1", "2", "3")]


async def test_lost_receipt_is_a_message_that_arrived() -> None:
    """Who sends is told that it failed, who receives has it."""
    chat = transport()
    chat.lose_receipts()
    with pytest.raises(TransportError, match="the chat did not answer"):
        await chat.send("admin-id", "hello")
    await chat.send("admin-id", "hello")
    assert len(chat.sent) == 2
    assert [entry.problem for entry in chat.transcript.entries] == ["its receipt was lost", ""]
    assert all(entry.is_from_bot for entry in chat.transcript.entries)


async def test_chat_that_knows_its_people_refuses_others() -> None:
    """A conversation that there is not is refused, as a real chat does; one without a transcript takes anything."""
    chat = transport()
    with pytest.raises(RejectedError, match="the chat knows no conversation 'mallory'"):
        await chat.send("mallory", "hello")
    (entry,) = chat.transcript.entries
    assert (entry.is_from_bot, entry.is_to_nobody) == (False, True)
    await MemoryTransport().send("mallory", "hello")


async def test_contact_is_renamed_and_stays_who_it_is() -> None:
    """Another display name changes neither the id nor who is found by a name."""
    chat = transport()
    assert chat.rename("eve-id", "AdminWeixin") == Sender(id="eve-id", name="AdminWeixin")
    assert await chat.resolve("AdminWeixin") == ADMIN
    assert chat.contacts[1].name == "AdminWeixin"


async def test_reader_is_known_to_be_done_with_a_message() -> None:
    """What came in is read once the next message is asked for."""
    chat = transport()
    chat.receive("hello")
    messages = chat.messages()
    seen = [chat.is_read]
    await anext(messages)
    seen.append(chat.is_read)
    waiting = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0)
    assert [*seen, chat.is_read] == [False, False, True]
    waiting.cancel()
    await asyncio.wait({waiting})


async def test_transcript_shows_all_kinds_of_messages() -> None:
    """A row tells time, speaker, receivers, room, text or file, and what became of it."""
    chat = transport()
    chat.receive("status")
    chat.receive("all\nof you", sender=EVE, room="ops-id")
    chat.receive("from the phone", from_self=True)
    await chat.send("ops-id", "fine")
    await chat.send("admin-id", Attachment(filename="a.png", content_type="image/png", data=b"123", caption="see"))
    await chat.send("eve-id", Link(title="page", url="https://example.org", description="read"))
    await chat.send("eve-id", "x" * 1000)
    chat.transcript.remark("60 s pass", at=START)
    chat.fail_next(TransportError("down"))
    with pytest.raises(TransportError):
        await chat.send("admin-id", "gone")
    assert str(chat.transcript).splitlines() == [
        "12:00:00  Ann → bot: status",
        "12:00:00  Eve → #ops (bot, Ann): all",
        "            of you",
        "12:00:00  bot itself → bot: from the phone",
        "12:00:00  bot → #ops (Ann, Eve): fine",
        "12:00:00  bot → Ann: <a.png: image/png, 3 bytes> see",
        "12:00:00  bot → Eve: page",
        "            read",
        "            https://example.org",
        f"12:00:00  bot → Eve: {'x' * 400}… (1000 characters)",
        "12:00:00  -- 60 s pass",
        "12:00:00  bot → Ann: gone  [did not go: down]",
    ]
    assert str(Transcript()) == "(nothing was said)"
