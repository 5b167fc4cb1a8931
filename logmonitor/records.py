"""The records that flow through logmonitor: all frozen, all made of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    r"""One line of a log.

    `raw` has no terminator (neither `\n` nor `\r\n`). `offset` is where the line starts in its file, in bytes; `number`
    is 1-based, counted from where reading of the file began. `truncated` says that `raw` is only the head of a line
    longer than the cap.
    """

    raw: bytes
    offset: int
    number: int
    truncated: bool = False

    @property
    def text(self) -> str:
        """The line as text; bytes that are not UTF-8 become U+FFFD."""
        return self.raw.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    r"""Whole lines of one file, as they stand in it: what a follower gives out.

    Every line in `data` ends with `\n`, but the last one of a file that is finished. `start_offset` and `end_offset`
    are bytes in the file; `number` is that of the first line, 1-based, counted from where reading began. A line over
    the cap stands alone in a chunk with `truncated` set: `data` is then its head, and `end_offset` lies behind its real
    end. `caught_up` says that the file held no more when the chunk was cut, so that the next chunk is a later write.
    `backlog` says that it stood there when following began, and `handled` that it lies before the saved position at
    which it went on: nothing in it is news.
    """

    path: Path
    data: bytes
    start_offset: int
    end_offset: int
    number: int
    truncated: bool = False
    caught_up: bool = False
    backlog: bool = False
    handled: bool = False


class NoticeKind(StrEnum):
    """What a follower has to say about a file besides its lines."""

    MISSING = "missing"
    APPEARED = "appeared"
    UNREADABLE = "unreadable"
    ROTATED = "rotated"
    TRUNCATED = "truncated"
    GAP = "gap"
    LONG_LINE = "long_line"
    POLLING = "polling"
    WATCH_LOST = "watch_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A follower's remark about `path`, said once per occurrence.

    `lost_bytes` of a gap are those that stood there at the follower's last look and were never read, None where there
    are none or where that is not known. What was written after that look and then destroyed nobody can count.
    """

    kind: NoticeKind
    path: Path
    detail: str
    lost_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """Lines of one file for one operation: those that match its patterns, all of them if it has none, in file order."""

    watch: str
    path: Path
    lines: tuple[Line, ...]
    start_offset: int
    end_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Qr:
    """What a login QR holds: a payload, or the modules of one that was only drawn, or the image file that shows it.

    `modules` are rows of 0 (light) and 1 (dark) without quiet zone, as many rows as columns. `first_seen` and `expires`
    are aware UTC; `expires` is None where a QR lives until the next one. `log_path` is the log it was seen in.
    `verified` says that the bot itself signed the line that showed it.
    """

    payload: str | None = None
    modules: tuple[bytes, ...] | None = None
    image_path: Path | None = None
    first_seen: datetime | None = None
    expires: datetime | None = None
    log_path: Path | None = None
    verified: bool = False

    def is_same(self, other: Qr | None) -> bool:
        """Tell whether both show the same content, whenever they were seen."""
        return other is not None and (self.payload, self.modules, self.image_path) == (
            other.payload,
            other.modules,
            other.image_path,
        )


class Refusal(StrEnum):
    """Why a line that should prove who wrote it does not."""

    UNSIGNED = "unsigned"
    WRONG = "wrong"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a bot signs a session line with, besides its text.

    `at` is aware UTC, in milliseconds. `boot` is drawn anew at each start of the writer, as lower-case hexadecimal
    digits; `sequence` counts its lines, from 0.
    """

    at: datetime
    boot: str
    sequence: int


class EventKind(StrEnum):
    """What a log line says about a bot's session."""

    SCAN = "scan"
    SCANNED = "scanned"
    EXPIRED = "expired"
    LOGIN = "login"
    LOGOUT = "logout"
    TRAFFIC = "traffic"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing a log says about the session of the bot `watch`.

    `line` and `offset` are those of the first record that makes the event. `at` is aware UTC, or None where the log
    does not tell the full date and time. `clock` is the log's own clock in seconds: only differences within one log
    mean anything. `seen_at` is when the line was read, aware UTC, or None in a replay. `trusted` is False for a line
    that a stranger may have written; such an event moves nothing. `signature` is what the line was signed
    with; `verified` says that nothing newer had been accepted before. One that is signed and not trusted is older;
    one that is trusted and not verified may be. `refused` says why a line that had to be signed is not believed,
    and `in_message` that such a line may be part of a stranger's message: it is counted, and nobody is alerted.
    """

    kind: EventKind
    line: int
    offset: int
    at: datetime | None = None
    clock: float | None = None
    seen_at: datetime | None = None
    watch: str = ""
    path: Path | None = None
    qr: Qr | None = None
    user: str | None = None
    trusted: bool = True
    verified: bool = False
    signature: Signature | None = None
    refused: Refusal | None = None
    in_message: bool = False


class SessionState(StrEnum):
    """Where a bot's chat session stands."""

    UNKNOWN = "unknown"
    LOGGED_IN = "logged_in"
    LOGGED_OUT = "logged_out"
    AWAITING_SCAN = "awaiting_scan"
    SCANNED = "scanned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is known about one bot's session.

    `since` is when `state` was entered (aware UTC, None if not known). `loss` counts losses, and `loss_id` names the
    last one in the same way for whoever reads that log; `is_lost` holds from a loss until the return. `loss_clock` and
    `loss_seen_at` tell when the last loss was, by the log's clock and by ours. `unconfirmed` is a scan that a stranger
    may have written and nothing has confirmed in time.
    """

    watch: str
    state: SessionState = SessionState.UNKNOWN
    since: datetime | None = None
    qr: Qr | None = None
    user: str | None = None
    verified: bool = False
    loss: int = 0
    loss_id: str = ""
    is_lost: bool = False
    loss_clock: float | None = None
    loss_seen_at: datetime | None = None
    unconfirmed: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of a session and the event that caused it: another state, another QR, or a scan left unconfirmed."""

    before: Session
    after: Session
    event: Event

    @property
    def is_loss(self) -> bool:
        """Whether the session was lost here; said once until the return."""
        return self.after.loss > self.before.loss

    @property
    def is_return(self) -> bool:
        """Whether the session came back here."""
        return self.before.is_lost and not self.after.is_lost


class Priority(IntEnum):
    """Order in which messages leave the outbox when they cannot all leave at once; the smallest first."""

    QR = 0
    REPLY = 1
    ALERT = 2
    DIGEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKey:
    """What a message is about, so that it reaches nobody twice: the `kind` of message about one `loss` of a bot.

    `loss` is the `loss_id` of its session.
    """

    watch: str
    loss: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file sent or received. `qr` is what a login QR shows, for a chat that draws it itself or carries no image."""

    filename: str
    content_type: str
    data: bytes
    caption: str = ""
    qr: Qr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link with a title, for chats that show one as a card."""

    title: str
    url: str
    description: str = ""


Content = str | Attachment | Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who wrote a message. Only `id` is stable; `name` is its owner's to choose and authorises nobody."""

    id: str
    alias: str | None = None
    name: str | None = None
    weixin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A chat message that came in. `room` is None for a direct message; `sent_at` is aware UTC."""

    id: str
    sender: Sender
    conversation: str
    text: str
    sent_at: datetime
    room: str | None = None
    attachments: tuple[Attachment, ...] = ()
    mentions: tuple[str, ...] = ()
    quoted: str | None = None
    from_self: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A chat's acceptance of a message; `accepted_at` is aware UTC."""

    message_id: str | None
    accepted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a chat can be reached; if not, since when (aware UTC) and why.

    While it can be, `since` is since when, and `reason` what is worth telling of it, mostly nothing.
    """

    is_up: bool
    since: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How delivery stands.

    `waiting` counts messages; `failing_for` is how many seconds the chat has taken nothing, None while it takes what it
    is given, and `reason` the last failure. `failed` counts messages given up, as far as they are known, `dropped`
    those among them for which there was no room since the start, `alerts` those to whoever was sent most of them,
    `sent_last_hour` and `sent_in_period` what the chat has taken, by the hour and by the period of its limits.
    `paused_for` is for how many seconds it is let be, since it was sent too much, None if it is not; `unanswered` are
    conversations that get no more until something comes from there. `unsaved` counts what waits and is in memory only,
    since the store cannot be written, for the reason `store_failure`; that is empty if it can.
    """

    waiting: int
    failed: int
    dropped: int
    failing_for: float | None = None
    reason: str = ""
    sent_last_hour: int = 0
    sent_in_period: int = 0
    alerts: int = 0
    paused_for: float | None = None
    unanswered: tuple[str, ...] = ()
    unsaved: int = 0
    store_failure: str = ""
