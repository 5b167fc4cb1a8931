"""Give a process a successor: end it, have it started once and not twice, and watch over what was started.

The decisions are those of `restarting`; here is the order of the steps, and what holds when they are cut short.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.errors import HostError, OperationError
from logmonitor.log_slice import LastLines
from logmonitor.restart.restarting import Change, Problem, heirs, is_same, is_supervised, keeper_of
from logmonitor.restart.unit_command import unit_command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from pathlib import Path
    from typing import Any

    from logmonitor.machine import Completed, Launch, Manager, Origin, Process, ProcessSelector
    from logmonitor.operation import Context

HASTE_SECONDS: Final = 2.0
"""How long a process has to end once its restart is cancelled."""

UNIT_SECONDS: Final = 120.0
"""How long what keeps a unit may take to do what it is asked."""

_STEP_SECONDS: Final = 0.25
_CONNECT_SECONDS: Final = 2.0
_LAST_LINES: Final = 10
_LAST_BYTES: Final = 2000
_LAST_PORT: Final = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a successor has to meet; all but `answers_on`, a port of this machine, are seconds.

    A process has `timeout` to end before it is killed, whatever may bring it back by itself `respawn`. The new one has
    to stay up for `stay_up`, and to answer and to have logged in within `ready_timeout` where that is wanted.

    Raises:
        OperationError: nothing could meet them.
    """

    timeout: float = 10.0
    respawn: float = 3.0
    stay_up: float = 3.0
    ready_timeout: float = 60.0
    answers_on: int | None = None
    wait_for_login: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("timeout", "respawn", "stay_up", "ready_timeout"):
            if not getattr(self, name) >= 0:
                raise OperationError(f"bad {name} {getattr(self, name)!r}; expected 0 seconds or more")
        if self.answers_on is not None and not 0 < self.answers_on <= _LAST_PORT:
            raise OperationError(f"bad answers_on {self.answers_on!r}; expected a port, 1 to {_LAST_PORT}")

    @property
    def longest(self) -> float:
        """How many seconds a restart may take."""
        return self.timeout + self.respawn + self.stay_up + self.ready_timeout + 2 * UNIT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """Which process is given a successor, and on what terms.

    `logins` counts those that the bot's log has shown. `on_start` is told what was started; `on_late` is told what runs
    in the end, or why nothing does, once it was cancelled too late to leave things as they were.
    """

    context: Context
    selector: ProcessSelector
    terms: Terms
    logins: Callable[[], int]
    on_start: Callable[[Process], None]
    on_late: Callable[[Process | HostError], Awaitable[None]]


async def restart(succession: Succession, origin: Origin, launch: Launch) -> Change:
    """End a process, and start it again unless something else does.

    Whoever cancels this comes too late: what may be ending already is brought to its end, and started.

    Raises:
        HostError: the process may not be signalled, and was not.
    """
    host, began = succession.context.host, succession.context.monotonic()
    ending_it = asyncio.ensure_future(host.terminate(origin.process, timeout=succession.terms.timeout))
    change, starting = Change(before=(origin.process,), keeper=keeper_of(origin), began=began), None
    try:
        change = replace(change, ending=await asyncio.shield(ending_it), logins=succession.logins())
        if change.ending is not None and change.ending.survivors:
            return replace(change, problem=Problem.SURVIVES)
        heir = await _await_heir(succession, origin)
        if heir is None:
            change = replace(change, launch=launch, sizes=await _sizes(succession, launch))
            starting = asyncio.ensure_future(host.start(launch))
            heir = await asyncio.shield(starting)
            succession.on_start(heir)
    except asyncio.CancelledError:
        await _tell_late(succession, starting or asyncio.ensure_future(_hasten(succession, origin.process, launch)))
        await asyncio.gather(ending_it, return_exceptions=True)
        raise
    except HostError as error:
        if starting is None:
            raise
        return replace(change, problem=Problem.NOT_STARTED, reason=str(error))
    return await _watch_over(succession, replace(change, after=(heir,)))


async def start(succession: Succession, launch: Launch) -> Change:
    """Start what does not run.

    Raises:
        HostError: it cannot be started.
    """
    change = Change(
        launch=launch,
        sizes=await _sizes(succession, launch),
        logins=succession.logins(),
        began=succession.context.monotonic(),
    )
    starting = asyncio.ensure_future(succession.context.host.start(launch))
    try:
        after = await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _tell_late(succession, starting)
        raise
    succession.on_start(after)
    return await _watch_over(succession, replace(change, after=(after,)))


async def stop(succession: Succession, origin: Origin) -> Change:
    """End a process; `after` is what has brought it back all the same.

    Raises:
        HostError: it may not be signalled, and was not.
    """
    change = Change(before=(origin.process,), keeper=keeper_of(origin), began=succession.context.monotonic())
    ending = await succession.context.host.terminate(origin.process, timeout=succession.terms.timeout)
    change = replace(change, ending=ending)
    if ending.survivors:
        return replace(change, problem=Problem.SURVIVES)
    heir = await _await_heir(succession, origin)
    return change if heir is None else replace(change, after=(heir,))


async def order(succession: Succession, unit: tuple[Manager, str], verb: str) -> Change:
    """Have the unit that is meant restarted, started or stopped by what keeps it; `verb` says which.

    One that does not run is started where it was to be restarted: for some managers that is all the same, others fail.

    Raises:
        HostError: there is no such unit, or what keeps it cannot be asked.
    """
    context, selector = succession.context, succession.selector
    before = await context.host.find(selector)
    words = unit_command(*unit, "start" if verb == "restart" and not before else verb)
    change = Change(before=before, logins=succession.logins(), began=context.monotonic())
    try:
        completed = await _to_its_end(context.run(*words, timeout=UNIT_SECONDS))
    except TimeoutError:
        raise HostError(f"{words[0]} did not come to an end within {UNIT_SECONDS:g} s") from None
    if completed.exit_code:
        return replace(change, problem=Problem.REFUSED, reason=_said(completed))
    is_stop = verb == "stop"
    until = context.monotonic() + succession.terms.timeout
    while True:
        after = await context.host.find(selector)
        if not is_stop:
            after = tuple(process for process in after if not any(is_same(process, old) for old in before))
        if bool(after) is not is_stop:
            break
        if context.monotonic() >= until:
            return replace(change, after=after, problem=Problem.GOES_ON if is_stop else Problem.ENDED)
        await _step(succession, until)
    return change if is_stop else await _watch_over(succession, replace(change, after=after))


async def _await_heir(succession: Succession, origin: Origin) -> Process | None:
    """Give whatever may bring a process back the time to do so; return what it brought."""
    if not is_supervised(origin):
        return None
    host, clock = succession.context.host, succession.context.monotonic
    until = clock() + succession.terms.respawn
    while True:
        heir = await _heir(succession, origin.process, uid=origin.uid)
        if heir is not None:
            return heir
        is_left = origin.unit is None and origin.parent is not None and not await host.is_running(origin.parent)
        if is_left or clock() >= until:
            return None
        await _step(succession, until)


async def _watch_over(succession: Succession, change: Change) -> Change:
    """Wait until what was started has stayed up, answers and has logged in; return what became of it."""
    clock = succession.context.monotonic
    change = await _stay(succession, change)
    until = clock() + succession.terms.ready_timeout
    if change.problem is None and succession.terms.answers_on is not None:
        change = await _await(succession, change, _answers, until=until, lack=Problem.NO_ANSWER)
        change = replace(change, reason=str(succession.terms.answers_on))
    if change.problem is None and succession.terms.wait_for_login:
        change = await _await(succession, change, _has_logged_in, until=until, lack=Problem.NO_LOGIN)
    change = replace(change, seconds=clock() - change.began)
    if change.problem is not None:
        return replace(change, last_words=await _last_words(succession, change))
    with suppress(HostError):
        after = [(await succession.context.host.inspect(process)).process for process in change.after]
        change = replace(change, after=tuple(after))
    return change


async def _stay(succession: Succession, change: Change) -> Change:
    """Wait until what was started has stayed up; what something else brings back meanwhile takes its place."""
    host, clock = succession.context.host, succession.context.monotonic
    until = clock() + succession.terms.stay_up
    while True:
        is_up = await _is_up(succession, change)
        if change.launch is not None:
            (ours,) = change.after
            before = change.before[0] if change.before else ours
            rival = await _heir(succession, before, uid=change.launch.uid, besides=ours)
            if rival is not None:
                await host.terminate(ours, timeout=succession.terms.timeout)
                change, is_up = replace(change, after=(rival,), launch=None), True
        if not is_up:
            return replace(change, problem=Problem.ENDED)
        if clock() >= until:
            return change
        await _step(succession, until)


async def _await(
    succession: Succession,
    change: Change,
    is_met: Callable[[Succession, Change], Awaitable[bool]],
    *,
    until: float,
    lack: Problem,
) -> Change:
    """Wait until a condition is met, for as long as what was started runs, and not beyond `until`."""
    clock = succession.context.monotonic
    while not await is_met(succession, change):
        if not await _is_up(succession, change):
            return replace(change, problem=Problem.ENDED)
        if clock() >= until:
            return replace(change, problem=lack)
        await _step(succession, until)
    return change


async def _answers(succession: Succession, _change: Change) -> bool:
    with suppress(HostError):
        await succession.context.host.connect("localhost", succession.terms.answers_on or 0, timeout=_CONNECT_SECONDS)
        return True
    return False


async def _has_logged_in(succession: Succession, change: Change) -> bool:
    return succession.logins() > change.logins


async def _is_up(succession: Succession, change: Change) -> bool:
    return all([await succession.context.host.is_running(process) for process in change.after])


async def _seen(succession: Succession) -> tuple[Process, ...]:
    """Find what is meant while it comes and goes: what cannot be told yet is nothing."""
    with suppress(HostError):
        return await succession.context.host.find(succession.selector)
    return ()


async def _heir(succession: Succession, before: Process, *, uid: int, besides: Process | None = None) -> Process | None:
    """Return what took the place of a process, `besides` excepted, and is user `uid`'s: two may share a name."""
    for heir in heirs(before, await _seen(succession)):
        if besides is None or not is_same(heir, besides):
            with suppress(HostError):  # it is gone already
                if (await succession.context.host.inspect(heir)).uid == uid:
                    return heir
    return None


async def _step(succession: Succession, until: float) -> None:
    """Wait a little, and not beyond `until`."""
    await succession.context.sleep(min(_STEP_SECONDS, until - succession.context.monotonic()))


async def _hasten(succession: Succession, before: Process, launch: Launch) -> Process:
    """Have a process running again whose restart was cancelled, within the little time that is left for it."""
    ending = await succession.context.host.terminate(before, timeout=HASTE_SECONDS)
    if ending.survivors:
        raise HostError(f"process {before.pid} does not end")
    back = await _heir(succession, before, uid=launch.uid)
    return await succession.context.host.start(launch) if back is None else back


async def _tell_late(succession: Succession, starting: asyncio.Future[Process]) -> None:
    """Wait until a process is started although that was cancelled, and tell so."""
    try:
        after = await starting
    except HostError as error:
        await succession.on_late(error)
    else:
        succession.on_start(after)
        await succession.on_late(after)


async def _to_its_end(doing: Coroutine[Any, Any, Completed]) -> Completed:
    """Let a program come to its end even when cancelled: one that is stopped half-way leaves half done what it does."""
    running = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)
        raise


async def _sizes(succession: Succession, launch: Launch) -> Mapping[Path, int]:
    """Return how long the files are that a process will write to."""
    sizes = {}
    for path in filter(None, (launch.stderr, launch.stdout)):
        with suppress(OSError):
            sizes[path] = (await succession.context.host.file_state(path)).size_bytes
    return sizes


async def _last_words(succession: Succession, change: Change) -> str | None:
    """Return the last lines that what was started here has written, of those that are its own; None if unreadable."""
    launch, host, is_read = change.launch, succession.context.host, True
    if launch is None:
        return ""
    for path in filter(None, (launch.stderr, launch.stdout)):
        try:
            found = await host.read_log(path, LastLines(count=_LAST_LINES), limit_bytes=_LAST_BYTES, owner=launch.uid)
        except FileNotFoundError:
            continue
        except OSError:
            is_read = False
        else:
            before = change.sizes.get(path, 0)
            own_bytes = found.size_bytes - before if found.size_bytes >= before else found.size_bytes
            words = found.data[max(0, len(found.data) - own_bytes) :].decode("utf-8", "replace").strip()
            if words:
                return visible(words)
    return "" if is_read else None


def _said(completed: Completed) -> str:
    """Return the last thing that a program which failed has said."""
    lines = (completed.stderr.strip() or completed.stdout.strip()).splitlines() or [f"exit code {completed.exit_code}"]
    return visible(f"{completed.argv[0]}: {lines[-1]}", one_line=True)
