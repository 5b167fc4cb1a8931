"""A bot's own session lines, in the form a wechaty-ts bot writes, so that its twin can follow and rescue it."""

from __future__ import annotations

import asyncio
import errno
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from logmonitor.records import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAME: Final = "StarterBot"


def self_log_line(event: Event, *, at: datetime, sign: Callable[[str], str] | None = None) -> str | None:
    """Return the line that tells of `event`, without terminator; None for an event that such a log does not tell.

    `at` is shown as local time of its own zone. `sign` takes the line and returns the suffix to put behind it.
    """
    match event.kind:
        case EventKind.SCAN if event.qr is not None and event.qr.payload is not None:
            text = f"onScan: Waiting(2) - https://wechaty.js.org/qrcode/{quote(event.qr.payload, safe='')}"
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
    return "".join(character if character.isprintable() and character not in "<>" else "_" for character in name)


class SelfLog:
    """The file that this bot's own session lines are appended to, each in one write and never behind a torn one."""

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Write to `path`; neither it nor its folder need exist yet."""
        self._path = path
        self._now = now
        self._is_torn = False

    async def write(self, event: Event) -> None:
        """Append the line of `event`.

        Raises:
            OSError: the file cannot be written.
        """
        line = self_log_line(event, at=self._now().astimezone())
        if line is not None:
            await asyncio.to_thread(self._append, f"{line}\n".encode())

    def _append(self, data: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            written = os.write(descriptor, b"\n" * self._is_torn + data)
            self._is_torn = written < len(data) + self._is_torn
            if self._is_torn:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(self._path))
        finally:
            os.close(descriptor)
