"""Where a rotated log went: its siblings by name, the copy that holds what was not read, the generations missed."""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from logmonitor.following.generation import Generation, Identity, Position, holds, open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

_CANDIDATES: Final = 64
_ATTEMPTS: Final = 5
_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z"})
_DIGITS: Final = re.compile(r"\d+")

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


def _halves(name: str) -> tuple[str, str]:
    return os.path.splitext(name)  # noqa: PTH122 - names are strings here, thousands of them


def scheme(name: str) -> str:
    """Reduce a rotated log's name to how it is numbered or dated."""
    return _DIGITS.sub("#", name)


def list_siblings(directories: Iterable[str], *, is_wanted: Callable[[str, int], bool]) -> tuple[Sibling, ...]:
    """List the regular files in `directories` that are wanted, by name and inode; those that vanish are left out."""
    found: list[Sibling] = []
    for directory in directories:
        with suppress(OSError), os.scandir(directory) as entries:
            wanted = [entry.name for entry in entries if is_wanted(entry.name, entry.inode())]
            found += [sibling for name in wanted if (sibling := _sibling(directory, name))]
    return tuple(found)


def relatives(directory: str, names: Sequence[str], *, of: str) -> frozenset[Trace]:
    """Trace the relatives of a log among `names`, which are sorted; no other is looked at."""
    stem, _ = _halves(of)
    start = bisect_left(names, stem)
    among = takewhile(lambda name: name.startswith(stem), islice(names, start, None))
    siblings = (_sibling(directory, name) for name in among if is_relative(name, of=of))
    return frozenset(sibling.trace for sibling in siblings if sibling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is known of a log when it has been rotated.

    `seen` are its relatives as they stood at the rotation before. `generations` and `history` are what was read, and
    `current` is what stands at its path now; `since_ns` is when the generation before was last written to. `is_held`
    tells whether somebody reads an inode already.
    """

    name: str
    directories: tuple[str, ...]
    seen: Collection[Trace]
    generations: tuple[Generation, ...]
    history: tuple[Position, ...]
    current: Generation | None
    since_ns: int
    is_held: Callable[[Identity], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found, open: the file that holds the rest, and what came after it, in order.

    `relatives` are the log's relatives as they stood when it was made.
    """

    rest: tuple[int, os.stat_result] | None
    missed: tuple[tuple[int, os.stat_result], ...]
    relatives: frozenset[Trace]

    def close(self) -> None:
        """Let go of everything found."""
        for descriptor, _ in (*((self.rest,) if self.rest else ()), *self.missed):
            os.close(descriptor)


def find(search: Search, position: Position, *, copied: bool) -> Found:
    """Find the rest of the generation that was read up to `position`, and the generations after it that were missed.

    If `copied`, the rest is in the newest sibling that holds all up to the position; else in the very inode, which may
    have been renamed. Where files are renamed while they are sought, they are sought again.
    """
    attempts = _ATTEMPTS
    while True:
        found, is_stale = _find(search, position, copied=copied)
        attempts -= 1
        if not is_stale or not attempts:
            return found
        found.close()


def _find(search: Search, position: Position, *, copied: bool) -> tuple[Found, bool]:
    def is_wanted(name: str, inode: int) -> bool:
        return is_relative(name, of=search.name) or (inode == position.inode and not copied)

    siblings = list_siblings(search.directories, is_wanted=is_wanted)
    place, rest, is_stale = _find_rest(siblings, search, position, copied=copied)
    if copied and rest is None and not is_stale:
        others = list_siblings(search.directories, is_wanted=lambda name, _: not is_relative(name, of=search.name))
        place, rest, is_stale = _find_rest(others, search, position, copied=True)
    missed: list[tuple[int, os.stat_result]] = []
    for sibling in _successors(siblings, search, place=place, position=position):
        opened = _open(sibling)
        if opened is None:
            is_stale |= _has_moved(sibling)
        elif _is_known(*opened, search):
            os.close(opened[0])
        else:
            missed.append(opened)
    again = list_siblings(search.directories, is_wanted=is_wanted)
    is_stale |= _places(siblings) != _places(again)
    traces = frozenset(sibling.trace for sibling in siblings if is_relative(sibling.name, of=search.name))
    return Found(rest=rest, missed=tuple(missed), relatives=traces), is_stale


def _places(siblings: tuple[Sibling, ...]) -> frozenset[tuple[str, Identity]]:
    """Say which file stands where: a listing during which files are renamed may lack one, or have one twice."""
    return frozenset((sibling.path, sibling.identity) for sibling in siblings)


def _find_rest(
    siblings: tuple[Sibling, ...], search: Search, position: Position, *, copied: bool
) -> tuple[Sibling | None, tuple[int, os.stat_result] | None, bool]:
    """Open the first candidate that holds all up to `position`; tell also whether any had been renamed meanwhile."""
    is_stale = False
    for sibling in _candidates(siblings, search, position, copied=copied):
        opened = _open(sibling)
        if opened is None:
            is_stale |= _has_moved(sibling)
        elif holds(opened[0], position) and not (copied and _is_spent(opened[0], sibling, search)):
            return sibling, opened, False
        else:
            os.close(opened[0])
    return None, None, is_stale


def _is_spent(descriptor: int, sibling: Sibling, search: Search) -> bool:
    """Tell whether a file was read to its end before, and not another that only has its inode."""
    return any(
        known.identity == sibling.identity and 0 < known.offset == sibling.size_bytes and holds(descriptor, known)
        for known in search.history
    )


def _candidates(
    siblings: tuple[Sibling, ...], search: Search, position: Position, *, copied: bool
) -> tuple[Sibling, ...]:
    """Choose the files that may hold the rest, the likeliest first."""
    if not copied:
        return tuple(sibling for sibling in siblings if sibling.identity == position.identity)
    if not position.prefix_bytes:
        return ()
    large = (
        sibling
        for sibling in siblings
        if sibling.size_bytes >= position.offset
        and sibling.name != search.name
        and sibling.identity != position.identity
        and not search.is_held(sibling.identity)
    )
    return tuple(sorted(large, key=lambda sibling: -sibling.modified_ns)[:_CANDIDATES])


def _successors(
    siblings: tuple[Sibling, ...], search: Search, *, place: Sibling | None, position: Position
) -> list[Sibling]:
    """Choose the files that may be generations which came and went unseen after the one at `place`, oldest first."""
    since_ns = place.modified_ns if place else search.since_ns
    marks = scheme(search.name).count("#")
    return sorted(
        (
            sibling
            for sibling in siblings
            if is_relative(sibling.name, of=search.name)
            and (scheme(sibling.name) == scheme(place.name) if place else scheme(sibling.name).count("#") > marks)
            and PurePath(sibling.name).suffix not in _COMPRESSED
            and sibling.size_bytes > 0
            and sibling.modified_ns >= since_ns
            and sibling.trace not in search.seen
            and sibling != place
            and sibling.identity != position.identity
            and not search.is_held(sibling.identity)
        ),
        key=lambda sibling: sibling.age_key,
    )


def _is_known(descriptor: int, status: os.stat_result, search: Search) -> bool:
    """Tell whether an open file is, or is a copy of, a generation that was read or is about to be."""
    size_bytes = status.st_size
    current = search.current
    if current is not None and size_bytes <= current.size() and current.begins_as(descriptor):
        return True
    return any(generation.is_copied_by(descriptor, size_bytes) for generation in search.generations) or any(
        0 < position.offset <= size_bytes and holds(descriptor, position) for position in search.history
    )


def _sibling(directory: str, name: str) -> Sibling | None:
    path = f"{directory}/{name}"
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Sibling(
        path=path,
        name=name,
        identity=(status.st_dev, status.st_ino),
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
    )


def _has_moved(sibling: Sibling) -> bool:
    """Tell whether a sibling that could not be opened stands elsewhere by now; else it is not ours to read."""
    try:
        status = os.lstat(sibling.path)
    except OSError:
        return True
    return (status.st_dev, status.st_ino) != sibling.identity


def _open(sibling: Sibling) -> tuple[int, os.stat_result] | None:
    """Open a sibling; return None if by now its name stands for another file."""
    try:
        descriptor, status = open_log(sibling.path)
    except OSError:
        return None
    if (status.st_dev, status.st_ino) != sibling.identity:
        os.close(descriptor)
        return None
    return descriptor, status
