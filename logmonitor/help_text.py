"""What the help says: a row for each command, or all about one."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from logmonitor.command import REPLACEABLE
from logmonitor.operation import Command, Right, SecurityRule
from logmonitor.typed import name_of
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from logmonitor.command import Entry

_USUAL_TIMEOUT: Final = next(field.default for field in fields(Command) if field.name == "timeout")
_UNITS: Final = ((172_800, 86_400), (3600, 3600), (60, 60), (0, 1))
"""From how many seconds on `duration_text` says a duration in which unit."""


def help_lines(
    entries: Sequence[Entry],
    *,
    translate: Callable[[str], str],
    name: str | None = None,
    rules: Callable[[Entry], frozenset[SecurityRule]] | None = None,
) -> tuple[str, ...]:
    """Return the help: one row for each command, or with `name` all about that one; empty if it is not known.

    Whoever offers `status`, it is the first of them. `rules` tells what a command asks for before it runs, those of a
    configuration included; without it, its own.
    """
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.command.name, []).append(entry)
    if name is None:
        return tuple(
            translate("{command}: {help}").format(
                command=_usage(same[0], translate), help=translate(same[0].command.help)
            )
            for same in sorted(by_name.values(), key=lambda same: same[0].command.name != REPLACEABLE)
        )
    same = by_name.get(name_of(name), [])
    if not same:
        return ()
    bots = [entry.watch for entry in same if entry.watch is not None]
    return (
        _usage(same[0], translate),
        translate(same[0].command.help),
        *([translate("Bots: {bots}").format(bots=", ".join(bots))] if bots else ()),
        *_rows(same, lambda entry: _terms(entry, entry.command.security if rules is None else rules(entry), translate)),
    )


def _usage(entry: Entry, translate: Callable[[str], str]) -> str:
    command = entry.command
    return f"{command.name} {translate(command.usage)}" if command.usage else command.name


def _rows(same: Iterable[Entry], terms: Callable[[Entry], tuple[str, ...]]) -> tuple[str, ...]:
    """Return the terms of a command; where they are not the same for all its bots, each bot before its own."""
    of_bots = {entry.watch: terms(entry) for entry in same}
    if len(set(of_bots.values())) == 1:
        return next(iter(of_bots.values()))
    return tuple(row for bot, rows in of_bots.items() for row in (f"{bot}:", *rows))


def _terms(entry: Entry, rules: frozenset[SecurityRule], translate: Callable[[str], str]) -> tuple[str, ...]:
    """Say who may run a command, what it asks for, and its deadline where that is not the usual one."""
    who = {
        Right.ADMIN: translate("For admins only."),
        Right.GRANT: translate("For admins, and for whom an admin has granted it."),
        Right.ANYONE: translate("For everybody."),
    }
    asked = {
        SecurityRule.TOTP: translate("Asks for a one-time code."),
        SecurityRule.OUT_OF_BAND: translate("A code comes over your second channel."),
        SecurityRule.CONFIRM: translate("Has to be confirmed."),
        SecurityRule.PEER: translate("Another admin has to confirm."),
    }
    timeout = entry.command.timeout
    deadline = () if timeout == _USUAL_TIMEOUT else (_deadline(timeout, translate),)
    return (who[entry.command.right], *(text for rule, text in asked.items() if rule in rules), *deadline)


def _deadline(seconds: float, translate: Callable[[str], str]) -> str:
    """Return a deadline exactly: in seconds, where `duration_text` would round it."""
    unit = next(unit for least, unit in _UNITS if seconds >= least)
    exact = translate("{count} s").format(count=f"{seconds:g}") if seconds % unit else duration_text(seconds, translate)
    return translate("Is ended after {duration}.").format(duration=exact)
