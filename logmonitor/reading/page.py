"""One chunk of a log read into events: what its lines and drawings say, when it was, and whether to trust it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from logmonitor.qr import unwrap
from logmonitor.reading.clock import TOLERANCE, Stamp, clock_of, point_of
from logmonitor.reading.drawing import ROWS, is_row, read_drawing
from logmonitor.reading.file_state import Drawing, is_open, is_stampless
from logmonitor.reading.pairing import NEAR_LINES, Reading
from logmonitor.reading.proof import SIGNED_KINDS, Proof, prove, unsigned
from logmonitor.reading.recognition import find, plain
from logmonitor.reading.suspicion import (
    stamps_before,
    stamps_of,
    suspect_by_cut,
    suspect_by_stamp,
    suspect_by_write,
)
from logmonitor.records import Chunk, Event, EventKind, Line, Qr, Refusal
from logmonitor.signing import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from logmonitor.reading.file_state import Circumstances, FileState
    from logmonitor.reading.recognition import CompiledProfile, Finding
    from logmonitor.reading.suspicion import Suspect
    from logmonitor.scan import Candidate
    from logmonitor.signing import Accepted


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


def read(
    file: FileState, page: Page, candidates: Iterable[Candidate], accepted: Accepted
) -> tuple[FileState, Accepted, tuple[Reading, ...]]:
    """Read the events out of a chunk at its candidate lines, in order; a drawing that may go on stays in the state.

    Only a line that a bot could have signed is verified, and nothing that follows a void one belongs to it.
    """
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
            accepted, proof = _proved(accepted, page, hit.line, finding)
            readings.append(reading_of(page, hit.line, finding, clock, proof=proof))
            clock = readings[-1].event.clock if readings[-1].event.trusted else clock
            is_followed = finding.rule.qr_from == "next_line" and finding.rule.kind is EventKind.SCAN
            if is_followed and not proof.is_void:
                following, awaits_line = _next_line(page, start + len(hit.line.raw) + 1, clock)
                readings.extend(following)
    if (drawing, awaits_line, clock) != (file.drawing, file.awaits_line, file.clock):
        file = replace(file, drawing=drawing, awaits_line=awaits_line, clock=clock)
    return file, accepted, tuple(readings)


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
        number=0,
    )
    number: int | None = None
    for hit in profile.traffic().candidates(part):
        if finding := find(hit.text, profile.traffic_recognisers, profile.framing):
            number = chunk.number + page.data.count(b"\n", page.base, start) if number is None else number
            line = replace(hit.line, number=number + hit.line.number)
            yield reading_of(page, line, finding, clock, proof=Proof()).event


def reading_of(page: Page, line: Line, finding: Finding, clock: float | None, *, proof: Proof) -> Reading:
    """Turn what a line says, and what it proves, into an event."""
    rule = finding.rule
    kind = rule.kind or EventKind.ERROR
    qr: Qr | None = None
    if kind is EventKind.SCAN:
        payload = unwrap(finding.qr) if finding.qr else None
        image_path = page.circumstances.qr_path if rule.qr_from == "file" else None
        is_verified = bool(payload) and proof.is_verified
        qr = Qr(payload=payload, image_path=image_path, verified=is_verified) if payload or image_path else None
    user = (finding.user or "").strip() or None
    event = _event(page, line, kind, stamp=finding.stamp, clock=clock, qr=qr, user=user, proof=proof)
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
        judges = [suspect_by_write(known, profile, fresh_at=base, is_open=is_open(file, circumstances.now))]
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


def _point(stamp: Stamp, clock: float, circumstances: Circumstances) -> datetime | None:
    now = circumstances.now
    zone = circumstances.zone
    today = now.astimezone(zone).date() if now is not None and circumstances.is_live else circumstances.file_date
    within = clock % stamp.cycle if stamp.cycle and circumstances.is_live else clock
    return point_of(stamp, within, zone=zone, file_date=today, now=now)


def _proved(accepted: Accepted, page: Page, line: Line, finding: Finding) -> tuple[Accepted, Proof]:
    """Verify a line, if it says what a bot signs; a wrong signature that a stranger may have written is none."""
    kind = finding.rule.kind
    if kind not in SIGNED_KINDS:
        return accepted, Proof()
    accepted, proof = prove(accepted, line, page.circumstances, kind=kind, path=page.chunk.path)
    if proof.refused is Refusal.WRONG and not page.circumstances.require_signed and _is_in_message(page, line):
        return accepted, Proof()
    return accepted, proof


def _event(
    page: Page,
    line: Line,
    kind: EventKind,
    *,
    proof: Proof,
    clock: float | None,
    stamp: Stamp | None = None,
    qr: Qr | None = None,
    user: str | None = None,
) -> Event:
    """Make an event of what a line says: where and when that is, and whether to trust it.

    A signed line tells all of that itself: when it was written by its signature, which needs no zone and no date. The
    clock that a stray one was written by is not to be believed.
    """
    circumstances = page.circumstances
    start = page.position(line)
    at: datetime | None = None
    own: Stamp | None
    if proof.order is Order.STRAY:
        own = None
    elif proof.signature is not None:
        at = proof.signature.at
        own = Stamp(moment=at) if page.profile.is_dated else stamp
    else:
        own = stamp or (None if is_stampless(page.profile) else page.stamp_before(start))
    if own is not None:
        clock = clock_of(own, clock, circumstances.zone)
        at = at or _point(own, clock, circumstances)
    return Event(
        kind=kind,
        line=line.number,
        offset=line.offset,
        at=at,
        clock=clock,
        seen_at=circumstances.now if circumstances.is_live else None,
        watch=circumstances.watch,
        path=page.chunk.path,
        qr=qr,
        user=user,
        trusted=_is_trusted(page, line, qr, proof),
        verified=proof.is_verified,
        signature=proof.signature,
        refused=proof.refused,
        in_message=proof.refused is not None and _is_in_message(page, line),
    )


def _is_trusted(page: Page, line: Line, qr: Qr | None, proof: Proof) -> bool:
    """Tell whether to trust a line: one that is signed and news, or that needs no proof and looks right."""
    if proof.is_void or proof.signature is not None:
        return not proof.is_void
    if page.circumstances.require_signed or not is_genuine(qr, page.profile):
        return False
    return not _is_in_message(page, line)


def _is_in_message(page: Page, line: Line) -> bool:
    """Tell whether a line may be what a stranger said in a message."""
    start = page.position(line)
    return page.is_suspect(start, start + len(line.raw))


def _begun(page: Page, line: Line, clock: float | None) -> Drawing:
    """Begin a drawing at its first row."""
    return Drawing(
        event=_event(page, line, EventKind.SCAN, clock=clock, proof=unsigned(page.circumstances)),
        end=line.offset,
        rows=(),
    )


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
            proof = unsigned(page.circumstances)
            event = _event(page, line, EventKind.SCAN, clock=clock, qr=Qr(payload=unwrap(text)), proof=proof)
            return (Reading(event=event, end=start_offset + end - position + 1),), False
        position = end + 1
    return (), True
