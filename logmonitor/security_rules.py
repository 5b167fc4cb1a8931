"""What a command asks for before it runs: its own rules and those that a configuration adds, never fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.grant import fits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmonitor.operation import SecurityRule

ANSWERS: Final = ("code", "confirm")
"""The runtime's commands by which rules are answered; a rule on them could itself never be answered."""


def rules_of(
    command: str,
    operation: str,
    own: frozenset[SecurityRule],
    rules: Iterable[tuple[str, frozenset[SecurityRule]]],
    /,
) -> frozenset[SecurityRule]:
    """Return the rules of a command of `operation`, which has those of its `own` and what `rules` add.

    `rules` are pairs of a pattern, as `speaks_of` reads it, and what is added to the commands that fit it.
    """
    return own.union(*(added for pattern, added in rules if speaks_of(pattern, command=command, operation=operation)))


def speaks_of(pattern: str, /, *, command: str, operation: str) -> bool:
    """Tell whether a pattern means a command: `sh`, or `shell.sh` as one of that operation; `*` and `?` are wildcards.

    None means those that answer rules.
    """
    return command not in ANSWERS and fits(pattern, f"{operation}.{command}" if "." in pattern else command)
