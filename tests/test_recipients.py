"""Messages to admins by their configured names, over restarts and look-ups: one person is one recipient."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from logmonitor.directory import Directory
from logmonitor.errors import RejectedError, TransportError
from logmonitor.records import Priority, Sender
from logmonitor.store import Store
from logmonitor.testing import ADMIN, MemoryTransport
from logmonitor.transport import Limits
from tests.outbox_bench import Chat, Clock, deliver, key_of, outbox_of, run, running, until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from logmonitor.outbox import Outbox

NAMES = ("AdminWeixin", "admin")
OTHER = Sender(id="other-id", weixin="other")


class _Known(MemoryTransport):
    """The admin in a chat that takes messages back."""

    def __init__(self, chat: Chat) -> None:
        super().__init__()
        self.send = chat.send  # type: ignore[method-assign]  # what another chat takes
        self.recall = chat.recall


class _Program:
    """One run of a program whose admins are `NAMES`, both the same contact."""

    def __init__(self, store: Store, *, names: Sequence[str] = NAMES, limits: Limits | None = None) -> None:
        self.chat = MemoryTransport(ADMIN, OTHER, limits=limits)
        self.directory = Directory(self.chat, names)
        self.clock = Clock()
        self.outbox: Outbox = outbox_of(self.directory, self.clock, letters=store.letters)

    def tell(self, *names: str, kind: str = "qr 1", slot: str | None = "qr") -> list[int]:
        """Send a QR's text to some names; return the ids of what is to be sent."""
        address = self.directory.address
        return [
            self.outbox.put(to, kind, priority=Priority.QR, slot=slot, key=key_of(kind))
            for to in dict.fromkeys(map(address, names))
        ]


@pytest.mark.parametrize("is_known_before", [False, True])
@pytest.mark.parametrize("is_known_after", [False, True])
def test_message_to_an_admin_is_decided_once_whether_or_not_the_chat_knew_him(
    tmp_path: Path, *, is_known_before: bool, is_known_after: bool
) -> None:
    """A key that was decided for a configured name holds after a restart, before the first look-up and after."""

    async def story() -> None:
        with Store(tmp_path / "bob.db") as store:
            program = _Program(store, names=["AdminWeixin"])
            if is_known_before:
                await program.directory.look_up()
            assert program.tell("AdminWeixin") == [1]
        with Store(tmp_path / "bob.db") as store:
            program = _Program(store, names=["AdminWeixin"])
            if is_known_after:
                await program.directory.look_up()
            assert program.tell("AdminWeixin") == [0]
            assert program.tell("admin-id") == ([0] if is_known_after else [2])
            assert store.letters.undelivered()[0].to == "AdminWeixin"

    run(story())


@pytest.mark.parametrize("slow", [None, "AdminWeixin", "admin"])
def test_message_to_two_names_of_one_contact_goes_once(slow: str | None) -> None:
    """Two names that were nobody's when a message was written get it once, whichever of them the chat answers last."""

    async def story() -> None:
        program = _Program(Store())
        answer = program.chat.resolve

        async def resolve(who: str, /) -> Sender:
            for _ in range(20 if who == slow else 1):
                await asyncio.sleep(0)
            return await answer(who)

        program.chat.resolve = resolve  # type: ignore[method-assign]  # a chat that takes its time
        assert program.tell(*NAMES) == [1, 2]
        assert await deliver(program.outbox)
        assert program.chat.sent == [("admin-id", "qr 1")]
        assert program.tell(*NAMES, kind="qr 2") == [3]
        assert await deliver(program.outbox)
        assert program.chat.sent == [("admin-id", "qr 1"), ("admin-id", "qr 2")]

    run(story())


def test_second_name_of_a_contact_gets_what_only_it_was_sent() -> None:
    """What was written to the second of two names alone arrives, though the chat cannot be asked for the first."""

    async def story() -> None:
        program = _Program(Store())
        answer = program.chat.resolve

        async def resolve(who: str, /) -> Sender:
            if who == "AdminWeixin":
                raise TransportError("not now")
            return await answer(who)

        program.chat.resolve = resolve  # type: ignore[method-assign]  # a chat that answers for some only
        program.outbox.put("admin", "to the alias", key=key_of())
        assert await deliver(program.outbox)
        assert program.chat.sent == [("admin-id", "to the alias")]

    run(story())


def test_second_name_that_turns_out_to_be_another_s_too_gets_its_messages_by_the_first() -> None:
    """What waits for the second name when both turn out to be one contact goes, where the first was not sent it."""

    async def story() -> None:
        program = _Program(Store())
        program.outbox.put("admin", "to the alias", key=key_of())
        program.outbox.put("AdminWeixin", "to the number", key=key_of("qr 2"))
        assert await deliver(program.outbox)
        assert sorted(map(str, (content for _, content in program.chat.sent))) == ["to the alias", "to the number"]

    run(story())


def test_reply_and_alert_to_an_admin_go_in_one_order_and_count_as_one_conversation() -> None:
    """What is sent to an admin's id and to his name waits in one row, and is answered by the same inbound message."""

    async def story() -> None:
        program = _Program(Store(), names=["AdminWeixin"], limits=Limits(per_inbound=3))
        await program.directory.look_up()
        for number, to in enumerate(("admin-id", "AdminWeixin", "admin-id")):
            program.outbox.put(to, f"message {number}")
        async with running(program.outbox):
            await until(lambda: len(program.chat.sent) == 2)
            assert program.outbox.delivery().unanswered == ("AdminWeixin",)
            program.outbox.note_inbound("admin-id")
            assert await program.outbox.flush(5)
        assert program.chat.sent == [("admin-id", f"message {number}") for number in range(3)]

    run(story())


def test_newer_message_takes_an_older_one_s_place_by_whichever_name() -> None:
    """A slot is the same for an admin's name and his id."""

    async def story() -> None:
        program = _Program(Store(), names=["AdminWeixin"])
        program.tell("AdminWeixin", kind="qr 1")
        await program.directory.look_up()
        program.outbox.put("admin-id", "qr 2", priority=Priority.QR, slot="qr")
        assert await deliver(program.outbox)
        assert program.chat.sent == [("admin-id", "qr 2")]

    run(story())


def test_message_follows_a_name_to_whom_the_chat_says_it_is_now() -> None:
    """What waits goes to the contact that the name means when it is sent, and to nobody while it means none."""

    async def story() -> None:
        program = _Program(Store(), names=["AdminWeixin"])
        await program.directory.look_up()
        program.chat.contacts = (replace(ADMIN, weixin="", alias=""), replace(OTHER, weixin="AdminWeixin"))
        moved = program.chat.contacts
        program.chat.contacts = (*moved, Sender(id="eve-id", alias="AdminWeixin"))
        await program.directory.look_up()
        program.tell("AdminWeixin")
        with pytest.raises(TransportError, match="unknown to the chat so far") as caught:
            await program.directory.send("AdminWeixin", "qr 1")
        assert not isinstance(caught.value, RejectedError)
        program.chat.contacts = moved
        await program.directory.look_up()
        assert await deliver(program.outbox)
        assert program.chat.sent == [("other-id", "qr 1")]

    run(story())


@pytest.mark.parametrize("is_newer", [False, True])
def test_qr_that_the_last_program_sent_is_taken_back_by_the_admin_s_name(tmp_path: Path, *, is_newer: bool) -> None:
    """A newer QR, or the return, recalls the old one after a restart too, before the chat was asked who is who."""

    async def story() -> None:
        chat = Chat()
        with Store(tmp_path / "bob.db") as store:
            directory = Directory(_Known(chat), ["AdminWeixin"])
            await directory.look_up()
            outbox = outbox_of(directory, letters=store.letters)
            outbox.put("AdminWeixin", "qr 1", priority=Priority.QR, slot="qr", key=key_of("qr 1"))
            assert await deliver(outbox)
        with Store(tmp_path / "bob.db") as store:
            outbox = outbox_of(Directory(_Known(chat), ["AdminWeixin"]), letters=store.letters)
            if is_newer:
                outbox.put("AdminWeixin", "qr 2", priority=Priority.QR, slot="qr", key=key_of("qr 2"))
            else:
                outbox.withdraw("qr")
            async with running(outbox):
                await until(lambda: chat.recalled)
        assert chat.recalled == ["m1"]
        assert [to for to, _ in chat.sent] == ["admin-id"] * (2 if is_newer else 1)

    run(story())
