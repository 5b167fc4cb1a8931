"""When the chat may be tried: not while it says that it is down, nor while it was sent too much."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final

from logmonitor.transport import CanWait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logmonitor.errors import ThrottledError
    from logmonitor.sending.carrier import Carrier

_log = logging.getLogger(__name__)
THROTTLED_SECONDS: Final = 60.0
"""For how long a chat that was sent too much is let be where it does not say."""

_LONGEST_PAUSE: Final = 86_400.0
_SHORTEST_PAUSE: Final = 1.0


class Readiness:
    """Knows when one chat may be tried, and since when it may."""

    def __init__(
        self,
        chat: Carrier,
        /,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        on_back: Callable[[], None],
    ) -> None:
        """Ask `chat`, if it is one that can be waited for; call `on_back` when it may be tried again."""
        self._chat = chat
        self._monotonic = monotonic
        self._sleep = sleep
        self._on_back = on_back
        self._is_away = False
        self._paused_until = -math.inf
        self.back_at = monotonic()
        """Since when what waits has been able to go, however long it was kept from it before."""

    def outage(self) -> CanWait | None:
        """Return the chat if it is down and says when it is back."""
        chat = self._chat
        return chat if isinstance(chat, CanWait) and not chat.health().is_up else None

    def paused_for(self) -> float | None:
        """Return for how many seconds the chat takes nothing, since it was sent too much; None if it may be tried."""
        left = self._paused_until - self._monotonic()
        return left if left > 0 else None

    def pause(self, error: ThrottledError) -> None:
        """Let the chat be, for as long as it asked."""
        asked = THROTTLED_SECONDS if error.retry_after is None else error.retry_after
        seconds = min(max(asked, _SHORTEST_PAUSE), _LONGEST_PAUSE) if not math.isnan(asked) else THROTTLED_SECONDS
        if self.paused_for() is None:
            _log.warning("the chat takes no more for now and is let be for %.0f s: %s", seconds, error)
        self._paused_until = max(self._paused_until, self._monotonic() + seconds)
        self._is_away = True

    async def until_ready(self) -> None:
        """Return once the chat may be tried; after that everything is tried at once."""
        while True:
            outage, seconds = self.outage(), self.paused_for()
            if outage is not None:
                self._is_away = True
                await outage.wait_until_up()
            elif seconds is not None:
                await self._sleep(seconds)
            else:
                break
        if self._is_away:  # else whoever waited for another recipient has come first
            self._is_away = False
            self.back_at = self._monotonic()
            self._on_back()
