"""Which of several rescuers on one machine speaks for a bot: who holds its lease, and who may take it.

A lease lasts for a term and is renewed only while its holder could deliver, so that who is dead, hangs or has lost its
chat loses it by doing nothing. All times are seconds of the machine's monotonic clock, which is one for all processes
from one boot to the next, and which nobody sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

LONGEST_TERM: Final = 3600.0
"""The greatest term, in seconds: who dies holds up the rescue for no longer, whatever a configuration says."""

_RENEWED_AFTER: Final = 1 / 3  # of the term, so that two renewals may be missed


class Reach(IntEnum):
    """How a rescuer can reach its admins now; more is better."""

    NONE = 0
    FALLBACK = 1
    CHAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """One of those who share leases, as it stands now.

    `name` is its bot's, which it keeps over a restart, `instance` its own from its start to its end, `boot` that of the
    machine. Its leases last for `term` seconds, and a message of another's for which it has a copy is that one's
    business for `patience` seconds.
    """

    name: str
    instance: str
    boot: str
    term: float
    patience: float
    reach: Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """That the rescuer `holder` alone speaks for the bot `watch`, until then; it has held it `since`.

    `reach` is what it had when it was renewed last.
    """

    watch: str
    holder: str
    instance: str
    boot: str
    since: float
    until: float
    reach: Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When a lease is looked at, and what is known beside it.

    `free_for` is for how many seconds the rescuer has seen nobody hold it, `waiting_for` for how many its oldest copy
    of a message about the bot has waited, None where none does. `is_first` holds when it looks for the first time.
    """

    now: float
    free_for: float = 0.0
    waiting_for: float | None = None
    is_first: bool = False


def is_running(lease: Lease | None, *, boot: str, now: float) -> bool:
    """Tell whether a lease holds now; one of another boot, or from a time that cannot be, does not."""
    return lease is not None and lease.boot == boot and now < lease.until <= now + LONGEST_TERM


def is_held_by(lease: Lease | None, me: Claimant, *, now: float) -> bool:
    """Tell whether a lease holds now and is this rescuer's."""
    return lease is not None and lease.instance == me.instance and is_running(lease, boot=me.boot, now=now)


def settled(lease: Lease | None, me: Claimant, watch: str, seen: Circumstances) -> Lease | None:
    """Return how a bot's lease stands once a rescuer has looked at it: as it was, taken, renewed, or handed on.

    - Who holds it renews it while its chat is up, or while its fallbacks are what it holds it by.
    - One that nobody holds goes to whose chat is up at once, to who has nothing but fallbacks after a term.
    - A holder that has nothing but fallbacks loses it to whose chat is up.
    - A holder that has not delivered what another has had a copy of for that one's patience loses it to that one,
      whatever keeps it: it may be blind for what happened. Who has nothing but fallbacks waits twice as long.
    - Who starts under the name of the holder is that holder, started again.
    """
    if lease is None or not is_running(lease, boot=me.boot, now=seen.now):
        is_free_for_us = me.reach is Reach.CHAT or (me.reach is Reach.FALLBACK and seen.free_for >= me.term)
        return _taken(me, watch, seen.now) if is_free_for_us else lease
    if seen.is_first and lease.holder == me.name:
        lease = replace(lease, instance=me.instance)
    if lease.instance == me.instance:
        return _renewed(lease, me, seen.now)
    return _taken(me, watch, seen.now) if _is_overdue(lease, me, seen) else lease


def _renewed(lease: Lease, me: Claimant, now: float) -> Lease:
    """Return our own lease, renewed if we could deliver and it is time."""
    is_due = lease.until - now <= me.term * (1 - _RENEWED_AFTER) or me.reach > lease.reach
    if me.reach is Reach.NONE or me.reach < lease.reach or not is_due:
        return lease
    return replace(lease, until=now + me.term, reach=me.reach)


def _is_overdue(lease: Lease, me: Claimant, seen: Circumstances) -> bool:
    """Tell whether its holder has had its time, and we could do better."""
    if me.reach is Reach.NONE:
        return False
    if me.reach > lease.reach:
        return True
    if seen.waiting_for is None:
        return False
    patience = me.patience if me.reach is Reach.CHAT else 2 * me.patience
    return min(seen.waiting_for, seen.now - lease.since) >= patience


def _taken(me: Claimant, watch: str, now: float) -> Lease:
    return Lease(
        watch=watch,
        holder=me.name,
        instance=me.instance,
        boot=me.boot,
        since=now,
        until=now + me.term,
        reach=me.reach,
    )
