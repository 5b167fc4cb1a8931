"""Counted alerts as text, kept while the program does not run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.alert.alerting import MOST_KINDS, Alert, Group, Hold, Now, Pace, Tally, meet, tick
from logmonitor.alert.kept_alerts import keep, restore

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PACE = Pace(period=300.0, most=1)


def at(seconds: float, *, monotonic: float | None = None) -> Now:
    """Return a moment; the clock that never steps is another one after a restart."""
    return Now(at=START + timedelta(seconds=seconds), monotonic=seconds if monotonic is None else monotonic)


def alert(kind: str) -> Alert:
    """Make an alert."""
    text = f"ERR {kind} 好\ud800"
    return Alert(path=Path("bob.log"), kind=kind, lines=(text,), head=1, left_out=0, brief=(text, text), matches=1)


def tally_of(*kinds: str) -> Tally:
    """Return what is counted of alerts that came at once."""
    return meet(Tally(), tuple(map(alert, kinds)), at(0), pace=PACE)[0]


def kept(tally: Tally, now: Now) -> str:
    """Return what is kept, as the store gives it back."""
    text = keep(tally, now)
    assert text is not None
    return text.encode().decode()


def test_nothing_is_kept_of_nothing() -> None:
    """A bot without alerts takes no room."""
    assert keep(Tally(), at(0)) is None


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=20), st.floats(0, 299))
def test_what_was_kept_comes_back(kinds: list[str], seconds: float) -> None:
    """Counts, examples and times are the same after a restart, by whatever the new clock shows."""
    tally = tally_of(*kinds)
    back = restore(kept(tally, at(seconds)), at(seconds, monotonic=seconds))
    assert back.groups == tally.groups
    assert (back.began_at, back.told, back.others) == (tally.began_at, tally.told, tally.others)
    assert back.ends_at == pytest.approx(tally.ends_at, abs=1e-5)
    assert back.seen == pytest.approx(tally.seen, abs=1e-5)
    later = restore(kept(tally, at(seconds)), at(seconds, monotonic=7.0))
    assert later.ends_at == pytest.approx(307 - seconds, abs=1e-5)


def test_others_come_back() -> None:
    """Those for whose kinds there was no room are kept, too."""
    tally = tally_of("first", *(f"kind {number}" for number in range(MOST_KINDS + 5)))
    assert restore(kept(tally, at(0)), at(0)) == tally


def test_period_that_ended_meanwhile_is_told_at_once() -> None:
    """Who was away longer than a period tells as soon as it is back; firsts stay known."""
    tally = restore(kept(tally_of("a", "a", "b"), at(10)), at(4000, monotonic=5.0))
    _tally, digest = tick(tally, at(4000, monotonic=5.0), pace=PACE, hold=None)
    assert digest is not None
    assert digest.count == 2


def test_clock_that_was_set_back_delays_nothing() -> None:
    """A period is never longer than it was, however far the calendar went back."""
    tally = restore(kept(tally_of("a", "a"), at(10)), at(-86400, monotonic=5.0))
    assert tally.ends_at == 305.0
    assert tally.seen["a".ljust(1)] <= 5.0


def test_hold_is_not_kept() -> None:
    """Whether anything is held back is found out anew."""
    tally = replace(tally_of("a", "b"), hold=Hold.MUTED)
    assert restore(kept(tally, at(0)), at(0)).hold is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"began_at": 5},
        {"ends_at": "tomorrow"},
        {"groups": []},
        {"groups": {"a": 5}},
        {"groups": {"a": [1, 2]}},
        {"groups": {"a": ["x", str(START), str(START), []]}},
        {"others": "all"},
        {"seen": {"a": None}},
        {"told": None},
    ],
)
def test_what_was_not_kept_is_refused(change: dict[str, object]) -> None:
    """A record of another version or another make is no record, and never fails otherwise."""
    record = json.loads(kept(tally_of("a", "b"), at(0))) | change
    with pytest.raises(ValueError, match=r"."):
        restore(json.dumps(record), at(0))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"version":1}', "\x00"])
def test_text_that_is_no_record_is_refused(text: str) -> None:
    """Garbage is told by its error."""
    with pytest.raises(ValueError, match=r"."):
        restore(text, at(0))


def test_group_is_kept_in_a_few_bytes() -> None:
    """A hundred kinds with the longest examples fit into the store many times over."""
    group = Group(count=10**9, first_at=START, last_at=START, example=("x" * 300, "y" * 300))
    tally = replace(tally_of("a"), groups={f"{number:024}": group for number in range(MOST_KINDS)}, others=group)
    assert len(kept(tally, at(0))) < 100_000
