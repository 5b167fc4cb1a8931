"""What systemd is told while this program runs as its service (sd_notify(3)); elsewhere nothing is said to anybody."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.isolation import isolated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, MutableMapping

_log = logging.getLogger(__name__)
ENTRY_SECONDS: Final = 10.0
"""How long it is waited for the chat to be entered until the service counts as started: what keeps it may be long."""

STATUS_SECONDS: Final = 10.0
"""How long what `systemctl status` shows may be old."""

_MICROSECOND: Final = 1e-6
_LONGEST_STATUS: Final = 500
_ABSTRACT: Final = "@"


class Notifier:
    """Says how this program is to the socket at `address`; to nobody without one.

    Whoever started it expects to hear of it at least every `watchdog` seconds, and ends it if not; None for nobody.
    """

    def __init__(self, address: str | None = None, *, watchdog: float | None = None) -> None:
        """Remember whom to tell; nothing is said yet."""
        self._address = address
        self._watchdog = watchdog
        self._has_failed = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Notifier:
        """Return the one that the environment names, and take it out: what this program starts is not the service."""
        address, every, whose = (environ.pop(name, None) for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        if not address:
            return cls()
        is_ours = whose is None or whose == str(os.getpid())
        is_number = every is not None and every.isascii() and every.isdecimal() and int(every) > 0
        return cls(address, watchdog=int(every) * _MICROSECOND if every and is_number and is_ours else None)

    @property
    def watchdog(self) -> float | None:
        """After how many seconds without a word this program is ended."""
        return self._watchdog

    @asynccontextmanager
    async def attending(
        self, *, is_at_work: asyncio.Event, stop: asyncio.Event, status: Callable[[], str]
    ) -> AsyncIterator[None]:
        """Say while in this context that the event loop turns, and `status`; first that the service is ready.

        That is once `is_at_work` is set, or after ten seconds in which nothing has ended it: a chat that cannot be
        entered yet is no reason to be given up.
        """
        if self._address is None:
            yield
            return
        talking = asyncio.ensure_future(self._talk(is_at_work, stop, status))
        try:
            yield
        finally:
            talking.cancel()
            await asyncio.wait({talking})
            self._say("STOPPING=1")

    async def _talk(self, is_at_work: asyncio.Event, stop: asyncio.Event, status: Callable[[], str]) -> None:
        """Say what there is to say until cancelled."""
        await _come(is_at_work, ENTRY_SECONDS)
        self._say("READY=1", _status(status))
        every = STATUS_SECONDS if self._watchdog is None else min(STATUS_SECONDS, self._watchdog / 2)
        while not await _come(stop, every):
            self._say("WATCHDOG=1", _status(status))
        self._say("STOPPING=1", "STATUS=stopping")

    def _say(self, *facts: str) -> None:
        """Send facts; what cannot be said is logged once, and never waited for."""
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith(_ABSTRACT) else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as one:
                one.sendto("\n".join(facts).encode("utf-8", "replace"), address)
        except (OSError, ValueError) as error:
            level = logging.DEBUG if self._has_failed else logging.WARNING
            _log.log(level, "cannot tell systemd how this program is: %s", error)
            self._has_failed = True
        else:
            self._has_failed = False


async def _come(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event so long; tell whether it has come."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _status(status: Callable[[], str]) -> str:
    """Return how things stand as a fact, on one line; that a chat fails to say is no reason to fall silent."""
    text = "how things stand cannot be told"
    with isolated(lambda error: _log.debug("cannot tell how things stand: %s", error)):
        text = visible(status(), one_line=True)
    return f"STATUS={text if len(text) <= _LONGEST_STATUS else f'{text[: _LONGEST_STATUS - 1]}…'}"
