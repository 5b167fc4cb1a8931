"""What was said held against what a test expects; whatever is wrong is told with the whole transcript."""

from __future__ import annotations

import asyncio
from textwrap import indent
from typing import TYPE_CHECKING

from logmonitor.testing.expectation import describe, hear
from logmonitor.testing.transcript import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logmonitor.testing.expectation import Expected, Heard
    from logmonitor.testing.quiet import Quiet
    from logmonitor.testing.transcript import Entry, Transcript


class Judge:
    """Knows which messages of the bot a test has expected so far, and of whom.

    A reader is a user by name, who reads direct messages and those in rooms, or a room as `#name`.
    """

    def __init__(
        self, transcript: Transcript, quiet: Quiet, *, settle: Callable[[], Awaitable[None]], deadline: float
    ) -> None:
        """Judge by a transcript once `settle` has let everything happen, in real time within `deadline` seconds."""
        self._transcript = transcript
        self._quiet = quiet
        self._settle = settle
        self._deadline = deadline
        self._expected: set[tuple[int, str]] = set()
        self._ignored = 0

    def ignore_so_far(self) -> None:
        """Expect nothing of what was said until now any more, nor mind it."""
        self._ignored = len(self._transcript.entries)

    async def expect(
        self,
        reader: str,
        expected: Expected,
        *,
        since: int = 0,
        conversation: str | None = None,
        behind: str = "",
        deadline: float | None = None,
    ) -> Heard:
        """Wait for what is expected, and return it: the first of what its reader has, and no assertion has yet.

        `since` counts entries; `behind` says in a failure what it was expected in answer to.

        Raises:
            AssertionError: it does not come.
        """
        __tracebackhide__ = True
        found: list[tuple[int, Heard]] = []

        def is_found() -> bool:
            found.extend(
                (index, heard)
                for index, entry in self._unexpected(reader, since)
                if conversation in (None, entry.conversation) and (heard := hear(expected, entry.content)) is not None
            )
            return bool(found)

        await self._wait(is_found, deadline)
        if not found:
            raise self.failure(f"{reader} should have received {describe(expected)}{behind}, and has not")
        index, heard = found[0]
        self._expected.add((index, reader))
        return heard

    async def expect_nothing(
        self, reader: str, *, since: int = 0, behind: str = "", deadline: float | None = None
    ) -> None:
        """Wait until nothing can come any more without time or input, and see that its reader has nothing new.

        Raises:
            AssertionError: there is something, or it cannot be told whether something will come.
        """
        __tracebackhide__ = True
        is_told = await self._wait(lambda: bool(self._unexpected(reader, since)), deadline)
        if self._unexpected(reader, since):
            raise self.failure(f"{reader} should have received nothing{behind}, and has")
        if not is_told:
            raise self.failure(
                f"{reader} should have received nothing{behind}, and it cannot be told: what is at work waits for"
                " something that is not the fake clock"
            )

    async def expect_no_more(self) -> None:
        """See that everything the bot has said was expected of somebody, and that nothing was said to nobody.

        Raises:
            AssertionError: it was not.
        """
        __tracebackhide__ = True
        await self._wait(lambda: False, None)
        expected = {index for index, _ in self._expected}
        rest = [
            f"  {entry}"
            for index, entry in enumerate(self._transcript.entries)
            if index >= self._ignored and index not in expected and (entry.is_from_bot or entry.is_to_nobody)
        ]
        if rest:
            raise self.failure("\n".join(("the bot has said what no assertion expects:", *rest)))

    async def take(self, reader: str, *, since: int) -> tuple[str, ...]:
        """Wait until nothing can come any more without time or input; take what came as expected, and return it."""
        await self._wait(lambda: False, None)
        taken = self._unexpected(reader, since)
        self._expected.update((index, reader) for index, _ in taken)
        return tuple(shown(entry.content) for _, entry in taken)

    def failure(self, text: str) -> AssertionError:
        """Make the error that tells what is wrong, what is at work, and all that was said."""
        rows = [text]
        if self._quiet.undecided:
            rows.append(f"Still at work: {', '.join(self._quiet.undecided)}")
        return AssertionError("\n".join((*rows, "The transcript:", indent(str(self._transcript), "  "))))

    def _unexpected(self, reader: str, since: int) -> list[tuple[int, Entry]]:
        start = max(since, self._ignored)
        return [
            (index, entry)
            for index, entry in enumerate(self._transcript.entries[start:], start)
            if entry.is_from_bot and reader in _readers(entry) and (index, reader) not in self._expected
        ]

    async def _wait(self, is_over: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until it is over, or nothing can happen any more; tell whether one of them came to be in time."""
        try:
            async with asyncio.timeout(self._deadline if deadline is None else deadline):
                await self._settle()
                while not is_over() and self._quiet.undecided:
                    await self._quiet.wait_for_change()
                    await self._settle()
        except TimeoutError:
            return is_over()
        return True


def _readers(entry: Entry) -> tuple[str, ...]:
    return entry.receivers if entry.room is None else (*entry.receivers, f"#{entry.room}")
