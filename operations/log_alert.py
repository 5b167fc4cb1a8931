"""Tell of log lines that match: the first of a kind at once, with its stack trace, the others counted.

`alerting` decides what is told and when; here it meets the world. What is counted survives a restart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Final, TypeAlias

from logmonitor import (
    Command,
    Operation,
    OperationConfig,
    Priority,
    Right,
    StoreError,
    alert_text,
    alerting,
    end_of_hours,
    kept_alerts,
    muting,
    parse_hours,
    person_text,
    quoted,
    stack_trace,
    time_text,
    translation,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from logmonitor import Context, DailyHours, Invocation, LogBatch, Outcome

    _Handler: TypeAlias = Callable[[Context, Invocation], Awaitable[Outcome | None]]

SAVE_SECONDS: Final = 1.0
SAVE_AGAIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was configured."""

    rules: alerting.LineRules
    pace: alerting.Pace
    hours: DailyHours | None
    zone: tzinfo | None
    translate: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BotAlerts:
    """How it stands with the alerts of one bot.

    `blocks` are what may go on in its logs, `muted_until` (aware UTC) until when somebody wants none; `is_unsaved` says
    that the tally is not what the store has.
    """

    blocks: Mapping[Path, stack_trace.Block] = field(default_factory=dict)
    tally: alerting.Tally = field(default_factory=alerting.Tally)
    muted_until: datetime | None = None
    is_unsaved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How it stands with the alerts of each bot, and when they may be saved next."""

    bots: Mapping[str, BotAlerts] = field(default_factory=dict)
    save_at: float = -inf

    def of(self, watch: str) -> BotAlerts:
        """Return how it stands with one bot."""
        return self.bots.get(watch, BotAlerts())


def log_alert(
    config: OperationConfig,
    *,
    match: str | tuple[str, ...],
    ignore: str | tuple[str, ...] = (),
    period: float = 300.0,
    most: int = 10,
    quiet_hours: str = "",
    has_commands: bool = True,
) -> Operation:
    """Tell the admins of lines that match `match`, but for those whose stack trace, or themselves, match `ignore`.

    The first of a kind is told at once, `most` of them at most in `period` seconds; the others are counted and told
    together at its end. In `quiet_hours`, such as `22:00-07:00`, all are counted and told at their end. Of several such
    operations about one bot only one `has_commands`. A line that begins with `> `, as alerts quote, is never told.
    """
    state = State()
    _ = translation(config.language)
    settings = Settings(
        rules=alerting.line_rules(match, ignore),
        pace=alerting.Pace(period=period, most=most),
        hours=parse_hours(quiet_hours) if quiet_hours else None,
        zone=config.timezone,
        translate=_,
    )

    async def carry_on(
        context: Context, watch: str, alerts: Sequence[alerting.Alert] = (), *, is_end: bool = False
    ) -> None:
        nonlocal state
        now = _now(context)
        bot, steps = advance(state.of(watch), alerts, now, settings, is_end=is_end)
        state = put(state, watch, bot)
        for step in steps:
            await _tell(context, watch, step, now, settings)

    async def on_tick(context: Context) -> None:
        nonlocal state
        for watch in tuple(state.bots):
            await carry_on(context, watch)
        state = _save(context, state)
        for due in dues(state, _now(context), settings):
            context.wake_at(due)

    async def on_batch(context: Context, batch: LogBatch) -> None:
        nonlocal state
        for index, part in enumerate(alerting.parts(batch)):
            if index:
                await context.sleep(0)  # let others go on in between
            bot, alerts = take(state.of(batch.watch), part, context.monotonic(), rules=settings.rules)
            state = put(state, batch.watch, bot)
            await carry_on(context, batch.watch, alerts)
        await on_tick(context)

    async def on_start(context: Context) -> None:
        nonlocal state
        state, unreadable = _restore(context, settings)
        await _tell_unreadable(context, unreadable, translate=_)
        await on_tick(context)

    async def on_stop(context: Context) -> None:
        nonlocal state
        for watch in tuple(state.bots):
            await carry_on(context, watch, is_end=True)
        state = _save(context, state, is_end=True)

    def status(context: Context, watch: str) -> tuple[str, ...]:
        bot, now = state.of(watch), _now(context)
        hold, until = hold_of(bot, now.at, settings)
        time = None if until is None else time_text(until, now=now.at, zone=settings.zone)
        return (alert_text.status_text(bot.tally, now, hold=hold, until=time, translate=_),)

    async def mute(context: Context, invocation: Invocation) -> None:
        nonlocal state
        wanted = muting.parse_mute(invocation.arguments, is_named=config.watch is None, translate=_)
        until = context.now() + timedelta(seconds=wanted.seconds)
        state, said = _set_mute(context, invocation, state, settings, name=wanted.name, until=until)
        await _answer(context, invocation, said)

    async def unmute(context: Context, invocation: Invocation) -> None:
        nonlocal state
        name = next(iter(invocation.arguments), None)
        state, said = _set_mute(context, invocation, state, settings, name=name, until=None)
        await _answer(context, invocation, said)

    return Operation(
        name="log_alert",
        config=config,
        patterns=(*settings.rules.patterns, stack_trace.TRACE_PATTERN),
        on_start=on_start,
        on_stop=on_stop,
        on_batch=on_batch,
        on_tick=on_tick,
        status=status,
        commands=_commands(mute, unmute, config, translate=_) if has_commands else (),
    )


def take(
    bot: BotAlerts, batch: LogBatch, monotonic: float, *, rules: alerting.LineRules
) -> tuple[BotAlerts, tuple[alerting.Alert, ...]]:
    """Make alerts of the next lines of a log; what may go on stays behind."""
    path = batch.path
    block, alerts = alerting.gather(
        bot.blocks.get(path), path, batch.lines, rules=rules, now=monotonic, end_offset=batch.end_offset
    )
    blocks = {other: kept for other, kept in bot.blocks.items() if other != path}
    return replace(bot, blocks=blocks if block is None else {**blocks, path: block}), alerts


def advance(
    bot: BotAlerts, alerts: Sequence[alerting.Alert], now: alerting.Now, settings: Settings, *, is_end: bool = False
) -> tuple[BotAlerts, tuple[alerting.Step, ...]]:
    """Decide what is told now, of these alerts and of what was counted; at the end nothing goes on any more."""
    hold, _until = hold_of(bot, now.at, settings)
    blocks, late = alerting.flush(bot.blocks, now=None if is_end else now.monotonic)
    tally, digest = alerting.tick(bot.tally, now, pace=settings.pace, hold=hold)
    tally, firsts = alerting.meet(tally, (*alerts, *late), now, pace=settings.pace)
    is_unsaved = bot.is_unsaved or tally is not bot.tally
    bot = replace(bot, blocks=blocks, tally=tally, is_unsaved=is_unsaved)
    return bot, firsts if digest is None else (digest, *firsts)


def hold_of(bot: BotAlerts, at: datetime, settings: Settings) -> tuple[alerting.Hold | None, datetime | None]:
    """Tell why nothing of a bot is told, and until when."""
    if bot.muted_until is not None and at < bot.muted_until:
        return alerting.Hold.MUTED, bot.muted_until
    end = None if settings.hours is None else end_of_hours(settings.hours, at, settings.zone)
    return (None if end is None else alerting.Hold.QUIET), end


def put(state: State, watch: str, bot: BotAlerts) -> State:
    """Note how it stands with one bot."""
    return replace(state, bots={**state.bots, watch: bot})


def dues(state: State, now: alerting.Now, settings: Settings) -> tuple[float, ...]:
    """Return when time asks for something, in seconds of the clock that never steps."""
    found: list[float] = []
    for bot in state.bots.values():
        hold, until = hold_of(bot, now.at, settings)
        found.extend(due for block in bot.blocks.values() if (due := alerting.due_at(block)) is not None)
        if until is not None:
            found.append(now.monotonic + (until - now.at).total_seconds())
        if hold is None and bot.tally.ends_at is not None:
            found.append(bot.tally.ends_at)
        if bot.is_unsaved:
            found.append(state.save_at)
    return tuple(found)


def _commands(
    mute: _Handler, unmute: _Handler, config: OperationConfig, *, translate: Callable[[str], str]
) -> tuple[Command, ...]:
    """Make the commands. Without a bot of its own the operation reads for itself which one is meant: none means all."""
    takes_watch = config.watch is not None

    def objection(invocation: Invocation) -> str | None:
        return muting.objection(invocation.arguments, is_named=not takes_watch, translate=translate)

    def effect(invocation: Invocation) -> str:
        return muting.effect(
            invocation.arguments, watch=invocation.watch, is_named=not takes_watch, translate=translate
        )

    return (
        Command(
            name="mute",
            handler=mute,
            help=translate("tell of no alert for a while, such as 30m or 2h"),
            usage=translate("[30m] [BOT]"),
            takes_watch=takes_watch,
            takes_arguments=True,
            right=Right.GRANT,
            objection=objection,
            effect=effect,
            control=True,
        ),
        Command(
            name="unmute",
            handler=unmute,
            help=translate("tell of alerts again, and of those counted meanwhile"),
            usage=translate("[BOT]"),
            takes_watch=takes_watch,
            right=Right.GRANT,
            control=True,
        ),
    )


def _now(context: Context) -> alerting.Now:
    return alerting.Now(at=context.now(), monotonic=context.monotonic())


async def _tell(context: Context, watch: str, step: alerting.Step, now: alerting.Now, settings: Settings) -> None:
    """Do one step."""
    zone, translate = settings.zone, settings.translate
    if isinstance(step, alerting.Digest):
        text = alert_text.digest_text(watch, step, now=now.at, zone=zone, translate=translate)
        await context.send(text, priority=Priority.DIGEST)
        return
    until = now.at + timedelta(seconds=step.until - now.monotonic)
    text = alert_text.first_text(
        watch,
        step.alert,
        log=step.alert.path.name if _has_several_logs(context, watch) else None,
        until=time_text(until, now=now.at, zone=zone) if step.is_last else None,
        translate=translate,
    )
    await context.send(text, priority=Priority.ALERT)


def _has_several_logs(context: Context, watch: str) -> bool:
    try:
        return len(context.logs(watch)) > 1
    except OSError:  # one is rotated away at this moment, and no alert is to be lost for that
        return True


async def _tell_unreadable(context: Context, watches: Sequence[str], *, translate: Callable[[str], str]) -> None:
    text = translate("what was counted of {bot}'s alerts before the restart cannot be read")
    for watch in watches:
        await context.send(text.format(bot=watch), priority=Priority.ALERT)


def _save(context: Context, state: State, *, is_end: bool = False) -> State:
    """Keep what was counted, once in a while: a storm is not to be one of the disk too."""
    now = _now(context)
    unsaved = [watch for watch, bot in state.bots.items() if bot.is_unsaved]
    if not unsaved or (now.monotonic < state.save_at and not is_end):
        return state
    pause = SAVE_SECONDS
    for watch in unsaved:
        bot = state.of(watch)
        try:
            _keep(context, f"alerts {watch}", kept_alerts.keep(bot.tally, now))
        except StoreError:  # `status` tells of it
            pause = SAVE_AGAIN_SECONDS
        else:
            state = put(state, watch, replace(bot, is_unsaved=False))
    return replace(state, save_at=now.monotonic + pause)


def _keep(context: Context, key: str, text: str | None) -> None:
    if text is None:
        context.store.delete(key)
    else:
        context.store.put(key, text)


def _restore(context: Context, settings: Settings) -> tuple[State, tuple[str, ...]]:
    """Return what was kept of each bot, and the bots of which it cannot be read."""
    state, now, unreadable = State(), _now(context), []
    for watch in context.watches:
        try:
            kept, muted = context.store.get(f"alerts {watch}"), context.store.get(f"muted {watch}")
            bot = BotAlerts(
                tally=alerting.Tally() if kept is None else kept_alerts.restore(kept, now),
                muted_until=None if muted is None else datetime.fromisoformat(muted).astimezone(UTC),
            )
        except StoreError:  # `status` tells of it
            continue
        except ValueError:
            unreadable.append(watch)
            continue
        hold, _until = hold_of(bot, now.at, settings)
        state = put(state, watch, replace(bot, tally=replace(bot.tally, hold=hold)))
    return state, tuple(unreadable)


def _set_mute(
    context: Context,
    invocation: Invocation,
    state: State,
    settings: Settings,
    *,
    name: str | None,
    until: datetime | None,
) -> tuple[State, tuple[str, str]]:
    """Mute the bots that are meant until then, or no longer; return what to tell who asked for it, and the others."""
    _, now = settings.translate, context.now()
    asked = invocation.watch or name
    watches = tuple(watch for watch in context.watches if asked is None or watch.casefold() == asked.casefold())
    if not watches:
        text = _("there is no bot called {asked}; expected one of: {watches}")
        return state, (text.format(asked=quoted(asked or ""), watches=", ".join(context.watches)), "")
    remarks: list[str] = []
    for watch in watches:
        state = put(state, watch, replace(state.of(watch), muted_until=until))
        try:
            _keep(context, f"muted {watch}", None if until is None else until.isoformat())
        except StoreError as error:
            remarks.append(_("this does not last over a restart: {reason}").format(reason=error))
    context.wake_at(context.monotonic())  # what is told then goes to the admins, and not where this was asked for
    _hold, end = hold_of(state.of(watches[0]), now, settings)
    time = None if end is None else time_text(end, now=now, zone=settings.zone)
    person = person_text(invocation.message.sender)
    reply, notice = (
        muting.unmuted_texts(watches, quiet_until=time, person=person, translate=_)
        if until is None
        else muting.muted_texts(watches, until=time or "", person=person, translate=_)
    )
    return state, ("\n".join(dict.fromkeys((reply, *remarks))), notice)


async def _answer(context: Context, invocation: Invocation, said: tuple[str, str]) -> None:
    """Answer a command, and tell the other admins of it."""
    reply, notice = said
    await context.send(reply)
    for admin in context.admins:
        if notice and admin.id != invocation.message.sender.id:
            await context.send(notice, to=admin.id)
