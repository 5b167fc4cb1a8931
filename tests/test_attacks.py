"""Ways round the right to run a command, tried on the program itself: a process, its store, its audit, a bridge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyotp
import pytest

from logmonitor.sealing import load_seal, make_key_file
from logmonitor.store import Store
from logmonitor.totp import Totp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OPERATION = '''
import os, signal
from logmonitor import Command, Operation, SecurityRule

def guarded(config):
    """Three commands behind a code: one leaves a mark, one kills the process, one does both."""
    def mark(invocation):
        with open("marks.txt", "a") as file:
            file.write(invocation.text + "\\n")
            file.flush()
            os.fsync(file.fileno())
    async def run(context, invocation):
        mark(invocation)
        await context.send(f"ran {invocation.text}".strip())
    async def die(context, invocation):
        os.kill(os.getpid(), signal.SIGKILL)
    totp = frozenset({SecurityRule.TOTP})
    return Operation(name="guarded", config=config, commands=(
        Command(name="sh", handler=run, help="run it", security=totp),
        Command(name="die", handler=die, help="die of it", security=totp),
        Command(name="drop", handler=run, help="drop it", security=frozenset({SecurityRule.CONFIRM})),
    ))
'''
CONFIG = """
[bot]
name = "alice"
[chat]
transport = "stdio"
admins = ["AdminWeixin", "Ben"]
[[watch]]
name = "bob"
log = "bob.log"
[[operation]]
use = "guarded:guarded"
"""
ANN = {"id": "ann-id", "name": "Ann", "weixin": "AdminWeixin"}
BEN = {"id": "ben-id", "name": "Ben", "alias": "Ben"}
DEE = {"id": "dee-id", "name": "Dee", "alias": "Dee"}
LOSS = """22:44:35 INFO StarterBot Contact<Bob> login
22:44:36 INFO StarterBot Contact<Bob> logout
22:44:37 INFO StarterBot onScan: Waiting(2) - https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FQQ%3D%3D"""
EVE = {"id": "eve-id", "name": "AdminWeixin"}


@dataclass
class Bridge:
    """A `logmonitor run` and the chat on the other side of its standard input and output."""

    process: asyncio.subprocess.Process
    said: int = 0
    heard: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, **frame: object) -> None:
        """Write a frame."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(frame).encode() + b"\n")

    def say(self, text: str, sender: dict[str, str] = ANN, **keys: object) -> None:
        """Let somebody write to the bot."""
        self.said += 1
        message = {"id": f"{self.process.pid}-{self.said}", "sender": sender, "conversation": sender["id"]}
        self.tell(**({"type": "message", "text": text} | message | keys))

    async def hear(self, text: str, to: str = "ann-id", *, kind: str = "text") -> str:
        """Wait until the bot writes somebody a text, or the caption of a file, with `text` in it; return that."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            async for line in self.process.stdout:
                frame = json.loads(line)
                if frame["type"] != "send":
                    continue
                self.tell(type="accepted", id=frame["id"])
                said = frame.get(kind, "")
                said = said["caption"] if isinstance(said, dict) else said
                self.heard.append((frame["to"], said))
                if frame["to"] == to and text in said:
                    return str(said)
        raise AssertionError(self.heard)

    async def die(self) -> int:
        """Wait for the end of the process; return its exit code."""
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Bridge]:
    """Run the program in `folder`, with Ann, Ben and Eve in its chat."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "logmonitor", "run", "alice.toml"),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    bridge = Bridge(process=process)
    bridge.tell(type="contacts", contacts=[ANN, BEN, EVE])
    try:
        yield bridge
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.communicate()


async def ended(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command of the program to its end; return its exit code and all it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "logmonitor", *arguments),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """Set up the program in a folder, with an authenticator of Ann's; return what it holds."""
    (tmp_path / "guarded.py").write_text(OPERATION)
    (tmp_path / "alice.toml").write_text(CONFIG)
    (tmp_path / "bob.log").touch()
    make_key_file(tmp_path / "alice.key")
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    with Store(tmp_path / "alice.db") as store:
        totp = Totp(store, load_seal(key=None, key_file=tmp_path / "alice.key"), now=lambda: an_hour_ago)
        enrolling = totp.begin("AdminWeixin", issuer="alice")
        found = pyotp.parse_uri(enrolling.uri)
        assert isinstance(found, pyotp.TOTP)
        totp.finish(enrolling, found.at(an_hour_ago))
    return found.secret


def code_now(secret: str, *, steps: int = 0) -> str:
    """Return the code of this moment, or of so many steps later."""
    return pyotp.TOTP(secret).at(datetime.now(UTC), counter_offset=steps)


def marks(folder: Path) -> list[str]:
    """Return what was run."""
    path = folder / "marks.txt"
    return path.read_text().splitlines() if path.exists() else []


def records(folder: Path) -> list[dict[str, object]]:
    """Return the audit."""
    return [json.loads(line) for line in (folder / "alice.audit.jsonl").read_text().splitlines()]


async def test_code_stays_used_when_the_process_is_killed_before_it_runs_the_command(
    tmp_path: Path, secret: str
) -> None:
    """Killing it between verifying and the command's end: the same code opens nothing after the restart."""
    code = code_now(secret, steps=1)  # of the next step, so that it is still good when the program has started again
    async with running(tmp_path) as bridge:
        bridge.say(f"die {code}")
        assert await bridge.die() == -signal.SIGKILL
    async with running(tmp_path) as bridge:
        bridge.say(f"sh {code} uptime")
        await bridge.hear("that code was used before")
    assert marks(tmp_path) == []
    assert [(one["command"], one["decision"], one["reason"]) for one in records(tmp_path)] == [
        ("die", "allowed", "admin"),
        ("sh uptime", "refused", "used code"),
    ]
    assert code not in (tmp_path / "alice.audit.jsonl").read_text()


async def test_code_opens_the_command_it_came_with_once(tmp_path: Path, secret: str) -> None:
    """A code that came with one command opens no second one, the same one included."""
    code = code_now(secret)
    async with running(tmp_path) as bridge:
        bridge.say(f"sh {code} uptime")
        await bridge.hear("ran uptime")
        bridge.say(f"sh {code} uptime")
        await bridge.hear("that code was used before")
        bridge.say(f"sh {code} reboot")
        await bridge.hear("that code was used before")
    assert marks(tmp_path) == ["uptime"]


async def test_wrong_codes_lock_across_a_restart(tmp_path: Path, secret: str) -> None:
    """Five wrong codes lock, everybody who should know is told, and a restart opens nothing, not to the right code."""
    wrong = f"{(int(code_now(secret)) + 1) % 10**6:06}"
    async with running(tmp_path) as bridge:
        for _ in range(5):
            bridge.say(f"sh {wrong} uptime")
        await bridge.hear("too many wrong codes from “Ann” (ann-id)", to="ben-id")
    async with running(tmp_path) as bridge:
        bridge.say(f"sh {code_now(secret)} uptime")
        await bridge.hear("no code is accepted for")
    assert marks(tmp_path) == []


async def test_who_only_looks_like_an_admin_gets_silence_and_a_record(tmp_path: Path, secret: str) -> None:
    """A stranger with an admin's name, with and without a valid code, runs nothing and hears nothing."""
    async with running(tmp_path) as bridge:
        bridge.say(f"sh {code_now(secret)} uptime", EVE)
        bridge.say("help", EVE)
        bridge.say(code_now(secret), EVE)
        bridge.say("status")
        await bridge.hear("bob:")
        assert [to for to, _ in bridge.heard] == ["ann-id"]
    assert marks(tmp_path) == []
    assert [(one["user"], one["decision"], one["command"]) for one in records(tmp_path)][:2] == [
        ("eve-id", "refused", "sh"),
        ("eve-id", "refused", "help"),
    ]
    assert code_now(secret) not in (tmp_path / "alice.audit.jsonl").read_text()


async def test_confirmation_is_its_users_alone(tmp_path: Path, secret: str) -> None:
    """Another admin cannot confirm for her, a bare yes confirms nothing, the id works once."""
    assert secret
    async with running(tmp_path) as bridge:
        bridge.say("drop everything")
        id_ = (await bridge.hear("Say `confirm ")).split("`confirm ")[1][:4]
        bridge.say(f"confirm {id_}", BEN)
        await bridge.hear("nothing waits for that confirmation of yours here", to="ben-id")
        bridge.say("yes")
        await bridge.hear("yes is no command of yours")
        assert marks(tmp_path) == []
        bridge.say(f"confirm {id_.lower()}")
        await bridge.hear("ran everything")
        bridge.say(f"confirm {id_}")
        await bridge.hear("nothing waits for that confirmation of yours here")
    assert marks(tmp_path) == ["everything"]


async def test_command_with_a_code_is_not_run_where_it_cannot_be_put_on_record(tmp_path: Path, secret: str) -> None:
    """Without an audit dangerous commands stop, and say why; what only looks goes on."""
    (tmp_path / "alice.audit.jsonl").mkdir()
    async with running(tmp_path) as bridge:
        bridge.say(f"sh {code_now(secret)} uptime")
        await bridge.hear("cannot be put on record")
        bridge.say("status")
        assert "audit: cannot be written" in await bridge.hear("bob:")
    assert marks(tmp_path) == []


async def test_command_from_a_room_is_silence(tmp_path: Path, secret: str) -> None:
    """An admin's command in a room that is not named runs nothing, with a code or without, and is not answered."""
    async with running(tmp_path) as bridge:
        bridge.say(f"sh {code_now(secret)} uptime", conversation="ops@chatroom", room="ops@chatroom")
        bridge.say("drop everything", conversation="ops@chatroom", room="ops@chatroom")
        bridge.say("status")
        await bridge.hear("bob:")
        assert [to for to, _ in bridge.heard] == ["ann-id"]
    assert marks(tmp_path) == []
    assert [one["reason"] for one in records(tmp_path)][:2] == ["room", "room"]


async def test_two_admins_who_confirm_at_once_have_it_done_once(tmp_path: Path, secret: str) -> None:
    """Of two other admins' words for one command the first counts; and each user's own commands wait for their own."""
    assert secret
    (tmp_path / "alice.toml").write_text(
        CONFIG.replace('"Ben"]', '"Ben", "Dee"]') + '[security.rules]\ndrop = ["peer"]\n'
    )
    async with running(tmp_path) as bridge:
        bridge.tell(type="contacts", contacts=[ANN, BEN, DEE, EVE])
        bridge.say("drop everything")
        await bridge.hear("asks for:", to="ben-id")
        id_ = (await bridge.hear("Say `confirm ")).split("`confirm ")[1][:4]
        bridge.say(f"confirm {id_}")
        bridge.say(f"confirm {id_}", BEN)
        bridge.say(f"confirm {id_}", DEE)
        await bridge.hear("nothing waits for that confirmation of yours here", to="dee-id")
        bridge.say("status")
        await bridge.hear("bob:")
    assert marks(tmp_path) == ["everything"]


async def test_message_delivered_again_after_a_restart_runs_once(tmp_path: Path, secret: str) -> None:
    """A chat that delivers a command once more, after the program was started anew, has it done once."""
    assert secret
    (tmp_path / "guarded.py").write_text(OPERATION.replace("frozenset({SecurityRule.CONFIRM})", "frozenset()"))
    for _ in range(2):
        async with running(tmp_path) as bridge:
            bridge.say("drop everything", id="the-same")
            bridge.say("status")
            await bridge.hear("bob:")
    assert marks(tmp_path) == ["everything"]


async def test_rescue_goes_on_without_store_and_audit(tmp_path: Path, secret: str) -> None:
    """With neither to be had dangerous commands stop, which is told, and the QR still comes."""
    rescue = '[[operation]]\nuse = "qr_rescue"\nwatch = "bob"\n'
    config = CONFIG.replace('name = "alice"', 'name = "alice"\nstore = "missing/alice.db"') + rescue
    (tmp_path / "guarded.py").write_text(
        OPERATION.replace("totp = frozenset({SecurityRule.TOTP})", "totp = frozenset()")
    )
    (tmp_path / "alice.toml").write_text(config + '[security]\naudit = "missing/alice.audit.jsonl"\n')
    async with running(tmp_path) as bridge:
        await bridge.hear("the store cannot be used")
        await bridge.hear("the audit cannot be written")
        bridge.say(f"sh {code_now(secret)} uptime")
        await bridge.hear("what changes anything is not run")
        with (tmp_path / "bob.log").open("a") as log:
            log.write(f"{LOSS}\n")
            log.flush()
            await bridge.hear("bob.log", kind="attachment")
    assert marks(tmp_path) == []


async def test_damaged_store_permits_nothing_that_only_it_could(tmp_path: Path, secret: str) -> None:
    """A store overwritten with rubbish is set aside and that is told; codes open nothing, at the next start neither."""
    async with running(tmp_path) as bridge:
        bridge.say("status")
        await bridge.hear("bob:")
    (tmp_path / "alice.db").write_bytes(os.urandom(8192))
    async with running(tmp_path) as bridge:
        await bridge.hear("the store was damaged")
        bridge.say(f"sh {code_now(secret)} uptime")
        await bridge.hear("no authenticator is enrolled for you")
    async with running(tmp_path) as bridge:
        bridge.say(f"sh {code_now(secret)} uptime")
        await bridge.hear("no authenticator is enrolled for you")
    assert marks(tmp_path) == []


async def test_command_behind_a_code_that_nobody_can_give_is_refused_at_the_start(tmp_path: Path, secret: str) -> None:
    """Without anybody enrolled the configuration is refused, with the remedy."""
    assert secret
    (tmp_path / "alice.db").unlink()
    code, out = await ended(tmp_path, "run", "alice.toml")
    assert (code, "logmonitor totp enroll AdminWeixin --config alice.toml" in out) == (2, True)


async def test_audit_shows_what_was_taken_out_of_it(tmp_path: Path, secret: str) -> None:
    """A line removed, at the end or before it, is found; the whole is found sound."""
    async with running(tmp_path) as bridge:
        for number in range(3):
            bridge.say(f"sh {code_now(secret, steps=number - 1)} echo {number}")
            await bridge.hear(f"ran echo {number}")
    audit = tmp_path / "alice.audit.jsonl"
    whole = audit.read_text().splitlines(keepends=True)
    assert (await ended(tmp_path, "audit", "--verify"))[0] == 0
    for index in (0, 2, len(whole) - 1):
        audit.write_text("".join(whole[:index] + whole[index + 1 :]))
        assert (await ended(tmp_path, "audit", "--verify"))[0] == 1
