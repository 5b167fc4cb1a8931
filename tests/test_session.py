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
    qr=st.sampled_from([None, OLD_QR, NEW_QR]),
    user=st.sampled_from([None, "Bob"]),
    trusted=st.booleans(),
)


@given(events=st.lists(EVENTS, max_size=30), traffic_is_login=st.booleans())
def test_advance_never_leaves_its_states_and_says_a_loss_once(events: list[Event], *, traffic_is_login: bool) -> None:
    """Whatever happens, losses and returns take turns, their count never falls, and only a QR in wait is kept."""
    session = Session(watch="bob")
    said: list[str] = []
    for event in events:
        before = session
        session, transition = advance(before, event, evidence=Evidence(traffic_is_login=traffic_is_login))
        assert session.state in SessionState
        assert (transition is None) == (session == before)
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
