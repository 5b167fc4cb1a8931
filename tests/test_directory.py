"""Admins by their configured names."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from logmonitor import Health, RejectedError, Sender, TransportError
from logmonitor.directory import CHECKS, Directory, pause_after
from logmonitor.testing import ADMIN, MemoryTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

EVE = Sender(id="eve-id", name="AdminWeixin")


class Flaky(MemoryTransport):
    """A chat that cannot be asked for `AdminWeixin` some times."""

    def __init__(self, failures: int) -> None:
        """Fail so many times."""
        super().__init__()
        self.failures = failures

    async def resolve(self, who: str, /) -> Sender:
        """Fail, then answer."""
        if who == "AdminWeixin" and self.failures:
            self.failures -= 1
            raise TransportError("not connected")
        return await super().resolve(who)


@asynccontextmanager
async def running(directory: Directory) -> AsyncIterator[None]:
    """Let a directory run."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(directory.run())
        yield
        task.cancel()


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds that no event tells of; the test's deadline ends it."""
    while not holds():  # noqa: ASYNC110  # a directory is asked, and tells nothing
        await asyncio.sleep(0)


async def test_directory_finds_who_the_chat_knows() -> None:
    """A configured name leads to the contact behind it, for whom messages are kept by that name before and after."""
    transport = MemoryTransport(ADMIN, EVE)
    directory = Directory(transport, ["AdminWeixin"])
    assert directory.address("AdminWeixin") == "AdminWeixin"
    assert directory.known_as("admin-id") == ("admin-id",)
    await directory.look_up()
    assert directory.found(["AdminWeixin", "nobody"]) == (ADMIN,)
    assert {directory.address(name) for name in ("AdminWeixin", "admin-id")} == {"AdminWeixin"}
    assert directory.known_as("AdminWeixin") == directory.known_as("admin-id") == ("AdminWeixin", "admin-id")
    await directory.send("AdminWeixin", "hello")
    await directory.send("some-room", "hello")
    assert [to for to, _ in transport.sent] == ["admin-id", "some-room"]


async def test_directory_reports_an_unknown_name_once(caplog: pytest.LogCaptureFixture) -> None:
    """A name that the chat does not know authorises nobody, is logged once, and what is sent to it has to wait."""
    transport = MemoryTransport()
    directory = Directory(transport, ["Nobody"])
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            with pytest.raises(TransportError, match=r"^admin Nobody is unknown to the chat so far$") as caught:
                await directory.send("Nobody", "hello")
            assert not isinstance(caught.value, RejectedError)
            await directory.look_up()
    assert directory.unknown == {
        "Nobody": "no contact fits 'Nobody'; expected the id of one: admin-id (alias “admin”, number “AdminWeixin”)"
    }
    assert directory.found(["Nobody"]) == ()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


class Late(MemoryTransport):
    """A chat that knows its contacts only after it was asked some times; `asked` is for whom it was asked."""

    def __init__(self, times: int) -> None:
        """Know nobody so many times."""
        super().__init__(ADMIN, Sender(id="keeper-id", alias="Keeper"))
        self.asked: list[str] = []
        self.times = times

    async def resolve(self, who: str, /) -> Sender:
        """Know nobody but the keeper at first."""
        self.asked.append(who)
        if who == "admin" and self.asked.count(who) <= self.times:
            raise RejectedError("2 contacts fit" if self.times % 2 else "no contact fits")
        return await super().resolve(who)


def recorded_pauses(pauses: list[int]) -> Callable[[int], float]:
    """Return what is given as `pause` to ask again at once, and to know how often that was."""

    def pause(times: int) -> float:
        pauses.append(times)
        return 0.0

    return pause


@pytest.mark.parametrize("times", [3, 4])
async def test_directory_asks_again_for_whom_the_chat_does_not_know_yet(
    times: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Who is unknown or ambiguous is asked for alone, again and again, until he is found, which is told once."""
    transport, pauses = Late(times), list[int]()
    directory = Directory(transport, ["admin", "Keeper"], pause=recorded_pauses(pauses))
    caplog.set_level(logging.INFO)
    async with running(directory):
        await until(lambda: directory.found(["admin"]))
        await directory.send("admin", "hello")
    assert transport.asked == ["Keeper", "admin", *["admin"] * times]
    assert pauses == list(range(times))
    assert transport.sent == [("admin-id", "hello")]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert caplog.messages[1] == "admin admin is known to the chat now"


async def test_directory_asks_for_everybody_after_a_login() -> None:
    """A login ends the wait, and everybody is looked up anew, whoever was found before."""
    transport, pauses = Late(1), list[int]()

    def pause(times: int) -> float:
        pauses.append(times)
        return 3600.0

    directory = Directory(transport, ["admin", "Keeper"], pause=pause)
    async with running(directory):
        await directory.wait_until_looked_up()
        assert directory.found(["admin"]) == ()
        directory.renew()
        await until(lambda: len(transport.asked) == 4)
        directory.renew()
        await until(lambda: len(transport.asked) == 6)
    assert transport.asked == ["Keeper", "admin"] * 3
    assert pauses == [0]


class Growing(MemoryTransport):
    """A chat that lists its contacts one after another; `asked` is how often it was asked."""

    def __init__(self) -> None:
        """List a stranger alone, whose number is the alias of an admin."""
        super().__init__(Sender(id="stranger-id", weixin="admin"))
        self.asked = 0

    async def resolve(self, who: str, /) -> Sender:
        """Count who asks."""
        self.asked += 1
        return await super().resolve(who)


async def test_directory_leaves_a_number_that_may_be_a_stranger_s() -> None:
    """Who bears a name as his number gets nothing any more, and may nothing, once whom it means may be another."""
    transport = Growing()
    directory = Directory(transport, ["admin"], pause=lambda _: 0.0)
    async with running(directory):
        await until(lambda: directory.found(["admin"]))
        transport.contacts = (*transport.contacts, ADMIN)
        await until(lambda: directory.unknown)
        assert (directory.found(["admin"]), directory.names_of("stranger-id")) == ((), ("stranger-id",))
        with pytest.raises(TransportError, match="is unknown to the chat so far"):
            await directory.send("admin", "a QR")
    assert transport.sent == []


async def test_directory_asks_for_a_number_some_times_only() -> None:
    """Who was found by his number is asked for for a while after a login; by an id or alias not again."""
    transport, pauses = Growing(), list[int]()
    directory = Directory(transport, ["admin", "stranger-id"], pause=recorded_pauses(pauses))
    async with running(directory):
        await until(lambda: transport.asked == CHECKS + 2)
        for _ in range(10):
            await asyncio.sleep(0)
        directory.renew()
        await until(lambda: transport.asked == 2 * (CHECKS + 2))
    assert pauses == [*range(CHECKS)] * 2


def test_directory_asks_ever_more_seldom() -> None:
    """The pauses double from ten seconds to ten minutes."""
    assert [pause_after(times) for times in (0, 1, 2, 5, 6, 7, 10_000)] == [10, 20, 40, 320, 600, 600, 600]


async def test_directory_asks_again_what_could_not_be_asked(caplog: pytest.LogCaptureFixture) -> None:
    """A chat that cannot answer yet is asked again, which holds up nobody else and is logged once for each reason."""
    transport = Flaky(3)
    directory = Directory(transport, ["AdminWeixin", "admin"], retry_seconds=0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(directory.look_up())
        await until(lambda: directory.found(["admin"]))
        assert directory.found(["AdminWeixin"]) == ()
        await directory.wait_until_looked_up()
    assert directory.found(["AdminWeixin"]) == (ADMIN,)
    assert caplog.messages == ["cannot look up admin AdminWeixin yet: not connected"]


class Broken(MemoryTransport):
    """A chat whose own code fails over a name, once."""

    def __init__(self) -> None:
        """Have not failed."""
        super().__init__()
        self.has_failed = False

    async def resolve(self, who: str, /) -> Sender:
        """Fail, then answer."""
        if not self.has_failed:
            self.has_failed = True
            raise AttributeError("no such thing")
        return await super().resolve(who)


async def test_directory_outlives_a_chat_that_fails_over_a_name(caplog: pytest.LogCaptureFixture) -> None:
    """What a chat's own code raises ends nothing: it is logged with where it came from, and the chat asked again."""
    directory = Directory(Broken(), ["AdminWeixin"], retry_seconds=0.0)
    async with asyncio.timeout(10):
        await directory.look_up()
    assert directory.found(["AdminWeixin"]) == (ADMIN,)
    assert [(one.levelname, one.getMessage(), one.exc_info is None) for one in caplog.records] == [
        ("WARNING", "cannot look up admin AdminWeixin yet: no such thing", False)
    ]


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
    await directory.look_up()
    transport.login = 2
    transport.may_answer.clear()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(directory.look_up())
        await asyncio.sleep(0)
        assert directory.known_as("AdminWeixin") == ("AdminWeixin", "admin-1")
        transport.may_answer.set()
    assert directory.known_as("AdminWeixin") == ("AdminWeixin", "admin-2")
    transport.login = 0
    await directory.look_up()
    assert directory.found(["AdminWeixin"]) == ()
    assert directory.unknown == {"AdminWeixin": "gone"}


class Sleeping(MemoryTransport):
    """A chat that is down until a test says otherwise."""

    def __init__(self) -> None:
        """Be down."""
        super().__init__()
        self.up = asyncio.Event()
        self.waited_for = asyncio.Event()

    def health(self) -> Health:
        """Say what the test says."""
        return Health(is_up=self.up.is_set(), reason="asleep")

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
        tasks.create_task(directory.look_up())
        await transport.waited_for.wait()
        assert directory.found(["AdminWeixin"]) == ()
        transport.up.set()
    assert directory.found(["AdminWeixin"]) == (ADMIN,)
    assert caplog.records == []


async def test_directory_is_as_well_as_its_chat() -> None:
    """A chat that can be waited for is down while it says so; another is tried whatever it says."""
    transport = Sleeping()
    directory = Directory(transport, [])
    assert directory.health() == Health(is_up=False, reason="asleep")
    transport.up.set()
    assert directory.health().is_up
    memory = MemoryTransport()
    memory.fail_next(TransportError("down"))
    assert not memory.health().is_up
    assert Directory(memory, []).health() == Health(is_up=True)
    async with asyncio.timeout(10):
        await Directory(memory, []).wait_until_up()


async def test_terminal_is_nobody_but_its_admins() -> None:
    """A chat that answers as one person for every name is believed for configured names and that person's own."""

    class Terminal(MemoryTransport):
        async def resolve(self, _who: str, /) -> Sender:
            return ADMIN

    directory = Directory(Terminal(), ["You"])
    assert await directory.resolve("You") == ADMIN
    assert await directory.resolve(ADMIN.id) == ADMIN
    with pytest.raises(RejectedError, match="no contact fits 'carol'"):
        await directory.resolve("carol")
