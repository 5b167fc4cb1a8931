"""What commands ask for before they run, against what their admins have: found where nobody could ever answer."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.command import RESERVED
from logmonitor.configuration.consistency import PROGRAM
from logmonitor.configuration.document import alternatives, expected
from logmonitor.operation import SecurityRule
from logmonitor.security_rules import ANSWERS, speaks_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from logmonitor.operation import Operation

_FEWEST_PEERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A command of an operation: the rules it has of its own, and the names of those who command it."""

    operation: str
    command: str
    own: frozenset[SecurityRule] = frozenset()
    admins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of people: all `names` in the configuration, who is enrolled, who has a second channel.

    Both may hold stable ids, whose names are not known yet: one that is no name here may be anybody's. `enrolled` is
    None where it is not known, or no matter.
    """

    names: frozenset[str]
    enrolled: frozenset[str] | None = None
    channels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """What cannot be answered: of the commands of `operation`, or where there is one, of those that `pattern` means."""

    operation: str
    pattern: str | None
    text: str


def askings(operations: Sequence[Operation], admins: Sequence[str]) -> tuple[Asking, ...]:
    """Return every command there is, the runtime's own too; `admins` are the chat's."""
    own = (Asking(operation=PROGRAM, command=name, admins=tuple(admins)) for name in RESERVED)
    return (
        *own,
        *(
            Asking(
                operation=operation.config.name or operation.name,
                command=command.name,
                own=command.security,
                admins=tuple(dict.fromkeys((*admins, *(operation.config.admins or ())))),
            )
            for operation in operations
            for command in operation.commands
        ),
    )


def find_idle(patterns: Sequence[str], commands: Sequence[Asking]) -> Iterator[tuple[str, str]]:
    """Find patterns that mean no command, each with what is wrong."""
    for pattern in patterns:
        if pattern.removeprefix(f"{PROGRAM}.") in ANSWERS:
            yield pattern, "is how rules are answered; expected another command"
        elif not any(speaks_of(pattern, command=one.command, operation=one.operation) for one in commands):
            known = {f"{one.operation}.{one.command}" if "." in pattern else one.command for one in commands}
            yield pattern, f"means no command; {expected(pattern, known - set(ANSWERS))}"


def find_unmet(
    commands: Sequence[Asking],
    rules: Sequence[tuple[str, frozenset[SecurityRule]]],
    known: Known,
    *,
    config: str | None = None,
) -> tuple[Unmet, ...]:
    """Find what commands ask for and none of their admins can show.

    `config` is the file that a remedy is to name, None where there is none yet.
    """
    found: dict[tuple[str, str | None, str], list[str]] = {}
    for one in commands:
        asking: dict[SecurityRule, str | None] = dict.fromkeys(sorted(one.own))
        for pattern, added in rules:
            if speaks_of(pattern, command=one.command, operation=one.operation):
                for rule in sorted(added):
                    asking.setdefault(rule, pattern)
        for rule, origin in asking.items():
            lack = _lack(rule, one.admins, known, config)
            if lack:
                key = ("" if origin is not None else one.operation, origin, f"{rule}, and {lack}")
                found.setdefault(key, []).append(one.command)
    return tuple(
        Unmet(operation=operation, pattern=pattern, text=f"{_named(names)} for {rest}")
        for (operation, pattern, rest), names in found.items()
    )


def _lack(rule: SecurityRule, admins: Sequence[str], known: Known, config: str | None) -> str:
    """Return what none of `admins` has of what a rule asks for, and how to get it; nothing where it may be there."""
    first = next(iter(admins), None)
    if first is None:
        return "it has no admins"
    match rule:
        case SecurityRule.TOTP if known.enrolled is not None and not _may_be_among(admins, known.enrolled, known):
            words = ("logmonitor", "totp", "enroll", first, "--config", config or "CONFIG.toml")
            hint = "" if config else ", in which [bot] store is this bot's"
            return f"none of its admins is enrolled; run: {shlex.join(words)}{hint}"
        case SecurityRule.OUT_OF_BAND if not _may_be_among(admins, known.channels, known):
            return f"none of its admins has a second channel; expected one to {alternatives(map(repr, admins))}"
        case SecurityRule.PEER if len(admins) < _FEWEST_PEERS:
            return f"{first!r} is its only admin; expected another to confirm"
        case _:
            return ""


def _may_be_among(admins: Sequence[str], have: Collection[str], known: Known) -> bool:
    """Tell whether one of `admins` is among those who have something, or may be one of those known by id alone."""
    return any(name in admins or name not in known.names for name in have)


def _named(commands: Sequence[str]) -> str:
    quoted = [repr(name) for name in dict.fromkeys(commands)]
    if len(quoted) == 1:
        return f"command {quoted[0]} asks"
    return f"commands {', '.join(quoted[:-1])} and {quoted[-1]} ask"
