"""Programs and shell commands that end with all that they started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from logmonitor.machine import Completed, Shell, ShellLimits


async def run(*argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # a deadline that ends the tree
    """Run a program to its end."""
    raise HostError(f"cannot run {argv} within {timeout} yet")


def shell(
    script: str, *, folder: Path, environ: Mapping[str, str], limits: ShellLimits
) -> AbstractAsyncContextManager[Shell]:
    """Run a script by `/bin/sh` while in this context."""
    raise HostError(f"cannot run {script} in {folder} with {environ} within {limits} yet")
