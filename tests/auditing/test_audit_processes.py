"""The audit among processes: two that write at once, one that is killed, one whose disk is full."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from logmonitor.audit import ANCHOR_OWNER, Audit, read_anchor
from logmonitor.auditing.reader import verify_audit
from logmonitor.store import Store
from tests.audit_bench import NAME, RECORD, ROOT, start_writer

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.auditing.verification import Verdict

KILLS = 20

_FULL = """\
import resource
import sys
from pathlib import Path
from logmonitor.audit import Audit
from logmonitor.auditing.reader import verify_audit
from logmonitor.errors import AuditError
from logmonitor.testing import MemoryKeyValue
from tests.audit_bench import RECORD

path = Path(sys.argv[1])
audit = Audit(path, anchor=MemoryKeyValue())
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
audit.write(RECORD)
for room in (0, 1, 100, 150):
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, most))
    try:
        audit.write(RECORD)
    except AuditError as error:
        print(str(error).removeprefix(f"{path}: "), audit.failing_since is None, path.read_bytes().count(b"\\n"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
audit.write(RECORD)
print(audit.failing_since is None, verify_audit(path).findings, len(verify_audit(path).records))
"""


def verdict_of(path: Path) -> Verdict:
    """Verify an audit against the store beside it."""
    with Store(path.with_suffix(".db")) as store:
        return verify_audit(path, read_anchor=lambda: read_anchor(store.view(ANCHOR_OWNER)))


def begin(writer: subprocess.Popen[str]) -> None:
    """Wait until a writer is ready, and let it write."""
    assert writer.stdout is not None
    assert writer.stdin is not None
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("\n")
    writer.stdin.flush()


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    """Two that write 500 records each at once make one chain of 1000, which the store knows to its end."""
    path = tmp_path / NAME
    with start_writer(path, count=500) as one, start_writer(path, count=500) as other:
        begin(one)
        begin(other)
        assert [writer.communicate(timeout=60)[1] for writer in (one, other)] == ["", ""]
        assert (one.returncode, other.returncode) == (0, 0)
    verdict = verdict_of(path)
    assert verdict.findings == ()
    assert [standing.link.n for standing in verdict.records] == list(range(1000))


def test_two_processes_write_one_chain_while_it_is_rotated(tmp_path: Path) -> None:
    """Renaming the file while two write loses no record and breaks no chain."""
    path = tmp_path / NAME
    with start_writer(path, count=200) as one, start_writer(path, count=200) as other:
        begin(one)
        begin(other)
        copies = 0
        while one.poll() is None or other.poll() is None:
            if path.exists() and path.stat().st_size:
                copies += 1
                path.rename(path.with_name(f"{NAME}.{copies}"))
        assert [writer.communicate(timeout=60)[1] for writer in (one, other)] == ["", ""]
    verdict = verdict_of(path)
    assert copies > 1
    assert [finding.text for finding in verdict.findings if not finding.is_remark] == []
    assert [standing.link.n for standing in verdict.records] == list(range(400))


def test_kill_while_writing_leaves_at_most_a_torn_line(tmp_path: Path) -> None:
    """However often a writer is killed amid writing, nothing is missing but what was torn, and appending goes on."""
    path = tmp_path / NAME
    for number in range(KILLS):
        wanted = (path.stat().st_size if path.exists() else 0) + number * 1000
        with start_writer(path, count=100_000, size=3000) as writer:
            begin(writer)
            while not path.exists() or path.stat().st_size <= wanted:
                assert writer.poll() is None
            writer.send_signal(signal.SIGKILL)
            writer.wait(60)
    verdict = verdict_of(path)
    assert [finding for finding in verdict.findings if not finding.is_remark] == []
    assert sum("torn" in finding.text for finding in verdict.findings) <= KILLS
    assert len(verdict.records) >= KILLS
    with Store(path.with_suffix(".db")) as store:
        Audit(path, anchor=store.view(ANCHOR_OWNER)).write(RECORD)
    assert verdict_of(path).is_intact
    assert len(verdict_of(path).records) == len(verdict.records) + 1


def test_full_disk_is_told_and_survived(tmp_path: Path) -> None:
    """Wherever in a line the disk is full, that is an error with a remedy; once there is room it goes on by itself."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path / NAME)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    told = "cannot be written: file too large; make room on its disk, and it is written to again by itself False 1\n"
    assert (done.stdout, done.stderr) == (f"{told * 4}True () 2\n", "")
