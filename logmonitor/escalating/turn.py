"""Whose turn it is: which fallback has a message that the chat has not taken, and since when it might."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

FIRST_REST_SECONDS: Final = 5.0
LONGEST_REST_SECONDS: Final = 300.0
THROTTLED_SECONDS: Final = 60.0
"""How long a service is left alone that takes no more and does not say for how long."""

SHORTEST_TURN_SECONDS: Final = 60.0
"""How long at least a fallback has a message to itself, however slow it is, before the next one may have it too."""

_DOUBLINGS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a fallback is: `failures` in a row, until when it rests because of them, by a clock that never steps.

    `after` are the seconds for which the channels before it may have a message to themselves.
    """

    after: float
    failures: int = 0
    rests_until: float = float("-inf")


def is_due(
    index: int,
    standings: Sequence[Standing],
    *,
    since: float,
    now: float,
    passed: Collection[int] = (),
    waited: float = 0.0,
) -> bool:
    """Tell whether the fallback at `index` is to try a message now.

    `since` is when the message was written, or since when the chat is down if that is longer ago. Fallbacks go in
    order: none before those ahead of it had their time, nor while one of them could try, unless those have not got
    round to it for long; one that rests is passed over. `passed` are those that do not take this message at all, and
    `waited` are the seconds since it was the first one's turn.
    """
    if index in passed or standings[index].rests_until > now:
        return False
    ahead = [standing for other, standing in enumerate(standings[:index]) if other not in passed]
    wait = max(standing.after for standing in (*ahead, standings[index]))
    if now - since < wait or all(standing.rests_until > now for standing in ahead):
        return now - since >= wait
    return waited >= sum(max(SHORTEST_TURN_SECONDS, standing.after) for standing in (*ahead[1:], standings[index]))


def taken(standing: Standing, /) -> Standing:
    """Return how a fallback is once it has taken a message."""
    return replace(standing, failures=0, rests_until=float("-inf"))


def failed(standing: Standing, now: float, /) -> Standing:
    """Return how a fallback is that did not take a message: it rests, each time for longer."""
    rest = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** min(standing.failures, _DOUBLINGS))
    return replace(standing, failures=standing.failures + 1, rests_until=now + rest)


def throttled(standing: Standing, now: float, retry_after: float | None, /) -> Standing:
    """Return how a fallback is that takes no more for now: it is left alone for as long as it asked."""
    return replace(standing, rests_until=now + (THROTTLED_SECONDS if retry_after is None else retry_after))
