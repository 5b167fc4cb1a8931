"""Look-ups that may hang, as on a network disk that is gone: none of them holds anything but itself."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from logmonitor.isolation import isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_T = TypeVar("_T")
_PENDING: Final[dict[Hashable, Future[Any]]] = {}


async def look_up(key: Hashable, function: Callable[[], _T]) -> _T:
    """Call `function` in a thread of its own; while a call of the same `key` has not returned, wait for that one.

    What hangs for ever takes one thread of each key and none of those that others share, and the program ends without
    it. Cancelling ends the wait alone.
    """
    future = _PENDING.get(key)
    if future is None:
        future = _PENDING[key] = Future()
        future.set_running_or_notify_cancel()  # so that who gives up waiting cannot cancel it for the others
        Thread(target=_call, args=(key, future, function), name=f"look up {key}", daemon=True).start()
    return cast("_T", await asyncio.wrap_future(future))


def _call(key: Hashable, future: Future[_T], function: Callable[[], _T]) -> None:
    with isolated(future.set_exception):
        future.set_result(function())
    del _PENDING[key]
