"""Starts gateway.js, a real Wechaty gateway without any WeChat account, and tells it what happens in its WeChat."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import tempfile
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

FOLDER: Final = Path(__file__).parent
DEADLINE: Final = 30.0
OLDEST_NODE: Final = 18
_LINE_BYTES: Final = 1 << 26


class GatewayError(Exception):
    """The gateway refused a command, or ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What an account has sent: `type` is text, file or link; `text` is a link's title, too."""

    id: str
    type: str
    to: str
    text: str = ""
    filename: str | None = None
    data: bytes | None = None
    url: str | None = None


def find_lack(folder: Path = FOLDER) -> str | None:
    """Return what a gateway in `folder` lacks to be started, in one sentence; None where it can be."""
    node = shutil.which("node")
    asked = None if node is None else subprocess.run([node, "--version"], check=False, capture_output=True, text=True)
    major = ("" if asked is None else asked.stdout).strip().removeprefix("v").partition(".")[0]
    if not major.isdecimal() or int(major) < OLDEST_NODE:
        return f"a real Wechaty gateway needs Node {OLDEST_NODE} or newer; install it and run `make gateway`"
    if not (folder / "node_modules" / "wechaty-puppet-service").is_dir():
        return "a real Wechaty gateway needs its npm packages; run `make gateway`"
    return None


LACK: Final = find_lack()
needs_gateway: Final = pytest.mark.skipif(LACK is not None, reason=LACK or "")


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Gateway:
    """A gateway process while it is open, with one account.

    Without `certificate` (a certificate's file and its key's) it speaks plain HTTP/2, or TLS with the certificate that
    every gateway has if `default_certificate` is set. `sent`, `recalled` (message ids) and `connections` (how often a
    client began to hear events) go on through a restart.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        token: str = "secret-of-the-tests",  # noqa: S107  # it guards nothing
        name: str = "bob",
        certificate: tuple[Path, Path] | None = None,
        default_certificate: bool = False,
    ) -> None:
        """Say what is started once entered; the account's own contact id is `name`."""
        self.port = free_port() if port is None else port
        self.endpoint = f"127.0.0.1:{self.port}"
        self.token = token
        self.name = name
        self.sent: list[Sent] = []
        self.recalled: list[str] = []
        self.connections = 0
        self._tls = ["--default-cert"] if default_certificate else []
        if certificate is not None:
            self._tls = ["--cert", str(certificate[0]), "--key", str(certificate[1])]
        self._contacts: list[tuple[str, dict[str, Any]]] = []
        self._turn = asyncio.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._grown = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start it and wait until it listens."""
        try:
            await self._start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, whatever it is doing."""
        await self.kill()

    async def do(self, action: str, /, **values: object) -> dict[str, Any]:
        """Let something happen, as the head of gateway.js lists it; return what is said when it is done.

        Raises:
            GatewayError: the gateway refuses it, or has ended.
        """
        if action in {"contact", "room"}:
            self._contacts.append((action, values))
        async with self._turn:
            answer = await self._ask({"do": action, **values})
        if answer["event"] == "error":
            raise GatewayError(answer["text"])
        return answer

    async def say(self, sender: str, text: str, /, **values: object) -> str:
        """Let a contact write to the account, or in the room `room=`; return the message's id."""
        answer = await self.do("say", **{"from": sender, "text": text, **values})
        return str(answer["id"])

    async def wait_for(self, count: int, *, seconds: float | None = DEADLINE) -> tuple[Sent, ...]:
        """Wait until the account has sent `count` messages since the start; return all of them.

        Raises:
            TimeoutError: it did not in time.
        """
        if not await self._until(lambda: len(self.sent) >= count, seconds=seconds):
            raise TimeoutError(f"expected {count} messages; sent were {self.sent}")
        return tuple(self.sent)

    async def wait_for_connection(self, count: int = 1) -> None:
        """Wait until a client has begun to hear events `count` times since the start.

        Raises:
            TimeoutError: it did not in time.
        """
        if not await self._until(lambda: self.connections >= count, seconds=DEADLINE):
            raise TimeoutError(f"expected {count} connections; there were {self.connections}")

    async def kill(self) -> None:
        """End it as a crash does; nothing is told to its clients."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        self._process = self._reading = None
        if self._folder is not None:
            self._folder.cleanup()

    async def restart(self) -> None:
        """Start it anew at its endpoint, with the contacts and rooms of before, logged out; end it first if it runs."""
        await self.kill()
        await self._start()
        contacts, self._contacts = self._contacts, []
        for action, values in contacts:
            await self.do(action, **values)

    async def _until(self, is_there: Callable[[], bool], *, seconds: float | None) -> bool:
        """Wait until what the gateway told is as expected; return False if it is not in time."""
        try:
            async with asyncio.timeout(seconds):
                while not is_there():
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            return False
        return True

    async def _start(self) -> None:
        if LACK is not None:
            raise GatewayError(LACK)
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-")  # its libraries leave files where they can
        self._answer = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            *("node", "gateway.js", "--endpoint", self.endpoint, "--self", self.name, *self._tls),
            cwd=FOLDER,
            env={**os.environ, "WECHATY_TOKEN": self.token, "TMPDIR": self._folder.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=_LINE_BYTES,
            start_new_session=True,  # a Ctrl-C in the terminal is not meant for it
        )
        self._reading = asyncio.create_task(self._read(self._process))
        async with asyncio.timeout(DEADLINE):
            await self._answer

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        if self._process is None or self._process.stdin is None or self._process.returncode is not None:
            raise GatewayError("the gateway does not run")
        self._answer = asyncio.get_running_loop().create_future()
        self._process.stdin.write(f"{json.dumps(command)}\n".encode())
        async with asyncio.timeout(DEADLINE):
            return await self._answer

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Take what the gateway tells until it ends."""
        stdout, stderr = process.stdout, process.stderr
        if stdout is None or stderr is None:
            raise AssertionError("both are pipes")
        complaints = asyncio.create_task(stderr.read())
        async for line in stdout:
            self._take(json.loads(line))
        complaint, code = (await complaints).decode(errors="replace"), await process.wait()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(GatewayError(f"the gateway ended with {code}: {complaint.strip()}"))
            self._answer.exception()  # whoever asked may have gone

    def _take(self, record: dict[str, Any]) -> None:
        match record.pop("event"):
            case "sent":
                data = record.pop("data", None)
                record.pop("bytes", None)
                self.sent.append(Sent(**record, data=None if data is None else b64decode(data)))
            case "recalled":
                self.recalled.append(record["id"])
            case "connected":
                self.connections += 1
            case event:
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result({"event": event, **record})
        self._grown.set()
