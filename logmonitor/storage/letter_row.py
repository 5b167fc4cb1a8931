"""Letters as rows of the store, and rows as letters: what is in them as JSON, a file's bytes beside it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.errors import StoreError
from logmonitor.records import Attachment, Link, MessageKey, Priority, Qr
from logmonitor.sending.letter import Letter, Undelivered
from logmonitor.storage.moment import to_milliseconds, to_moment
from logmonitor.storage.row import number_of, text_of

if TYPE_CHECKING:
    from logmonitor.records import Content
    from logmonitor.storage.row import Row, Value

LETTERS: Final = (
    "SELECT id, recipient, priority, slot, watch, loss, kind, content, data, written_at, expires_at, parts_sent, stamp,"
    " attempts FROM letter"
)
"""What asks for the rows of which `letter_of` makes letters."""

SHOWN: Final = (
    "SELECT id, recipient, priority, written_at, expires_at, attempts, reason, failed_at FROM letter ORDER BY id"
)
"""What asks for the rows of which `undelivered_of` makes what is shown: nothing of what is in the letters."""


def kept_text(text: str, /) -> str:
    """Return a text as it can be kept: what is no Unicode in it, as in a file's name, is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def letter_values(letter: Letter, /) -> tuple[Value, ...]:
    """Return what is kept of a letter, in the order of `LETTERS`."""
    content, data = _written(letter.content)
    key = letter.key
    return (
        letter.id,
        kept_text(letter.to),
        int(letter.priority),
        None if letter.slot is None else kept_text(letter.slot),
        *((None, None, None) if key is None else key_values(key)),
        content,
        data,
        to_milliseconds(letter.written_at),
        None if letter.expires_at is None else to_milliseconds(letter.expires_at),
        letter.parts_sent,
        letter.stamp,
        letter.attempts,
    )


def key_values(key: MessageKey, /) -> tuple[str, str, str]:
    """Return what is kept of a key."""
    return kept_text(key.watch), kept_text(key.loss), kept_text(key.kind)


def letter_of(row: Row, /) -> Letter:
    """Return the letter that a row is, put at 0.

    Raises:
        StoreError: it is none.
    """
    id_, to, priority, slot, watch, loss, kind, content, data, written_at, expires_at, parts_sent, stamp, attempts = row
    return Letter(
        id=number_of(id_),
        to=text_of(to),
        content=_read(text_of(content), data),
        priority=_priority_of(priority),
        slot=None if slot is None else text_of(slot),
        key=None if watch is None else MessageKey(watch=text_of(watch), loss=text_of(loss), kind=text_of(kind)),
        expires_at=None if expires_at is None else to_moment(expires_at),
        written_at=to_moment(written_at),
        put_at=0.0,
        parts_sent=number_of(parts_sent),
        stamp=text_of(stamp),
        attempts=number_of(attempts),
    )


def undelivered_of(row: Row, /) -> Undelivered:
    """Return what is shown of the letter that a row of `SHOWN` is.

    Raises:
        StoreError: it is none.
    """
    id_, to, priority, written_at, expires_at, attempts, reason, failed_at = row
    return Undelivered(
        id=number_of(id_),
        to=text_of(to),
        priority=_priority_of(priority),
        written_at=to_moment(written_at),
        expires_at=None if expires_at is None else to_moment(expires_at),
        attempts=number_of(attempts),
        reason=text_of(reason),
        failed_at=None if failed_at is None else to_moment(failed_at),
    )


def _priority_of(value: object) -> Priority:
    try:
        return Priority(number_of(value))
    except ValueError:
        raise StoreError(f"the store holds a letter of priority {value!r}; expected 0 to 3") from None


def _written(content: Content) -> tuple[str, bytes | None]:
    """Return what is kept of what a letter says: the text of it, which JSON escapes where it is no Unicode."""
    match content:
        case str():
            return json.dumps({"text": content}), None
        case Link():
            link = {"title": content.title, "url": content.url, "description": content.description}
            return json.dumps({"link": link}), None
    file = {"filename": content.filename, "content_type": content.content_type, "caption": content.caption}
    qr = content.qr
    if qr is None:
        return json.dumps({"file": file}), content.data
    shown = {
        "payload": qr.payload,
        "modules": None if qr.modules is None else [row.hex() for row in qr.modules],
        "image_path": None if qr.image_path is None else str(qr.image_path),
        "log_path": None if qr.log_path is None else str(qr.log_path),
        "first_seen": None if qr.first_seen is None else qr.first_seen.isoformat(),
        "expires": None if qr.expires is None else qr.expires.isoformat(),
        "verified": qr.verified,
    }
    return json.dumps({"file": file, "qr": shown}), content.data


def _read(text: str, data: object) -> Content:
    try:
        kept = json.loads(text)
        if "text" in kept:
            return text_of(kept["text"])
        if "link" in kept:
            return Link(**kept["link"])
        if not isinstance(data, bytes):
            raise StoreError("the store holds a file without its bytes")
        return Attachment(**kept["file"], data=data, qr=_qr_of(kept["qr"]) if "qr" in kept else None)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise StoreError(f"the store holds a letter that is none: {type(error).__name__}") from None


def _qr_of(kept: dict[str, object]) -> Qr:
    def moment(name: str) -> datetime | None:
        value = kept[name]
        return None if value is None else datetime.fromisoformat(text_of(value))

    def path(name: str) -> Path | None:
        value = kept[name]
        return None if value is None else Path(text_of(value))

    modules, payload = kept["modules"], kept["payload"]
    return Qr(
        payload=None if payload is None else text_of(payload),
        modules=tuple(map(bytes.fromhex, modules)) if isinstance(modules, list) else None,
        image_path=path("image_path"),
        first_seen=moment("first_seen"),
        expires=moment("expires"),
        log_path=path("log_path"),
        verified=kept["verified"] is True,
    )
