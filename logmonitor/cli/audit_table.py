"""Records of the audit, shown to a person: as a table, as paragraphs where that is too wide, as lines on a pipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from logmonitor.display import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from logmonitor.auditing.chain import Entry

_WIDE: Final = 100
_SHOWN: Final = 300
_REFUSALS: Final = frozenset({"refused", "denied", "locked", "failed"})
_NUMBERS: Final = {"grant": "grant {}", "job": "job {}", "exit_code": "exit {}", "duration": "{} s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A record as it is shown."""

    at: datetime
    decision: str
    who: str
    where: str
    command: str
    why: str


def show(entries: Sequence[Entry], *, zone: tzinfo | None) -> None:
    """Print records in the order given, with times of `zone`, by default the machine's."""
    rows = [_row(entry, zone) for entry in entries]
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        for row in rows:
            print(f"{row.at:%Y-%m-%d %H:%M:%S}", row.decision, row.who, row.where, row.command, row.why, sep="\t")
    elif console.width < _WIDE:
        for row in rows:
            head = Text.assemble(f"{row.at:%m-%d %H:%M:%S} ", _painted(row.decision), f" {row.who}")
            console.print(head.append(f" in {row.where}" if row.where else "", "dim"))
            if row.command or row.why:
                text = Text("  ").join(
                    Text(part, style) for part, style in ((row.command, "bold"), (row.why, "")) if part
                )
                console.print(Padding(text, (0, 0, 0, 2)))
    elif rows:
        console.print(_table(rows))


def _table(rows: Sequence[_Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("when", no_wrap=True)
    table.add_column("decision", no_wrap=True)
    for name in ("who", "where", "command", "why"):
        table.add_column(name, overflow="fold")
    for row in rows:
        texts = (row.who, row.where, row.command, row.why)
        table.add_row(f"{row.at:%Y-%m-%d %H:%M:%S}", _painted(row.decision), *map(Text, texts))
    return table


def _painted(decision: str) -> Text:
    return Text(decision, "bold red" if decision in _REFUSALS else "bold")


def _row(entry: Entry, zone: tzinfo | None) -> _Row:
    """Return what is shown of a record, whatever its line holds."""

    def text(key: str) -> str:
        return _shown(entry.fields.get(key))

    name, user, command, operation = text("name"), text("user"), text("command"), text("operation")
    factors = entry.fields.get("factors")
    reasons = [
        text("reason"),
        *(map(_shown, factors) if isinstance(factors, list) else ()),
        *(form.format(text(key)) for key, form in _NUMBERS.items() if text(key)),
    ]
    return _Row(
        at=entry.at.astimezone(zone),
        decision=text("decision"),
        who=f"{name} ({user})" if name and user else name or user,
        where=text("room") or ("direct" if text("message") else ""),
        command=f"{operation}: {command}" if operation and command else command or operation,
        why="; ".join(filter(None, reasons)),
    )


def _shown(value: object) -> str:
    """Return a value in one line that no terminal obeys, cut where it is long."""
    text = "" if value is None else visible(str(value), one_line=True)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
