"""Secrets at rest: sealed under a key that lies beside the store or in the environment, never in it.

A seal is Fernet's: AES-128 in CBC under an HMAC, so that what was changed does not open. Who has the store alone learns
nothing of a secret; who has the key file too has them all, which is why a key file that others can read is refused.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cryptography.fernet import Fernet, InvalidToken

from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}=")
_LIMIT_BYTES: Final = 1024
_FORM: Final = "expected the 44 characters of a Fernet key, as `logmonitor totp enroll` makes one"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Seal:
    """Seals and opens secrets under one key, which nothing shows."""

    __slots__ = ("_fernet", "_origin")

    def __init__(self, key: str | bytes, *, origin: str = "the key") -> None:
        """Take a Fernet key; `origin` says in errors where it came from.

        Raises:
            ConfigurationError: it is none; the text does not show it.
        """
        text = key if isinstance(key, str) else key.decode("latin-1")
        if not _KEY.fullmatch(text):
            raise ConfigurationError(f"{origin} is no key; {_FORM}")
        self._origin = origin
        self._fernet = Fernet(text)

    def seal(self, secret: bytes, /) -> bytes:
        """Return `secret`, readable under this key alone."""
        return self._fernet.encrypt(secret)

    def unseal(self, sealed: bytes, /) -> bytes:
        """Return the secret.

        Raises:
            ConfigurationError: it was sealed under another key, or changed since.
        """
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise ConfigurationError(
                f"{self._origin} is not the one that a secret in the store was sealed under, or the secret was changed;"
                " expected the key that was there when it was enrolled, else enroll anew"
            ) from None


def load_seal(*, key: str | None, key_file: Path) -> Seal:
    """Return the seal under `key`, which comes from the environment and wins, or under what `key_file` holds.

    Raises:
        ConfigurationError: there is none, it is no key, or others could have read or put it there.
    """
    if key is not None:
        return Seal(key.strip(), origin="[security] key")
    return Seal(_read(key_file).strip(), origin=f"{key_file}")


def make_key_file(path: Path, /) -> None:
    """Make a new key at `path` for its owner alone; it is on disk, and whole, once this returns.

    Raises:
        ConfigurationError: something is there already, or it cannot be made.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(file, "wb") as stream:
                os.fchmod(file, 0o600)
                stream.write(Fernet.generate_key() + b"\n")
                stream.flush()
                os.fsync(file)
            path.hardlink_to(draft)
        finally:
            draft.unlink()
        _settle(path.parent)
    except FileExistsError:
        raise ConfigurationError(f"key file {str(path)!r} is there already; expected none to be replaced") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"key file {str(path)!r} cannot be made: {_reason(error)}") from None


def _read(path: Path) -> bytes:
    """Return what the key file holds, if nobody but its owner can have read it."""
    shown = repr(str(path))
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as stream:
            status = os.fstat(file)
            _check(status, shown=shown)
            return stream.read(_LIMIT_BYTES)
    except FileNotFoundError:
        raise ConfigurationError(
            f"no key file {shown}; expected the one that `logmonitor totp enroll` made, or its content in the"
            " environment, as [security] key names it"
        ) from None
    except (OSError, ValueError) as error:
        if path.is_symlink():
            raise ConfigurationError(
                f"key file {shown} is a symbolic link; expected the file itself, to which [security] key_file can point"
            ) from None
        raise ConfigurationError(f"key file {shown} cannot be read: {_reason(error)}") from None


def _check(status: os.stat_result, *, shown: str) -> None:
    """Refuse what others can read, or could have put there."""
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"key file {shown} is no ordinary file; expected one that holds a key")
    if status.st_uid not in {os.geteuid(), 0}:
        raise ConfigurationError(
            f"key file {shown} belongs to user {status.st_uid}; expected user {os.geteuid()}, who runs this, or root:"
            f" chown {os.geteuid()} {shown}"
        )
    if status.st_mode & _OTHERS:
        raise ConfigurationError(
            f"key file {shown} has mode {stat.S_IMODE(status.st_mode):04o}, so that others than its owner can read or"
            f" change it; expected 0600: chmod 600 {shown}"
        )
    if status.st_size > _LIMIT_BYTES:
        raise ConfigurationError(f"key file {shown} has {status.st_size} bytes; {_FORM}")


def _settle(folder: Path) -> None:
    """Put the folder's list of files on disk, where the file system can."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(file)
    finally:
        os.close(file)


def _reason(error: Exception) -> str:
    """Return why, without the path that stands before it already."""
    return (getattr(error, "strerror", None) or str(error)).lower()
