"""The follower against a model: whatever is done to a log, and whenever, each line comes once, whole and in order."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logmonitor.follower import Backend, Follower, Start
from logmonitor.lines import split
from logmonitor.records import Chunk, Notice, NoticeKind
from tests.readers import StepWaker, append
from tests.rotated import Manner, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logmonitor.follower import Position

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "60"))
CALM = {"truncate", "delete", "swap"}
CALLS = ("stat", "lstat", "fstat", "open", "pread", "scandir", "listdir", "readlink")
LOOKS_AT_END = 14


class Reading:
    """What a follower gave out, with the position behind each item; it may be killed and begin again behind any."""

    def __init__(self, world: World, *, tail_bytes: int) -> None:
        """Follow the log of a world."""
        self._world = world
        self._tail_bytes = tail_bytes
        self.waker = StepWaker()
        self.items: list[tuple[Chunk | Notice, Position | None]] = []
        self._floor = 0
        self._follower: Follower | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def chunks(self) -> list[Chunk]:
        """What was given out for the first time."""
        return [item for item, _ in self.items if isinstance(item, Chunk) and not item.handled]

    @property
    def lines(self) -> list[bytes]:
        """The lines so far, without terminators."""
        return [line.raw for chunk in self.chunks for line in split(chunk)]

    @property
    def gaps(self) -> list[int | None]:
        """How many bytes each gap was told to have."""
        return [item.lost_bytes for item, _ in self.items if isinstance(item, Notice) and item.kind is NoticeKind.GAP]

    async def begin(self) -> None:
        """Follow from the last position on."""
        position = self.items[-1][1] if self.items else None
        self.waker = StepWaker()
        self._follower = Follower(
            self._world.log,
            start=Start.BEGINNING if position is None else {self._world.log: position},
            tail_bytes=self._tail_bytes,
            backend=Backend.TICK,
            waker=self.waker,
            turn_bytes=300,
            cap_bytes=1 << 16,
            archives=[self._world.archive],
        )
        await self._follower.__aenter__()
        self._task = asyncio.create_task(self._read(self._follower))

    async def end(self) -> None:
        """Follow no more."""
        assert self._follower is not None
        assert self._task is not None
        await self._follower.__aexit__(None, None, None)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def restart(self, *, forgotten: int) -> None:
        """Be killed before the last items were taken, and begin again; nothing before the floor is forgotten."""
        await self.end()
        del self.items[max(self._floor, 1, len(self.items) - forgotten) :]
        await self.begin()

    def set_floor(self) -> None:
        """Never forget what was given out until now: it is not there any more."""
        self._floor = len(self.items)

    async def look(self) -> None:
        """Let a second pass, and the follower do all there is to do."""
        assert self._task is not None
        stepping = asyncio.ensure_future(self.waker.step())
        await asyncio.wait([stepping, self._task], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            stepping.cancel()
            self._task.result()
        await stepping

    async def _read(self, follower: Follower) -> None:
        async for item in follower:
            self.items.append((item, follower.position(self._world.log)))


@contextmanager
def at_calls(act: Callable[[], None]) -> Iterator[None]:
    """Let `act` be called before each call to the system that a follower makes."""

    def hooked(call: Callable[..., Any]) -> Callable[..., Any]:
        def hook(*arguments: object, **options: object) -> object:
            act()
            return call(*arguments, **options)

        return hook

    with ExitStack() as stack:
        for name in CALLS:
            call = getattr(os, name)
            stack.callback(setattr, os, name, call)
            setattr(os, name, hooked(call))
        yield


class Script:
    """What is done to a log, step by step: each so many calls of the follower after the last, or when it waits."""

    def __init__(self, steps: Iterator[None], pauses: list[int]) -> None:
        """Take the pauses in turn, again and again."""
        self._steps = steps
        self._pauses = pauses or [0]
        self._taken = 0
        self._calls = 0
        self._is_acting = False
        self.is_over = False
        self._pause()

    def count(self) -> None:
        """Count a call of the follower's; do what is due."""
        if self._is_acting:
            return
        self._calls -= 1
        while self._calls < 0 and not self.is_over:
            self.step()

    def step(self) -> None:
        """Do the next step."""
        self._pause()
        self._is_acting = True
        try:
            next(self._steps)
        except StopIteration:
            self.is_over = True
        finally:
            self._is_acting = False

    def _pause(self) -> None:
        self._calls = self._pauses[self._taken % len(self._pauses)]
        self._taken += 1


def steps_of(world: World, acts: list[tuple[str, int]]) -> Iterator[None]:
    """Do `acts`, none of which destroys anything."""
    for act, length in acts:
        match act:
            case "write":
                world.write(length)
            case "half":
                world.write_half(length)
            case "rotate":
                yield from world.rotate(length)
        yield


async def live(
    directory: Path, manner: Manner, parts: list[tuple[list[tuple[str, int]], str, int]], pauses: list[int], tail: int
) -> tuple[World, Reading]:
    """Do all acts of all parts, each of which ends with one that needs calm; return who wrote and who read."""
    world = World(directory, manner)
    reading = Reading(world, tail_bytes=tail)
    await reading.begin()
    is_whole = manner.form == "copy" and any(last == "restart" for _, last, _ in parts)
    for acts, last, forgotten in parts:
        script = Script(steps_of(world, [act for act in acts if not (is_whole and act[0] == "half")]), pauses)
        with at_calls(script.count):
            while not script.is_over:
                await reading.look()
                script.step()
        if last == "restart":
            await reading.restart(forgotten=forgotten)
        elif last in CALM:
            world.end_line()
            for _ in range(LOOKS_AT_END):
                await reading.look()
            getattr(world, last)()
            reading.set_floor()
            await reading.look()
    world.end_line()
    for _ in range(LOOKS_AT_END):
        await reading.look()
    await reading.end()
    world.close()
    return world, reading


MANNERS = st.builds(
    Manner, form=st.sampled_from(["rename", "copy"]), is_elsewhere=st.booleans(), is_packed=st.booleans()
) | st.just(Manner(form="link"))
LENGTHS = st.integers(0, 400)
PARTS = st.tuples(
    st.lists(st.tuples(st.sampled_from(["write", "write", "write", "half", "rotate", "rotate"]), LENGTHS), max_size=12),
    st.sampled_from(["look", "restart", "restart", *sorted(CALM)]),
    st.integers(0, 12),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    manner=MANNERS,
    parts=st.lists(PARTS, max_size=5),
    pauses=st.lists(st.integers(0, 25), min_size=1, max_size=20),
    tail=st.sampled_from([0, 500]),
)
def test_follower_agrees_with_the_model(
    manner: Manner, parts: list[tuple[list[tuple[str, int]], str, int]], pauses: list[int], tail: int
) -> None:
    """Through writes, rotations and restarts, whenever they come, each line comes once, whole and in order."""
    with tempfile.TemporaryDirectory() as directory:
        world, reading = asyncio.run(live(Path(directory), manner, parts, pauses, tail))
    assert reading.lines == world.expected
    assert [
        chunk.start_offset
        for chunk in reading.chunks
        if not chunk.truncated and chunk.end_offset - chunk.start_offset != len(chunk.data)
    ] == []
    is_destroyed = any(last in CALM for _, last, _ in parts)
    assert reading.gaps == ([None] * len(reading.gaps) if is_destroyed else [])


@settings(max_examples=EXAMPLES, deadline=None)
@given(counts=st.tuples(st.integers(1, 60), st.integers(0, 8), st.integers(0, 5)))
def test_bytes_that_are_destroyed_are_told_as_far_as_they_were_seen(counts: tuple[int, int, int]) -> None:
    """What was read, what is told and what was written after the last look make up all that a truncation destroyed."""
    seen, taken, unseen = counts

    async def body(log: Path) -> tuple[int, list[int]]:
        append(log, b"a line that stood there\n" * seen)
        taken_bytes, told = 0, []
        async with Follower(log, start=Start.BEGINNING, backend=Backend.TICK, turn_bytes=100) as follower:
            for _ in range(1 + min(taken, seen // 5)):
                item = await anext(follower)
                taken_bytes += len(item.data) if isinstance(item, Chunk) else 0
            append(log, b"a line that came late\n" * unseen)
            os.truncate(log, 0)
            append(log, b"anew\n")
            async for item in follower:
                if isinstance(item, Notice):
                    told.append(item.lost_bytes or 0)
                elif item.data == b"anew\n":
                    return taken_bytes, told
                else:
                    taken_bytes += len(item.data)
        raise AssertionError

    with tempfile.TemporaryDirectory() as directory:
        taken_bytes, told = asyncio.run(body(Path(directory) / "x.log"))
    assert sum(told) + taken_bytes == seen * len(b"a line that stood there\n")
