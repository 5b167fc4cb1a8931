"""A process started so that it outlives this program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.errors import HostError

if TYPE_CHECKING:
    from logmonitor.machine import Launch, Process


async def start(launch: Launch) -> Process:
    """Start a process that outlives this program."""
    raise HostError(f"cannot start {launch.executable} yet")
