"""The chain: what a line holds of the one before, and where the next record goes."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.auditing.chain import (
    ORIGIN,
    Begin,
    Link,
    Place,
    Tail,
    anchor_text,
    digest,
    entry_of,
    line_of,
    next_place,
    parse_anchor,
    tail_of,
)
from tests.audit_bench import AT, RECORD, chained, newest

A, B = Link(n=4, digest="a" * 64), Link(n=5, digest="b" * 64)
OTHER_B = Link(n=5, digest="c" * 64)
EMPTY = Tail()


def test_chain_holds_the_hash_of_the_line_before() -> None:
    """Each line carries its number and the SHA-256 of the line before it, the first one the origin."""
    lines = chained(3).splitlines()
    fields = [json.loads(line) for line in lines]
    assert [one["n"] for one in fields] == [0, 1, 2]
    assert [one["previous"] for one in fields] == [ORIGIN, *(hashlib.sha256(line).hexdigest() for line in lines[:2])]
    assert [one.get("begins") for one in fields] == ["chain", None, None]


def test_chain_goes_on_behind_a_torn_line() -> None:
    """The line behind a torn one holds the hash of both, the torn one and the record before it."""
    whole = chained(2)
    torn = whole + b'{"n":2,"prev'
    third = json.loads(chained(1, behind=torn)[len(torn) + 1 :])
    last = whole.splitlines()[1]
    assert third["n"] == 2
    assert third["previous"] == hashlib.sha256(last + b'\n{"n":2,"prev').hexdigest()


def test_chain_takes_a_record_that_lacks_only_its_end_of_line() -> None:
    """A record that was written but for its terminator counts, and the next one begins a line of its own."""
    whole = chained(3)
    assert chained(1, behind=chained(2)[:-1]) == whole


@given(data=st.binary(), cut=st.integers(min_value=0))
def test_tail_of_a_part_is_that_of_the_whole(data: bytes, cut: int) -> None:
    """Whatever stands before the newest record, what is known of the end is the same, or nothing."""
    whole = data + b"\n" + chained(2)
    part = whole[cut % len(whole) :]
    tail = tail_of(part, is_whole=False)
    assert tail in {tail_of(whole, is_whole=True), Tail()}
    assert (tail == Tail()) == (len(part) <= len(whole.splitlines()[-1]) + 1)


def test_tail_looks_past_what_is_no_record() -> None:
    """Blank, torn and foreign lines behind the newest record are covered by what the next one holds."""
    data = chained(1)
    tail = tail_of(data + b"\nhello\n\n", is_whole=True)
    assert tail == Tail(newest=newest(data), covered=digest(data + b"\nhello\n"), is_torn=False)


@pytest.mark.parametrize(
    ("tail", "anchor", "rotated", "place"),
    [
        (EMPTY, None, None, Place(n=0, previous=ORIGIN, begins=Begin.CHAIN)),
        (EMPTY, A, None, Place(n=5, previous=A.digest, begins=Begin.GAP)),
        (EMPTY, None, A, Place(n=5, previous=A.digest, begins=Begin.FILE)),
        (EMPTY, A, A, Place(n=5, previous=A.digest, begins=Begin.FILE)),
        (EMPTY, A, B, Place(n=6, previous=B.digest, begins=Begin.FILE)),
        (EMPTY, B, A, Place(n=6, previous=B.digest, begins=Begin.GAP)),
        (EMPTY, B, OTHER_B, Place(n=6, previous=B.digest, begins=Begin.GAP)),
        (Tail(newest=A, covered="d" * 64), None, None, Place(n=5, previous="d" * 64)),
        (Tail(newest=A, covered="d" * 64), A, None, Place(n=5, previous="d" * 64)),
        (Tail(newest=B, covered="d" * 64), A, None, Place(n=6, previous="d" * 64)),
        (Tail(newest=A, covered="d" * 64), B, None, Place(n=6, previous=B.digest)),
        (Tail(newest=OTHER_B, covered="d" * 64), B, None, Place(n=6, previous=B.digest)),
    ],
)
def test_place_follows_the_file_unless_the_store_knows_better(
    tail: Tail, anchor: Link | None, rotated: Link | None, place: Place
) -> None:
    """The next record follows the newest there is; one that the store knows and the file lacks leaves a gap."""
    assert next_place(tail, anchor=anchor, rotated=rotated) == place


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"\xff",
        b"[]",
        b"1",
        b"[" * 100_000,
        b'{"n":' + b"9" * 5000 + b"}",
        *(
            json.dumps({"n": 1, "previous": ORIGIN, "at": AT.isoformat(), key: value}).encode()
            for key, value in (
                ("n", -1),
                ("n", True),
                ("n", 1.0),
                ("n", None),
                ("previous", "0"),
                ("previous", 0),
                ("previous", "G" * 64),
                ("at", 0),
                ("at", "yesterday"),
                ("at", "2026-11-20T10:00:00"),
                ("begins", "never"),
                ("begins", []),
            )
        ),
    ],
)
def test_entry_of_what_is_no_record_is_none(line: bytes) -> None:
    """What is no JSON, or lacks a number, a hash or a time with its zone, is no record."""
    assert entry_of(line) is None


def test_entry_reads_what_was_written() -> None:
    """A line reads back as the place and the fields it was made of."""
    entry = entry_of(line_of(RECORD, Place(n=7, previous="a" * 64, begins=Begin.FILE)))
    assert entry is not None
    assert (entry.n, entry.previous, entry.at, entry.begins) == (7, "a" * 64, AT, Begin.FILE)
    assert entry.fields["user"] == "wxid_1"


@given(st.integers(min_value=0))
def test_anchor_reads_back(n: int) -> None:
    """What the store keeps of the newest record reads back."""
    link = Link(n=n, digest=digest(str(n).encode()))
    assert parse_anchor(anchor_text(link)) == link


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", "x", '{"n":"1","digest":"a"}', '{"n":1,"digest":"a"}', "[" * 100_000]
)
def test_anchor_that_is_none_is_none(text: str | None) -> None:
    """Nothing, or what is no anchor, is none."""
    assert parse_anchor(text) is None
