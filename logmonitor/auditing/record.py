"""What the audit keeps of one decision, and the text it is kept as: one line, without secrets, fit for any terminal."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from logmonitor.errors import AuditError
from logmonitor.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TEXT_LIMIT: Final = 4000
"""How many characters of one text are kept."""

_ASTRAL: Final = 0x10000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One decision, or what became of one.

    `at` is aware UTC. `decision` is a word such as `allowed`, `refused`, `asked`, `confirmed` or `ended`; `reason` says
    why. `user` is the stable id of who wrote, `name` what the chat calls them. `room` is None for a direct message;
    `message` is the message's id. `command` is the canonical text, `factors` what was shown besides the right to run
    it, `grant` and `job` are ids. `duration` is in seconds.
    """

    at: datetime
    decision: str
    user: str
    name: str | None = None
    conversation: str = ""
    room: str | None = None
    message: str = ""
    operation: str | None = None
    command: str | None = None
    reason: str = ""
    factors: tuple[str, ...] = ()
    grant: int | None = None
    job: int | None = None
    exit_code: int | None = None
    duration: float | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be read again."""
        if self.at.utcoffset() is None:
            raise AuditError(f"bad time {self.at.isoformat()!r} of an audit record; expected one with its zone")
        if not self.decision:
            raise AuditError("an audit record has no decision; expected a word such as 'allowed'")
        if self.duration is not None and not math.isfinite(self.duration):
            raise AuditError(f"bad duration {self.duration!r} of an audit record; expected seconds")


def fields_of(record: AuditRecord, secrets: Iterable[str] = ()) -> dict[str, object]:
    """Return what is kept of a record, in the order in which it is written.

    Every text is redacted, and cut where it is long. What a record does not have is left out.
    """
    values = tuple(secrets)

    def kept(text: str | None) -> str | None:
        return None if text is None else _cut(redact(text, values), length=len(text))

    fields = {
        "at": record.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "decision": kept(record.decision),
        "user": kept(record.user),
        "name": kept(record.name),
        "conversation": kept(record.conversation),
        "room": kept(record.room),
        "message": kept(record.message),
        "operation": kept(record.operation),
        "command": kept(record.command),
        "reason": kept(record.reason),
        "factors": [kept(factor) for factor in record.factors] or None,
        "grant": record.grant,
        "job": record.job,
        "exit_code": record.exit_code,
        "duration": None if record.duration is None else round(record.duration, 3),
    }
    return {key: value for key, value in fields.items() if value is not None}


def json_line(fields: Mapping[str, object]) -> bytes:
    """Return canonical JSON in UTF-8, without terminator: the keys in their order, no space, nothing unseen in it.

    Control characters and those that turn the direction of writing are escaped; all others stand as they are.
    """
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if not text.isprintable():
        text = "".join(character if character.isprintable() else _escaped(character) for character in text)
    return text.encode("utf-8")


def _cut(text: str, *, length: int) -> str:
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}… [cut; {length} characters]"


def _escaped(character: str) -> str:
    code = ord(character)
    if code < _ASTRAL:
        return f"\\u{code:04x}"
    high, low = divmod(code - _ASTRAL, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
