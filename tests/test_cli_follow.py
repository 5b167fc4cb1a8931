"""Tests of `logmonitor follow`: real processes, pipes and terminals."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

import pytest

from logmonitor.cli import main
from tests.terminal import Terminal, plain

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

DEADLINE = 30.0


class Following:
    """A `logmonitor follow` whose output goes to a pipe."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Start it in `folder`."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logmonitor", "follow", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.output = b""
        self.remarks = b""

    def wait_for(self, wanted: bytes) -> bytes:
        """Wait until `wanted` has come; return all output so far."""
        end = time.monotonic() + DEADLINE
        while wanted not in self.output + self.remarks:
            assert self._read(end), f"{wanted!r} did not come; {self.output!r} {self.remarks!r}"
        return self.output

    def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        end = time.monotonic() + DEADLINE
        while self._read(end):
            pass
        return self.process.wait(timeout=DEADLINE)

    def close_output(self) -> None:
        """Stop reading."""
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self, end: float) -> bool:
        """Read what comes before `end`; return False when nothing more can come."""
        streams = [stream for stream in (self.process.stdout, self.process.stderr) if stream and not stream.closed]
        if not streams:
            return False
        for stream in select.select(streams, [], [], max(0.0, end - time.monotonic()))[0]:
            data = os.read(stream.fileno(), 1 << 16)
            if not data:
                stream.close()
            elif stream is self.process.stdout:
                self.output += data
            else:
                self.remarks += data
        return time.monotonic() < end

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End it if it runs still."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


def test_follow_gives_original_bytes_to_a_pipe(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """CRLF, NULs, invalid UTF-8 and a missing last terminator come out as they stand in the file."""
    data = b"one\r\ntwo \xff\x00\x1b[31m\n\nthree"
    (tmp_path / "bob.log").write_bytes(data)
    assert main(["follow", str(tmp_path / "bob.log"), "--once"]) == 0
    assert capfdbinary.readouterr() == (data, b"")


def test_follow_keeps_lines_that_match_any_pattern(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A line comes once, with its own terminator, if one of the patterns matches."""
    (tmp_path / "bob.log").write_bytes("login\r\nnothing\n王 login x\nlogout".encode())
    command = [
        "follow",
        str(tmp_path / "bob.log"),
        "--once",
        "--match",
        "login$",
        "--match",
        "^(login|王)",
        "--match",
        "ut",
    ]
    assert main(command) == 0
    assert capfdbinary.readouterr().out == "login\r\n王 login x\nlogout".encode()


def test_follow_puts_the_file_before_lines_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """With several files, or a glob, each line says where it stands, and no two lines run into one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alice.log").write_bytes(b"one\ntwo")
    (tmp_path / "bob.log").write_bytes(b"three\n")
    assert main(["follow", "alice.log", "bob.log", "--once"]) == 0
    assert capfdbinary.readouterr().out == b"alice.log: one\nalice.log: two\nbob.log: three\n"
    assert main(["follow", "*.log", "--once", "--match", "o"]) == 0
    assert capfdbinary.readouterr().out == b"alice.log: one\nalice.log: two"


def test_follow_counts_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One file gives a number, several give one each, also where there is nothing to count."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alice.log").write_bytes(b"one\ntwo\nthree")
    (tmp_path / "empty.log").write_bytes(b"")
    assert main(["follow", "alice.log", "--once", "--count"]) == 0
    assert main(["follow", "alice.log", "--once", "--count", "--match", "e$"]) == 0
    assert main(["follow", "alice.log", "empty.log", "--once", "--count"]) == 0
    assert capfd.readouterr().out.splitlines() == ["3", "2", "alice.log: 3", "empty.log: 0"]


def test_follow_once_starts_at_the_end_only_if_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With --once the start is the default, because from the end there would be nothing."""
    (tmp_path / "bob.log").write_text("one\n")
    assert main(["follow", str(tmp_path / "bob.log"), "--once", "--from", "end", "--count"]) == 0
    assert main(["follow", str(tmp_path / "bob.log"), "--once", "--from", "start", "--count"]) == 0
    assert capfd.readouterr().out == "0\n1\n"


def test_follow_says_what_cannot_be_read_and_reads_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A missing file, a directory and a glob without files are one sentence each, and exit code 1."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bob.log").write_text("one\n")
    (tmp_path / "folder").mkdir()
    assert main(["follow", "none\n.log", "folder", "bob.log", "*.txt", "--once"]) == 1
    out, err = capfd.readouterr()
    assert out == "bob.log: one\n"
    assert err.splitlines() == [
        "logmonitor: none␊.log: no such file or directory",
        "logmonitor: folder: is a directory",
        "logmonitor: *.txt: no file fits",
    ]


def test_follow_cuts_an_over_long_line_and_says_so(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Of a line over the cap only the head comes out, as a line of its own."""
    (tmp_path / "bob.log").write_bytes(b"one\n" + b"x" * (2 << 20) + b"\ntwo\n")
    assert main(["follow", str(tmp_path / "bob.log"), "--once"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == b"one\n" + b"x" * (1 << 20) + b"\ntwo\n"
    assert (
        err.decode()
        == f"logmonitor: {tmp_path}/bob.log: the line at offset 4 is cut: only its first 1048576 bytes are given out\n"
    )


def test_follow_refuses_a_pattern_in_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What the engines do not have is wrong usage, said before anything is read."""
    assert main(["follow", str(tmp_path / "none.log"), "--match", "a++"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("logmonitor: pattern 'a++' is refused: possessive repeat + at position 2 is not supported; ")
    assert err.count("\n") == 1


def test_follow_counts_without_loading_what_it_does_not_need(tmp_path: Path) -> None:
    """Counting a file imports neither asyncio nor rich nor watchdog: they cost more than reading it."""
    (tmp_path / "bob.log").write_text("one\n")
    code = (
        "import sys; from logmonitor.cli import main; main(['follow', 'bob.log', '--once', '--count', '--match', 'o']);"
        "print(sorted({'asyncio', 'rich', 'watchdog', 'pydantic'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == "1\n[]\n"


def test_follow_loses_nothing_through_a_rotation(tmp_path: Path) -> None:
    """Lines written before and after a rename, and to the old file after it, all come, each at once."""
    log = tmp_path / "bob.log"
    log.write_bytes(b"one\n")
    with Following(tmp_path, "bob.log", "--from", "start") as following:
        following.wait_for(b"one\n")
        with log.open("ab", buffering=0) as old:
            log.rename(tmp_path / "bob.log.1")
            old.write(b"two\n")
            following.wait_for(b"two\n")
            log.write_bytes(b"three\n")
            following.wait_for(b"three\n")
        following.process.send_signal(signal.SIGINT)
        assert following.wait() == 0
        assert (following.output, following.remarks) == (b"one\ntwo\nthree\n", b"")


def test_follow_waits_for_a_file_that_does_not_exist_yet(tmp_path: Path) -> None:
    """A missing file is said once, and its lines come when it is there."""
    with Following(tmp_path, "bob.log", "--match", "^t") as following:
        following.wait_for(b"does not exist")
        (tmp_path / "bob.log").write_bytes(b"one\ntwo\r\n")
        assert following.wait_for(b"two\r\n") == b"two\r\n"
        assert following.remarks.count(b"\n") == 1
        assert following.remarks.startswith(b"logmonitor: bob.log: does not exist")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_follow_ends_quietly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """A signal is how following ends: exit code 0, and the counts asked for."""
    (tmp_path / "bob.log").write_bytes(b"one\ntwo\n" + b"x" * (2 << 20) + b"\n")
    with Following(tmp_path, "bob.log", "--match", "o", "--count", "--from", "start") as following:
        following.wait_for(b"is cut")
        following.process.send_signal(number)
        assert (following.wait(), following.output) == (0, b"2\n")


def test_follow_ends_on_a_signal_though_nobody_reads(tmp_path: Path) -> None:
    """A reader that has stopped reading is waited for, but not when it is time to end."""
    (tmp_path / "bob.log").write_bytes(b"line\n" * 100_000)
    with Following(tmp_path, "bob.log", "--from", "start") as following:
        assert following.process.stdout is not None
        assert select.select([following.process.stdout], [], [], DEADLINE)[0]
        following.process.send_signal(signal.SIGTERM)
        assert following.process.wait(timeout=DEADLINE) == 0


def test_follow_ends_when_its_reader_is_gone(tmp_path: Path) -> None:
    """A closed pipe ends following at once, though no line comes that could fail to be written."""
    (tmp_path / "bob.log").write_bytes(b"one\n")
    with Following(tmp_path, "bob.log", "--from", "start") as following:
        following.wait_for(b"one\n")
        following.close_output()
        assert (following.wait(), following.remarks) == (0, b"")


def test_follow_once_ends_quietly_when_its_reader_is_gone(tmp_path: Path) -> None:
    """`| head` is not an error."""
    (tmp_path / "bob.log").write_bytes(b"line\n" * 1_000_000)
    with Following(tmp_path, "bob.log", "--once") as following:
        following.wait_for(b"line\n")
        following.close_output()
        assert (following.wait(), following.remarks) == (0, b"")


def test_follow_says_that_it_cannot_write(tmp_path: Path) -> None:
    """A full disk is one sentence and exit code 1."""
    (tmp_path / "bob.log").write_bytes(b"one\n")
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [sys.executable, "-m", "logmonitor", "follow", "bob.log", "--once"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, b"logmonitor: cannot write: no space left on device\n")


def test_follow_shows_control_characters_on_a_terminal(tmp_path: Path) -> None:
    """A line can neither colour the terminal nor move its cursor, nor turn the direction of writing."""
    line = "12:00:00 ERR Bob \x1b[2J\x1b]0;owned\x07 \x9b31m\u202e a\rb\tc 王小明"
    (tmp_path / "bob.log").write_text(f"{line}\r\n", newline="")
    with Terminal("-m", "logmonitor", "follow", "bob.log", "--once", folder=tmp_path) as terminal:
        assert terminal.wait() == 0
        assert plain(terminal.output) == "12:00:00 ERR Bob ␛[2J␛]0;owned␇ \\x9b31m\\u202e a␍b    c 王小明\n"
        assert "\x1b[1;31mERR\x1b[0m" in terminal.output


def test_follow_marks_what_matches_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal a file keeps its colour and what matches stands out, behind shown control characters too."""
    (tmp_path / "bob.log").write_text("a\x00 login ok\nother\n")
    (tmp_path / "alice.log").write_text("login\n" + "x" * 300 + " login\n")
    with Terminal(
        "-m", "logmonitor", "follow", "bob.log", "alice.log", "--match", "log(in)", "--once", folder=tmp_path
    ) as terminal:
        assert terminal.wait() == 0
        lines = plain(terminal.output).splitlines()
        assert lines == ["bob.log │ a␀ login ok", "alice.log │ login", "alice.log │ " + "x" * 300 + " login"]
        assert terminal.output.count("\x1b[1;7mlogin\x1b[0m") == 3


def test_follow_tells_a_person_of_a_rotation(tmp_path: Path) -> None:
    """On a terminal a rotation is said, and Ctrl-C ends with exit code 0."""
    log = tmp_path / "bob.log"
    log.write_bytes(b"one\n")
    with Terminal("-m", "logmonitor", "follow", "bob.log", "--from", "start", folder=tmp_path) as terminal:
        terminal.wait_for("one\n")
        log.rename(tmp_path / "bob.log.1")
        log.write_bytes(b"two\n")
        terminal.wait_for("two\n")
        terminal.wait_for("logmonitor: bob.log: was rotated")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait() == 0


def test_follow_shows_an_over_long_line_as_cut(tmp_path: Path) -> None:
    """On a terminal the head of an over-long line ends with a remark."""
    (tmp_path / "bob.log").write_bytes(b"x" * (1 << 20) + b"x\n")
    with Terminal("-m", "logmonitor", "follow", "bob.log", "--once", folder=tmp_path) as terminal:
        assert terminal.wait() == 0
        assert "x … cut here\n" in plain(terminal.output)
