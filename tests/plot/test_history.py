"""What is kept of a day, and what it is read as."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logmonitor import SessionState
from logmonitor.plot.history import (
    Band,
    BotSample,
    Sample,
    alert_counts,
    bands,
    grown_bytes,
    growth,
    hour_of,
    hours_before,
    memory_lines,
    read_samples,
    sample_text,
    share_logged_in,
    within,
)
from logmonitor.testing import START

IN, OUT, UNKNOWN = SessionState.LOGGED_IN, SessionState.LOGGED_OUT, SessionState.UNKNOWN
LOG, OTHER = Path("/bob.log"), Path("/bob.log.1")

sizes = st.none() | st.integers(min_value=0, max_value=1 << 40)
samples = st.builds(
    Sample,
    at=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - as the strategy wants it
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    ),
    bots=st.dictionaries(
        st.text(max_size=5),
        st.builds(BotSample, state=st.sampled_from(SessionState), memory_bytes=sizes, grown_bytes=st.integers(0, 9)),
        max_size=3,
    ),
    alerts=st.integers(min_value=0, max_value=9),
    memory_bytes=sizes,
)


def after(minutes: float) -> datetime:
    """Return the time so many minutes after noon."""
    return START + timedelta(minutes=minutes)


def sample(minutes: float, state: SessionState = IN, *, memory_bytes: int | None = None, alerts: int = 0) -> Sample:
    """Return how bob was then."""
    return Sample(at=after(minutes), bots={"bob": BotSample(state=state, memory_bytes=memory_bytes)}, alerts=alerts)


def band(start: float, end: float, state: SessionState) -> Band:
    """Return a band between two times."""
    return Band(start=after(start), end=after(end), state=state)


@given(st.lists(samples, max_size=5))
def test_samples_are_read_as_they_were_written(kept: list[Sample]) -> None:
    """Whatever bots are called and whatever is not known of them, it is read again."""
    text = "".join(f"{sample_text(one)}\n" for one in kept)
    assert text.count("\n") == len(kept)
    assert read_samples(text) == tuple(kept)


@given(st.lists(samples, max_size=3), st.text(max_size=200))
def test_samples_are_read_whatever_stands_between_them(kept: list[Sample], noise: str) -> None:
    """Lines that are no samples are passed over."""
    noise = "".join(noise.split("[")).replace("\n", " ")
    text = "\n".join([noise, *map(sample_text, kept), noise])
    assert read_samples(text) == tuple(kept)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "[1,2,3]",
        "7",
        "null",
        '["x",0,null,{}]',
        "[NaN,0,null,{}]",
        "[1e300,0,null,{}]",
        "[1,0,null,[]]",
        '[1,0,null,{"bob":["gone",null,0]}]',
        '[1,0,null,{"bob":["logged_in",null]}]',
        '[1,0,"x",{}]',
    ],
)
def test_line_that_is_no_sample_is_passed_over(line: str) -> None:
    """No such line is an error, and none is taken for a sample."""
    assert read_samples(line) == ()


def test_hours_before_name_every_hour_that_is_touched() -> None:
    """An hour and a half reaches into three hours, at a full hour into the two before and itself."""
    at = datetime(2026, 11, 20, 1, 15, tzinfo=UTC)
    assert hours_before(at, 5400) == ("2026-11-19T23", "2026-11-20T00", "2026-11-20T01")
    assert hours_before(at.replace(minute=0), 3600) == ("2026-11-20T00", "2026-11-20T01")
    assert len(hours_before(at, 86400)) == 25


@given(st.integers(min_value=0, max_value=86400), st.integers(min_value=0, max_value=86400))
def test_hour_of_a_sample_is_among_the_hours_before(seconds: int, ago: int) -> None:
    """What was kept within that time is found by the names."""
    now = START + timedelta(seconds=seconds)
    assert (hour_of(now - timedelta(seconds=ago)) in hours_before(now, 86400)) is True


def test_samples_within_a_time_are_in_order() -> None:
    """Both ends belong to it; what was kept while a clock was wrong comes at its own time."""
    kept = [sample(3), sample(1), sample(0), sample(4), sample(2)]
    assert within(kept, after(1), after(3)) == (sample(1), sample(2), sample(3))


@pytest.mark.parametrize(
    ("seen", "end", "expected"),
    [
        ([], 3, []),
        ([sample(0), sample(1), sample(2)], 3, [band(0, 3, IN)]),
        ([sample(0), sample(1, OUT), sample(1.5, IN)], 3, [band(0, 1, IN), band(1, 1.5, OUT), band(1.5, 3, IN)]),
        ([sample(0), sample(1.7, OUT)], 3, [band(0, 1.7, IN), band(1.7, 3, OUT)]),
        ([sample(0), sample(5), sample(6)], 6.5, [band(0, 1, IN), band(5, 6.5, IN)]),
        ([sample(0, OUT), sample(0, IN), sample(1)], 1, [band(0, 1, IN)]),
    ],
    ids=["nothing", "one", "change", "late", "gap", "at once"],
)
def test_bands_follow_the_states(seen: list[Sample], end: float, expected: list[Band]) -> None:
    """A state holds until the next sample, or for a minute where that is missing, the last one until the end."""
    assert list(bands(seen, "bob", end=after(end))) == expected


def test_band_ends_a_minute_behind_a_last_sample_that_is_old() -> None:
    """What has not been seen for long is not taken to be as it was."""
    assert bands([sample(0)], "bob", end=after(30)) == (band(0, 1, IN),)


def test_bands_are_those_of_the_bot() -> None:
    """A sample of another bot says nothing of this one."""
    assert bands([sample(0)], "alice", end=after(1)) == ()


@given(st.lists(st.tuples(st.floats(0, 1440), st.sampled_from(SessionState)), max_size=30))
@example([(910, IN), (911, UNKNOWN), (911, IN)])
def test_bands_never_overlap(seen: list[tuple[float, SessionState]]) -> None:
    """Bands are in order, have a length, end where the next begins at the latest, and touch only another state's."""
    found = bands(within([sample(*one) for one in seen], START, after(1440)), "bob", end=after(1440))
    assert all(one.start < one.end <= after(1441) for one in found)
    for one, other in pairwise(found):
        assert one.end <= other.start
        assert one.end < other.start or one.state is not other.state


def test_share_is_of_the_time_that_was_seen() -> None:
    """A gap counts for neither side, and nothing seen is nothing logged in."""
    assert share_logged_in([band(0, 3, IN), band(3, 4, OUT), band(50, 54, UNKNOWN)]) == 3 / 8
    assert share_logged_in([band(0, 3, IN), band(50, 54, IN)]) == 1
    assert share_logged_in([]) == 0


def test_memory_is_a_line_that_breaks_where_nothing_was_seen() -> None:
    """A change of the session between two samples breaks nothing, a sample without the process does."""
    seen = [
        sample(0, memory_bytes=10),
        sample(0.5, OUT),
        sample(1, memory_bytes=11),
        sample(2),
        sample(3, memory_bytes=12),
        Sample(at=after(4), bots={}),
    ]
    assert memory_lines(seen, "bob") == (((after(0), 10), (after(1), 11)), ((after(3), 12),))
    assert memory_lines(seen, "alice") == ()


def test_memory_without_a_bot_is_that_of_the_machine() -> None:
    """What of the machine's memory was in use is a line, too."""
    seen = [Sample(at=after(0), memory_bytes=5), Sample(at=after(1)), Sample(at=after(1.5), memory_bytes=6)]
    assert memory_lines(seen, None) == (((after(0), 5), (after(1.5), 6)),)


def test_alerts_are_counted_by_their_time() -> None:
    """What lies before or behind is left out."""
    seen = [sample(minutes, alerts=1) for minutes in (-1, 0, 4, 5, 9.9, 10)]
    assert alert_counts(seen, start=START, step=300, count=2) == (2, 2)


def test_growth_of_a_bot_is_the_sum_of_its_samples() -> None:
    """Samples of other bots add nothing."""
    one = Sample(at=START, bots={"bob": BotSample(state=IN, grown_bytes=5)})
    assert grown_bytes([one, one, Sample(at=START)], "bob") == 10


@pytest.mark.parametrize(
    ("before", "now", "grown"),
    [
        ({}, {}, 0),
        ({LOG: 100}, {LOG: 100}, 0),
        ({LOG: 100}, {LOG: 150}, 50),
        ({LOG: 100}, {LOG: 30}, 30),
        ({LOG: 100}, {LOG: 30, OTHER: 120}, 50),
        ({LOG: 100}, {LOG: 100, OTHER: 20}, 20),
        ({LOG: 100, OTHER: 70}, {LOG: 10, OTHER: 105}, 45),
        ({LOG: 100}, {}, 0),
    ],
    ids=["none", "still", "grown", "rotated away", "rotated within", "another", "renamed over", "gone"],
)
def test_growth_is_what_was_written_since(before: dict[Path, int], now: dict[Path, int], grown: int) -> None:
    """A rotation is told from growth, whether the old file is still among the logs or not."""
    assert growth(before, now) == grown


@given(
    st.dictionaries(st.sampled_from([LOG, OTHER]), st.integers(0, 100)),
    st.dictionaries(st.sampled_from([LOG, OTHER]), st.integers(0, 100)),
)
def test_growth_is_never_negative_nor_more_than_there_is(before: dict[Path, int], now: dict[Path, int]) -> None:
    """Whatever becomes of the files, nobody can have written less than nothing or more than stands there."""
    assert 0 <= growth(before, now) <= sum(now.values())
