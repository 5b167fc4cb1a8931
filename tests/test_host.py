"""The machine, as far as operations may touch it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from logmonitor.host import LocalHost

if TYPE_CHECKING:
    from pathlib import Path


async def test_read_file_returns_a_regular_file(tmp_path: Path) -> None:
    """A file of just the limit is read whole."""
    path = tmp_path / "QR.png"
    path.write_bytes(b"12345")
    assert await LocalHost().read_file(path, limit_bytes=5) == b"12345"


async def test_read_file_refuses_a_larger_file(tmp_path: Path) -> None:
    """One byte over the limit is refused."""
    path = tmp_path / "QR.png"
    path.write_bytes(b"123456")
    with pytest.raises(OSError, match=r"QR\.png is larger than 5 bytes"):
        await LocalHost().read_file(path, limit_bytes=5)


async def test_read_file_refuses_what_is_no_regular_file(tmp_path: Path) -> None:
    """A pipe, which could hang the reader, is refused at once."""
    path = tmp_path / "QR.png"
    os.mkfifo(path)
    with pytest.raises(OSError, match=r"QR\.png is not a regular file"):
        await LocalHost().read_file(path, limit_bytes=5)
