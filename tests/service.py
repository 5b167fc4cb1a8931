"""Services on this machine that a second channel may lead to: one that speaks HTTP, one that takes mail."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class Service:
    """What a service was told, and where it is."""

    def __init__(self) -> None:
        """Begin without anything told; `called` is set by the first connection."""
        self.port = 0
        self.heard: list[Any] = []
        self.called = asyncio.Event()


@asynccontextmanager
async def web_service(status: int = 200, *, hangs: bool = False) -> AsyncIterator[Service]:
    """Take JSON and answer with `status`, or never."""

    async def answer(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        service.heard.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        if hangs:
            await reader.read()
        writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    async with _listening(answer) as service:
        yield service


@asynccontextmanager
async def mail_service() -> AsyncIterator[Service]:
    """Take mail as it comes (RFC 5321): the envelope's recipients and the text of each."""

    async def answer(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        recipients: list[str] = []
        async for line in reader:
            command = line.decode("latin-1").strip()
            match command[:4].upper():
                case "RCPT":
                    recipients.append(command.partition(":")[2].strip("<> "))
                    writer.write(b"250 taken\r\n")
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    service.heard.append((tuple(recipients), (await reader.readuntil(b"\r\n.\r\n")).decode("latin-1")))
                    writer.write(b"250 taken\r\n")
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _:
                    writer.write(b"250 taken\r\n")

    async with _listening(answer) as service:
        yield service


@asynccontextmanager
async def _listening(
    answer: Callable[[Service, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[Service]:
    service = Service()
    tasks: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service.called.set()
        with suppress(ConnectionError):
            try:
                await answer(service, reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(take(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(begin, "127.0.0.1")
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        await server.wait_closed()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
