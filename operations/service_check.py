"""Check services beside the bots, such as a database or a REST server: tell once that one fails, and that it is back.

A check that was asked for in the chat tells how it went, and counts for nothing else.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from logmonitor import (
    Command,
    HostError,
    Operation,
    OperationConfig,
    OperationError,
    Outcome,
    Priority,
    Right,
    Service,
    service,
    translation,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logmonitor import Context, Invocation

AT_ONCE: Final = 16
"""How many services are checked at the same time; the others come right behind them."""

BODY_BYTES: Final = 1 << 20
_LOCAL: Final = "127.0.0.1"
_DONE: Final = Outcome(exit_code=0)
_FAILED: Final = Outcome(exit_code=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How all services stand, and when each is to be checked next; both by name."""

    standings: Mapping[str, service.Standing] = field(default_factory=dict)
    due: Mapping[str, float] = field(default_factory=dict)


def service_check(
    config: OperationConfig,
    *,
    services: tuple[Service, ...],
    interval: float = 60.0,
    timeout: float = 10.0,
    failures: int = 3,
    successes: int = 1,
) -> Operation:
    """Check `services` every `interval` seconds, each for `timeout` seconds at most.

    One that fails `failures` times in a row is told once, and once that it works again, when it did `successes` times
    in a row. A service may say otherwise for itself. With a `watch` they are what that bot needs, and its `status`
    shows them.
    """
    general = service.Pace(interval=interval, timeout=timeout, failures=failures, successes=successes)
    paces = {one.name: one.pace(general) for one in services}
    _check_names(services)
    state = Round()
    _ = translation(config.language)

    def standing_of(one: Service) -> service.Standing:
        return state.standings.get(one.name, service.Standing())

    async def on_start(context: Context) -> None:
        nonlocal state
        now = context.monotonic()
        state = Round(due={one.name: now for one in services})
        context.wake_at(now)
        state = replace(state, standings=_remembered(context, services))

    async def on_tick(context: Context) -> None:
        nonlocal state
        now = context.monotonic()
        late = sorted((one for one in services if state.due[one.name] <= now), key=lambda one: state.due[one.name])
        due = late[:AT_ONCE]
        state = replace(state, due={**state.due, **{one.name: now + paces[one.name].interval for one in due}})
        context.wake_at(min(state.due.values()))
        async with asyncio.TaskGroup() as tasks:
            checks = [tasks.create_task(_check(context, one, paces[one.name].timeout, _)) for one in due]
        news: list[str] = []
        changed: list[Service] = []
        for one, check in zip(due, checks, strict=True):
            before = standing_of(one)
            after, is_news = service.weigh(before, check.result(), now=context.now(), pace=paces[one.name])
            state = replace(state, standings={**state.standings, one.name: after})
            if is_news:
                news.append(service.news_text(one, before, after, context.now(), _))
                changed.append(one)
        if news:
            await context.send("\n".join(news), priority=Priority.ALERT)
            _keep(context, {one.name: standing_of(one).since for one in changed})

    async def check(context: Context, invocation: Invocation) -> Outcome:
        one = service.find_service(services, " ".join(invocation.arguments))
        if one is None:
            await context.send(which(invocation))
            return _FAILED
        result = await _check(context, one, paces[one.name].timeout, _)
        await context.send(service.check_text(one, result, _))
        return _FAILED if result.problem else _DONE

    async def list_all(context: Context, _invocation: Invocation) -> None:
        rows = [service.standing_text(one, standing_of(one), context.now(), _) for one in services]
        await context.send("\n".join(rows))

    def which(invocation: Invocation) -> str:
        text = _("which service? Say {command} and one of: {services}")
        return text.format(command=invocation.name, services=", ".join(one.name for one in services))

    def objection(invocation: Invocation) -> str | None:
        is_known = service.find_service(services, " ".join(invocation.arguments)) is not None
        return None if is_known else which(invocation)

    def status(context: Context, _bot: str) -> tuple[str, ...]:
        return tuple(service.standing_text(one, standing_of(one), context.now(), _) for one in services)

    return Operation(
        name="service_check",
        config=config,
        on_start=on_start,
        on_tick=on_tick,
        status=None if config.watch is None else status,
        commands=(
            Command(
                name="check",
                handler=check,
                help=_("check a service now"),
                usage=_("[SERVICE]"),
                right=Right.GRANT,
                read_only=True,
                objection=objection,
                concurrent=True,
            ),
            Command(
                name="checks",
                handler=list_all,
                help=_("tell how all services stand"),
                right=Right.GRANT,
                read_only=True,
                concurrent=True,
            ),
        ),
    )


def _check_names(services: tuple[Service, ...]) -> None:
    """Refuse services that a person could not tell apart, and none at all."""
    if not services:
        raise OperationError("no services; expected at least one to check")
    keys = [service.name_key(one.name) for one in services]
    twice = next((one.name for one, key in zip(services, keys, strict=True) if keys.count(key) > 1), None)
    if twice is not None:
        raise OperationError(f"two services have the name {twice!r}; expected a name of its own for each")


async def _check(context: Context, one: Service, timeout: float, translate: Callable[[str], str]) -> service.Check:  # noqa: ASYNC109  # the host keeps it
    """Ask a service now."""
    began = context.monotonic()
    try:
        if one.url is not None:
            limit_bytes = 0 if one.contains is None else BODY_BYTES
            response = await context.host.fetch(one.url, timeout=timeout, limit_bytes=limit_bytes)
            problem = service.problem_of_response(one, response, translate=translate)
            return service.Check(problem=problem, seconds=response.seconds)
        if one.port is not None:
            return service.Check(seconds=await context.host.connect(one.host or _LOCAL, one.port, timeout=timeout))
        completed = await context.run(*one.command or (), timeout=timeout)
        problem = service.problem_of_program(one, completed, translate=translate)
        return service.Check(problem=problem, seconds=completed.seconds)
    except TimeoutError:
        problem = translate("it was ended after {seconds:g} s").format(seconds=timeout)
    except HostError as error:
        problem = visible(str(error), one_line=True)
    return service.Check(problem=problem, seconds=context.monotonic() - began)


def _keep(context: Context, since: Mapping[str, datetime | None]) -> None:
    """Keep across restarts which services the admins know to fail."""
    for name, begun in since.items():
        if begun is None:
            context.store.delete(name)
        else:
            context.store.put(name, begun.isoformat())


def _remembered(context: Context, services: tuple[Service, ...]) -> dict[str, service.Standing]:
    """Return where the services stood before a restart; those that there are no more are forgotten."""
    names = {one.name for one in services}
    standings: dict[str, service.Standing] = {}
    kept = context.store.keys()
    for name in kept:
        try:
            since = datetime.fromisoformat(context.store.get(name) or "").astimezone(UTC)
        except ValueError:
            since = None
        if name in names and since is not None:
            standings[name] = service.Standing(since=since)
        else:
            context.store.delete(name)
    return standings
