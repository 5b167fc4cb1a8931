"""Checks of services, as admins see them, in memory and with real servers and programs."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from logmonitor import Completed, HostError, Invocation, OperationConfig, OperationError, Outcome, Response, Service
from logmonitor.host import LocalHost
from logmonitor.testing import START, FakeClock, FakeHost, RecordingContext, chat, message
from operations.service_check import AT_ONCE, service_check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from logmonitor import Operation

URL = "http://127.0.0.1:8080/health"
SHOP = Service(name="shop", url=URL)
MONGO = Service(name="mongo", port=27017)
DISK = Service(name="disk", command=("check_disk", "-w", "10%"))
OK = Response(status=200, body=b"ok", seconds=0.12)
DOWN = Response(status=503, body=b"", seconds=0.01)
FULL = Completed(argv=(), exit_code=2, stdout="DISK CRITICAL - 3% free\n", stderr="", seconds=0.2)
SPACE = Completed(argv=(), exit_code=0, stdout="DISK OK\n", stderr="", seconds=0.2)


def checking(*services: Service, watch: str | None = None, language: str = "en") -> Operation:
    """Make the operation under test, with its defaults."""
    return service_check(OperationConfig(watch=watch, language=language), services=services)


def machine() -> FakeHost:
    """Return a machine on which all services work."""
    host = FakeHost()
    host.services[URL] = OK
    host.services["127.0.0.1:27017"] = 0.01
    host.answers["check_disk",] = SPACE
    return host


async def test_failing_service_is_told_once_and_its_return_once() -> None:
    """After three failures in a row the admins hear it, and the first success tells that it is over."""
    host = machine()
    async with chat(checking(SHOP), host=host, admins=("Ann", "Ben"), users=("Cy",)) as here:
        ann, ben = here.user("Ann"), here.user("Ben")
        await here.move_on(600)
        await ann.should_receive_nothing()
        host.services[URL] = DOWN
        await here.move_on(120)
        await ann.should_receive_nothing()
        await here.move_on(60)
        for admin in (ann, ben):
            await admin.should_receive("shop is failing: it answers with status 503")
        host.services[URL] = HostError("127.0.0.1:8080 does not answer: connection refused")
        await here.move_on(3600)
        await ann.should_receive_nothing()
        host.services[URL] = OK
        await here.move_on(60)
        for admin in (ann, ben):
            await admin.should_receive("shop works again, after 1 h")
        await here.move_on(600)


async def test_services_that_fail_together_are_one_message() -> None:
    """What becomes known at the same time is told at the same time: of a URL, a port and a program."""
    host = machine()
    async with chat(checking(SHOP, MONGO, DISK), host=host) as here:
        ann = here.user("Ann")
        host.services[URL] = DOWN
        del host.services["127.0.0.1:27017"]
        host.answers["check_disk",] = FULL
        await here.move_on(180)
        await ann.should_receive(
            "shop is failing: it answers with status 503\n"
            "mongo is failing: 127.0.0.1:27017 does not answer within 10 s\n"
            "disk is failing: exit code 2: DISK CRITICAL - 3% free"
        )
    assert host.ran[0] == ("check_disk", "-w", "10%")


async def test_service_that_comes_and_goes_is_not_told() -> None:
    """Two failures in a row are none; the count begins anew with each success."""
    host = machine()
    async with chat(checking(SHOP), host=host) as here:
        for _ in range(5):
            host.services[URL] = DOWN
            await here.move_on(120)
            host.services[URL] = OK
            await here.move_on(60)


async def test_each_service_has_its_own_pace() -> None:
    """Interval and thresholds of a service stand before those of all."""
    host = machine()
    often = Service(name="often", url=URL, interval=10, failures=1, successes=3)
    async with chat(checking(often, MONGO), host=host) as here:
        ann = here.user("Ann")
        host.services[URL] = DOWN
        await here.move_on(10)
        await ann.should_receive(re.compile("^often is failing"))
        host.services[URL] = OK
        await here.move_on(20)
        await ann.should_receive_nothing()
        await here.move_on(10)
        await ann.should_receive(re.compile("^often works again"))


async def test_checks_lists_where_all_stand() -> None:
    """`checks` tells of each service, and asks none."""
    host = machine()
    host.services[URL] = DOWN
    async with chat(checking(SHOP, MONGO, DISK), host=host) as here:
        ann = here.user("Ann")
        await here.move_on(70)
        count = len(host.ran)
        await ann.says("checks").should_reply(
            "shop: not working, checked 10 s ago, 2 times so far: it answers with status 503\n"
            "mongo: works (0.01 s), checked 10 s ago\n"
            "disk: works (0.20 s), checked 10 s ago"
        )
        assert len(host.ran) == count
        await here.move_on(60)
        await ann.should_receive("shop is failing: it answers with status 503")
        await ann.says("checks").should_reply(re.compile("^shop: failing for 2 min, checked 10 s ago: it answers with"))


async def test_check_asks_a_service_now() -> None:
    """`check NAME` tells how it is, in any case; the answer counts for nothing else."""
    host = machine()
    async with chat(checking(SHOP, MONGO), host=host, users=("Cy",)) as here:
        ann = here.user("Ann")
        await ann.says("check Shop").should_reply("shop works (0.12 s)")
        host.services[URL] = DOWN
        for _ in range(5):
            await ann.says("check shop").should_reply("shop does not work: it answers with status 503")
        which = "which service? Say check and one of: shop, mongo"
        await ann.says("check").should_reply(which)
        await ann.says("check nothing").should_reply(which)
        codes = [row["exit_code"] for row in here.audit if "exit_code" in row]
        await here.user("Cy").should_be_denied("check shop")
        await here.user("Cy").should_be_denied("checks")
        here.grant(here.user("Cy"), "service_check.check*")
        await here.user("Cy").says("check mongo").should_reply("mongo works (0.01 s)")
        host.services[URL] = OK
    assert codes == [0, 1, 1, 1, 1, 1]


async def test_check_of_no_service_checks_none() -> None:
    """Whoever calls the command without asking for its objection is told, too."""
    context, operation = RecordingContext(), checking(SHOP, MONGO)
    command = next(command for command in operation.commands if command.name == "check")
    outcome = await command.handler(context, Invocation(message=message("check"), name="check"))
    assert outcome == Outcome(exit_code=1)
    assert [sent.content for sent in context.sent] == ["which service? Say check and one of: shop, mongo"]


async def test_only_service_needs_no_name() -> None:
    """Where there is one service `check` means it."""
    async with chat(checking(DISK), host=machine()) as here:
        await here.user("Ann").says("check").should_reply("disk works (0.20 s)")


async def test_program_that_hangs_or_is_not_there_does_not_work() -> None:
    """What a program cannot tell is told in a sentence."""
    host = machine()
    async with chat(checking(DISK), host=host) as here:
        ann = here.user("Ann")
        host.answers["check_disk",] = TimeoutError()
        await ann.says("check").should_reply("disk does not work: it was ended after 10 s")
        del host.answers["check_disk",]
        await ann.says("check").should_reply(re.compile("^disk does not work: cannot start 'check_disk'"))
        host.answers["check_disk",] = HostError("a\u202eb\nc")
        await ann.says("check").should_reply("disk does not work: a\\u202eb␊c")


async def test_restart_of_logmonitor_tells_nothing_twice(tmp_path: Path) -> None:
    """What was told to fail before a restart is not told again, and its return is; what is removed is forgotten."""
    host, clock = machine(), FakeClock()
    host.services[URL] = DOWN
    host.answers["check_disk",] = FULL
    async with chat(checking(SHOP, DISK), host=host, clock=clock, folder=tmp_path) as here:
        await here.move_on(120)
        await here.user("Ann").should_receive(re.compile("^shop is failing.*\ndisk is failing"))
    clock.jump(3600)
    async with chat(checking(SHOP), host=host, clock=clock, folder=tmp_path) as here:
        ann = here.user("Ann")
        await here.move_on(600)
        await ann.should_receive_nothing()
        host.services[URL] = OK
        await here.move_on(60)
        await ann.should_receive("shop works again, after 1 h")
    async with chat(checking(SHOP, DISK), host=host, clock=clock, folder=tmp_path) as here:
        await here.user("Ann").says("checks").should_reply(re.compile("shop: works.*\ndisk: not working"))


async def test_what_a_store_holds_of_another_version_is_passed_over() -> None:
    """A time that cannot be read is as if the service had worked."""
    context = RecordingContext()
    context.store.put("shop", "yesterday")
    context.store.put("gone", START.isoformat())
    operation = checking(SHOP, watch="bob")
    assert operation.on_start is not None
    assert operation.status is not None
    await operation.on_start(context)
    assert operation.status(context, "bob") == ("shop: not checked yet",)
    assert context.store.keys() == ()


async def test_services_of_a_bot_stand_in_its_status() -> None:
    """With a `watch` the services are that bot's, and its `status` shows them; without, no bot's does."""
    host = machine()
    for watch in ("bob", None):
        async with chat(checking(MONGO, watch=watch), watches=("bob", "carol"), host=host) as here:
            ann = here.user("Ann")
            row = "mongo: works"
            heard = await ann.says("status bob").should_reply()
            assert (row in heard.text) == (watch == "bob")
            heard = await ann.says("status carol").should_reply()
            assert row not in heard.text


async def test_many_services_are_checked_in_their_turn() -> None:
    """More services than are checked at once are checked all the same, each once in its interval."""
    services = tuple(
        Service(name=f"s{index}", url=f"http://s{index}/", interval=60) for index in range(AT_ONCE * 3 + 1)
    )
    asked: list[str] = []

    class Counting(FakeHost):
        at_once = 0
        most = 0

        async def fetch(self, url: str, /, *, timeout: float, limit_bytes: int) -> Response:  # noqa: ASYNC109  # as the port has it
            assert (timeout, limit_bytes) == (10.0, 0)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await asyncio.sleep(0)
            asked.append(url)
            self.at_once -= 1
            return OK

    host = Counting()
    async with chat(checking(*services), host=host) as here:
        await here.settle()
        assert sorted(asked) == sorted(service.url or "" for service in services)
        await here.move_on(600)
    assert len(asked) == len(services) * 11
    assert host.most == AT_ONCE


async def test_texts_are_chinese_where_that_is_the_language() -> None:
    """An admin who reads Chinese is told in Chinese."""
    host = machine()
    host.services[URL] = DOWN
    async with chat(checking(SHOP, MONGO, language="zh"), host=host, language="zh") as here:
        ann = here.user("Ann")
        await here.move_on(120)
        failing = await ann.should_receive(re.compile("shop"))
        listed = await ann.says("checks").should_reply()
        checked = await ann.says("check shop").should_reply()
        for heard in (failing, listed, checked):
            assert not re.search("fail|work|status|answer", heard.text)


@pytest.mark.parametrize(
    ("services", "problem"),
    [
        ((), "no services; expected at least one to check"),
        ((SHOP, Service(name="ＳＨＯＰ", port=1)), "two services have the name 'shop'"),
    ],
)
def test_services_that_cannot_be_told_apart_are_refused(services: tuple[Service, ...], problem: str) -> None:
    """There has to be something to check, and a name for each."""
    with pytest.raises(OperationError, match=problem):
        checking(*services)
    with pytest.raises(OperationError, match=r"^bad interval 0"):
        service_check(OperationConfig(), services=(SHOP,), interval=0)


@asynccontextmanager
async def web_server(answer: bytes, *, port: int = 0) -> AsyncIterator[int]:
    """Answer every request on a port with these bytes; give the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_real_services_are_checked(tmp_path: Path) -> None:
    """A web server, the same by its port and a program, each asked in reality; the server goes, and comes back."""
    marker = tmp_path / "marker"
    marker.touch()
    program = "import pathlib, sys; sys.exit(0 if pathlib.Path(sys.argv[1]).exists() else 'the marker is gone')"
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    services = (
        Service(name="web", url=f"http://127.0.0.1:{port}/health?key=secret", contains='"status": *"ok"', failures=1),
        Service(name="port", port=port, failures=1),
        Service(name="marker", command=(sys.executable, "-c", program, str(marker)), failures=1),
    )
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "ok"}'
    async with chat(checking(*services), host=LocalHost(), deadline=60) as here:
        ann = here.user("Ann")
        await ann.should_receive(
            f"web is failing: 127.0.0.1:{port} does not answer: connection refused\n"
            f"port is failing: 127.0.0.1:{port} does not answer: connection refused"
        )
        async with web_server(answer, port=port):
            await here.move_on(60)
            await ann.should_receive("web works again, after 1 min\nport works again, after 1 min")
            marker.unlink()
            await here.move_on(60)
            await ann.should_receive("marker is failing: exit code 1: the marker is gone")
            await ann.says("check web").should_reply(re.compile("^web works "))
        async with web_server(answer.replace(b"ok", b"no"), port=port):
            await ann.says("check web").should_reply(re.compile("^web does not work: .* is not in what it says$"))
