"""A control group for each shell command, where the program may make one: cgroup v2, delegated to its service.

The kernel then ends all that is in the group at once, whoever it belongs to, and holds the limits where it has the
controllers for it. `Delegate=yes` in a unit of systemd is what allows it; with `DelegateSubgroup=` the controllers are
there, too, since a group that has any for its children must have no processes of its own.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "logmonitor-shell-"
CONTROLLERS: Final = ("memory", "pids")
_PROCESS: Final = Path("/proc/self")
_NAME: Final = re.compile(rf"{PREFIX}(?P<namespace>\d+)-(?P<pid>\d+)-[0-9a-f]+")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_DELEGATED: Final = ("user.delegate", "trusted.delegate")


def own_group(cgroup: str) -> str | None:
    """Return the path of a process's group, by what its `/proc/PID/cgroup` says; None where it has none."""
    return next((line.removeprefix("0::") for line in cgroup.splitlines() if line.startswith("0::/")), None)


def mounted_at(mountinfo: str) -> tuple[Path, str] | None:
    """Return where the groups are to be seen, and which of them is at the top there, by `/proc/PID/mountinfo`."""
    for line in mountinfo.splitlines():
        mount, separator, kind = line.partition(" - ")
        fields = mount.split()
        if separator and kind.split()[0] == "cgroup2":
            root, place = (_OCTAL.sub(lambda match: chr(int(match[1], 8)), field) for field in fields[3:5])
            return Path(place), root
    return None


def folder_of(cgroup: str, mountinfo: str) -> Path | None:
    """Return the folder of a process's group; None where it cannot be seen."""
    group, mount = own_group(cgroup), mounted_at(mountinfo)
    if group is None or mount is None or ".." in group.split("/"):
        return None
    place, root = mount
    below = Path(group)
    return place / below.relative_to(root) if below.is_relative_to(root) else None


def home(process: Path = _PROCESS) -> Path | None:
    """Return the folder in which this program may make groups; None where there is none."""
    try:
        cgroup, mountinfo = ((process / name).read_text(errors="replace") for name in ("cgroup", "mountinfo"))
    except OSError:
        return None
    own = folder_of(cgroup, mountinfo)
    if own is None:
        return None
    candidates = (own.parent, own) if is_delegated(own.parent) else (own,)
    return next((folder for folder in candidates if _is_ours(folder)), None)


def is_delegated(folder: Path) -> bool:
    """Tell whether systemd has left a group to its service."""
    for name in _DELEGATED:
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def make(folder: Path, *, memory_bytes: int, tasks: int) -> Path | None:
    """Make a group with limits, as far as there are controllers for them; None if none can be made.

    What is left of programs that are no more is removed on the way.
    """
    clean(folder)
    for controller in CONTROLLERS:
        _write(folder / "cgroup.subtree_control", f"+{controller}")
    group = folder / f"{PREFIX}{_namespace()}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        group.mkdir()
    except OSError:
        return None
    _write(group / "memory.max", str(memory_bytes))
    _write(group / "memory.swap.max", "0")
    _write(group / "memory.oom.group", "1")
    _write(group / "pids.max", str(tasks))
    return group


def remove(group: Path) -> bool:
    """End what is in a group, and remove it; tell whether it is gone."""
    if group.exists():
        _write(group / "cgroup.kill", "1")
        with suppress(OSError):
            group.rmdir()
    return not group.exists()


def clean(folder: Path) -> None:
    """Remove the groups of programs that are no more."""
    for group in folder.glob(f"{PREFIX}*"):
        name = _NAME.fullmatch(group.name)
        if name is None or int(name["namespace"]) != _namespace() or Path(f"/proc/{name['pid']}").exists():
            continue
        remove(group)


def _namespace() -> int:
    """Return which processes the ids are about: those of this program's container."""
    return (_PROCESS / "ns/pid").stat().st_ino


def _is_ours(folder: Path) -> bool:
    return all(os.access(path, os.W_OK) for path in (folder, folder / "cgroup.procs"))


def _write(path: Path, text: str) -> None:
    """Write to a file of the kernel's, where there is one and it may be written."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
