"""What a store does on a disk of its own that is full or read-only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

DEADLINE_SECONDS: Final = 60
MOUNTED: Final = ("unshare", "--user", "--map-root-user", "--mount")
START: Final = """
import subprocess, sys
from datetime import UTC, datetime
from pathlib import Path
from logmonitor.errors import StoreUnavailableError
from logmonitor.store import Store
NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
folder = Path(sys.argv[1])
path = folder / "bot.db"
def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
def refusal(do):
    try:
        do()
    except StoreUnavailableError as error:
        print(str(error).replace(str(path), "PATH"))
"""


def said_in_mounts_of_its_own(code: str, folder: Path) -> list[str]:
    """Return the lines that `code` says where it may mount what it likes on `folder`."""
    try:
        subprocess.run((*MOUNTED, "mount", "-t", "tmpfs", "tmpfs", folder), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    done = subprocess.run(
        (*MOUNTED, sys.executable, "-c", START + code, folder),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_SECONDS,
        cwd=Path(__file__).parent.parent.parent,
    )
    return done.stdout.splitlines()


def test_store_on_a_full_disk_of_its_own_is_unavailable(tmp_path: Path) -> None:
    """On a disk without room a new store, and a step in one that is open, are refused; with room they are not."""
    code = """
mount("size=64k")
refusal(lambda: Store(path))
mount("remount,size=1m")
with Store(path) as store:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as error:
            print(error.strerror)
    def use():
        for step in range(1000):
            assert store.use_step("bob", step, purpose="x" * 1000, at=NOW)
    refusal(use)
    print(store.grants())
    filler.unlink()
    print(store.use_step("bob", 1000, purpose="", at=NOW))
"""
    full = "store PATH cannot be used: database or disk is full; make room on its disk, then try again"
    assert said_in_mounts_of_its_own(code, tmp_path) == [full, "No space left on device", full, "()", "True"]


def test_store_on_a_read_only_disk_is_unavailable(tmp_path: Path) -> None:
    """On a disk that became read-only neither a new store nor an old one is opened, and that is said."""
    code = """
mount("size=1m")
Store(path).close()
mount("remount,ro")
refusal(lambda: Store(path))
refusal(lambda: Store(folder / "other.db"))
"""
    reasons = [line.partition("; ")[0].partition("opened: ")[2] for line in said_in_mounts_of_its_own(code, tmp_path)]
    assert reasons == ["read-only file system"] * 2
