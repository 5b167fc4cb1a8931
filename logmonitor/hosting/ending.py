"""A process and all below it, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.errors import HostError

if TYPE_CHECKING:
    from logmonitor.machine import Ending, Process


async def terminate(process: Process, *, timeout: float) -> Ending:  # noqa: ASYNC109  # until it is killed
    """Ask a process and all below it to end, and kill after `timeout` seconds what has not."""
    raise HostError(f"cannot end {process.pid} within {timeout} yet")
