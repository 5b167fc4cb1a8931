"""Conversations of an admin with a bot, one for each operation, as docs/operations.md shows them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor import (
    DiskUsage,
    HostError,
    OperationConfig,
    Origin,
    Service,
    ShellEnd,
    Stream,
    StreamKind,
)
from logmonitor.testing import START, FakeHost, FakeShell, chat
from logmonitor.testing.clock import come_round
from operations.liveness import liveness
from operations.log_alert import log_alert
from operations.log_view import log_view
from operations.qr_rescue import qr_rescue
from operations.restart_process import restart_process
from operations.service_check import service_check
from operations.shell_exec import shell_exec
from operations.status import status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logmonitor.testing import Entry

BOB: Final = OperationConfig(watch="bob", timezone=UTC)
SCAN: Final = (
    "22:44:35 INFO StarterBot onScan: Waiting(2) - https://wechaty.js.org/qrcode/"
    "https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc123%3D%3D"
)
ERROR: Final = "ERR StarterBot cannot send"
LOGIN: Final = "22:44:35 INFO StarterBot Contact<Bob> login"

Conversation = tuple["Entry", ...]


def bots_machine() -> FakeHost:
    """Return a machine on which Bob's process runs, which writes to a file."""
    host = FakeHost()
    process = replace(
        host.add_process(2817, "node", "bob.js"), started_at=START - timedelta(hours=50), memory_bytes=188 << 20
    )
    host.processes = [process]
    host.origins[2817] = origin_of(host, process.pid)
    return host


def origin_of(host: FakeHost, pid: int) -> Origin:
    """Return what Bob was started with."""
    process = next(process for process in host.processes if process.pid == pid)
    stream = Stream(kind=StreamKind.FILE, path=Path("/srv/bots/bob.out"))
    return replace(host.origin_of(process), folder=Path("/srv/bots"), stdout=stream, stderr=stream)


async def qr_rescue_of_bob() -> Conversation:
    """Bob is thrown out, scanned, and back."""
    async with chat(
        qr_rescue(BOB, login_test="您好世界"), watches=("bob",), profile="wechaty-ts", strict=False
    ) as here:
        here.log("bob").write(LOGIN)
        await here.settle()
        await here.move_on(3600)
        here.transcript.entries.clear()
        here.log("bob").write("23:44:30 INFO StarterBot Contact<Bob> logout", SCAN)
        await here.settle()
        await here.clock.move_on(40, settle=here.settle)
        here.log("bob").write(LOGIN)
        await here.settle()
        return tuple(here.transcript.entries)


async def restart_of_bob() -> Conversation:
    """Bob's process is looked at, and restarted."""
    host = bots_machine()
    async with chat(restart_process(BOB, pid_file=Path("bob.pid")), watches=("bob",), host=host, strict=False) as here:
        ann = here.user("Ann")
        await ann.says("ps").should_reply()
        ann.says("restart bob")
        await here.settle()
        await here.clock.move_on(3, settle=here.settle)
        return tuple(here.transcript.entries)


async def restart_of_a_pipe() -> Conversation:
    """What could not be started again is not ended."""
    host = bots_machine()
    host.origins[2817] = replace(host.origins[2817], stdout=Stream(kind=StreamKind.PIPE))
    async with chat(restart_process(BOB, pid_file=Path("bob.pid")), watches=("bob",), host=host, strict=False) as here:
        await here.user("Ann").says("restart bob").should_reply()
        return tuple(here.transcript.entries)


async def looks_into_the_log_of_bob() -> Conversation:
    """The end of a log, what matches in it, and all of it."""
    async with chat(log_view(BOB), watches=("bob",), profile="wechaty-ts", strict=False) as here:
        log, ann = here.log("bob"), here.user("Ann")
        for minute in range(400):
            log.write(f"11:{minute % 60:02}:10 INFO StarterBot heart-beat {minute} of the session, and all is well")
        log.write(
            "12:00:01 ERR StarterBot onError: Error: 1 message was not sent", "12:00:02 INFO StarterBot retried, sent"
        )
        await here.settle()
        await ann.says("tail 3 bob").should_reply()
        await ann.says("grep ERR bob").should_reply()
        await ann.says("log bob").should_reply()
        return tuple(here.transcript.entries)


async def alerts_about_bob() -> Conversation:
    """An error is told at once, its likes are counted, and a stack trace is one alert."""
    async with chat(log_alert(BOB, match=" ERR "), watches=("bob",), profile="wechaty-ts", strict=False) as here:
        log, ann = here.log("bob"), here.user("Ann")
        log.write(f"12:00:00 {ERROR} message 4711 to wxid_8832: timeout after 3000 ms")
        await here.settle()
        await here.clock.move_on(10, settle=here.settle)
        for number in range(37):
            log.write(f"12:00:{number + 10} {ERROR} message {4712 + number} to wxid_19: timeout after 3000 ms")
            await here.settle()
            await here.clock.move_on(1, settle=here.settle)
        await here.clock.move_on(300, settle=here.settle)
        ann.says("mute 30m")
        await here.settle()
        return tuple(here.transcript.entries)


async def silence_of_bob() -> Conversation:
    """Two signs agree that Bob may be off-line; later he is back."""
    host = bots_machine()
    operations = (restart_process(BOB, pid_file=Path("bob.pid")), liveness(BOB))
    async with chat(*operations, watches=("bob",), profile="wechaty-ts", host=host, strict=False) as here:
        log = here.log("bob")
        log.write(LOGIN)
        host.files[log.path] = b"a line\n"
        await here.settle()
        here.transcript.entries.clear()
        bob = host.processes.pop()
        await here.clock.move_on(1800, settle=here.settle)
        host.processes.append(bob)
        host.files[log.path] += b"another\n"
        await here.clock.move_on(120, settle=here.settle)
        return tuple(here.transcript.entries)


async def status_of_everything() -> Conversation:
    """How everything stands, and the last day as an image."""
    host = bots_machine()
    host.machine = replace(host.machine, disks=(DiskUsage(path=Path("/"), total_bytes=60 << 30, free_bytes=20 << 30),))
    operations = (qr_rescue(BOB), restart_process(BOB, pid_file=Path("bob.pid")), status(OperationConfig(timezone=UTC)))
    async with chat(*operations, watches=("bob",), profile="wechaty-ts", host=host, strict=False) as here:
        here.log("bob").write(LOGIN)
        for hour in range(24):
            if hour in (5, 17):
                here.log("bob").write("12:00:00 INFO StarterBot Contact<Bob> logout", SCAN)
            megabytes = 160 + 9 * hour if hour < 18 else 150 + 4 * hour
            host.processes = [replace(host.processes[0], memory_bytes=megabytes << 20)]
            await here.clock.move_on(1500 if hour == 5 else 600, settle=here.settle)
            here.log("bob").write(LOGIN)
            await here.clock.move_on(2100 if hour == 5 else 3000, settle=here.settle)
        here.transcript.entries.clear()
        ann = here.user("Ann")
        await ann.says("status").should_reply()
        await ann.says("status plot").should_reply(deadline=60)
        return tuple(here.transcript.entries)


async def a_shell_command() -> Conversation:
    """A command asks for a code, tells what it writes as it comes, and ends."""
    host = FakeHost()
    finish = asyncio.Event()
    host.shells.append(
        FakeShell(
            pieces=(b"Hit:1 deb.debian.org bookworm InRelease\nReading package lists...\n",),
            ending=ShellEnd(exit_code=0, stopped_at=None, seconds=2.0),
            finish=finish,
        )
    )
    async with chat(shell_exec(OperationConfig()), host=host, strict=False) as here:
        ann = here.user("Ann")
        code = here.enrol(ann).code()
        here.transcript.entries.clear()
        await ann.says("sh apt-get update").should_reply()
        ann.says(code)
        await here.clock.move_on(2, settle=come_round)
        finish.set()
        await here.settle()
        return tuple(
            replace(entry, content="492 039") if entry.content == code else entry for entry in here.transcript.entries
        )


async def a_service_that_fails() -> Conversation:
    """A service stops answering, is asked for, and answers again."""
    host = FakeHost()
    host.services |= {"127.0.0.1:27017": 0.001, "127.0.0.1:8080": 0.001}
    services = (Service(name="mongo", port=27017), Service(name="api", port=8080))
    async with chat(service_check(OperationConfig(timezone=UTC), services=services), host=host, strict=False) as here:
        ann = here.user("Ann")
        await here.clock.move_on(60, settle=here.settle)
        host.services["127.0.0.1:27017"] = HostError("127.0.0.1:27017 does not answer: connection refused")
        await here.clock.move_on(180, settle=here.settle)
        await ann.says("checks").should_reply()
        await here.clock.move_on(600, settle=here.settle)
        host.services["127.0.0.1:27017"] = 0.002
        await here.clock.move_on(60, settle=here.settle)
        await ann.says("check mongo").should_reply()
        return tuple(here.transcript.entries)


CONVERSATIONS: Final[dict[str, Callable[[], Awaitable[Conversation]]]] = {
    "qr_rescue": qr_rescue_of_bob,
    "restart_process": restart_of_bob,
    "restart_process_pipe": restart_of_a_pipe,
    "shell_exec": a_shell_command,
    "log_view": looks_into_the_log_of_bob,
    "log_alert": alerts_about_bob,
    "liveness": silence_of_bob,
    "service_check": a_service_that_fails,
    "status": status_of_everything,
}
