"""The one place where any exception is caught: what fails is reported, and everything else goes on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def isolated(report: Callable[[Exception], None], /) -> Iterator[None]:
    """Keep what fails inside from ending what is outside; `report` is told of it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # that is the point
        report(error)
