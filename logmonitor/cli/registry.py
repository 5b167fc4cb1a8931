"""What the commands about one-time codes work on: a configuration, its store, and the audit."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from logmonitor.audit import ANCHOR_OWNER, Audit
from logmonitor.auditing.record import AuditRecord
from logmonitor.cli.configured import config_path
from logmonitor.cli.row import user_name
from logmonitor.cli.telling import tell
from logmonitor.config import load
from logmonitor.errors import ConfigurationError
from logmonitor.sealing import load_seal
from logmonitor.store import Store
from logmonitor.totp import Totp

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from logmonitor.config import Config

_OWNER: Final = "logmonitor.registry"
_PROBE: Final = "probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Who is enrolled, as `config` says where."""

    config: Config
    store: Store

    @property
    def key_file(self) -> Path | None:
        """Where the key lies, None if it comes from the environment."""
        return None if self.config.security.key is not None else self.config.security.key_file

    def totp(self) -> Totp:
        """Return what verifies.

        Raises:
            ConfigurationError: there is no key, or it may not be used.
        """
        security = self.config.security
        if security.key_file is None:
            raise ConfigurationError(f"{self.config.path}: no key file is named; expected [security] key_file")
        return Totp(self.store, load_seal(key=security.key, key_file=security.key_file), now=now)

    def reader(self) -> Totp:
        """Return what tells who is enrolled and locked, for which no key is needed."""
        return Totp(self.store, None, now=now)

    def local(self, moment: datetime) -> str:
        """Return a time as it is shown, in the configured time zone."""
        return moment.astimezone(self.config.bot.timezone).strftime("%Y-%m-%d %H:%M %Z")

    def record(self, decision: str, command: str, *, reason: str = "") -> None:
        """Put on record what was done here, by whom.

        Raises:
            AuditError: it could not be written.
        """
        self._audit().write(
            AuditRecord(
                at=now(), decision=decision, user=f"{user_name()} (command line)", command=command, reason=reason
            )
        )

    def probe(self) -> None:
        """Find out whether something could be kept and put on record; nothing of that stays.

        Raises:
            StoreError: it could not be kept.
            AuditError: it could not be put on record.
        """
        view = self.store.view(_OWNER)
        with self.store.transaction():
            view.put(_PROBE, "")
            view.delete(_PROBE)
        self._audit().probe(now())

    def _audit(self) -> Audit:
        return Audit(
            self.config.security.audit,
            anchor=self.store.view(ANCHOR_OWNER),
            secrets=self.config.secrets,
            transaction=self.store.transaction,
        )


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Registry]:
    """Open the store that the configuration names, made if there is none.

    Raises:
        ConfigurationError: the configuration cannot be read or is not valid, or names no store.
        StoreError: the store cannot be used.
    """
    config = load(config_path(arguments), is_enrolling=True)
    if config.bot.store is None:
        raise ConfigurationError(f"{config.path}: no store is named, so that nothing lasts; expected [bot] store")
    with Store(config.bot.store) as store:
        yield Registry(config=config, store=store)


def ask(question: str) -> str | None:
    """Return the line that is typed or piped in answer, None at the end of input."""
    is_typed = sys.stdin is not None and sys.stdin.isatty()
    tell(question, end=" " if is_typed else "\n")
    try:
        line = sys.stdin.readline() if sys.stdin is not None else ""
    except UnicodeDecodeError:
        return "�"
    if not line and is_typed:
        print()  # what is told next begins a line
    return line.rstrip("\n") if line else None


def now() -> datetime:
    """Return the time of this machine, aware UTC."""
    return datetime.now(UTC)
