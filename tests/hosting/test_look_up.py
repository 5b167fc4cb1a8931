"""What may hang holds one thread, and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from logmonitor.hosting.look_up import look_up

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Return what a look-up may hang on; it is opened at the end."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_look_up_returns_what_the_function_returns() -> None:
    """Each call after another has returned is a new one."""
    numbers = iter(range(10))
    assert [await look_up("number", lambda: next(numbers)) for _ in range(3)] == [0, 1, 2]


async def test_look_up_raises_what_the_function_raises() -> None:
    """An error is that of who asked, and the next call is a new one."""

    def fail() -> None:
        raise OSError("no such disk")

    for _ in range(2):
        with pytest.raises(OSError, match="no such disk"):
            await look_up("disk", fail)


async def test_look_up_that_hangs_is_joined_and_not_repeated(gate: threading.Event) -> None:
    """Who asks for the same meanwhile waits for the first call, also when those before have given up waiting."""
    calls = []

    def hang() -> str:
        calls.append("hang")
        gate.wait()
        return "at last"

    given_up = asyncio.ensure_future(look_up("disk", hang))
    waiting = [asyncio.ensure_future(look_up("disk", hang)) for _ in range(20)]
    assert await look_up("other", lambda: "at once") == "at once"
    given_up.cancel()
    with suppress(asyncio.CancelledError):
        await given_up
    gate.set()
    assert set(await asyncio.gather(*waiting)) == {"at last"}
    assert calls == ["hang"]


def test_program_ends_without_a_look_up_that_hangs() -> None:
    """A program is not kept from its end by what never returns."""
    code = """
import asyncio, threading
from logmonitor.hosting.look_up import look_up

async def main():
    hanging = asyncio.ensure_future(look_up("disk", threading.Event().wait))
    await look_up("other", int)
    hanging.cancel()

asyncio.run(main())
print("over")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("over\n", "")
