"""What happens to messages and commands, put into the words of the audit."""

from __future__ import annotations

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
        self._write(
            request.invocation.message,
            decision,
            operation=request.operation,
            command=request.text,
            reason=reason,
            grant=grant,
            factors=factors,
            job=job,
            exit_code=exit_code,
            duration=duration,
        )

    def record_message(
        self, message: Message, decision: str, *, reason: str, operation: str | None = None, command: str | None = None
    ) -> None:
        """Put on record what was decided about a message; of its text only what `command` has."""
        self._write(message, decision, operation=operation, command=command, reason=reason)

    def _write(
        self,
        message: Message,
        decision: str,
        *,
        operation: str | None,
        command: str | None,
        reason: str,
        grant: Grant | None = None,
        factors: tuple[str, ...] = (),
        job: int | None = None,
        exit_code: int | None = None,
        duration: float | None = None,
    ) -> None:
        self._audit.write(
            AuditRecord(
                at=self._clock.now(),
                decision=decision,
                user=message.sender.id,
                name=message.sender.alias or message.sender.name,
                conversation=message.conversation,
                room=message.room,
                message=message.id,
                operation=operation,
                command=None if command is None else redact_codes(command),
                reason=reason,
                factors=factors,
                grant=None if grant is None else grant.id,
                job=job,
                exit_code=exit_code,
                duration=duration,
            )
        )
