"""What a line's signature proves: who wrote it, whatever else stands around it, or that it is to be refused.

What is verified are a line's raw bytes. A bot that signs writes its lines plain, through `SelfLog`; one that stands
inside a JSON record or between escape sequences is no line that a bot signed, and does not verify.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.records import EventKind, Refusal, Signature
from logmonitor.signing import accept, verify

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.reading.file_state import Circumstances
    from logmonitor.records import Line
    from logmonitor.signing import Accepted

SIGNED_KINDS: Final = frozenset(
    {EventKind.SCAN, EventKind.SCANNED, EventKind.EXPIRED, EventKind.LOGIN, EventKind.LOGOUT}
)
"""What a bot signs: its session lines. Its traffic and its errors carry no proof, and need none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The signature of a line that holds, or why the line is refused; neither where nothing had to be proved."""

    signature: Signature | None = None
    refused: Refusal | None = None


def unsigned(circumstances: Circumstances) -> Proof:
    """Return what a record proves that carries no signature, and perhaps never can, such as a drawing."""
    return Proof(refused=Refusal.UNSIGNED) if circumstances.require_signed else Proof()


def prove(accepted: Accepted, line: Line, circumstances: Circumstances, *, path: Path) -> tuple[Accepted, Proof]:
    """Verify a session line of the file at `path`; a signature that holds is remembered, so that no other repeats it.

    The head of a line that is over the cap is never what a bot signed, since it writes none of that length.
    """
    key = circumstances.key
    outcome = Refusal.UNSIGNED if key is None else verify(line.raw, bot=circumstances.watch, key=key)
    if outcome is Refusal.UNSIGNED:
        return accepted, unsigned(circumstances)
    if isinstance(outcome, Refusal) or line.truncated:
        return accepted, Proof(refused=Refusal.WRONG)
    accepted, is_first = accept(accepted, outcome, path=path, offset=line.offset)
    return accepted, Proof(signature=outcome) if is_first else Proof(refused=Refusal.REPLAYED)
