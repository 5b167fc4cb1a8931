"""What operations have to hear of a bot's log, as calls of their handlers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logmonitor.checkpoint import Cause
from logmonitor.lines import split
from logmonitor.records import Event, LogBatch, Transition
from logmonitor.scan import Scanner
from logmonitor.worker import call_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmonitor.records import Chunk
    from logmonitor.storage.progress import Input
    from logmonitor.worker import Call, Worker


@dataclass(slots=True)
class News:
    """What came of one look at a log: the calls to be made, in order, and how the session moved."""

    calls: list[tuple[Worker, Call, Cause]] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)


class Audience:
    """The operations that want to hear of one bot, and which of its lines each asked for."""

    def __init__(self, watch: str, workers: Iterable[Worker]) -> None:
        """Speak to those of `workers` that are about the bot `watch`."""
        self._watch = watch
        self._workers = [worker for worker in workers if worker.is_about(watch)]
        self._scanners = {worker.name: Scanner(worker.operation.patterns, strip_ansi=True) for worker in self._workers}

    def tell(self, news: News, *values: Event | Transition) -> None:
        """Let each operation hear of what became of the session, in that order."""
        for worker in self._workers:
            for value in values:
                self._add(news, worker, value)

    def hand_out(self, news: News, chunk: Chunk) -> None:
        """Give each operation the lines that it asked for."""
        for worker in self._workers:
            if worker.operation.on_batch is None:
                continue
            hits = self._scanners[worker.name].hits(chunk)
            lines = tuple(hit.line for hit in hits) if worker.operation.patterns else tuple(split(chunk))
            if lines:
                batch = LogBatch(
                    watch=self._watch,
                    path=chunk.path,
                    lines=lines,
                    start_offset=chunk.start_offset,
                    end_offset=chunk.end_offset,
                )
                self._add(news, worker, batch)

    def repeat(self, cause: Cause) -> bool:
        """Have a call made again that was not over; tell whether its operation is still there, and wants it."""
        worker = next((one for one in self._workers if one.name == cause.operation), None)
        call = None if worker is None else _call_for(worker, cause)
        if worker is None or call is None:
            return False
        worker.submit(call)
        return True

    def _add(self, news: News, worker: Worker, value: Input) -> None:
        """Let an operation hear of something, if it has a handler for it."""
        cause = Cause(watch=self._watch, operation=worker.name, value=value)
        call = _call_for(worker, cause)
        if call is not None:
            news.calls.append((worker, call, cause))


async def pass_on(news: News) -> None:
    """Have the calls made, those last for whose lines there is no room yet."""
    for worker, call, cause in sorted(news.calls, key=lambda one: one[0].is_full):
        await worker.hand(call, cause)


def _call_for(worker: Worker, cause: Cause) -> Call | None:
    """Return the call that a cause asks for; None if the operation has no handler for it."""
    operation, value = worker.operation, cause.value
    if isinstance(value, Event):
        return None if operation.on_event is None else call_of("on_event", operation.on_event, value, cause=cause)
    if isinstance(value, Transition):
        handler = operation.on_transition
        return None if handler is None else call_of("on_transition", handler, value, cause=cause)
    return None if operation.on_batch is None else call_of("on_batch", operation.on_batch, value, cause=cause)
