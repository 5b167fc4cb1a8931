"""What lasts, opened for one program: the store, the audit, the key to secrets; and what is wrong with them."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final, Self

from logmonitor.audit import ANCHOR_OWNER, Audit
from logmonitor.errors import AuditError, ConfigurationError, StoreError, StoreUnavailableError
from logmonitor.outage import Outage, Turn, look
from logmonitor.sealing import load_seal
from logmonitor.store import Store, set_aside_before
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from logmonitor.config import Config

_log = logging.getLogger(__name__)
PATIENCE_SECONDS: Final = 0.25
"""How long another process is waited for: a rescue may be waiting meanwhile. The command line holds it for less."""

_OWNER: Final = "logmonitor.lasting"
_TOLD: Final = "set_aside"


class Lasting:
    """The store, the audit and the seal of one configuration; to be closed at the end.

    A store whose disk is full, read-only or otherwise of no use for now refuses everything, and the rescue goes on.
    """

    def __init__(self, config: Config) -> None:
        """Open what there is.

        Raises:
            StoreError: the store is another program's, or a newer version's.
        """
        is_missing = _is_missing(config)
        self.store = _opened(config.bot.store)
        self._is_refused = self.store.is_refused
        self._is_begun_anew = is_missing and not self._is_refused
        self._outage = Outage(is_told=self._is_refused)
        self.audit = Audit(
            config.security.audit,
            anchor=self.store.view(ANCHOR_OWNER),
            secrets=config.secrets,
            transaction=self.store.transaction,
        )
        self.seal, self._key_failure = None, ""
        security = config.security
        key_file = security.key_file
        if key_file is not None and (security.key is not None or key_file.exists()):
            try:
                self.seal = load_seal(key=security.key, key_file=key_file)
            except ConfigurationError as error:
                self._key_failure = str(error)
                _log.error("%s; no one-time code is accepted", error)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the store."""
        self.store.close()

    def news(self, now: datetime, translate: Callable[[str], str]) -> tuple[str, ...]:
        """Return what admins have to be told at the start, `now`: what does not work, and once what was lost."""
        copies = self._copies()
        sentences = list(self._failures(translate))
        try:
            self.audit.probe(now)
        except AuditError as error:
            _log.error("%s", error)
            sentences.append(
                translate("the audit cannot be written, so what changes anything is not run: {reason}").format(
                    reason=error
                )
            )
        view = self.store.view(_OWNER)
        try:
            if copies and view.get(_TOLD) != copies[-1].name:
                sentences.append(
                    translate(
                        "the store was damaged and has been set aside as {name}: grants, denials and enrolled"
                        " authenticators in it hold no more, and what happened before this start may not be told"
                    ).format(name=copies[-1].name)
                )
                view.put(_TOLD, copies[-1].name)
            elif self._is_begun_anew and self.store.path is not None:
                sentences.append(
                    translate(
                        "the store {name} was gone and is begun anew: grants, denials and enrolled authenticators in it"
                        " hold no more, and what happened before this start may not be told"
                    ).format(name=self.store.path.name)
                )
        except StoreError as error:
            _log.error("%s", error)
        return tuple(sentences)

    def rows(self, now: datetime, translate: Callable[[str], str]) -> tuple[str, ...]:
        """Return what is wrong now, for `status`."""
        rows = list(self._failures(translate))
        if self.audit.failing_since is not None:
            down = duration_text((now - self.audit.failing_since).total_seconds(), translate)
            rows.append(
                translate(
                    "audit: cannot be written for {duration}, so what changes anything is not run: {reason}"
                ).format(duration=down, reason=self.audit.failure)
            )
        copies = self._copies()
        if copies:
            rows.append(translate("store: was damaged, and set aside as {name}").format(name=copies[-1].name))
        return tuple(rows)

    def turns(self, failure: str, now: float, translate: Callable[[str], str]) -> tuple[str, ...]:
        """Return what admins have to be told once about what is written under way, at `now` on a clock never set.

        `failure` is why nothing can be written, empty while it can. A store that could not be opened is told of at the
        start.
        """
        self._outage, turn = look(self._outage, now, is_failing=bool(failure) or self._is_refused)
        match turn:
            case Turn.FAILS:
                text = translate(
                    "the store cannot be written, so what happens now is forgotten if logmonitor ends before it can;"
                    " the rescue goes on: {reason}"
                )
                return (text.format(reason=failure),)
            case Turn.WORKS:
                return (translate("the store can be written again"),)
            case None:
                return ()

    def _failures(self, translate: Callable[[str], str]) -> tuple[str, ...]:
        failures = []
        if self._key_failure:
            failures.append(translate("no one-time code is accepted: {reason}").format(reason=self._key_failure))
        try:
            self.store.grants()
        except StoreError as error:
            failures.append(
                translate("the store cannot be used, so what changes anything is not run: {reason}").format(
                    reason=error
                )
            )
        return tuple(failures)

    def _copies(self) -> tuple[Path, ...]:
        return set_aside_before(self.store.path) if self.store.path is not None else ()


def _is_missing(config: Config) -> bool:
    """Tell whether there is no store though there was one: each start makes the audit too, and it is still there."""
    store, audit = config.bot.store, config.security.audit
    return store is not None and audit is not None and not os.path.lexists(store) and os.path.lexists(audit)


def _opened(path: Path | None) -> Store:
    try:
        return Store(path, patience=PATIENCE_SECONDS)
    except StoreUnavailableError as error:
        if path is None:
            raise
        _log.error("%s; what needs it is refused, the rescue goes on", error)
        return Store.refusing(path, error)
