"""What a follower is told to follow: a path, or a glob whose directory is watched for new files."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Source:
    """A path, or a glob and when its directory last changed."""

    text: str
    is_glob: bool
    stamp: int | None = None
    is_fresh: bool = True
    real_pattern: str = ""

    @classmethod
    def parse(cls, source: str | Path) -> Source:
        """Take a path as it stands, and a text too if there is such a file or if it cannot be a glob."""
        text = os.fspath(source)
        is_glob = isinstance(source, str) and glob.has_magic(text) and not os.path.lexists(text)
        directory, base = os.path.split(text)
        real = f"{os.path.realpath(directory or os.curdir)}/{base}"
        return cls(text=text, is_glob=is_glob, real_pattern="" if glob.has_magic(directory) else real)

    def directory(self) -> str | None:
        """The directory to watch for new files; None if that is not one alone."""
        return os.path.dirname(self.real_pattern) if self.is_glob and self.real_pattern else None  # noqa: PTH120

    def has_changed(self) -> bool:
        """Tell whether there may be files that were not there before.

        A directory's time of change is coarse: it is believed only when it was the same twice.
        """
        directory = self.directory()
        if directory is None:
            return self.is_glob
        try:
            stamp = os.stat(directory).st_mtime_ns  # noqa: PTH116
        except OSError:
            return False
        is_new, self.stamp = stamp != self.stamp, stamp
        changed = is_new or self.is_fresh
        self.is_fresh = is_new
        return changed
