"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from logmonitor import cli


def logmonitor(
    *words: str, environment: dict[str, str] | None = None, behind: str = "", interpreter: str = "/bin/sh"
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, behind a shell's redirection if asked."""
    command = [sys.executable, "-m", "logmonitor", *words]
    if behind:
        command = [interpreter, "-c", f'"$@" {behind}', "sh", *command]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version and ends."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"logmonitor {version('logmonitor')}\n"


@pytest.mark.parametrize("words", [[], ["flolow"], ["--no-such-option"], ["follow"], ["replay"]])
def test_wrong_usage_is_told_in_a_few_lines(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command, with a wrong one or without what it needs, the usage is shown and the exit code is 2."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: logmonitor")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command tells what it is for and what it takes."""
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: logmonitor {name}")
    assert cli.COMMANDS[name][1:20] in out.replace("\n", " ")


def test_output_in_an_old_encoding_replaces_what_it_cannot_say() -> None:
    """Where standard output is Latin-1, Chinese is shown as escapes and nothing fails."""
    ended = logmonitor("profiles", "cow", environment={"PYTHONIOENCODING": "latin-1", "PATH": "/usr/bin:/bin"})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\\u5fae" in ended.stdout


LOG = str(Path(__file__).parent / "data" / "wechaty-ts.real.log")


@pytest.mark.parametrize("words", [["profiles"], ["replay", LOG, "--json"], ["follow", LOG, "--once"]])
def test_output_that_cannot_be_written_is_one_sentence(words: list[str]) -> None:
    """On a full disk the reason is told, without a traceback, and the exit code is 1."""
    ended = logmonitor(*words, behind=">/dev/full")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "logmonitor: cannot write: no space left on device"


@pytest.mark.parametrize("words", [["profiles"], ["replay", LOG, "--json"], ["follow", LOG, "--once"]])
def test_reader_that_goes_away_is_no_error(words: list[str]) -> None:
    """A closed pipe ends the command quietly."""
    ended = logmonitor(*words, behind="| true")
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)


def test_closed_errors_do_not_stand_in_the_output() -> None:
    """With standard error closed, what belongs there does not go into the output."""
    ended = logmonitor("replay", LOG, "--json", behind="2>&-")
    assert ended.returncode == 0
    assert all(line.startswith('{"line"') for line in ended.stdout.splitlines())


def test_replay_reads_a_pipe_as_it_reads_a_file() -> None:
    """What comes through a pipe has the same events, with `auto` too."""
    piped = logmonitor("replay", "/dev/stdin", "--json", behind=f"< <(cat {LOG})", interpreter="/bin/bash")
    assert piped.stdout == logmonitor("replay", LOG, "--json").stdout
    assert piped.stdout.count("\n") == 9


def test_closed_output_is_no_error() -> None:
    """With standard output closed the command runs, and its output goes nowhere."""
    ended = logmonitor("profiles", behind=">&-")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
