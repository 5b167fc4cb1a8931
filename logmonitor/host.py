"""The machine, as far as operations may touch it."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class LocalHost:
    """The machine this process runs on."""

    async def read_file(self, path: Path, /, *, limit_bytes: int) -> bytes:
        """Read a regular file of at most `limit_bytes`.

        Raises:
            OSError: it cannot be read, is no regular file, or is larger.
        """
        return await asyncio.to_thread(_read_regular, path, limit_bytes)


def _read_regular(path: Path, limit_bytes: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(f"{path} is larger than {limit_bytes} bytes")
    return data
