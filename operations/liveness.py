"""Tell that a bot shows no life although its log says nothing of it: by its log, its process and a ping over the chat.

What is seen is judged by `pulse`; it takes two signs to tell anybody.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from logmonitor import (
    HostError,
    Operation,
    OperationConfig,
    OperationError,
    Priority,
    Throttle,
    pulse,
    selector_of,
    throttle,
    translation,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from logmonitor import Context, FileState, Message

_T = TypeVar("_T")
LOOK_LIMIT_SECONDS: Final = 20.0
ANSWERS: Final = Throttle(limit=2, period=60.0)
"""How often a ping is answered, however often it comes."""

PING: Final = "ding"
PONG: Final = "dong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchfulness:
    """The pulses of all bots, and how many pings were answered lately."""

    pulses: Mapping[str, pulse.Pulse] = field(default_factory=dict)
    answers: Throttle = ANSWERS


def liveness(
    config: OperationConfig,
    *,
    silence: float = 900.0,
    ping: str | None = None,
    ping_every: float = 1800.0,
    ping_timeout: float = 120.0,
    process: str | None = None,
    command: str | None = None,
    pid_file: Path | None = None,
    port: int | None = None,
    systemd: str | None = None,
    pm2: str | None = None,
    supervisor: str | None = None,
) -> Operation:
    """Tell the admins once that a bot may be off-line, when two signs agree, and once that it shows life again.

    The signs: no log has grown for `silence` seconds; its process is gone; its account, the contact `ping` (an id,
    weixin number or alias), has not answered a `ding` for `ping_timeout` seconds. It is asked every `ping_every`
    seconds and when another sign appears. A `ding` of that contact is answered, so that two twins may ask each other.

    Which process is meant is said by one of the others (`process` is its name), unless another operation says it.
    """
    terms = pulse.Terms(silence=silence, ping=ping, ping_every=ping_every, ping_timeout=ping_timeout)
    if ping is not None and config.watch is None:
        raise OperationError("liveness pings the account of one bot, and is about every bot; expected a watch")
    selector = selector_of(
        process=process, command=command, pid_file=pid_file, port=port, systemd=systemd, pm2=pm2, supervisor=supervisor
    )
    state = Watchfulness()
    _ = translation(config.language)

    def pulse_of(bot: str) -> pulse.Pulse:
        return state.pulses.get(bot, pulse.Pulse())

    def moment(context: Context, bot: str) -> pulse.Moment:
        return pulse.Moment(bot=bot, now=context.now(), monotonic=context.monotonic(), translate=_)

    async def carry_out(context: Context, bot: str, outcome: pulse.Outcome) -> None:
        nonlocal state
        before, (after, steps) = pulse_of(bot), outcome
        state = replace(state, pulses={**state.pulses, bot: after})
        for step in steps:
            await _perform(context, bot, step, ping)
        if after.told_at != before.told_at:
            _keep(context, bot, after)

    async def on_start(context: Context) -> None:
        nonlocal state
        context.wake_at(context.monotonic())
        state = replace(state, pulses={bot: _remembered(context, bot) for bot in context.watches})
        await _tell_blindness(context, terms, translate=_)

    async def on_tick(context: Context) -> None:
        begins = {bot: moment(context, bot) for bot in context.watches}  # however long it takes, looks are as far apart
        context.wake_at(context.monotonic() + pulse.LOOK_SECONDS)  # also if this one does not come to its end
        async with asyncio.TaskGroup() as tasks:
            sights = {bot: tasks.create_task(_sight(context, bot)) for bot in begins}
        for bot, sight in sights.items():
            await carry_out(context, bot, pulse.look(pulse_of(bot), sight.result(), begins[bot], terms))
            context.wake_at(pulse.wake_at(pulse_of(bot), begins[bot].monotonic, terms))

    async def on_message(context: Context, message: Message) -> None:
        nonlocal state
        word, bot = _signal(message, ping), config.watch
        if word is None or bot is None:
            return
        if word == PING:
            answers, is_admitted = throttle.admit(state.answers, context.monotonic())
            state = replace(state, answers=answers)
            if is_admitted:
                await context.send(PONG, to=message.conversation, slot=PONG)
        heard = pulse.hear(pulse_of(bot), moment(context, bot), terms, said_at=message.sent_at)
        await carry_out(context, bot, heard)

    def status(context: Context, bot: str) -> tuple[str, ...]:
        sources = _count_sources(context, bot, terms)
        return (pulse.status_text(pulse_of(bot), moment(context, bot), sources=sources),)

    return Operation(
        name="liveness",
        config=config,
        on_start=on_start,
        on_tick=on_tick,
        on_message=None if ping is None else on_message,
        contacts=() if ping is None else (ping,),
        status=status,
        process=selector,
    )


async def _tell_blindness(context: Context, terms: pulse.Terms, *, translate: Callable[[str], str]) -> None:
    """Tell of which bots nobody will ever hear, as a log alone proves nothing."""
    _ = translate
    blind = [bot for bot in context.watches if _count_sources(context, bot, terms) < pulse.ENOUGH]
    if blind:
        text = _("{bots}: only the log is watched, and it takes two signs; name the process, or a contact to ping")
        await context.send(text.format(bots=", ".join(blind)), priority=Priority.ALERT)


def _count_sources(context: Context, bot: str, terms: pulse.Terms) -> int:
    """Count what is looked at: the log, and what else is known."""
    return 1 + (context.process(bot) is not None) + (terms.ping is not None)


def _signal(message: Message, contact: str | None) -> str | None:
    """Return which of the two words a contact says to us; what anybody may call themselves makes no contact."""
    word, sender = message.text.strip().casefold(), message.sender
    is_it = contact is not None and contact in (sender.id, sender.alias, sender.weixin)
    return word if is_it and message.room is None and word in {PING, PONG} else None


async def _sight(context: Context, bot: str) -> pulse.Sight:
    """Look at a bot's logs and its process."""
    delivery, selector = context.delivery(), context.process(bot)
    states = await _told(_log_states(context, bot))
    quiet = [(context.now() - state.modified_at).total_seconds() for state in states or ()]
    found = None if selector is None else await _told(context.host.find(selector))
    return pulse.Sight(
        sizes=None if states is None else tuple(state.size_bytes for state in states),
        quiet_for=min(quiet, default=None),
        has_process=selector is not None,
        is_running=None if found is None else bool(found),
        can_ask=delivery.failing_for is None and delivery.waiting == 0,
        is_lost=context.session(bot).is_lost,
    )


async def _told(asking: Awaitable[_T]) -> _T | None:
    """Return what is asked of the machine, None where it cannot be told."""
    try:
        async with asyncio.timeout(LOOK_LIMIT_SECONDS):
            return await asking
    except (OSError, HostError):
        return None


async def _log_states(context: Context, bot: str) -> tuple[FileState, ...]:
    """Return how the bot's logs stand.

    Raises:
        OSError: one goes just now, as in a rotation.
    """
    return tuple([await context.host.file_state(path) for path in context.logs(bot)])


async def _perform(context: Context, bot: str, step: pulse.Step, contact: str | None) -> None:
    """Do one step."""
    match step:
        case pulse.Say():
            await context.send(step.text, priority=Priority.ALERT)
        case pulse.Ask():
            await context.send(PING, to=contact, slot=f"ping {bot}")
        case _:
            context.withdraw(f"ping {bot}")


def _keep(context: Context, bot: str, known: pulse.Pulse) -> None:
    """Keep across restarts what the admins believe of a bot."""
    if known.told_at is None:
        context.store.delete(bot)
    else:
        context.store.put(bot, json.dumps({"told_at": known.told_at.isoformat(), "signs": sorted(known.signs)}))


def _remembered(context: Context, bot: str) -> pulse.Pulse:
    """Return what the admins were told of a bot before a restart; what stands in the store may be a newer version's."""
    try:
        kept = json.loads(context.store.get(bot) or "{}")
        told_at = datetime.fromisoformat(kept["told_at"]).astimezone(UTC)
        return pulse.Pulse(told_at=told_at, signs=frozenset(map(pulse.Sign, kept["signs"])))
    except (LookupError, TypeError, ValueError):
        return pulse.Pulse()
