"""Twin chat bots that follow each other's log and send the login QR to your phone when one is thrown out.

An operation needs nothing but what is imported here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from logmonitor import (
    pulse,
    service,
    throttle,
    vitals,
)
from logmonitor.alert import alert_text, alerting, kept_alerts, muting, stack_trace
from logmonitor.allow_list import allow_list
from logmonitor.code_redaction import redact_codes
from logmonitor.configuration.record import WatchConfig
from logmonitor.display import visible
from logmonitor.duration import parse_duration
from logmonitor.errors import (
    ConfigurationError,
    HostError,
    LogMonitorError,
    OperationError,
    PatternError,
    ProfileError,
    QrError,
    RejectedError,
    StoreError,
    ThrottledError,
    TransportError,
    UsageError,
)
from logmonitor.language import translation
from logmonitor.log_slice import LastLines, LinesSince, LogClock, LogSlice, MatchingLines, Selection
from logmonitor.log_text import log_file, log_text
from logmonitor.machine import (
    Completed,
    DiskUsage,
    Ending,
    FileState,
    Host,
    Launch,
    Manager,
    Origin,
    Process,
    ProcessSelector,
    Response,
    Shell,
    ShellEnd,
    ShellLimits,
    ShellStop,
    Stream,
    StreamKind,
    Usage,
    selector_of,
)
from logmonitor.operation import (
    Command,
    Context,
    Invocation,
    KeyValue,
    Operation,
    OperationConfig,
    Outcome,
    Right,
    SecurityRule,
    Ticket,
)
from logmonitor.plot import history
from logmonitor.qr import fingerprint, render_png, render_terminal
from logmonitor.records import (
    Attachment,
    Chunk,
    Content,
    Delivery,
    Event,
    EventKind,
    Health,
    Line,
    Link,
    LogBatch,
    Message,
    MessageKey,
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
from logmonitor.refusal import refused_line_text
from logmonitor.rescue_text import loss_text, qr_caption, unconfirmed_text
from logmonitor.restart.restarting import (
    Change,
    Problem,
    change_rows,
    keeper_of,
    killed_rows,
    launch_of,
    origin_rows,
    pids_text,
    process_text,
)
from logmonitor.screen_text import Excerpt, excerpt, screen_text
from logmonitor.service import Service
from logmonitor.throttle import Newest, Throttle
from logmonitor.time_of_day import DailyHours, end_of_hours, parse_hours, time_text
from logmonitor.transport import CanRecall, CanReportOwnEvents, CanVisit, CanWait, Limits, TextUnit, Transport
from logmonitor.typed import straightened
from logmonitor.wording import duration_text, person_text, quoted, session_text, size_text

if TYPE_CHECKING:
    from logmonitor.plot.plotting import Plot, render_plot
    from logmonitor.restart import succession

__all__ = [
    "Attachment",
    "CanRecall",
    "CanReportOwnEvents",
    "CanVisit",
    "CanWait",
    "Change",
    "Chunk",
    "Command",
    "Completed",
    "ConfigurationError",
    "Content",
    "Context",
    "DailyHours",
    "Delivery",
    "DiskUsage",
    "Ending",
    "Event",
    "EventKind",
    "Excerpt",
    "FileState",
    "Health",
    "Host",
    "HostError",
    "Invocation",
    "KeyValue",
    "LastLines",
    "Launch",
    "Limits",
    "Line",
    "LinesSince",
    "Link",
    "LogBatch",
    "LogClock",
    "LogMonitorError",
    "LogSlice",
    "Manager",
    "MatchingLines",
    "Message",
    "MessageKey",
    "Newest",
    "Notice",
    "NoticeKind",
    "Operation",
    "OperationConfig",
    "OperationError",
    "Origin",
    "Outcome",
    "PatternError",
    "Plot",
    "Priority",
    "Problem",
    "Process",
    "ProcessSelector",
    "ProfileError",
    "Qr",
    "QrError",
    "Receipt",
    "Refusal",
    "RejectedError",
    "Response",
    "Right",
    "SecurityRule",
    "Selection",
    "Sender",
    "Service",
    "Session",
    "SessionState",
    "Shell",
    "ShellEnd",
    "ShellLimits",
    "ShellStop",
    "StoreError",
    "Stream",
    "StreamKind",
    "TextUnit",
    "Throttle",
    "ThrottledError",
    "Ticket",
    "Transition",
    "Transport",
    "TransportError",
    "Usage",
    "UsageError",
    "WatchConfig",
    "alert_text",
    "alerting",
    "allow_list",
    "change_rows",
    "duration_text",
    "end_of_hours",
    "excerpt",
    "fingerprint",
    "history",
    "keeper_of",
    "kept_alerts",
    "killed_rows",
    "launch_of",
    "log_file",
    "log_text",
    "loss_text",
    "muting",
    "origin_rows",
    "parse_duration",
    "parse_hours",
    "person_text",
    "pids_text",
    "process_text",
    "pulse",
    "qr_caption",
    "quoted",
    "redact_codes",
    "refused_line_text",
    "render_plot",
    "render_png",
    "render_terminal",
    "screen_text",
    "selector_of",
    "service",
    "session_text",
    "size_text",
    "stack_trace",
    "straightened",
    "succession",
    "throttle",
    "time_text",
    "translation",
    "unconfirmed_text",
    "visible",
    "vitals",
]

_WITH_LOOP: Final = {
    "Plot": "logmonitor.plot.plotting",
    "render_plot": "logmonitor.plot.plotting",
    "succession": "logmonitor.restart",
}


def __getattr__(name: str) -> object:
    """Import what runs in an event loop when it is first asked for: who counts lines needs none, and none is cheap."""
    if name not in _WITH_LOOP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_WITH_LOOP[name])
    return import_module(f"{module.__name__}.{name}") if name == "succession" else getattr(module, name)
