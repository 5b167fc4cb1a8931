"""A real SMTP server on this machine, and what it was given."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from email.message import EmailMessage

    from aiosmtpd.smtp import Envelope, Session


class Mailbox:
    """What arrived; the server says its `answer` to each mail once it `is_going`, but no to what is `refused`."""

    def __init__(self) -> None:
        """Begin empty, and take everything."""
        self.mails: list[EmailMessage] = []
        self.answer = "250 taken"
        self.refused: bytes | None = None
        self.is_going = asyncio.Event()
        self.is_going.set()
        self.port = 0
        self._grown = asyncio.Event()

    @property
    def url(self) -> str:
        """Return the Apprise URL that leads here."""
        return f"mailto://127.0.0.1:{self.port}?from=alice@example.org&to=admin@example.org&mode=insecure"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's
        """Take a mail, or refuse it."""
        assert isinstance(envelope.content, bytes)
        if self.refused is not None and self.refused in envelope.content:
            return "552 too large"
        if self.answer.startswith("2"):
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self._grown.set()
        await self.is_going.wait()
        return self.answer

    async def wait_for(self, count: int) -> None:
        """Wait until so many mails are there."""
        while len(self.mails) < count:
            self._grown.clear()
            await self._grown.wait()


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """Listen, and give what arrives."""
    box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, hostname="mail.test", loop=loop), "127.0.0.1")
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()


def file_in(mail: EmailMessage) -> tuple[str | None, str, bytes]:
    """Return the one attachment of a mail: its name, type and content."""
    (part,) = mail.iter_attachments()
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return part.get_filename(), part.get_content_type(), content
