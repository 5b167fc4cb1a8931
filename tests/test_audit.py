"""Writing the audit: what lies on disk, what a failure says, and that it goes on by itself."""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
import stat
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from logmonitor import audit as audit_module
from logmonitor.audit import Audit, read_anchor
from logmonitor.auditing.reader import verify_audit
from logmonitor.errors import AuditError, StoreError
from logmonitor.testing import MemoryKeyValue
from tests.audit_bench import AT, NAME, RECORD, link_of, record, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from logmonitor.auditing.verification import Verdict


class Bench:
    """An audit in a folder, and a store in memory that knows its newest record."""

    def __init__(self, folder: Path) -> None:
        """Begin with nothing written."""
        self.path = folder / NAME
        self.store = MemoryKeyValue()
        self.audit = self.restarted()
        self.count = 0

    def restarted(self) -> Audit:
        """Return an audit as a new process has it."""
        return Audit(self.path, anchor=self.store)

    def write(self, count: int = 1) -> None:
        """Write records."""
        for _ in range(count):
            self.audit.write(record(self.count))
            self.count += 1

    def verdict(self) -> Verdict:
        """Verify what was written."""
        return verify_audit(self.path, read_anchor=lambda: read_anchor(self.store))

    def told(self) -> list[str]:
        """Return what verification tells."""
        return [text.replace(f"{self.path.parent}/", "") for text in told(self.verdict().findings)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return an audit that nothing was written to."""
    return Bench(tmp_path)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Make files without the bits of `mask`."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_audit_appends_lines_that_are_anchored(bench: Bench) -> None:
    """Each record is one line more, and the store knows the newest one."""
    bench.write(3)
    lines = bench.path.read_bytes().splitlines()
    assert len(lines) == 3
    assert read_anchor(bench.store) == link_of(lines[2], 2)
    assert (bench.verdict().findings, bench.audit.path) == ((), bench.path)


def test_audit_that_is_off_writes_nothing() -> None:
    """Without a path nothing is written, and that is no failure."""
    store = MemoryKeyValue()
    audit = Audit(None, anchor=store)
    audit.write(RECORD)
    assert (store.keys(), audit.failing_since, audit.path) == ((), None, None)


def test_audit_shows_no_secret(tmp_path: Path) -> None:
    """What the configuration says is secret is in no line."""
    audit = Audit(tmp_path / NAME, anchor=MemoryKeyValue(), secrets=["hunter2", ""])
    audit.write(replace(RECORD, command="sh mysql -phunter2"))
    assert '"command":"sh mysql -p[redacted]"' in (tmp_path / NAME).read_text("utf-8")


def test_audit_is_its_owners_alone(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The file is made with mode 0600 under any umask, and one that others may use is closed to them and told."""
    with umask(0):
        bench.write()
    assert (stat.S_IMODE(bench.path.stat().st_mode), caplog.messages) == (0o600, [])
    warning = f"audit {bench.path} had mode %s, which lets others use it; it has 600 now"
    for mode in (0o644, 0o666):
        bench.path.chmod(mode)
        if mode == 0o644:
            bench.write()
        else:
            bench.audit.probe(AT)
        assert stat.S_IMODE(bench.path.stat().st_mode) == 0o600
        assert caplog.messages.pop() == warning % f"{mode:o}"
        caplog.clear()


def test_audit_that_others_keep_the_use_of_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mode of a file that others may use cannot be changed, nothing is written to it."""

    def refuse(_descriptor: int, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    bench.write()
    bench.path.chmod(0o666)
    monkeypatch.setattr(os, "fchmod", refuse)
    user = os.geteuid()
    assert failing(bench) == (
        f"{NAME}: has mode 666, which lets others use it, and belongs to user {user}; chown it to user {user}, who"
        " writes to it"
    )
    assert len(bench.path.read_bytes().splitlines()) == 1


def test_audit_survives_text_of_any_kind_and_length(bench: Bench) -> None:
    """Half a character, line ends and a command of a megabyte make one readable line each."""
    bench.audit.write(replace(RECORD, name="\ud800\n\0", command="x" * (1 << 20)))
    bench.write()
    lines = bench.path.read_text("utf-8").splitlines()
    assert len(lines) == 2
    assert "[cut; 1048576 characters]" in lines[0]
    assert bench.verdict().findings == ()


def test_audit_goes_on_after_a_restart(bench: Bench) -> None:
    """A new process goes on where the one before it ended."""
    bench.write(2)
    bench.audit = bench.restarted()
    bench.write(2)
    assert (bench.verdict().findings, len(bench.verdict().records)) == ((), 4)


def test_audits_of_two_processes_make_one_chain(bench: Bench) -> None:
    """What another has written in between is followed."""
    other = bench.restarted()
    for _ in range(5):
        bench.write()
        other.write(RECORD)
    assert (bench.verdict().findings, len(bench.verdict().records)) == ((), 10)


def test_audit_goes_on_behind_a_torn_line(bench: Bench) -> None:
    """A line that a kill left torn is ended, and told as that."""
    bench.write(2)
    with bench.path.open("ab") as file:
        file.write(b'{"n":2,"previous":"')
    bench.write(2)
    assert bench.told() == [
        f"remark {NAME}:3: this line was torn while it was written, by a kill or a full disk; its record never counted"
    ]
    assert len(bench.verdict().records) == 4


def test_audit_finds_its_newest_record_before_a_long_foreign_line(bench: Bench) -> None:
    """The chain goes on also where what stands behind the newest record is larger than what is read at first."""
    bench.write(2)
    with bench.path.open("ab") as file:
        file.write(b"x" * 100_000 + b"\n")
    bench.audit, bench.store = bench.restarted(), bench.store
    bench.write()
    assert bench.told() == [f"{NAME}:3: this line is no record: it was inserted"]


def rename(path: Path) -> None:
    """Rotate as logrotate does by default, with `nocreate`."""
    path.rename(path.with_name(f"{path.name}.{len(list(path.parent.iterdir()))}"))


def rename_and_create(path: Path) -> None:
    """Rotate as logrotate does with `create`, by dates."""
    path.rename(path.with_name(f"{path.name}-202611{len(list(path.parent.iterdir())):02}"))
    path.touch(0o640)


def copy_and_truncate(path: Path) -> None:
    """Rotate as logrotate does with `copytruncate`."""
    shutil.copy2(path, path.with_name(f"{path.name}.{len(list(path.parent.iterdir()))}"))
    os.truncate(path, 0)


def rename_and_compress(path: Path) -> None:
    """Rotate as logrotate does with `compress`, dated before the extension."""
    count = len(list(path.parent.iterdir()))
    copy = path.with_name(f"{path.name.removesuffix('.jsonl')}-202611{count:02}.jsonl.gz")
    copy.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


@pytest.mark.parametrize("rotate", [rename, rename_and_create, copy_and_truncate, rename_and_compress])
@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("is_anchored", [False, True])
def test_chain_goes_on_over_rotation(
    bench: Bench, rotate: Callable[[Path], None], *, is_restarted: bool, is_anchored: bool
) -> None:
    """However the file is rotated, the same process or a new one goes on, with the store or a new one."""
    for _ in range(3):
        bench.write(3)
        rotate(bench.path)
        if not is_anchored:
            bench.store.delete("newest")
        if is_restarted or not is_anchored:
            bench.audit = bench.restarted()
    bench.write(3)
    assert (bench.verdict().findings, len(bench.verdict().records)) == ((), 12)
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o600


def test_chain_goes_on_where_copies_are_renumbered_and_deleted(bench: Bench) -> None:
    """With `rotate 2` and delayed compression the chain is intact, and says from when on it is there."""
    first, second = (bench.path.with_name(f"{NAME}.{suffix}") for suffix in ("1", "2.gz"))
    for _ in range(4):
        bench.write(3)
        if first.exists():
            second.write_bytes(gzip.compress(first.read_bytes()))
        bench.path.rename(first)
    bench.write(3)
    assert bench.told() == [
        (
            f"remark {NAME}.2.gz:1: the chain begins with record 6 of 2026-11-20T14:44:41+00:00: older copies are gone,"
            " as rotation has it"
        )
    ]
    assert bench.verdict().is_intact


def test_chain_follows_a_copy_that_is_ahead_of_the_store(bench: Bench) -> None:
    """A record that a kill kept from the store is followed though it was rotated away meanwhile."""
    bench.write(3)
    before = bench.store.get("newest")
    bench.write()
    assert before is not None
    bench.store.put("newest", before)
    bench.path.rename(bench.path.with_name(f"{NAME}.1"))
    bench.audit = bench.restarted()
    bench.write()
    assert (bench.verdict().findings, len(bench.verdict().records)) == ((), 5)


def test_removed_file_shows_after_it_was_written_to_again(bench: Bench) -> None:
    """A file that was removed rather than rotated is told for good."""
    bench.write(3)
    bench.path.unlink()
    bench.write(2)
    assert bench.told() == [
        (
            f"{NAME}:1: records 0 to 2 are missing before this line: already when this one was written, the file had"
            " been emptied or removed"
        )
    ]


@pytest.mark.parametrize("state", ["removed", "emptied", "older"])
def test_replaced_file_shows(bench: Bench, state: str) -> None:
    """A file that was removed, emptied or put back to an older state shows, before it is written to and after."""
    bench.write(3)
    older = bench.path.read_bytes()
    bench.write(3)
    match state:
        case "removed":
            bench.path.unlink()
        case "emptied":
            os.truncate(bench.path, 0)
        case _:
            bench.path.write_bytes(older)
    assert not bench.verdict().is_intact
    bench.write()
    assert not bench.verdict().is_intact
    bench.audit = bench.restarted()
    bench.write()
    assert not bench.verdict().is_intact


def test_copy_that_cannot_be_read_is_passed_over_and_told(bench: Bench) -> None:
    """A damaged copy keeps nothing from being written; verification tells it and what is missing for it."""
    bench.write(3)
    packed = gzip.compress(bench.path.read_bytes())
    copy = bench.path.with_name(f"{NAME}.1.gz")
    copy.write_bytes(packed[: len(packed) // 3])
    bench.path.unlink()
    bench.write(2)
    findings = bench.told()
    assert findings[0].startswith(f"{NAME}:1: records 0 to 2 are missing before this line")
    assert findings[-1].startswith(f"{NAME}.1.gz:None: it cannot be read to its end: ")


def failing(bench: Bench) -> str:
    """Return what a write says that must fail, without the folder."""
    with pytest.raises(AuditError) as caught:
        bench.write()
    return str(caught.value).replace(f"{bench.path.parent}/", "")


def test_missing_folder_is_told(tmp_path: Path) -> None:
    """A folder that does not exist is an error that names the file and what to do; once it is there it goes on."""
    bench = Bench(tmp_path / "logs")
    assert failing(bench) == (
        f"{NAME}: cannot be written: no such file or directory; make the folder that it is to stand in"
    )
    failing_since = bench.audit.failing_since
    bench.path.parent.mkdir()
    bench.write()
    assert (failing_since, bench.audit.failing_since, bench.audit.failure) == (AT, None, "")


def test_failure_remembers_since_when_and_why(tmp_path: Path) -> None:
    """What status tells: since when nothing could be written, and why the last record could not."""
    bench = Bench(tmp_path / "logs")
    failing(bench)
    bench.count = 60
    bench.path.parent.touch()
    assert failing(bench) == (
        f"{NAME}: cannot be written: not a directory; name a file in a folder as [security] audit"
    )
    assert bench.audit.failing_since == AT
    assert bench.audit.failure.endswith("name a file in a folder as [security] audit")
    bench.path.parent.unlink()
    bench.path.parent.mkdir()
    bench.write()
    bench.path.unlink()
    bench.path.mkdir()
    failing(bench)
    assert bench.audit.failing_since == AT + timedelta(seconds=61)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: path.mkdir(), "cannot be written: is a directory; name a file as [security] audit"),
        (os.mkfifo, "is no ordinary file; name another as [security] audit"),
        (
            lambda path: path.symlink_to("elsewhere"),
            (
                "cannot be written: too many levels of symbolic links; name the file that the link leads to as"
                " [security] audit"
            ),
        ),
    ],
)
def test_path_that_is_no_file_is_told(bench: Bench, make: Callable[[Path], None], text: str) -> None:
    """A directory, a named pipe and a symbolic link are refused, at once and without following it."""
    make(bench.path)
    assert failing(bench) == f"{NAME}: {text}"
    assert not (bench.path.parent / "elsewhere").exists()


def test_device_that_is_full_is_no_file(tmp_path: Path) -> None:
    """A device is refused, whatever it would take."""
    with pytest.raises(AuditError, match="/dev/full: is no ordinary file"):
        Audit(tmp_path.joinpath("/dev/full"), anchor=MemoryKeyValue()).write(RECORD)


def test_probe_tells_before_anything_is_written(tmp_path: Path) -> None:
    """What would keep a record from being written is raised and remembered, and forgotten once one was written."""
    bench = Bench(tmp_path / "logs")
    with pytest.raises(AuditError, match=r"cannot be written: no such file or directory; make the folder"):
        bench.audit.probe(AT)
    assert (bench.audit.failing_since, bench.audit.failure[-38:]) == (AT, "make the folder that it is to stand in")
    bench.path.parent.mkdir()
    bench.audit.probe(AT + timedelta(seconds=1))
    assert (bench.path.read_bytes(), stat.S_IMODE(bench.path.stat().st_mode)) == (b"", 0o600)
    assert (bench.audit.failing_since, bench.verdict().findings) == (AT, ())
    bench.write()
    bench.audit.probe(AT + timedelta(seconds=2))
    assert (bench.audit.failing_since, bench.audit.failure) == (None, "")
    assert (bench.verdict().findings, len(bench.verdict().records)) == ((), 1)


def test_probe_of_an_audit_that_is_off_finds_nothing() -> None:
    """Where nothing is to be written, nothing can fail."""
    audit = Audit(None, anchor=MemoryKeyValue())
    audit.probe(AT)
    assert audit.failing_since is None


def test_probe_tells_a_full_disk_and_a_lock(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room, and a lock that another holds, are told as a write would tell them."""
    monkeypatch.setattr(audit_module, "LOCK_SECONDS", 0.05)
    bench.write()
    with bench.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(AuditError, match="another process has held its lock"):
            bench.audit.probe(AT)
    disk = os.statvfs_result((4096, 4096, 8, 0, 0, 8, 8, 8, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda _: disk)
    with pytest.raises(AuditError, match="cannot be written: no space left on device; make room on its disk"):
        bench.audit.probe(AT)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody, if this is root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_file_that_may_not_be_written_is_told(bench: Bench) -> None:
    """A file without the right to write, or to reach it, is told with what to do, and can be verified no more."""
    bench.write()
    bench.path.chmod(0)
    with unprivileged():
        assert failing(bench) == (
            f"{NAME}: cannot be written: permission denied; let the user that the bot runs as write to it, and enter"
            " the folders above it"
        )
        with pytest.raises(AuditError) as caught:
            bench.verdict()
    assert str(caught.value) == (
        f"{bench.path}: cannot be read: permission denied; run this as the user that the bot runs as"
    )


def test_lock_that_another_holds_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is not let go is an error and no stand-still; once it is, writing goes on."""
    monkeypatch.setattr(audit_module, "LOCK_SECONDS", 0.05)
    bench.write()
    with bench.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert failing(bench) == f"{NAME}: another process has held its lock for 0.05 s; end that one"
    bench.write()
    assert bench.verdict().findings == ()


def test_file_that_is_replaced_without_end_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file at the path is never the one that was opened, that is an error too."""
    monkeypatch.setattr(audit_module, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(os.path, "samestat", lambda *_: False)
    assert failing(bench) == f"{NAME}: is replaced again and again; name a file that stays as [security] audit"


class LostStore(MemoryKeyValue):
    """A store that cannot be written, and if it is blind, not be read either."""

    is_blind = False

    def put(self, key: str, value: str, /) -> None:
        """Fail."""
        raise StoreError(f"cannot keep {key!r}: {len(value)} characters")

    def get(self, key: str, /) -> str | None:
        """Fail if blind."""
        if self.is_blind:
            raise StoreError("cannot read")
        return super().get(key)


def test_store_that_fails_is_told(bench: Bench) -> None:
    """A record that the store cannot anchor, or that has no place for want of the store, does not count as written."""
    lost = LostStore()
    bench.audit = Audit(bench.path, anchor=lost)
    assert failing(bench).startswith(f"{NAME}: cannot be anchored in the store: cannot keep 'newest': ")
    assert len(bench.path.read_bytes().splitlines()) == 1
    assert bench.audit.failing_since == RECORD.at
    lost.is_blind = True
    bench.audit = Audit(bench.path, anchor=lost)
    assert failing(bench) == f"{NAME}: cannot be anchored in the store: cannot read"
    assert len(bench.path.read_bytes().splitlines()) == 1


def test_store_is_never_more_than_a_record_behind(bench: Bench) -> None:
    """While the store cannot be written, one record is appended and no more; once it can, it knows of that too."""
    bench.write(2)
    lost = LostStore(newest=bench.store.get("newest") or "")
    bench.audit = Audit(bench.path, anchor=lost)
    for _ in range(3):
        failing(bench)
    assert len(bench.path.read_bytes().splitlines()) == 3
    assert verify_audit(bench.path, read_anchor=lambda: read_anchor(lost)).is_intact
    bench.audit = bench.restarted()
    bench.write()
    assert (bench.verdict().findings, len(bench.verdict().records)) == ((), 4)
