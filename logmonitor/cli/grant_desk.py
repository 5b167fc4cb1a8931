"""What a change of grants on the command line needs, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.granting.text import EVERYBODY, describe, record_of
from logmonitor.language import translation

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from logmonitor.audit import Audit
    from logmonitor.config import Config
    from logmonitor.grant import Grant
    from logmonitor.granting.text import Known
    from logmonitor.store import Store

ENGLISH: Final = translation("en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a change needs: the store, the audit, all commands there are, and who makes it."""

    config: Config
    store: Store
    audit: Audit
    known: tuple[Known, ...]
    by: str
    now: datetime

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone of dates, None for the machine's."""
        return self.config.bot.timezone

    def row(self, grant: Grant) -> str:
        """Return one line about a grant."""
        who = "everybody" if grant.user == EVERYBODY else grant.user
        return visible(
            describe(grant, who=who, by=grant.by, now=self.now, zone=self.zone, translate=ENGLISH), one_line=True
        )

    def add(self, grant: Grant, decision: str) -> Grant:
        """Keep a grant and put it on the audit: both or none."""
        with self.store.transaction():
            kept = self.store.add_grant(grant)
            self.audit.write(record_of(kept, decision, at=self.now, user=self.by))
        return kept
