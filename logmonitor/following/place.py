"""The places in the file system that a path leads through."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_LINKS: Final = 40


def way_of(name: str) -> tuple[str, ...]:
    """Name every place that a path leads through: the links it is, and the file; each in its real directory."""
    hops: list[str] = []
    for _ in range(_MAX_LINKS):
        directory, base = os.path.split(name)
        hop = os.path.join(os.path.realpath(directory), base)  # noqa: PTH118 - names are strings here
        hops.append(hop)
        if not os.path.islink(hop):  # noqa: PTH114
            break
        name = os.path.join(os.path.dirname(hop), os.readlink(hop))  # noqa: PTH115, PTH118, PTH120
    return tuple(dict.fromkeys(hops))


def directories_of(way: Iterable[str]) -> tuple[str, ...]:
    """Name the directories that places are in."""
    return tuple(dict.fromkeys(os.path.dirname(place) for place in way))  # noqa: PTH120
