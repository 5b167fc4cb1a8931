"""Lines of uneven length all of which follows from their number, and what has become of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def line(number: int) -> bytes:
    """Make line `number`: of 10 to 149 bytes, mostly near 50, all of which follow from the number."""
    check = zlib.crc32(number.to_bytes(8, "little"))
    length = 20 + check % 60 if number % 10 else check % 140
    return b"%08d %s\n" % (number, (b"%08x" % check * 18)[:length])


def size_bytes(written: int) -> int:
    """Return how many bytes so many lines have, with their terminators."""
    return sum(len(line(number)) for number in range(written))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What became of the lines."""

    written: int
    lost: int
    doubled: int
    garbled: int
    misplaced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The score, and which lines are lost: ranges of their numbers, in order."""

    score: Score
    gaps: tuple[range, ...]


def tally(lines: Iterable[bytes], *, written: int) -> Tally:
    """Compare lines, without terminators, with those that were written; `misplaced` come after a later one."""
    seen = bytearray(written)
    doubled = garbled = misplaced = latest = 0
    for raw in lines:
        head = raw[:8]
        number = int(head) if head.isdigit() else written
        if number >= written or line(number)[:-1] != raw:
            garbled += 1
        elif seen[number]:
            doubled += 1
        else:
            seen[number] = 1
            misplaced += number < latest
            latest = max(latest, number)
    return Tally(
        score=Score(written=written, lost=seen.count(0), doubled=doubled, garbled=garbled, misplaced=misplaced),
        gaps=_gaps(seen),
    )


def score(lines: Iterable[bytes], *, written: int) -> Score:
    """Compare lines, without terminators, with those that were written."""
    return tally(lines, written=written).score


def _gaps(seen: bytearray) -> tuple[range, ...]:
    """Name the stretches of zeros."""
    gaps = []
    start = seen.find(0)
    while start >= 0:
        end = seen.find(1, start)
        end = len(seen) if end < 0 else end
        gaps.append(range(start, end))
        start = seen.find(0, end)
    return tuple(gaps)
