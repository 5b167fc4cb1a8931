"""Refused session lines of one bot: how many there were and why, and which reason the operator does not know yet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from logmonitor.records import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logmonitor.records import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What was refused.

    `counts` are those since the start. `since_verified` are the reasons since a line was verified last, `told` those of
    them that the operator knows.
    """

    counts: Mapping[Refusal, int] = field(default_factory=dict)
    since_verified: frozenset[Refusal] = frozenset()
    told: frozenset[Refusal] = frozenset()


def note(refusals: Refusals, event: Event) -> Refusals:
    """Count an event that is refused; one that is verified shows that all is well again.

    A line that a stranger's message may show is counted and no more: strangers could otherwise raise alerts at will.
    """
    if event.verified:
        return replace(refusals, since_verified=frozenset(), told=frozenset())
    if event.refused is None:
        return refusals
    counts = {**refusals.counts, event.refused: refusals.counts.get(event.refused, 0) + 1}
    news = frozenset() if event.in_message else {event.refused}
    return replace(refusals, counts=counts, since_verified=refusals.since_verified | news)


def tell(refusals: Refusals) -> tuple[Refusals, tuple[Refusal, ...]]:
    """Return the reasons that are to be told now: each once until a line is verified."""
    news = tuple(refusal for refusal in Refusal if refusal in refusals.since_verified - refusals.told)
    return (replace(refusals, told=refusals.told | {*news}), news) if news else (refusals, ())


def reason_text(refusal: Refusal, translate: Callable[[str], str]) -> str:
    """Return why a line is refused and, where that is likely, what to look at."""
    if refusal is Refusal.UNSIGNED:
        return translate("not signed")
    if refusal is Refusal.REPLAYED:
        return translate("a copy of a signed line that stood elsewhere before")
    return translate(
        "wrong signature; is `name` in the twin's [bot] the name of this [[watch]], "
        "and `twin_key` the same on both sides?"
    )


def refused_line_text(event: Event, refusal: Refusal, translate: Callable[[str], str]) -> str:
    """Return what an admin is told of a refused line, and what to ask."""
    log, bot = event.path.name if event.path else "?", event.watch
    match refusal:
        case Refusal.UNSIGNED:
            text = translate(
                "a line about {bot} in {log} is not signed as it has to be; nothing was changed."
                " Does {bot} have the twins' key and sign? If so, who else writes to that log?"
            )
        case Refusal.WRONG:
            text = translate(
                "a line about {bot} in {log} has a wrong signature; nothing was changed."
                " Do both twins have the same key, and is {bot} the name it gives itself? If so, who else writes to"
                " that log?"
            )
        case _:
            text = translate(
                "a line about {bot} in {log} is the copy of one that {bot} signed before; nothing was changed."
                " Who else writes to that log?"
            )
    return text.format(log=log, bot=bot)


def refusal_rows(refusals: Refusals, translate: Callable[[str], str]) -> tuple[str, ...]:
    """Return a row for each reason, with how many lines were refused for it."""
    text = translate("{count} session lines were refused: {reason}")
    return tuple(
        text.format(count=refusals.counts[refusal], reason=reason_text(refusal, translate))
        for refusal in Refusal
        if refusal in refusals.counts
    )
