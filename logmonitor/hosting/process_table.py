"""The processes of this machine: found, told from others of the same id, looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logmonitor.machine import Completed, Origin, Process, ProcessSelector


async def find(selector: ProcessSelector, *, run: Callable[..., Awaitable[Completed]]) -> tuple[Process, ...]:
    """Return the processes that are meant; `run` asks managers of units."""
    raise HostError(f"cannot look for {selector.text} with {run!r} yet")


def is_running(process: Process) -> bool:
    """Tell whether this very process still runs."""
    raise HostError(f"cannot look for {process.pid} yet")


def inspect(process: Process) -> Origin:
    """Return what a process was started with."""
    raise HostError(f"cannot look into {process.pid} yet")
