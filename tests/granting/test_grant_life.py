"""A grant's whole life in a bot that runs: asked for, confirmed, used, denied from outside, taken back."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from logmonitor.config import BotConfig, ChatConfig, Config, SecurityConfig, WatchConfig
from logmonitor.grant import Grant
from logmonitor.operation import OperationConfig
from logmonitor.records import Sender
from logmonitor.runtime import serve
from logmonitor.store import Store
from logmonitor.testing import ADMIN, START, MemoryTransport
from operations.qr_rescue import qr_rescue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_BOB = Sender(id="wxid_bob", alias="bob")
_IMPOSTER = Sender(id="wxid_imposter", alias="bob2", name="bob")


class _Conversation:
    """A chat with the bot, in which every answer is waited for."""

    def __init__(self, chat: MemoryTransport) -> None:
        self._chat = chat

    async def say(self, text: str, *, sender: Sender = ADMIN) -> str:
        """Say something; return the one answer to it, which went to who said it."""
        self._chat.sent.clear()
        self._chat.receive(text, sender=sender)
        ((to, answer),) = await self._chat.wait_for(1)
        assert to == sender.id
        return str(answer)

    async def is_ignored(self, text: str, *, sender: Sender) -> bool:
        """Tell whether nothing but what an admin says after it is answered."""
        self._chat.sent.clear()
        self._chat.receive(text, sender=sender)
        self._chat.receive("grants")
        return [to for to, _ in await self._chat.wait_for(1)] == [ADMIN.id]

    async def confirmed(self, text: str) -> str:
        """Say something, confirm it, and return the answer."""
        asked = await self.say(text)
        id_ = re.search(r"`confirm ([A-Z0-9]+)`", asked)
        assert id_ is not None
        return await self.say(f"confirm {id_[1]}")


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[_Conversation]:
    """Serve a rescue of bob, with a store and an audit in `folder`."""
    config = Config(
        path=folder / "alice.toml",
        bot=BotConfig(name="alice", store=folder / "alice.db", timezone=ZoneInfo("Asia/Shanghai")),
        chat=ChatConfig(transport="memory", admins=("AdminWeixin",)),
        watches=(WatchConfig(name="bob", logs=(str(folder / "bob.log"),), profile="wechaty-ts"),),
        security=SecurityConfig(audit=folder / "alice.audit.jsonl"),
    )
    (folder / "bob.log").touch()
    chat = MemoryTransport(ADMIN, _BOB, _IMPOSTER)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        operations = (qr_rescue(OperationConfig(watch="bob")),)
        tasks.create_task(serve(config, transport=chat, operations=operations, stop=stop))
        try:
            yield _Conversation(chat)
        finally:
            stop.set()


async def test_grant_lives_from_its_confirmation_to_its_end(tmp_path: Path) -> None:
    """Before it is confirmed it gives nothing; a denial from outside and a revocation are seen at once."""
    async with _served(tmp_path) as chat:
        assert await chat.is_ignored("qr", sender=_BOB)
        asked = await chat.say("grant bob qr until 2099-12-31")
        what = "may run qr_rescue.qr, in direct messages, until the end of 2099-12-31 (UTC+08:00)"
        assert f"→ the one contact bob {what}\n" in asked
        assert await chat.is_ignored("qr", sender=_BOB)
        assert await chat.confirmed("grant bob qr until 2099-12-31") == f"done, number 1: “bob” (wxid_bob) {what}"
        assert "bob" in await chat.say("qr", sender=_BOB)
        assert "no command of yours" in await chat.say("grant bob2 qr", sender=_BOB)
        assert await chat.is_ignored("qr", sender=_IMPOSTER)
        with Store(tmp_path / "alice.db") as outside:
            outside.add_grant(Grant(user="wxid_bob", is_denial=True, at=START))
        assert await chat.is_ignored("qr", sender=_BOB)
        assert (await chat.say("grants")).count("“bob” (wxid_bob) may") == 2
        assert (await chat.confirmed("revoke 2")).startswith("this holds no more: 2: “bob” (wxid_bob) may not run *")
        assert "bob" in await chat.say("qr", sender=_BOB)
        assert (await chat.confirmed("revoke 1")).startswith("this holds no more: 1: ")
        assert await chat.is_ignored("qr", sender=_BOB)


async def test_grant_that_cannot_be_meant_is_never_asked_to_be_confirmed(tmp_path: Path) -> None:
    """What is wrong with it is said instead."""
    async with _served(tmp_path) as chat:
        assert "confirm" not in await chat.say("grant bob qrr")
        assert await chat.say("grant bob qr until 2020-01-01") == "'2020-01-01' has passed; expected a time to come"
        assert await chat.say("revoke 1") == "there is no number 1; `grants` lists them"


async def test_grant_is_on_the_audit_with_what_led_to_it(tmp_path: Path) -> None:
    """Asked, allowed with its factor, granted with its number: in this order, each by the admin."""
    async with _served(tmp_path) as chat:
        await chat.confirmed("grant bob qr")
    lines = (tmp_path / "alice.audit.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if "decision" in record]
    assert [(record["decision"], record["user"]) for record in records if record["decision"] != "done"] == [
        *(("asked", ADMIN.id), ("allowed", ADMIN.id), ("allowed", ADMIN.id), ("granted", ADMIN.id))
    ]
