"""Where the reading of one file stands, from chunk to chunk, and what its chunks are read with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from logmonitor.reading.clock import clock_of
from logmonitor.reading.pairing import NOTHING, Pairing
from logmonitor.reading.recognition import plain, stamp_of
from logmonitor.reading.suspicion import reach_bytes, shows_message, spans_before

if TYPE_CHECKING:
    from datetime import date, datetime, tzinfo
    from pathlib import Path

    from logmonitor.reading.recognition import CompiledProfile
    from logmonitor.records import Chunk, Event

SETTLED: Final = timedelta(milliseconds=100)
"""How long after a part of a write the next may still come, live: a writer splits what is long."""

_SAMPLED_LINES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A drawing that may go on: the scan it will be, and its rows so far."""

    event: Event
    end: int
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """Where the reading of one file stands.

    `tail` are the whole lines right before `next_offset`, as far as later lines may be judged by them. `shown_at` is
    when a message was read last, as far as can be told apart from what else came with it; what comes next may belong to
    it, surely so unless the file was `caught_up`. `is_past` says that the lines were not read as they were written.
    Lines before `known_from` cannot be judged: what stands before them was not read. `clock` is the log's own, in
    seconds. `due` is when what is held back is given out at the latest.
    """

    next_offset: int | None = None
    tail: bytes = b""
    shown_at: datetime | None = None
    caught_up: bool = True
    is_past: bool = False
    is_tainted: bool = False
    known_from: int = 0
    clock: float | None = None
    pairing: Pairing = NOTHING
    drawing: Drawing | None = None
    awaits_line: bool = False
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a chunk is read with besides its bytes.

    `now` is None in a replay. `is_live` says that the lines were written just before. `zone` is the one that the user
    named. `qr_path` is the image that an image file's scan means. `is_missed` says that nobody read the lines when they
    were written. With `key` session lines are verified; with
    `require_signed` one that does not verify moves nothing.
    """

    profile: CompiledProfile
    watch: str
    now: datetime | None = None
    is_live: bool = False
    zone: tzinfo | None = None
    file_date: date | None = None
    qr_path: Path | None = None
    key: bytes | None = field(default=None, repr=False)
    require_signed: bool = False
    is_missed: bool = False

    @property
    def is_news(self) -> bool:
        """Whether somebody has to hear of what the lines say."""
        return self.is_live or self.is_missed


def begin(file: FileState, chunk: Chunk, profile: CompiledProfile) -> FileState:
    """Return where the reading of a file stands before a chunk that does not go on where the last one ended.

    A file that starts anew takes up what the old one ended with. Of one that is read from its middle nobody knows which
    message the first lines belong to.
    """
    if file.next_offset is not None and chunk.start_offset <= 0:
        known_from = max(0, file.known_from - file.next_offset)
        return replace(file, known_from=known_from, pairing=NOTHING, drawing=None, awaits_line=False, due=None)
    if chunk.start_offset <= 0 or not profile.message_starts:
        return FileState(clock=file.clock)
    known_from = chunk.start_offset + reach_bytes(profile)
    return FileState(clock=file.clock, known_from=known_from, is_tainted=is_stampless(profile))


def leave(file: FileState, chunk: Chunk, circumstances: Circumstances, *, is_stamped: bool) -> FileState:
    """Return where the reading of the file stands behind this chunk, `is_stamped` if its clock was set by it.

    Where only signed lines count, no other sets the clock.
    """
    profile = circumstances.profile
    reach = reach_bytes(profile)
    data = chunk.data if len(chunk.data) > reach else file.tail + chunk.data
    tail = data[data.rfind(b"\n", 0, max(0, len(data) - reach)) + 1 :]
    if not tail.endswith(b"\n"):
        tail += b"\n"
    is_tainted = file.is_tainted
    if not circumstances.is_live and not is_tainted and profile.message_starts and is_stampless(profile):
        is_tainted = next(profile.messages().hits(chunk), None) is not None
    is_kept = is_stamped or not profile.cycle or circumstances.require_signed
    return replace(
        file,
        next_offset=chunk.end_offset,
        tail=tail,
        shown_at=_shown_at(file, chunk, circumstances),
        caught_up=chunk.caught_up or not circumstances.is_live,
        is_past=not circumstances.is_live,
        is_tainted=is_tainted,
        clock=file.clock if is_kept else _sampled_clock(file, chunk.data, circumstances),
    )


def is_open(file: FileState, now: datetime | None) -> bool:
    """Tell whether what is read now may belong to a write that has a message record."""
    if file.shown_at is None or not file.caught_up:
        return file.shown_at is not None
    return now is not None and timedelta(0) <= now - file.shown_at < SETTLED


def is_stampless(profile: CompiledProfile) -> bool:
    """Tell whether a family's records bear no time."""
    framing = profile.framing
    return framing.time_format is None and (framing.json is None or framing.json.time is None)


def _shown_at(file: FileState, chunk: Chunk, circumstances: Circumstances) -> datetime | None:
    """Return when a message was read last, now that `chunk` was: parts of one write were all read with the last."""
    profile, now = circumstances.profile, circumstances.now
    if now is None or not profile.message_starts or profile.source.message_cut is not None:
        return None
    if shows_message(chunk, profile):
        return now
    if not is_open(file, now):
        return None
    return file.shown_at if file.caught_up else now


def _sampled_clock(file: FileState, data: bytes, circumstances: Circumstances) -> float | None:
    """Set a clock without date by one of the last lines, so that no midnight passes unseen."""
    profile = circumstances.profile
    for (start, end), _ in zip(spans_before(data, len(data)), range(_SAMPLED_LINES), strict=False):
        if stamp := stamp_of(plain(data[start:end], profile.framing), profile):
            return clock_of(stamp, file.clock, circumstances.zone)
    return file.clock
