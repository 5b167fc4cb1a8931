"""The examples work as they are."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.clock import SystemClock
from logmonitor.config import build_operations, build_transport, load
from logmonitor.sealing import load_seal, make_key_file
from logmonitor.store import Store
from logmonitor.testing.authenticator import enrol
from tests.gateway.driver import needs_gateway
from tests.terminal import Terminal, plain, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logmonitor.config import Config

ROOT: Final = Path(__file__).parent.parent
EXAMPLE: Final = ROOT / "examples" / "alice_bob"
OPERATIONS: Final = ROOT / "operations"
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


def configurations(folder: Path, *names: str) -> list[Config]:
    """Return what stands in the configurations of these bots, their admin being enrolled, in a folder of their own."""
    environ = {"TWIN_KEY": KEY}
    environ |= {f"{name.upper()}_ENDPOINT": "127.0.0.1:8788" for name in names}
    environ |= {f"{name.upper()}_TOKEN": "secret" for name in names}
    found = []
    for name in names:
        path = folder / f"{name}.toml"
        path.write_text((EXAMPLE / path.name).read_text(encoding="utf-8"), encoding="utf-8")
        key_file = path.with_suffix(".key")
        make_key_file(key_file)
        with Store(path.with_suffix(".db")) as store:
            enrol("AdminWeixin", store, load_seal(key=None, key_file=key_file), SystemClock())
        found.append(load(path, environ=environ))
    return found


@pytest.mark.parametrize(("name", "twin"), [("alice", "bob"), ("bob", "alice")])
def test_example_is_a_valid_configuration(name: str, twin: str, tmp_path: Path) -> None:
    """Each twin watches the log that the other signs, believes no line without a signature, and can be built."""
    config, other = configurations(tmp_path, name, twin)
    assert config.bot.name == name
    assert [(watch.name, watch.require_signed) for watch in config.watches] == [(twin, True)]
    assert config.bot.twin_key == other.bot.twin_key is not None
    assert str(other.bot.self_log) in config.watches[0].logs
    assert config.broken == ()
    build_transport(config)


def test_example_uses_every_operation(tmp_path: Path) -> None:
    """Whatever lies in `operations/` is configured, for both bots alike, and stands in both forms."""
    every = {path.stem for path in OPERATIONS.glob("*.py")} - {"__init__"}
    for config in configurations(tmp_path, "alice", "bob"):
        assert {operation.name for operation in build_operations(config)} == every
        code = (EXAMPLE / f"{config.bot.name}.py").read_text(encoding="utf-8")
        assert {name for name in every if f"        {name}(" in code} == every


@pytest.mark.parametrize("suffix", [".toml", ".py"])
def test_example_is_the_same_for_both_bots(suffix: str) -> None:
    """With the names exchanged the files of one bot are those of the other, comments apart."""
    alice, bob = ((EXAMPLE / f"{name}{suffix}").read_text(encoding="utf-8") for name in ("alice", "bob"))
    names = {"alice": "bob", "Alice": "Bob", "ALICE": "BOB"}
    exchanged = {**names, **{value: key for key, value in names.items()}}
    turned = re.sub("|".join(exchanged), lambda match: exchanged[match[0]], alice)
    assert statements(turned) == statements(bob)


def statements(text: str) -> list[str]:
    """Return the lines of a file without what is said about them."""
    lines = (re.sub(r"(^|  +)#.*|^\"\"\".*", "", line) for line in text.splitlines())
    return [line.rstrip() for line in lines if line.strip()]


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
@FORMS
def test_example_is_the_admins_hand_on_the_server(form: tuple[str, ...], folder: Path) -> None:
    """Alice restarts Bob's process, which is brought back, shows his log, runs a command for a code, and so on."""
    with Terminal(START, *form, folder=folder, environ={"TMPDIR": str(folder)}) as terminal:
        terminal.wait_for("you:")
        terminal.press("alice say status\r")
        terminal.wait_for("QR rescue is on")
        terminal.press("bob logout\r")
        terminal.wait_for("bob has been logged out")
        terminal.press("bob scan\r")
        terminal.wait_for("bytes)")
        terminal.press("bob expire\r")
        terminal.wait_for("onScan: Timeout(5)")
        terminal.press("bob login\r")
        terminal.wait_for("alice: 您好世界")
        terminal.press("alice say restart\r")
        told = terminal.wait_for("brought it back; nothing was started besides")
        before, after = re.findall(r"pid (\d+) → (\d+)", told)[-1]
        assert set(processes(folder)) & {int(before), int(after)} == {int(after)}
        for said, answer in (
            ("tail 20", "onScan: Timeout(5) lm1"),
            ("log", "alice: bob.log.txt ("),
            ("sh CODE echo $((6 * 7))", "42"),
            ("checks", "disk"),
            ("mute 5m", "alerts of bob are muted"),
            ("status", "liveness: "),
        ):
            terminal.press(f"alice say {said}\r")
            terminal.wait_for(answer)
        terminal.press("alice code\r")
        terminal.wait_for("your authenticator shows for alice: ")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == 0
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
