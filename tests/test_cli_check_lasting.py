"""`logmonitor check` on what lasts: store, audit, key, enrolments and second channels."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor import cli
from logmonitor.audit import ANCHOR_OWNER, Audit
from logmonitor.auditing.record import AuditRecord
from logmonitor.cli import check_lasting
from logmonitor.cli.row import reason_of, user_name
from logmonitor.config import load
from logmonitor.errors import ForeignStoreError, StoreUnavailableError
from logmonitor.grant import Grant
from logmonitor.lasting import Lasting
from logmonitor.sealing import make_key_file
from logmonitor.storage.lease_file import LeaseFile
from logmonitor.store import Store
from tests.storage.files import execute

if TYPE_CHECKING:
    from collections.abc import Callable

DATA: Final = Path(__file__).parent / "data"
FINE: Final = """
[bot]
name = "alice"
[chat]
transport = "stdio"
admins = ["AdminWeixin", "Deputy"]
[[watch]]
name = "bob"
log = "bob.log"
[[operation]]
use = "qr_rescue"
"""
WITHOUT_STORE: Final = (
    "until then `logmonitor run` works without it: it rescues, and refuses whoever was granted something, what asks for"
    " a one-time code and what changes anything"
)
AT: Final = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder in which `FINE` has nothing to be found."""
    (tmp_path / "bob.log").write_bytes((DATA / "wechaty-ts.real.log").read_bytes())
    return tmp_path.resolve()


def checked(folder: Path, capsys: pytest.CaptureFixture[str], more: str = "", *, code: int = 0) -> list[str]:
    """Check a configuration; return the lines about what lasts."""
    path = folder / "bots.toml"
    path.write_text(FINE + more, encoding="utf-8")
    path.chmod(0o600)
    before = sorted(folder.iterdir())
    assert cli.main(["check", str(path)]) == code
    assert sorted(one for one in folder.iterdir() if one.suffix not in {".db-wal", ".db-shm"}) == before
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.replace(str(folder), "@").splitlines()
    others = ("ok: configuration", "ok: watch", "ok: chat", "Nothing stands", "1 finding; ", "2 findings; ")
    return [line for line in lines if not line.startswith(others)]


def keep(folder: Path, *, records: int = 0, enrolled: tuple[str, ...] = ()) -> None:
    """Have a store, with records in the audit and users enrolled."""
    with Store(folder / "bots.db") as store:
        audit = Audit(folder / "bots.audit.jsonl", anchor=store.view(ANCHOR_OWNER))
        for number in range(records):
            audit.write(AuditRecord(at=AT, decision="allowed", user=f"id-{number}"))
        for name in enrolled:
            store.enrol(name, b"sealed", recovery=(), at=AT)


def test_check_tells_that_what_lasts_is_to_be_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first start there is nothing, and nothing is made by looking."""
    assert checked(folder, capsys) == [
        "ok: store: @/bots.db can be made",
        "ok: audit: @/bots.audit.jsonl can be made",
        "ok: one-time codes: nobody is enrolled",
    ]
    assert checked(folder, capsys, "[security]\naudit = false\n")[1] == (
        "ok: audit: audit = false: nothing is put on record"
    )


def test_check_tells_who_is_enrolled_and_that_all_is_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store, an intact audit, a key of mode 0600, and each admin with and without codes have their rows."""
    keep(folder, records=3, enrolled=("AdminWeixin", "wxid_1"))
    make_key_file(folder / "bots.key")
    url = "json://u:hunter22@127.0.0.1/hunter23"
    assert checked(folder, capsys, f'[[second_channel]]\nadmin = "Deputy"\nurl = "{url}"\n') == [
        "ok: store: @/bots.db can be written",
        "ok: audit: @/bots.audit.jsonl can be written",
        "ok: audit: its 3 records follow one upon the other",
        "ok: key: @/bots.key is there, for its owner alone",
        "ok: one-time codes of AdminWeixin: is enrolled",
        "ok: one-time codes of Deputy: is not enrolled; what asks for a one-time code is refused",
        "ok: one-time codes of wxid_1: is enrolled",
        "ok: second channel of Deputy: leads over json; nothing was sent to try it",
    ]


def test_check_tells_that_the_key_comes_from_the_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a key in the configuration no file is looked for."""
    make_key_file(folder / "other.key")
    keep(folder, records=1, enrolled=("AdminWeixin", "Deputy"))
    key = (folder / "other.key").read_text().strip()
    lines = checked(folder, capsys, f'[security]\nkey = "{key}"\n')
    assert lines[2:4] == ["ok: audit: has 1 record", "ok: key: comes from [security] key"]


def test_check_finds_a_key_that_others_can_read_or_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that may not be used, or that enrolments need and nobody has, is a finding with its remedy."""
    make_key_file(folder / "bots.key")
    (folder / "bots.key").chmod(0o640)
    lines = checked(folder, capsys, code=1)
    assert lines[2].startswith("finding: key: key file '@/bots.key' has mode 0640, so that others")
    assert lines[2].endswith("expected 0600: chmod 600 '@/bots.key'")
    assert lines[3] == "  remedy: until then no one-time code is accepted"
    (folder / "bots.key").unlink()
    keep(folder, enrolled=("AdminWeixin",))
    lines = checked(folder, capsys, code=1)
    assert lines[2].startswith("finding: key: no key file '@/bots.key'; expected the one")


def test_check_finds_what_was_done_to_the_audit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that is gone from the middle or the end, or a file that is no audit, is a finding."""
    keep(folder, records=4)
    path = folder / "bots.audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((lines[0], *lines[2:])))
    found = checked(folder, capsys, code=1)
    assert found[2].startswith("finding: audit: @/bots.audit.jsonl, line 2: ")
    assert found[3] == "  remedy: logmonitor audit --verify --config @/bots.toml tells all of it"
    path.write_bytes(b"".join(lines[:2]))
    assert checked(folder, capsys, code=1)[2].startswith("finding: audit: @/bots.audit.jsonl")
    path.unlink()
    path.mkdir()
    assert checked(folder, capsys, code=1)[1:3] == [
        "finding: audit: @/bots.audit.jsonl is a directory, so that nothing that changes anything is run",
        "  remedy: move it elsewhere, or name another file as [security] audit",
    ]


def test_check_finds_an_audit_that_others_can_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that others can read or write is a finding, and looking leaves it as it is."""
    keep(folder, records=1)
    (folder / "bots.audit.jsonl").chmod(0o666)
    assert checked(folder, capsys, code=1)[1:3] == [
        (
            "finding: audit: @/bots.audit.jsonl has mode 666, so that others than its owner can read or change what is"
            " on record"
        ),
        "  remedy: chmod 600 @/bots.audit.jsonl",
    ]


def test_check_quotes_what_is_to_be_typed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path with a blank in it is quoted where it is part of a command."""
    keep(folder, records=2)
    path, audit = folder / "my bots.toml", folder / "my bots.audit.jsonl"
    (folder / "bots.audit.jsonl").rename(audit)
    path.write_text(FINE, encoding="utf-8")
    assert cli.main(["check", str(path)]) == 0
    assert capsys.readouterr().out.endswith(f"Nothing stands in the way of: logmonitor run '{path}'\n")
    audit.write_bytes(audit.read_bytes().splitlines(keepends=True)[1])
    assert cli.main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert f"  remedy: logmonitor audit --verify --config '{path}' tells all of it\n" in out


def test_check_finds_a_store_that_cannot_be_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged store is told and left where it is, and one that was set aside is told until it is moved."""
    (folder / "bots.db").write_bytes(b"no database" * 1000)
    lines = checked(folder, capsys, code=1)
    assert lines[0].startswith("finding: store: store @/bots.db is ")
    assert lines[1] == (
        "  remedy: put a copy of it in its place, or else grant and enroll anew; until then `logmonitor run` refuses"
        " whoever was granted something, and what asks for a one-time code"
    )
    (folder / "bots.db").rename(folder / "bots.db.corrupt-20261120T000000Z")
    (folder / "bots.db.corrupt-20261120T000000Z-wal").touch()
    lines = checked(folder, capsys, code=1)
    assert lines[:3] == [
        (
            "finding: store: one that was damaged was set aside as @/bots.db.corrupt-20261120T000000Z, with all grants"
            " and enrolments in it"
        ),
        "  remedy: grant and enroll anew, and move it elsewhere",
        "ok: store: @/bots.db can be made",
    ]


def make_folder(path: Path) -> None:
    """Put a directory there."""
    path.mkdir()


def make_link(path: Path) -> None:
    """Put a link there."""
    path.symlink_to("elsewhere.db")


def make_other_programs(path: Path) -> None:
    """Put the database of another program there."""
    execute(path, "CREATE TABLE other (x)")


def make_newer(path: Path) -> None:
    """Put a store of a newer version there."""
    with Store(path):
        pass
    execute(path, "PRAGMA user_version = 99")


MOVING: Final = "name another file as [bot] store, or mv @/bots.db @/bots.db.other"


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (make_folder, MOVING),
        (make_link, MOVING),
        (make_other_programs, MOVING),
        (make_newer, "run the logmonitor that made it"),
    ],
)
def test_check_tells_that_a_bot_does_not_start_where_run_does_not(
    folder: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None], remedy: str
) -> None:
    """Where what stands in the store's place is none of ours `run` does not start, and `check` says so."""
    make(folder / "bots.db")
    assert checked(folder, capsys, code=1)[1] == f"  remedy: {remedy}; until then `logmonitor run` does not start"
    with pytest.raises(ForeignStoreError):
        Lasting(load(folder / "bots.toml"))


def test_check_tells_that_a_bot_works_without_a_store_where_run_does(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the store's place is at fault `check` says what goes on and what does not, and `run` starts."""
    more = '[security]\naudit = "audit"\nkey_file = "key"\n'
    text = FINE.replace("[chat]", 'store = "my logs/bots.db"\n[chat]')
    path = folder / "bots.toml"
    path.write_text(text + more, encoding="utf-8")
    assert cli.main(["check", str(path)]) == 1
    assert (
        f"  remedy: mkdir -p '{folder}/my logs', or name a file elsewhere; {WITHOUT_STORE}\n" in capsys.readouterr().out
    )
    with Lasting(load(path)) as lasting, pytest.raises(StoreUnavailableError):
        lasting.store.grants()

    def refuse(_path: Path) -> frozenset[str]:
        raise StoreUnavailableError("store @/bots.db cannot be opened: permission denied")

    monkeypatch.setattr(check_lasting, "read_enrolled", refuse)
    assert checked(folder, capsys, code=1)[:2] == [
        "finding: store: store @/bots.db cannot be opened: permission denied",
        f"  remedy: let the user {user_name()} read and write it, on a disk that works; {WITHOUT_STORE}",
    ]


def test_check_finds_a_place_that_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is not there, and files and folders that may not be written, each have their remedy."""
    lines = checked(folder, capsys, '[security]\naudit = "logs/audit"\n', code=1)
    assert lines[1:3] == [
        "finding: audit: @/logs, in which audit is to be, is no folder that exists",
        "  remedy: mkdir -p @/logs, or name a file elsewhere",
    ]
    monkeypatch.setattr(os, "access", lambda path, *_, **__: path != folder)
    remedy = f"  remedy: let the user {user_name()} read and write it, and its folder, or name a file elsewhere"
    lines = checked(folder, capsys, code=1)
    assert lines[:2] == ["finding: store: @/bots.db cannot be made", f"{remedy}; {WITHOUT_STORE}"]
    assert lines[2:4] == ["finding: audit: @/bots.audit.jsonl cannot be made", remedy]
    keep(folder)
    assert checked(folder, capsys, code=1)[:2] == [
        "finding: store: @/bots.db cannot be written",
        f"{remedy}; {WITHOUT_STORE}",
    ]
    name = "x" * 300
    lines = checked(folder, capsys, f'[security]\naudit = "{name}"\n', code=1)
    assert lines[2] == f"finding: audit: @/{name} cannot be looked at: file name too long"


def test_check_finds_denials_of_what_is_no_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After a command or operation was renamed or removed a denial of it is a finding, a grant of it is told."""
    with Store(folder / "bots.db") as store:
        for user, operation, command, is_denial in (
            ("wxid_1", "qr_rescue", "qr", True),
            ("wxid_1", "logmonitor", "*", True),
            ("*", "*", "*", True),
            ("wxid_1", "shell", "sh", True),
            ("*", "*", "restart", True),
            ("wxid_1", "qr_rescue", "old", False),
            ("wxid_1", "*", "q?", False),
            ("wxid_2", "gone", "*", False),
        ):
            store.add_grant(
                Grant(user=user, operation=operation, command=command, room="*", is_denial=is_denial, at=AT)
            )
        store.add_grant(Grant(user="wxid_1", command="ended", until=AT, is_denial=True, at=AT))
    lines = checked(folder, capsys, code=1)
    assert lines[1:6] == [
        (
            "finding: denial 4: shell.sh, denied to wxid_1, is no command here now; what has another name now is not"
            " denied"
        ),
        "  remedy: deny it by the name it has now, then: logmonitor grant revoke 4 --config @/bots.toml",
        (
            "finding: denial 5: restart, denied to everybody, is no command here now; what has another name now is not"
            " denied"
        ),
        "  remedy: deny it by the name it has now, then: logmonitor grant revoke 5 --config @/bots.toml",
        "ok: grants: what is no command here gives nothing: qr_rescue.old (6), gone.* (8)",
    ]


def test_check_counts_grants_of_what_is_no_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Many of them, as an import leaves, are one row."""
    with Store(folder / "bots.db") as store:
        for number in range(11):
            store.add_grant(Grant(user="wxid_1", command=f"old{number}", at=AT))
    row = checked(folder, capsys)[1]
    assert row.startswith("ok: grants: what is no command here gives nothing: old0 (1), ")
    assert row.endswith(", old7 (8) and 3 more")


def test_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody knows a user's name the number has to do; an error without a reason tells what it has."""

    def refuse() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", refuse)
    assert user_name() == str(os.getuid())
    assert [reason_of(OSError(2, "Not There")), reason_of(OSError("Odd"))] == ["not there", "odd"]


def test_check_tells_whether_rescuers_can_share_their_lease(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file of the lease is looked at like the store, and nothing is made; without one there is no row."""
    before = checked(folder, capsys)
    rows = checked(folder, capsys, '[rescue]\nlease = "lease.db"\n')
    assert [row for row in rows if row not in before] == ["ok: lease: @/lease.db can be made"]
    rows = checked(folder, capsys, '[rescue]\nlease = "leases/lease.db"\n', code=1)
    text = "\n".join(row for row in rows if row not in before)
    assert "lease: @/leases, in which lease.db is to be, is no folder that exists" in text
    assert "until then every rescuer sends, so that each message comes several times" in text


def test_check_tells_what_no_rescuers_can_share(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder, a link, what is no lease or another's file; one that is in use is fine, and all is left as it is."""
    path, keys = folder / "lease.db", '[rescue]\nlease = "lease.db"\n'

    def found(code: int) -> str:
        return "\n".join(row for row in checked(folder, capsys, keys, code=code) if "lease" in row)

    path.mkdir()
    assert "finding: lease: store @/lease.db is a directory; expected a file" in found(1)
    path.rmdir()
    path.symlink_to("elsewhere")
    assert "finding: lease: store @/lease.db is a symbolic link" in found(1)
    path.unlink()
    path.write_bytes(bytes(4096))
    assert "finding: lease: store @/lease.db is damaged: file is not a database; whoever uses it next sets" in found(1)
    path.unlink()
    Store(path).close()
    assert "finding: lease: store @/lease.db is a database of another program" in found(1)
    path.unlink()
    LeaseFile(path, patience=1.0).close()
    assert found(0) == "ok: lease: @/lease.db can be written"
