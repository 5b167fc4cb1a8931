"""The runtime at work beside a bot: begun again where it fails, since the bot goes on and so has its rescue."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.errors import ConfigurationError, OperationError, PatternError, ProfileError
from logmonitor.isolation import isolated
from logmonitor.transports.puppet_service.account import AccountChat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)
_FOR_GOOD: Final = (ConfigurationError, OperationError, PatternError, ProfileError)
"""What says that something is put together wrongly, which no new beginning cures."""


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until `stop` is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long to wait before the runtime begins again, in seconds.

    Pauses double from `first_pause` to `longest_pause`, and begin anew once the runtime was at work for `steady`.
    """

    first_pause: float = 1.0
    longest_pause: float = 60.0
    steady: float = 60.0
    now: Callable[[], float] = time.monotonic
    wait: Callable[[asyncio.Event, float], Awaitable[None]] = _wait


_PACE: Final = Pace()


class Work:
    """What is done beside a bot, from now until `end`; to be begun in its event loop."""

    def __init__(self, serve: Callable[[AccountChat, asyncio.Event], Awaitable[None]], *, pace: Pace = _PACE) -> None:
        """Begin with `serve`, which works by a chat until an event is set."""
        self.chat = AccountChat(reason="the bot has not reached its gateway yet")
        self.is_hopeless = False
        self._serve = serve
        self._pace = pace
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=__name__)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or been told to."""
        return self._stop.is_set() or self._task.done()

    def end(self) -> None:
        """Stop; what is still to be sent is given a moment."""
        self._stop.set()

    async def wait_until_over(self) -> None:
        """Return once nothing is at work any more."""
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        """Serve until told to stop, or until nothing helps."""
        pause = self._pace.first_pause
        while True:
            began_at = self._pace.now()
            errors: list[Exception] = []
            with isolated(errors.append):
                await self._serve(self.chat, self._stop)
            if not errors:
                return
            (error,) = errors
            if self._stop.is_set():
                _log.error("logmonitor has failed as it was stopped", exc_info=error)
                return
            wrong = _wrong(error)
            if wrong is not None:
                self.is_hopeless = True
                _log.error("logmonitor has ended for good, the bot goes on without: %s", wrong)
                return
            if self._pace.now() - began_at >= self._pace.steady:
                pause = self._pace.first_pause
            _log.error("logmonitor has failed and begins again in %g s; the bot goes on", pause, exc_info=error)
            await self._pace.wait(self._stop, pause)
            if self._stop.is_set():
                return
            pause = min(2 * pause, self._pace.longest_pause)


def _wrong(error: Exception) -> Exception | None:
    """Return what is put together wrongly, as far as that is what `error` says, however deep."""
    while isinstance(error, ExceptionGroup):
        part = error.subgroup(_FOR_GOOD)
        if part is None:
            return None
        error = part.exceptions[0]
    return error if isinstance(error, _FOR_GOOD) else None
