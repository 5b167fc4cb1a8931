"""Laws of alerts: no matching line is lost, and how a log is divided makes no difference."""

from __future__ import annotations

import asyncio
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logmonitor import LogBatch, Operation, OperationConfig
from logmonitor.alert.alerting import gather, line_rules
from logmonitor.lines import Rest, cut, finish
from logmonitor.scan import Scanner
from logmonitor.testing import MemoryKeyValue, RecordingContext
from operations.log_alert import log_alert
from tests.alert_lines import MATCH, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmonitor import Chunk, Line

LOG: Final = Path("bob.log")
_COUNT: Final = re.compile(r"\Abob: ×(\d+) ")


@cache
def scanner_of(patterns: tuple[str, ...]) -> Scanner:
    """Return what finds the lines that an operation asks for."""
    return Scanner(patterns)


class Machine:
    """Runs the operation over a log that is written in pieces, with a clock of its own; it may be started anew."""

    def __init__(self, **parameters: float) -> None:
        """Start."""
        self._parameters = parameters
        self._store = MemoryKeyValue()
        self._rest = Rest()
        self.told: list[str] = []
        self._at = 0.0
        self._start()

    async def write(self, data: bytes) -> None:
        """Let the log grow."""
        self._rest, chunks = cut(self._rest, data, path=LOG)
        await self._hand_out(chunks)

    async def end_log(self) -> None:
        """Let the log end."""
        self._rest, chunks = finish(self._rest, path=LOG)
        await self._hand_out(chunks)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and the operation be woken when it asked for it."""
        context, operation = self._context, self._operation
        end = self._at + seconds
        while (due := context.woken_at) is not None and due <= end:
            context.woken_at = None
            self._move_to(due)
            assert operation.on_tick is not None
            await operation.on_tick(context)
        self._move_to(end)

    async def restart(self) -> None:
        """End the program in order, and start it again on the same store."""
        await self.stop()
        self._start()
        assert self._operation.on_start is not None
        await self._operation.on_start(self._context)

    async def stop(self) -> None:
        """End the program in order."""
        assert self._operation.on_stop is not None
        await self._operation.on_stop(self._context)
        self.take()

    def take(self) -> None:
        """Note what was told."""
        self.told.extend(str(sent.content) for sent in self._context.sent)
        self._context.sent.clear()

    @property
    def count(self) -> int:
        """How many alerts were told."""
        self.take()
        return sum(int(found[1]) if (found := _COUNT.match(text)) else 1 for text in self.told)

    def _start(self) -> None:
        self._operation: Operation = log_alert(OperationConfig(watch="bob"), match=MATCH, **self._parameters)  # type: ignore[arg-type]
        self._scanner = scanner_of(self._operation.patterns)
        self._context = RecordingContext()
        self._context.store, self._context.watches = self._store, ("bob",)
        self._context.move_on(self._at)

    def _move_to(self, seconds: float) -> None:
        self._context.move_on(max(0.0, seconds - self._context.monotonic()))
        self._at = max(self._at, seconds)

    async def _hand_out(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            lines = tuple(hit.line for hit in self._scanner.hits(chunk))
            if lines:
                batch = LogBatch(
                    watch="bob",
                    path=LOG,
                    lines=lines,
                    start_offset=chunk.start_offset,
                    end_offset=chunk.end_offset,
                )
                assert self._operation.on_batch is not None
                await self._operation.on_batch(self._context, batch)


def alert_count(written: Sequence[str]) -> int:
    """Return how many alerts a log makes, by its lines all at once."""
    scanner = scanner_of(log_alert(OperationConfig(), match=MATCH).patterns)
    _rest, chunks = cut(Rest(), "".join(f"{text}\n" for text in written).encode(), path=LOG)
    lines: list[Line] = [hit.line for chunk in chunks for hit in scanner.hits(chunk)]
    block, alerts = gather(None, LOG, lines, rules=line_rules(MATCH), now=0.0)
    return len(alerts) + (block is not None and block.matches > 0)


@settings(deadline=None)
@given(texts, st.data())
def test_bytes_in_any_pieces_give_the_same_messages(written: list[str], data: st.DataObject) -> None:
    """As long as no time passes in between, it makes no difference where a log was cut, in a line or between two."""

    async def told_of(pieces: Sequence[bytes]) -> list[str]:
        machine = Machine(most=3)
        for piece in pieces:
            await machine.write(piece)
        await machine.end_log()
        await machine.pass_time(1000)
        machine.take()
        return machine.told

    whole = "\n".join(written).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]
    assert asyncio.run(told_of(pieces)) == asyncio.run(told_of([whole]))


@settings(deadline=None)
@given(texts)
def test_every_alert_is_in_a_message_or_counted_in_one(written: list[str]) -> None:
    """All of them are told in the end."""

    async def count() -> int:
        machine = Machine(most=2, period=10.0)
        await machine.write("".join(f"{text}\n" for text in written).encode())
        await machine.pass_time(30)
        return machine.count

    assert asyncio.run(count()) == alert_count(written)


steps = st.one_of(
    texts.map(lambda written: "".join(f"{text}\n" for text in written).encode()),
    st.floats(0, 30),
    st.just("restart"),
)


@settings(deadline=None)
@given(st.lists(steps, max_size=12))
@example([b"/srv/a.js:0\n", b"ERR Traceback (most recent call last):\n    raise ERRError(0)\n"])
def test_every_line_that_matches_is_told_whatever_happens(happening: list[bytes | float | str]) -> None:
    """Between lines time passes and the program is started anew: no alert is lost, and none is told twice."""

    async def told() -> tuple[int, list[str]]:
        machine = Machine(most=2, period=10.0)
        for step in happening:
            if isinstance(step, bytes):
                await machine.write(step)
                await machine.pass_time(1)  # so that what was written is complete
            elif isinstance(step, float):
                await machine.pass_time(step)
            else:
                await machine.restart()
        await machine.pass_time(50)
        return machine.count, machine.told

    count, messages = asyncio.run(told())
    parts = [step.decode().splitlines() for step in happening if isinstance(step, bytes)]
    assert count == sum(map(alert_count, parts)), messages


@settings(deadline=None)
@given(st.lists(st.sampled_from(["ERR a", "ERR b", "ERR c"]), min_size=1, max_size=30), st.integers(0, 30))
def test_restart_in_a_storm_loses_and_repeats_nothing(written: list[str], place: int) -> None:
    """A kind that was told is not told at once again, and what was counted before is counted with what comes behind."""

    async def told() -> list[str]:
        machine = Machine()
        for index, text in enumerate(written):
            if index == place:
                await machine.restart()
            await machine.write(f"{text}\n".encode())
        await machine.pass_time(400)
        machine.take()
        return machine.told

    messages = asyncio.run(told())
    kinds = len(set(written))
    firsts = [text for text in messages if not _COUNT.match(text)]
    digests = [int(found[1]) for text in messages if (found := _COUNT.match(text))]
    assert len(firsts) == len(set(firsts)) == kinds
    assert sum(digests) == len(written) - kinds
    assert len(digests) <= 1
