"""Rescue a bot that lost its session: tell its admins, send the login QR, and greet it when it is back.

`meet`, `doubt`, `wake`, `answer` and `switch` are pure and decide in steps; `_perform` does them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from logmonitor import (
    Attachment,
    Command,
    MessageKey,
    Newest,
    Operation,
    OperationConfig,
    Priority,
    Qr,
    QrError,
    Refusal,
    Right,
    SessionState,
    StoreError,
    Throttle,
    duration_text,
    fingerprint,
    loss_text,
    qr_caption,
    refused_line_text,
    render_png,
    session_text,
    throttle,
    translation,
    unconfirmed_text,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from logmonitor import Context, Event, Invocation, Session, Transition

QR_PERIOD_SECONDS: Final = 60.0
DOUBT_PERIOD_SECONDS: Final = 600.0
IMAGE_LIMIT_BYTES: Final = 1 << 20
_IMAGE_TYPES: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """How far the rescue of one bot is: whether it is wanted, and which QR waits for its turn.

    `doubts` paces the sentences about unconfirmed lines, and `reports` those about refused ones, since others can cause
    them at will, each reason by itself, so that none hides another; `reported` are the refusals that the admins know of
    since the last line that was verified.
    """

    enabled: bool = True
    pace: Newest[Show] = field(default_factory=lambda: Newest(period=QR_PERIOD_SECONDS))
    sent_at: datetime | None = None
    doubts: Throttle = field(default_factory=lambda: Throttle(limit=1, period=DOUBT_PERIOD_SECONDS))
    reports: Mapping[Refusal, Throttle] = field(default_factory=dict)
    reported: frozenset[Refusal] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Send a text; without `to` to the admins, or to who asked. Of one with a `key` each gets one."""

    text: str
    to: str | None = None
    priority: Priority = Priority.REPLY
    key: MessageKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Send a QR as an image: once about the loss that `loss` names, each time where it is empty as it was asked for."""

    qr: Qr
    loss: str = ""
    is_unconfirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Take back a QR that was not delivered yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Keep across restarts whether the rescue is wanted."""

    enabled: bool


Step: TypeAlias = Say | Show | Withdraw | Keep
Outcome: TypeAlias = tuple[Rescue, tuple[Step, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a decision is made, by the calendar and by a clock that never steps, and in which language."""

    now: datetime
    monotonic: float
    translate: Callable[[str], str]


def qr_rescue(config: OperationConfig, *, login_test: str = "", login_test_to: str = "") -> Operation:
    """Tell the admins of a loss, send them the login QR, and send `login_test` when the bot is back.

    Another QR is sent a minute after the last at the earliest, the newest one then, or at once when it is asked for.
    `login_test_to` receives the login test in place of the admins: an id, weixin number or alias.
    """
    rescues: Mapping[str, Rescue] = {}
    _ = translation(config.language)
    greeting = Say(text=login_test, to=login_test_to or None, priority=Priority.QR) if login_test else None

    def moment(context: Context) -> Moment:
        return Moment(now=context.now(), monotonic=context.monotonic(), translate=_)

    def rescue_of(bot: str) -> Rescue:
        return rescues.get(bot, Rescue())

    async def carry_out(context: Context, bot: str, outcome: Outcome) -> None:
        nonlocal rescues
        rescue, steps = outcome
        rescues = {**rescues, bot: rescue}
        due = throttle.wake_at(rescue.pace)
        if due is not None:
            context.wake_at(due)
        for step in steps:
            await _perform(context, bot, step, translate=_)

    async def on_start(context: Context) -> None:
        for bot in context.watches:
            outcome = resume(Rescue(enabled=_is_wanted(context, bot)), context.session(bot), moment(context))
            await carry_out(context, bot, outcome)

    async def on_transition(context: Context, transition: Transition) -> None:
        bot = transition.after.watch
        await carry_out(context, bot, meet(rescue_of(bot), transition, moment(context), greeting=greeting))

    async def on_event(context: Context, event: Event) -> None:
        await carry_out(context, event.watch, doubt(rescue_of(event.watch), event, moment(context)))

    async def on_tick(context: Context) -> None:
        for bot in tuple(rescues):
            await carry_out(context, bot, wake(rescue_of(bot), moment(context)))

    def command(
        decide: Callable[[Rescue, Session, Moment], Outcome],
    ) -> Callable[[Context, Invocation], Awaitable[None]]:
        async def handle(context: Context, invocation: Invocation) -> None:
            session = context.session(invocation.watch)
            await carry_out(context, session.watch, decide(rescue_of(session.watch), session, moment(context)))

        return handle

    def status(context: Context, bot: str) -> tuple[str, ...]:
        return (status_text(bot, rescue_of(bot), moment(context)),)

    return Operation(
        name="qr_rescue",
        config=config,
        on_start=on_start,
        on_event=on_event,
        on_transition=on_transition,
        on_tick=on_tick,
        contacts=(login_test_to,) if login_test_to else (),
        signals=(login_test,) if login_test else (),
        status=status,
        commands=(
            Command(
                name="qr",
                handler=command(answer),
                help=_("send the login QR that is valid now"),
                usage=_("[BOT]"),
                takes_watch=True,
                right=Right.GRANT,
                read_only=True,
                control=True,
            ),
            Command(
                name="disable-qr-rescue",
                handler=command(partial(switch, enabled=False)),
                help=_("send no QR and no notice of a loss until it is enabled again"),
                usage=_("[BOT]"),
                takes_watch=True,
                right=Right.GRANT,
            ),
            Command(
                name="enable-qr-rescue",
                handler=command(partial(switch, enabled=True)),
                help=_("send the login QR whenever the bot has lost its session"),
                usage=_("[BOT]"),
                takes_watch=True,
                right=Right.GRANT,
            ),
        ),
    )


def meet(rescue: Rescue, transition: Transition, moment: Moment, *, greeting: Say | None) -> Outcome:
    """Decide what a change of the session asks for.

    Losses, QRs and returns are of one priority, so that they arrive in the order in which they happened.
    """
    before, after, _ = transition.before, transition.after, moment.translate
    key = partial(_key, after.watch, after.loss_id)
    steps: list[Step] = []
    if transition.is_return:
        rescue = replace(rescue, pace=throttle.clear(rescue.pace))
    if before.qr is not None and after.qr is None:
        rescue = replace(rescue, pace=replace(rescue.pace, waiting=None))
        steps.append(Withdraw())
    if not rescue.enabled:
        return rescue, tuple(steps)
    if transition.is_loss:
        steps.append(Say(text=loss_text(after, _), priority=Priority.QR, key=key("loss")))
    if after.unconfirmed is not None and after.unconfirmed != before.unconfirmed and not after.unconfirmed.refused:
        doubts, is_admitted = throttle.admit(rescue.doubts, moment.monotonic)
        rescue = replace(rescue, doubts=doubts)
        steps.extend([_alert(unconfirmed_text(after, _))] if is_admitted else ())
    is_new = after.qr is not None and not after.qr.is_same(before.qr)
    if after.is_lost and after.qr is not None and is_new and not is_expired(after.qr, moment.now):
        rescue, shown = _offer(rescue, Show(qr=after.qr, loss=after.loss_id), moment)
        steps.extend(shown)
    if transition.is_return:
        text = _("{bot} is logged in again").format(bot=after.watch)
        steps.append(Say(text=text, priority=Priority.QR, key=key("return")))
        steps.extend([replace(greeting, key=key("login test"))] if greeting is not None else ())
    return rescue, tuple(steps)


def doubt(rescue: Rescue, event: Event, moment: Moment) -> Outcome:
    """Decide whether the admins hear of a line that should prove who wrote it and does not.

    Of each reason they hear once until a line is verified, and once in ten minutes at most. Of a line that may be part
    of a stranger's message they do not hear, since strangers could otherwise alert them at will; `status` counts it.
    """
    if event.verified:
        return replace(rescue, reported=frozenset()), ()
    if event.refused is None or event.in_message or event.refused in rescue.reported or not rescue.enabled:
        return rescue, ()
    pace = rescue.reports.get(event.refused, Throttle(limit=1, period=DOUBT_PERIOD_SECONDS))
    pace, is_admitted = throttle.admit(pace, moment.monotonic)
    if not is_admitted:
        return rescue, ()
    reports = {**rescue.reports, event.refused: pace}
    rescue = replace(rescue, reports=reports, reported=rescue.reported | {event.refused})
    return rescue, (_alert(refused_line_text(event, event.refused, moment.translate)),)


def wake(rescue: Rescue, moment: Moment) -> Outcome:
    """Decide whether a QR that was held back goes now."""
    pace, due = throttle.tick(rescue.pace, moment.monotonic)
    rescue = replace(rescue, pace=pace)
    if due is None or not rescue.enabled or is_expired(due.qr, moment.now):
        return rescue, ()
    return replace(rescue, sent_at=moment.now), (due,)


def resume(rescue: Rescue, session: Session, moment: Moment) -> Outcome:
    """Decide what goes that an earlier run held back when it ended; what went by then has a key, and does not again."""
    is_due = rescue.enabled and session.is_lost and session.loss_id
    if not is_due or session.qr is None or is_expired(session.qr, moment.now):
        return rescue, ()
    return _offer(rescue, Show(qr=session.qr, loss=session.loss_id), moment)


def answer(rescue: Rescue, session: Session, moment: Moment) -> Outcome:
    """Decide what an admin gets who asks for the QR: it, at once, or why there is none."""
    bot, qr, _ = session.watch, session.qr, moment.translate
    if session.is_lost and qr is not None and not is_expired(qr, moment.now):
        pace = throttle.sent_now(rescue.pace, moment.monotonic)
        return replace(rescue, pace=pace, sent_at=moment.now), (Show(qr=qr),)
    doubtful = session.unconfirmed
    if doubtful is not None and doubtful.qr is not None and doubtful.refused is None:
        return rescue, (Show(qr=replace(doubtful.qr, log_path=doubtful.path), is_unconfirmed=True),)
    if session.state is SessionState.LOGGED_IN:
        return rescue, (Say(text=_("{bot} is logged in; no scan is needed").format(bot=bot)),)
    if qr is not None:
        text = _("the last QR of {bot} has expired; the next one is sent as soon as its log shows it")
    else:
        text = _("there is no QR of {bot} yet; it is sent as soon as its log shows it")
    state = session_text(session, now=moment.now, translate=_)
    return rescue, (Say(text=f"{state}\n{text.format(bot=bot)}"),)


def switch(rescue: Rescue, session: Session, moment: Moment, *, enabled: bool) -> Outcome:
    """Turn the rescue of a bot on or off; a bot that is lost when it is turned on is rescued at once."""
    _ = moment.translate
    rescue = replace(rescue, enabled=enabled)
    if not enabled:
        rescue = replace(rescue, pace=throttle.clear(rescue.pace))
        said = Say(text=_("QR rescue of {bot} is off").format(bot=session.watch))
        return rescue, (Withdraw(), said, Keep(enabled=False))
    said = Say(text=_("QR rescue of {bot} is on").format(bot=session.watch), priority=Priority.QR)
    if not session.is_lost or session.qr is None or is_expired(session.qr, moment.now):
        return rescue, (said, Keep(enabled=True))
    rescue, shown = _offer(rescue, Show(qr=session.qr), moment)
    return rescue, (said, *shown, Keep(enabled=True))


def is_expired(qr: Qr, now: datetime) -> bool:
    """Tell whether a QR's life is over; one that lives until the next one never expires by itself."""
    return qr.expires is not None and qr.expires <= now


def status_text(bot: str, rescue: Rescue, moment: Moment) -> str:
    """Return the row that `status` shows."""
    _ = moment.translate
    if not rescue.enabled:
        return _("QR rescue is off; `enable-qr-rescue {bot}` turns it on").format(bot=bot)
    if rescue.sent_at is None:
        return _("QR rescue is on")
    ago = duration_text((moment.now - rescue.sent_at).total_seconds(), _)
    return _("QR rescue is on, last QR sent {duration} ago").format(duration=ago)


def _offer(rescue: Rescue, shown: Show, moment: Moment) -> tuple[Rescue, tuple[Show, ...]]:
    """Show a new QR now, or keep it until the last one is a minute old."""
    pace, due = throttle.offer(rescue.pace, shown, moment.monotonic)
    if due is None:
        return replace(rescue, pace=pace), ()
    return replace(rescue, pace=pace, sent_at=moment.now), (due,)


def _alert(text: str) -> Say:
    return Say(text=text, priority=Priority.ALERT)


async def _perform(context: Context, bot: str, step: Step, *, translate: Callable[[str], str]) -> None:
    """Do one step."""
    slot = f"qr {bot}"
    match step:
        case Withdraw():
            context.withdraw(slot)
        case Say():
            await context.send(step.text, to=step.to, priority=step.priority, key=step.key)
        case Keep(enabled=True):
            context.store.delete(_kept(bot))
        case Keep():
            context.store.put(_kept(bot), "")
        case Show(qr=qr):
            caption = qr_caption(bot, qr, is_unconfirmed=step.is_unconfirmed, now=context.now(), translate=translate)
            try:
                image = await _image(context, bot, qr, caption)
            except (QrError, OSError) as error:
                text = translate("the QR of {bot} cannot be shown: {reason}").format(bot=bot, reason=error)
                key = _key(bot, step.loss, f"no qr {fingerprint(qr)}")
                await context.send(text, priority=Priority.QR, key=key, expires_at=qr.expires)
            else:
                key = _key(bot, step.loss, f"qr {fingerprint(qr, image.data)}")
                await context.send(image, priority=Priority.QR, slot=slot, key=key, expires_at=qr.expires)


def _kept(bot: str) -> str:
    return f"disabled {bot}"


def _is_wanted(context: Context, bot: str) -> bool:
    """Tell whether nobody has turned the rescue of a bot off; where that is not known, nobody has."""
    try:
        return context.store.get(_kept(bot)) is None
    except StoreError:
        return True


def _key(bot: str, loss: str, kind: str) -> MessageKey | None:
    """Name a message about a loss, so that nobody gets it twice; None where nothing names the loss."""
    return MessageKey(watch=bot, loss=loss, kind=kind) if loss else None


async def _image(context: Context, bot: str, qr: Qr, caption: str) -> Attachment:
    """Render a QR, or read the image file in which the bot keeps it."""
    if qr.image_path is None:
        filename = f"{bot}-qr.png"
        return Attachment(filename=filename, content_type="image/png", data=render_png(qr), caption=caption, qr=qr)
    data = await context.host.read_file(qr.image_path, limit_bytes=IMAGE_LIMIT_BYTES)
    for magic, content_type in _IMAGE_TYPES.items():
        if data.startswith(magic):
            filename = f"{bot}-qr.{content_type.removeprefix('image/')}"
            return Attachment(filename=filename, content_type=content_type, data=data, caption=caption)
    raise OSError(f"{qr.image_path.name} is neither PNG nor JPEG")
