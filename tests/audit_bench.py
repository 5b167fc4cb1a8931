"""Audits for tests: chains in memory, and child processes that write to one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from logmonitor.auditing.chain import Link, digest, line_of, next_place, tail_of
from logmonitor.auditing.record import AuditRecord
from logmonitor.auditing.verification import AuditFile, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmonitor.auditing.verification import Finding, Verdict

ROOT = Path(__file__).parent.parent
AT = datetime(2026, 11, 20, 14, 44, 35, tzinfo=UTC)
RECORD = AuditRecord(at=AT, decision="allowed", user="wxid_1")
NAME = "bot.audit.jsonl"
_WRITER = """\
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from logmonitor.audit import ANCHOR_OWNER, Audit
from logmonitor.auditing.record import AuditRecord
from logmonitor.store import Store

path, count, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with Store(path.with_suffix(".db")) as store:
    audit = Audit(path, anchor=store.view(ANCHOR_OWNER), transaction=store.transaction)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        with store.transaction() if number % 2 else nullcontext():
            audit.write(AuditRecord(at=datetime.now(UTC), decision="allowed", user="x" * size, command=f"{number}"))
"""


def record(number: int, **fields: object) -> AuditRecord:
    """Return a record that tells which it is."""
    return replace(RECORD, at=AT + timedelta(seconds=number), command=f"restart {number}", **fields)  # type: ignore[arg-type]


def chained(count: int, *, behind: bytes = b"", anchor: Link | None = None, rotated: Link | None = None) -> bytes:
    """Return the data of a file with `count` more records, as the audit appends them to what is there."""
    data = behind
    for _ in range(count):
        tail = tail_of(data, is_whole=True)
        place = next_place(tail, anchor=anchor, rotated=rotated)
        data += b"\n" * tail.is_torn + line_of(record(place.n), place) + b"\n"
    return data


def newest(data: bytes) -> Link:
    """Return the newest record of a file."""
    link = tail_of(data, is_whole=True).newest
    assert link is not None
    return link


def link_of(line: bytes, n: int) -> Link:
    """Return what the store would hold of a line."""
    return Link(n=n, digest=digest(line.removesuffix(b"\n")))


def file_of(data: bytes, name: str = NAME) -> AuditFile:
    """Return a file as verification reads it."""
    return AuditFile(name=name, lines=[line.removesuffix(b"\n") for line in data.splitlines(keepends=True)])


def verified(*files: bytes, anchor: Link | None = None, is_anchored: bool = True) -> Verdict:
    """Verify an audit and its copies, called by their place."""
    named = [file_of(data, NAME if not place else f"{NAME}.{place}") for place, data in enumerate(files)]
    return verify(named, anchor=anchor, is_anchored=is_anchored)


def told(findings: Sequence[Finding]) -> list[str]:
    """Return findings as they are printed, without the name of the only file."""
    return [f"{'remark ' * one.is_remark}{one.file.removeprefix(NAME)}:{one.line}: {one.text}" for one in findings]


def start_writer(path: Path, *, count: int, size: int = 1) -> subprocess.Popen[str]:
    """Start a process that writes to the audit at `path` once it is told to; its store lies beside it.

    Every other record is part of a larger transaction of the store, as that of a grant is.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), str(count), str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
