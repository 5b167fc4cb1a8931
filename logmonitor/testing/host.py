"""A machine in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class FakeHost:
    """A machine that consists of the files a test puts into `files`."""

    def __init__(self) -> None:
        """Start without any file."""
        self.files: dict[Path, bytes] = {}

    async def read_file(self, path: Path, /, *, limit_bytes: int) -> bytes:
        """Return what the test put at `path`."""
        try:
            data = self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None
        if len(data) > limit_bytes:
            raise OSError(f"{path} is larger than {limit_bytes} bytes")
        return data
