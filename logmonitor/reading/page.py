"""One chunk of a log read into events: what its lines and drawings say, when it was, and whether to trust it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from logmonitor.qr import unwrap
from logmonitor.reading.clock import TOLERANCE, clock_of, point_of
from logmonitor.reading.drawing import ROWS, is_row, read_drawing
from logmonitor.reading.pairing import NEAR_LINES, NOTHING, Pairing, Reading
from logmonitor.reading.recognition import find, plain, stamp_of
from logmonitor.reading.suspicion import (
    reach_bytes,
    shows_message,
    spans_before,
    stamps_before,
    stamps_of,
    suspect_by_cut,
    suspect_by_stamp,
    suspect_by_write,
)
from logmonitor.records import Chunk, Event, EventKind, Line, Qr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime, tzinfo
    from pathlib import Path

    from logmonitor.reading.clock import Stamp
    from logmonitor.reading.recognition import CompiledProfile, Finding
    from logmonitor.reading.suspicion import Suspect
    from logmonitor.scan import Candidate

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
    named. `qr_path` is the image that an image file's scan means.
    """

    profile: CompiledProfile
    watch: str
    now: datetime | None = None
    is_live: bool = False
    zone: tzinfo | None = None
    file_date: date | None = None
    qr_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A chunk with the lines before it: `data` starts `base` bytes before the chunk."""

    chunk: Chunk
    data: bytes
    base: int
    circumstances: Circumstances
    is_suspect: Suspect
    stamp_before: Callable[[int], Stamp | None]

    @property
    def profile(self) -> CompiledProfile:
        """The profile it is read by."""
        return self.circumstances.profile

    def position(self, line: Line) -> int:
        """Return where a line of the chunk starts in `data`."""
        return line.offset - self.chunk.start_offset + self.base

    def is_near(self, end_offset: int, *, start_offset: int) -> bool:
        """Tell whether few lines stand between two offsets of the file."""
        return _is_near(self.data, end_offset, start_offset, data_offset=self.chunk.start_offset - self.base)


def is_near_in_tail(file: FileState, end_offset: int, *, start_offset: int) -> bool:
    """Tell whether few lines stand between two offsets of a file, none of which lies behind what was read."""
    data_offset = (file.next_offset or 0) - len(file.tail)
    return _is_near(file.tail, end_offset, start_offset, data_offset=data_offset)


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
    return FileState(clock=file.clock, known_from=known_from, is_tainted=_is_stampless(profile))


def turn_to(file: FileState, chunk: Chunk, circumstances: Circumstances) -> Page:
    """Lay the next chunk of a file open, behind what is known of the lines before it."""
    data = file.tail + chunk.data
    base = len(file.tail)

    stamp_at = stamps_of(data, circumstances.profile)

    @cache
    def judge() -> Suspect:
        return _judge(file, replace(chunk, data=data), circumstances, base=base, stamp_at=stamp_at)

    return Page(
        chunk=chunk,
        data=data,
        base=base,
        circumstances=circumstances,
        is_suspect=lambda start, end: judge()(start, end),  # noqa: PLW0108  # judged only where a line is
        stamp_before=stamps_before(data, stamp_at),
    )


def read(file: FileState, page: Page, candidates: Iterable[Candidate]) -> tuple[FileState, tuple[Reading, ...]]:
    """Read the events out of a chunk at its candidate lines, in order; a drawing that may go on stays in the state."""
    readings: list[Reading] = []
    drawing, position = file.drawing, page.base
    if drawing is not None:
        drawing, position = _grown(drawing, page, position)
        if position < len(page.data):
            readings.extend(_finished(drawing))
            drawing = None
    awaits_line = False
    if file.awaits_line:
        following, awaits_line = _next_line(page, position, file.clock)
        readings.extend(following)
    clock = file.clock
    for hit in candidates:
        start = page.position(hit.line)
        if start < position:
            continue
        if is_row(hit.line.text):
            drawing, position = _grown(_begun(page, hit.line, clock), page, start)
            clock = drawing.event.clock if drawing.event.trusted else clock
            if position < len(page.data):
                readings.extend(_finished(drawing))
                drawing = None
        elif finding := find(hit.text, page.profile.recognisers, page.profile.framing):
            readings.append(reading_of(page, hit.line, finding, clock))
            clock = readings[-1].event.clock if readings[-1].event.trusted else clock
            if finding.rule.qr_from == "next_line" and finding.rule.kind is EventKind.SCAN:
                following, awaits_line = _next_line(page, start + len(hit.line.raw) + 1, clock)
                readings.extend(following)
    if (drawing, awaits_line, clock) != (file.drawing, file.awaits_line, file.clock):
        file = replace(file, drawing=drawing, awaits_line=awaits_line, clock=clock)
    return file, tuple(readings)


def leave(file: FileState, chunk: Chunk, circumstances: Circumstances, *, is_stamped: bool) -> FileState:
    """Return where the reading of the file stands behind this chunk, `is_stamped` if its clock was set by it."""
    profile = circumstances.profile
    reach = reach_bytes(profile)
    data = chunk.data if len(chunk.data) > reach else file.tail + chunk.data
    tail = data[data.rfind(b"\n", 0, max(0, len(data) - reach)) + 1 :]
    if not tail.endswith(b"\n"):
        tail += b"\n"
    is_tainted = file.is_tainted
    if not circumstances.is_live and not is_tainted and profile.message_starts and _is_stampless(profile):
        is_tainted = next(profile.messages().hits(chunk), None) is not None
    return replace(
        file,
        next_offset=chunk.end_offset,
        tail=tail,
        shown_at=_shown_at(file, chunk, circumstances),
        caught_up=chunk.caught_up or not circumstances.is_live,
        is_past=not circumstances.is_live,
        is_tainted=is_tainted,
        clock=file.clock if is_stamped or not profile.cycle else _sampled_clock(file, chunk.data, circumstances),
    )


def finished(file: FileState) -> tuple[FileState, tuple[Reading, ...]]:
    """End a drawing that may have gone on."""
    if file.drawing is None:
        return file, ()
    return replace(file, drawing=None), tuple(_finished(file.drawing))


def traffic(page: Page, start: int, end: int, clock: float | None) -> Iterator[Event]:
    """Yield the traffic that the lines from position `start` to `end` tell of."""
    profile, chunk = page.profile, page.chunk
    if not profile.traffic_recognisers or start >= end:
        return
    part = replace(
        chunk,
        data=page.data[start:end],
        start_offset=chunk.start_offset + start - page.base,
        number=chunk.number + page.data.count(b"\n", page.base, start),
    )
    for hit in profile.traffic().candidates(part):
        if finding := find(hit.text, profile.traffic_recognisers, profile.framing):
            yield reading_of(page, hit.line, finding, clock).event


def reading_of(page: Page, line: Line, finding: Finding, clock: float | None) -> Reading:
    """Turn what a line says into an event."""
    rule = finding.rule
    kind = rule.kind or EventKind.ERROR
    qr: Qr | None = None
    if kind is EventKind.SCAN:
        payload = unwrap(finding.qr) if finding.qr else None
        image_path = page.circumstances.qr_path if rule.qr_from == "file" else None
        qr = Qr(payload=payload, image_path=image_path) if payload or image_path else None
    user = (finding.user or "").strip() or None
    event = _event(page, line, kind, stamp=finding.stamp, clock=clock, qr=qr, user=user)
    return Reading(event=event, end=line.offset + len(line.raw) + 1, shows_qr=finding.qr is not None)


def is_genuine(qr: Qr | None, profile: CompiledProfile) -> bool:
    """Tell whether a QR leads where this family's own do; what has no payload cannot be told from them."""
    if qr is None or qr.payload is None or profile.genuine is None:
        return True
    return profile.genuine.fullmatch(qr.payload) is not None


def _is_near(data: bytes, end_offset: int, start_offset: int, *, data_offset: int) -> bool:
    """Tell whether all between two offsets is in `data` and has few lines that are not blank."""
    position, start = end_offset - data_offset, start_offset - data_offset
    lines = 0
    while 0 <= position < start and lines <= NEAR_LINES:
        end = data.find(b"\n", position, start)
        end = start if end < 0 else end
        lines += bool(data[position:end].strip())
        position = end + 1
    return position >= 0 and end_offset <= start_offset and lines <= NEAR_LINES


def _judge(
    file: FileState,
    known: Chunk,
    circumstances: Circumstances,
    *,
    base: int,
    stamp_at: Callable[[int, int], Stamp | None],
) -> Suspect:
    """Choose how lines are judged."""
    profile = circumstances.profile
    if not profile.message_starts:
        return lambda _start, _end: False
    if (cut := profile.source.message_cut) is not None:
        judges = [suspect_by_cut(known.data, profile, cut=cut)]
    elif circumstances.is_live:
        judges = [suspect_by_write(known, profile, fresh_at=base, is_open=_is_open(file, circumstances.now))]
    else:
        judges = []

    def is_future(stamp: Stamp) -> bool:
        point = _point(stamp, 0.0, circumstances) if stamp.cycle is None else None
        return point is not None and circumstances.now is not None and point > circumstances.now + TOLERANCE

    if cut is None and (file.is_past or not circumstances.is_live):
        judges.append(
            suspect_by_stamp(known, profile, stamp_at=stamp_at, is_tainted=file.is_tainted, is_future=is_future)
        )
    unknown_to = file.known_from - known.start_offset + base
    return lambda start, end: start < unknown_to or any(is_suspect(start, end) for is_suspect in judges)


def _is_open(file: FileState, now: datetime | None) -> bool:
    """Tell whether what is read now may belong to a write that has a message record."""
    if file.shown_at is None or not file.caught_up:
        return file.shown_at is not None
    return now is not None and timedelta(0) <= now - file.shown_at < SETTLED


def _shown_at(file: FileState, chunk: Chunk, circumstances: Circumstances) -> datetime | None:
    """Return when a message was read last, now that `chunk` was: parts of one write were all read with the last."""
    profile, now = circumstances.profile, circumstances.now
    if now is None or not profile.message_starts or profile.source.message_cut is not None:
        return None
    if shows_message(chunk, profile):
        return now
    if not _is_open(file, now):
        return None
    return file.shown_at if file.caught_up else now


def _point(stamp: Stamp, clock: float, circumstances: Circumstances) -> datetime | None:
    now = circumstances.now
    zone = circumstances.zone
    today = now.astimezone(zone).date() if now is not None and circumstances.is_live else circumstances.file_date
    within = clock % stamp.cycle if stamp.cycle and circumstances.is_live else clock
    return point_of(stamp, within, zone=zone, file_date=today, now=now)


def _event(
    page: Page,
    line: Line,
    kind: EventKind,
    *,
    clock: float | None,
    stamp: Stamp | None = None,
    qr: Qr | None = None,
    user: str | None = None,
) -> Event:
    """Make an event of what a line says: where and when that is, and whether to trust it."""
    circumstances = page.circumstances
    start = page.position(line)
    own = stamp or (None if _is_stampless(page.profile) else page.stamp_before(start))
    if own is not None:
        clock = clock_of(own, clock, circumstances.zone)
    return Event(
        kind=kind,
        line=line.number,
        offset=line.offset,
        at=None if own is None or clock is None else _point(own, clock, circumstances),
        clock=clock,
        seen_at=circumstances.now if circumstances.is_live else None,
        watch=circumstances.watch,
        path=page.chunk.path,
        qr=qr,
        user=user,
        trusted=is_genuine(qr, page.profile) and not page.is_suspect(start, start + len(line.raw)),
    )


def _is_stampless(profile: CompiledProfile) -> bool:
    framing = profile.framing
    return framing.time_format is None and (framing.json is None or framing.json.time is None)


def _sampled_clock(file: FileState, data: bytes, circumstances: Circumstances) -> float | None:
    """Set a clock without date by one of the last lines, so that no midnight passes unseen."""
    profile = circumstances.profile
    for (start, end), _ in zip(spans_before(data, len(data)), range(_SAMPLED_LINES), strict=False):
        if stamp := stamp_of(plain(data[start:end], profile.framing), profile):
            return clock_of(stamp, file.clock, circumstances.zone)
    return file.clock


def _begun(page: Page, line: Line, clock: float | None) -> Drawing:
    """Begin a drawing at its first row."""
    return Drawing(event=_event(page, line, EventKind.SCAN, clock=clock), end=line.offset, rows=())


def _grown(drawing: Drawing, page: Page, position: int) -> tuple[Drawing, int]:
    """Read on in a drawing from `position`; return it and the position of the first line that is no row of it."""
    rows = [*drawing.rows]
    while position < len(page.data):
        end = page.data.find(b"\n", position)
        end = len(page.data) if end < 0 else end
        text = page.data[position:end].decode("utf-8", "replace")
        if not is_row(text):
            break
        if len(rows) <= ROWS:
            rows.append(text.removesuffix("\r"))
        position = end + 1
    offset = min(position, len(page.data)) - page.base + page.chunk.start_offset
    return replace(drawing, rows=tuple(rows), end=offset), position


def _finished(drawing: Drawing) -> Iterator[Reading]:
    """Yield the scan that a drawing is, nothing if it shows no QR."""
    if modules := read_drawing(drawing.rows):
        yield Reading(event=replace(drawing.event, qr=Qr(modules=modules)), end=drawing.end)


def _next_line(page: Page, position: int, clock: float | None) -> tuple[tuple[Reading, ...], bool]:
    """Read a QR's content out of the next line that is not blank; also return whether that is still to come."""
    while position < len(page.data):
        end = page.data.find(b"\n", position)
        end = len(page.data) if end < 0 else end
        text = plain(page.data[position:end], page.profile.framing)
        if text.strip():
            if is_row(text) or len(text.split()) > 1:
                return (), False
            start_offset = page.chunk.start_offset + position - page.base
            line = Line(
                raw=page.data[position:end].removesuffix(b"\r"),
                offset=start_offset,
                number=page.chunk.number + page.data.count(b"\n", page.base, position),
            )
            event = _event(page, line, EventKind.SCAN, clock=clock, qr=Qr(payload=unwrap(text)))
            return (Reading(event=event, end=start_offset + end - position + 1),), False
        position = end + 1
    return (), True
