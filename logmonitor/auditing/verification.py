"""What was done to an audit, as far as its chain and the store's anchor tell.

Files are put in order by their records, not by their names. That the oldest copies are gone is how logs are rotated;
that anything else is gone, or is not as it was written, is a finding.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from logmonitor.auditing.chain import ORIGIN, Begin, Link, entry_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

_NUMBER: Final = re.compile(rb'\{"n":\d+')
_HEAD: Final = b'{"n":0,"previous":"'
_SHAPE: Final = _HEAD + ORIGIN.encode() + b'",'
_SAME_DIGIT: Final = bytes.maketrans(b"123456789abcdef", b"0" * 15)
_MOST_STRAYS: Final = 1000  # in one place; more are not told one by one
_REMOVED: Final = "lines or files were removed"
_GONE: Final = "already when this one was written, the file had been emptied or removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a line that is too long to be a record's, without its terminator; the line `is_whole` with the last."""

    data: bytes
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFile:
    """A file with records in it; `lines` are read once, in order, each without its terminator or in parts."""

    name: str
    lines: Iterable[bytes | Part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about a line, counted from 1, or with None about a whole file.

    A remark is about what happens without anybody's meaning it, such as a kill or a rotation.
    """

    file: str
    line: int | None
    text: str
    is_remark: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A line that is no record; one that `is_torn` begins as a record does."""

    line: int
    is_torn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A record where it stands: `rest` are the lines behind it that are no records.

    `covered` is the hash of all of these together, which is what the next record in the same file holds.
    """

    link: Link
    previous: str
    at: datetime
    begins: Begin | None
    file: str
    line: int
    covered: str
    rest: tuple[Stray, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What verification found; `records` are those that make up the chain, in its order."""

    records: tuple[Standing, ...]
    findings: tuple[Finding, ...]

    @property
    def is_intact(self) -> bool:
        """Whether there is nothing to say but remarks."""
        return all(finding.is_remark for finding in self.findings)


def verify(files: Sequence[AuditFile], *, anchor: Link | None = None, is_anchored: bool = True) -> Verdict:
    """Look for records that were removed, changed, moved or inserted, in all files of one audit.

    The first of `files` is the audit itself. `anchor` is the newest record that the store knows; without a store, as
    for a copy on another machine, nothing `is_anchored`, and what was cut off the end does not show.
    """
    read = [_read(file) for file in files]
    kept, findings = _merged([records for _, records in read], anchor)
    chain = [kept[n] for n in sorted(kept)]
    order = {name: place for place, name in enumerate(dict.fromkeys(one.file for one in chain))}
    for file, (leading, _) in zip(files, read, strict=True):
        if file.name in order or file is files[0]:
            findings += (_stray_finding(file.name, stray) for stray in leading)
    findings += _begin_findings(chain)
    for before, after in pairwise(chain):
        findings += _pair_findings(before, after)
    for place, one in enumerate(chain, 1):
        findings += _rest_findings(one, chain[place] if place < len(chain) else None)
    if is_anchored:
        findings += _end_findings(files[0].name, chain, anchor)
    findings.sort(key=lambda finding: (order.get(finding.file, len(order)), finding.line or 0))
    return Verdict(records=tuple(chain), findings=tuple(findings))


def _read(file: AuditFile) -> tuple[list[Stray], list[Standing]]:
    """Return the lines before the first record of a file, and its records."""
    leading: list[Stray] = []
    rest: list[Stray] = []
    records: list[Standing] = []
    covered = hashlib.sha256()

    def end_record() -> None:
        if rest:
            records[-1] = replace(records[-1], covered=covered.hexdigest(), rest=tuple(rest))
            rest.clear()

    def note(stray: Stray) -> None:
        strays = rest if records else leading
        if len(strays) < _MOST_STRAYS:
            strays.append(stray)

    number, is_amid = 0, False
    for line in file.lines:
        number += not is_amid
        if isinstance(line, Part):
            if not is_amid:
                note(Stray(line=number, is_torn=False))
                covered.update(b"\n")
            covered.update(line.data)
            is_amid = not line.is_whole
            continue
        entry = entry_of(line)
        if entry is None:
            note(Stray(line=number, is_torn=_is_torn(line)))
            covered.update(b"\n" + line)
            continue
        end_record()
        covered = hashlib.sha256(line)
        link = Link(n=entry.n, digest=covered.hexdigest())
        records.append(
            Standing(
                link=link,
                previous=entry.previous,
                at=entry.at,
                begins=entry.begins,
                file=file.name,
                line=number,
                covered=link.digest,
            )
        )
    end_record()
    return leading, records


def _is_torn(line: bytes) -> bool:
    """Tell whether a line that is no record may be the beginning of one; a power cut may put zeros behind it."""
    start = _NUMBER.sub(b'{"n":0', line.rstrip(b"\0"), count=1)[: len(_SHAPE)]
    return bool(line) and _SHAPE.startswith(start[: len(_HEAD)] + start[len(_HEAD) :].translate(_SAME_DIGIT))


def _merged(files: Iterable[list[Standing]], anchor: Link | None) -> tuple[dict[int, Standing], list[Finding]]:
    """Put the records of all files together, by number, and tell which lines stand where none was written.

    A file that repeats another, as a copy does before what it was copied from is emptied, adds nothing.
    """
    kept: dict[int, Standing] = {}
    rivals: list[Standing] = []
    findings: list[Finding] = []
    filled = [records for records in files if records]
    filled.sort(key=lambda records: (min(one.link.n for one in records), -max(one.link.n for one in records)))
    for records in filled:
        own: list[Standing] = []
        for one in records:
            n = one.link.n
            other = kept.setdefault(n, one)
            if other is one:
                own.append(one)
            elif other.link != one.link:
                rivals.append(one)
            elif other.file == one.file:
                findings.append(_finding(one, f"record {n} stands here a second time: the line was inserted"))
        for one in _moved(own):
            text = f"record {one.link.n} does not stand in its order: lines were swapped or moved"
            findings.append(_finding(one, text))
    for rival in rivals:
        n = rival.link.n
        both = (kept[n], rival)
        kept[n], intruder = sorted(both, key=lambda one: _is_vouched_for(one, kept, anchor), reverse=True)
        findings.append(_finding(intruder, f"another record {n} stands in the chain: this line was inserted"))
    return kept, findings


def _moved(records: Sequence[Standing]) -> list[Standing]:
    """Return the fewest records without which the others stand in order."""
    tops: list[int] = []
    places: list[int] = []
    for one in records:
        place = bisect_left(tops, one.link.n)
        tops[place : place + 1] = [one.link.n]
        places.append(place)
    moved: list[Standing] = []
    wanted = len(tops) - 1
    for one, place in zip(reversed(records), reversed(places), strict=True):
        if place == wanted:
            wanted -= 1
        else:
            moved.append(one)
    return moved


def _is_vouched_for(one: Standing, kept: Mapping[int, Standing], anchor: Link | None) -> bool:
    """Tell whether the next record, or the store, holds the hash of this one."""
    after = kept.get(one.link.n + 1)
    return one.link == anchor or (after is not None and after.previous in {one.link.digest, one.covered})


def _begin_findings(chain: Sequence[Standing]) -> Iterator[Finding]:
    """Look at the oldest record there is."""
    if not chain:
        return
    first = chain[0]
    n = first.link.n
    if (n == 0) != (first.begins is Begin.CHAIN) or (n == 0 and first.previous != ORIGIN):
        yield _finding(first, f"record {n} is not what the first record of all is like: the line was changed")
    elif first.begins is None:
        yield _finding(first, f"{_missing(0, n - 1)} before this line, and no file begins with it: {_REMOVED}")
    elif first.begins is Begin.GAP:
        yield _finding(first, f"{_missing(0, n - 1)} before this line: {_GONE}")
    elif first.begins is Begin.FILE:
        text = f"the chain begins with record {n} of {first.at.isoformat()}: older copies are gone, as rotation has it"
        yield _finding(first, text, is_remark=True)


def _pair_findings(before: Standing, after: Standing) -> Iterator[Finding]:
    """Look at two records that follow each other in the chain."""
    n = after.link.n
    is_same_file = before.file == after.file
    if n > before.link.n + 1:
        if not _is_explained(before, after):
            where = "" if is_same_file else f", behind the end of {before.file}"
            why = _GONE if after.begins is Begin.GAP else _REMOVED
            yield _finding(after, f"{_missing(before.link.n + 1, n - 1)} before this line{where}: {why}")
    elif after.previous not in {before.link.digest, before.covered if is_same_file else before.link.digest}:
        text = f"record {before.link.n} has not the hash that record {n} holds of it: one of the two was changed"
        yield _finding(before, text)


def _is_explained(before: Standing, after: Standing) -> bool:
    """Tell whether each record that is missing between two has a line that is no record in its place."""
    return before.file == after.file and after.link.n - before.link.n - 1 == len(before.rest)


def _rest_findings(before: Standing, after: Standing | None) -> Iterator[Finding]:
    """Look at the lines behind a record that are no records; `after` is the next in the chain."""
    for number, stray in enumerate(before.rest, before.link.n + 1):
        if after is None or after.file != before.file:
            yield _stray_finding(before.file, stray)
        elif _is_explained(before, after):
            text = f"record {number} should stand here: the line was changed or cut"
            yield Finding(file=before.file, line=stray.line, text=text)
        else:
            was_there = after.previous != before.link.digest or after.begins is not None
            yield _stray_finding(before.file, stray, was_there=was_there)


def _stray_finding(file: str, stray: Stray, *, was_there: bool = True) -> Finding:
    """Tell about a line that is no record; `was_there` unless the next record was written without seeing it."""
    if stray.is_torn and was_there:
        text = "this line was torn while it was written, by a kill or a full disk; its record never counted"
        return Finding(file=file, line=stray.line, text=text, is_remark=True)
    return Finding(file=file, line=stray.line, text="this line is no record: it was inserted")


def _end_findings(name: str, chain: Sequence[Standing], anchor: Link | None) -> Iterator[Finding]:
    """Compare the newest records with what the store knows."""
    if not chain:
        if anchor is not None:
            yield Finding(
                file=name, line=None, text=f"{_missing(0, anchor.n)}: the file was emptied, removed or replaced"
            )
        return
    newest = chain[-1]
    known_to = -1 if anchor is None else anchor.n
    ahead = newest.link.n - known_to
    known = next((one for one in reversed(chain) if one.link.n <= known_to), None)
    if ahead < 0:
        text = (
            f"{_missing(newest.link.n + 1, known_to)} behind this line: {_REMOVED}, or an older file was put in place"
        )
        yield _finding(newest, text)
    elif known is not None and known.link.n == known_to and known.link != anchor:
        yield _finding(known, f"record {known_to} has not the hash that the store holds of it: the line was changed")
    if ahead == 1:
        text = "the store does not know of this record yet: its writer was killed, or another wrote the line"
        yield _finding(newest, text, is_remark=True)
    elif ahead > 1:
        what = "no record" if anchor is None else f"no record behind {known_to}"
        text = (
            f"the store knows of {what}: it was replaced, or others wrote the last lines; none behind would be missed"
        )
        yield _finding(newest, text)


def _finding(standing: Standing, text: str, *, is_remark: bool = False) -> Finding:
    return Finding(file=standing.file, line=standing.line, text=text, is_remark=is_remark)


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"
