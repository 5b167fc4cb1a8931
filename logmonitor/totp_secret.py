"""What is kept of a user's authenticator, and how it is written down before it is sealed."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Final

from logmonitor.errors import ConfigurationError

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpSecret:
    """The secret that a user's authenticator has too, and the pepper that their recovery codes are kept under."""

    user: str
    secret: bytes = field(repr=False)
    pepper: bytes = field(repr=False)


def digest_of(code: str, secret: TotpSecret) -> bytes:
    """Return what is kept of a recovery code."""
    return hmac.digest(secret.pepper, code.encode(), hashlib.sha256)


def packed(secret: TotpSecret) -> bytes:
    """Write down what is sealed, the user's name with it: moved to another user's row, it opens for nobody."""
    values = {
        "version": _VERSION,
        "user": secret.user,
        "secret": secret.secret.hex(),
        "pepper": secret.pepper.hex(),
    }
    return json.dumps(values).encode()


def unpacked(data: bytes, *, user: str) -> TotpSecret:
    """Read what was sealed for `user`.

    Raises:
        ConfigurationError: it is another user's, a newer version's, or none of ours.
    """
    try:
        values = json.loads(data)
        if values["version"] != _VERSION:
            raise ConfigurationError(
                f"the secret of {user!r} has version {values['version']!r}; expected {_VERSION}: use the logmonitor"
                " that enrolled them, or enroll them anew"
            )
        if values["user"] != user:
            raise ConfigurationError(f"the secret of {user!r} was sealed for somebody else; enroll them anew")
        return TotpSecret(user=user, secret=bytes.fromhex(values["secret"]), pepper=bytes.fromhex(values["pepper"]))
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(f"the secret of {user!r} is none of logmonitor's; enroll them anew") from None
