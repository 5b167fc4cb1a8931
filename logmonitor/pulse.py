"""Whether a bot lives, by signs of which none proves anything alone: its log, its process, a ping over the chat.

A bot that nobody writes to is silent, one that is being restarted has no process, and a chat loses messages: so it
takes two signs to tell its admins. `look` and `hear` decide what is to be done.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from logmonitor.errors import OperationError
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

LOOK_SECONDS: Final = 30.0
"""How often it is looked."""

GONE_SECONDS: Final = 60.0
"""How long a process is not found before it is gone; one that is being restarted is back by then."""

ENOUGH: Final = 2
"""How many signs have to agree."""

_SHORTEST_PERIOD: Final = 30.0


class Sign(StrEnum):
    """What speaks for a bot's being off-line."""

    SILENT = "silent"
    GONE = "gone"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is looked at: after how many seconds a log is silent, whom to ping, how often, and how long to wait."""

    silence: float = 900.0
    ping: str | None = None
    ping_every: float = 1800.0
    ping_timeout: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what would tell nothing, or molest the twin."""
        for name, least in (("silence", 1.0), ("ping_every", _SHORTEST_PERIOD), ("ping_timeout", 1.0)):
            if not getattr(self, name) >= least:
                raise OperationError(f"bad {name} {getattr(self, name)!r}; expected at least {least:g} seconds")
        if self.ping is not None and not self.ping.strip():
            raise OperationError(f"bad ping {self.ping!r}; expected the contact of the bot's account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What is known of one bot's life; times are seconds of a clock that never steps.

    `sizes` are those of its logs at the last look, None before the first. `missing_since` is when its process was first
    not found; `can_find` whether it could be looked for last, None where it is not known which is meant. `asked_at` is
    when the ping went that is not answered yet, `pinged_at` when any did. `told_at` is when its admins were told that
    it shows no life, aware UTC, None while they believe that it does.
    """

    sizes: tuple[int, ...] | None = None
    grew_at: float = 0.0
    missing_since: float | None = None
    can_find: bool | None = None
    asked_at: float | None = None
    pinged_at: float | None = None
    heard_at: float | None = None
    signs: frozenset[Sign] = frozenset()
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is seen of a bot at one moment.

    `sizes` are those of its logs, None where they cannot be looked at; `quiet_for` is how many seconds ago one of them
    was written to at the latest, None where there is none. `has_process` says that it is known which process is meant,
    `is_running` whether it is there, None where it cannot be told. `can_ask` says that the chat takes messages and none
    waits, so that a ping has left; `is_lost` that the bot is known to be logged out.
    """

    sizes: tuple[int, ...] | None
    quiet_for: float | None = None
    has_process: bool = False
    is_running: bool | None = None
    can_ask: bool = True
    is_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Of which bot a decision is made and when, by the calendar and by a clock that never steps, in which language."""

    bot: str
    now: datetime
    monotonic: float
    translate: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Tell the admins."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ping the bot's account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Take back a ping that has not left yet."""


Step: TypeAlias = Say | Ask | Withdraw
Outcome: TypeAlias = tuple[Pulse, tuple[Step, ...]]


def look(pulse: Pulse, sight: Sight, moment: Moment, terms: Terms) -> Outcome:
    """Decide what asks to be done about what is seen of a bot.

    A sign stays until something speaks against it, so that nothing but life is taken for life: not a restart of this
    program, nor that something cannot be looked at. While a bot is known to be logged out it is not expected to answer,
    and others tell of it.
    """
    at = moment.monotonic
    pulse = _with_process(_with_growth(pulse, sight, at, terms), sight, at)
    if pulse.asked_at is not None and not sight.can_ask:
        pulse = replace(pulse, asked_at=None, pinged_at=None)  # it may not have left, or been given up
    is_overdue = pulse.asked_at is not None and at - pulse.asked_at >= terms.ping_timeout
    is_gone = pulse.missing_since is not None and at - pulse.missing_since >= GONE_SECONDS
    holding = {
        Sign.SILENT: pulse.sizes is not None and at - pulse.grew_at >= terms.silence,
        Sign.GONE: is_gone and sight.is_running is False,
        Sign.UNANSWERED: is_overdue,
    }
    signs = frozenset(
        sign
        for sign, holds in holding.items()
        if holds or (sign in pulse.signs and not _is_refuted(sign, pulse, sight, terms))
    )
    if sight.is_lost:
        signs = signs - {Sign.UNANSWERED}
        return replace(pulse, signs=signs, asked_at=None, pinged_at=None, told_at=None), (Withdraw(),)
    is_suspicion = bool(signs - pulse.signs - {Sign.UNANSWERED})
    pulse, said = _judged(replace(pulse, signs=signs), moment)
    is_due = pulse.pinged_at is None or at - pulse.pinged_at >= terms.ping_every
    is_waiting = pulse.asked_at is not None and not is_overdue
    if terms.ping is None or is_waiting or not (is_due or is_suspicion):
        return pulse, said
    asked_at = at if pulse.asked_at is None else pulse.asked_at
    return replace(pulse, asked_at=asked_at, pinged_at=at), (*said, Ask())


def hear(pulse: Pulse, moment: Moment, terms: Terms, *, said_at: datetime) -> Outcome:
    """Decide what asks to be done when the bot itself has said something, which may have been on its way for long."""
    if abs((moment.now - said_at).total_seconds()) > terms.ping_timeout:
        return pulse, ()
    signs = pulse.signs - {Sign.UNANSWERED}
    pulse = replace(pulse, asked_at=None, heard_at=moment.monotonic, signs=signs)
    return (pulse, ()) if pulse.told_at is None else _judged(pulse, moment)


def wake_at(pulse: Pulse, monotonic: float, terms: Terms) -> float:
    """Return when to look again: soon, or earlier where a ping has to be answered before."""
    soon = monotonic + LOOK_SECONDS
    if pulse.asked_at is None or Sign.UNANSWERED in pulse.signs:
        return soon
    return min(soon, pulse.asked_at + terms.ping_timeout)


def has_grown(before: Collection[int], after: Collection[int]) -> bool:
    """Tell from the sizes of logs whether anything was written: whether there is a size that none of them had.

    What a rotation renames, copies, empties or deletes is no growth.
    """
    return bool(Counter(filter(None, after)) - Counter(before))


def alarm_text(pulse: Pulse, moment: Moment) -> str:
    """Return what admins are told of a bot that shows no life."""
    head = moment.translate("{bot}: unknown. Its log tells of no logout, but it shows no life:")
    return "\n".join((head.format(bot=moment.bot), *(f"- {text}" for text in _sign_texts(pulse, moment))))


def status_text(pulse: Pulse, moment: Moment, *, sources: int) -> str:
    """Return the row that `status` shows; `sources` counts what is looked at."""
    _, at = moment.translate, moment.monotonic
    texts = list(_sign_texts(pulse, moment))
    if pulse.told_at is not None:
        ago = duration_text((moment.now - pulse.told_at).total_seconds(), _)
        return _("liveness unknown for {duration}: {signs}").format(duration=ago, signs=", ".join(texts))
    if pulse.sizes == ():
        texts.append(_("it has no log"))
    elif pulse.sizes is not None and Sign.SILENT not in pulse.signs:
        longest = at - pulse.grew_at + LOOK_SECONDS  # a look tells that it has grown since the one before
        texts.append(_("its log grew in the last {duration}").format(duration=duration_text(longest, _)))
    if pulse.can_find is False:
        texts.append(_("its process cannot be looked for"))
    elif pulse.can_find and pulse.missing_since is None:
        texts.append(_("its process runs"))
    if pulse.heard_at is not None:
        texts.append(_("it answered {duration} ago").format(duration=duration_text(at - pulse.heard_at, _)))
    if sources < ENOUGH:
        texts.append(_("one sign alone alarms nobody"))
    return _("liveness: {signs}").format(signs=", ".join(texts) or _("not looked at yet"))


def _with_growth(pulse: Pulse, sight: Sight, at: float, terms: Terms) -> Pulse:
    """Note when a log has grown; at the first look, when it last did as far as that can be told."""
    if sight.sizes is None:
        return pulse
    if pulse.sizes is not None:
        grew_at = at if has_grown(pulse.sizes, sight.sizes) else pulse.grew_at
    elif sight.quiet_for is not None:
        grew_at = at - max(0.0, sight.quiet_for)
    else:
        grew_at = at - terms.silence if Sign.SILENT in pulse.signs else at
    return replace(pulse, sizes=sight.sizes, grew_at=grew_at)


def _with_process(pulse: Pulse, sight: Sight, at: float) -> Pulse:
    """Note since when the process is gone, as far as it can be told."""
    if not sight.has_process:
        return replace(pulse, can_find=None, missing_since=None)
    if sight.is_running is None:
        return replace(pulse, can_find=False)
    missing_since = at if pulse.missing_since is None else pulse.missing_since
    return replace(pulse, can_find=True, missing_since=None if sight.is_running else missing_since)


def _is_refuted(sign: Sign, pulse: Pulse, sight: Sight, terms: Terms) -> bool:
    """Tell whether something speaks against a sign that held, or nothing is known of it any more."""
    return {
        Sign.SILENT: pulse.sizes is not None,
        Sign.GONE: sight.is_running is True or not sight.has_process,
        Sign.UNANSWERED: terms.ping is None,
    }[sign]


def _judged(pulse: Pulse, moment: Moment) -> tuple[Pulse, tuple[Say, ...]]:
    """Decide whether the admins have to be told."""
    is_dead = len(pulse.signs) >= ENOUGH
    if is_dead and pulse.told_at is None:
        return replace(pulse, told_at=moment.now), (Say(text=alarm_text(pulse, moment)),)
    if is_dead or pulse.told_at is None:
        return pulse, ()
    for_seconds = (moment.now - pulse.told_at).total_seconds()
    text = moment.translate("{bot} shows life again, after {duration}").format(
        bot=moment.bot, duration=duration_text(for_seconds, moment.translate)
    )
    return replace(pulse, told_at=None), (Say(text=text),)


def _sign_texts(pulse: Pulse, moment: Moment) -> tuple[str, ...]:
    _ = moment.translate
    quiet = duration_text(moment.monotonic - pulse.grew_at, _)
    texts = {
        Sign.SILENT: _("its log has not grown for {duration}").format(duration=quiet),
        Sign.GONE: _("its process is gone"),
        Sign.UNANSWERED: _("it does not answer in the chat"),
    }
    return tuple(text for sign, text in texts.items() if sign in pulse.signs)
