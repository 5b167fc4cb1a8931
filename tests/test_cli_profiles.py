"""`logmonitor profiles`: the list, one family whole, and what is said of a name or folder that is not there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from logmonitor.cli import main
from logmonitor.profile_folder import load_profiles

if TYPE_CHECKING:
    from pathlib import Path


def test_profiles_lists_every_family(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name each family has a line, and nothing is coloured on a pipe."""
    assert main(["profiles"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == list(load_profiles())
    assert "\x1b" not in out


@pytest.mark.parametrize("name", list(load_profiles()))
def test_profiles_shows_patterns_and_lines_of_a_family(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a name all its patterns are shown, and a line that each matches."""
    assert main(["profiles", name]) == 0
    out = capsys.readouterr().out
    profile = load_profiles()[name]
    for rule in (*profile.events, *profile.messages, *profile.signs):
        assert rule.pattern is None or rule.pattern in out
        assert all(line.replace("\t", "    ") in out for line in rule.examples)


def test_profiles_shows_what_holds_for_a_family(capsys: pytest.CaptureFixture[str]) -> None:
    """The framing, what a QR leads to and how long it lives stand above the patterns."""
    main(["profiles", "baileys"])
    main(["profiles", "napcat"])
    main(["profiles", "wechaty-ts"])
    out = capsys.readouterr().out
    for fact in ("JSON lines, the message in  msg", "a QR lives, in seconds  60, then 20", "cache/qrcode.png"):
        assert fact in out
    assert "characters of a message that are shown  70" in out
    assert "traffic proves a login, seconds after a loss  5" in out


def test_profiles_suggests_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not known ends with exit code 2 and the one that was meant."""
    assert main(["profiles", "openclaw"]) == 2
    assert capsys.readouterr() == (
        "",
        "logmonitor profiles: unknown profile 'openclaw'; did you mean 'openclaw-weixin'?\n",
    )


def test_profiles_reads_the_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Profiles in a folder stand in the list, one that is not valid is named, and so is a folder that is not there."""
    (tmp_path / "mine.toml").write_text('title = "Mine"\n[[event]]\nkind = "login"\npattern = "in"\n')
    assert main(["profiles", "--folder", str(tmp_path)]) == 0
    assert "mine             Mine  login" in capsys.readouterr().out
    (tmp_path / "mine.toml").write_text("title = 1")
    assert main(["profiles", "--folder", str(tmp_path)]) == 2
    assert "mine.toml: event is missing; expected at least one [[event]]" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["profiles", "--folder", str(tmp_path / "nowhere")])
    assert ended.value.code == 2
    assert "nowhere'; expected one with profiles in it" in capsys.readouterr().err


def test_profiles_on_a_terminal_is_coloured() -> None:
    """On a terminal names and kinds are coloured."""
    controller, terminal = pty.openpty()
    argv = [sys.executable, "-m", "logmonitor", "profiles", "itchat-uos"]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(argv, stdout=terminal, env=environment):
        os.close(terminal)
        assert os.read(controller, 4).startswith(b"\x1b[1m")
        try:
            while os.read(controller, 65536):
                pass
        except OSError:
            os.close(controller)


def test_profiles_ends_quietly_on_a_closed_pipe() -> None:
    """A reader that has gone ends the command without a word."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    argv = [sys.executable, "-m", "logmonitor", "profiles"]
    done = subprocess.run(argv, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")
