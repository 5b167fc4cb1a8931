"""Who holds a bot's lease, and who may take it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.lease import (
    LONGEST_TERM,
    Circumstances,
    Claimant,
    Lease,
    Reach,
    is_held_by,
    is_running,
    settled,
)

TERM: Final = 30.0
PATIENCE: Final = 35.0
ALICE: Final = Claimant(name="alice", instance="a", boot="1", term=TERM, patience=PATIENCE, reach=Reach.CHAT)
CAROL: Final = replace(ALICE, name="carol", instance="c")
HELD: Final = Lease(watch="bob", holder="alice", instance="a", boot="1", since=1000.0, until=1030.0, reach=Reach.CHAT)
"""What Alice took at 1000 s."""


def at(now: float, **more: float | bool | None) -> Circumstances:
    """Return a moment, with what is known then."""
    return Circumstances(now=now, **more)  # type: ignore[arg-type]


def test_lease_that_nobody_holds_goes_to_whose_chat_is_up() -> None:
    """The first who asks takes it, for a term from now."""
    assert settled(None, ALICE, "bob", at(1000.0)) == HELD


@pytest.mark.parametrize("lease", [None, HELD])
def test_lease_that_nobody_holds_goes_to_a_fallback_after_a_term(lease: Lease | None) -> None:
    """Who has nothing but fallbacks leaves it a term to those whose chat is up; who cannot reach anybody never asks."""
    fallback, silent = replace(CAROL, reach=Reach.FALLBACK), replace(CAROL, reach=Reach.NONE)
    taken = replace(HELD, holder="carol", instance="c", since=1040.0, until=1070.0, reach=Reach.FALLBACK)
    assert settled(lease, fallback, "bob", at(1040.0, free_for=29.9)) == lease
    assert settled(lease, fallback, "bob", at(1040.0, free_for=30.0)) == taken
    assert settled(lease, silent, "bob", at(1040.0, free_for=9999.0)) == lease


def test_lease_is_renewed_once_a_third_of_it_is_over() -> None:
    """Its holder writes it anew every third of a term, and has then held it for as long as before."""
    assert settled(HELD, ALICE, "bob", at(1009.9)) == HELD
    assert settled(HELD, ALICE, "bob", at(1010.0)) == replace(HELD, until=1040.0)


@pytest.mark.parametrize("reach", [Reach.NONE, Reach.FALLBACK])
def test_lease_of_a_holder_whose_chat_is_down_runs_out(reach: Reach) -> None:
    """Who could not deliver by the chat does not renew, whatever fallbacks there are, and loses it after its term."""
    down = replace(ALICE, reach=reach)
    assert settled(HELD, down, "bob", at(1029.9)) == HELD
    assert is_held_by(HELD, down, now=1029.9)
    assert not is_held_by(HELD, down, now=1030.0)
    assert settled(HELD, CAROL, "bob", at(1029.9)) == HELD
    assert settled(HELD, CAROL, "bob", at(1030.0)) == replace(
        HELD, holder="carol", instance="c", since=1030.0, until=1060.0
    )


def test_lease_of_a_holder_whose_chat_came_back_is_renewed() -> None:
    """A short outage costs nobody the lease."""
    assert settled(HELD, ALICE, "bob", at(1029.9)) == replace(HELD, until=1059.9)
    assert settled(HELD, ALICE, "bob", at(1031.0)) == replace(HELD, since=1031.0, until=1061.0)


def test_lease_held_by_fallbacks_goes_to_whose_chat_is_up() -> None:
    """A holder that has nothing but fallbacks renews by them, and gives way to a chat, which may be its own."""
    held = replace(HELD, reach=Reach.FALLBACK)
    assert settled(held, replace(ALICE, reach=Reach.FALLBACK), "bob", at(1015.0)) == replace(held, until=1045.0)
    assert settled(held, replace(ALICE, reach=Reach.NONE), "bob", at(1015.0)) == held
    assert settled(held, replace(CAROL, reach=Reach.FALLBACK), "bob", at(1015.0)) == held
    assert settled(held, CAROL, "bob", at(1001.0)) == replace(
        HELD, holder="carol", instance="c", since=1001.0, until=1031.0
    )
    assert settled(held, ALICE, "bob", at(1001.0)) == replace(HELD, until=1031.0)


def test_lease_of_a_holder_that_does_not_deliver_goes_to_who_has_a_copy() -> None:
    """Who lives, renews and is blind loses it once another one's copy has waited long enough under it."""
    held = replace(HELD, until=1055.0)
    taken = replace(HELD, holder="carol", instance="c", since=1040.0, until=1070.0)
    assert settled(held, CAROL, "bob", at(1040.0)) == held
    assert settled(held, CAROL, "bob", at(1040.0, waiting_for=34.9)) == held
    assert settled(held, CAROL, "bob", at(1040.0, waiting_for=35.0)) == taken
    assert settled(held, replace(CAROL, reach=Reach.NONE), "bob", at(1040.0, waiting_for=9999.0)) == held


def test_lease_is_not_taken_before_its_holder_had_time() -> None:
    """However long a copy has waited, who took the lease a moment ago is given the time to deliver."""
    held = replace(HELD, since=1010.0, until=1055.0)
    assert settled(held, CAROL, "bob", at(1044.9, waiting_for=9999.0)) == held
    after = settled(held, CAROL, "bob", at(1045.0, waiting_for=9999.0))
    assert after is not None
    assert after.holder == "carol"


def test_lease_of_a_blind_holder_goes_to_a_fallback_after_twice_the_time() -> None:
    """Those whose chat is up come first there too."""
    held, fallback = replace(HELD, until=1090.0, reach=Reach.FALLBACK), replace(CAROL, reach=Reach.FALLBACK)
    assert settled(held, fallback, "bob", at(1069.9, waiting_for=69.9)) == held
    after = settled(held, fallback, "bob", at(1070.0, waiting_for=70.0))
    assert after is not None
    assert (after.holder, after.reach) == ("carol", Reach.FALLBACK)


def test_lease_outlives_a_restart_of_its_holder() -> None:
    """Who starts under the holder's name goes on with its lease; who runs under it already does not take it."""
    again = replace(ALICE, instance="a2")
    assert settled(HELD, again, "bob", at(1001.0, is_first=True)) == replace(HELD, instance="a2")
    assert settled(HELD, again, "bob", at(1001.0)) == HELD
    down = replace(again, reach=Reach.NONE)
    assert settled(HELD, down, "bob", at(1020.0, is_first=True)) == replace(HELD, instance="a2")
    assert settled(HELD, again, "bob", at(1020.0, is_first=True)) == replace(HELD, instance="a2", until=1050.0)
    assert settled(HELD, CAROL, "bob", at(1001.0, is_first=True)) == HELD


@pytest.mark.parametrize(
    "lease", [replace(HELD, boot="0"), replace(HELD, until=1001.0 + LONGEST_TERM + 1), replace(HELD, until=1001.0)]
)
def test_lease_of_another_boot_or_an_impossible_time_holds_nobody_up(lease: Lease) -> None:
    """What was written before the machine was started again, or ends later than any lease does, is over."""
    assert not is_running(lease, boot="1", now=1001.0)
    assert not is_held_by(lease, ALICE, now=1001.0)
    after = settled(lease, CAROL, "bob", at(1001.0))
    assert after is not None
    assert (after.holder, after.until) == ("carol", 1031.0)


REACHES = st.sampled_from(Reach)
STEPS = st.lists(
    st.tuples(st.sampled_from(["alice", "carol", "dave"]), REACHES, st.floats(0, 20), st.none() | st.floats(0, 100)),
    max_size=60,
)


@given(STEPS)
def test_lease_always_has_one_holder_that_had_reach(
    steps: list[tuple[str, Reach, float, float | None]],
) -> None:
    """However three come and go, one at most holds it, it took it when it could deliver, and never for over a term."""
    now, lease = 1000.0, None
    for name, reach, seconds, waiting_for in steps:
        now += seconds
        me = replace(ALICE, name=name, instance=name[0], reach=reach)
        before = lease
        lease = settled(lease, me, "bob", at(now, waiting_for=waiting_for))
        held_by = [one for one in "acd" if is_held_by(lease, replace(me, instance=one), now=now)]
        assert len(held_by) == is_running(lease, boot="1", now=now)
        if lease is not None and lease != before:
            assert lease.instance == me.instance
            assert lease.reach is reach is not Reach.NONE
            assert lease.until == now + TERM


@given(
    st.lists(st.sampled_from(["up", "down", "dead"]), min_size=1, max_size=8),
    st.lists(st.floats(0.1, 1.0), min_size=80, max_size=80),
)
def test_lease_is_with_one_that_can_deliver_within_a_term(states: list[str], pauses: list[float]) -> None:
    """Whoever dies or loses its chat after having held it, one that can deliver has it a term and a look later."""
    now, lease, everybody = 1000.0, None, [replace(ALICE, name=str(n), instance=str(n)) for n in range(len(states))]
    lease = settled(None, everybody[0], "bob", at(now))
    end = now + TERM + 1.0
    for pause in pauses:
        now += pause
        for me, state in zip(everybody, states, strict=True):
            if state != "dead":
                lease = settled(lease, replace(me, reach=Reach.CHAT if state == "up" else Reach.NONE), "bob", at(now))
        if now > end:
            up = [me for me, state in zip(everybody, states, strict=True) if state == "up"]
            assert any(is_held_by(lease, me, now=now) for me in up) == bool(up)
