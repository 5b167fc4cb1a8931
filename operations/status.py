"""Tell how the bots, the chat and the machine are, now and as an image of the last day.

Every look at the machine is bound in time: what does not answer is missing from the answer, and does not hold it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor import (
    Attachment,
    Command,
    HostError,
    Operation,
    OperationConfig,
    Right,
    StoreError,
    duration_text,
    history,
    render_plot,
    translation,
    vitals,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from datetime import tzinfo

    from logmonitor import (
        Context,
        FileState,
        Host,
        Invocation,
        Process,
        ProcessSelector,
        Session,
        SessionState,
        Transition,
        Usage,
    )

PLOT: Final = "plot"
ANSWER_SECONDS: Final = 1.0
SAMPLE_SECONDS: Final = 20.0
FIRST_SAMPLE_SECONDS: Final = 5.0
MOST_LOGS: Final = 8
MOST_CHANGES: Final = 240
MOST_HOURS: Final = 50
_HOUR_SECONDS: Final = 3600.0
_SAMPLES: Final = "samples "
_QR: Final = "qr "
_ROOT: Final = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known of the bots, by name, as it was seen last.

    `grown` is how much their logs have grown within an hour, `qrs` when they showed a QR last. `sizes` and `alerts` are
    those of the last sample. `unkept` says why what was seen cannot be kept.
    """

    bots: Mapping[str, vitals.Vitals] = field(default_factory=dict)
    grown: Mapping[str, int] = field(default_factory=dict)
    qrs: Mapping[str, datetime] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[Path, int]] = field(default_factory=dict)
    alerts: int = 0
    unkept: str = ""


def status(config: OperationConfig) -> Operation:
    """Answer `status` with the bots' sessions, processes and logs, the chat and the machine, `status plot` with a day.

    What is seen every minute is kept for the image, also across restarts.
    """
    known = Knowledge()
    drawing = asyncio.Lock()
    _ = translation(config.language)

    async def look(context: Context, watches: Sequence[str], *, seconds: float) -> Usage | None:
        nonlocal known
        bots, usage = await _look(context, watches, known.bots, seconds=seconds, translate=_)
        known = learn(known, bots, _read_samples(context, _HOUR_SECONDS))
        return usage

    async def on_start(context: Context) -> None:
        nonlocal known
        context.wake_at(context.monotonic() + FIRST_SAMPLE_SECONDS)
        known = replace(known, qrs=_read_qrs(context))

    async def on_tick(context: Context) -> None:
        nonlocal known
        context.wake_at(context.monotonic() + history.INTERVAL_SECONDS)
        usage = await look(context, context.watches, seconds=SAMPLE_SECONDS)
        states = {watch: context.session(watch).state for watch in context.watches}
        known, sample = take_sample(known, states, usage, at=context.now(), alerts=context.delivery().alerts)
        known = _keep(context, known, sample)

    async def on_transition(context: Context, transition: Transition) -> None:
        nonlocal known
        before, after, now = transition.before, transition.after, context.now()
        if after.state is not before.state:
            bots = {after.watch: history.BotSample(state=after.state)}
            known = _keep(context, known, history.Sample(at=now, bots=bots), is_change=True)
        if after.qr is not None and not after.qr.is_same(before.qr):
            known = replace(known, qrs={**known.qrs, after.watch: now})
            with suppress(StoreError):
                context.store.put(f"{_QR}{after.watch}", now.isoformat())

    async def tell(context: Context, invocation: Invocation) -> None:
        asked = invocation.arguments[0] if invocation.arguments else None
        if asked is not None and asked.casefold() == PLOT:
            await _show(context, *invocation.arguments[1:], drawing=drawing, zone=config.timezone, translate=_)
            return
        usage = await look(context, _meant(context.watches, asked), seconds=ANSWER_SECONDS)
        rows = context.overview(asked)
        if asked is None:
            rows += vitals.machine_rows(usage, translate=_)
        if known.unkept:
            rows += (_("what is seen cannot be kept: {reason}").format(reason=known.unkept),)
        await context.send("\n".join(rows))

    def objection(invocation: Invocation) -> str | None:
        words = invocation.arguments
        most = 2 if words and words[0].casefold() == PLOT else 1
        return None if len(words) <= most else _("say `status`, `status BOT` or `status plot`")

    def rows_of(context: Context, bot: str) -> tuple[str, ...]:
        return status_rows(known, context.session(bot), now=context.now(), monotonic=context.monotonic(), translate=_)

    return Operation(
        name="status",
        config=config,
        on_start=on_start,
        on_tick=on_tick,
        on_transition=on_transition,
        status=rows_of,
        commands=(
            Command(
                name="status",
                handler=tell,
                help=_("tell how the bots, the chat and the machine are; `status plot` shows the last day"),
                usage=_("[plot] [BOT]"),
                right=Right.GRANT,
                objection=objection,
                read_only=True,
                control=True,
            ),
        ),
    )


def learn(known: Knowledge, bots: Mapping[str, vitals.Vitals], recent: Sequence[history.Sample]) -> Knowledge:
    """Return what is known after a look at some bots; `recent` are the samples of the last hour."""
    grown = {
        watch: history.grown_bytes(recent, watch) + _grown_since(known, watch, vital) for watch, vital in bots.items()
    }
    return replace(known, bots={**known.bots, **bots}, grown={**known.grown, **grown})


def take_sample(
    known: Knowledge, states: Mapping[str, SessionState], usage: Usage | None, *, at: datetime, alerts: int
) -> tuple[Knowledge, history.Sample]:
    """Make a sample of what is known, and begin the next."""
    bots, sizes = {}, dict(known.sizes)
    for watch, state in states.items():
        vital = known.bots.get(watch, vitals.Vitals())
        process = None if vital.sight is None or vital.obstacle else vital.sight.process
        bots[watch] = history.BotSample(
            state=state,
            memory_bytes=None if process is None else process.memory_bytes,
            grown_bytes=_grown_since(known, watch, vital),
        )
        if vital.logs:
            sizes[watch] = _sizes(vital.logs)
    used_bytes = None if usage is None else usage.memory_bytes - usage.memory_available_bytes
    sample = history.Sample(at=at, bots=bots, alerts=max(0, alerts - known.alerts), memory_bytes=used_bytes)
    return replace(known, sizes=sizes, alerts=alerts), sample


def _grown_since(known: Knowledge, watch: str, vital: vitals.Vitals) -> int:
    """Return how much a bot's logs have grown since the last sample."""
    before = known.sizes.get(watch)
    return 0 if before is None or not vital.logs else history.growth(before, _sizes(vital.logs))


def _sizes(logs: Mapping[Path, FileState]) -> Mapping[Path, int]:
    return {path: state.size_bytes for path, state in logs.items()}


def status_rows(
    known: Knowledge, session: Session, *, now: datetime, monotonic: float, translate: Callable[[str], str]
) -> tuple[str, ...]:
    """Return what is told of a bot besides its session: process, logs, and how old its last QR is."""
    bot, moment = session.watch, vitals.Moment(now=now, monotonic=monotonic, translate=translate)
    vital = known.bots.get(bot, vitals.Vitals())
    rows = vitals.process_rows(vital, moment) + vitals.log_rows(vital, moment, grown_bytes=known.grown.get(bot, 0))
    first_seen = None if session.qr is None else session.qr.first_seen
    ats = [at for at in (known.qrs.get(bot), first_seen) if at is not None]
    if not ats:
        return rows
    ago = duration_text((now - max(ats)).total_seconds(), translate)
    return (*rows, translate("last QR: {duration} ago").format(duration=ago))


def caption_text(watches: Sequence[str], names: Sequence[str], *, translate: Callable[[str], str]) -> str:
    """Return what stands below the image: the bots that it shows by number only, or not at all."""
    numbers = [f"{name}: {watch}" for watch, name in zip(watches, names, strict=False) if name.startswith("#")]
    missing = watches[len(names) :]
    if missing:
        text = translate("not shown: {bots}; `status plot BOT` shows one")
        numbers.append(text.format(bots=", ".join(missing)))
    return "\n".join((translate("the last 24 hours"), *numbers))


def _meant(watches: Sequence[str], asked: str | None) -> tuple[str, ...]:
    return tuple(watch for watch in watches if asked is None or watch.casefold() == asked.casefold())


async def _show(
    context: Context,
    asked: str | None = None,
    *,
    drawing: asyncio.Lock,
    zone: tzinfo | None,
    translate: Callable[[str], str],
) -> None:
    """Send the last day of one bot, or of all, as an image."""
    watches = _meant(context.watches, asked)
    if asked is not None and not watches:
        await context.send("\n".join(context.overview(asked)))
        return
    now = context.now()
    standing = {watch: history.BotSample(state=context.session(watch).state) for watch in watches}
    samples = (*_read_samples(context, history.KEPT_SECONDS), history.Sample(at=now, bots=standing))
    try:
        async with drawing:  # one at a time, since each takes the memory of a program of its own
            plot = await render_plot(samples, watches, end=now, zone=zone, translate=translate)
    except HostError as error:
        await context.send(translate("the plot cannot be drawn: {reason}").format(reason=error))
        return
    caption = caption_text(watches, plot.names, translate=translate)
    await context.send(Attachment(filename="status.png", content_type="image/png", data=plot.image, caption=caption))


async def _look(
    context: Context,
    watches: Sequence[str],
    before: Mapping[str, vitals.Vitals],
    *,
    seconds: float,
    translate: Callable[[str], str],
) -> tuple[Mapping[str, vitals.Vitals], Usage | None]:
    """Look at some bots and the machine, for so long at most.

    What was seen `before` of a process holds where nothing answers now; a log file that does not is left out.
    """
    late = translate("no answer within {seconds:g} s").format(seconds=seconds)
    found = {watch: replace(before.get(watch, vitals.Vitals()), obstacle="", logs={}) for watch in watches}
    logs: dict[str, dict[Path, FileState]] = {watch: {} for watch in watches}
    paths = {watch: context.logs(watch)[-MOST_LOGS:] for watch in watches}
    machine: list[Usage] = []

    async def look_for(watch: str, selector: ProcessSelector) -> None:
        vital = found[watch]
        try:
            processes = await _find(context.host, selector, vital.sight)
        except HostError as error:
            found[watch] = replace(vital, obstacle=str(error))
        else:
            sight = vitals.Sight(selector=selector, processes=processes, at=context.monotonic())
            found[watch] = replace(vital, sight=vitals.follow(vital.sight, sight), obstacle="")

    async def look_at(watch: str, path: Path) -> None:
        with suppress(OSError):
            logs[watch][path] = await context.host.file_state(path)

    async def look_around() -> None:
        folders = dict.fromkeys(path.parent for one in paths.values() for path in one)
        machine.append(await context.host.usage((_ROOT, *folders)))

    selectors = {watch: selector for watch in watches if (selector := context.process(watch)) is not None}
    for watch in selectors:
        found[watch] = replace(found[watch], obstacle=late)
    await _in_time(
        context,
        look_around(),
        *(look_for(watch, selector) for watch, selector in selectors.items()),
        *(look_at(watch, path) for watch, one in paths.items() for path in one),
        seconds=seconds,
    )
    known = {watch: replace(vital, logs=logs[watch]) for watch, vital in found.items()}
    return known, next(iter(machine), None)


async def _find(host: Host, selector: ProcessSelector, sight: vitals.Sight | None) -> tuple[Process, ...]:
    """Find processes; of a unit, whose manager takes long to answer, look at the last known as long as it runs."""
    if selector.unit is not None and sight is not None and sight.process is not None:
        with suppress(HostError):
            return ((await host.inspect(sight.process)).process,)
    return await host.find(selector)


async def _in_time(context: Context, *questions: Coroutine[object, object, None], seconds: float) -> None:
    """Wait for answers, for so long at most, and give up those that have not come."""
    tasks = [asyncio.ensure_future(question) for question in questions]
    alarm = asyncio.ensure_future(context.sleep(seconds))
    waiting = set(tasks)
    try:
        while waiting and not alarm.done():
            await asyncio.wait({alarm, *waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting = {task for task in waiting if not task.done()}
    finally:
        for task in (alarm, *waiting):
            task.cancel()
    for task in tasks:
        if task.done():
            task.result()


def _keep(context: Context, known: Knowledge, sample: history.Sample, *, is_change: bool = False) -> Knowledge:
    """Put a sample to those of its hour, of which there are so many at most, and forget the oldest hours.

    Return what is known, with why it cannot be kept.
    """
    store, key = context.store, f"{_SAMPLES}{history.hour_of(sample.at)}"
    try:
        text = store.get(key) or ""
        if not is_change or text.count("\n") < MOST_CHANGES:
            store.put(key, f"{text}{history.sample_text(sample)}\n")
        hours = [name for name in store.keys() if name.startswith(_SAMPLES)]  # noqa: SIM118  # it is no dict
        for old in hours[:-MOST_HOURS]:
            store.delete(old)
    except StoreError as error:
        return replace(known, unkept=str(error))
    return replace(known, unkept="")


def _read_samples(context: Context, seconds: float) -> tuple[history.Sample, ...]:
    """Return what was kept of so many seconds; nothing where the store cannot be read."""
    now, texts = context.now(), []
    with suppress(StoreError):
        texts = [context.store.get(f"{_SAMPLES}{hour}") or "" for hour in history.hours_before(now, seconds)]
    samples = history.read_samples("".join(texts))
    return history.within(samples, now - timedelta(seconds=seconds), now)


def _read_qrs(context: Context) -> Mapping[str, datetime]:
    """Return when each bot showed its last QR, as far as that was kept."""
    found = {}
    with suppress(StoreError):
        for key in context.store.keys():  # noqa: SIM118  # it is no dict
            if key.startswith(_QR):
                with suppress(ValueError):
                    found[key.removeprefix(_QR)] = datetime.fromisoformat(context.store.get(key) or "")
    return found
