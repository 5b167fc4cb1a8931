"""What waits for an operation, and what passes it over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from logmonitor.inbox import BEHIND, MOST_BYTES, MOST_CALLS, MOST_NEWS, PATIENCE_SECONDS, Inbox
from logmonitor.records import EventKind
from logmonitor.testing import FakeClock, batch, event
from logmonitor.testing.clock import come_round
from logmonitor.worker import Call, call_of


async def heed(_context: object, _value: object) -> None:
    """Handle anything."""


def lines(count: int = 1) -> Call:
    """Make a call with so many lines."""
    value = batch(*("line" for _ in range(count)), path=Path("bob.log"))
    return call_of("on_batch", heed, value)


def news() -> Call:
    """Make a call with an event."""
    return call_of("on_event", heed, event(EventKind.LOGIN))


async def filled(inbox: Inbox) -> None:
    """Fill an inbox with lines."""
    while not inbox.is_full:
        assert await inbox.offer(lines(), watch="bob")


async def test_inbox_gives_calls_in_the_order_in_which_they_came() -> None:
    """Events and lines come out as they went in."""
    inbox = Inbox(FakeClock())
    calls = [lines(), news(), lines(2)]
    assert [await inbox.offer(call, watch="bob") for call in calls] == [True, True, True]
    assert [await inbox.get() for _ in calls] == calls


async def test_inbox_wakes_who_waits_for_a_call() -> None:
    """Who waits for the next call is woken without one, and only where there is none."""
    inbox = Inbox(FakeClock())
    inbox.wake()
    assert await inbox.get() is None
    inbox.put(call := news())
    inbox.wake()
    assert await inbox.get() is call


async def test_inbox_is_behind_long_before_it_is_full() -> None:
    """What can be asked again is refused early; lines are still taken then."""
    inbox = Inbox(FakeClock())
    for _ in range(BEHIND):
        assert not inbox.is_behind
        inbox.put(news())
    assert (inbox.is_behind, inbox.is_full) == (True, False)


async def test_inbox_is_full_by_the_number_of_calls_or_by_the_size_of_their_lines() -> None:
    """Many small calls fill it, and few large ones; what is larger than all the room is taken where there is room."""
    inbox = Inbox(FakeClock())
    await filled(inbox)
    await inbox.get()
    assert not inbox.is_full
    other = Inbox(FakeClock())
    assert await other.offer(replace(lines(), size_bytes=10 * MOST_BYTES), watch="bob")
    assert other.is_full
    await other.get()
    assert not other.is_full


async def test_lines_wait_for_an_operation_that_is_slow() -> None:
    """While it takes a call every few seconds, nothing passes it over, however long that goes on."""
    clock = FakeClock()
    inbox = Inbox(clock)
    await filled(inbox)
    for _ in range(20):
        offering = asyncio.ensure_future(inbox.offer(lines(), watch="bob"))
        await clock.move_on(PATIENCE_SECONDS - 0.1)
        assert not offering.done()
        await inbox.get()
        assert await offering
    assert (inbox.is_passing_over, inbox.passed_over.total()) == (False, 0)


async def test_lines_pass_over_an_operation_that_takes_nothing() -> None:
    """After a few seconds they do, the next ones at once, until half of what waits is made up; all are counted."""
    clock = FakeClock()
    inbox = Inbox(clock)
    await filled(inbox)
    await clock.move_on(1000)
    offering = asyncio.ensure_future(inbox.offer(lines(3), watch="bob"))
    await clock.move_on(PATIENCE_SECONDS - 0.1)
    assert not offering.done()
    await clock.move_on(0.1)
    assert not await offering
    assert not await inbox.offer(lines(4), watch="bob")
    assert (inbox.is_passing_over, inbox.passed_over) == (True, {"bob": 7})
    for _ in range(MOST_CALLS // 2 - 1):
        await inbox.get()
        assert not await inbox.offer(lines(), watch="bob")
    await inbox.get()
    assert await inbox.offer(lines(), watch="bob")
    assert (inbox.is_passing_over, inbox.passed_over) == (False, {"bob": 7 + MOST_CALLS // 2 - 1})


async def test_events_never_wait_for_an_operation() -> None:
    """They are taken while lines wait or pass it over; beyond any measure they are counted as well."""
    clock = FakeClock()
    inbox = Inbox(clock)
    await filled(inbox)
    for _ in range(MOST_NEWS - MOST_CALLS):
        assert await inbox.offer(news(), watch="bob")
    assert not inbox.is_passing_over
    assert not await inbox.offer(news(), watch="bob")
    assert (inbox.is_passing_over, inbox.passed_over) == (True, {"bob": 1})


@pytest.mark.parametrize("count", [1, 2])
async def test_whoever_waits_for_room_can_be_cancelled(count: int) -> None:
    """Nothing is left behind, neither a call nor somebody who sleeps; several bots may wait at once."""
    clock = FakeClock()
    inbox = Inbox(clock)
    await filled(inbox)
    offers = [asyncio.ensure_future(inbox.offer(lines(), watch="bob")) for _ in range(count)]
    await come_round()
    assert len(clock.sleepers) == count
    for offer in offers:
        offer.cancel()
    await asyncio.wait(offers)
    await come_round()
    assert (clock.sleepers, inbox.passed_over.total()) == ((), 0)
