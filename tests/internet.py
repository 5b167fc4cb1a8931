"""The world's services, as they answer, on this machine: what asks for one by its name over TLS finds it here.

It is a proxy that connects everybody to itself, with a certificate of an authority of its own for each name. Whoever
has `environ` in his environment believes it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import trustme

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: to whom, for what, and its body."""

    host: str
    path: str
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever was sent
        """Return the body as what it is."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """Return the body's fields."""
        return dict(parse_qsl(self.body.decode()))


class Internet:
    """What was asked, and what is answered: in order, the last for ever; where it `hangs`, nothing.

    `called` is set by the first request.
    """

    def __init__(self, folder: Path) -> None:
        """Make the authority; its certificate is put into `folder`."""
        self.asked: list[Asked] = []
        self.answers: list[tuple[int, str]] = []
        self.hangs = False
        self.called = asyncio.Event()
        self.port = 0
        self._authority = trustme.CA()
        self._ca_path = folder / "internet.pem"
        self._authority.cert_pem.write_to_path(str(self._ca_path))
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def environ(self) -> dict[str, str]:
        """Return what makes a program ask here."""
        proxy = f"http://127.0.0.1:{self.port}"
        names = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), proxy) | dict.fromkeys(("no_proxy", "NO_PROXY"), "")
        return names | {"REQUESTS_CA_BUNDLE": str(self._ca_path)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self._answer(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        host = asked.split()[1].partition(":")[0]
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        await writer.start_tls(context)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        self.called.set()
        self.asked.append(Asked(host=host, path=head.split()[1], body=body))
        if self.hangs:
            await reader.read()
            return
        status, text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        data = text.encode()
        start = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        writer.write(f"{start}Connection: close\r\n\r\n".encode() + data)
        await writer.drain()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Internet]:
        """Listen."""

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._tasks.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

        server = await asyncio.start_server(begin, "127.0.0.1")
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
