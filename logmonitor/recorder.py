"""What happens to messages and commands, put into the words of the audit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from logmonitor.auditing.record import AuditRecord
from logmonitor.code_redaction import redact_codes

if TYPE_CHECKING:
    from logmonitor.approval import Request
    from logmonitor.audit import Audit
    from logmonitor.clock import Clock
    from logmonitor.grant import Grant
    from logmonitor.records import Message


class Recorder:
    """Writes the audit for the dispatcher; every method raises `AuditError` where it cannot."""

    def __init__(self, audit: Audit, clock: Clock) -> None:
        """Write to `audit`, with the times of `clock`."""
        self._audit = audit
        self._clock = clock

    def record(
        self,
        request: Request,
        decision: str,
        *,
        reason: str = "",
        grant: Grant | None = None,
        factors: tuple[str, ...] = (),
        job: int | None = None,
        exit_code: int | None = None,
        duration: float | None = None,
    ) -> None:
        """Put on record what was decided about a request, or became of it."""
        self._audit.write(
            replace(
                self._record_of(request.invocation.message, decision, command=request.text, reason=reason),
                operation=request.operation,
                factors=factors,
                grant=None if grant is None else grant.id,
                job=job,
                exit_code=exit_code,
                duration=duration,
            )
        )

    def record_message(
        self, message: Message, decision: str, *, reason: str, operation: str | None = None, command: str | None = None
    ) -> None:
        """Put on record what was decided about a message; of its text only what `command` has."""
        self._audit.write(
            replace(self._record_of(message, decision, command=command, reason=reason), operation=operation)
        )

    def _record_of(self, message: Message, decision: str, *, command: str | None, reason: str) -> AuditRecord:
        """Return what is kept of any decision: when, about whom and what, and why."""
        return AuditRecord(
            at=self._clock.now(),
            decision=decision,
            user=message.sender.id,
            name=message.sender.alias or message.sender.name,
            conversation=message.conversation,
            room=message.room,
            message=message.id,
            command=None if command is None else redact_codes(command),
            reason=reason,
        )
