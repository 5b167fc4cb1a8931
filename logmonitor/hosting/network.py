"""Services asked whether they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.errors import HostError

if TYPE_CHECKING:
    from logmonitor.machine import Response


async def fetch(url: str, *, timeout: float, limit_bytes: int) -> Response:  # noqa: ASYNC109  # of all of it
    """Ask for a URL by HTTP's GET."""
    raise HostError(f"cannot fetch {url} {timeout} {limit_bytes} yet")


async def connect(host: str, port: int, *, timeout: float) -> float:  # noqa: ASYNC109  # of all of it
    """Connect to a TCP port and leave."""
    raise HostError(f"cannot connect to {host}:{port} {timeout} yet")
