"""Admins by their configured names."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from logmonitor import RejectedError, Sender, TransportError
from logmonitor.directory import Directory
from logmonitor.testing import ADMIN, MemoryTransport

EVE = Sender(id="eve-id", name="AdminWeixin")


class Flaky(MemoryTransport):
    """A chat that cannot be asked the first time."""

    asked = 0

    async def resolve(self, who: str, /) -> Sender:
        """Fail once, then answer."""
        self.asked += 1
        if self.asked == 1:
            raise TransportError("not connected")
        return await super().resolve(who)


async def test_directory_finds_who_the_chat_knows() -> None:
    """A configured name leads to the stable id of the contact behind it, and messages go there."""
    transport = MemoryTransport(ADMIN, EVE)
    directory = Directory(transport, ["AdminWeixin"])
    assert directory.address("AdminWeixin") == "AdminWeixin"
    await directory.run()
    assert directory.found(["AdminWeixin", "nobody"]) == (ADMIN,)
    assert directory.address("AdminWeixin") == "admin-id"
    await directory.send("AdminWeixin", "hello")
    await directory.send("some-room", "hello")
    assert [to for to, _ in transport.sent] == ["admin-id", "some-room"]


async def test_directory_reports_an_unknown_name_once(caplog: pytest.LogCaptureFixture) -> None:
    """A name that the chat does not know authorises nobody, is logged once, and refuses what is sent to it."""
    directory = Directory(MemoryTransport(), ["Nobody"])
    with caplog.at_level(logging.ERROR):
        await directory.run()
        with pytest.raises(RejectedError):
            await directory.send("Nobody", "hello")
    assert directory.unknown == {"Nobody": "no contact fits 'Nobody'; expected one of 'admin-id/AdminWeixin/admin'"}
    assert directory.found(["Nobody"]) == ()
    assert len(caplog.records) == 1


async def test_directory_asks_again_what_could_not_be_asked() -> None:
    """A chat that cannot answer yet is asked again."""
    transport = Flaky()
    directory = Directory(transport, ["AdminWeixin"], retry_seconds=0)
    await directory.run()
    assert directory.found(["AdminWeixin"]) == (ADMIN,)


class Moving(MemoryTransport):
    """A chat whose contacts have other ids after each login, and that can be held up."""

    login = 1

    def __init__(self) -> None:
        """Answer at once."""
        super().__init__()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def resolve(self, who: str, /) -> Sender:
        """Answer with the id of this login."""
        await self.may_answer.wait()
        if self.login == 0:
            raise RejectedError("gone")
        return replace(await super().resolve(who), id=f"admin-{self.login}")


async def test_directory_knows_an_admin_until_the_chat_has_answered_anew() -> None:
    """After a login an admin stays who it was until the chat says otherwise, and is nobody once it says so."""
    transport = Moving()
    directory = Directory(transport, ["AdminWeixin"])
    await directory.run()
    transport.login = 2
    transport.may_answer.clear()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(directory.run())
        await asyncio.sleep(0)
        assert directory.address("AdminWeixin") == "admin-1"
        transport.may_answer.set()
    assert directory.address("AdminWeixin") == "admin-2"
    transport.login = 0
    await directory.run()
    assert directory.found(["AdminWeixin"]) == ()
    assert directory.unknown == {"AdminWeixin": "gone"}


class Sleeping(MemoryTransport):
    """A chat that is down until a test says otherwise."""

    def __init__(self) -> None:
        """Be down."""
        super().__init__()
        self.up = asyncio.Event()
        self.waited_for = asyncio.Event()

    async def wait_until_up(self) -> None:
        """Wait for the test."""
        self.waited_for.set()
        await self.up.wait()

    async def resolve(self, who: str, /) -> Sender:
        """Answer only when up."""
        if not self.up.is_set():
            raise TransportError("down")
        return await super().resolve(who)


async def test_directory_waits_for_a_chat_that_says_it_is_down(caplog: pytest.LogCaptureFixture) -> None:
    """It asks a chat that goes down and comes back as soon as it is there, and not before."""
    transport = Sleeping()
    directory = Directory(transport, ["AdminWeixin"])
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(directory.run())
        await transport.waited_for.wait()
        assert directory.found(["AdminWeixin"]) == ()
        transport.up.set()
    assert directory.found(["AdminWeixin"]) == (ADMIN,)
    assert caplog.records == []


async def test_directory_waits_for_no_chat_that_cannot_say() -> None:
    """A chat that does not tell when it is down is always taken to be up."""
    async with asyncio.timeout(10):
        await Directory(MemoryTransport(), []).wait_until_up()
