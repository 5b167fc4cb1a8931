"""How busy this machine is, and a container whose control groups are files of a test."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest

from logmonitor.host import LocalHost
from logmonitor.hosting.look_up import look_up
from logmonitor.hosting.usage import allowed_memory

MIB = 1 << 20
MOUNT = Path("/dev/shm")  # a disk of its own in memory, on which nothing is made


async def test_usage_tells_of_this_machine(tmp_path: Path) -> None:
    """Load, cores and memory are those of the machine, and a disk is as full as `df` says."""
    found = await LocalHost().usage([tmp_path])
    assert (len(found.load), found.cores) == (3, os.cpu_count())
    assert (
        0
        < found.memory_available_bytes
        <= found.memory_bytes
        <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    )
    (disk,) = found.disks
    room = shutil.disk_usage(tmp_path)
    assert disk.total_bytes <= room.total
    assert abs(disk.free_bytes - room.free) < room.total / 10
    assert tmp_path.is_relative_to(disk.path)


async def test_usage_tells_each_disk_once(tmp_path: Path) -> None:
    """Paths on one disk, there or not, are one row under its mount; no path is no disk, nor is what has no size."""
    paths = [tmp_path, tmp_path / "no" / "such.log", tmp_path / "no", Path("/proc")]
    assert len((await LocalHost().usage(paths)).disks) == 1
    assert (await LocalHost().usage([])).disks == ()


@pytest.mark.skipif(not os.path.ismount(MOUNT), reason="/dev/shm is no disk of its own here")
async def test_usage_names_a_disk_by_its_mount(tmp_path: Path) -> None:
    """Two disks are two rows, in the order asked for."""
    disks = (await LocalHost().usage([MOUNT / "some" / "folder", tmp_path])).disks
    assert [disk.path == MOUNT for disk in disks] == [True, False]


async def test_usage_leaves_out_a_disk_that_hangs(tmp_path: Path) -> None:
    """A disk that does not answer costs half a second and its own row."""
    gate = threading.Event()
    hanging = asyncio.ensure_future(look_up(("disk", Path("/gone")), gate.wait))
    try:
        await asyncio.sleep(0)
        found = await LocalHost().usage([Path("/gone"), tmp_path])
        assert [tmp_path.is_relative_to(disk.path) for disk in found.disks] == [True]
    finally:
        gate.set()
        await hanging


def contain(folder: Path, *, names: tuple[str, str, str], limit: str, current: int, cache: str) -> None:
    """Write the files of a control group."""
    for name, text in zip(names, (limit, str(current), f"anon 1\n{cache} {20 * MIB}"), strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("names", "cache"),
    [
        (("memory.max", "memory.current", "memory.stat"), "inactive_file"),
        (
            ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
            "total_inactive_file",
        ),
    ],
)
def test_memory_of_a_container_is_what_it_may_use(tmp_path: Path, names: tuple[str, str, str], cache: str) -> None:
    """A limit below the machine's memory counts, and what files leave in memory is available."""
    contain(tmp_path, names=names, limit=str(100 * MIB), current=70 * MIB, cache=cache)
    assert allowed_memory(1 << 40, 1 << 39, groups=tmp_path) == (100 * MIB, 50 * MIB)
    contain(tmp_path, names=names, limit=str(100 * MIB), current=130 * MIB, cache=cache)
    assert allowed_memory(1 << 40, 1 << 39, groups=tmp_path) == (100 * MIB, 0)


@pytest.mark.parametrize("limit", ["max", "9223372036854771712", ""])
def test_memory_without_a_limit_is_the_machine(tmp_path: Path, limit: str) -> None:
    """No control group, none with a limit, or one above the machine's memory: the machine's own counts."""
    machine = 1 << 40, 1 << 39
    assert allowed_memory(*machine, groups=tmp_path) == machine
    names = ("memory.max", "memory.current", "memory.stat")
    contain(tmp_path, names=names, limit=limit, current=70 * MIB, cache="inactive_file")
    assert allowed_memory(*machine, groups=tmp_path) == machine
