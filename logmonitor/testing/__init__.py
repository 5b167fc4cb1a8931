"""A kit for authors of operations: a program with its people, and doubles for whatever surrounds a handler."""

from __future__ import annotations

from logmonitor.testing.authenticator import Authenticator
from logmonitor.testing.chat import Chat, chat
from logmonitor.testing.clock import START, FakeClock
from logmonitor.testing.context import RecordingContext, Sent
from logmonitor.testing.expectation import Expected, Heard
from logmonitor.testing.host import FakeHost, FakeShell
from logmonitor.testing.key_value import MemoryKeyValue
from logmonitor.testing.log_writer import LogWriter
from logmonitor.testing.participant import Room, Said, User
from logmonitor.testing.sample import ADMIN, batch, event, message
from logmonitor.testing.second_channel import MemorySecondChannel
from logmonitor.testing.transcript import BOT, Entry, Transcript
from logmonitor.testing.transport import MemoryTransport

__all__ = [
    "ADMIN",
    "BOT",
    "START",
    "Authenticator",
    "Chat",
    "Entry",
    "Expected",
    "FakeClock",
    "FakeHost",
    "FakeShell",
    "Heard",
    "LogWriter",
    "MemoryKeyValue",
    "MemorySecondChannel",
    "MemoryTransport",
    "RecordingContext",
    "Room",
    "Said",
    "Sent",
    "Transcript",
    "User",
    "batch",
    "chat",
    "event",
    "message",
]
