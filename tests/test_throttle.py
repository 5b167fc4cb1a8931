"""What is let through, and what waits for the end of a period."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import OperationError
from logmonitor.throttle import Newest, Throttle, admit, clear, offer, sent_now, tick, wake_at

_STEPS = st.lists(st.floats(min_value=0, max_value=90), max_size=40)


def test_throttle_admits_up_to_its_limit_within_a_period() -> None:
    """Of four within a period of three, the last is refused; once the first is a period old the next is let through."""
    throttle = Throttle(limit=3, period=60.0)
    answers = []
    for now in (0.0, 10.0, 20.0, 59.9, 60.0, 61.0):
        throttle, admitted = admit(throttle, now)
        answers.append(admitted)
    assert answers == [True, True, True, False, True, False]


@given(steps=_STEPS, limit=st.integers(min_value=1, max_value=4))
def test_throttle_never_admits_more_than_its_limit_in_any_period(steps: list[float], limit: int) -> None:
    """However requests come, the one `limit` places after another is a period later at least."""
    throttle = Throttle(limit=limit, period=60.0)
    now = 0.0
    admitted_at = []
    for step in steps:
        now += step
        throttle, admitted = admit(throttle, now)
        if admitted:
            admitted_at.append(now)
    assert all(later >= earlier + 60.0 for earlier, later in zip(admitted_at, admitted_at[limit:], strict=False))


@pytest.mark.parametrize(("limit", "period"), [(0, 60.0), (1, 0.0), (1, -1.0), (1, math.nan)])
def test_throttle_refuses_a_rule_that_makes_no_sense(limit: int, period: float) -> None:
    """A limit below 1 and a period not above 0 are refused when the record is built."""
    with pytest.raises(OperationError, match="expected"):
        Throttle(limit=limit, period=period)


def test_newest_sends_the_first_item_at_once() -> None:
    """What comes first goes, and nothing is left to wake for."""
    newest, sent = offer(Newest[str](period=60.0), "a", 5.0)
    assert sent == "a"
    assert wake_at(newest) is None


def test_newest_holds_back_all_but_the_newest_until_the_period_is_over() -> None:
    """Of two that come too early the second goes, at the end of the period."""
    newest, _ = offer(Newest[str](period=60.0), "a", 0.0)
    newest, second = offer(newest, "b", 10.0)
    newest, third = offer(newest, "c", 20.0)
    assert (second, third, wake_at(newest)) == (None, None, 60.0)
    newest, early = tick(newest, 59.9)
    newest, due = tick(newest, 60.0)
    newest, again = tick(newest, 120.0)
    assert (early, due, again, wake_at(newest)) == (None, "c", None, None)


def test_newest_asked_for_drops_what_waits_and_begins_a_period() -> None:
    """After an item went out of turn nothing waits, and the next one is held back from there."""
    newest, _ = offer(Newest[str](period=60.0), "a", 0.0)
    newest, _ = offer(newest, "b", 10.0)
    newest = sent_now(newest, 30.0)
    assert wake_at(newest) is None
    newest, sent = offer(newest, "c", 70.0)
    assert (sent, wake_at(newest)) == (None, 90.0)


def test_newest_cleared_sends_the_next_item_at_once() -> None:
    """Nothing of what was before holds after a clear."""
    newest, _ = offer(Newest[str](period=60.0), "a", 0.0)
    newest, _ = offer(newest, "b", 1.0)
    newest = clear(newest)
    assert wake_at(newest) is None
    assert offer(newest, "c", 2.0)[1] == "c"


def test_newest_refuses_a_period_of_nothing() -> None:
    """A period not above 0 is refused when the record is built."""
    with pytest.raises(OperationError, match=r"bad period 0\.0; expected seconds above 0"):
        Newest[str](period=0.0)


@given(steps=_STEPS)
def test_newest_keeps_its_distance_and_loses_nothing_but_the_superseded(steps: list[float]) -> None:
    """Two sent are a period apart at least, in order, and the last item offered is sent or waits."""
    newest = Newest[int](period=60.0)
    now = 0.0
    sent: list[tuple[float, int]] = []
    for item, step in enumerate(steps):
        now += step
        due_at = wake_at(newest)
        if due_at is not None and due_at <= now:
            newest, due = tick(newest, due_at)
            assert due is not None
            sent.append((due_at, due))
        newest, passed = offer(newest, item, now)
        if passed is not None:
            sent.append((now, passed))
    assert all(later >= earlier + 60.0 and newer > older for (earlier, older), (later, newer) in pairwise(sent))
    if steps:
        assert len(steps) - 1 in (sent[-1][1], newest.waiting)
