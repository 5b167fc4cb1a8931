"""Where a rotated log went: the file or the archive that holds what was not read, and the generations missed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from logmonitor.following.archive import PACKED, anonymous_file, head_of, is_packed
from logmonitor.following.position import EXHAUSTED, Identity, Position, holds, open_log
from logmonitor.following.rotation import (
    Sibling,
    has_moved,
    in_order,
    is_numbered,
    is_relative,
    list_siblings,
    scheme,
    unpacked_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from logmonitor.following.generation import Generation
    from logmonitor.following.rotation import Trace

_CANDIDATES: Final = 64
_ARCHIVES: Final = 8
_ATTEMPTS: Final = 40
_FOREIGN: Final = frozenset({".zst", ".lz4", ".zip", ".Z", ".7z", ".br"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A sibling that has been opened; if it is an archive, with the `window` that it will be unpacked into."""

    sibling: Sibling
    descriptor: int
    status: os.stat_result
    window: int | None = None

    @property
    def is_packed(self) -> bool:
        """Whether it is an archive."""
        return self.window is not None

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)
        if self.window is not None:
            os.close(self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is known of a log when it has been rotated.

    `names` are those of the log at each place its path leads through. `seen` are its relatives as they stood at the
    rotation before. `generations` and `history` are what was read, and `current` is what stands at its path now;
    `since_ns` is when the generation before was last written to, 0 where that is not known. Where it `is_copied`, what
    is empty is no generation; a file that was renamed may still be written to. `is_held` tells whether somebody reads
    an inode already.
    """

    names: tuple[str, ...]
    directories: tuple[str, ...]
    seen: Collection[Trace]
    generations: tuple[Generation, ...]
    history: tuple[Position, ...]
    current: Generation | None
    since_ns: int
    is_copied: bool
    is_held: Callable[[Identity], bool]

    def is_relative(self, name: str) -> bool:
        """Tell whether a rotated file of this log may be called so."""
        return any(is_relative(name, of=own) for own in self.names)

    def is_numbered(self, name: str) -> bool:
        """Tell whether that is all but certain: a name of the log's own with a number or a date."""
        return any(is_numbered(unpacked_name(name), of=own) for own in self.names)

    def knows(self, opened: Opened) -> bool:
        """Tell whether an open file is, or is a copy of, a generation that was read or is about to be."""
        size_bytes, current = opened.status.st_size, self.current
        if current is not None and size_bytes <= current.size() and current.begins_as(opened.descriptor, size_bytes):
            return True
        return any(generation.is_copied_by(opened.descriptor, size_bytes) for generation in self.generations) or any(
            0 < position.offset <= size_bytes and holds(opened.descriptor, position) for position in self.history
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found, open: the file that holds the rest, and what came after it, in order.

    Where there is no such file, `archives` may hold the rest, the likeliest first: that is known once they have been
    unpacked so far. What came after them is sought then. `relatives` are the log's relatives as they stood, but those
    that were empty. It `is_spent` where only a file holds the rest that was read to its end before.
    """

    rest: Opened | None = None
    archives: tuple[Opened, ...] = ()
    missed: tuple[Opened, ...] = ()
    relatives: frozenset[Trace] = frozenset()
    is_spent: bool = False

    def close(self) -> None:
        """Let go of everything found."""
        for opened in (*((self.rest,) if self.rest else ()), *self.archives, *self.missed):
            opened.close()


def find(search: Search, position: Position, *, copied: bool) -> Found:
    """Find the rest of the generation that was read up to `position`, and the generations after it that were missed.

    If `copied`, the rest is in a sibling or an archive that holds all up to the position; else in the very inode, which
    may have been renamed. Where files are renamed while they are sought, they are sought again.

    Raises:
        OSError: this process may open no more files; nothing stays open.
    """
    return _again(lambda: _find(search, position, copied=copied))


def find_missed(search: Search, position: Position, *, place: Identity | None) -> Found:
    """Find the generations after the one in the file `place`, without one those that are younger.

    Raises:
        OSError: this process may open no more files; nothing stays open.
    """
    return _again(lambda: _find_missed(search, position, place=place))


def _again(attempt: Callable[[], tuple[Found, bool]]) -> Found:
    attempts = _ATTEMPTS
    while True:
        found, is_stale = attempt()
        attempts -= 1
        if not is_stale or not attempts:
            return found
        found.close()


class _Listing:
    """The siblings of a log as they stand at one moment, and the files opened among them."""

    def __init__(self, search: Search, *, inode: int | None) -> None:
        self._search = search
        self._inode = inode
        self._opened: list[Opened] = []
        self.is_stale = self.has_spent = False
        self.siblings = list_siblings(search.directories, is_wanted=self._is_wanted)

    def _is_wanted(self, name: str, inode: int) -> bool:
        return self._search.is_relative(name) or inode == self._inode

    def strangers(self) -> tuple[Sibling, ...]:
        """List the files that no rotated log would be called."""
        return list_siblings(self._search.directories, is_wanted=lambda name, _: not self._search.is_relative(name))

    def open(self, sibling: Sibling) -> Opened | None:
        """Open a sibling; return None if by now its name stands for another file, or if it cannot be read."""
        try:
            descriptor, status = open_log(sibling.path)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            self.is_stale |= has_moved(sibling)
            return None
        if (status.st_dev, status.st_ino) != sibling.identity:
            os.close(descriptor)
            self.is_stale = True
            return None
        try:
            window = anonymous_file() if _is_archive(sibling, descriptor) else None
        except OSError:
            os.close(descriptor)
            raise
        opened = Opened(sibling=sibling, descriptor=descriptor, status=status, window=window)
        self._opened.append(opened)
        return opened

    def drop(self, opened: Opened) -> None:
        """Let go of a sibling."""
        self._opened.remove(opened)
        opened.close()

    def abandon(self) -> None:
        """Let go of all."""
        for opened in self._opened:
            opened.close()

    def found(
        self, *, rest: Opened | None = None, archives: Iterable[Opened] = (), missed: Iterable[Opened] = ()
    ) -> tuple[Found, bool]:
        """Sum up; tell also whether any file was renamed meanwhile.

        A listing during which files are renamed may lack one, or have one twice.
        """
        again = list_siblings(self._search.directories, is_wanted=self._is_wanted)
        relatives = frozenset(
            sibling.trace for sibling in self.siblings if sibling.size_bytes and self._search.is_relative(sibling.name)
        )
        found = Found(
            rest=rest,
            archives=tuple(archives),
            missed=tuple(missed),
            relatives=relatives,
            is_spent=self.has_spent and rest is None,
        )
        return found, self.is_stale or _places(self.siblings) != _places(again)


def _find(search: Search, position: Position, *, copied: bool) -> tuple[Found, bool]:
    listing = _Listing(search, inode=None if copied else position.inode)
    try:
        rest = _rest(listing, search, position, copied=copied)
        archives: list[Opened] = []
        if copied and rest is None and not listing.is_stale and position.is_known:
            archives = _archives(listing, search, position)
        if archives:
            return listing.found(archives=archives)
        missed = _missed(listing, search, position, place=rest.sibling if rest else None)
        return listing.found(rest=rest, missed=missed)
    except OSError:
        listing.abandon()
        raise


def _find_missed(search: Search, position: Position, *, place: Identity | None) -> tuple[Found, bool]:
    listing = _Listing(search, inode=None if place is None else place[1])
    try:
        sibling = next((sibling for sibling in listing.siblings if sibling.identity == place), None)
        return listing.found(missed=_missed(listing, search, position, place=sibling))
    except OSError:
        listing.abandon()
        raise


def _places(siblings: tuple[Sibling, ...]) -> frozenset[tuple[str, Identity]]:
    """Say which file stands where."""
    return frozenset((sibling.path, sibling.identity) for sibling in siblings)


def _rest(listing: _Listing, search: Search, position: Position, *, copied: bool) -> Opened | None:
    """Open the first file that holds all up to the position."""
    if not copied:
        same = [sibling for sibling in listing.siblings if sibling.identity == position.identity]
        return _first(listing, same, search, position)
    if not position.is_known:
        return None
    rest = _first(listing, _candidates(listing.siblings, search, position), search, position, copied=True)
    if rest is None and not listing.is_stale:
        rest = _first(listing, _candidates(listing.strangers(), search, position), search, position, copied=True)
    return rest


def _first(
    listing: _Listing, siblings: Iterable[Sibling], search: Search, position: Position, *, copied: bool = False
) -> Opened | None:
    for sibling in siblings:
        opened = None if _suffix(sibling) in PACKED else listing.open(sibling)
        if opened is None:
            continue
        is_it = holds(opened.descriptor, position)
        is_spent = is_it and copied and _is_spent(opened, search)
        if is_it and not is_spent:
            return opened
        listing.has_spent |= is_spent
        listing.drop(opened)
    return None


def _is_spent(opened: Opened, search: Search) -> bool:
    """Tell whether a file was read to its end before, and not another that only has its inode."""
    return any(
        known.identity == opened.sibling.identity
        and 0 < known.offset == opened.sibling.size_bytes
        and holds(opened.descriptor, known)
        for known in search.history
    )


def _candidates(siblings: Iterable[Sibling], search: Search, position: Position) -> list[Sibling]:
    """Choose the files that may hold the rest, the likeliest first."""
    return _likeliest(
        (
            sibling
            for sibling in siblings
            if sibling.size_bytes >= position.offset
            and sibling.identity != position.identity
            and not search.is_held(sibling.identity)
        ),
        position,
    )


def _likeliest(siblings: Iterable[Sibling], position: Position) -> list[Sibling]:
    """Sort by likeliness: the newest first; for a position that tells little, the first that was written to since."""
    ordered = sorted(siblings, key=lambda sibling: -sibling.modified_ns)
    since_ns = position.modified_ns
    if since_ns is not None and not position.is_distinct:
        newer = [sibling for sibling in reversed(ordered) if sibling.modified_ns > since_ns]
        ordered = [*newer, *(sibling for sibling in ordered if sibling.modified_ns <= since_ns)]
    return ordered[:_CANDIDATES]


def _archives(listing: _Listing, search: Search, position: Position) -> list[Opened]:
    """Open the archives that may hold all up to the position: those that begin so, then those that cannot tell yet."""
    spent = {known.identity for known in search.history if known.offset}
    siblings = [
        sibling
        for sibling in (*listing.siblings, *listing.strangers())
        if _suffix(sibling) in PACKED and sibling.identity not in spent and not search.is_held(sibling.identity)
    ]
    likely: list[Opened] = []
    undecided: list[Opened] = []
    for sibling in _likeliest(siblings, position):
        opened = listing.open(sibling)
        if opened is None:
            continue
        head, is_all = head_of(opened.descriptor)
        if opened.is_packed and position.begins(head) and len(likely) < _ARCHIVES:
            likely.append(opened)
        elif opened.is_packed and not is_all and len(undecided) < _ARCHIVES:
            undecided.append(opened)
        else:
            listing.drop(opened)
    return likely + undecided


def _missed(listing: _Listing, search: Search, position: Position, *, place: Sibling | None) -> list[Opened]:
    """Open the generations which came and went unseen after the one at `place`, oldest first."""
    missed: list[Opened] = []
    for sibling in _successors(listing.siblings, search, place=place):
        opened = listing.open(sibling)
        if opened is None:
            continue
        is_own = sibling.identity == position.identity and holds(opened.descriptor, position)
        if opened.is_packed or not (is_own or _suffix(sibling) in PACKED or search.knows(opened)):
            missed.append(opened)
        else:
            listing.drop(opened)
    return missed


def _successors(siblings: Iterable[Sibling], search: Search, *, place: Sibling | None) -> list[Sibling]:
    """Choose the files that may be such generations: numbered on like `place`, or numbered at all and younger."""
    kin = [sibling for sibling in siblings if search.is_relative(sibling.name) and _suffix(sibling) not in _FOREIGN]
    unpacked = {sibling.path for sibling in kin}
    kin = [sibling for sibling in kin if _suffix(sibling) not in PACKED or unpacked_name(sibling.path) not in unpacked]
    youngest = search.current.identity if search.current else None
    following: list[Sibling] = []
    if place is not None and place in kin:
        alike = [sibling for sibling in kin if scheme(sibling.name) == scheme(place.name)]
        ordered = in_order(alike, of=search.names[0], youngest=youngest)
        following = ordered[ordered.index(place) + 1 :]
    since_ns = search.since_ns or (place.modified_ns if place else 0)
    others = [
        sibling
        for sibling in kin
        if search.is_numbered(sibling.name)
        and sibling.modified_ns >= since_ns
        and (place is None or scheme(sibling.name) != scheme(place.name))
    ]
    if others:
        following = in_order([*following, *others], of=search.names[0], youngest=youngest)
    return [
        sibling
        for sibling in takewhile(lambda sibling: sibling.identity != youngest, following)
        if (sibling.size_bytes or not search.is_copied)
        and sibling.trace not in search.seen
        and sibling != place
        and not search.is_held(sibling.identity)
    ]


def _suffix(sibling: Sibling) -> str:
    return PurePath(sibling.name).suffix


def _is_archive(sibling: Sibling, descriptor: int) -> bool:
    """Tell whether a file is an archive: by its first bytes and its name, for a log may begin as it likes."""
    return _suffix(sibling) in PACKED and is_packed(descriptor)
