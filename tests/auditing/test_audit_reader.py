"""Reading an audit beside whoever writes it."""

from __future__ import annotations

import fcntl
import gzip
import os
import tracemalloc
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from logmonitor.audit import Audit, read_anchor
from logmonitor.auditing import reader
from logmonitor.auditing.copies import copies_of
from logmonitor.auditing.reader import LINE_BYTES, read_entries, verify_audit
from logmonitor.auditing.record import AuditRecord
from logmonitor.errors import AuditError
from logmonitor.testing import MemoryKeyValue
from tests.audit_bench import AT, NAME, chained, link_of, newest, record

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.auditing.chain import Link


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an audit of twelve records in four files, the oldest of them compressed."""
    path = tmp_path / NAME
    rotated: Link | None = None
    for number, name in enumerate((f"{NAME}.3.gz", f"{NAME}.2", f"{NAME}.1", NAME)):
        data = chained(3, rotated=rotated)
        rotated = newest(data)
        copy = path.with_name(name)
        copy.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        os.utime(copy, (number, number))
    return path


def numbers(path: Path, *, since: int | None = None, newest: int | None = None) -> list[int]:
    """Return the numbers of the records that are read, from the one on that was written `since` seconds after AT."""
    moment = None if since is None else AT + timedelta(seconds=since)
    return [entry.n for entry, _ in read_entries(path, since=moment, newest=newest)]


@pytest.mark.parametrize(
    ("since", "newest", "expected"),
    [
        (None, None, range(12)),
        (0, None, range(12)),
        (4, None, range(4, 12)),
        (11, None, [11]),
        (12, None, []),
        (None, 1, [11]),
        (None, 3, [9, 10, 11]),
        (None, 7, range(5, 12)),
        (None, 100, range(12)),
        (4, 2, [10, 11]),
    ],
)
def test_entries_are_read_as_far_back_as_wanted(
    path: Path, since: int | None, newest: int | None, expected: range | list[int]
) -> None:
    """Records come in their order from all files, from a time on or the newest ones."""
    assert numbers(path, since=since, newest=newest) == list(expected)


def test_entries_come_with_their_lines(path: Path) -> None:
    """Each record comes with the line it stands in, byte for byte."""
    assert [line for _, line in read_entries(path, newest=3)] == path.read_bytes().splitlines()


def test_entries_of_a_copy_that_cannot_be_read_are_left_out(path: Path) -> None:
    """A damaged copy leaves out what it holds, and a torn line is no record."""
    copy = path.with_name(f"{NAME}.3.gz")
    copy.write_bytes(copy.read_bytes()[:30])
    with path.open("ab") as file:
        file.write(b'{"n":12,')
    assert numbers(path) == list(range(3, 12))


def test_line_without_end_takes_no_memory(path: Path) -> None:
    """A line of 64 MiB is told as one finding, and neither showing nor verifying holds it, or many empty ones."""
    path.unlink()
    bench = Audit(path, anchor=(store := MemoryKeyValue()))
    bench.write(record(0))
    os.truncate(path, path.stat().st_size + (64 << 20))
    with path.open("ab") as file:
        file.write(b"\n")
    Audit(path, anchor=store).write(record(1))
    with gzip.open(path.with_name(f"{NAME}.9.gz"), "wb", compresslevel=1) as copy:
        copy.write(bytes(16 << 20) + b"\n" * 20_000)
    tracemalloc.start()
    try:
        shown = [entry.fields["command"] for entry, _ in read_entries(path, newest=2)]
        verdict = verify_audit(path, read_anchor=lambda: read_anchor(store))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shown[-1] == "restart 1"
    assert [(one.line, one.text) for one in verdict.findings if one.file == str(path)] == [
        (2, "this line is no record: it was inserted")
    ]
    assert peak_bytes < 8 << 20


def test_line_of_any_record_is_read(tmp_path: Path) -> None:
    """The longest record there can be is no line without end."""
    text = "\U000e0001" * 5000
    long = AuditRecord(
        at=AT,
        decision=text,
        user=text,
        name=text,
        conversation=text,
        room=text,
        message=text,
        operation=text,
        command=text,
        reason=text,
        factors=(text,) * 4,
    )
    path = tmp_path / NAME
    Audit(path, anchor=MemoryKeyValue()).write(long)
    assert LINE_BYTES / 2 < path.stat().st_size < LINE_BYTES
    assert len(read_entries(path)) == 1
    assert verify_audit(path).is_intact


def test_entries_are_the_newest_of_many(tmp_path: Path) -> None:
    """Of more records than are held at once the newest come, in their order."""
    path = tmp_path / NAME
    path.write_bytes(chained(1_100))
    assert numbers(path, newest=3) == [1097, 1098, 1099]


def test_copies_are_known_by_name_and_kind(path: Path) -> None:
    """Copies are those whose name a rotation gives, the one written last first; folders and links are none."""
    path.with_name(f"{NAME}.folder").mkdir()
    path.with_name(f"{NAME}.link").symlink_to(path)
    path.with_name("bot.toml").touch()
    dated = path.with_name("bot.audit-20261120.jsonl.gz")
    dated.touch()
    os.utime(dated, (9, 9))
    assert [copy.name for copy in copies_of(path)] == [dated.name, f"{NAME}.1", f"{NAME}.2", f"{NAME}.3.gz"]


def test_verification_reads_all_files(path: Path) -> None:
    """All files are one chain, with the file itself or while it was just rotated away."""
    anchor = link_of(path.read_bytes().splitlines()[-1], 11)
    assert verify_audit(path, read_anchor=lambda: anchor).findings == ()
    path.rename(path.with_name(f"{NAME}.0"))
    verdict = verify_audit(path, read_anchor=lambda: anchor)
    assert (verdict.findings, len(verdict.records)) == ((), 12)


def test_verification_looks_at_one_moment(path: Path) -> None:
    """What is appended while it runs is not looked at, neither whole nor in part."""

    def anchor() -> Link:
        with path.open("ab") as file:
            file.write(b'{"n":12,"previous":"' + b"x" * 100_000)
        return link_of(path.read_bytes().splitlines()[2], 11)

    assert verify_audit(path, read_anchor=anchor).findings == ()


def test_verification_waits_for_who_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins while nobody writes; where somebody does not end, that is an error."""
    monkeypatch.setattr(reader, "LOCK_SECONDS", 0.05)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AuditError, match="another process has held its lock"):
            verify_audit(path)
    assert verify_audit(path).is_intact


def test_verification_keeps_nobody_from_writing(path: Path) -> None:
    """While files are read, records can be written."""
    audit = Audit(path, anchor=MemoryKeyValue())
    verdict = verify_audit(path, read_anchor=lambda: None)
    audit.write(record(12))
    assert len(verdict.records) == 12


def test_rotation_amid_opening_is_seen(path: Path) -> None:
    """Files that are renamed while they are opened are opened anew."""
    moves = [(f"{NAME}.1", f"{NAME}.5"), (NAME, f"{NAME}.1")]

    def anchor() -> Link:
        if moves:
            old, new = moves.pop(0)
            path.with_name(old).rename(path.with_name(new))
        return link_of(path.with_name(f"{NAME}.1" if not moves else NAME).read_bytes().splitlines()[-1], 11)

    verdict = verify_audit(path, read_anchor=anchor)
    assert (verdict.findings, len(verdict.records)) == ((), 12)


def test_rotation_without_end_is_told(path: Path) -> None:
    """Files that never stay where they are are an error."""
    count = 0

    def anchor() -> None:
        nonlocal count
        count += 1
        path.with_name(f"{NAME}.{count}a").touch()

    with pytest.raises(AuditError) as caught:
        verify_audit(path, read_anchor=anchor)
    assert str(caught.value) == f"{path}: is rotated again and again; try again"


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("bot.toml")])
def test_path_that_is_no_file_cannot_be_read(tmp_path: Path, make: object) -> None:
    """A directory, a named pipe and a link are no audits; nothing waits for them."""
    path = tmp_path / NAME
    assert callable(make)
    make(path)
    with pytest.raises(AuditError) as caught:
        verify_audit(path)
    assert str(caught.value) == f"{path}: is no ordinary file; expected the file that an audit is written to"


def test_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    """An audit in a folder that does not exist cannot be read."""
    with pytest.raises(AuditError, match="cannot be read: no such file or directory"):
        read_entries(tmp_path / "logs" / NAME)
