"""What a line's signature proves: who wrote it, whatever else stands around it, or that it is to be refused.

What is verified are a line's raw bytes. A bot that signs writes its lines plain, through `SelfLog`; one that stands
inside a JSON record or between escape sequences is no line that a bot signed, and does not verify.

Whoever can write to a log can copy lines into it that were never read here: of a file that was rotated away, say. So a
line counts only if none that was accepted before is newer (`order_of`), with one exception: of a boot that never led, a
scan or a logout that is read as it is written moves the session although its time is older, for a machine that came up
with a wrong clock must not lose its rescue. It proves no order, hence is not `verified`, its time dates nothing, and it
makes nothing else older. Until that clock is right such a bot's logins and expiries do not count.

What a stranger says in a chat stands in the log, too, and may end like a signed line. So a line that a message may show
(`suspicion.py`) alerts nobody: with a wrong signature it is a suspect line like any other where signatures are not
required; where they are, or if it is a copy, it is refused and counted, and that is all. One out of the reach of any
message was written by somebody who can write to the log: that is refused, and told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.records import EventKind, Refusal, Signature
from logmonitor.signing import Order, accept, order_of, verify

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.reading.file_state import Circumstances
    from logmonitor.records import Event, Line
    from logmonitor.signing import Accepted

SIGNED_KINDS: Final = frozenset(
    {EventKind.SCAN, EventKind.SCANNED, EventKind.EXPIRED, EventKind.LOGIN, EventKind.LOGOUT}
)
"""What a bot signs: its session lines. Its traffic and its errors carry no proof, and need none."""

_BAD_NEWS: Final = frozenset({EventKind.SCAN, EventKind.LOGOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The signature of a line that holds, or why the line is refused; neither where nothing had to be proved.

    `order` tells whether a line that was signed is news.
    """

    signature: Signature | None = None
    refused: Refusal | None = None
    order: Order = Order.NEWEST

    @property
    def is_verified(self) -> bool:
        """Whether the bot signed the line, and nothing newer before it was read."""
        return self.signature is not None and self.order is Order.NEWEST

    @property
    def is_void(self) -> bool:
        """Whether the line is refused, or news no more."""
        return self.refused is not None or self.order is Order.OLDER


def is_void(event: Event) -> bool:
    """Tell whether an event changes nothing: it is refused, or older than another that its bot signed."""
    return event.refused is not None or (event.signature is not None and not event.trusted)


def is_stray(event: Event) -> bool:
    """Tell whether the bot signed an event of which only its clock could say whether it is news."""
    return event.signature is not None and event.trusted and not event.verified


def unsigned(circumstances: Circumstances) -> Proof:
    """Return what a record proves that carries no signature, and perhaps never can, such as a drawing."""
    return Proof(refused=Refusal.UNSIGNED) if circumstances.require_signed else Proof()


def prove(
    accepted: Accepted, line: Line, circumstances: Circumstances, *, kind: EventKind, path: Path
) -> tuple[Accepted, Proof]:
    """Verify a session line of the file at `path`; a signature that counts is remembered, so that no other repeats it.

    The head of a line that is over the cap is never what a bot signed, since it writes none of that length.
    """
    key = circumstances.key
    outcome = Refusal.UNSIGNED if key is None else verify(line.raw, bot=circumstances.watch, key=key)
    if outcome is Refusal.UNSIGNED:
        return accepted, unsigned(circumstances)
    if isinstance(outcome, Refusal) or line.truncated:
        return accepted, Proof(refused=Refusal.WRONG)
    order = order_of(accepted, outcome)
    if order is Order.STRAY and not (circumstances.is_live and kind in _BAD_NEWS):
        order = Order.OLDER
    remembered, is_first = accept(accepted, outcome, path=path, offset=line.offset)
    if not is_first:
        return accepted, Proof(refused=Refusal.REPLAYED)
    return accepted if order is Order.OLDER else remembered, Proof(signature=outcome, order=order)
