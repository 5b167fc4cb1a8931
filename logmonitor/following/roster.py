"""What the trails of one follower know of each other: who reads which inode, by which names, and what was given out."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from logmonitor.following.position import EXHAUSTED, holds
from logmonitor.records import Chunk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from logmonitor.following.generation import Generation
    from logmonitor.following.position import Identity, Position
    from logmonitor.following.trail import Trail
    from logmonitor.records import Notice

_REMEMBERED: Final = 4096


class Roster:
    """All trails of one follower, what they share, and what they have found and nobody has taken yet."""

    def __init__(self, *, max_open: int, archives: Iterable[str] = ()) -> None:
        """Start with no trail; at most `max_open` descriptors of quiet files stay open.

        `archives` are directories in which rotated files stand too.
        """
        self.archives: Final = tuple(dict.fromkeys(archives))
        self.trails: Final[dict[Path, Trail]] = {}
        self._items: Final[deque[tuple[Chunk | Notice, Generation | None, int]]] = deque()
        self._max_open: Final = max(1, max_open)
        self._opened: Final[OrderedDict[Trail, None]] = OrderedDict()
        self._holders: Final[dict[Identity, Trail]] = {}
        self._remembered: Final[OrderedDict[Identity, Position]] = OrderedDict()
        self._hops: Final[dict[str, list[Trail]]] = {}
        self._directories: frozenset[str] | None = None
        self._names: Final[dict[str, Sequence[str]]] = {}

    @property
    def has_items(self) -> bool:
        """Whether something waits to be taken."""
        return bool(self._items)

    def take_item(self) -> Chunk | Notice:
        """Take the next chunk or notice; it counts as given out."""
        item, generation, number = self._items.popleft()
        if generation is not None and isinstance(item, Chunk):
            generation.note_given(item, number)
        return item

    def give_chunk(self, chunk: Chunk, generation: Generation, number: int) -> None:
        """Give out a chunk; the line after it has this number."""
        self._items.append((chunk, generation, number))

    def give_notice(self, notice: Notice) -> None:
        """Give out a notice."""
        self._items.append((notice, None, 0))

    def at(self, place: str) -> Collection[Trail]:
        """Name the trails that lead through a place in the file system."""
        return self._hops.get(place, ())

    @property
    def directories(self) -> frozenset[str]:
        """The directories that trails lead through, as they really are."""
        if self._directories is None:
            self._directories = frozenset(os.path.dirname(hop) for hop in self._hops)  # noqa: PTH120 - of thousands
        return self._directories

    def lead(self, trail: Trail, way: tuple[str, ...]) -> None:
        """Note which places a trail leads through from now on."""
        for hop in trail.lineage.way:
            if trail in self._hops.get(hop, ()):
                self._hops[hop].remove(trail)
                if not self._hops[hop]:
                    del self._hops[hop]
        for hop in way:
            self._hops.setdefault(hop, []).append(trail)
        self._directories = None

    def hold(self, identity: Identity, trail: Trail) -> None:
        """Note that `trail` reads this inode, and has just opened it; close another's descriptor if there are many."""
        self._holders[identity] = trail
        self._opened[trail] = None
        self._opened.move_to_end(trail)
        if len(self._opened) > self._max_open:
            self._opened.popitem(last=False)[0].lineage.put_aside()

    def release(self, identity: Identity, position: Position | None) -> None:
        """Note that nobody reads this inode now, and how far it was read."""
        self._holders.pop(identity, None)
        if position is not None:
            self._remembered[identity] = position
            self._remembered.move_to_end(identity)
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)

    def is_held(self, identity: Identity, trail: Trail) -> bool:
        """Tell whether another trail than this reads the inode."""
        return self._holders.get(identity, trail) is not trail

    def recall(self, identity: Identity) -> Position | None:
        """Recall how far an inode was read."""
        return self._remembered.get(identity)

    def is_copy(self, descriptor: int, size_bytes: int, trail: Trail) -> bool:
        """Tell whether the file opened at `trail` is only a copy of what a log reads whose relative its name is."""
        return any(
            any(generation.is_copied_by(descriptor, size_bytes) for generation in other.lineage.generations)
            or any(0 < known.offset <= size_bytes and holds(descriptor, known) for known in other.lineage.history)
            for other in self._elders(trail)
        )

    def names(self, directory: str) -> Sequence[str]:
        """Name what is in a directory, sorted; it may have been listed before the last `forget_names`."""
        names = self._names.get(directory)
        if names is None:
            try:
                names = sorted(os.listdir(directory))  # noqa: PTH208 - names are all that is wanted
            except OSError as error:
                if error.errno in EXHAUSTED:
                    raise
                names = ()
            self._names[directory] = names
        return names

    def forget_names(self) -> None:
        """List directories anew from now on."""
        self._names.clear()

    def drop(self, trail: Trail) -> None:
        """Be done with a trail."""
        self.trails.pop(trail.path, None)
        self.lead(trail, ())
        self._opened.pop(trail, None)
        trail.lineage.close()

    def _elders(self, trail: Trail) -> list[Trail]:
        """Find the trails of which this one may, by its name, be a rotated file."""
        place = trail.lineage.way[-1]
        directory, name = os.path.split(place)
        suffix = os.path.splitext(name)[1]  # noqa: PTH122
        heads = [f"{directory}/{name[:end]}" for end in range(1, len(name))]
        places = dict.fromkeys([*heads, *(head + suffix for head in heads)])
        return [elder for head in places if head != place for elder in self._hops.get(head, ())]
