"""Fallbacks have a message in order, each in its time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logmonitor.escalating.turn import (
    FIRST_REST_SECONDS,
    LONGEST_REST_SECONDS,
    THROTTLED_SECONDS,
    Standing,
    failed,
    is_due,
    taken,
    throttled,
)

FIRST, SECOND = Standing(after=60.0), Standing(after=60.0)
RESTING = Standing(after=60.0, failures=1, rests_until=1000.0)


def due(*standings: Standing, since: float, now: float, passed: tuple[int, ...] = ()) -> list[int]:
    """Return who is to try a message now."""
    return [index for index in range(len(standings)) if is_due(index, standings, since=since, now=now, passed=passed)]


def test_fallback_waits_for_the_chat() -> None:
    """Nobody has a message before the chat had its time, and then the first has it."""
    assert due(FIRST, SECOND, since=100, now=159.9) == []
    assert due(FIRST, SECOND, since=100, now=160) == [0]


def test_second_fallback_follows_at_once_on_a_first_that_rests() -> None:
    """A fallback that has failed holds nobody up, nor does one that does not take this message."""
    assert due(RESTING, SECOND, since=100, now=160) == [1]
    assert due(FIRST, SECOND, since=100, now=160, passed=(0,)) == [1]
    assert due(RESTING, RESTING, since=100, now=160) == []
    assert due(FIRST, SECOND, since=100, now=160, passed=(0, 1)) == []


def test_later_fallback_is_never_before_an_earlier_one() -> None:
    """A shorter time gives nobody a place further ahead, and a longer one is kept."""
    slow, quick, slower = Standing(after=120), Standing(after=5), Standing(after=300)
    assert due(slow, quick, since=0, now=119) == []
    assert due(slow, quick, since=0, now=120) == [0]
    assert due(RESTING, slower, since=0, now=299) == []
    assert due(RESTING, slower, since=0, now=300) == [1]


def test_fallback_that_does_not_get_round_to_a_message_has_it_no_longer_to_itself() -> None:
    """What has waited for long for its turn is the next one's too, a minute at least after it was the first one's."""
    slow, next_, last = Standing(after=60), Standing(after=5), Standing(after=90)
    three = (slow, next_, last)
    waits = {
        waited: [is_due(index, three, since=0, now=500, waited=waited) for index in range(3)]
        for waited in (59.0, 60.0, 149.0, 150.0)
    }
    assert waits == {
        59.0: [True, False, False],
        60.0: [True, True, False],
        149.0: [True, True, False],
        150.0: [True, True, True],
    }
    assert not is_due(2, three, since=0, now=89, waited=1000.0)


@given(
    standings=st.lists(
        st.builds(Standing, after=st.floats(1, 1000), rests_until=st.floats(-10, 2000)), min_size=1, max_size=5
    ),
    age=st.floats(0, 5000),
    passed=st.sets(st.integers(0, 4)),
)
def test_one_fallback_at_most_is_due(standings: list[Standing], age: float, passed: set[int]) -> None:
    """There is one turn at a time, and once all have had their time somebody's unless all rest or pass."""
    found = due(*standings, since=0.0, now=age, passed=tuple(passed))
    assert len(found) <= 1
    able = [index for index, one in enumerate(standings) if one.rests_until <= age and index not in passed]
    if age >= max(one.after for one in standings):
        assert found == able[:1]


@given(failures=st.integers(0, 1000))
def test_rest_grows_and_ends(failures: int) -> None:
    """Who fails rests for longer each time, but never for very long."""
    rest = failed(Standing(after=1, failures=failures), 0.0).rests_until
    assert FIRST_REST_SECONDS <= rest <= LONGEST_REST_SECONDS
    assert rest <= failed(Standing(after=1, failures=failures + 1), 0.0).rests_until


def test_taking_ends_a_rest_and_a_limit_is_kept() -> None:
    """What works again has all its chances; who takes no more is asked again when it said, or in a minute."""
    assert taken(RESTING) == Standing(after=60.0)
    assert throttled(FIRST, 10.0, 35.0) == Standing(after=60.0, rests_until=45.0)
    assert throttled(FIRST, 10.0, None) == Standing(after=60.0, rests_until=10.0 + THROTTLED_SECONDS)
