"""A disk of its own for a program: small, so that it can be full, or read-only."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

_PIECE_BYTES: Final = 4096
_MOUNTED: Final = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private")
_SMALL: Final = 'mount -t tmpfs -o size=1m,mode=700 tmpfs "$0" && exec "$@"'
_IMAGE: Final = 'mount -o loop "$0.image" "$0" && exec "$@"'
_DISK_BYTES: Final = 8 << 20
_READ_ONLY: Final = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def on_a_small_disk(folder: Path) -> tuple[str, ...]:
    """Return the words behind which a program has an empty disk at `folder`; skip where that cannot be.

    Nobody else sees it, but by `Disk`.
    """
    return _tried((*_MOUNTED, "sh", "-c", _SMALL, str(folder)))


def on_a_read_only_disk(folder: Path) -> tuple[str, ...]:
    """Return the words behind which a program can read what stands in `folder`, and write nothing; skip as above."""
    return _tried((*_MOUNTED, "sh", "-c", _READ_ONLY, str(folder)))


def on_a_disk_that_can_break(folder: Path) -> tuple[str, ...]:
    """Return the words behind which a program has a disk at `folder` that lasts, until `break_disk`; skip as above."""
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    try:
        subprocess.run(("mkfs.ext4", "-q", "-O", "^has_journal", image), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be made here")
    return _tried(("unshare", "--mount", "--propagation", "private", "sh", "-c", _IMAGE, str(folder)))


def break_disk(pid: int, folder: Path) -> None:
    """Have the disk of a process that runs behind `on_a_disk_that_can_break` be read-only, until it is mounted anew.

    So does the system with a disk that fails.
    """
    inside = ("nsenter", "--mount", "--target", str(pid))
    subprocess.run((*inside, "sync", "-f", folder), check=True, capture_output=True)
    subprocess.run((*inside, "mount", "-o", "remount,abort", folder), check=True, capture_output=True)


def _tried(words: tuple[str, ...]) -> tuple[str, ...]:
    try:
        subprocess.run((*words, "true"), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    return words


class Disk:
    """The disk of a process that runs behind `on_a_small_disk`, from outside."""

    def __init__(self, pid: int, folder: Path) -> None:
        """Reach the disk at `folder` as the process sees it."""
        self._filler = Path(f"/proc/{pid}/root{folder}", "filler")

    def fill(self) -> None:
        """Leave no room."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(_PIECE_BYTES)):
                pass

    def make_room(self) -> None:
        """Give the room back."""
        self._filler.unlink()
