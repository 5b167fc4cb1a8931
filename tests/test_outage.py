"""What is told of something that fails and works again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logmonitor.outage import FAILING_SECONDS, WORKING_SECONDS, Outage, Turn, look

HOUR = 3600.0


def told(*failing: bool, step: float = 1.0, outage: Outage | None = None) -> list[tuple[float, Turn]]:
    """Look once each `step` seconds; return what was told, and when."""
    state, turns = outage or Outage(), list[tuple[float, Turn]]()
    for index, is_failing in enumerate(failing):
        state, turn = look(state, index * step, is_failing=is_failing)
        if turn is not None:
            turns.append((index * step, turn))
    return turns


def test_outage_is_told_once_and_its_end_once() -> None:
    """What fails is told after three seconds, and that it works after ten."""
    assert told(*[False] * 5, *[True] * 50, *[False] * 50) == [(8.0, Turn.FAILS), (65.0, Turn.WORKS)]


def test_outage_of_a_moment_is_not_told() -> None:
    """What fails or works for less than its time is passed over."""
    assert told(*[True, True, False] * 20) == []
    assert told(*[True] * 10, *([False] * 9 + [True]) * 20) == [(FAILING_SECONDS, Turn.FAILS)]


def test_outage_that_was_told_of_before_is_not_told_again() -> None:
    """What fails from the start, and was told of, is told only when it works."""
    assert told(*[True] * 20, outage=Outage(is_told=True)) == []
    assert told(*[False] * 20, outage=Outage(is_told=True)) == [(WORKING_SECONDS, Turn.WORKS)]


def test_outage_that_comes_and_goes_is_told_three_times_an_hour() -> None:
    """What fails again and again floods nobody; what still fails when an hour is over is told then."""
    turns = told(*([True] * 20 + [False] * 20) * 60, *[True] * 2500)
    assert [turn for _, turn in turns] == [Turn.FAILS, Turn.WORKS] * 3 + [Turn.FAILS]
    assert turns[-1][0] >= turns[0][0] + HOUR


@given(st.lists(st.booleans(), max_size=200))
def test_outage_and_its_end_are_told_by_turns(failing: list[bool]) -> None:
    """Whatever happens, no end is told without an outage, and no outage twice."""
    turns = [turn for _, turn in told(*failing, step=4.0)]
    assert turns == [Turn.FAILS, Turn.WORKS] * (len(turns) // 2) + [Turn.FAILS] * (len(turns) % 2)
