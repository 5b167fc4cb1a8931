"""The session machine against the table it was asked for, and the laws that hold whatever happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.records import Event, EventKind, Qr, Session, SessionState
from logmonitor.session import TABLE, Evidence, advance, leave_unconfirmed

START: Final = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
OLD_QR: Final = Qr(payload="https://login.weixin.qq.com/l/old==")
NEW_QR: Final = Qr(payload="https://login.weixin.qq.com/l/new==")
EVIDENCE: Final = Evidence(traffic_is_login=True, margin=5.0)

ISSUE: Final = """
    unknown       | awaiting_scan loss | scanned loss | -                  | logged_in  | logged_out loss | logged_in
    logged_in     | awaiting_scan loss | scanned loss | -                  | -          | logged_out loss | -
    logged_out    | awaiting_scan      | scanned      | -                  | logged_in* | logged_out      | logged_in*
    awaiting_scan | awaiting_scan      | scanned      | awaiting_scan drop | logged_in* | logged_out drop | logged_in*
    scanned       | awaiting_scan      | scanned      | awaiting_scan drop | logged_in* | logged_out drop | logged_in*
""".replace("*", " return")
KINDS: Final = ("scan", "scanned", "expired", "login", "logout", "traffic")
CELLS: Final = [
    (state.strip(), kind, cell.strip())
    for state, *cells in (row.split("|") for row in ISSUE.strip().splitlines())
    for kind, cell in zip(KINDS, cells, strict=True)
]


def session_in(state: str, *, lost: bool | None = None) -> Session:
    """Return a session in `state`, lost where that state follows a loss."""
    is_lost = state not in {"unknown", "logged_in"} if lost is None else lost
    waits = state in {"awaiting_scan", "scanned"}
    return Session(
        watch="bob",
        state=SessionState(state),
        loss=1 if is_lost else 0,
        is_lost=is_lost,
        loss_clock=100.0 if is_lost else None,
        loss_seen_at=START if is_lost else None,
        qr=OLD_QR if waits else None,
    )


def event_of(kind: str, *, clock: float | None = 200.0, trusted: bool = True) -> Event:
    """Return an event of `kind`, a scan with a QR of its own."""
    qr = NEW_QR if kind == "scan" else None
    return Event(kind=EventKind(kind), line=1, offset=0, clock=clock, qr=qr, trusted=trusted)


@pytest.mark.parametrize(("state", "kind", "cell"), CELLS)
def test_advance_does_what_the_table_says(state: str, kind: str, cell: str) -> None:
    """Every cell of the issue's table holds: the state after, the loss, the return, and what becomes of the QR."""
    session = session_in(state)
    after, transition = advance(session, event_of(kind), evidence=EVIDENCE)
    expected, *marks = [state] if cell == "-" else cell.split()
    assert after.state == expected
    assert (transition is not None and transition.is_loss) == ("loss" in marks)
    assert (transition is not None and transition.is_return) == ("return" in marks)
    if kind == "scan":
        assert after.qr is not None
        assert after.qr.payload == NEW_QR.payload
    elif expected == "logged_in" or "drop" in marks:
        assert after.qr is None
    elif "loss" not in marks:
        assert after.qr == session.qr


@pytest.mark.parametrize("state", [*SessionState])
@pytest.mark.parametrize("kind", [*EventKind])
def test_advance_ignores_what_is_not_trusted(state: SessionState, kind: EventKind) -> None:
    """An untrusted event leaves every session as it is."""
    session = session_in(state)
    assert advance(session, event_of(kind, trusted=False), evidence=EVIDENCE) == (session, None)


@pytest.mark.parametrize("state", [*SessionState])
def test_advance_ignores_errors(state: SessionState) -> None:
    """An error moves nothing."""
    session = session_in(state)
    assert advance(session, event_of("error"), evidence=EVIDENCE) == (session, None)


def test_table_has_no_cell_for_what_moves_nothing() -> None:
    """The table in the code has a cell exactly where the issue's has one, but for a scan that repeats."""
    moving = {(state, kind) for state, kind, cell in CELLS if cell != "-"}
    moving -= {("logged_out", "logout"), ("scanned", "scanned")}
    assert {(state, kind) for state, moves in TABLE.items() for kind in moves} == moving


def test_advance_keeps_a_qr_that_is_shown_again() -> None:
    """The same QR again is no transition, and keeps when it was first seen."""
    first = Event(kind=EventKind.SCAN, line=1, offset=0, qr=replace(NEW_QR, first_seen=START), path=Path("bob.log"))
    session, _ = advance(session_in("logged_in"), first)
    again = replace(first, line=9, qr=replace(NEW_QR, first_seen=START + timedelta(seconds=9)))
    assert advance(session, again) == (session, None)


def test_advance_says_which_log_a_qr_was_seen_in() -> None:
    """The session's QR names the log of the event that showed it."""
    event = replace(event_of("scan"), path=Path("bob.log"))
    session, _ = advance(session_in("logged_in"), event)
    assert session.qr is not None
    assert session.qr.log_path == Path("bob.log")


@pytest.mark.parametrize(
    ("evidence", "event", "is_back"),
    [
        (None, event_of("traffic"), False),
        (Evidence(traffic_is_login=False), event_of("traffic"), False),
        (EVIDENCE, event_of("traffic", clock=104.9), False),
        (EVIDENCE, event_of("traffic", clock=105.0), True),
        (EVIDENCE, event_of("traffic", clock=None), False),
        (EVIDENCE, replace(event_of("traffic", clock=None), seen_at=START + timedelta(seconds=4)), False),
        (EVIDENCE, replace(event_of("traffic", clock=None), seen_at=START + timedelta(seconds=5)), True),
    ],
)
def test_advance_takes_traffic_for_a_login_only_later_than_the_loss(
    evidence: Evidence | None, event: Event, *, is_back: bool
) -> None:
    """Traffic brings a session back where the profile says so and it is younger than the loss by the margin."""
    after, transition = advance(session_in("logged_out"), event, evidence=evidence)
    assert (after.state is SessionState.LOGGED_IN, transition is not None) == (is_back, is_back)


def test_advance_names_the_user_that_logged_in() -> None:
    """The session knows who logged in, and keeps it where a later login does not say."""
    session, _ = advance(session_in("logged_out"), replace(event_of("login"), user="Bob"))
    lost, _ = advance(session, event_of("logout"))
    back, _ = advance(lost, event_of("login"))
    assert (session.user, back.user) == ("Bob", "Bob")


def test_leave_unconfirmed_keeps_the_state() -> None:
    """A scan that nothing confirmed is remembered, the state is not touched, and the next real scan forgets it."""
    session = session_in("logged_in")
    suspect = event_of("scan", trusted=False)
    transition = leave_unconfirmed(session, suspect)
    assert transition.after == replace(session, unconfirmed=suspect)
    assert advance(transition.after, event_of("scan"))[0].unconfirmed is None


EVENTS: Final = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    line=st.just(1),
    offset=st.just(0),
    clock=st.none() | st.floats(0, 1000),
    qr=st.sampled_from([None, OLD_QR, NEW_QR, replace(NEW_QR, verified=True)]),
    user=st.sampled_from([None, "Bob"]),
    trusted=st.booleans(),
    verified=st.booleans(),
)


def unsigned(session: Session) -> Session:
    """Return a session as it is where nothing is signed."""
    return replace(session, verified=False, qr=session.qr and Qr(payload=session.qr.payload))


@given(events=st.lists(EVENTS, max_size=30), traffic_is_login=st.booleans())
def test_advance_never_leaves_its_states_and_says_a_loss_once(events: list[Event], *, traffic_is_login: bool) -> None:
    """Whatever happens, losses and returns take turns, their count never falls, and only a QR in wait is kept."""
    session = Session(watch="bob")
    said: list[str] = []
    for event in events:
        before = session
        session, transition = advance(before, event, evidence=Evidence(traffic_is_login=traffic_is_login))
        assert session.state in SessionState
        assert (transition is None) == (unsigned(session) == unsigned(before))
        assert session.loss - before.loss in {0, 1}
        assert session.is_lost == (session.state not in {SessionState.UNKNOWN, SessionState.LOGGED_IN})
        if session.qr is not None:
            assert session.state in {SessionState.AWAITING_SCAN, SessionState.SCANNED}
        if transition is not None and transition.is_loss:
            said.append("loss")
        if transition is not None and transition.is_return:
            said.append("return")
    assert said == ["loss", "return"] * (len(said) // 2) + ["loss"] * (len(said) % 2)


def test_session_keeps_its_qr_through_a_scan_that_shows_none() -> None:
    """A line that asks for a scan without showing a QR leaves the one that is known."""
    qr = Qr(payload="2@abc")
    session, _ = advance(Session(watch="bob"), Event(kind=EventKind.SCAN, line=1, offset=0, qr=qr))
    session, transition = advance(session, Event(kind=EventKind.SCAN, line=2, offset=9))
    assert (session.qr, transition) == (qr, None)


def scan(qr: Qr | None, *, verified: bool = False) -> Event:
    """Return a scan that shows `qr`, signed or not."""
    shown = qr and replace(qr, verified=verified)
    return Event(kind=EventKind.SCAN, line=1, offset=0, qr=shown, verified=verified)


def test_session_is_verified_as_the_event_that_set_it() -> None:
    """A signed line makes the session and its QR verified, an unsigned one that changes either makes them not so."""
    session, _ = advance(Session(watch="bob"), scan(OLD_QR, verified=True))
    assert (session.verified, session.qr) == (True, replace(OLD_QR, verified=True))
    session, _ = advance(session, scan(NEW_QR))
    assert (session.verified, session.qr) == (False, NEW_QR)
    session, _ = advance(session, Event(kind=EventKind.LOGIN, line=1, offset=0, verified=True))
    assert (session.verified, session.qr) == (True, None)
    assert not advance(session, event_of("logout"))[0].verified


@pytest.mark.parametrize("again", [OLD_QR, None])
def test_verified_qr_stays_so_when_an_unsigned_line_shows_it_again(again: Qr | None) -> None:
    """What was signed once is not in doubt because the same stands there unsigned, or a scan without QR."""
    session, _ = advance(Session(watch="bob"), scan(OLD_QR, verified=True))
    assert advance(session, scan(again)) == (session, None)


def test_qr_that_is_signed_later_becomes_verified_without_a_transition() -> None:
    """The same QR, signed now, is the verified line's, and nobody is told of it again."""
    session, _ = advance(Session(watch="bob"), scan(replace(OLD_QR, first_seen=START)))
    signed = replace(scan(OLD_QR, verified=True), path=Path("bob.log"))
    after, transition = advance(session, signed)
    assert transition is None
    assert after == replace(session, verified=True, qr=replace(OLD_QR, verified=True, log_path=Path("bob.log")))
    assert advance(after, replace(signed, line=2, path=None)) == (after, None)


def test_scan_that_is_signed_later_makes_a_session_without_qr_verified() -> None:
    """A signed scan without QR verifies that one is wanted, and no QR that another line showed."""
    session, _ = advance(Session(watch="bob"), scan(None))
    after, transition = advance(session, scan(None, verified=True))
    assert (after, transition) == (replace(session, verified=True), None)
    assert advance(after, scan(None)) == (after, None)
    session, _ = advance(Session(watch="bob"), scan(OLD_QR))
    assert advance(session, scan(None, verified=True)) == (session, None)


def test_loss_without_a_time_is_named_by_when_it_was_read() -> None:
    """At the same place of a log that tells no time a later loss is another one, and whoever reads now agrees."""

    def name(seconds: float) -> str:
        read_at = START + timedelta(seconds=seconds)
        event = Event(kind=EventKind.SCAN, line=1, offset=0, path=Path("bob.log"), seen_at=read_at)
        return advance(Session(watch="bob"), event)[0].loss_id

    assert name(0) == name(1)
    assert name(0) != name(3600)
