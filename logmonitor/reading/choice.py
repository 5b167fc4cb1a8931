"""Which family a log is of: `auto`, by how many of its lines each profile knows.

A stranger's text may look like any family's lines. It stands behind a message record of the family whose log it is, so
that the first message record of a log tells whose word to take on which lines are a bot's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from logmonitor.pattern import compile_pattern
from logmonitor.reading.drawing import is_row
from logmonitor.reading.recognition import (
    compile_profile,
    find,
    message_patterns,
    patterns_of,
    plain,
    recognisers_of,
    stamp_of,
)
from logmonitor.reading.suspicion import REACH_BYTES, stamps_of, suspect_by_cut, suspect_by_stamp
from logmonitor.records import EventKind
from logmonitor.scan import Scanner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from logmonitor.profile import Profile
    from logmonitor.reading.recognition import Recogniser
    from logmonitor.reading.suspicion import Suspect
    from logmonitor.records import Chunk
    from logmonitor.scan import Hit

_COUNTED_LINES: Final = 200
_EXAMINED_LINES: Final = 5000
_EVENT_WEIGHT: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What `auto` chose: a profile, or the reason why none, one sentence that asks the user to name one.

    `scores` are the profiles that know any of the lines, the best first.
    """

    profile: Profile | None
    reason: str = ""
    scores: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Lines of one file that stand together, the family that shows messages in them, and what it suspects of them."""

    chunk: Chunk
    author: str | None
    is_suspect: Suspect


def choose_profile(profiles: Mapping[str, Profile], chunks: Iterable[Chunk]) -> Choice:
    """Choose the profile that knows the most of the lines; an event counts ten times as much as a typical line.

    A line that may be a message's text counts for no other family. Where one family has framed most of the lines, one
    that needs no framing comes behind it, however many it knows.
    """
    parts = [_part(profiles, chunk) for chunk in _joined(chunks)]
    scores = {name: score for name, profile in profiles.items() if (score := _score(profile, parts))}
    framed = {name for name in scores if _is_framed(profiles[name])}
    if max(scores, key=lambda name: scores[name], default=None) in framed or not any(
        _frames_most(profiles[name], parts) for name in framed
    ):
        framed = {*scores}
    ranking = sorted(scores.items(), key=lambda entry: (entry[0] not in framed, -entry[1], entry[0]))
    best = [name for name, score in ranking if score == ranking[0][1] and name in framed]
    if len(best) == 1:
        return Choice(profile=profiles[best[0]], scores=tuple(ranking))
    if best:
        reason = f"the profiles {', '.join(best[:-1])} and {best[-1]} fit this log equally well; name one of them"
    else:
        reason = f"no profile fits this log; name one of {', '.join(sorted(profiles))}"
    return Choice(profile=None, reason=reason, scores=tuple(ranking))


def _joined(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Join chunks of one file that follow each other."""
    run: list[Chunk] = []
    for chunk in chunks:
        if run and (chunk.path != run[-1].path or chunk.start_offset != run[-1].end_offset or run[-1].truncated):
            yield _whole(run)
            run = []
        run.append(chunk)
    if run:
        yield _whole(run)


def _whole(run: Sequence[Chunk]) -> Chunk:
    """Make one chunk, in UTF-8 throughout: bytes of another encoding would be looked at line by line."""
    data = b"".join(chunk.data for chunk in run).decode("utf-8", "replace").encode()
    return replace(run[0], data=data, end_offset=run[-1].end_offset)


def _part(profiles: Mapping[str, Profile], chunk: Chunk) -> _Part:
    """Find the family whose message record comes first; what stands before it is no stranger's.

    Where reading began inside a file, the first lines may be the rest of a message, and are left out.
    """
    known = chunk
    if chunk.start_offset > 0 and len(chunk.data) > 2 * REACH_BYTES:
        position = chunk.data.rfind(b"\n", 0, REACH_BYTES) + 1
        known = replace(chunk, data=chunk.data[position:], start_offset=chunk.start_offset + position)
    firsts = {
        name: first for name, profile in profiles.items() if (first := _first_message(profile, known)) is not None
    }
    if not firsts:
        return _Part(chunk=known, author=None, is_suspect=lambda _start, _end: False)
    author = profiles[min(firsts, key=lambda name: firsts[name])]
    return _Part(chunk=known, author=author.name, is_suspect=_suspect(author, known))


def _first_message(profile: Profile, chunk: Chunk) -> int | None:
    """Return where a family's first message record is; it bears a time, where only later ones end it."""
    needs_stamp = profile.message_cut is None and profile.framing.time_format is not None
    for look in _looks(profile):
        for hit in look.scanner.hits(chunk) if look.is_message else ():
            if not needs_stamp or stamp_of(hit.text, _compiled(profile)) is not None:
                return hit.line.offset
    return None


def _suspect(author: Profile, chunk: Chunk) -> Suspect:
    """Judge lines as those of a log that is read later."""
    compiled = _compiled(author)
    if author.message_cut is not None:
        return suspect_by_cut(chunk.data, compiled, cut=author.message_cut)
    stamp_at = stamps_of(chunk.data, compiled)
    return suspect_by_stamp(chunk, compiled, stamp_at=stamp_at, is_tainted=False, is_future=lambda _stamp: False)


def _score(profile: Profile, parts: Sequence[_Part]) -> int:
    """Count the lines that a profile knows, up to a number that is enough to tell."""
    return sum(
        look.weight * sum(1 for _ in islice(_known(profile, look, parts), _COUNTED_LINES)) for look in _looks(profile)
    )


def _known(profile: Profile, look: _Look, parts: Sequence[_Part]) -> Iterator[Hit]:
    """Yield the lines that one look knows, but not what another family shows of a message; of each part not all."""
    for part in parts:
        for hit in islice(look.scanner.hits(part.chunk), _EXAMINED_LINES):
            start = hit.line.offset - part.chunk.start_offset
            if part.author not in {None, profile.name} and part.is_suspect(start, start + len(hit.line.raw)):
                continue
            if look.recognisers is None or find(hit.text, look.recognisers, profile.framing):
                yield hit


def _is_framed(profile: Profile) -> bool:
    """Tell whether every line of a family has to have its framing."""
    return compile_pattern(f"^(?:{profile.framing.prefix})").match(b"") is None


def _frames_most(profile: Profile, parts: Sequence[_Part]) -> bool:
    """Tell whether a family has framed more than half of the lines, of those that are no drawing and no message's."""
    regex = compile_pattern(f"^(?:{profile.framing.prefix})")
    framed = total = 0
    for part in parts:
        position = 0
        for raw in part.chunk.data.split(b"\n"):
            line = plain(raw, profile.framing)
            if line.strip() and not is_row(line) and not part.is_suspect(position, position + len(raw)):
                total += 1
                framed += regex.match(line.encode()) is not None
            position += len(raw) + 1
    return framed > total / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What is looked for, how much it counts, and what confirms a hit; None where the scanner is enough."""

    weight: int
    scanner: Scanner
    recognisers: tuple[Recogniser, ...] | None
    is_message: bool = False


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
            is_message=rules is None,
        )
        for weight, patterns, rules in (
            (_EVENT_WEIGHT, patterns_of(events, framing), events),
            (1, patterns_of(typical, framing), typical),
            (1, message_patterns(profile), None),
        )
        if patterns
    )


_compiled = lru_cache(maxsize=16)(compile_profile)
