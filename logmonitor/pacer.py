"""One throttle for each key that asks, the keys not asked for longest forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.throttle import Throttle, admit

if TYPE_CHECKING:
    from collections.abc import Hashable

    from logmonitor.clock import Clock

_KEYS: Final = 1000


class Pacer:
    """Lets each key through as often as one throttle says."""

    def __init__(self, throttle: Throttle, clock: Clock) -> None:
        """Let every key through at the pace of `throttle`."""
        self._throttle = throttle
        self._clock = clock
        self._throttles: dict[Hashable, Throttle] = {}

    def is_spent(self, key: Hashable, /) -> bool:
        """Tell whether `key` would not be let through now."""
        return not admit(self._throttles.get(key, self._throttle), self._clock.monotonic())[1]

    def forget(self, key: Hashable, /) -> None:
        """Begin anew with `key`."""
        self._throttles.pop(key, None)

    def admits(self, key: Hashable, /) -> bool:
        """Ask for one more of `key`; tell whether it is let through."""
        self._throttles[key], is_admitted = admit(self._throttles.pop(key, self._throttle), self._clock.monotonic())
        if len(self._throttles) > _KEYS:
            del self._throttles[next(iter(self._throttles))]
        return is_admitted
