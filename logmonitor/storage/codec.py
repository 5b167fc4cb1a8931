"""Records as text for the store and back; what comes back is one of the known records, or an error."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Final, TypeVar

from logmonitor.errors import StoreError
from logmonitor.machine import Completed
from logmonitor.records import (
    Event,
    EventKind,
    Line,
    LogBatch,
    Qr,
    Refusal,
    Session,
    SessionState,
    Signature,
    Transition,
)
from logmonitor.signing import Accepted
from logmonitor.watch import Doubt, WatchState

_T = TypeVar("_T")
_RECORDS: Final[Mapping[str, type]] = {
    one.__name__: one
    for one in (Accepted, Completed, Doubt, Event, LogBatch, Qr, Session, Signature, Transition, WatchState)
}
_ENUMS: Final[Mapping[str, type[Enum]]] = {one.__name__: one for one in (EventKind, Refusal, SessionState)}
_PLAIN: Final = (str, int, float, bool, type(None))


def encode(record: object, /) -> str:
    """Return a record as text; a field that has its default value is left out."""
    return json.dumps(_written(record), separators=(",", ":"))


def decode(text: str, kind: type[_T], /) -> _T:
    """Return the record of that kind that a text is.

    Raises:
        StoreError: it is none.
    """
    try:
        record = _read(json.loads(text))
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise StoreError(f"the store holds what is no {kind.__name__}: {type(error).__name__}") from error
    if not isinstance(record, kind):
        raise StoreError(f"the store holds {type(record).__name__}; expected {kind.__name__}")
    return record


def _written(value: object) -> object:  # noqa: PLR0911  # one for each kind of value
    """Return what JSON can hold: a value that JSON has, or an object with one key that says what it stands for."""
    match value:
        case Line(raw=raw, offset=offset, number=number, truncated=truncated):  # there may be very many
            return {"line": [raw.decode("utf-8", "surrogateescape"), offset, number, truncated]}
        case Enum():
            return {type(value).__name__: value.value}
        case bytes():
            return {"bytes": b64encode(value).decode()}
        case datetime():
            return {"time": value.isoformat()}
        case PurePath():
            return {"path": str(value)}
        case tuple():
            return [_written(one) for one in value]
        case Mapping():
            return {"map": [[_written(key), _written(one)] for key, one in value.items()]}
        case _ if is_dataclass(value):
            given = {one.name: getattr(value, one.name) for one in fields(value)}
            changed = {one.name: given[one.name] for one in fields(value) if given[one.name] != _default(one)}
            return {type(value).__name__: {name: _written(one) for name, one in changed.items()}}
        case _ if isinstance(value, _PLAIN):
            return value
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _default(field: Any) -> object:  # noqa: ANN401  # a field of any record
    return field.default if field.default_factory is MISSING else field.default_factory()


def _read(value: object) -> object:  # noqa: PLR0911  # the same
    if isinstance(value, list):
        return tuple(map(_read, value))
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "bytes":
            return b64decode(content, validate=True)
        case "time":
            return datetime.fromisoformat(content)
        case "path":
            return Path(content)
        case "map":
            return {_read(key): _read(one) for key, one in content}
        case "line":
            raw, offset, number, truncated = content
            return Line(raw=raw.encode("utf-8", "surrogateescape"), offset=offset, number=number, truncated=truncated)
    if kind in _ENUMS:
        return _ENUMS[kind](content)
    return _RECORDS[kind](**{name: _read(one) for name, one in content.items()})
