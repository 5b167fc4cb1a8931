"""What happens to a letter while somebody else has it: dropped, let be sent after all, withdrawn, given back early."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import RejectedError
from logmonitor.records import Priority, Receipt
from logmonitor.store import Store
from tests.outbox_bench import NOON, Chat, outbox_of, run, running, until

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.outbox import Letter, Outbox
    from logmonitor.records import Content

_RECEIPT = Receipt(message_id="n1", accepted_at=NOON)


def _claimed(outbox: Outbox, id_: int) -> Letter:
    letter = outbox.claim(id_)
    assert letter is not None
    return letter


def test_outbox_lets_nobody_else_send_what_was_dropped(tmp_path: Path) -> None:
    """What the command line dropped is sent by nobody: neither what is claimed meanwhile, nor what the chat refused."""

    async def story() -> None:
        chat, path = Chat(), tmp_path / "store"
        chat.failures = [RejectedError("blocked")]
        with Store(path) as store, Store(path) as other:
            outbox = outbox_of(chat, letters=store.letters)
            for text in ("refused", "claimed"):
                outbox.put("ann", text, priority=Priority.ALERT)
            claimed = _claimed(outbox, 2)
            async with running(outbox):
                await until(outbox.refused)
            assert all(other.letters.remove(id_) for id_ in (1, 2))
            async with running(outbox):
                await until(lambda: not outbox.failed)
                assert outbox.refused() == ()
                assert not outbox.is_wanted(claimed)
                outbox.give_back(claimed)
                assert await outbox.flush(20)
            assert (chat.sent, store.letters.undelivered()) == ([], ())

    run(story())


@pytest.mark.parametrize("is_taken", [True, False])
def test_outbox_tries_what_is_let_be_sent_while_it_is_claimed(tmp_path: Path, *, is_taken: bool) -> None:
    """A refused message that is let be sent while another way has it goes by the chat if that way does not take it."""

    async def story() -> None:
        chat, path = Chat(), tmp_path / "store"
        chat.failures = [RejectedError("blocked")]
        with Store(path) as store, Store(path) as other:
            outbox = outbox_of(chat, letters=store.letters)
            outbox.put("ann", "hello", priority=Priority.ALERT)
            async with running(outbox):
                await until(outbox.refused)
            claimed = _claimed(outbox, 1)
            async with running(outbox):
                assert not await outbox.flush(0.01)  # what is kept is looked at meanwhile
            assert other.letters.retry(1)  # so it has still failed
            async with running(outbox):
                await until(lambda: not outbox.failed)
                if is_taken:
                    outbox.settle(claimed, _RECEIPT, via="ntfy")
                else:
                    outbox.give_back(claimed)
                assert await outbox.flush(20)
            assert (chat.texts, outbox.failed) == ([] if is_taken else ["hello"], 0)

    run(story())


def test_outbox_remembers_no_claim_that_was_taken_back(tmp_path: Path) -> None:
    """A refused message that was withdrawn while it was claimed, and is let be sent later, waits like any other."""

    async def story() -> None:
        chat, path = Chat(gated=True), tmp_path / "store"
        with Store(path) as store, Store(path) as other:
            outbox = outbox_of(chat, letters=store.letters)
            outbox.put("ann", "hello", priority=Priority.ALERT, slot="s")
            async with running(outbox):
                chat.fail(RejectedError("blocked"))
                await until(outbox.refused)
            claimed = _claimed(outbox, 1)
            outbox.withdraw("s")
            outbox.give_back(claimed)
            assert other.letters.retry(1)
            async with running(outbox):
                await until(outbox.waiting)
                outbox.give_back(_claimed(outbox, 1))
                chat.take()
                assert await outbox.flush(20)
        assert chat.texts == ["hello"]

    run(story())


@pytest.mark.parametrize("is_taken", [True, False])
def test_outbox_doubles_nothing_by_a_chat_that_is_slow_to_break_off(*, is_taken: bool) -> None:
    """What was given back before its attempt was over can be claimed again, and is gone if that attempt went well."""

    class Slow(Chat):
        def __init__(self) -> None:
            super().__init__()
            self.is_broken_off, self.may_end = asyncio.Event(), asyncio.Event()

        async def send(self, to: str, content: Content, /) -> Receipt:
            if self.may_end.is_set():
                return await super().send(to, content)
            self.begun.put_nowait(content)
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.is_broken_off.set()
                await self.may_end.wait()
                if not is_taken:
                    raise
            return await super().send(to, content)

    async def story() -> None:
        chat = Slow()
        outbox = outbox_of(chat)
        outbox.put("ann", "hello", priority=Priority.ALERT)
        outbox.put("ann", "next", priority=Priority.DIGEST)
        async with running(outbox):
            await chat.begun.get()
            letter = _claimed(outbox, 1)
            await chat.is_broken_off.wait()
            outbox.give_back(letter)
            if not is_taken:
                letter = _claimed(outbox, 1)
            chat.may_end.set()
            await until(lambda: "next" in chat.texts)
            if not is_taken:
                outbox.settle(letter, _RECEIPT, via="ntfy")
            assert await outbox.flush(20)
        assert chat.texts == (["hello", "next"] if is_taken else ["next"])

    run(story())
