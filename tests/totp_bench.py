"""A store, a seal and a clock set by hand, with an authenticator whose secret is known."""

from __future__ import annotations

from base64 import b32encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from logmonitor.sealing import Seal
from logmonitor.store import Store
from logmonitor.totp import STEP_SECONDS, Enrolling, Totp, Verification, code_at

if TYPE_CHECKING:
    from pathlib import Path

KEY = "6Hd1aX0fJb3rQ8yO2mWq5sVtE9cKzLpNnUiGwYx7T_o="
NOW = datetime(2026, 11, 20, 14, 0, 10, tzinfo=UTC)
SECRET = b"12345678901234567890"
ADMIN = "AdminWeixin"
NAMES = (ADMIN, "wxid_7")
RFC_6238 = (
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
)
"""Appendix B, SHA-1."""


class Bench:
    """A store, a seal and a clock that is set by hand, with one admin enrolled an hour ago."""

    def __init__(self, path: Path | None = None, *, secret: bytes = SECRET, seal: Seal | None = None) -> None:
        """Keep it at `path`, in memory without one."""
        self.now = NOW - timedelta(hours=1)
        self.secret = secret
        self.store = Store(path)
        self.seal = seal or Seal(KEY)
        self.totp = Totp(self.store, self.seal, now=lambda: self.now)
        self.recovery = self.enrol(ADMIN, secret)
        self.now = NOW

    def enrol(self, user: str, secret: bytes) -> tuple[str, ...]:
        """Enrol a user with a secret that is known here."""
        return self.totp.finish(enrolling(user, secret), self.code(secret=secret))

    def code(self, *, steps: int = 0, secret: bytes | None = None) -> str:
        """Return the code of now, or of so many steps later."""
        return code_at(secret or self.secret, int(self.now.timestamp()) // STEP_SECONDS + steps)

    def wrong(self, number: int = 0) -> str:
        """Return the n-th code that is none of those around now."""
        near = {self.code(steps=steps) for steps in range(-10, 11)}
        return next(code for code in (f"{guess:06}" for guess in range(number, 10**6)) if code not in near)

    def verify(self, code: str, *, names: tuple[str, ...] = NAMES, command: str = "sh uptime") -> Verification:
        """Verify as the dispatcher does."""
        return self.totp.verify(names, code, command=command)


def enrolling(user: str, secret: bytes) -> Enrolling:
    """Return an enrolment begun with a known secret."""
    return Enrolling(user=user, secret=b32encode(secret).decode(), uri="")
