"""What a command that checks tells of one thing, and the words that several commands use for whom and why."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logmonitor.display import visible
from logmonitor.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing looked at, and what was seen; `remedy` is None where nothing is wrong."""

    subject: str
    text: str
    remedy: str | None = None


def user_name() -> str:
    """Return who runs this, by number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def reason_of(error: OSError) -> str:
    """Return why something could not be done, without the path that it was done to."""
    return (error.strerror or str(error)).lower()


def printer(secrets: Sequence[str] = ()) -> Callable[[Row], None]:
    """Return what shows a row, without secrets: in colour on a terminal, else as plain lines."""
    from rich.console import Console  # noqa: PLC0415  # 60 ms that `run`, which shows no row, need not pay
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)

    def show(row: Row) -> None:
        parts = (row.subject, row.text, row.remedy or "")
        subject, text, remedy = (visible(redact(part, secrets), one_line=True) for part in parts)
        if not console.is_terminal:
            print(f"{'ok' if row.remedy is None else 'finding'}: {subject}: {text}")
            if remedy:
                print(f"  remedy: {remedy}")
            return
        mark = ("✔ ", "bold green") if row.remedy is None else ("✘ ", "bold red")
        console.print(Text.assemble(mark, (subject, "bold"), f": {text}"))
        if remedy:
            console.print(Text.assemble(("  → ", "bold"), remedy))

    return show


def counted(count: int) -> str:
    """Return how many findings there are."""
    return "1 finding" if count == 1 else f"{count} findings"
