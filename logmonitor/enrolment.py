"""Who can give one-time codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """That a person has an authenticator.

    `user` is an admin's configured name or a stable id of the chat. `sealed` is the secret, encrypted; `enrolled_at` is
    aware UTC. `recovery_codes_left` counts those that were not used yet.
    """

    user: str
    sealed: bytes = field(repr=False)
    enrolled_at: datetime
    recovery_codes_left: int = 0
