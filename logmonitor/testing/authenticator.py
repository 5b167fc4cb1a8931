"""The app on a user's phone that shows one-time codes."""

from __future__ import annotations

from base64 import b32decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logmonitor.totp import STEP_SECONDS, Totp, code_at

if TYPE_CHECKING:
    from logmonitor.clock import Clock
    from logmonitor.sealing import Seal
    from logmonitor.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Shows codes by the time of a clock, which may be ahead of the program's by some seconds."""

    secret: bytes = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)
    clock: Clock

    def code(self, *, ahead: float = 0.0) -> str:
        """Return the code that is shown, or that is shown `ahead` seconds from now."""
        return code_at(self.secret, int((self.clock.now().timestamp() + ahead) // STEP_SECONDS))


def enrol(user: str, store: Store, seal: Seal, clock: Clock) -> Authenticator:
    """Enrol `user` as the command line does; the code of this moment is not used up by it."""
    totp = Totp(store, seal, now=clock.now)
    enrolling = totp.begin(user, issuer="logmonitor.testing")
    secret = b32decode(enrolling.secret)
    step_before = int(clock.now().timestamp() // STEP_SECONDS) - 1
    recovery_codes = totp.finish(enrolling, code_at(secret, step_before))
    return Authenticator(secret=secret, recovery_codes=recovery_codes, clock=clock)
