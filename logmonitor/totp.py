"""One-time codes of an authenticator (RFC 6238): enrolled once, verified once each, and locked when guessed at.

SHA-1, six digits and steps of 30 seconds are what Google Authenticator, Authy and 1Password all understand; HMAC does
not lean on what SHA-1 is known to lack. What fails here permits nothing: a store or a key that cannot be used refuses.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from base64 import b32decode, b32encode
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import pyotp

from logmonitor.errors import CodeError, ConfigurationError, StoreError
from logmonitor.lockout import Lockout, fail, is_locked
from logmonitor.one_time_code import ALPHABET, CodeKind, code_of, kind_of
from logmonitor.totp_secret import TotpSecret, digest_of, packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from logmonitor.sealing import Seal
    from logmonitor.store import Store

STEP_SECONDS: Final = 30
RECOVERY_CODES: Final = 10
"""So many are given out with each enrolment."""

_SECRET_BYTES: Final = 20
_PEPPER_BYTES: Final = 32
_WINDOW: Final = 1
_FAR: Final = 10
_log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What a code is worth; `ACCEPTED` alone permits anything.

    `UNAVAILABLE` means that it could not be found out: the store or the key cannot be used.
    """

    ACCEPTED = "accepted"
    WRONG = "wrong"
    USED = "used"
    LOCKED = "locked"
    NOT_ENROLLED = "not_enrolled"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What became of a code.

    `user` is whose enrolment accepted it, or had it used before. `locked_until` (aware UTC) is set while it is locked,
    with `is_newly_locked` by this very code. `recovery_codes_left` is set `by_recovery_code`.
    """

    verdict: Verdict
    user: str | None = None
    locked_until: datetime | None = None
    is_newly_locked: bool = False
    by_recovery_code: bool = False
    recovery_codes_left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolling:
    """An enrolment that was begun and counts for nothing yet.

    `secret` is what is typed by hand into an authenticator, in base 32; `uri` is what it scans.
    """

    user: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)


class Totp:
    """Enrols and verifies against what the store holds.

    A recovery code is kept as its HMAC-SHA-256 under 32 random bytes that are the user's own and lie sealed beside the
    secret. Slow hashing is for what people choose: a code here is drawn from more than 2 ** 50, and who has the store
    without the key cannot even begin to try them, while who has both has the secret itself and needs no code. The
    store looks a digest up, which takes constant time in all that matters: how far it agrees with another one tells
    nothing of the code to whoever lacks the key it was made with.
    """

    def __init__(self, store: Store, seal: Seal | None, *, now: Callable[[], datetime]) -> None:
        """Take the store, the seal its secrets were sealed with, None if there is no key, and a clock (aware UTC)."""
        self._store = store
        self._seal = seal
        self._now = now

    def verify(self, names: Sequence[str], code: str, *, command: str, forgives: bool = True) -> Verification:
        """Find out what a code is worth that the person called `names` typed for `command`, and use it up.

        All in one transaction: of two processes that are given one code at once, one accepts it, and it is on disk that
        it was used before anyone is told. A wrong code counts as a failure of the person, whatever name it is enrolled
        under; one that has not the form of a code, or was used before, tells nobody anything and does not. While it is
        locked no code is looked at. A right code makes wrong ones forgotten, unless it `forgives` none because another
        code is still to come: then `clear` does. Never raises.
        """
        try:
            with self._store.transaction():
                verification = self._verify(names, code, command=command, now=self._now())
                if forgives and verification.verdict is Verdict.ACCEPTED:
                    self.clear(names)
                return verification
        except (StoreError, ConfigurationError) as error:
            return _unavailable(error)

    def note_failure(self, names: Sequence[str]) -> Verification:
        """Count a wrong code of another kind, such as one of a second channel; never raises, never accepts."""
        try:
            with self._store.transaction():
                return self._fail(self._locked_names(names), now=self._now())
        except StoreError as error:
            return _unavailable(error)

    def locked_until(self, names: Sequence[str]) -> datetime | None:
        """Return until when no code of that person may be looked at, None if it may.

        Raises:
            StoreError: it cannot be found out, so that none may be.
        """
        return self._locked_until(self._locked_names(names), now=self._now())

    def clear(self, names: Sequence[str]) -> None:
        """Forget a person's wrong codes, once all that a command asks for was shown.

        To do so after one of two factors would let whoever has that one guess at the other for ever.

        Raises:
            StoreError: it cannot be written.
        """
        with self._store.transaction():
            self._clear(self._locked_names(names))

    def enrolled(self) -> frozenset[str]:
        """Return who is enrolled.

        Raises:
            StoreError: the store cannot be read.
        """
        return frozenset(enrolment.user for enrolment in self._store.enrolments())

    def begin(self, user: str, *, issuer: str) -> Enrolling:
        """Draw a secret for `user`, shown by an authenticator as `issuer`'s; nothing is kept of it yet."""
        secret = b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        # A colon parts issuer and user in the label, however it is escaped.
        name, issuer = (text.replace(":", " ") for text in (user, issuer))
        return Enrolling(
            user=user, secret=secret, uri=pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)
        )

    def check(self, enrolling: Enrolling, code: str) -> None:
        """Let pass a code of now that shows that the secret arrived; nothing is kept of it yet.

        Raises:
            CodeError: the code is not the one of now.
        """
        _shown(enrolling, code, now=self._now())

    def finish(self, enrolling: Enrolling, code: str) -> tuple[str, ...]:
        """Enrol, in place of an earlier enrolment, whoever shows by a code that the secret arrived.

        Return the recovery codes, which nothing shows again. The code is used up, and a lock of the user ends. A step
        that was used up by a code of an earlier secret is no matter: this secret was never asked for one before.

        Raises:
            CodeError: the code is not the one of now.
            ConfigurationError: there is no key to seal the secret with.
            StoreError: it cannot be kept.
        """
        now, seal = self._now(), self._require_seal()
        steps = _shown(enrolling, code, now=now)
        opened = TotpSecret(
            user=enrolling.user, secret=b32decode(enrolling.secret), pepper=secrets.token_bytes(_PEPPER_BYTES)
        )
        recovery: set[str] = set()
        while len(recovery) < RECOVERY_CODES:
            recovery.add(_draw_recovery_code())
        with self._store.transaction():
            self._use(enrolling.user, steps, command="totp enroll", now=now)
            digests = [digest_of(code, opened) for code in recovery]
            self._store.enrol(enrolling.user, seal.seal(packed(opened)), recovery=digests, at=now)
            self._clear((enrolling.user,))
        return tuple(recovery)

    def revoke(self, user: str) -> bool:
        """Forget a user's secret, recovery codes and lock; tell whether they were enrolled.

        Raises:
            StoreError: it cannot be written.
        """
        with self._store.transaction():
            self._clear((user,))
            return self._store.remove_enrolment(user)

    def skew(self, user: str, code: str) -> float | None:
        """Return by how many seconds a user's authenticator is ahead, to within 15, if its code is of another time.

        None if the code is of now, or of no time within five minutes. Accepts and counts nothing.

        Raises:
            ConfigurationError: the secret cannot be opened.
            StoreError: the store cannot be read.
        """
        ahead = [_skew(opened.secret, _totp_code(code), now=self._now()) for opened in self._opened((user,))]
        return ahead[0] if ahead else None

    def _verify(self, names: Sequence[str], code: str, *, command: str, now: datetime) -> Verification:
        opened = self._opened(names)
        if not opened:
            return Verification(verdict=Verdict.NOT_ENROLLED)
        users = tuple(each.user for each in opened)
        if (until := self._locked_until(users, now=now)) is not None:
            return Verification(verdict=Verdict.LOCKED, locked_until=until)
        typed = code_of(code, is_answer=True)
        if typed is None or kind_of(typed) is CodeKind.OUT_OF_BAND:
            return Verification(verdict=Verdict.WRONG)
        if kind_of(typed) is CodeKind.RECOVERY:
            return self._recover(opened, typed, now=now)
        found = [(each.user, steps) for each in opened if (steps := _matching(each.secret, typed, now=now))]
        for user, steps in found:
            if self._use(user, steps, command=command, now=now):
                return self._accept(user)
        return Verification(verdict=Verdict.USED, user=found[0][0]) if found else self._fail(users, now=now)

    def _recover(self, opened: Sequence[TotpSecret], code: str, *, now: datetime) -> Verification:
        users = tuple(each.user for each in opened)
        for each in opened:
            if self._store.use_recovery_code(each.user, digest_of(code, each), at=now):
                return self._accept(each.user, by_recovery_code=True)
        return self._fail(users, now=now)

    def _accept(self, user: str, *, by_recovery_code: bool = False) -> Verification:
        left = next(one.recovery_codes_left for one in self._store.enrolments() if one.user == user)
        return Verification(
            verdict=Verdict.ACCEPTED,
            user=user,
            by_recovery_code=by_recovery_code,
            recovery_codes_left=left if by_recovery_code else None,
        )

    def _fail(self, names: Sequence[str], *, now: datetime) -> Verification:
        """Count a failure of a person, unless it is locked."""
        if (until := self._locked_until(names, now=now)) is not None:
            return Verification(verdict=Verdict.LOCKED, locked_until=until)
        for name in names:
            self._store.put_lockout(name, fail(self._store.lockout(name), now=now))
        until = self._locked_until(names, now=now)
        return Verification(verdict=Verdict.WRONG, locked_until=until, is_newly_locked=until is not None)

    def _locked_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names that a person's failures are counted under: the enrolled ones, all if there is none."""
        enrolled, distinct = self.enrolled(), tuple(dict.fromkeys(names))
        return tuple(name for name in distinct if name in enrolled) or distinct

    def _locked_until(self, names: Sequence[str], *, now: datetime) -> datetime | None:
        lockouts = [self._store.lockout(name) for name in names]
        return max((one.until for one in lockouts if one.until is not None and is_locked(one, now=now)), default=None)

    def _clear(self, names: Sequence[str]) -> None:
        for name in names:
            self._store.put_lockout(name, Lockout())

    def _use(self, user: str, steps: Sequence[int], *, command: str, now: datetime) -> bool:
        """Use up all steps of a code; tell whether each of them was unused."""
        purpose = hashlib.sha256(command.encode("utf-8", "surrogatepass")).hexdigest()
        is_unused = [self._store.use_step(user, step, purpose=purpose, at=now) for step in steps]
        return all(is_unused)

    def _opened(self, names: Sequence[str]) -> tuple[TotpSecret, ...]:
        """Open what is sealed of those of `names` that are enrolled."""
        enrolments = [enrolment for enrolment in self._store.enrolments() if enrolment.user in names]
        return tuple(unpacked(self._require_seal().unseal(one.sealed), user=one.user) for one in enrolments)

    def _require_seal(self) -> Seal:
        if self._seal is None:
            raise ConfigurationError("there is no key for one-time codes; expected a key file or [security] key")
        return self._seal


def code_at(secret: bytes, step: int, *, digits: int = 6) -> str:
    """Return the code of a time step, which counts from 1970 in 30 seconds (RFC 6238, section 4)."""
    return pyotp.TOTP(b32encode(secret).decode(), digits=digits).generate_otp(step)


def _matching(secret: bytes, code: str | None, *, now: datetime) -> tuple[int, ...]:
    """Return the steps around now that `code` is of; as long as it takes for one, it takes for none."""
    return _found(secret, code, steps=_steps(now, distance=_WINDOW))


def _skew(secret: bytes, code: str | None, *, now: datetime) -> float | None:
    """Return by how many seconds whatever shows `code` is ahead, None if that is of now or of no time nearby."""
    if _matching(secret, code, now=now):
        return None
    ahead = [
        (step + 0.5) * STEP_SECONDS - now.timestamp() for step in _found(secret, code, steps=_steps(now, distance=_FAR))
    ]
    return min(ahead, key=abs, default=None)


def _shown(enrolling: Enrolling, code: str, *, now: datetime) -> tuple[int, ...]:
    """Return the steps that `code` shows the secret at, at least one.

    Raises:
        CodeError: it shows nothing.
    """
    secret, typed = b32decode(enrolling.secret), _totp_code(code)
    if steps := _matching(secret, typed, now=now):
        return steps
    raise _wrong(_skew(secret, typed, now=now))


def _found(secret: bytes, code: str | None, *, steps: Iterable[int]) -> tuple[int, ...]:
    """Compare with the codes of all steps, each in constant time, whichever is the one."""
    given = (code or "").encode()
    equal = [(step, hmac.compare_digest(code_at(secret, step).encode(), given)) for step in steps]
    return tuple(step for step, is_equal in equal if is_equal)


def _steps(now: datetime, *, distance: int) -> range:
    """Return the steps from so many before now to so many behind it; none lies before 1970."""
    step = int(now.timestamp() // STEP_SECONDS)
    return range(max(step - distance, 0), max(step + distance + 1, 0))


def _totp_code(code: str) -> str | None:
    """Return a code as it is compared, None if it has not the form of an authenticator's."""
    typed = code_of(code, is_answer=True)
    return typed if typed is not None and kind_of(typed) is CodeKind.TOTP else None


def skew_text(skew: float) -> str:
    """Say that an authenticator's clock is `skew` seconds ahead."""
    return (
        f"the authenticator's clock is about {abs(skew):.0f} seconds {'ahead of' if skew > 0 else 'behind'} this"
        f" machine's; expected at most {STEP_SECONDS}: set the one that is wrong"
    )


def _wrong(skew: float | None) -> CodeError:
    """Return what to tell of a code that does not fit, which is not shown."""
    if skew is not None:
        return CodeError(f"this code is of another time: {skew_text(skew)}")
    return CodeError("this is not the code of now; expected the 6 digits that the authenticator shows at this moment")


def _draw_recovery_code() -> str:
    """Draw until the form is a recovery code's, which needs a letter and a digit."""
    while True:
        first, second = ("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(2))
        if kind_of(code := f"{first}-{second}") is CodeKind.RECOVERY:
            return code


def _unavailable(error: Exception) -> Verification:
    _log.error("one-time codes cannot be checked, so that none is accepted: %s", error)
    return Verification(verdict=Verdict.UNAVAILABLE)
