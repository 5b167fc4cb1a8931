"""Control groups: where they are, and what is made of them; the kernel's own where it lets us."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor.hosting import cgroup

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 30.0
MOUNTS = (
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    "30 22 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "31 22 0:27 {root} {place} rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate\n"
)


def process(folder: Path, *, group: str = "/", root: str = "/", place: str) -> Path:
    """Make what a process's own folder in /proc says of its groups."""
    (folder / "cgroup").write_text(f"8:pids:/elsewhere\n0::{group}\n")
    (folder / "mountinfo").write_text(MOUNTS.format(root=root, place=place))
    return folder


def made(folder: Path, *, controllers: bool = True) -> Path:
    """Make what a folder of a control group looks like."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("cgroup.procs", "cgroup.subtree_control") if controllers else ("cgroup.procs",):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("group", "root", "place", "folder"),
    [
        ("/", "/", "/sys/fs/cgroup", "/sys/fs/cgroup"),
        ("/system.slice/bot.service", "/", "/sys/fs/cgroup", "/sys/fs/cgroup/system.slice/bot.service"),
        ("/docker/1/main", "/docker/1", "/sys/fs/cgroup", "/sys/fs/cgroup/main"),
        ("/a", "/", r"/mnt/with\040space", "/mnt/with space/a"),
        ("/elsewhere", "/docker/1", "/sys/fs/cgroup", None),
        ("/../outside", "/", "/sys/fs/cgroup", None),
    ],
)
def test_folder_of_a_group_is_found(group: str, root: str, place: str, folder: str | None) -> None:
    """Wherever the groups are mounted, and whatever part of them."""
    found = cgroup.folder_of(f"1:name=systemd:/x\n0::{group}\n", MOUNTS.format(root=root, place=place))
    assert found == (None if folder is None else Path(folder))


@pytest.mark.parametrize(
    ("groups", "mounts"),
    [
        ("8:pids:/x\n", MOUNTS.format(root="/", place="/sys")),
        ("0::/x\n", "30 22 0:26 / /sys rw - cgroup cgroup rw\n"),
        ("", ""),
    ],
)
def test_machine_without_such_groups_has_none(groups: str, mounts: str) -> None:
    """The older kind of groups, or none at all, are no home."""
    assert cgroup.folder_of(groups, mounts) is None


def test_home_is_the_own_group_where_it_may_be_written(tmp_path: Path) -> None:
    """A group of our own, writable, is where others are made."""
    own = made(tmp_path / "top/bot.service")
    assert cgroup.home(process(tmp_path, group="/bot.service", place=str(tmp_path / "top"))) == own


def test_home_is_the_delegated_group_above(tmp_path: Path) -> None:
    """What systemd has left to a service is above the group that the service is put into."""
    above = made(tmp_path / "top/bot.service")
    made(above / "main")
    try:
        os.setxattr(above, "user.delegate", b"1")
    except OSError:
        pytest.skip("this file system keeps no attributes")
    assert cgroup.home(process(tmp_path, group="/bot.service/main", place=str(tmp_path / "top"))) == above


def test_home_is_nowhere_if_nothing_may_be_made(tmp_path: Path) -> None:
    """A group without its files is none that could be used, nor one that cannot be seen."""
    (tmp_path / "top").mkdir()
    assert cgroup.home(process(tmp_path, place=str(tmp_path / "top"))) is None
    assert cgroup.home(process(tmp_path, group="/../x", place=str(tmp_path / "top"))) is None
    assert cgroup.home(tmp_path / "no process") is None


def test_group_has_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are controllers the kernel holds memory and tasks; the files of the rest are left alone."""
    home = made(tmp_path / "bot.service")
    mkdir = Path.mkdir

    def mkdir_as_the_kernel(self: Path) -> None:
        mkdir(self)
        for name in ("memory.max", "memory.oom.group", "pids.max"):
            (self / name).touch()

    monkeypatch.setattr(Path, "mkdir", mkdir_as_the_kernel)
    group = cgroup.make(home, memory_bytes=1000, tasks=20)
    assert group is not None
    assert {path.name: path.read_text() for path in group.iterdir()} == {
        "memory.max": "1000",
        "memory.oom.group": "1",
        "pids.max": "20",
    }
    assert (home / "cgroup.subtree_control").read_text().startswith("+pids")


def test_group_that_cannot_be_made_is_none(tmp_path: Path) -> None:
    """Where no folder can be made there is no group."""
    assert cgroup.make(tmp_path / "nowhere", memory_bytes=1, tasks=1) is None


def test_groups_of_programs_that_are_no_more_are_removed(tmp_path: Path) -> None:
    """What was left goes; groups of who still runs, of other containers, and of others altogether stay."""
    with subprocess.Popen("true") as child:
        child.wait()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    names = {
        f"{cgroup.PREFIX}{namespace}-{child.pid}-0a": False,
        f"{cgroup.PREFIX}{namespace}-{os.getpid()}-0a": True,
        f"{cgroup.PREFIX}1-{child.pid}-0a": True,
        f"{cgroup.PREFIX}of-somebody": True,
        "other": True,
    }
    for name in names:
        (tmp_path / name).mkdir()
    cgroup.clean(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_group_that_is_gone_is_removed_already(tmp_path: Path) -> None:
    """Who removes a group that the warden has removed finds it gone."""
    assert cgroup.remove(tmp_path / "gone")


def test_group_of_the_kernel_ends_all_that_is_in_it() -> None:
    """What is in a group, and could be nobody's child, ends with it."""
    home = cgroup.home()
    if home is None:
        pytest.skip("this program may make no control groups here")
    group = cgroup.make(home, memory_bytes=1 << 30, tasks=100)
    assert group is not None
    try:
        with subprocess.Popen(("sh", "-c", f"echo 0 > {group}/cgroup.procs; exec sleep 1000")) as child:
            try:
                wait_until(lambda: (group / "cgroup.procs").read_text() == f"{child.pid}\n")
                wait_until(lambda: cgroup.remove(group))
            finally:
                child.kill()
    finally:
        wait_until(lambda: cgroup.remove(group))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    give_up_at = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
