"""The examples work as they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.config import build_operations, build_transport, load
from tests.gateway.driver import needs_gateway
from tests.terminal import Terminal, plain, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE: Final = Path(__file__).parent.parent / "examples" / "alice_bob"
START: Final = str(EXAMPLE / "start.py")
KEY: Final = "k" * 43
PAYLOAD: Final = "http://weixin.qq.com/x/ExampleOfALogin"
FORMS: Final = pytest.mark.parametrize("form", [(), ("--code",)], ids=["configuration", "code"])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for temporary files; whatever runs in it after a test that failed is ended."""
    yield tmp_path
    for process in processes(tmp_path):
        os.kill(process, signal.SIGKILL)


def environ(folder: Path) -> dict[str, str]:
    """Return an environment in which temporary files go to `folder`, and by which every process in it is known."""
    return {**os.environ, "TMPDIR": str(folder)}


def processes(folder: Path) -> dict[int, str]:
    """Return all processes in the environment of `folder`: their command lines by id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended, or is another user's
            continue
    return found


def without_qrs(output: str) -> list[str]:
    """Return the lines of an output, the drawn ones left out."""
    return [line for line in output.splitlines() if line.strip() and not set(line) & set("█▀▄")]


@pytest.mark.parametrize(("name", "twin"), [("alice", "bob"), ("bob", "alice")])
def test_example_is_a_valid_configuration(name: str, twin: str) -> None:
    """Each twin watches the log that the other signs, believes no line without a signature, and can be built."""
    environ = {"TWIN_KEY": KEY}
    environ |= {f"{one.upper()}_ENDPOINT": "127.0.0.1:8788" for one in (name, twin)}
    environ |= {f"{one.upper()}_TOKEN": "secret" for one in (name, twin)}
    config, other = (load(EXAMPLE / f"{one}.toml", environ=environ) for one in (name, twin))
    assert config.bot.name == name
    assert [(watch.name, watch.require_signed) for watch in config.watches] == [(twin, True)]
    assert config.bot.twin_key == other.bot.twin_key is not None
    assert str(other.bot.self_log) in config.watches[0].logs
    assert [operation.name for operation in build_operations(config)] == ["qr_rescue"]
    build_transport(config)


@needs_gateway
@FORMS
def test_example_rescues_either_bot(form: tuple[str, ...], folder: Path) -> None:
    """Either bot's loss is told by the other, whose QR decodes to what WeChat asked for; its return is greeted."""
    said = ["bob logout", f"bob scan {PAYLOAD}", "bob login", "alice logout", "alice scan another", "alice login"]
    done = subprocess.run(
        [sys.executable, START, *form],
        input="\n".join(said),
        capture_output=True,
        text=True,
        check=False,
        env=environ(folder),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert scanned(done.stdout) == [PAYLOAD, "another"]
    lines = without_qrs(done.stdout)
    told = [line.partition(" (")[0] for line in lines[lines.index(f"you: {said[0]}") :]]
    assert told == [line for bot, twin in (("bob", "alice"), ("alice", "bob")) for line in story(bot, twin, said)]
    assert (processes(folder), list(folder.iterdir())) == ({}, [])


def story(bot: str, twin: str, said: list[str]) -> list[str]:
    """Return what is on the screen from the loss of a bot to its return."""
    logout, scan, login = (f"you: {line}" for line in said if line.startswith(bot))
    return [
        logout,
        f"{twin}: {bot} has been logged out; its login QR follows as soon as its log shows one",
        scan,
        f"{twin}: Login QR of {bot}, from {bot}.log",
        f"VERIFIED: signed by {bot}",
        "seen 0 s ago, valid until the next one",
        "scan it from this screen with the camera of the bot's phone",
        f"{twin}: {bot}-qr.png",
        login,
        f"{twin}: {bot} is logged in again",
        f"{twin}: 您好世界",
    ]


@needs_gateway
def test_example_plays_in_a_terminal(folder: Path) -> None:
    """What is typed happens, the QR can be scanned, a mistake is explained, and an interrupt ends it all."""
    with Terminal(START, folder=folder, environ={"TMPDIR": str(folder)}) as terminal:
        terminal.wait_for("you:")
        terminal.press(f"bob scan {PAYLOAD}\r")
        terminal.wait_for("bytes)")
        terminal.press("alice say Status\r")
        assert "bob: waiting for a scan" in terminal.wait_for("QR rescue is on")
        terminal.press("bob login\r")
        terminal.wait_for("must logout first before login again")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait() == 0
        assert scanned(terminal.output) == [PAYLOAD]
        assert "Traceback" not in plain(terminal.output)
    assert (processes(folder), list(folder.iterdir())) == ({}, [])


@needs_gateway
def test_example_misses_a_bot_that_ends(folder: Path) -> None:
    """A bot that dies ends the example, with its name and what it wrote last."""
    with Terminal(START, folder=folder, environ={"TMPDIR": str(folder)}) as terminal:
        terminal.wait_for("you:")
        bob = next(process for process, command in processes(folder).items() if command.endswith("run bob.toml "))
        os.kill(bob, signal.SIGKILL)
        assert terminal.wait() == 1
        assert "bob has ended by itself with -9; it wrote:" in plain(terminal.output)
    assert (processes(folder), list(folder.iterdir())) == ({}, [])


@pytest.mark.parametrize("version", [None, "v16.20.2"])
def test_example_says_what_it_lacks(version: str | None, tmp_path: Path) -> None:
    """Without Node, or with an old one, it ends in one sentence."""
    if version is not None:
        (tmp_path / "node").write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / "node").chmod(0o755)
    environ = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, START], capture_output=True, text=True, check=False, env=environ)
    sentence = "a real Wechaty gateway needs Node 18 or newer; install it and run `make gateway`\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)
