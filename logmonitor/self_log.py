"""A bot's own session lines, in the form a wechaty-ts bot writes, so that its twin can follow and rescue it."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from logmonitor.display import whole
from logmonitor.records import Event, EventKind, Signature
from logmonitor.signing import sign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAME: Final = "StarterBot"
_BOOT_BYTES: Final = 8


def self_log_line(event: Event, *, at: datetime, sign: Callable[[str], str] | None = None) -> str | None:
    """Return the line that tells of `event`, without terminator; None for an event that such a log does not tell.

    `at` is shown as local time of its own zone. `sign` takes the line and returns the suffix to put behind it.
    What the event holds may be any text; half a character becomes U+FFFD.
    """
    match event.kind:
        case EventKind.SCAN if event.qr is not None and event.qr.payload is not None:
            text = f"onScan: Waiting(2) - https://wechaty.js.org/qrcode/{quote(whole(event.qr.payload), safe='')}"
        case EventKind.SCAN:
            text = "onScan: Waiting(2)"
        case EventKind.SCANNED:
            text = "onScan: Scanned(3)"
        case EventKind.EXPIRED:
            text = "onScan: Timeout(5)"
        case EventKind.LOGIN:
            text = f"Contact<{_printable(event.user or '')}> login"
        case EventKind.LOGOUT:
            text = f"Contact<{_printable(event.user or '')}> logout"
        case _:
            return None
    line = f"{at:%H:%M:%S} INFO {_NAME} {text}"
    return line + sign(line) if sign else line


def _printable(name: str) -> str:
    """Keep a name, which its owner chooses, from ending the line or the bracket it stands in."""
    return "".join(character if character.isprintable() and character not in "<>" else "_" for character in whole(name))


class SelfLog:
    """The file that this bot's own session lines are appended to, each in one write and never behind a torn one.

    With a key each line is signed: in the order in which they stand, with a boot of this object's own and a sequence
    that no two lines have, also where one was not written.
    """

    def __init__(
        self,
        path: Path,
        *,
        bot: str = "",
        key: bytes | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Write to `path`; neither it nor its folder need exist yet. Sign as the bot called `bot` with the twins' key.

        That name is the one that the twin watches this bot by.
        """
        self._path = path
        self._bot = bot
        self._key = key
        self._now = now
        self._boot = secrets.token_hex(_BOOT_BYTES)
        self._sequence = 0
        self._turn = asyncio.Lock()

    async def write(self, event: Event) -> Event:
        """Append the line of `event`; return that as whoever follows this log reads it, knowing where it stands.

        Raises:
            OSError: the file cannot be written.
        """
        async with self._turn:
            at = self._now()
            signature = None if self._key is None else Signature(at=at, boot=self._boot, sequence=self._sequence)
            suffix = None if signature is None else partial(self._signed, signature=signature)
            local = at.astimezone()
            line = self_log_line(event, at=local, sign=suffix)
            if line is None:
                return event
            offset = await asyncio.to_thread(self._append, f"{line}\n".encode())
        clock = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second).total_seconds()
        is_signed = signature is not None
        return replace(event, path=self._path, offset=offset, clock=clock, signature=signature, verified=is_signed)

    def _signed(self, line: str, *, signature: Signature) -> str:
        """Return what `line` is signed with, and use its sequence up."""
        self._sequence += 1
        return sign(line, signature, bot=self._bot, key=self._key or b"")

    def _append(self, data: bytes) -> int:
        """Append a line, return its offset; what this bot or an earlier start of it left torn is ended first."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                size, data = size + 1, b"\n" + data
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(self._path))
        finally:
            os.close(descriptor)
        return size
