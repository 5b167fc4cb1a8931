"""How things stand, in rows: each bot, the chat, what lasts, and whatever operations have to say of it."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logmonitor.errors import StoreError
from logmonitor.isolation import isolated
from logmonitor.operation import Command, Right
from logmonitor.session_history import SHOWN, history_row
from logmonitor.wording import broken_text, duration_text, session_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from logmonitor.config import BrokenOperation
    from logmonitor.directory import Directory
    from logmonitor.escalation import Escalation
    from logmonitor.lasting import Lasting
    from logmonitor.operation import Context, Invocation
    from logmonitor.outbox import Outbox
    from logmonitor.records import Delivery, Session
    from logmonitor.rescuer import Rescuer
    from logmonitor.storage.progress import SessionChange
    from logmonitor.transport import Transport
    from logmonitor.watcher import Watcher
    from logmonitor.worker import Worker


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Whom to ask how things stand."""

    watchers: Sequence[Watcher]
    workers: Sequence[Worker]
    sessions: Mapping[str, Session]
    transport: Transport
    directory: Directory
    outbox: Outbox
    escalation: Escalation
    lasting: Lasting
    rescuer: Rescuer | None
    broken: Sequence[BrokenOperation]
    translate: Callable[[str], str]

    def rows(self, context: Context, asked: str | None) -> tuple[str, ...]:
        """Tell how one bot is, or everything."""
        _ = self.translate
        watchers = [one for one in self.watchers if asked is None or one.name.casefold() == asked.casefold()]
        if asked is not None and not watchers:
            names = ", ".join(self.sessions)
            return (_("there is no bot called {asked}; expected one of: {watches}").format(asked=asked, watches=names),)
        rows = [] if watchers else [_("nothing is watched")]
        for watcher in watchers:
            rows.append(session_text(self.sessions[watcher.name], now=context.now(), translate=_))
            rows.extend(f"  {row}" for row in self._history_rows(watcher.name, context.now()))
            rows.extend(f"  {remark}" for remark in watcher.remarks(_))
            if self.rescuer is not None:
                rows.append(f"  {self.rescuer.row(watcher.name)}")
            for worker in self.workers:
                if worker.is_about(watcher.name):
                    rows.extend(f"  {remark}" for remark in worker.remarks(watcher.name, _))
                    rows.extend(f"  {row}" for row in self._rows_of(worker, context, watcher.name))
        if asked is None:
            rows.extend(self._program_rows(context.now()))
        return tuple(rows)

    def _history_rows(self, watch: str, now: datetime) -> tuple[str, ...]:
        """Tell how often a bot was lost, where that is kept; that nothing can be is told below."""
        changes: tuple[SessionChange, ...] = ()
        with suppress(StoreError):
            changes = self.lasting.store.progress.changes(watch, since=now - SHOWN)
        row = history_row(changes, now=now, translate=self.translate)
        return () if row is None else (row,)

    def _rows_of(self, worker: Worker, context: Context, watch: str) -> tuple[str, ...]:
        """Return what an operation says of a bot; where its own code fails, that."""
        status = worker.operation.status
        rows: tuple[str, ...] = ()
        errors: list[Exception] = []
        with isolated(errors.append):
            rows = () if status is None else tuple(map(str, status(context, watch)))
        for error in errors:
            _log.error("status of operation %s failed", worker.name, exc_info=error)
            form = self.translate("{job} of {operation} failed: {reason}; the log of logmonitor tells more")
            rows = (form.format(job="status", operation=worker.name, reason=type(error).__name__),)
        return rows

    def command(self) -> Command:
        """Return the command that tells how things stand, where no operation has one that tells more."""
        _ = self.translate

        async def tell(context: Context, invocation: Invocation) -> None:
            await context.send("\n".join(context.overview(next(iter(invocation.arguments), None))))

        return Command(
            name="status",
            handler=tell,
            help=_("tell how the bots, the chat and the operations are"),
            usage=_("[BOT]"),
            right=Right.GRANT,
            read_only=True,
            control=True,
        )

    def _program_rows(self, now: datetime) -> list[str]:
        _ = self.translate
        rows = [self._chat_row(now)]
        for name, reason in self.directory.unknown.items():
            rows.append(_("admin {name} is unknown: {reason}").format(name=name, reason=reason))
        rows.extend(broken_text(broken, _) for broken in self.broken)
        rows.extend(self.lasting.rows(now, _))
        delivery = self.outbox.delivery()
        rows.append(self._messages_row(delivery))
        if delivery.failing_for is not None:
            rows.append(
                _("the chat has taken nothing for {duration} ({reason}); {count} messages wait").format(
                    duration=duration_text(delivery.failing_for, _), reason=delivery.reason, count=delivery.waiting
                )
            )
        if delivery.paused_for is not None:
            rows.append(
                _("the chat was sent too much and is let be for {duration}; {count} messages wait").format(
                    duration=duration_text(delivery.paused_for, _), count=delivery.waiting
                )
            )
        if delivery.unanswered:
            rows.append(
                _("the chat takes no more until somebody writes to this bot: {conversations}").format(
                    conversations=", ".join(delivery.unanswered)
                )
            )
        if delivery.unsaved:
            rows.append(
                _("messages in memory only, lost if the program ends now: {count} ({reason})").format(
                    count=delivery.unsaved, reason=delivery.store_failure
                )
            )
        if delivery.failed:
            row = _("messages given up: {count}; `logmonitor outbox` shows them")
            rows.append(row.format(count=delivery.failed))
        rows.extend(self.escalation.rows(_))
        return rows

    def _chat_row(self, now: datetime) -> str:
        """Tell whether the chat is up, since when, and what there is to say of it."""
        _ = self.translate
        health = self.transport.health()
        length = None if health.since is None else duration_text((now - health.since).total_seconds(), _)
        if health.is_up:
            row = _("chat: up") if length is None else _("chat: up for {duration}").format(duration=length)
            return row if not health.reason else _("{row}: {reason}").format(row=row, reason=health.reason)
        if length is not None:
            return _("chat: down for {duration}: {reason}").format(duration=length, reason=health.reason)
        return _("chat: down: {reason}").format(reason=health.reason)

    def _messages_row(self, delivery: Delivery) -> str:
        """Tell what was sent and what waits, and how much the chat allows where it has a number."""
        _ = self.translate
        limits = self.transport.limits
        if limits.per_period is None:
            return _("messages: {sent} sent in the last hour, {waiting} waiting").format(
                sent=delivery.sent_last_hour, waiting=delivery.waiting
            )
        return _("messages: {sent} of {allowed} that the chat takes sent within {duration}, {waiting} waiting").format(
            sent=delivery.sent_in_period,
            allowed=limits.per_period,
            duration=duration_text(limits.period, _),
            waiting=delivery.waiting,
        )
