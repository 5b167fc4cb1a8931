"""`logmonitor audit`: what it shows, and what it says of an audit to which something was done."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from logmonitor.audit import ANCHOR_OWNER, Audit
from logmonitor.auditing.record import AuditRecord
from logmonitor.cli import main
from logmonitor.cli.audit import moment_of
from logmonitor.errors import ConfigurationError
from logmonitor.store import Store
from tests.audit_bench import AT, NAME, RECORD
from tests.terminal import Terminal, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = """\
[bot]
name = "alice"
timezone = "Asia/Shanghai"

[chat]
transport = "console"
admins = ["AdminWeixin"]

[[watch]]
name = "bob"
log = "bob.log"

{more}
"""
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def whole(number: int) -> AuditRecord:
    """Return a record with all that a command leaves behind."""
    return AuditRecord(
        at=AT + timedelta(hours=number),
        decision="ended",
        user="wxid_1",
        name="鲍勃",
        conversation="wxid_1",
        message=f"m{number}",
        operation="shell",
        command=f"sh uptime {number}",
        reason="admin",
        factors=("confirm", "totp"),
        grant=3,
        job=number,
        exit_code=0,
        duration=1.25,
    )


class Bench:
    """A bot's folder: configuration, store and audit."""

    def __init__(self, folder: Path) -> None:
        """Configure an audit, and write nothing to it."""
        self.config = folder / "alice.toml"
        self.path = folder / "alice.audit.jsonl"
        self.store = folder / "alice.db"
        self.config.write_text(CONFIG.format(more=""), "utf-8")

    def write(self, *records: AuditRecord) -> None:
        """Write records."""
        with Store(self.store) as store:
            audit = Audit(self.path, anchor=store.view(ANCHOR_OWNER))
            for each in records:
                audit.write(each)

    def run(self, *words: str) -> int:
        """Run the command."""
        return main(["audit", "--config", str(self.config), *words])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bot without records."""
    return Bench(tmp_path)


def test_audit_shows_records_as_lines_on_a_pipe(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Piped, each record is a line of fields between tabs, with the time of the configured zone."""
    bench.write(whole(0), RECORD)
    assert bench.run() == 0
    assert capsys.readouterr() == (
        (
            "2026-11-20 22:44:35\tended\t鲍勃 (wxid_1)\tdirect\tshell: sh uptime 0"
            "\tadmin; confirm; totp; grant 3; job 0; exit 0; 1.25 s\n"
            "2026-11-20 22:44:35\tallowed\twxid_1\t\t\t\n"
        ),
        "",
    )


def test_audit_shows_the_newest(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Without options the newest twenty are shown, the last one at the end; with --since all from then on."""
    bench.write(*map(whole, range(30)))
    assert bench.run() == 0
    commands = [line.split("\t")[4] for line in capsys.readouterr().out.splitlines()]
    assert commands == [f"shell: sh uptime {number}" for number in range(10, 30)]
    assert bench.run("--since", "2026-11-21") == 0
    commands = [line.split("\t")[4] for line in capsys.readouterr().out.splitlines()]
    assert commands == [f"shell: sh uptime {number}" for number in range(2, 30)]


def test_audit_shows_nothing_that_a_terminal_obeys(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """What strangers wrote, and what somebody put into the file, is shown and not obeyed; long texts are cut."""
    bench.write(AuditRecord(at=AT, decision="refused", user="\x1b[2J", room="a\nb\tc", command="x" * 1000))
    with bench.path.open("ab") as file:
        forged = {"n": 1, "previous": "0" * 64, "at": "2026-11-20T00:00:00+00:00", "user": "\x1b]0;x\x07", "factors": 1}
        file.write(json.dumps(forged).encode() + b"\n")
    assert bench.run() == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"2026-11-20 22:44:35\trefused\t␛[2J\ta␊b    c\t{'x' * 300}…\t"
    assert second == "2026-11-20 08:00:00\t\t␛]0;x␇\t\t\t"


def test_audit_gives_lines_as_they_are(bench: Bench, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """With --json every line comes byte for byte, all of them or those since a time."""
    bench.write(*map(whole, range(30)))
    assert bench.run("--json") == 0
    assert capfdbinary.readouterr() == (bench.path.read_bytes(), b"")
    assert bench.run("--json", "--since", "2026-11-21T10:00+08:00") == 0
    assert capfdbinary.readouterr().out.splitlines() == bench.path.read_bytes().splitlines()[12:]


def test_audit_that_is_intact_is_told_in_a_sentence(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Verified and intact: how many records, from when to when; exit code 0."""
    assert bench.run("--verify") == 0
    assert capsys.readouterr().out == f"No records yet in {bench.path}.\n"
    bench.write(whole(0))
    assert bench.run("--verify") == 0
    assert capsys.readouterr().out == "1 record from 2026-11-20 22:44:35 to 2026-11-20 22:44:35, nothing missing.\n"
    bench.write(whole(1))
    assert bench.run("--verify") == 0
    assert capsys.readouterr() == (
        "2 records from 2026-11-20 22:44:35 to 2026-11-20 23:44:35, nothing missing.\n",
        "",
    )


def remove_first(lines: list[bytes]) -> list[bytes]:
    """Remove the first line."""
    return lines[1:]


def remove_last(lines: list[bytes]) -> list[bytes]:
    """Remove the last line."""
    return lines[:-1]


def remove_all(_: list[bytes]) -> list[bytes]:
    """Remove all lines."""
    return []


@pytest.mark.parametrize(
    ("harm", "finding", "summary"),
    [
        (
            remove_first,
            ":1: record 0 is missing before this line, and no file begins with it: lines or files were removed",
            "1 finding in 3 records from 2026-11-20 23:44:35 to 2026-11-21 01:44:35.\n",
        ),
        (
            remove_last,
            ":3: record 3 is missing behind this line: lines or files were removed, or an older file was put in place",
            "1 finding in 3 records from 2026-11-20 22:44:35 to 2026-11-21 00:44:35.\n",
        ),
        (remove_all, ": records 0 to 3 are missing: the file was emptied, removed or replaced", ""),
    ],
)
def test_audit_that_was_harmed_is_told(
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[list[bytes]], list[bytes]],
    finding: str,
    summary: str,
) -> None:
    """What was removed is told with file and line; exit code 1."""
    bench.write(*map(whole, range(4)))
    bench.path.write_bytes(b"".join(harm(bench.path.read_bytes().splitlines(keepends=True))))
    assert bench.run("--verify") == 1
    assert capsys.readouterr() == (f"finding: {bench.path}{finding}\n{summary}", "")


def test_audit_tells_remarks_and_findings_apart(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A torn line is a remark, and no reason for exit code 1."""
    bench.write(whole(0))
    with bench.path.open("ab") as file:
        file.write(b'{"n":1,')
    assert bench.run("--verify") == 0
    assert capsys.readouterr().out == (
        f"remark: {bench.path}:2: this line was torn while it was written, by a kill or a full disk; its record never"
        " counted\n1 record from 2026-11-20 22:44:35 to 2026-11-20 22:44:35, nothing missing.\n"
    )


def test_audit_verifies_and_shows(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    """With --since and --verify the records stand above what was found; with --json what was found stands apart."""
    bench.write(*map(whole, range(4)))
    assert bench.run("--verify", "--since", "2026-11-21T01:00") == 0
    record, sentence = capfd.readouterr().out.splitlines()
    assert record.split("\t")[4] == "shell: sh uptime 3"
    assert sentence == "4 records from 2026-11-20 22:44:35 to 2026-11-21 01:44:35, nothing missing."
    assert bench.run("--verify", "--json") == 0
    out, err = capfd.readouterr()
    assert (out.encode(), err) == (bench.path.read_bytes(), sentence + "\n")


def test_audit_of_another_machine_is_verified_without_a_store(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copied file needs no configuration; what only the store knows is said not to show."""
    monkeypatch.setenv("TZ", "UTC")
    bench.write(*map(whole, range(4)))
    (tmp_path / "copied").mkdir()
    copied = bench.path.rename(tmp_path / "copied" / NAME)
    copied.write_bytes(b"".join(copied.read_bytes().splitlines(keepends=True)[:3]))
    assert main(["audit", "--verify", "--file", str(copied)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 records from 2026-11-2")
    assert out.endswith(", nothing missing between them; what was cut off behind shows only beside the store.\n")


def test_audit_without_its_store_is_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that was removed is a finding, and looking makes none."""
    bench.write(*map(whole, range(4)))
    bench.store.unlink()
    assert bench.run("--verify") == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        f"finding: {bench.path}:4: the store knows of no record: it was replaced, or others wrote the last lines;"
        " none behind would be missed"
    )
    assert not bench.store.exists()


def test_audit_leaves_a_damaged_store_where_it_is(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that cannot be read is told, with exit code 2, and is not touched."""
    bench.write(whole(0))
    bench.store.write_bytes(b"x" * 5000)
    assert bench.run("--verify") == 2
    assert capsys.readouterr().err.startswith(f"logmonitor audit: store {bench.store} ")
    assert bench.store.read_bytes() == b"x" * 5000


def test_audit_that_is_off_is_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration that writes no audit has none to show."""
    bench.config.write_text(CONFIG.format(more="[security]\naudit = false"), "utf-8")
    assert bench.run() == 2
    assert capsys.readouterr().err == (
        f"logmonitor audit: {bench.config}: [security] audit is false, so that nothing is put on record\n"
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--since", "yesterday"), "bad time 'yesterday'; expected 2h, 3d, 2026-11-20 or 2026-11-20T10:00"),
        (("--file", "/nowhere/bot.jsonl"), "both --file and --config are given; expected one of them"),
    ],
)
def test_wrong_usage_is_told(
    bench: Bench, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], text: str
) -> None:
    """What is wrong is said in one line, with exit code 2."""
    assert bench.run(*words) == 2
    assert capsys.readouterr() == ("", f"logmonitor audit: {text}\n")


def test_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was named and does not exist is no empty audit."""
    assert main(["audit", "--file", str(tmp_path / NAME)]) == 2
    assert capsys.readouterr().err == f"logmonitor audit: {tmp_path / NAME}: no such file\n"


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_audit_without_records_to_show_says_so(
    bench: Bench, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    """Where nothing is shown it is said why, on standard error, and that is no failure."""
    none = f"logmonitor audit: no record: there is no {bench.path}; --verify tells whether there was one\n"
    assert bench.run(*option) == 0
    assert capsys.readouterr() == ("", none)
    bench.path.touch()
    assert bench.run(*option) == 0
    assert capsys.readouterr() == ("", f"logmonitor audit: no record in {bench.path} yet\n")
    assert bench.run(*option, "--since", "2h") == 0
    assert capsys.readouterr() == ("", f"logmonitor audit: no record in {bench.path} yet\n")
    bench.write(whole(0))
    assert bench.run(*option, "--since", "2126-11-20") == 0
    since = f"logmonitor audit: no record since 2126-11-20 00:00:00 in {bench.path}\n"
    assert capsys.readouterr() == ("", since)
    bench.path.unlink()
    assert bench.run(*option) == 0
    assert capsys.readouterr() == ("", none)


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\nexit 0\n", b'{"at": "2026-11-20"}\n', bytes(3 << 20)])
@pytest.mark.parametrize("option", ["--verify", "--json", "--since=2h"])
def test_file_that_is_no_audit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, option: str
) -> None:
    """A file that was named and holds no record is none of an audit, and nothing else is said of it."""
    path = tmp_path / "script"
    path.write_bytes(data)
    assert main(["audit", "--file", str(path), option]) == 2
    assert capsys.readouterr() == (
        "",
        f"logmonitor audit: {path}: holds no record of an audit; expected a file that one was written to, or a copy\n",
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("5m", NOW - timedelta(minutes=5)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-11-20", datetime(2026, 11, 19, 16, tzinfo=UTC)),
        ("2026-11-20T10:00", datetime(2026, 11, 20, 2, tzinfo=UTC)),
        ("2026-11-20 10:00:30", datetime(2026, 11, 20, 2, 0, 30, tzinfo=UTC)),
        ("2026-11-20T10:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
    ],
)
def test_moment_is_read_in_the_zone(text: str, moment: datetime) -> None:
    """A span ends now; a date begins with its day, and a time without zone is one of the configured zone."""
    assert moment_of(text, now=NOW, zone=ZoneInfo("Asia/Shanghai")) == moment


def test_moment_is_read_in_the_machines_zone() -> None:
    """Without a configured zone a date is one of the machine's."""
    assert moment_of("2026-11-20", now=NOW, zone=None) == datetime(2026, 11, 20).astimezone()


@pytest.mark.parametrize("text", ["", "2", "h", "2y", "-2h", "２h", "2026-13-01", "999999w", "0001-01-01"])
def test_moment_that_is_none_is_refused(text: str) -> None:
    """What is no span and no date, or is out of all time, is refused in a sentence."""
    with pytest.raises(ConfigurationError, match="expected 2h, 3d, 2026-11-20 or 2026-11-20T10:00"):
        moment_of(text, now=NOW, zone=ZoneInfo("Asia/Shanghai"))


def shown(bench: Bench, *words: str, columns: int) -> list[str]:
    """Return the lines that a terminal of so many columns shows."""
    with Terminal(
        *("-m", "logmonitor", "audit", "--config", str(bench.config), *words),
        folder=bench.config.parent,
        columns=columns,
        environ={"COLUMNS": str(columns)},
    ) as terminal:
        assert terminal.wait() == 0
        return [line.rstrip() for line in plain(terminal.output).splitlines()]


def test_terminal_shows_a_table(bench: Bench) -> None:
    """A wide terminal shows a table whose columns stand below each other, Chinese names too."""
    bench.write(whole(0), RECORD)
    assert shown(bench, columns=140) == [
        "when                 decision  who            where   command             why",
        (
            "2026-11-20 22:44:35  ended     鲍勃 (wxid_1)  direct  shell: sh uptime 0  admin; confirm; totp; grant 3;"
            " job 0; exit 0; 1.25 s"
        ),
        "2026-11-20 22:44:35  allowed   wxid_1",
    ]


def test_narrow_terminal_shows_paragraphs(bench: Bench) -> None:
    """A narrow one shows who on one line, and what and why indented below it."""
    bench.write(whole(0), RECORD)
    assert shown(bench, columns=50) == [
        "11-20 22:44:35 ended 鲍勃 (wxid_1) in direct",
        "  shell: sh uptime 0  admin; confirm; totp; grant",
        "  3; job 0; exit 0; 1.25 s",
        "11-20 22:44:35 allowed wxid_1",
    ]


def test_terminal_shows_raw_lines_that_it_does_not_obey(bench: Bench) -> None:
    """Raw lines on a terminal show what control characters somebody put into them."""
    bench.write(whole(0))
    line = b'{"n":1,"previous":"' + b"0" * 64 + b'","at":"2026-11-20T00:00:00+00:00","user":"\x7f\xc2\x9b2J"}'
    with bench.path.open("ab") as file:
        file.write(line + b"\n")
    assert shown(bench, "--json", columns=1000)[-1].endswith('"user":"␡\\x9b2J"}')
