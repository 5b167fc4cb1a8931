"""What operations have to hear of a log, as calls of their handlers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logmonitor.checkpoint import Cause
from logmonitor.records import Event, Transition
from logmonitor.worker import call_of

if TYPE_CHECKING:
    from logmonitor.storage.progress import Input
    from logmonitor.worker import Call, Worker


@dataclass(slots=True)
class News:
    """What came of one look at a log: the calls to be made, in order, and how the session moved."""

    calls: list[tuple[Worker, Call, Cause]] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)

    def add(self, worker: Worker, value: Input, *, watch: str) -> None:
        """Let an operation hear of something, if it has a handler for it."""
        cause = Cause(watch=watch, operation=worker.name, value=value)
        call = call_for(worker, cause)
        if call is not None:
            self.calls.append((worker, call, cause))


def call_for(worker: Worker, cause: Cause, /) -> Call | None:
    """Return the call that a cause asks for; None if the operation has no handler for it."""
    operation, value = worker.operation, cause.value
    if isinstance(value, Event):
        return None if operation.on_event is None else call_of("on_event", operation.on_event, value, cause=cause)
    if isinstance(value, Transition):
        handler = operation.on_transition
        return None if handler is None else call_of("on_transition", handler, value, cause=cause)
    return None if operation.on_batch is None else call_of("on_batch", operation.on_batch, value, cause=cause)
