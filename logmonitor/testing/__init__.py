"""A kit for authors of operations: whatever surrounds an operation, for its tests."""

from __future__ import annotations

from logmonitor.testing.clock import START, FakeClock
from logmonitor.testing.context import RecordingContext, Sent
from logmonitor.testing.host import FakeHost
from logmonitor.testing.key_value import MemoryKeyValue
from logmonitor.testing.log_writer import LogWriter
from logmonitor.testing.sample import ADMIN, batch, event, message
from logmonitor.testing.transport import MemoryTransport

__all__ = [
    "ADMIN",
    "START",
    "FakeClock",
    "FakeHost",
    "LogWriter",
    "MemoryKeyValue",
    "MemoryTransport",
    "RecordingContext",
    "Sent",
    "batch",
    "event",
    "message",
]
