"""What tests of the Wechaty transport share: one that does not wait long, what it logs, and a network that breaks."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from logmonitor.transports.wechaty import Wechaty
from tests.gateway.driver import DEADLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType
    from typing import Self

    from logmonitor.records import Event, Message
    from tests.gateway.driver import Gateway


class Record(logging.Handler):
    """What the transport logs, which can be waited for."""

    def __init__(self) -> None:
        """Start without a line."""
        super().__init__()
        self.lines: list[str] = []
        self._grown = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self.lines.append(record.getMessage())
        self._grown.set()

    async def wait_for(self, text: str, *, times: int = 1) -> None:
        """Wait until lines with `text` in them were logged so many times."""
        async with asyncio.timeout(DEADLINE):
            while sum(text in line for line in self.lines) < times:
                self._grown.clear()
                await self._grown.wait()


@contextmanager
def recorded() -> Iterator[Record]:
    """Record what the transports log."""
    log, record = logging.getLogger("logmonitor.transports"), Record()
    level = log.level
    log.addHandler(record)
    log.setLevel(logging.DEBUG)
    try:
        yield record
    finally:
        log.removeHandler(record)
        log.setLevel(level)


def client(gateway: Gateway, *, tls: bool = False, pause: float = 0.02, **parameters: object) -> Wechaty:
    """Make a transport for `gateway` that does not wait long."""
    values = {"endpoint": gateway.endpoint, "token": gateway.token, "tls": tls} | parameters
    chat = Wechaty(**values)  # type: ignore[arg-type]  # the names are checked by Wechaty itself
    chat.pace = replace(chat.pace, first_pause=pause, longest_pause=pause, quiet=2.0, answer=3.0)
    return chat


@asynccontextmanager
async def up(chat: Wechaty) -> AsyncIterator[Wechaty]:
    """Enter a transport and wait until it is up."""
    async with chat:
        async with asyncio.timeout(DEADLINE):
            await chat.wait_until_up()
        yield chat


async def take_messages(chat: Wechaty, count: int) -> list[Message]:
    """Return the next messages."""
    taken: list[Message] = []
    async with asyncio.timeout(DEADLINE):
        async for message in chat.messages():
            taken.append(message)
            if len(taken) == count:
                break
    return taken


async def take_events(chat: Wechaty, count: int) -> list[Event]:
    """Return the next events of the account."""
    taken: list[Event] = []
    async with asyncio.timeout(DEADLINE):
        async for event in chat.own_events():
            taken.append(event)
            if len(taken) == count:
                break
    return taken


class Network:
    """The way to a gateway, by its port: it can be cut, and can keep back what is sent to the gateway."""

    def __init__(self, port: int) -> None:
        """Lead to the gateway at `port` of this machine."""
        self._target = port
        self._links: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._kept_back = asyncio.Event()

    @property
    def endpoint(self) -> str:
        """Where to connect to."""
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        """Let connect."""
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut everything."""
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """End every connection; the next ones pass again."""
        links = set(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        self._passes.set()

    async def keep_back(self) -> asyncio.Event:
        """Let nothing pass to the gateway until the next cut; return what is set once something was kept back."""
        self._passes.clear()
        self._kept_back = asyncio.Event()
        return self._kept_back

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._links.add(task)
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(far_writer)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(reader, far_writer, is_to_gateway=True))
                ways.create_task(self._pass(far_reader, writer, is_to_gateway=False))
        except* OSError:
            pass
        finally:
            self._links.discard(task)
            for end in ends:
                end.transport.abort()
            for end in ends:
                with suppress(OSError):
                    await end.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_to_gateway: bool) -> None:
        while data := await reader.read(1 << 16):
            if is_to_gateway and not self._passes.is_set():
                self._kept_back.set()
                await self._passes.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
