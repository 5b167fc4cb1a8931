"""What speaks for and against a bot's life, decided without a clock, a machine or a chat."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor import OperationError
from logmonitor.pulse import (
    ENOUGH,
    GONE_SECONDS,
    Ask,
    Moment,
    Pulse,
    Say,
    Sight,
    Sign,
    Terms,
    Withdraw,
    has_grown,
    hear,
    look,
    status_text,
    wake_at,
)
from logmonitor.testing import START

if TYPE_CHECKING:
    from random import Random

    from logmonitor.pulse import Outcome, Step

TERMS = Terms(silence=900.0, ping="bob", ping_every=1800.0, ping_timeout=120.0)
LOG_ALONE = Terms()
WELL = Sight(sizes=(10,), quiet_for=0.0, has_process=True, is_running=True)
GONE = replace(WELL, is_running=False)


HEAD = "bob: unknown. Its log tells of no logout, but it shows no life:\n"


def moment(seconds: float) -> Moment:
    """Return the moment so many seconds after the start."""
    return Moment(bot="bob", now=START + timedelta(seconds=seconds), monotonic=seconds, translate=str)


def seen(*sights: tuple[float, Sight], pulse: Pulse | None = None, terms: Terms = LOG_ALONE) -> Outcome:
    """Look at these moments; return the last pulse, and all that is to be done."""
    steps: list[Step] = []
    pulse = pulse or Pulse()
    for seconds, sight in sights:
        pulse, more = look(pulse, sight, moment(seconds), terms)
        steps += more
    return pulse, tuple(steps)


def texts(steps: tuple[Step, ...]) -> list[str]:
    """Return what the admins are told."""
    return [step.text for step in steps if isinstance(step, Say)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (), False),
        ((10,), (10,), False),
        ((10,), (11,), True),
        ((), (5,), True),
        ((), (0,), False),
        ((10,), (0,), False),
        ((10,), (0, 10), False),
        ((10, 7), (0, 10, 7), False),
        ((10, 7), (10,), False),
        ((10, 7), (), False),
        ((10,), (10, 10), True),
        ((10,), (3,), True),
        ((10,), (3, 10), True),
        ((10, 10), (10,), False),
    ],
)
def test_growth_is_a_size_that_no_log_had(before: tuple[int, ...], after: tuple[int, ...], expected: object) -> None:
    """What is written makes a new size; renaming, copying, emptying and deleting make none."""
    assert has_grown(before, after) is expected


@given(sizes=st.lists(st.integers(0, 5)), rotated=st.randoms())
def test_rotation_is_no_growth(sizes: list[int], rotated: Random) -> None:
    """However logs are renamed among each other, emptied and deleted, nothing was written."""
    after = [size * rotated.choice((0, 1)) for size in rotated.sample(sizes, rotated.randint(0, len(sizes)))]
    assert not has_grown(sizes, after)


@given(sizes=st.lists(st.integers(0, 1000), min_size=1), written=st.integers(1, 1000))
def test_writing_to_the_largest_log_is_growth(sizes: list[int], written: int) -> None:
    """Whatever is written behind the largest of the logs is seen."""
    after = sorted(sizes)
    after[-1] += written
    assert has_grown(sizes, after)


def test_silence_alone_tells_nobody() -> None:
    """A log that has not grown for long is one sign, and stays one."""
    pulse, steps = seen((0, WELL), (899, WELL), (900, WELL), (90_000, WELL))
    assert (pulse.signs, steps) == (frozenset({Sign.SILENT}), ())


def test_two_signs_are_told_once_and_the_return_once() -> None:
    """A silent log and a missing process are one sentence; the process's return is another."""
    pulse, steps = seen((0, WELL), (900, GONE), (900 + GONE_SECONDS, GONE), (2000, GONE), (5000, GONE))
    assert texts(steps) == [f"{HEAD}- its log has not grown for 16 min\n- its process is gone"]
    pulse, steps = seen((5030, WELL), (5060, WELL), pulse=pulse)
    assert texts(steps) == ["bob shows life again, after 1 h"]
    assert pulse.told_at is None


def test_process_that_is_restarted_is_not_gone() -> None:
    """A process that is back within a minute was never gone, however silent its log."""
    _, steps = seen((0, WELL), (900, GONE), (959, GONE), (960, WELL), (990, GONE), (1020, GONE))
    assert steps == ()


def test_process_that_cannot_be_looked_for_is_no_sign_and_refutes_none() -> None:
    """What cannot be told changes nothing, in neither direction."""
    unclear = replace(WELL, is_running=None)
    pulse, steps = seen((0, GONE), (30, unclear), (900, unclear), (2000, unclear))
    assert (pulse.signs, steps) == (frozenset({Sign.SILENT}), ())
    pulse, steps = seen((2030, GONE), (2060, unclear), (3000, unclear), pulse=pulse)
    assert pulse.signs == {Sign.SILENT, Sign.GONE}
    assert len(texts(steps)) == 1


def test_logs_that_cannot_be_looked_at_are_no_sign() -> None:
    """A bot whose logs could never be looked at is not silent; one whose logs cannot any more is."""
    hidden = replace(WELL, sizes=None, quiet_for=None)
    assert seen((0, hidden), (5000, hidden))[0].signs == set()
    assert seen((0, WELL), (30, hidden), (900, hidden))[0].signs == {Sign.SILENT}


def test_silence_from_before_the_start_counts() -> None:
    """At the first look a log is as old as the machine says, unless it is from the future; without one it is new."""
    old = replace(WELL, quiet_for=800.0)
    assert seen((0, old), (99, WELL))[0].signs == set()
    assert seen((0, old), (100, WELL))[0].signs == {Sign.SILENT}
    future = replace(WELL, quiet_for=-5000.0)
    assert seen((0, future), (900, WELL))[0].signs == {Sign.SILENT}
    none = replace(WELL, sizes=(), quiet_for=None)
    assert seen((0, none), (899, none))[0].signs == set()
    assert seen((0, none), (900, none))[0].signs == {Sign.SILENT}


def test_unanswered_ping_is_a_sign() -> None:
    """A ping that is not answered in time counts, and is repeated; any word of the bot refutes it."""
    pulse, steps = seen((0, WELL), (119, WELL), terms=TERMS)
    assert (steps, pulse.signs) == ((Ask(),), frozenset())
    pulse, steps = seen((120, WELL), (1799, WELL), (1800, WELL), pulse=pulse, terms=TERMS)
    assert steps[-1] == Ask()
    assert texts(steps) == [f"{HEAD}- its log has not grown for 29 min\n- it does not answer in the chat"]
    pulse, steps = hear(pulse, moment(1810), TERMS, said_at=moment(1805).now)
    assert (texts(steps), pulse.signs) == (["bob shows life again, after 11 s"], frozenset({Sign.SILENT}))


def test_word_that_was_long_on_its_way_is_no_life() -> None:
    """What the bot said an hour ago, and arrives now, says nothing of now."""
    pulse, _ = seen((0, WELL), (120, WELL), terms=TERMS)
    for age in (121, -121):
        assert hear(pulse, moment(5000), TERMS, said_at=moment(5000 - age).now) == (pulse, ())


def test_another_sign_has_the_bot_asked_at_once() -> None:
    """When a log falls silent nobody waits for the next ping, but an answer that is still waited for is."""
    pulse, _ = seen((0, WELL), terms=TERMS)
    pulse, _ = hear(pulse, moment(1), TERMS, said_at=START)
    assert seen((899, WELL), (900, WELL), (930, WELL), pulse=pulse, terms=TERMS)[1] == (Ask(),)
    pulse, steps = seen((1700, WELL), pulse=replace(pulse, pinged_at=1690.0, asked_at=1690.0), terms=TERMS)
    assert (pulse.signs, steps) == (frozenset({Sign.SILENT}), ())


def test_ping_that_could_not_leave_is_no_sign() -> None:
    """While the chat takes nothing the bot cannot answer: it is asked anew until the chat takes messages again."""
    deaf = replace(WELL, can_ask=False)
    pulse, steps = seen((0, deaf), (120, deaf), (300, deaf), (330, WELL), (419, WELL), terms=TERMS)
    assert (pulse.signs, steps) == (frozenset(), (Ask(), Ask(), Ask()))
    assert seen((420, WELL), pulse=pulse, terms=TERMS)[0].signs == {Sign.UNANSWERED}


def test_nothing_is_told_of_a_bot_that_is_logged_out() -> None:
    """A logout is told by others; the bot is not asked, and what was not answered meanwhile is forgotten."""
    lost = replace(GONE, is_lost=True)
    pulse, steps = seen((0, lost), (5000, lost), terms=TERMS)
    assert set(steps) == {Withdraw()}
    pulse, steps = seen((5030, WELL), pulse=pulse, terms=TERMS)
    assert (texts(steps), pulse.signs, steps) == ([], frozenset({Sign.SILENT}), (Ask(),))
    pulse, _ = seen((0, WELL), (120, WELL), terms=TERMS)
    assert pulse.signs == {Sign.UNANSWERED}
    assert seen((150, lost), pulse=pulse, terms=TERMS)[0].signs == set()


def test_bot_that_was_told_of_and_then_logs_out_is_not_said_to_live() -> None:
    """Its return is told by whoever tells of the logout."""
    pulse, _ = seen((0, GONE), (900, GONE))
    assert pulse.told_at is not None
    pulse, steps = seen((930, replace(GONE, is_lost=True)), (960, WELL), pulse=pulse)
    assert (pulse.told_at, texts(steps)) == (None, [])


@pytest.mark.parametrize("signs", [{Sign.SILENT, Sign.GONE}, {Sign.SILENT, Sign.UNANSWERED}, {*Sign}])
def test_restart_of_the_program_is_no_life(signs: set[Sign]) -> None:
    """What was told before a restart holds until something speaks against it; nothing is told twice."""
    pulse = Pulse(told_at=START, signs=frozenset(signs))
    silent = replace(WELL, is_running=None, quiet_for=2000.0)
    gone = replace(silent, is_running=False, sizes=(), quiet_for=None)
    assert texts(seen((0, silent), (30, silent), pulse=pulse, terms=TERMS)[1]) == []
    if Sign.GONE in signs:
        assert texts(seen((0, gone), (30, gone), pulse=pulse, terms=TERMS)[1]) == []
    grown = replace(WELL, quiet_for=3.0)
    pulse, steps = seen((0, grown), pulse=pulse, terms=TERMS)
    assert texts(steps) == ["bob shows life again, after 0 s"]


def test_sign_of_what_is_no_longer_looked_at_is_dropped() -> None:
    """A restart with another configuration knows of no process and no ping any more."""
    pulse = Pulse(told_at=START, signs=frozenset(Sign))
    pulse, steps = seen((0, Sight(sizes=(1,), quiet_for=5000.0)), pulse=pulse)
    assert pulse.signs == {Sign.SILENT}
    assert texts(steps) == ["bob shows life again, after 0 s"]


sights = st.builds(
    Sight,
    sizes=st.one_of(st.none(), st.tuples(st.integers(0, 2))),
    quiet_for=st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 5000.0])),
    has_process=st.booleans(),
    is_running=st.sampled_from([None, False, True]),
    can_ask=st.booleans(),
    is_lost=st.booleans(),
)
happenings = st.lists(st.tuples(st.sampled_from([1.0, 30.0, 120.0, 900.0]), st.one_of(st.none(), sights)))


@given(happenings=happenings)
def test_alarm_needs_two_signs_and_alternates_with_relief(happenings: list[tuple[float, Sight | None]]) -> None:
    """Whatever is seen and heard: told is what two signs say of a bot that is not lost, and each return behind it."""
    pulse, at = Pulse(), 0.0
    for seconds, sight in happenings:
        before, at = pulse, at + seconds
        if sight is None:
            pulse, steps = hear(pulse, moment(at), TERMS, said_at=moment(at).now)
        else:
            pulse, steps = look(pulse, sight, moment(at), TERMS)
        told = texts(steps)
        is_alarm = before.told_at is None and pulse.told_at is not None
        is_over = before.told_at is not None and pulse.told_at is None
        is_lost = sight is not None and sight.is_lost
        assert len(told) == (is_alarm or (is_over and not is_lost))
        if sight is None:
            assert not is_alarm
        else:
            assert (pulse.told_at is not None) == (len(pulse.signs) >= ENOUGH and not is_lost)
        assert at < wake_at(pulse, at, TERMS) <= at + 30
        assert steps.count(Ask()) <= (sight is not None and not is_lost)
        assert status_text(pulse, moment(at), sources=2)


@pytest.mark.parametrize(
    ("pulse", "sources", "expected"),
    [
        (Pulse(), 2, "liveness: not looked at yet"),
        (Pulse(sizes=()), 2, "liveness: it has no log"),
        (Pulse(), 1, "liveness: one sign alone alarms nobody"),
        (Pulse(sizes=(1,)), 2, "liveness: its log grew in the last 10 min"),
        (
            Pulse(sizes=(1,), can_find=True, heard_at=590.0),
            3,
            "liveness: its log grew in the last 10 min, its process runs, it answered 10 s ago",
        ),
        (
            Pulse(sizes=(1,), can_find=False),
            2,
            "liveness: its log grew in the last 10 min, its process cannot be looked for",
        ),
        (Pulse(sizes=(1,), can_find=True, missing_since=590.0), 2, "liveness: its log grew in the last 10 min"),
        (
            Pulse(sizes=(1,), can_find=True, signs=frozenset({Sign.SILENT})),
            2,
            "liveness: its log has not grown for 10 min, its process runs",
        ),
        (
            Pulse(sizes=(1,), signs=frozenset({Sign.GONE, Sign.UNANSWERED}), told_at=START),
            3,
            "liveness unknown for 10 min: its process is gone, it does not answer in the chat",
        ),
    ],
)
def test_status_tells_what_is_known(pulse: Pulse, sources: int, expected: str) -> None:
    """The row says what speaks for and against the bot's life."""
    assert status_text(pulse, moment(600), sources=sources) == expected


@pytest.mark.parametrize("written_at", [1.0, 29.0, 45.0])
def test_status_claims_no_growth_that_was_not(written_at: float) -> None:
    """However long before a look or behind it a log was written to, the time that is told holds it."""
    pulse, _steps = seen((0, WELL), (30, replace(WELL, sizes=(20,)) if written_at < 30 else WELL))
    assert status_text(pulse, moment(46), sources=2).startswith(
        "liveness: its log grew in the last 46 s" if written_at < 30 else "liveness: its log grew in the last 1 min"
    )


@pytest.mark.parametrize("parameter", ["silence", "ping_every", "ping_timeout"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_terms_refuse_times_that_cannot_be(parameter: str, value: float) -> None:
    """No time is 0, and nobody is pinged without pause."""
    with pytest.raises(OperationError, match=rf"^bad {parameter} "):
        Terms(**{parameter: value})  # type: ignore[arg-type]  # each is a number


def test_terms_refuse_a_contact_without_a_name() -> None:
    """An empty contact, which could be anybody, is refused."""
    with pytest.raises(OperationError, match=r"^bad ping ' '"):
        Terms(ping=" ")
