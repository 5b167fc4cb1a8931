"""How busy the machine is: its load, its memory or that of the container it is, its disks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.hosting.look_up import look_up
from logmonitor.machine import DiskUsage, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PATIENCE_SECONDS: Final = 0.5
_GROUPS: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Disk:
    """How full a disk is, and which it is."""

    device: int
    usage: DiskUsage


async def usage(
    paths: Sequence[Path],
    *,
    load: tuple[float, float, float],
    cores: int,
    memory: tuple[int, int],
    room: Callable[[Path], tuple[int, int]],
) -> Usage:
    """Return how busy the machine is, and how full the disks are on which `paths` lie.

    `memory` is all that the machine has and what is available of it, in bytes, and `room` tells how much is used and
    how much is free of the disk that a path lies on.

    Each disk is told once, by where it is mounted; a path that is not there lies where it would be. A disk that does
    not answer within half a second, or has no size, is left out. What is kept for root counts as used up.
    """
    disks = [
        asyncio.ensure_future(look_up(("disk", path), partial(_disk, path, room))) for path in dict.fromkeys(paths)
    ]
    try:
        if disks:
            await asyncio.wait(disks, timeout=_PATIENCE_SECONDS)
        found = [disk.result() for disk in disks if disk.done()]
    finally:
        for disk in disks:
            disk.cancel()
    told = {disk.device: disk.usage for disk in found if disk is not None}
    total, available = allowed_memory(*memory, groups=_GROUPS)
    return Usage(
        load=load,
        cores=cores,
        memory_bytes=total,
        memory_available_bytes=available,
        disks=tuple(told.values()),
    )


def allowed_memory(total: int, available: int, *, groups: Path) -> tuple[int, int]:
    """Return how much of the machine's memory may be used, and how much of that is available: less in a container.

    `groups` is where control groups are mounted. What files leave in memory counts as available.
    """
    for limit_name, current_name, details_name, cache_name in _LIMITS:
        try:
            limit = int((groups / limit_name).read_text())
            current = int((groups / current_name).read_text())
            details = dict(line.split() for line in (groups / details_name).read_text().splitlines())
        except (OSError, ValueError):
            continue
        if limit < total:
            total = limit
            available = min(available, max(0, limit - current + int(details.get(cache_name, 0))))
    return total, available


def _disk(path: Path, room: Callable[[Path], tuple[int, int]]) -> _Disk | None:
    """Look at the disk that `path` lies on, by the path at which it is mounted; None if it has no size."""
    path = path.absolute()
    for there in (path, *path.parents):
        with suppress(OSError):
            device = there.stat().st_dev
            used_bytes, free_bytes = room(there)
            if not used_bytes + free_bytes:
                return None
            disk = DiskUsage(path=_mount(there, device), total_bytes=used_bytes + free_bytes, free_bytes=free_bytes)
            return _Disk(device=device, usage=disk)
    return None


def _mount(path: Path, device: int) -> Path:
    path = path.resolve()
    while path.parent != path and path.parent.stat().st_dev == device:
        path = path.parent
    return path
