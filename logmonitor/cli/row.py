"""What `check` tells of one thing, and the words that several commands use for whom and why."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing looked at, and what was seen; `remedy` is None where nothing is wrong."""

    subject: str
    text: str
    remedy: str | None = None


def user_name() -> str:
    """Return who runs this, by number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def reason_of(error: OSError) -> str:
    """Return why something could not be done, without the path that it was done to."""
    return (error.strerror or str(error)).lower()
