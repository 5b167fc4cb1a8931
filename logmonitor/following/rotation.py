"""The files that a rotated log may be called and stand beside: its siblings, by name and in order."""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING, Final

from logmonitor.following.archive import PACKED
from logmonitor.following.position import EXHAUSTED, Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_DIGITS: Final = re.compile(r"\d+")
_NUMBERED: Final = re.compile(r"[-._:+TZ\d]*\d[-._:+TZ\d]*")
_MAX_NUMBER: Final = 9999

Trace = tuple[Identity, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """A regular file in a log's directory, as it stood when the directory was listed."""

    path: str
    name: str
    identity: Identity
    size_bytes: int
    modified_ns: int

    @property
    def trace(self) -> Trace:
        """What stays the same while nothing is written to it and it is only renamed."""
        return self.identity, self.size_bytes, self.modified_ns

    @property
    def age_key(self) -> tuple[int, tuple[int, ...]]:
        """A key that sorts the oldest first, and of two that are equally old the one with the larger number."""
        return self.modified_ns, tuple(-int(digits) for digits in _DIGITS.findall(self.name))


def is_relative(name: str, *, of: str) -> bool:
    """Tell whether `name` is what a rotated log called `of` may be called: `x.log.1`, `x-20261120.log`, `x.1.log`."""
    if name.startswith(of):
        return name != of
    stem, suffix = _halves(of)
    between = name[len(stem) : len(name) - len(suffix)]
    return name.startswith(stem) and name.endswith(suffix) and between[:1] in {".", "-", "_"}


def is_numbered(name: str, *, of: str) -> bool:
    """Tell whether `name` is that of a log called `of` with nothing but a number or a date besides."""
    stem, suffix = _halves(of)
    for head, tail in ((of, ""), (stem, suffix)):
        if name.startswith(head) and name.endswith(tail) and len(name) > len(head) + len(tail):
            return bool(_NUMBERED.fullmatch(name[len(head) : len(name) - len(tail)]))
    return False


def unpacked_name(name: str) -> str:
    """Name a file as it was called before it was packed."""
    head, suffix = _halves(name)
    return head if suffix in PACKED else name


def scheme(name: str) -> str:
    """Reduce a rotated log's name to how it is numbered or dated, packed or not."""
    return _DIGITS.sub("#", unpacked_name(name))


def number_of(name: str, *, of: str) -> int | None:
    """Return the one number that `name` has and a log called `of` has not; None if there is none or it is a date."""
    numbers = _DIGITS.findall(unpacked_name(name))
    for digits in _DIGITS.findall(of):
        if digits in numbers:
            numbers.remove(digits)
    return int(numbers[0]) if len(numbers) == 1 and int(numbers[0]) <= _MAX_NUMBER else None


def in_order(siblings: Iterable[Sibling], *, of: str, youngest: Identity | None = None) -> list[Sibling]:
    """Sort siblings, the oldest first: by number where all have one, else by when they were last written to.

    Numbers grow with age, but where most files say otherwise by their times, or the `youngest` does that is known to be
    that. A clock that was set and an archive that has the time of its packing do not matter to them.
    """
    numbered = [(number_of(sibling.name, of=of), sibling) for sibling in siblings]
    by_number = sorted(
        ((number, sibling) for number, sibling in numbered if number is not None),
        key=lambda pair: (pair[0], pair[1].modified_ns),
        reverse=True,
    )
    if len(by_number) < len(numbered) or len({scheme(sibling.name) for _, sibling in by_number}) > 1:
        return sorted((sibling for _, sibling in numbered), key=lambda sibling: sibling.age_key)
    ordered = [sibling for _, sibling in by_number]
    is_ascending = _is_ascending(ordered) or (bool(ordered) and ordered[0].identity == youngest)
    return ordered[::-1] if is_ascending else ordered


def _is_ascending(descending: Sequence[Sibling]) -> bool:
    """Tell whether of siblings in the order of falling numbers most are younger than the next."""
    signs = [
        (one.modified_ns > other.modified_ns) - (one.modified_ns < other.modified_ns)
        for one, other in pairwise(descending)
    ]
    return sum(signs) > 0


def list_siblings(directories: Iterable[str], *, is_wanted: Callable[[str, int], bool]) -> tuple[Sibling, ...]:
    """List the regular files in `directories` that are wanted, by name and inode; those that vanish are left out.

    Raises:
        OSError: this process may open no more files.
    """
    found: list[Sibling] = []
    for directory in directories:
        try:
            with os.scandir(directory) as entries:
                wanted = [entry.name for entry in entries if is_wanted(entry.name, entry.inode())]
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            continue
        found += [sibling for name in wanted if (sibling := _sibling(directory, name))]
    return tuple(found)


def relatives(directory: str, names: Sequence[str], *, of: str) -> frozenset[Trace]:
    """Trace the relatives of a log among `names`, which are sorted; no other is looked at."""
    stem, _ = _halves(of)
    start = bisect_left(names, stem)
    among = takewhile(lambda name: name.startswith(stem), islice(names, start, None))
    siblings = (_sibling(directory, name) for name in among if is_relative(name, of=of))
    return frozenset(sibling.trace for sibling in siblings if sibling)


def has_moved(sibling: Sibling) -> bool:
    """Tell whether a sibling that could not be opened stands elsewhere by now; else it is not ours to read."""
    try:
        status = os.lstat(sibling.path)
    except OSError:
        return True
    return (status.st_dev, status.st_ino) != sibling.identity


def _halves(name: str) -> tuple[str, str]:
    return os.path.splitext(name)  # noqa: PTH122 - names are strings here, thousands of them


def _sibling(directory: str, name: str) -> Sibling | None:
    path = f"{directory}/{name}"
    with suppress(OSError):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode):
            return Sibling(
                path=path,
                name=name,
                identity=(status.st_dev, status.st_ino),
                size_bytes=status.st_size,
                modified_ns=status.st_mtime_ns,
            )
    return None
