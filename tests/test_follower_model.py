"""The follower against a model: whatever is done to a log, each line comes once, whole, and in order."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.follower import Backend, Follower, Start
from tests.readers import Reader, StepWaker, shift

CALM = {"truncate", "delete", "swap"}
SHARED = [*["write"] * 4, *["half"] * 2, *["look"] * 3, *sorted(CALM)]
ROTATIONS = (["rename", "rename_late"], ["copy", "regrow"])


class World:
    """A log, those who write and rotate it, and the lines they wrote."""

    def __init__(self, directory: Path) -> None:
        """Start with a log that is a link to a file."""
        self.log = directory / "x.log"
        self.targets = 0
        self.expected: list[bytes] = []
        self.half = b""
        self.copies = 0
        self._retarget()
        self.descriptor = self._open()

    def _retarget(self) -> None:
        self.targets += 1
        target = self.log.with_name(f"target{self.targets}")
        target.mkdir()
        (target / "x.log").touch()
        link = self.log.with_name("link")
        link.symlink_to(target / "x.log")
        link.rename(self.log)

    def _open(self) -> int:
        return os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _reopen(self) -> None:
        os.close(self.descriptor)
        self.descriptor = self._open()

    def _line(self, length: int) -> bytes:
        return b"%06d " % len(self.expected) + b"x" * length

    def _shift(self) -> Path:
        """Make room for one more rotated file, and say where it goes."""
        real = Path(os.path.realpath(self.log))
        shift(real)
        return Path(f"{real}.1")

    def end_line(self) -> None:
        """Write the other half of a line."""
        if self.half:
            self.write(0)

    def write(self, length: int) -> None:
        """Write a line, or the second half of one."""
        if self.half:
            end = b" end of %06d" % len(self.expected)
            os.write(self.descriptor, end + b"\n")
            self.expected.append(self.half + end)
            self.half = b""
        else:
            line = self._line(length)
            os.write(self.descriptor, line + b"\n")
            self.expected.append(line)

    def write_half(self, length: int) -> None:
        """Write the first half of a line."""
        if not self.half:
            self.half = self._line(length)
            os.write(self.descriptor, self.half)

    def rename(self, length: int, *, late: bool) -> None:
        """Rotate by renaming; the writer may end its line, and write another, in the old file."""
        rotated = self._shift()
        os.rename(os.path.realpath(self.log), rotated)  # noqa: PTH104
        self.end_line()
        if late:
            self.write(length)
        self._reopen()

    def copy_and_truncate(self, length: int, *, regrow: bool) -> None:
        """Rotate by copying; the writer goes on in the same file, perhaps with one long write."""
        real = os.path.realpath(self.log)
        size_bytes = os.path.getsize(real)  # noqa: PTH202
        shutil.copyfile(real, self._shift())
        os.ftruncate(self.descriptor, 0)
        if regrow:
            self.write(size_bytes + length)

    def truncate(self) -> None:
        """Empty the file; no copy is made."""
        os.ftruncate(self.descriptor, 0)

    def delete(self) -> None:
        """Delete the file and create it anew."""
        Path(os.path.realpath(self.log)).unlink()
        self._reopen()

    def swap(self) -> None:
        """Let the link lead to another file."""
        self._retarget()
        self._reopen()


async def live(directory: Path, acts: list[tuple[str, int]]) -> tuple[list[bytes], list[bytes], list[int]]:
    """Do all `acts`; return the lines written, the lines read, and where chunks do not join."""
    world = World(directory)
    waker = StepWaker()
    follower = Follower(
        world.log, start=Start.BEGINNING, backend=Backend.TICK, waker=waker, turn_bytes=300, cap_bytes=1 << 16
    )
    async with Reader(follower) as reader:
        await waker.step()
        for act, length in acts:
            if act in CALM:
                world.end_line()
                await waker.step()
            match act:
                case "write":
                    world.write(length)
                case "half":
                    world.write_half(length)
                case "rename" | "rename_late":
                    world.rename(length, late=act == "rename_late")
                case "copy" | "regrow":
                    world.copy_and_truncate(length, regrow=act == "regrow")
                case "truncate":
                    world.truncate()
                case "delete":
                    world.delete()
                case "swap":
                    world.swap()
                case _:
                    await waker.step()
            if act in CALM:
                await waker.step()
        world.end_line()
        for _ in range(12):
            await waker.step()
        os.close(world.descriptor)
        misjoined = [
            chunk.start_offset
            for chunk in reader.chunks
            if not chunk.truncated and chunk.end_offset - chunk.start_offset != len(chunk.data)
        ]
        return world.expected, reader.lines, misjoined


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Draw what is done to a log; nobody rotates one log now by renaming and now by copying."""
    acts = SHARED + draw(st.sampled_from(ROTATIONS))
    return draw(st.lists(st.tuples(st.sampled_from(acts), st.integers(0, 400)), max_size=40))


@settings(max_examples=int(os.environ.get("MODEL_EXAMPLES", "60")), deadline=None)
@given(acts=histories())
def test_follower_agrees_with_the_model(acts: list[tuple[str, int]]) -> None:
    """Through any sequence of writes and rotations each line comes exactly once, whole and in order."""
    with tempfile.TemporaryDirectory() as directory:
        expected, lines, misjoined = asyncio.run(live(Path(directory), acts))
    assert lines == expected
    assert misjoined == []
