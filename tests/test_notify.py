"""What systemd is told: over a real socket, by a real program, and to nobody where nobody asked."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from logmonitor import notify
from logmonitor.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = 60.0
CHATS = '''
import asyncio, sys, time
from logmonitor import Health, Limits, TransportError

class Chat:
    """A chat in which nothing happens."""
    limits = Limits()
    def health(self): return Health(is_up=True)
    async def messages(self):
        await asyncio.Event().wait()
        yield
    async def send(self, to, content, /): raise TransportError("not now")
    async def resolve(self, who, /): raise TransportError("not now")
    async def __aenter__(self): return self
    async def __aexit__(self, *_): ...

class Stuck(Chat):
    """A chat that holds the event loop once somebody is looked up."""
    async def resolve(self, who, /):
        print("holding the loop", file=sys.stderr, flush=True)
        time.sleep(1000)

class Closed(Chat):
    """A chat that cannot be entered."""
    async def __aenter__(self): raise TransportError("the gateway is not there")
'''


class Ear:
    """What systemd hears on a socket of its own."""

    def __init__(self, address: str) -> None:
        """Listen at a path, or at a name behind `@`."""
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    async def hears(self) -> dict[str, str]:
        """Wait for the next thing that is said."""
        async with asyncio.timeout(DEADLINE):
            said = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        return dict(fact.split("=", 1) for fact in said.decode().split("\n"))

    async def hears_of(self, name: str) -> dict[str, str]:
        """Wait until a fact of this name is told."""
        while name not in (said := await self.hears()):
            pass
        return said

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@contextmanager
def listening(address: str) -> Iterator[Ear]:
    """Listen while in this context."""
    ear = Ear(address)
    try:
        yield ear
    finally:
        ear.close()


async def test_service_is_ready_and_lives_and_stops(tmp_path: Path) -> None:
    """Ready once at work, a word for the watchdog again and again, and stopping as soon as it is to stop."""
    is_at_work, stop = asyncio.Event(), asyncio.Event()
    with listening(str(tmp_path / "notify")) as ear:
        notifier = Notifier(ear.address, watchdog=0.02)
        async with notifier.attending(is_at_work=is_at_work, stop=stop, status=lambda: "chat up\nbob: lost"):
            is_at_work.set()
            assert await ear.hears() == {"READY": "1", "STATUS": "chat up␊bob: lost"}
            for _ in range(3):
                assert await ear.hears() == {"WATCHDOG": "1", "STATUS": "chat up␊bob: lost"}
            stop.set()
            assert await ear.hears_of("STOPPING") == {"STOPPING": "1", "STATUS": "stopping"}
        assert await ear.hears() == {"STOPPING": "1"}


async def test_service_is_ready_though_the_chat_is_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps the chat from being entered may last; nobody is given up for that."""
    monkeypatch.setattr(notify, "ENTRY_SECONDS", 0.05)
    monkeypatch.setattr(notify, "STATUS_SECONDS", 0.05)
    never, stop = asyncio.Event(), asyncio.Event()
    with listening(f"@logmonitor-{os.getpid()}-{id(tmp_path)}") as ear:
        async with Notifier(ear.address).attending(is_at_work=never, stop=stop, status=lambda: "x" * 1000):
            said = await ear.hears()
            assert said == {"READY": "1", "STATUS": "x" * 499 + "…"}
            assert await ear.hears() == {"WATCHDOG": "1"} | {"STATUS": said["STATUS"]}


async def test_service_lives_though_nobody_can_tell_how_it_is(tmp_path: Path) -> None:
    """A chat that fails over its health would else have a program ended that rescues."""

    def status() -> str:
        raise KeyError("health")

    is_at_work, stop = asyncio.Event(), asyncio.Event()
    is_at_work.set()
    with listening(str(tmp_path / "notify")) as ear:
        async with Notifier(ear.address, watchdog=0.02).attending(is_at_work=is_at_work, stop=stop, status=status):
            for fact in ("READY", "WATCHDOG", "WATCHDOG"):
                assert await ear.hears() == {fact: "1", "STATUS": "how things stand cannot be told"}


async def test_service_that_fails_at_once_is_never_ready(tmp_path: Path) -> None:
    """Whoever started it learns that it has not come up."""
    with listening(str(tmp_path / "notify")) as ear:
        notifier = Notifier(ear.address)
        with pytest.raises(OSError, match="no chat"):
            async with notifier.attending(is_at_work=asyncio.Event(), stop=asyncio.Event(), status=str):
                raise OSError("no chat")
        assert await ear.hears() == {"STOPPING": "1"}


async def test_nobody_is_told_who_did_not_ask() -> None:
    """Started by hand, the program says nothing and waits for nothing."""
    stop = asyncio.Event()
    async with Notifier().attending(is_at_work=asyncio.Event(), stop=stop, status=lambda: pytest.fail("asked")):
        pass


@pytest.mark.parametrize("place", ["nobody/listens", "x" * 200, "a\0b"])
async def test_who_does_not_listen_is_no_reason_to_end(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, and the program goes on."""
    is_at_work = asyncio.Event()
    is_at_work.set()
    turns: list[int] = []
    enough = asyncio.Event()

    def status() -> str:
        turns.append(1)
        if len(turns) == 3:
            enough.set()
        return ""

    with caplog.at_level(logging.WARNING):
        notifier = Notifier(str(tmp_path / place), watchdog=0.02)
        async with (
            asyncio.timeout(DEADLINE),
            notifier.attending(is_at_work=is_at_work, stop=asyncio.Event(), status=status),
        ):
            await enough.wait()
    assert len([one for one in caplog.messages if one.startswith("cannot tell systemd how this program is: ")]) == 1


@pytest.mark.parametrize(
    ("environ", "watchdog"),
    [
        ({"NOTIFY_SOCKET": "/n"}, None),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000"}, 3.0),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "²"}, None),
        ({"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "3000000"}, None),
        ({"WATCHDOG_USEC": "3000000"}, None),
    ],
)
def test_environment_says_who_is_told_and_is_for_nobody_else(environ: dict[str, str], watchdog: float | None) -> None:
    """The watchdog is ours where it names us or nobody; what this program starts is told nothing of it."""
    given = environ | {"PATH": "/bin"}
    assert Notifier.take(given).watchdog == watchdog
    assert given == {"PATH": "/bin"}


async def started(folder: Path, transport: str, ear: Ear, *, watchdog: str = "400000") -> asyncio.subprocess.Process:
    """Start `logmonitor run` as systemd would."""
    (folder / "chats.py").write_text(CHATS)
    (folder / "alice.toml").write_text(
        f'[bot]\nname = "alice"\n[chat]\ntransport = "chats:{transport}"\nadmins = ["Ann"]\n'
        '[[watch]]\nname = "bob"\nlog = "bob.log"\n[[operation]]\nuse = "qr_rescue"\n'
    )
    (folder / "bob.log").touch()
    environ = os.environ | {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": watchdog}
    words = (sys.executable, "-m", "logmonitor", "run", str(folder / "alice.toml"))
    return await asyncio.create_subprocess_exec(*words, env=environ, stderr=asyncio.subprocess.PIPE)


async def ended(process: asyncio.subprocess.Process, number: signal.Signals | None = None) -> tuple[int | None, str]:
    """End a program where it has not ended; return its exit code and what it said."""
    if number is not None and process.returncode is None:
        process.send_signal(number)
    _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_program_tells_how_it_is(tmp_path: Path) -> None:
    """`logmonitor run` is ready when all of it runs, says how the chat and the bots are, and that it stops."""
    with listening(str(tmp_path / "notify")) as ear:
        process = await started(tmp_path, "Chat", ear)
        try:
            ready = await ear.hears()
            assert ready.pop("READY") == "1"
            assert ready["STATUS"].startswith("chat up; bob: unknown")
            assert (await ear.hears())["WATCHDOG"] == "1"
            process.send_signal(signal.SIGTERM)
            await ear.hears_of("STOPPING")
        finally:
            code, said = await ended(process, signal.SIGTERM)
    assert code == 0, said


async def test_program_that_is_stuck_says_where(tmp_path: Path) -> None:
    """Ended as systemd ends who falls silent, the program says what held its event loop."""
    with listening(str(tmp_path / "notify")) as ear:
        process = await started(tmp_path, "Stuck", ear)
        try:
            assert process.stderr is not None
            async with asyncio.timeout(DEADLINE):
                while await process.stderr.readline() != b"holding the loop\n":
                    pass
        finally:
            code, said = await ended(process, signal.SIGABRT)
    assert code == -signal.SIGABRT
    assert 'chats.py", line' in said
    assert "in resolve" in said


async def test_program_that_cannot_enter_the_chat_is_never_ready(tmp_path: Path) -> None:
    """Its start has failed, for whoever waits for it."""
    with listening(str(tmp_path / "notify")) as ear:
        process = await started(tmp_path, "Closed", ear)
        code, said = await ended(process)
        assert await ear.hears() == {"STOPPING": "1"}
    assert code == 1
    assert "the gateway is not there" in said
