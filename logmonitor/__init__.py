"""Twin chat bots that follow each other's log and send the login QR to your phone when one is thrown out.

An operation needs nothing but what is imported here.
"""

from __future__ import annotations

from logmonitor import throttle
from logmonitor.code_redaction import redact_codes
from logmonitor.errors import (
    ConfigurationError,
    LogMonitorError,
    OperationError,
    PatternError,
    ProfileError,
    QrError,
    RejectedError,
    StoreError,
    TransportError,
)
from logmonitor.language import translation
from logmonitor.operation import (
    Command,
    Context,
    Host,
    Invocation,
    KeyValue,
    Operation,
    OperationConfig,
    Outcome,
    Right,
    SecurityRule,
    Ticket,
)
from logmonitor.qr import render_png, render_terminal
from logmonitor.records import (
    Attachment,
    Chunk,
    Content,
    Event,
    EventKind,
    Health,
    Line,
    Link,
    LogBatch,
    Message,
    Notice,
    NoticeKind,
    Priority,
    Qr,
    Receipt,
    Refusal,
    Sender,
    Session,
    SessionState,
    Transition,
)
from logmonitor.throttle import Newest, Throttle
from logmonitor.transport import CanRecall, CanReportOwnEvents, CanVisit, CanWait, Limits, TextUnit, Transport
from logmonitor.typed import straightened
from logmonitor.wording import duration_text, session_text

__all__ = [
    "Attachment",
    "CanRecall",
    "CanReportOwnEvents",
    "CanVisit",
    "CanWait",
    "Chunk",
    "Command",
    "ConfigurationError",
    "Content",
    "Context",
    "Event",
    "EventKind",
    "Health",
    "Host",
    "Invocation",
    "KeyValue",
    "Limits",
    "Line",
    "Link",
    "LogBatch",
    "LogMonitorError",
    "Message",
    "Newest",
    "Notice",
    "NoticeKind",
    "Operation",
    "OperationConfig",
    "OperationError",
    "Outcome",
    "PatternError",
    "Priority",
    "ProfileError",
    "Qr",
    "QrError",
    "Receipt",
    "Refusal",
    "RejectedError",
    "Right",
    "SecurityRule",
    "Sender",
    "Session",
    "SessionState",
    "StoreError",
    "TextUnit",
    "Throttle",
    "Ticket",
    "Transition",
    "Transport",
    "TransportError",
    "duration_text",
    "redact_codes",
    "render_png",
    "render_terminal",
    "session_text",
    "straightened",
    "throttle",
    "translation",
]
