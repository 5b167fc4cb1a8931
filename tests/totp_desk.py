"""A folder with a configuration, and a person at the command line in it who answers questions."""

from __future__ import annotations

import json
import re
import sys
from base64 import b32decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from logmonitor import cli
from logmonitor.sealing import load_seal, make_key_file
from logmonitor.store import Store
from logmonitor.totp import STEP_SECONDS, Totp, code_at
from tests.totp_bench import ADMIN, SECRET, enrolling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


CONFIG = """
[bot]
name = "alice"
timezone = "Asia/Shanghai"
[chat]
transport = "console"
admins = ["AdminWeixin", "管理员"]
[[watch]]
name = "bob"
log = "bob.log"
[[operation]]
use = "qr_rescue"
admins = ["Charlie"]
"""
RECOVERY_CODE = re.compile(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b")


class Desk:
    """A folder with a configuration, and a person who answers questions, knowing what was shown so far."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Sit down; nothing was shown yet."""
        self.folder = folder
        self.shown = ""
        self.said = ""
        self._capsys = capsys
        self._answers: list[str | Callable[[], str]] = []
        self._stores: list[Store] = []
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "stdin", self)
        self.configure()

    def configure(self, more: str = "") -> None:
        """Write the configuration, with `more` at its end."""
        (self.folder / "bot.toml").write_text(CONFIG + more, encoding="utf-8")

    def isatty(self) -> bool:
        """Tell that the answers are piped."""
        return False

    def readline(self) -> str:
        """Return the next answer as a line; nothing at the end."""
        self._look()
        if not self._answers:
            return ""
        answer = self._answers.pop(0)
        return f"{answer if isinstance(answer, str) else answer()}\n"

    def run(self, *words: str, answers: tuple[str | Callable[[], str], ...] = ()) -> int:
        """Run a command with these answers; return its exit code. What it showed is `shown`, its errors `said`."""
        self.shown = self.said = ""
        self._answers = list(answers)
        code = cli.main(["totp", *words])
        self._look()
        return code

    def secret(self) -> bytes:
        """Return the secret that was shown last, as it would be typed into an authenticator."""
        shown = re.findall(r"key +((?:[A-Z2-7]{4} ){7}[A-Z2-7]{4})", self.shown)
        return b32decode(shown[-1].replace(" ", ""))

    def code(self, *, steps: int = 0) -> str:
        """Return the code that an authenticator shows which was given the secret."""
        return code_now(self.secret(), steps=steps)

    def totp(self) -> Totp:
        """Return what the bot itself would verify with."""
        seal = load_seal(key=None, key_file=self.folder / "bot.key")
        self._stores.append(self.store())
        return Totp(self._stores[-1], seal, now=lambda: datetime.now(UTC))

    def leave(self) -> None:
        """Close what was opened."""
        for store in self._stores:
            store.close()

    def store(self) -> Store:
        """Open the store."""
        return Store(self.folder / "bot.db")

    def enrolled(self) -> list[str]:
        """Return who is enrolled."""
        with self.store() as store:
            return [enrolment.user for enrolment in store.enrolments()]

    def enrol(self, user: str = ADMIN) -> tuple[str, ...]:
        """Enrol a user with a secret that is known, an hour ago; return the recovery codes."""
        key_file, moment = self.folder / "bot.key", datetime.now(UTC) - timedelta(hours=1)
        if not key_file.exists():
            make_key_file(key_file)
        with self.store() as store:
            totp = Totp(store, load_seal(key=None, key_file=key_file), now=lambda: moment)
            return totp.finish(enrolling(user, SECRET), code_at(SECRET, int(moment.timestamp()) // STEP_SECONDS))

    def audit(self) -> list[tuple[str, str, str]]:
        """Return decision, command and reason of what is on record."""
        lines = (self.folder / "bot.audit.jsonl").read_text(encoding="utf-8").splitlines()
        return [(line["decision"], line["command"], line["reason"]) for line in map(json.loads, lines)]

    def _look(self) -> None:
        shown, said = self._capsys.readouterr()
        self.shown += shown
        self.said += said


def code_now(secret: bytes, *, steps: int = 0) -> str:
    """Return the code of this moment, or of so many steps later."""
    return code_at(secret, int(datetime.now(UTC).timestamp()) // STEP_SECONDS + steps)
