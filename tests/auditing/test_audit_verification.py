"""What verification finds, and what it does not take for a forgery."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from logmonitor.auditing.chain import ORIGIN, Begin, Place, line_of
from tests.audit_bench import chained, link_of, newest, record, told, verified

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = chained(8)
LINES = WHOLE.splitlines(keepends=True)
ANCHOR = newest(WHOLE)
TORN = "this line was torn while it was written, by a kill or a full disk; its record never counted"
INSERTED = "this line is no record: it was inserted"
REMOVED = "lines or files were removed"
GONE = "already when this one was written, the file had been emptied or removed"


def changed(line: bytes) -> bytes:
    """Return a line with another user in it."""
    assert b"wxid_1" in line
    return line.replace(b"wxid_1", b"wxid_2")


def test_whole_audit_is_intact() -> None:
    """Of an audit to which nothing was done there is nothing to say, with the store and without."""
    for verdict in (verified(WHOLE, anchor=ANCHOR), verified(WHOLE, is_anchored=False)):
        assert (verdict.findings, verdict.is_intact) == ((), True)
        assert [one.link.n for one in verdict.records] == list(range(8))


def test_audit_without_records_is_intact() -> None:
    """An audit that was never written to is not one that was emptied."""
    assert verified(b"").findings == ()


@pytest.mark.parametrize(
    ("data", "findings"),
    [
        (
            b"".join(LINES[1:]),
            [f":1: record 0 is missing before this line, and no file begins with it: {REMOVED}"],
        ),
        (b"".join(LINES[:3] + LINES[4:]), [f":4: record 3 is missing before this line: {REMOVED}"]),
        (b"".join(LINES[:3] + LINES[6:]), [f":4: records 3 to 5 are missing before this line: {REMOVED}"]),
        (
            b"".join(LINES[:7]),
            [f":7: record 7 is missing behind this line: {REMOVED}, or an older file was put in place"],
        ),
        (
            b"".join(LINES[:3]),
            [f":3: records 3 to 7 are missing behind this line: {REMOVED}, or an older file was put in place"],
        ),
        (
            b"".join([*LINES[:3], changed(LINES[3]), *LINES[4:]]),
            [":4: record 3 has not the hash that record 4 holds of it: one of the two was changed"],
        ),
        (
            b"".join([*LINES[:7], changed(LINES[7])]),
            [":8: record 7 has not the hash that the store holds of it: the line was changed"],
        ),
        (
            b"".join([*LINES[:3], b"gone\n", *LINES[4:]]),
            [":4: record 3 should stand here: the line was changed or cut"],
        ),
        (
            b"".join([*LINES[:2], LINES[3], LINES[2], *LINES[4:]]),
            [":3: record 3 does not stand in its order: lines were swapped or moved"],
        ),
        (
            b"".join([LINES[5], *LINES[:5], *LINES[6:]]),
            [":1: record 5 does not stand in its order: lines were swapped or moved"],
        ),
        (
            b"".join([*LINES[:4], LINES[2], *LINES[4:]]),
            [":5: record 2 stands here a second time: the line was inserted"],
        ),
        (
            b"".join([*LINES[:4], changed(LINES[2]), *LINES[4:]]),
            [":5: another record 2 stands in the chain: this line was inserted"],
        ),
        (
            b"".join([*LINES[:2], changed(LINES[2]), *LINES[2:]]),
            [":3: another record 2 stands in the chain: this line was inserted"],
        ),
        (
            b"".join([*LINES[:7], changed(LINES[7]), LINES[7]]),
            [":8: another record 7 stands in the chain: this line was inserted"],
        ),
        (b"".join([*LINES[:4], b"hello\n", *LINES[4:]]), [f":5: {INSERTED}"]),
        (b"".join([*LINES[:4], b"\n", *LINES[4:]]), [f":5: {INSERTED}"]),
        (b"".join([*LINES[:4], b'{"n":4,"pre\n', *LINES[4:]]), [f":5: {INSERTED}"]),
        (b"".join([b"hello\n", *LINES]), [f":1: {INSERTED}"]),
        (b"".join([*LINES, b"hello"]), [f":9: {INSERTED}"]),
        (
            WHOLE[: -len(LINES[7]) - len(LINES[6]) - 20],
            [
                f":5: records 5 to 7 are missing behind this line: {REMOVED}, or an older file was put in place",
                f"remark :6: {TORN}",
            ],
        ),
        (b"", [":None: records 0 to 7 are missing: the file was emptied, removed or replaced"]),
        (
            b"hello\n",
            [
                ":None: records 0 to 7 are missing: the file was emptied, removed or replaced",
                f":1: {INSERTED}",
            ],
        ),
    ],
)
def test_verification_finds_what_was_done(data: bytes, findings: list[str]) -> None:
    """A line that was removed, changed, swapped or inserted, and a file that was cut or replaced, are told by line."""
    verdict = verified(data, anchor=ANCHOR)
    assert told(verdict.findings) == findings
    assert not verdict.is_intact


def mutations() -> st.SearchStrategy[Callable[[list[bytes]], list[bytes]]]:
    """Return what may be done to the lines of a file."""
    places = st.integers(min_value=0, max_value=7)
    return st.one_of(
        st.builds(lambda at: lambda lines: lines[:at] + lines[at + 1 :], places),
        st.builds(lambda at: lambda lines: lines[:at], places),
        st.builds(lambda at: lambda lines: lines[at:], places),
        st.builds(lambda at: lambda lines: [*lines[:at], changed(lines[at]), *lines[at + 1 :]], places),
        st.builds(lambda at, line: lambda lines: [*lines[:at], line + b"\n", *lines[at:]], places, st.binary()),
        st.builds(lambda at, of: lambda lines: [*lines[:at], lines[of], *lines[at:]], places, places),
        st.permutations(range(8)).map(lambda order: lambda lines: [lines[at] for at in order]),
    )


@given(mutations())
def test_verification_finds_whatever_is_done_to_lines(mutate: Callable[[list[bytes]], list[bytes]]) -> None:
    """No way of removing, changing, inserting or moving lines passes for an audit to which nothing was done."""
    lines = mutate(LINES)
    assume(lines != LINES)
    assert not verified(b"".join(lines), anchor=ANCHOR).is_intact


@given(cut=st.integers(min_value=0, max_value=len(WHOLE) - 2))
def test_verification_finds_a_cut_at_any_byte(cut: int) -> None:
    """Wherever a file is cut, the store knows that records are missing; nothing but the last terminator may go."""
    assert not verified(WHOLE[:cut], anchor=ANCHOR).is_intact


@given(place=st.integers(min_value=0, max_value=len(WHOLE) - 2), bit=st.integers(min_value=0, max_value=7))
def test_verification_finds_a_changed_bit(place: int, bit: int) -> None:
    """Whichever bit of an audit is changed, it shows."""
    data = bytearray(WHOLE)
    data[place] ^= 1 << bit
    assert not verified(bytes(data), anchor=ANCHOR).is_intact


@given(cut=st.integers(min_value=1, max_value=len(LINES[3]) - 2))
def test_torn_line_is_told_as_that(cut: int) -> None:
    """A line that was torn at any byte is a remark, at the end of the file as behind it, and the chain goes on."""
    torn = b"".join(LINES[:3]) + LINES[3][:cut]
    assert told(verified(torn, anchor=newest(b"".join(LINES[:3]))).findings) == [f"remark :4: {TORN}"]
    data = chained(3, behind=torn)
    verdict = verified(data, anchor=newest(data))
    assert (told(verdict.findings), verdict.is_intact) == ([f"remark :4: {TORN}"], True)
    assert len(verdict.records) == 6


def test_torn_lines_are_told_each() -> None:
    """Torn lines at the beginning, one behind another, and one with zeros behind it, as a power cut leaves them."""
    data = chained(2, behind=LINES[0][:5])
    data = chained(1, behind=data + LINES[2][:50])
    data = chained(1, behind=data + LINES[3][:60] + b"\n" + LINES[3][:40] + b"\0" * 100)
    verdict = verified(data, anchor=newest(data))
    assert told(verdict.findings) == [f"remark :{line}: {TORN}" for line in (1, 4, 6, 7)]
    assert len(verdict.records) == 4


def test_torn_line_that_was_changed_shows() -> None:
    """What stands behind a torn line holds the hash of both it and the record before it."""
    data = chained(1, behind=b"".join(LINES[:3]) + LINES[3][:40])
    finding = ":3: record 2 has not the hash that record 3 holds of it: one of the two was changed"
    for forged in (
        data.replace(LINES[2], changed(LINES[2])),
        data.replace(LINES[3][:40] + b"\n", LINES[3][:30] + b"\n"),
    ):
        assert told(verified(forged, anchor=newest(data)).findings) == [finding, f"remark :4: {TORN}"]


def test_foreign_line_that_the_bot_wrote_behind_is_told() -> None:
    """What somebody put behind the newest record is told, though the record behind it holds its hash."""
    data = chained(1, behind=b"".join(LINES[:3]) + b"hello\n")
    assert told(verified(data, anchor=newest(data)).findings) == [f":4: {INSERTED}"]


def test_files_are_put_in_order_by_their_records() -> None:
    """Copies chain on whatever their names are and however they are listed; an empty one says nothing."""
    first = chained(3)
    second = chained(3, rotated=newest(first))
    third = chained(2, rotated=newest(second))
    for copies in ((first, second), (second, first), (b"", second, first)):
        verdict = verified(third, *copies, anchor=newest(third))
        assert (verdict.findings, len(verdict.records)) == ((), 8)


def test_copy_of_what_is_there_adds_nothing() -> None:
    """A copy that repeats records, whole or its beginning, as while a file is copied to be emptied, is no finding."""
    verdict = verified(WHOLE, WHOLE, b"".join(LINES[:3]), b"".join(LINES[:3]) + LINES[3][:9], anchor=ANCHOR)
    assert (verdict.findings, len(verdict.records)) == ((), 8)


def test_torn_line_at_the_end_of_a_copy_is_told_as_that() -> None:
    """A torn line that was rotated away before anything followed is a remark."""
    first = chained(3)
    second = chained(2, rotated=newest(first))
    verdict = verified(second, first + LINES[3][:30], anchor=newest(second))
    assert told(verdict.findings) == [f"remark .1:4: {TORN}"]


def test_files_put_together_are_one_chain() -> None:
    """The files of an audit in one, in their order, verify as they did, torn lines between them too."""
    first = chained(3)
    second = chained(2, rotated=newest(first))
    assert verified(first + second, anchor=newest(second)).findings == ()
    torn = first + LINES[3][:30] + b"\n" + second
    assert told(verified(torn, anchor=newest(second)).findings) == [f"remark :4: {TORN}"]


def test_oldest_copies_may_be_gone() -> None:
    """That rotation deleted the oldest copies is a remark that says from when on there are records."""
    second = chained(2, rotated=ANCHOR)
    verdict = verified(second, anchor=newest(second))
    assert told(verdict.findings) == [
        (
            "remark :1: the chain begins with record 8 of 2026-11-20T14:44:43+00:00: older copies are gone,"
            " as rotation has it"
        )
    ]
    assert verdict.is_intact


def test_copy_in_the_middle_may_not_be_gone() -> None:
    """A copy that was removed between two others is told with both ends of what is missing."""
    first = chained(3)
    second = chained(3, rotated=newest(first))
    third = chained(2, rotated=newest(second))
    assert told(verified(third, first, anchor=newest(third)).findings) == [
        f":1: records 3 to 5 are missing before this line, behind the end of bot.audit.jsonl.1: {REMOVED}"
    ]


def test_copy_that_was_changed_at_its_end_shows() -> None:
    """The first record of a file holds the hash of the last one of the copy before it."""
    first = chained(3)
    second = chained(2, rotated=newest(first))
    forged = first.replace(LINES[2], changed(LINES[2]))
    assert told(verified(second, forged, anchor=newest(second)).findings) == [
        ".1:3: record 2 has not the hash that record 3 holds of it: one of the two was changed"
    ]


def test_emptied_file_shows_after_it_was_written_to_again() -> None:
    """A file that was emptied or removed shows for good: the next record says that it found nothing before it."""
    after = chained(2, anchor=ANCHOR)
    assert told(verified(after, anchor=newest(after)).findings) == [
        f":1: records 0 to 7 are missing before this line: {GONE}"
    ]
    later = chained(2, rotated=newest(after))
    assert not verified(later, after, anchor=newest(later)).is_intact


def test_emptied_file_that_is_put_back_is_intact() -> None:
    """Once the copies lie where they are looked for again, nothing is missing."""
    after = chained(2, anchor=ANCHOR)
    assert verified(after, WHOLE, anchor=newest(after)).findings == ()


def test_emptied_file_between_copies_is_told_as_that() -> None:
    """Records that were gone when the next was written are told as that, beside the copies that are there."""
    after = chained(2, anchor=ANCHOR)
    assert told(verified(after, b"".join(LINES[:5]), anchor=newest(after)).findings) == [
        f":1: records 5 to 7 are missing before this line, behind the end of bot.audit.jsonl.1: {GONE}"
    ]


@pytest.mark.parametrize("cut", [0, 1, 5, 7])
def test_cut_end_shows_after_it_was_written_to_again(cut: int) -> None:
    """Records that were cut off the end leave a gap, whatever is appended afterwards."""
    after = chained(2, behind=b"".join(LINES[:cut]), anchor=ANCHOR)
    assert not verified(after, anchor=newest(after)).is_intact


def test_changed_newest_record_shows_after_it_was_written_to_again() -> None:
    """The store's hash of the newest record goes into the next one, not that of what stands there."""
    forged = b"".join([*LINES[:7], changed(LINES[7])])
    after = chained(1, behind=forged, anchor=ANCHOR)
    assert told(verified(after, anchor=newest(after)).findings) == [
        ":8: record 7 has not the hash that record 8 holds of it: one of the two was changed"
    ]


def test_record_ahead_of_the_store_is_a_remark() -> None:
    """One record that the store does not know of is what a kill leaves behind."""
    verdict = verified(WHOLE, anchor=link_of(LINES[6], 6))
    assert told(verdict.findings) == [
        "remark :8: the store does not know of this record yet: its writer was killed, or another wrote the line"
    ]


def test_records_ahead_of_the_store_are_a_finding() -> None:
    """More than one are not."""
    verdict = verified(WHOLE, anchor=link_of(LINES[4], 4))
    assert told(verdict.findings) == [
        (
            ":8: the store knows of no record behind 4: it was replaced, or others wrote the last lines; none behind"
            " would be missed"
        )
    ]


def test_record_that_the_store_knows_otherwise_shows_behind_newer_ones() -> None:
    """A rebuilt chain is ahead of the store, which knows an older record by another hash."""
    forged = chained(2, behind=b"".join([*LINES[:6], changed(LINES[6])]))
    assert told(verified(forged, anchor=link_of(LINES[6], 6)).findings)[0] == (
        ":7: record 6 has not the hash that the store holds of it: the line was changed"
    )


def test_store_may_know_a_record_that_was_removed_before_newer_ones() -> None:
    """Where the record that the store knows is missing in the middle, that is told."""
    data = b"".join([*LINES[:6], LINES[7]])
    assert told(verified(data, anchor=link_of(LINES[6], 6)).findings)[0] == (
        f":7: record 6 is missing before this line: {REMOVED}"
    )


def test_store_that_knows_nothing_is_told() -> None:
    """Without an anchor in the store it cannot be told whether the end is missing, unless one record is all."""
    assert told(verified(WHOLE).findings) == [
        (
            ":8: the store knows of no record: it was replaced, or others wrote the last lines; none behind would be"
            " missed"
        )
    ]
    assert verified(LINES[0]).is_intact


def test_store_whose_newest_record_is_in_no_file_but_newer_are() -> None:
    """An audit that begins behind what the store knows is told as ahead of it."""
    data = chained(1, rotated=link_of(LINES[7], 7))
    assert told(verified(data, anchor=link_of(LINES[7], 7)).findings)[-1].startswith("remark :1: the store does not")


@pytest.mark.parametrize(
    "place",
    [
        Place(n=0, previous=ORIGIN),
        Place(n=0, previous="a" * 64, begins=Begin.CHAIN),
        Place(n=3, previous="a" * 64, begins=Begin.CHAIN),
    ],
)
def test_first_record_that_is_none_is_told(place: Place) -> None:
    """What stands first is the first record of all, or says that it begins a file, or was changed."""
    data = line_of(record(place.n), place) + b"\n"
    assert told(verified(data, anchor=newest(data)).findings) == [
        f":1: record {place.n} is not what the first record of all is like: the line was changed"
    ]


def test_number_beyond_all_bounds_is_told() -> None:
    """A record with an absurd number is a finding like another, and takes no longer."""
    forged = json.dumps(json.loads(LINES[3]) | {"n": 10**30}).encode() + b"\n"
    data = b"".join([*LINES[:4], forged, *LINES[4:]])
    assert not verified(data, anchor=ANCHOR).is_intact
