"""What was seen of the bots in the last day: taken minute by minute, kept as text, read as bands and lines."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from logmonitor.records import SessionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

INTERVAL_SECONDS: Final = 60.0
"""How often a sample is taken."""

KEPT_SECONDS: Final = 86400.0
"""How long what was seen is kept."""

_GAP: Final = timedelta(seconds=1.75 * INTERVAL_SECONDS)  # a sample that comes late is none that is missing
_INTERVAL: Final = timedelta(seconds=INTERVAL_SECONDS)
_HOUR: Final = "%Y-%m-%dT%H"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSample:
    """How one bot was: its session, its process's memory if that was found, what its log has grown by since before."""

    state: SessionState
    memory_bytes: int | None = None
    grown_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How things were at a time, aware UTC: of every bot, or of one whose session changed just then.

    `alerts` counts those since the sample before. `memory_bytes` is what of the machine's is in use, if it was told.
    """

    at: datetime
    bots: Mapping[str, BotSample] = field(default_factory=dict)
    alerts: int = 0
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A time during which a session stood so."""

    start: datetime
    end: datetime
    state: SessionState


def sample_text(sample: Sample) -> str:
    """Return a sample as one line."""
    bots = {name: [bot.state.value, bot.memory_bytes, bot.grown_bytes] for name, bot in sample.bots.items()}
    record = [round(sample.at.timestamp(), 3), sample.alerts, sample.memory_bytes, bots]
    return json.dumps(record, separators=(",", ":"))


def read_samples(text: str) -> tuple[Sample, ...]:
    """Return the samples that stand in lines; what is none is passed over."""
    samples = (_read_sample(line) for line in text.split("\n"))
    return tuple(sample for sample in samples if sample is not None)


def hour_of(at: datetime) -> str:
    """Return the name of the hour that a time lies in; those of later hours come later in the alphabet."""
    return at.astimezone(UTC).strftime(_HOUR)


def hours_before(at: datetime, seconds: float) -> tuple[str, ...]:
    """Return the names of the hours that lie wholly or partly within so many seconds before a time, oldest first."""
    first = at.astimezone(UTC) - timedelta(seconds=seconds)
    start = first.replace(minute=0, second=0, microsecond=0)
    count = int((at - start).total_seconds() // 3600) + 1
    return tuple(hour_of(start + timedelta(hours=number)) for number in range(count))


def within(samples: Iterable[Sample], start: datetime, end: datetime) -> tuple[Sample, ...]:
    """Return the samples of a time, in order."""
    return tuple(sorted((one for one in samples if start <= one.at <= end), key=lambda one: one.at))


def bands(samples: Sequence[Sample], watch: str, *, end: datetime) -> tuple[Band, ...]:
    """Return how the session of a bot stood, from samples in order up to `end`; no band where nothing was seen."""
    seen = [(one.at, one.bots[watch].state) for one in samples if watch in one.bots]
    found: list[Band] = []
    for number, (at, state) in enumerate(seen, start=1):
        next_at = seen[number][0] if number < len(seen) else end
        until = next_at if next_at - at <= _GAP else at + _INTERVAL
        if until <= at:  # changed again in the same moment
            continue
        if found and found[-1].state is state and found[-1].end == at:
            found[-1] = Band(start=found[-1].start, end=until, state=state)
        else:
            found.append(Band(start=at, end=until, state=state))
    return tuple(found)


def share_logged_in(seen: Sequence[Band]) -> float:
    """Return in what part of the time that was seen, from 0 to 1, a bot was logged in."""
    lengths = [(band.end - band.start, band.state is SessionState.LOGGED_IN) for band in seen]
    whole = sum((length for length, _ in lengths), timedelta())
    return sum((length for length, is_in in lengths if is_in), timedelta()) / whole if whole else 0.0


def memory_lines(samples: Sequence[Sample], watch: str | None) -> tuple[tuple[tuple[datetime, int], ...], ...]:
    """Return the memory of a bot's process, or of the machine, as lines that break where it was not seen."""
    seen = [(one.at, _memory(one, watch)) for one in samples]
    lines: list[list[tuple[datetime, int]]] = []
    for at, size_bytes in seen:
        if size_bytes is None:
            continue
        if not lines or at - lines[-1][-1][0] > _GAP:
            lines.append([])
        lines[-1].append((at, size_bytes))
    return tuple(map(tuple, lines))


def alert_counts(samples: Sequence[Sample], *, start: datetime, step: float, count: int) -> tuple[int, ...]:
    """Return how many alerts there were in each of `count` times of `step` seconds from `start` on."""
    counts = [0] * count
    for one in samples:
        number = int((one.at - start).total_seconds() // step)
        if 0 <= number < count:
            counts[number] += one.alerts
    return tuple(counts)


def grown_bytes(samples: Iterable[Sample], watch: str) -> int:
    """Return how much a bot's log has grown."""
    return sum(one.bots[watch].grown_bytes for one in samples if watch in one.bots)


def growth(before: Mapping[Path, int], after: Mapping[Path, int]) -> int:
    """Return how many bytes were written to logs, from their sizes before and after.

    What took the place of a file, or came beside it, was written since; what a file was moved to was not.
    """
    grown = sum(size - before[path] for path, size in after.items() if size >= before.get(path, size + 1))
    fresh = sum(size for path, size in after.items() if size < before.get(path, size + 1))
    moved = sum(size for path, size in before.items() if after.get(path, -1) < size)
    return grown + (fresh - moved if fresh >= moved else fresh)


def _memory(sample: Sample, watch: str | None) -> int | None:
    if watch is None:
        return sample.memory_bytes
    return sample.bots[watch].memory_bytes if watch in sample.bots else None


def _read_sample(line: str) -> Sample | None:
    try:
        at, alerts, memory_bytes, bots = json.loads(line)
        return Sample(
            at=datetime.fromtimestamp(at, UTC),
            alerts=int(alerts),
            memory_bytes=_optional(memory_bytes),
            bots={
                str(name): BotSample(state=SessionState(state), memory_bytes=_optional(memory), grown_bytes=int(grown))
                for name, (state, memory, grown) in bots.items()
            },
        )
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):
        return None


def _optional(value: Any) -> int | None:  # noqa: ANN401  # whatever stands in the text
    return None if value is None else int(value)
