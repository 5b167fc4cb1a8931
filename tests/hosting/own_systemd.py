"""A systemd of one's own, for tests that need a real one beside whatever has started this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from tests.hosting.strangers import DEADLINE

if TYPE_CHECKING:
    from tests.hosting.strangers import Strangers

SYSTEMD: Final = Path("/lib/systemd/systemd")


class Systemd:
    """One systemd, in cgroups of its own."""

    def __init__(self, strangers: Strangers) -> None:
        """Make a cgroup for it in each hierarchy that it uses."""
        self.folder = strangers.folder
        self.runtime = self.folder / "run"
        self.runtime.mkdir(mode=0o700)
        name = f"logmonitor-{uuid4().hex}"
        self.groups = [mount / name for mount in cgroup_mounts()]
        for group in self.groups:
            group.mkdir()

    def words(self) -> tuple[str, ...]:
        """Return what starts it: in its cgroups, and where a folder says that a systemd runs."""
        entering = "".join(f"echo $$ > '{group}/cgroup.procs' && " for group in self.groups)
        told = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system"
        inside = f"{told} && exec {SYSTEMD} --user --unit=basic.target"
        return "/bin/sh", "-c", f"{entering}exec unshare --mount /bin/sh -c '{inside}'"

    def end(self) -> None:
        """End all that is left in the cgroups, and take them away."""
        deadline = time.monotonic() + DEADLINE
        while not all(map(self._is_gone, self.groups)) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _is_gone(self, group: Path) -> bool:
        """Tell whether a cgroup is gone; what is empty of it goes, and what is not is killed."""
        with suppress(FileNotFoundError):
            for place, _folders, _files in os.walk(group, topdown=False):
                for word in Path(place, "cgroup.procs").read_text("utf-8").split():
                    with suppress(ProcessLookupError):
                        os.kill(int(word), signal.SIGKILL)
                with suppress(OSError):
                    Path(place).rmdir()
        return not group.exists()


def cgroup_mounts() -> list[Path]:
    """Return where the hierarchies are mounted in which systemd keeps what it starts."""
    mounts = []
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        before, _, behind = line.partition(" - ")
        if behind.startswith("cgroup2 ") or (behind.startswith("cgroup ") and "name=systemd" in behind):
            mounts.append(Path(before.split()[4]))
    return mounts


def systemd_lack() -> str | None:
    """Return why no systemd of one's own can be started; None where one can."""
    if not SYSTEMD.exists() or shutil.which("systemctl") is None:
        return "there is no systemd on this machine"
    if os.getuid() != 0 or not all(os.access(mount, os.W_OK) for mount in cgroup_mounts()) or not cgroup_mounts():
        return "a systemd of one's own needs root, and cgroups that root may make"
    trial = subprocess.run(
        ("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"), check=False, capture_output=True
    )
    return "a systemd of one's own needs mounts of its own" if trial.returncode else None
