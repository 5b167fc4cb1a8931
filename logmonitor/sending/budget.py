"""How many messages a chat takes: in a period, and in answer to one of its own; some of them are kept for QRs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from logmonitor.records import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from logmonitor.transport import Limits

HOUR_SECONDS: Final = 3600.0
QR_SHARE: Final = 5
"""One message in so many is for QRs alone, which no flood of alerts may keep from an admin.

A QR lives for about a minute, and each renewal of it is one message; a fifth of what chats allow (twenty in a minute,
ten in answer to a message) shows every QR of a rescue, and leaves everything else most.
"""


def reserve_of(limit: int, /) -> int:
    """Return how many of `limit` messages are for QRs alone: a fifth, at least one, but never all."""
    return min(limit - 1, max(1, limit // QR_SHARE))


class Budget:
    """What the chat has taken lately, against what it allows. Times are seconds of a clock that never steps."""

    def __init__(
        self,
        limits: Limits,
        /,
        *,
        sent_at: Iterable[float] = (),
        unanswered: Mapping[str, int] | None = None,
        known_as: Callable[[str], tuple[str, ...]] = lambda to: (to,),
    ) -> None:
        """Know what was taken so far, oldest first, and how much of it each conversation has not answered yet.

        `known_as` gives all names of one conversation.
        """
        self._limits = limits
        self._known_as = known_as
        self._sent_at = deque(sent_at)
        self._unanswered = dict(unanswered or {})

    @property
    def seconds(self) -> float:
        """For how long it matters that a message was sent."""
        return max(self._limits.period, HOUR_SECONDS)

    def note_sent(self, to: str, now: float) -> None:
        """Count a message that the chat has taken."""
        self._sent_at.append(now)
        if self._limits.per_inbound is not None:
            self._unanswered[to] = self._unanswered.get(to, 0) + 1
        self._forget(now)

    def note_inbound(self, conversation: str) -> tuple[str, ...]:
        """Begin anew to count what a conversation was sent; return by which names anything was counted."""
        return tuple(name for name in self._known_as(conversation) if self._unanswered.pop(name, 0))

    def count(self, now: float, seconds: float) -> int:
        """Count what the chat has taken within the last `seconds`, an hour or the chat's period at most."""
        self._forget(now)
        return sum(at > now - seconds for at in self._sent_at)

    def is_answer_due(self, to: str, priority: Priority) -> bool:
        """Tell whether the chat takes no more of that priority for a conversation until something comes from there."""
        limit = self._limits.per_inbound
        if limit is None:
            return False
        return sum(self._unanswered.get(name, 0) for name in self._known_as(to)) >= _share(limit, priority)

    def room(self, now: float, priority: Priority) -> int | None:
        """Return how many more of that priority may go now; None for as many as there are."""
        limit = self._limits.per_period
        return None if limit is None else _share(limit, priority) - self.count(now, self._limits.period)

    def room_at(self, now: float, priority: Priority) -> float:
        """Return when there is room for one more of that priority, if nothing else goes: `now` if there is."""
        room = self.room(now, priority)
        if room is None or room > 0:
            return now
        recent = [at for at in self._sent_at if at > now - self._limits.period]
        return recent[-room] + self._limits.period

    def _forget(self, now: float) -> None:
        while self._sent_at and self._sent_at[0] <= now - self.seconds:
            self._sent_at.popleft()


def _share(limit: int, priority: Priority) -> int:
    """Return how many of `limit` messages may be of that priority."""
    return limit if priority is Priority.QR else limit - reserve_of(limit)
