"""Following for `logmonitor follow`: the part that waits for more."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logmonitor.cli.output import say
from logmonitor.follower import Follower, Start
from logmonitor.records import Chunk, Notice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from logmonitor.cli.output import Output

_ONLY_TO_A_PERSON: Final = frozenset({NoticeKind.APPEARED, NoticeKind.ROTATED, NoticeKind.TRUNCATED})


def follow(logs: Sequence[str], output: Output, *, from_start: bool) -> None:
    """Hand the lines of `logs` to `output` until SIGINT, SIGTERM, or standard output is a pipe nobody reads any more.

    Raises:
        OSError: the output cannot be written.
    """
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_follow(logs, output, start=Start.BEGINNING if from_start else Start.END))


async def _follow(logs: Sequence[str], output: Output, *, start: Start) -> None:
    """Follow for ever. Writing stands in the loop: while the reader is slow, nothing more is to be read."""
    writing = _Writing()
    _listen(asyncio.get_running_loop(), asyncio.current_task(), writing)
    async with Follower(*logs, start=start) as follower:
        async for item in follower:
            with writing:
                if isinstance(item, Chunk):
                    output.take(item)
                else:
                    _tell(item)


class _Writing:
    """Whether something is being written just now, which a reader may keep from coming to an end."""

    def __init__(self) -> None:
        self.is_under_way = False

    def __enter__(self) -> None:
        self.is_under_way = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.is_under_way = False


def _listen(loop: asyncio.AbstractEventLoop, following: asyncio.Task[None] | None, writing: _Writing) -> None:
    """Let it all end on a signal, or once standard output is a pipe that nobody reads any more.

    Such a pipe has an error to read. A signal raises only while something is written, for it may come while a reader
    takes nothing: anywhere else it could tear the loop, or a lock that a thread waits for, apart.
    """

    def interrupt(*_: object) -> None:
        if following is not None:
            loop.call_soon_threadsafe(following.cancel)
        if writing.is_under_way:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    if stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        loop.add_reader(sys.stdout.fileno(), interrupt)


def _tell(notice: Notice) -> None:
    """Say what the follower says; what is all in a day's work only to a person who watches."""
    if notice.kind in _ONLY_TO_A_PERSON and not sys.stderr.isatty():
        return
    lost = "" if notice.lost_bytes is None else f"; {notice.lost_bytes} bytes are lost"
    say(notice.path, notice.detail + lost)
