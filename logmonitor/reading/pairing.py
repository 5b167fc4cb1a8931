"""Several records, one event: the link and the drawing of one QR, written next to each other, are one scan.

Families write a link then a drawing, a drawing then a link, or one link twice. What has no payload yet is held until
something that completes it comes, or something else. A signed record is an event by itself: it neither waits for
another one nor completes one, so that a stranger's adds nothing to it and takes nothing from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from logmonitor.reading.proof import is_void
from logmonitor.records import Event, EventKind, Qr

if TYPE_CHECKING:
    from collections.abc import Callable

NEAR_LINES: Final = 4
"""How many lines that are not blank may stand between two records of one QR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An event as one record tells it, and the byte offset behind the record.

    `shows_qr` says that a QR of its own may follow, as behind an expiry that names the QR which expired.
    """

    event: Event
    end: int
    shows_qr: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Where pairing stands in one file: a scan `held` back for its payload, and what was `shown` last."""

    held: Reading | None = None
    shown: Reading | None = None


NOTHING: Final = Pairing()
"""The pairing of a file in which nothing is held and nothing was shown last."""


def pair(pairing: Pairing, reading: Reading, is_near: Callable[[int], bool]) -> tuple[Pairing, tuple[Event, ...]]:
    """Take the next record of a file; return the events that are now complete, in file order.

    `is_near` tells whether the record stands next to one that ends at the given offset. A void record leaves all
    others as if it did not stand there, and comes before what is held.
    """
    if is_void(reading.event):
        return pairing, (reading.event,)
    _, flushed = flush(pairing)
    if reading.event.kind is not EventKind.SCAN or reading.event.signature is not None:
        return Pairing(shown=reading) if reading.shows_qr else NOTHING, (*flushed, reading.event)
    held = pairing.held if pairing.held is not None and is_near(pairing.held.end) else None
    shown = pairing.shown if pairing.shown is not None and is_near(pairing.shown.end) else None
    if held is not None and (joined := _joined(held, reading)) is not None:
        return _kept(joined, before=())
    if shown is not None and _is_repeated(shown, reading):
        return Pairing(shown=replace(shown, end=reading.end)), flushed
    return _kept(reading, before=flushed)


def _kept(reading: Reading, *, before: tuple[Event, ...]) -> tuple[Pairing, tuple[Event, ...]]:
    """Give a scan out behind the events before it, or hold it back for its payload."""
    if _is_complete(reading):
        return Pairing(shown=reading), (*before, reading.event)
    return Pairing(held=reading), before


def flush(pairing: Pairing) -> tuple[Pairing, tuple[Event, ...]]:
    """Give out what is held: nothing completed it."""
    if pairing.held is None:
        return pairing, ()
    return Pairing(shown=pairing.held), (pairing.held.event,)


def _is_complete(reading: Reading) -> bool:
    return reading.event.qr is not None and reading.event.qr.payload is not None


def _joined(held: Reading, reading: Reading) -> Reading | None:
    """Complete what is held by another record of the same QR; None if it is another's, or less to be trusted."""
    first, second = held.event, reading.event
    old, new = first.qr or Qr(), second.qr or Qr()
    if first.trusted != second.trusted or (old.modules and new.modules and old.modules != new.modules):
        return None
    if new.payload is not None:
        qr = new
    else:
        qr = replace(old, modules=old.modules or new.modules, image_path=old.image_path or new.image_path)
    return replace(held, event=replace(first, qr=qr, user=first.user or second.user), end=reading.end)


def _is_repeated(shown: Reading, reading: Reading) -> bool:
    """Tell whether a scan only shows again what was shown; a trusted one never repeats one that is not."""
    if reading.event.trusted and not shown.event.trusted:
        return False
    old, new = shown.event.qr or Qr(), reading.event.qr or Qr()
    if shown.event.kind is not EventKind.SCAN:
        return new.modules is not None
    return new.payload is None or new.payload == old.payload
