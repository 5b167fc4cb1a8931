"""What a look at grants, or a change of them, on the command line needs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.granting.commands import OWN
from logmonitor.granting.text import EVERYBODY, describe, record_of
from logmonitor.language import translation
from logmonitor.operation import Command, Right

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from logmonitor.audit import Audit
    from logmonitor.config import Config
    from logmonitor.grant import Grant
    from logmonitor.granting.text import Known
    from logmonitor.operation import Context, Invocation, Operation
    from logmonitor.store import Store

ENGLISH: Final = translation("en")
OWN_RIGHTS: Final = {
    **dict.fromkeys(("grant", "deny", "revoke", "grants"), Right.ADMIN),
    **dict.fromkeys(("help", "confirm", "jobs", "cancel"), Right.ANYONE),
    "status": Right.GRANT,
}
"""The runtime's own commands, and who may run them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a change needs: the store, the audit, all operations there are, and who makes it."""

    config: Config
    store: Store
    audit: Audit
    operations: tuple[Operation, ...]
    by: str
    now: datetime

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone of dates, None for the machine's."""
        return self.config.bot.timezone

    @property
    def known(self) -> tuple[Known, ...]:
        """All commands there are."""
        return known_commands(self.operations)

    def row(self, grant: Grant) -> str:
        """Return one line about a grant."""
        who = "everybody" if grant.user == EVERYBODY else grant.user
        return visible(
            describe(grant, who=who, by=grant.by, now=self.now, zone=self.zone, translate=ENGLISH), one_line=True
        )

    def warn_of_name(self, grant: Grant) -> None:
        """Say that a configured name in place of a stable id is nobody; which of the two it is, only the chat knows."""
        operations = self.config.operations
        if grant.user in {
            *self.config.chat.admins,
            *(one for entry in operations for one in entry.config.admins or ()),
        }:
            kind = "denial" if grant.is_denial else "permission"
            print(
                f"warning: the configuration names an admin {grant.user!r}; if that is a name and no stable id, the"
                f" {kind} does not hold; `logmonitor check` tells the id",
                file=sys.stderr,
            )

    def add(self, grant: Grant, decision: str) -> Grant:
        """Keep a grant and put it on the audit: both or none."""
        with self.store.transaction():
            kept = self.store.add_grant(grant)
            self.audit.write(record_of(kept, decision, at=self.now, user=self.by))
        return kept


def known_commands(operations: Iterable[Operation]) -> tuple[Known, ...]:
    """Return all commands there are, as far as grants go: those of `operations`, and the runtime's own."""

    async def run_nothing(_context: Context, _invocation: Invocation) -> None:
        """Stand for what the runtime does."""

    own = (Command(name=name, handler=run_nothing, help=name, right=right) for name, right in OWN_RIGHTS.items())
    return (
        *((OWN, command) for command in own),
        *(
            (operation.config.name or operation.name, command)
            for operation in operations
            for command in operation.commands
        ),
    )
