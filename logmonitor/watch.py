"""The heart of a watch: chunks of a bot's logs in, what they say of its session out. No file, no clock, no loop.

`observe` takes a chunk, `tick` the passing of time, `finish` the end of what there is to read; each returns the next
state and what was observed, in order. A replay and a running watch differ only in what they pass in.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from logmonitor.qr import decode
from logmonitor.reading.choice import Choice, choose_profile
from logmonitor.reading.clock import TOLERANCE
from logmonitor.reading.file_state import Circumstances, FileState, begin, leave
from logmonitor.reading.page import finished, is_genuine, is_near_in_tail, read, traffic, turn_to
from logmonitor.reading.pairing import flush, pair
from logmonitor.reading.proof import is_stray, is_void
from logmonitor.records import Event, EventKind, Qr, Session, Transition
from logmonitor.session import TABLE, Evidence, advance, leave_unconfirmed
from logmonitor.signing import Accepted, begin_anew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date, tzinfo
    from pathlib import Path

    from logmonitor.reading.page import Page
    from logmonitor.reading.pairing import Reading
    from logmonitor.reading.recognition import CompiledProfile
    from logmonitor.records import Chunk
    from logmonitor.scan import Candidate

__all__ = [
    "CONFIRMATION",
    "HOLD",
    "Choice",
    "Doubt",
    "Observation",
    "WatchState",
    "choose_profile",
    "finish",
    "learn",
    "observe",
    "tick",
    "wake_at",
]

HOLD: Final = timedelta(seconds=0.3)
"""How long a drawing waits for the link that belongs to it, live."""

CONFIRMATION: Final = timedelta(seconds=10)
"""How long a suspect scan waits for something that confirms it, live."""


MOST_FILES: Final = 64
"""How many files of a bot are remembered, those read last."""


_LEAST_ZONE: Final = timedelta(minutes=25)
"""What differs by more than this is a stamp in another time zone, not a line that was read late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """An event, the transition it made if any, and the session after it."""

    event: Event
    transition: Transition | None
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A suspect scan that nothing has confirmed yet, and when the admin is to be told."""

    event: Event
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """Where a watch stands: its session, the reading of each of its files, and what it waits for.

    `scans` counts the different QRs since the last login or logout. `latest` is the log and the clock, in seconds, of
    the newest dated event that the session has met, among those that are trusted and not from the future. `accepted`
    are the signatures that were verified; a state that is begun anew for the same bot takes them over.
    """

    session: Session
    files: Mapping[Path, FileState] = field(default_factory=dict)
    doubt: Doubt | None = None
    scans: int = 0
    latest: tuple[Path, float] | None = None
    accepted: Accepted = field(default_factory=Accepted)


def observe(
    state: WatchState,
    chunk: Chunk,
    *,
    profile: CompiledProfile,
    now: datetime | None = None,
    live: bool = False,
    zone: tzinfo | None = None,
    file_date: date | None = None,
    qr_path: Path | None = None,
    key: bytes | None = None,
    require_signed: bool = False,
    missed: bool = False,
) -> tuple[WatchState, tuple[Observation, ...]]:
    """Take the next chunk of one of the logs.

    What is verified is trusted, whatever stands around it. What is refused, or signed and older than what was accepted
    before, is observed and changes nothing.

    Args:
        state: where the watch stands.
        chunk: the next lines of a file; a later chunk of the same path follows it, or starts that file anew. Where
            several files of the past are observed one after the other, only what is younger moves the session.
        profile: the bot's family.
        now: the time, aware UTC; in a replay only to know what is stamped later than that.
        live: whether lines are read as they are written; a chunk marked `backlog` is none of these.
        zone: the time zone that the user named, for stamps that tell none.
        file_date: the date at which the log's first line was written, for stamps without date; used with `zone` alone.
        qr_path: the image file of the QR; by default the profile's, beside the log.
        key: the twins' key; session lines are verified with it as those of the bot that the session is of.
        require_signed: refuse each session line that does not verify, without `key` all of them; heed no traffic.
        missed: whether the lines were written while nobody read them, and are news all the same.
    """
    is_live = live and not chunk.backlog
    source = profile.source
    if qr_path is None and source.qr_file is not None:
        qr_path = chunk.path.parent / source.qr_file
    circumstances = Circumstances(
        profile=profile,
        watch=state.session.watch,
        now=now,
        is_live=is_live,
        zone=zone,
        file_date=file_date,
        qr_path=qr_path,
        key=key,
        require_signed=require_signed,
        is_missed=missed,
    )
    observed: list[Observation] = []
    file = state.files.get(chunk.path, FileState())
    if file.next_offset != chunk.start_offset:
        state, file = _give_out(state, file, circumstances, observed)
        if file.next_offset is not None and chunk.start_offset <= 0:
            state = replace(state, accepted=begin_anew(state.accepted, chunk.path))
        file = begin(file, chunk, profile)
    before, clock = (file.pairing.held, file.drawing), file.clock
    candidates = tuple(profile.marks.candidates(chunk))
    if candidates or file.drawing is not None or file.awaits_line or _wants_traffic(state.session, circumstances):
        state, file = _turn_over(state, file, turn_to(file, chunk, circumstances), candidates, observed)
    file = leave(file, chunk, circumstances, is_stamped=file.clock != clock)
    held = (file.pairing.held, file.drawing)
    if held == (None, None) or now is None or not is_live:
        file = replace(file, due=None) if file.due else file
    elif held != before or file.due is None:
        file = replace(file, due=now + HOLD)
    files = {path: known for path, known in state.files.items() if path != chunk.path}
    if len(files) >= MOST_FILES:
        state, _ = _give_out(state, files.pop(next(iter(files))), circumstances, observed)
    return replace(state, files={**files, chunk.path: file}), tuple(observed)


def learn(
    state: WatchState,
    chunk: Chunk,
    take: Callable[[WatchState, Chunk], tuple[WatchState, tuple[Observation, ...]]],
) -> WatchState:
    """Take a chunk that was observed before, by another process: only how its file reads on is learnt, as `take` reads.

    What it says of the session is known.
    """
    files = {path: file for path, file in state.files.items() if path == chunk.path}
    after, _ = take(WatchState(session=Session(watch=state.session.watch), files=files), chunk)
    return replace(state, files={**state.files, **after.files})


def tick(state: WatchState, at: datetime, *, profile: CompiledProfile) -> tuple[WatchState, tuple[Observation, ...]]:
    """Let time pass: give out what nothing completed, and leave unconfirmed what nothing confirmed."""
    observed: list[Observation] = []
    for path, file in state.files.items():
        if file.due is not None and file.due <= at:
            circumstances = Circumstances(profile=profile, watch=state.session.watch, now=at, is_live=True)
            state, given = _give_out(state, file, circumstances, observed)
            state = replace(state, files={**state.files, path: replace(given, due=None)})
    doubt = state.doubt
    if doubt is not None and doubt.due <= at:
        transition = leave_unconfirmed(state.session, doubt.event)
        state = replace(state, session=transition.after, doubt=None)
        observed.append(Observation(event=doubt.event, transition=transition, session=state.session))
    return state, tuple(observed)


def finish(state: WatchState, *, profile: CompiledProfile) -> tuple[WatchState, tuple[Observation, ...]]:
    """Give out what is held back, in all files: there is nothing more to read."""
    observed: list[Observation] = []
    circumstances = Circumstances(profile=profile, watch=state.session.watch)
    for path, file in state.files.items():
        state, given = _give_out(state, file, circumstances, observed)
        state = replace(state, files={**state.files, path: replace(given, due=None)})
    return state, tuple(observed)


def wake_at(state: WatchState) -> datetime | None:
    """Return when `tick` is wanted next, None if nothing waits."""
    dues = [file.due for file in state.files.values() if file.due is not None]
    if state.doubt is not None:
        dues.append(state.doubt.due)
    return min(dues, default=None)


def _turn_over(
    state: WatchState, file: FileState, page: Page, candidates: Iterable[Candidate], observed: list[Observation]
) -> tuple[WatchState, FileState]:
    """Take what a page tells, in order."""
    position, clock = page.base, file.clock
    file, accepted, readings = read(file, page, candidates, state.accepted)
    if accepted is not state.accepted:
        state = replace(state, accepted=accepted)
    for reading in readings:
        start = max(position, reading.event.offset - page.chunk.start_offset + page.base)
        state, file = _take_traffic(state, file, page, (position, start), clock=clock, observed=observed)
        state, file = _take(state, file, reading, page, observed)
        position, clock = start, reading.event.clock if reading.event.trusted else clock
    return _take_traffic(state, file, page, (position, len(page.data)), clock=clock, observed=observed)


def _take(
    state: WatchState, file: FileState, reading: Reading, page: Page, observed: list[Observation]
) -> tuple[WatchState, FileState]:
    """Take one record of a file."""
    pairing, events = pair(file.pairing, reading, partial(page.is_near, start_offset=reading.event.offset))
    for event in events:
        state = _apply(state, event, page.circumstances, observed)
    return state, file if pairing is file.pairing else replace(file, pairing=pairing)


def _give_out(
    state: WatchState, file: FileState, circumstances: Circumstances, observed: list[Observation]
) -> tuple[WatchState, FileState]:
    """End what may have gone on in a file, and give out what was held."""
    file, readings = finished(file)
    pairing = file.pairing
    for reading in readings:
        pairing, events = pair(pairing, reading, partial(is_near_in_tail, file, start_offset=reading.event.offset))
        for event in events:
            state = _apply(state, event, circumstances, observed)
    pairing, events = flush(pairing)
    for event in events:
        state = _apply(state, event, circumstances, observed)
    return state, replace(file, pairing=pairing, awaits_line=False)


def _take_traffic(
    state: WatchState,
    file: FileState,
    page: Page,
    span: tuple[int, int],
    *,
    clock: float | None,
    observed: list[Observation],
) -> tuple[WatchState, FileState]:
    """Take the traffic between two events, as far as it can move the session."""
    if not _wants_traffic(state.session, page.circumstances):
        return state, file
    for event in traffic(page, *span, clock):
        pairing, events = flush(file.pairing)
        for held in events:
            state = _apply(state, held, page.circumstances, observed)
        file = replace(file, pairing=pairing)
        if not page.circumstances.is_live and _is_outdated(state, event, page.profile):
            continue
        session, transition = advance(state.session, event, evidence=_evidence(page.profile))
        if transition is not None:
            state = replace(state, session=session, scans=0, latest=_latest(state, event, page.circumstances))
            observed.append(Observation(event=event, transition=transition, session=session))
            break
    return state, file


def _evidence(profile: CompiledProfile) -> Evidence:
    return Evidence(traffic_is_login=profile.source.traffic_is_login, margin=profile.source.margin)


def _wants_traffic(session: Session, circumstances: Circumstances) -> bool:
    """Tell whether traffic could move the session; nobody signs it."""
    move = TABLE[session.state].get(EventKind.TRAFFIC)
    if move is None or circumstances.require_signed:
        return False
    return circumstances.profile.source.traffic_is_login or not move.evidence


def _apply(state: WatchState, event: Event, circumstances: Circumstances, observed: list[Observation]) -> WatchState:
    """Let the session meet an event; one that is void is only seen.

    So is a stray logout of a lost session: it is no news, and would take the QR away.
    """
    if is_void(event) or (event.kind is EventKind.LOGOUT and is_stray(event) and state.session.is_lost):
        observed.append(Observation(event=event, transition=None, session=state.session))
        return state
    if event.kind is EventKind.SCAN and event.qr is not None:
        event = _lived(_decoded(event, event.qr, circumstances.profile), state, circumstances)
    if not circumstances.is_live and _is_outdated(state, event, circumstances.profile):
        observed.append(Observation(event=event, transition=None, session=state.session))
        return state
    is_new = event.kind is EventKind.SCAN and (event.qr is None or not event.qr.is_same(state.session.qr))
    session, transition = advance(state.session, event)
    observed.append(Observation(event=event, transition=transition, session=session))
    doubt, scans = state.doubt, state.scans
    if event.trusted:
        scans = 0 if event.kind in {EventKind.LOGIN, EventKind.LOGOUT} else scans + is_new
        doubt = None if doubt and _settles(event, doubt.event) else doubt
    elif event.kind is EventKind.SCAN and circumstances.is_news and circumstances.now is not None:
        doubt = Doubt(event=event, due=doubt.due if doubt else circumstances.now + CONFIRMATION)
    latest = _latest(state, event, circumstances)
    return replace(state, session=session, scans=scans, doubt=doubt, latest=latest)


def _latest(state: WatchState, event: Event, circumstances: Circumstances) -> tuple[Path, float] | None:
    """Return the newest event after this one; what a stranger may have written makes nothing outdated."""
    now = circumstances.now
    is_future = event.at is not None and now is not None and event.at > now + TOLERANCE
    if (
        event.path is None
        or event.clock is None
        or not circumstances.profile.is_dated
        or not event.trusted
        or is_future
    ):
        return state.latest
    return event.path, event.clock


def _is_outdated(state: WatchState, event: Event, profile: CompiledProfile) -> bool:
    """Tell whether an event of the past is older than one of another log, or cannot be told to be younger."""
    if not profile.is_dated or state.latest is None or event.path == state.latest[0]:
        return False
    return event.clock is None or event.clock < state.latest[1]


def _decoded(event: Event, qr: Qr, profile: CompiledProfile) -> Event:
    """Put the payload in the place of a drawing, where a decoder is to be had."""
    payload = decode(qr)
    if qr.payload is not None or payload is None:
        return event
    shown = replace(qr, payload=payload, modules=None)
    return replace(event, qr=shown, trusted=event.trusted and is_genuine(shown, profile))


def _lived(event: Event, state: WatchState, circumstances: Circumstances) -> Event:
    """Say since when and until when the QR of a scan can be used."""
    seen = _seen(event)
    life = circumstances.profile.source.qr_life
    if event.qr is None or seen is None:
        return event
    expires = seen + timedelta(seconds=life[min(state.scans, len(life) - 1)]) if life else None
    return replace(event, qr=replace(event.qr, first_seen=seen, expires=expires))


def _seen(event: Event) -> datetime | None:
    """Return when a scan was written: by its stamp, unless that is of another zone than it is taken for."""
    if event.at is None or event.seen_at is None:
        return event.at or event.seen_at
    is_likely = -TOLERANCE <= event.seen_at - event.at < _LEAST_ZONE
    return event.at if is_likely else event.seen_at


def _settles(event: Event, doubted: Event) -> bool:
    """Tell whether a trusted event answers the question of a suspect scan: the same QR, or a login."""
    if event.kind is EventKind.LOGIN:
        return True
    if event.kind is not EventKind.SCAN:
        return False
    return event.qr is None or doubted.qr is None or event.qr.is_same(doubted.qr)
