"""A world in which nothing is watched, for tests of its other parts."""

from __future__ import annotations

from typing import Final

from logmonitor.worker import Watching

NOTHING_WATCHED: Final = Watching(
    watches=(),
    processes={},
    logs=lambda _watch: (),
    log_clock=lambda _watch: None,
    overview=lambda _context, _watch: (),
)
