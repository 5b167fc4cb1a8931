"""What the signatures in a log prove, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logmonitor.reading.proof import SIGNED_KINDS
from logmonitor.records import Refusal, Session
from logmonitor.watch import WatchState, finish, observe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logmonitor.reading.recognition import CompiledProfile
    from logmonitor.records import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedLines:
    """How many of a log's session lines are verified, and how many are refused for which reason."""

    verified: int = 0
    refused: Mapping[Refusal, int] = field(default_factory=dict)


def count_signed(chunks: Iterable[Chunk], *, profile: CompiledProfile, bot: str, key: bytes) -> SignedLines:
    """Count what the signatures in a log of the bot called `bot` prove, line by line."""
    state = WatchState(session=Session(watch=bot))
    counts: Counter[Refusal | None] = Counter()
    for chunk in chunks:
        state, observed = observe(state, chunk, profile=profile, key=key, require_signed=True)
        events = (seen.event for seen in observed if seen.event.kind in SIGNED_KINDS)
        counts.update(event.refused for event in events if event.verified or event.refused)
    _, observed = finish(state, profile=profile)
    counts.update(seen.event.refused for seen in observed)
    return SignedLines(verified=counts[None], refused={one: counts[one] for one in Refusal if counts[one]})
