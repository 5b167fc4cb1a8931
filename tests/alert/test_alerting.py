"""Alerts: what is told at once, what is counted, and that nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor import OperationError, PatternError
from logmonitor.alert.alerting import (
    LONGEST_SECONDS,
    MOST_KINDS,
    QUIET_SECONDS,
    Alert,
    Digest,
    First,
    Hold,
    Now,
    Pace,
    Tally,
    due_at,
    flush,
    gather,
    line_rules,
    meet,
    parts,
    shortened,
    tick,
)
from logmonitor.records import Line, LogBatch
from tests.alert_lines import MATCH, is_wanted, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmonitor.alert.stack_trace import Block

LOG = Path("bob.log")
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PACE = Pace(period=300.0, most=3)
RULES = line_rules(MATCH)


def lines_of(written: Sequence[str], *, first: int = 1) -> list[Line]:
    """Return lines as they stand in a log one behind the other."""
    return [Line(raw=text.encode(), offset=0, number=number) for number, text in enumerate(written, first)]


def gathered(batches: Sequence[Sequence[Line]]) -> list[Alert]:
    """Return the alerts of batches, behind which the log has ended."""
    block: Block | None = None
    found: list[Alert] = []
    for batch in batches:
        block, alerts = gather(block, LOG, batch, rules=RULES, now=0.0)
        found.extend(alerts)
    _left, late = flush({} if block is None else {LOG: block}, now=None)
    return [*found, *late]


def alert(kind: str, text: str = "ERR a") -> Alert:
    """Make an alert."""
    return Alert(path=LOG, kind=kind, lines=(text,), head=1, left_out=0, brief=(text,), matches=1)


def at(seconds: float) -> Now:
    """Return a moment."""
    return Now(at=START + timedelta(seconds=seconds), monotonic=seconds)


class Recipient:
    """Counts what it is told of."""

    def __init__(self, pace: Pace = PACE) -> None:
        """Have been told nothing."""
        self.tally = Tally()
        self.firsts: list[tuple[float, First]] = []
        self.digests: list[tuple[float, Digest]] = []
        self._pace = pace

    def hear(self, seconds: float, *alerts: Alert, hold: Hold | None = None) -> None:
        """Let alerts come at a time."""
        self.tally, digest = tick(self.tally, at(seconds), pace=self._pace, hold=hold)
        self.digests.extend([] if digest is None else [(seconds, digest)])
        self.tally, firsts = meet(self.tally, alerts, at(seconds), pace=self._pace)
        self.firsts.extend((seconds, first) for first in firsts)

    @property
    def count(self) -> int:
        """How many alerts it knows of."""
        return len(self.firsts) + sum(digest.count for _, digest in self.digests)


# Lines to alerts


@settings(deadline=None)
@given(texts)
def test_every_line_that_matches_is_in_one_alert(written: list[str]) -> None:
    """No line is lost, none counts twice."""
    assert sum(one.matches for one in gathered([lines_of(written)])) == sum(map(is_wanted, written))


@settings(deadline=None)
@given(texts, st.data())
def test_alerts_do_not_depend_on_batches(written: list[str], data: st.DataObject) -> None:
    """However lines are divided, the alerts are the same."""
    lines = lines_of(written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=6)))
    batches = [lines[start:end] for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    assert gathered(batches) == gathered([lines])


@settings(deadline=None)
@given(texts, st.integers(1, 10))
def test_parts_of_a_batch_give_its_alerts(written: list[str], most: int) -> None:
    """A large batch is taken in parts; a trace that lies across two of them is one alert, as what follows tells."""
    lines: list[Line] = []
    offset = 0
    for number, text in enumerate(written, 1):
        lines.append(Line(raw=text.encode(), offset=offset, number=number))
        offset += len(text.encode()) + 1
    whole = LogBatch(watch="bob", path=LOG, lines=tuple(lines), start_offset=0, end_offset=offset + 50)
    block: Block | None = None
    found: list[Alert] = []
    for part in parts(whole, most=most):
        assert len(part.lines) <= most
        block, alerts = gather(block, LOG, part.lines, rules=RULES, now=0.0, end_offset=part.end_offset)
        found.extend(alerts)
    _left, late = flush({} if block is None else {LOG: block}, now=None)
    assert [*found, *late] == gathered([lines])


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 5), st.integers(1, 40))
def test_parts_of_a_batch_are_bound_in_lines_and_bytes(sizes: list[int], most: int, most_bytes: int) -> None:
    """They are the batch, none is empty, and none has more bytes unless in a single line."""
    offsets = [sum(sizes[:index]) for index in range(len(sizes) + 1)]
    lines = tuple(Line(raw=b"a" * size, offset=offset, number=1) for size, offset in zip(sizes, offsets, strict=False))
    whole = LogBatch(watch="bob", path=LOG, lines=lines, start_offset=0, end_offset=offsets[-1])
    divided = list(parts(whole, most=most, most_bytes=most_bytes))
    assert tuple(line for part in divided for line in part.lines) == lines
    assert [part.end_offset for part in divided[:-1]] == [part.lines[0].offset for part in divided[1:]]
    assert [part.end_offset for part in divided[-1:]] == [whole.end_offset for _ in divided[-1:]]
    for part in divided:
        assert 1 <= len(part.lines) <= most
        assert len(part.lines) == 1 or sum(len(line.raw) for line in part.lines) <= most_bytes


@settings(deadline=None)
@given(texts, st.integers(1, 40))
def test_gap_in_the_lines_ends_what_stands_before(written: list[str], place: int) -> None:
    """Lines with others between them that were left out are alerts as if each part stood alone."""
    before, behind = lines_of(written[:place]), lines_of(written[place:], first=place + 100)
    assert gathered([[*before, *behind]]) == [*gathered([before]), *gathered([behind])]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30).filter(lambda raw: b"\n" not in raw), max_size=10))
def test_any_bytes_are_lines(raws: list[bytes]) -> None:
    """What is no text is no trouble."""
    lines = [Line(raw=raw, offset=0, number=number) for number, raw in enumerate(raws, 1)]
    rules = line_rules("")
    block, alerts = gather(None, LOG, lines, rules=rules, now=0.0)
    _left, late = flush({} if block is None else {LOG: block}, now=None)
    assert sum(one.matches for one in (*alerts, *late)) == len(raws)


def test_block_is_due_soon_and_is_never_held_for_long() -> None:
    """A line waits a moment for what may follow it, a trace that goes on and on half a second."""
    block, _alerts = gather(None, LOG, lines_of(["ERR a"]), rules=RULES, now=10.0)
    assert due_at(block) == 10.0 + QUIET_SECONDS
    for number in range(2, 20):
        frame = lines_of(["    at b (c.js:1:2)"], first=number)
        block, _alerts = gather(block, LOG, frame, rules=RULES, now=10.0 + number / 20)
    assert due_at(block) == 10.0 + LONGEST_SECONDS
    assert block is not None
    assert flush({LOG: block}, now=10.0) == ({LOG: block}, ())
    left, (one,) = flush({LOG: block}, now=10.5)
    assert (left, one.left_out) == ({}, 5)


def test_trace_of_which_nothing_matches_yet_is_not_due() -> None:
    """What nobody wants to hear of so far waits for the rest of it."""
    block, _alerts = gather(None, LOG, lines_of(["Traceback (most recent call last):"]), rules=RULES, now=0.0)
    assert due_at(block) is None
    assert due_at(None) is None
    assert block is not None
    assert flush({LOG: block}, now=1000.0) == ({LOG: block}, ())


def test_alerts_of_one_shape_are_of_one_kind() -> None:
    """Numbers make no difference, of a trace also where it was raised and what."""
    frames = '  File "a.py", line 1, in b', "    c()"
    kinds = [
        one.kind
        for one in gathered(
            [
                lines_of(
                    [
                        "ERR 1",
                        "ERR 2",
                        "ERR 3",
                        "Traceback (most recent call last):",
                        *frames,
                        "KeyError: 'a'",
                        "ERR 4",
                        "Traceback (most recent call last):",
                        *frames,
                        "KeyError: 'b'",
                        "ERR 5",
                        "Traceback (most recent call last):",
                        *frames,
                        "ValueError: a",
                        "ERR 6",
                        "Traceback (most recent call last):",
                        '  File "z.py", line 1, in b',
                        "KeyError: 'a'",
                    ]
                )
            ]
        )
    ]
    assert [kinds.index(kind) for kind in kinds] == [0, 0, 2, 2, 4, 5]


def test_brief_says_what_was_raised() -> None:
    """A trace without a line before it is told by what it raised."""
    opening = "Traceback (most recent call last):", '  File "a.py", line 1, in b'
    assert [one.brief for one in gathered([lines_of(["ERR a", *opening, "KeyError: 'a'"])])] == [
        ("ERR a", "KeyError: 'a'")
    ]
    assert [one.brief for one in gathered([lines_of([*opening, "ERRError: a"])])] == [("ERRError: a",)]
    assert [one.brief for one in gathered([lines_of(["ERRError: a"])])] == [("ERRError: a",)]


def test_rules_that_match_nothing_are_refused() -> None:
    """Patterns are checked when the operation is made."""
    with pytest.raises(OperationError, match="expected at least one pattern"):
        line_rules(())
    with pytest.raises(PatternError, match="lookahead"):
        line_rules("a", ("(?=b)",))
    assert line_rules(("a", "b")).patterns == ("a", "b")


@pytest.mark.parametrize(("values", "text"), [({"period": 0.0}, "bad period 0.0"), ({"most": 0}, "bad most 0")])
def test_pace_that_tells_nothing_is_refused(values: dict[str, float], text: str) -> None:
    """A pace has a period, and something is told in it."""
    with pytest.raises(OperationError, match=text):
        Pace(**{"period": 300.0, "most": 3} | values)  # type: ignore[arg-type]  # refused for its value


# Alerts to messages


def test_first_of_a_kind_is_told_at_once_and_the_others_together() -> None:
    """Those that follow are counted, and told with the first and last of them when the period is over."""
    heard = Recipient()
    heard.hear(0, alert("a"))
    for second in range(1, 38):
        heard.hear(second, alert("a", f"ERR {second}"))
    heard.hear(299)
    assert [(seconds, first.alert.kind) for seconds, first in heard.firsts] == [(0, "a")]
    assert heard.digests == []
    heard.hear(300)
    ((seconds, digest),) = heard.digests
    assert (seconds, digest.count, digest.hold, digest.began_at) == (300, 37, None, START)
    (group,) = digest.groups
    assert (group.first_at, group.last_at) == (START + timedelta(seconds=1), START + timedelta(seconds=37))
    assert group.example == ("ERR 1",)


def test_kind_that_goes_on_is_told_once_in_a_period() -> None:
    """While it goes on it is told together; once it was silent for a period it is told at once again."""
    heard = Recipient()
    for second in range(0, 1200, 10):
        heard.hear(second, alert("a"))
    for second in (1200, 1499, 1500, 2000):
        heard.hear(second)
    assert [seconds for seconds, _ in heard.firsts] == [0]
    assert [(seconds, digest.count) for seconds, digest in heard.digests] == [
        (300, 29),
        (600, 30),
        (900, 30),
        (1200, 30),
    ]
    assert heard.tally == Tally()
    heard.hear(2001, alert("a"))
    assert [seconds for seconds, _ in heard.firsts] == [0, 2001]


def test_kind_that_was_silent_for_a_period_is_told_at_once_within_another() -> None:
    """What counts is how long a kind was not seen, not when the period of others is over."""
    heard = Recipient()
    heard.hear(0, alert("a"))
    heard.hear(250, alert("b"))
    heard.hear(300, alert("a"))
    heard.hear(560, alert("b"))
    assert [(seconds, first.alert.kind) for seconds, first in heard.firsts] == [
        (0, "a"),
        (250, "b"),
        (300, "a"),
        (560, "b"),
    ]


def test_kinds_beyond_the_most_are_told_together() -> None:
    """The last that is told at once says that no more are, until the period is over."""
    heard = Recipient()
    heard.hear(10, *(alert(str(number)) for number in range(5)))
    assert [(first.is_last, first.until) for _, first in heard.firsts] == [(False, 310), (False, 310), (True, 310)]
    heard.hear(310)
    assert [digest.count for _, digest in heard.digests] == [2]
    heard.hear(311, alert("new"))
    assert [first.alert.kind for _, first in heard.firsts] == ["0", "1", "2", "new"]


def test_digest_begins_with_the_most_frequent() -> None:
    """Kinds are ordered by how often they came."""
    heard = Recipient(Pace(period=300.0, most=1))
    heard.hear(0, alert("a"), alert("b"), alert("c"), alert("c"), alert("d"), alert("d"), alert("d"))
    heard.hear(300)
    assert [group.count for group in heard.digests[0][1].groups] == [3, 2, 1]


def test_million_kinds_take_no_more_room_than_a_hundred() -> None:
    """What has no room of its own is counted with the others, and nothing is lost."""
    heard = Recipient()
    for start in range(0, 20_000, 1000):
        heard.hear(start / 1000, *(alert(str(number), f"ERR {number}") for number in range(start, start + 1000)))
    assert (len(heard.tally.groups), len(heard.tally.seen)) == (MOST_KINDS, MOST_KINDS + PACE.most)
    assert heard.tally.others is not None
    assert heard.tally.others.count == 20_000 - MOST_KINDS - PACE.most
    heard.hear(300)
    assert heard.count == 20_000
    assert heard.tally.waiting == 0


def test_hold_counts_and_its_end_tells() -> None:
    """While alerts are held back even firsts are counted, and all are told the moment they may be."""
    heard = Recipient()
    heard.hear(0, alert("a"))
    heard.hear(10, alert("a"), alert("b"), hold=Hold.MUTED)
    heard.hear(5000, alert("b"), alert("c"), hold=Hold.MUTED)
    assert (heard.count, heard.digests) == (1, [])
    heard.hear(5001)
    ((seconds, digest),) = heard.digests
    assert (seconds, digest.count, digest.hold) == (5001, 4, Hold.MUTED)
    heard.hear(5002, alert("c"), alert("a"))
    assert [first.alert.kind for _, first in heard.firsts] == ["a", "a"]
    heard.hear(5301)
    assert heard.count == 7


def test_hold_in_which_nothing_happened_ends_silently() -> None:
    """There is nothing to tell."""
    heard = Recipient()
    heard.hear(0, hold=Hold.QUIET)
    heard.hear(10, hold=Hold.QUIET)
    heard.hear(20)
    assert (heard.count, heard.tally) == (0, Tally())


def test_example_holds_no_secret() -> None:
    """What waits may be kept on disk: codes and secrets are taken out of it, and it is short."""
    heard = Recipient(Pace(period=300.0, most=1))
    heard.hear(0, alert("a"), alert("b", "ERR token=abcdefghijklmnop said 123456 " + "x" * 2000))
    (group,) = heard.tally.groups.values()
    (example,) = group.example
    assert example.startswith("ERR token=[redacted] said [redacted] xxx")
    assert (len(example), example[-1]) == (300, "…")


kinds = st.sampled_from("abcdefgh")
arrivals = st.lists(
    st.tuples(
        st.floats(0, 200), st.lists(kinds, max_size=6), st.sampled_from([None, None, None, Hold.MUTED, Hold.QUIET])
    ),
    max_size=30,
)


@settings(deadline=None)
@given(arrivals)
def test_every_alert_is_told_or_counted_once(coming: list[tuple[float, list[str], Hold | None]]) -> None:
    """Whatever comes whenever, and is held back: in the end each alert was told, at once or as one of many."""
    heard, seconds, total = Recipient(), 0.0, 0
    for pause, kinds, hold in coming:
        seconds, total = seconds + pause, total + len(kinds)
        heard.hear(seconds, *map(alert, kinds), hold=hold)
        assert heard.count + heard.tally.waiting == total
    heard.hear(seconds + 1)
    heard.hear(seconds + 400)
    assert (heard.count, heard.tally.waiting) == (total, 0)


@settings(deadline=None)
@given(arrivals)
def test_messages_are_few_in_any_period(coming: list[tuple[float, list[str], Hold | None]]) -> None:
    """In no period are more told at once than there may be in two, and no two digests but at the end of a hold."""
    heard, seconds = Recipient(), 0.0
    for pause, kinds, _hold in coming:
        seconds += pause
        heard.hear(seconds, *map(alert, kinds))
    times = [when for when, _ in heard.firsts]
    assert all(sum(start <= when < start + PACE.period for when in times) <= 2 * PACE.most for start in times)
    told = [when for when, _ in heard.digests]
    assert all(later - earlier >= PACE.period for earlier, later in pairwise(told))


@settings(deadline=None)
@given(arrivals, st.data())
def test_alerts_of_one_moment_may_come_in_any_batches(
    coming: list[tuple[float, list[str], Hold | None]], data: st.DataObject
) -> None:
    """What comes at the same time is told the same way, however it is divided."""
    together, divided, seconds = Recipient(), Recipient(), 0.0
    for pause, kinds, hold in coming:
        seconds += pause
        together.hear(seconds, *map(alert, kinds), hold=hold)
        cut = data.draw(st.integers(0, len(kinds)))
        divided.hear(seconds, *map(alert, kinds[:cut]), hold=hold)
        divided.hear(seconds, *map(alert, kinds[cut:]), hold=hold)
    assert (divided.firsts, divided.digests, divided.tally) == (together.firsts, together.digests, together.tally)


def test_nothing_that_comes_changes_nothing() -> None:
    """Without alerts and without a period's end the tally stays the very same, so that nothing is saved anew."""
    heard = Recipient()
    heard.hear(0, alert("a"))
    before = heard.tally
    heard.hear(1)
    assert heard.tally is before
    held = replace(before, hold=Hold.MUTED)
    assert tick(held, at(2), pace=PACE, hold=Hold.MUTED)[0] is held


@pytest.mark.parametrize(
    ("text", "characters", "expected"),
    [
        ("short", 5, "short"),
        ("a word too many", 12, "a word too…"),
        ("averylongwordwithoutend", 10, "averylong…"),
        ("a averylongwordwithoutend", 10, "a averylo…"),
    ],
)
def test_text_is_shortened_between_words(text: str, characters: int, expected: str) -> None:
    """A word at the end is left out, unless it is half of it all."""
    assert shortened(text, characters) == expected
