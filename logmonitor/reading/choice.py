"""Which family a log is of: `auto`, by how many of its lines each profile knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from logmonitor.reading.recognition import find, message_patterns, patterns_of, recognisers_of
from logmonitor.records import EventKind
from logmonitor.scan import Scanner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from logmonitor.profile import Profile
    from logmonitor.reading.recognition import Recogniser
    from logmonitor.records import Chunk
    from logmonitor.scan import Hit

_COUNTED_LINES: Final = 200
_EVENT_WEIGHT: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What `auto` chose: a profile, or the reason why none, one sentence that asks the user to name one.

    `scores` are the profiles that know any of the lines, the best first.
    """

    profile: Profile | None
    reason: str = ""
    scores: tuple[tuple[str, int], ...] = ()


def choose_profile(profiles: Mapping[str, Profile], chunks: Iterable[Chunk]) -> Choice:
    """Choose the profile that knows the most of the lines; an event counts ten times as much as a typical line."""
    seen = tuple(chunks)
    scores = {name: _score(profile, seen) for name, profile in profiles.items()}
    ranking = sorted(
        ((name, score) for name, score in scores.items() if score), key=lambda entry: (-entry[1], entry[0])
    )
    best = [name for name, score in ranking if score == ranking[0][1]]
    if len(best) == 1:
        return Choice(profile=profiles[best[0]], scores=tuple(ranking))
    if best:
        reason = f"the profiles {', '.join(best[:-1])} and {best[-1]} fit this log equally well; name one of them"
    else:
        reason = f"no profile fits this log; name one of {', '.join(sorted(profiles))}"
    return Choice(profile=None, reason=reason, scores=tuple(ranking))


def _score(profile: Profile, chunks: Sequence[Chunk]) -> int:
    """Count the lines that a profile knows, up to a number that is enough to tell."""
    return sum(
        look.weight * sum(1 for _ in islice(_known(profile, look, chunks), _COUNTED_LINES)) for look in _looks(profile)
    )


def _known(profile: Profile, look: _Look, chunks: Sequence[Chunk]) -> Iterator[Hit]:
    """Yield the lines that one look knows."""
    for chunk in chunks:
        for hit in look.scanner.hits(chunk):
            if look.recognisers is None or find(hit.text, look.recognisers, profile.framing):
                yield hit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What is looked for, how much it counts, and what confirms a hit; None where the scanner is enough."""

    weight: int
    scanner: Scanner
    recognisers: tuple[Recogniser, ...] | None


@lru_cache(maxsize=128)
def _looks(profile: Profile) -> tuple[_Look, ...]:
    """Prepare what is looked for, once for each profile."""
    framing = profile.framing
    traffic = [rule for rule in profile.events if rule.kind is EventKind.TRAFFIC]
    events = [rule for rule in profile.events if rule.kind is not EventKind.TRAFFIC]
    typical = [*profile.signs, *traffic]
    return tuple(
        _Look(
            weight=weight,
            scanner=Scanner(patterns, strip_ansi=framing.strip_ansi, engine="re2"),
            recognisers=None if rules is None else recognisers_of(rules, framing),
        )
        for weight, patterns, rules in (
            (_EVENT_WEIGHT, patterns_of(events, framing), events),
            (1, patterns_of(typical, framing), typical),
            (1, message_patterns(profile), None),
        )
        if patterns
    )
