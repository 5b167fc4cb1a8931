"""The chain of audit records: each line carries its number and the hash of what stands before it.

`previous` is the SHA-256 of the line of the record before, its terminator left out, and of whatever was left torn
between the two; for the first record of a file, which has nothing before it there, of that line alone. The first record
of all has `ORIGIN`. A record that begins a file says so, so that a file cut at its start is told from one whose older
copies were rotated away.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from logmonitor.auditing.record import fields_of, json_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logmonitor.auditing.record import AuditRecord

ORIGIN: Final = "0" * 64
"""What the first record of all has in place of a hash."""

_HEXADECIMAL: Final = frozenset("0123456789abcdef")


class Begin(StrEnum):
    """How a record begins a file.

    `CHAIN`: it is the first of all. `FILE`: the one before stands in a rotated copy. `GAP`: the one before was not
    found when this one was written.
    """

    CHAIN = "chain"
    FILE = "file"
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A record's place in the chain: its number, from 0, and the hash of its line."""

    n: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record as a line tells it; `fields` holds all of it."""

    n: int
    previous: str
    at: datetime
    begins: Begin | None
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a file: its newest record, the hash of that line and all behind it, and whether the end is torn."""

    newest: Link | None = None
    covered: str = ORIGIN
    is_torn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the next record goes."""

    n: int
    previous: str
    begins: Begin | None = None


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def line_of(record: AuditRecord, place: Place, secrets: Iterable[str] = ()) -> bytes:
    """Return the line of a record, without terminator."""
    fields: dict[str, object] = {"n": place.n, "previous": place.previous}
    if place.begins is not None:
        fields["begins"] = place.begins
    return json_line(fields | fields_of(record, secrets))


def entry_of(line: bytes) -> Entry | None:
    """Read a line; None if it is no whole record."""
    try:
        fields = json.loads(line.decode("utf-8"))
        n, previous, at = fields["n"], fields["previous"], datetime.fromisoformat(fields["at"])
        begins = Begin(fields["begins"]) if "begins" in fields else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_link = type(n) is int and n >= 0 and isinstance(previous, str) and len(previous) == len(ORIGIN)
    if not is_link or not _HEXADECIMAL.issuperset(previous) or at.utcoffset() is None:
        return None
    return Entry(n=n, previous=previous, at=at, begins=begins, fields=fields)


def tail_of(data: bytes, *, is_whole: bool) -> Tail:
    """Look at the end of a file; unless `data` is the whole file, its first line may be a part of one."""
    torn = bool(data) and not data.endswith(b"\n")
    end = len(data) if torn else len(data) - 1
    stop = end
    while stop >= 0:
        start = data.rfind(b"\n", 0, stop) + 1
        if start == 0 and not is_whole:
            break
        line = data[start:stop]
        entry = entry_of(line)
        if entry is not None:
            return Tail(newest=Link(n=entry.n, digest=digest(line)), covered=digest(data[start:end]), is_torn=torn)
        stop = start - 1
    return Tail(is_torn=torn)


def next_place(tail: Tail, *, anchor: Link | None, rotated: Link | None = None) -> Place:
    """Decide where the next record goes.

    `anchor` is the newest record that the store knows; the file may be ahead of it, and where it is not, the anchor
    is believed: what the file lacks or has otherwise then shows for good. `rotated` is the newest record of the
    rotated copies, looked for where the file itself has none.
    """
    newest = tail.newest
    if newest is not None:
        if anchor is None or newest.n > anchor.n or newest == anchor:
            return Place(n=newest.n + 1, previous=tail.covered)
        return Place(n=anchor.n + 1, previous=anchor.digest)
    if rotated is not None and (anchor is None or rotated.n > anchor.n or rotated == anchor):
        return Place(n=rotated.n + 1, previous=rotated.digest, begins=Begin.FILE)
    if anchor is not None:
        return Place(n=anchor.n + 1, previous=anchor.digest, begins=Begin.GAP)
    return Place(n=0, previous=ORIGIN, begins=Begin.CHAIN)


def anchor_text(link: Link, /) -> str:
    """Return what the store keeps of the newest record; the inverse of `parse_anchor`."""
    return json.dumps({"n": link.n, "digest": link.digest})


def parse_anchor(text: str | None, /) -> Link | None:
    """Read what the store keeps; None if that is nothing, or no anchor."""
    try:
        fields = json.loads(text or "")
        n, value = fields["n"], fields["digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_link = type(n) is int and n >= 0 and isinstance(value, str) and len(value) == len(ORIGIN)
    return Link(n=n, digest=value) if is_link else None
