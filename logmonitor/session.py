"""The session machine: what a bot's log says, turned into where its chat session stands.

`TABLE` is the whole truth about what moves a session; `advance` applies it. Only trusted events move anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from logmonitor.records import Event, EventKind, Session, SessionState, Transition

if TYPE_CHECKING:
    from datetime import datetime

_UNKNOWN = SessionState.UNKNOWN
_IN = SessionState.LOGGED_IN
_OUT = SessionState.LOGGED_OUT
_AWAITING = SessionState.AWAITING_SCAN
_SCANNED = SessionState.SCANNED

_DAY_SECONDS: Final = 86400
_ABOUT_SECONDS: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One cell of the table: the state to enter, and what else happens on the way.

    `evidence` marks a move that holds only where traffic is the profile's evidence of a login and the line is younger
    than the loss by the profile's margin.
    """

    to: SessionState
    loss: bool = False
    returns: bool = False
    drops_qr: bool = False
    evidence: bool = False


_BACK = Move(to=_IN, returns=True, drops_qr=True)
_BACK_BY_TRAFFIC = replace(_BACK, evidence=True)

TABLE: Final[dict[SessionState, dict[EventKind, Move]]] = {
    _UNKNOWN: {
        EventKind.SCAN: Move(to=_AWAITING, loss=True),
        EventKind.SCANNED: Move(to=_SCANNED, loss=True),
        EventKind.LOGIN: Move(to=_IN),
        EventKind.LOGOUT: Move(to=_OUT, loss=True),
        EventKind.TRAFFIC: Move(to=_IN),
    },
    _IN: {
        EventKind.SCAN: Move(to=_AWAITING, loss=True),
        EventKind.SCANNED: Move(to=_SCANNED, loss=True),
        EventKind.LOGOUT: Move(to=_OUT, loss=True),
    },
    _OUT: {
        EventKind.SCAN: Move(to=_AWAITING),
        EventKind.SCANNED: Move(to=_SCANNED),
        EventKind.LOGIN: _BACK,
        EventKind.TRAFFIC: _BACK_BY_TRAFFIC,
    },
    _AWAITING: {
        EventKind.SCAN: Move(to=_AWAITING),
        EventKind.SCANNED: Move(to=_SCANNED),
        EventKind.EXPIRED: Move(to=_AWAITING, drops_qr=True),
        EventKind.LOGIN: _BACK,
        EventKind.LOGOUT: Move(to=_OUT, drops_qr=True),
        EventKind.TRAFFIC: _BACK_BY_TRAFFIC,
    },
    _SCANNED: {
        EventKind.SCAN: Move(to=_AWAITING),
        EventKind.EXPIRED: Move(to=_AWAITING, drops_qr=True),
        EventKind.LOGIN: _BACK,
        EventKind.LOGOUT: Move(to=_OUT, drops_qr=True),
        EventKind.TRAFFIC: _BACK_BY_TRAFFIC,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Whether traffic proves a login in this family, and how many seconds after the loss at the earliest."""

    traffic_is_login: bool = False
    margin: float = 5.0


def advance(session: Session, event: Event, *, evidence: Evidence | None = None) -> tuple[Session, Transition | None]:
    """Apply one event; return the session after it, and the transition if the event changed anything.

    Without `evidence`, traffic never brings a lost session back. A verified line that shows again what an unverified
    one has shown makes the session verified and no transition: what an admin was told of is the same.
    """
    move = TABLE[session.state].get(event.kind) if event.trusted else None
    if move is None or (move.evidence and not _is_proof(session, event, evidence)):
        return session, None
    after = _moved(session, event, move)
    if replace(after, qr=session.qr, verified=session.verified) == session and _shows_same(after, session):
        return after, None
    return after, Transition(before=session, after=after, event=event)


def leave_unconfirmed(session: Session, event: Event) -> Transition:
    """Record a suspect scan that nothing has confirmed in time: the state stays, the admin is to be told."""
    return Transition(before=session, after=replace(session, unconfirmed=event), event=event)


def _shows_same(session: Session, other: Session) -> bool:
    return session.qr is other.qr or (session.qr is not None and session.qr.is_same(other.qr))


def _is_proof(session: Session, event: Event, evidence: Evidence | None) -> bool:
    if evidence is None or not evidence.traffic_is_login:
        return False
    if event.clock is not None and session.loss_clock is not None:
        return event.clock - session.loss_clock >= evidence.margin
    if event.seen_at is not None and session.loss_seen_at is not None:
        return (event.seen_at - session.loss_seen_at).total_seconds() >= evidence.margin
    return False


def _moved(session: Session, event: Event, move: Move) -> Session:
    """Carry out one move of the table; what a line that proves nothing shows again is as good as it was."""
    happened_at: datetime | None = event.at or event.seen_at
    entered = move.to is not session.state
    after = replace(
        session,
        state=move.to,
        since=happened_at if entered else session.since,
        qr=None if move.drops_qr else session.qr,
        verified=event.verified if entered else session.verified,
    )
    if event.kind is EventKind.SCAN:
        shown = event.qr and replace(event.qr, log_path=event.path)
        if move.loss or (shown is not None and not shown.is_same(session.qr)):
            after = replace(after, qr=shown, verified=event.verified)
        elif event.verified and shown is None and session.qr is None:
            after = replace(after, verified=True)
        elif shown is not None and shown.verified and session.qr is not None:
            after = replace(after, qr=session.qr if session.qr.verified else shown, verified=True)
        after = replace(after, unconfirmed=None)
    if move.loss:
        after = replace(
            after,
            loss=session.loss + 1,
            loss_id=loss_id(event),
            is_lost=True,
            loss_clock=event.clock,
            loss_seen_at=event.seen_at,
        )
    if move.to is _IN:
        after = replace(after, user=event.user or session.user, unconfirmed=None)
    if move.returns:
        after = replace(after, is_lost=False)
    return after


def loss_id(event: Event) -> str:
    """Name a loss by the bot's own count of its lines; else by where its line stands, and the time of day in it.

    An offset alone comes again: where the log tells no time, it is about when the line was read.
    """
    if event.verified and event.signature is not None:
        return f"{event.signature.boot}:{event.signature.sequence}"
    name = "" if event.path is None else event.path.name
    if event.clock is not None:
        return f"{name}:{event.offset}:{round(event.clock % _DAY_SECONDS, 3)}"
    read_at = "" if event.seen_at is None else f"read {event.seen_at.timestamp() // _ABOUT_SECONDS:.0f}"
    return f"{name}:{event.offset}:{read_at}"
