"""What can go wrong, as one tree.

LogMonitorError
├── ConfigurationError       a configuration cannot be read or is not valid
│   ├── RefusedPatternError  ... and nothing is wrong with it but patterns or profiles
│   └── BrokenCodeError      ... because of code that it names, which fails
├── PatternError             a pattern is not accepted by the regex engines
├── ProfileError             a profile cannot be read or is not valid, or none fits
├── QrError                  a QR cannot be drawn
├── OperationError           an operation is put together wrongly
├── HostError                the machine refuses, or cannot do what it was asked
├── UsageError               a command was typed in a way that cannot be meant
├── CodeError                a one-time code is not the one that was expected
├── StoreError               what must last cannot be kept or read
│   ├── StoreUnavailableError  ... because of its place, which may pass: no room, no right, another process
│   └── ForeignStoreError    ... since what stands there is none of ours to touch, which does not pass
│       └── NewerStoreError  ... as a newer logmonitor made it
├── AuditError               what was decided cannot be put on record
└── TransportError           a chat did not do what it was asked
    ├── ThrottledError       ... since too much was sent: nothing is wrong with the message
    └── RejectedError        ... and would refuse the same again: do not retry
        └── ContactError     ... since nobody, or several, are called so
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class LogMonitorError(Exception):
    """Base of every error this package raises on purpose; its text is fit for a user."""


class ConfigurationError(LogMonitorError):
    """A configuration that cannot be read or is not valid; the text names file, key, value and what was expected."""


class RefusedPatternError(ConfigurationError):
    """A configuration in which nothing is wrong but patterns or profiles that are refused."""


class BrokenCodeError(ConfigurationError):
    """A configuration that names code which fails; nobody's slip of the pen, and one operation's matter alone."""


class PatternError(LogMonitorError):
    """A pattern that RE2 or hyperscan refuses; the text names the construct and what to write instead."""


class ProfileError(LogMonitorError):
    """A profile that cannot be read, is not valid, or does not fit the log."""


class QrError(LogMonitorError):
    """A QR that cannot be drawn; the text says why and does not hold its content."""


class OperationError(LogMonitorError):
    """An operation or command that is put together wrongly."""


class HostError(LogMonitorError):
    """The machine refuses what it was asked, or cannot do it."""


class UsageError(LogMonitorError):
    """A command typed in a way that cannot be meant; the text tells who typed it, in their language, what can be."""


class CodeError(LogMonitorError):
    """A one-time code that is not the one that was expected; the text says why and does not hold it."""


class StoreError(LogMonitorError):
    """A store that cannot be opened, read or written; the text names the file and what to do."""


class StoreUnavailableError(StoreError):
    """A store whose place is at fault, which may pass: no room, no right to it, held by another process."""


class ForeignStoreError(StoreError):
    """No store but another program's database, a newer version's, or no file at all: left as it is, and no start."""


class NewerStoreError(ForeignStoreError):
    """A store that a newer logmonitor made, with all that stands in it."""


class AuditError(LogMonitorError):
    """An audit that cannot be written or read; the text names the file and what to do."""


class TransportError(LogMonitorError):
    """A chat that did not do what it was asked; trying again later may help."""


class ThrottledError(TransportError):
    """A chat that takes no more for now; `retry_after` is for how many seconds, None where it does not say."""

    def __init__(self, text: str, /, *, retry_after: float | None = None) -> None:
        """Take what to say, and how long to wait."""
        super().__init__(text)
        self.retry_after = retry_after


class RejectedError(TransportError):
    """A chat that refused for good: the same request would be refused again."""


class ContactError(RejectedError):
    """A chat that knows nobody, or several, by a name; `explain` tells it in the language of who asked."""

    def __init__(self, explain: Callable[[Callable[[str], str]], str], /) -> None:
        """Take what makes the text, given what translates."""
        super().__init__(explain(str))
        self.explain = explain
