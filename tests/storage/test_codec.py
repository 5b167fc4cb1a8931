"""Records as text, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import StoreError
from logmonitor.machine import Completed
from logmonitor.records import (
    Event,
    EventKind,
    Line,
    LogBatch,
    Qr,
    Refusal,
    Session,
    SessionState,
    Signature,
    Transition,
)
from logmonitor.signing import Accepted
from logmonitor.storage.codec import decode, encode
from logmonitor.watch import Doubt, WatchState

TEXTS = st.text(max_size=20)
OPTIONAL_TEXTS = st.none() | TEXTS
NUMBERS = st.integers(min_value=0, max_value=1 << 63)
TIMES = st.datetimes(timezones=st.just(UTC))
PATHS = st.binary(min_size=1, max_size=10).map(
    lambda name: Path("/var/log", name.replace(b"\0", b"0").decode("utf-8", "surrogateescape"))
)
QRS = st.builds(
    Qr,
    payload=OPTIONAL_TEXTS,
    modules=st.none() | st.lists(st.binary(max_size=5), max_size=3).map(tuple),
    image_path=st.none() | PATHS,
    first_seen=st.none() | TIMES,
    expires=st.none() | TIMES,
    log_path=st.none() | PATHS,
    verified=st.booleans(),
)
SIGNATURES = st.builds(Signature, at=TIMES, boot=TEXTS, sequence=NUMBERS)
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    line=NUMBERS,
    offset=NUMBERS,
    at=st.none() | TIMES,
    clock=st.none() | st.floats(allow_nan=False),
    watch=TEXTS,
    path=st.none() | PATHS,
    qr=st.none() | QRS,
    user=OPTIONAL_TEXTS,
    trusted=st.booleans(),
    signature=st.none() | SIGNATURES,
    refused=st.none() | st.sampled_from(Refusal),
)
SESSIONS = st.builds(
    Session,
    watch=TEXTS,
    state=st.sampled_from(SessionState),
    since=st.none() | TIMES,
    qr=st.none() | QRS,
    user=OPTIONAL_TEXTS,
    loss=NUMBERS,
    loss_id=TEXTS,
    is_lost=st.booleans(),
    unconfirmed=st.none() | EVENTS,
)
BATCHES = st.builds(
    LogBatch,
    watch=TEXTS,
    path=PATHS,
    lines=st.lists(
        st.builds(Line, raw=st.binary(max_size=30), offset=NUMBERS, number=NUMBERS, truncated=st.booleans()), max_size=5
    ).map(tuple),
    start_offset=NUMBERS,
    end_offset=NUMBERS,
)
ACCEPTED = st.builds(
    Accepted,
    places=st.dictionaries(st.tuples(TEXTS, NUMBERS), st.tuples(st.none() | PATHS, NUMBERS), max_size=3),
    forgotten=st.dictionaries(TEXTS, NUMBERS, max_size=3),
    newest=st.none() | SIGNATURES,
)
STATES = st.builds(
    WatchState,
    session=SESSIONS,
    doubt=st.none() | st.builds(Doubt, event=EVENTS, due=TIMES),
    scans=NUMBERS,
    latest=st.none() | st.tuples(PATHS, st.floats(allow_nan=False)),
    accepted=ACCEPTED,
)
COMPLETED = st.builds(
    Completed,
    argv=st.lists(TEXTS, max_size=3).map(tuple),
    exit_code=st.integers(),
    stdout=TEXTS,
    stderr=TEXTS,
    seconds=st.floats(allow_nan=False),
)


@given(
    st.one_of(EVENTS, BATCHES, STATES, COMPLETED, st.builds(Transition, before=SESSIONS, after=SESSIONS, event=EVENTS))
)
def test_record_comes_back_as_it_was(record: object) -> None:
    """Whatever a record holds, text that is no UTF-8 too, is the same after the way through the store."""
    assert decode(encode(record), type(record)) == record


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        "[]",
        "5",
        '{"Session":{}}',
        '{"Session":[]}',
        '{"Session":{"watch":"bob","mood":"good"}}',
        '{"Session":{"watch":"bob"},"Qr":{}}',
        '{"Session":{"watch":"bob","state":{"SessionState":"asleep"}}}',
        '{"Session":{"watch":"bob","since":{"time":"yesterday"}}}',
        '{"Session":{"watch":"bob","since":{"time":5}}}',
        '{"Session":{"watch":{"bytes":"?"}}}',
        '{"Session":{"watch":{"map":5}}}',
        '{"Session":{"watch":{"line":["text",1]}}}',
        '{"Session":{"watch":{"line":[5,1,1,false]}}}',
        '{"Path":{}}',
        '{"Qr":{}}',
        "[" * 100_000,
    ],
)
def test_text_that_is_no_such_record_is_refused(text: str) -> None:
    """Damage, another record, a field or a value that nobody knows: each is an error of the store, and no other."""
    with pytest.raises(StoreError, match="the store holds"):
        decode(text, Session)


def test_field_that_an_older_version_did_not_write_has_its_default() -> None:
    """What was not there yet when it was kept, or had its default value, is that."""
    assert decode('{"Session":{"watch":"bob"}}', Session) == Session(watch="bob")
    assert encode(Session(watch="bob")) == '{"Session":{"watch":"bob"}}'


def test_what_is_no_record_cannot_be_kept() -> None:
    """A value that could not be read back is refused at once."""
    with pytest.raises(TypeError, match="timedelta cannot be kept"):
        encode(timedelta(seconds=1))
    assert encode(datetime(2026, 11, 20, tzinfo=UTC)) == '{"time":"2026-11-20T00:00:00+00:00"}'
