"""What `mute` is told: for how long, and about which bot where the command itself does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.duration import parse_duration
from logmonitor.errors import UsageError
from logmonitor.wording import duration_text, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MUTE_SECONDS: Final = 3600.0
"""So long a mute lasts without a length."""

LONGEST_MUTE_SECONDS: Final = 30 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """For how long nothing is to be told, and of which bot, where one is named among the arguments."""

    seconds: float
    name: str | None = None


def parse_mute(arguments: Sequence[str], *, is_named: bool, translate: Callable[[str], str]) -> Mute:
    """Read the arguments of `mute`: a length, and where `is_named` the name of a bot before or behind it, or neither.

    Raises:
        UsageError: they are something else, or the length is too great.
    """
    mute = _read(arguments, is_named=is_named)
    if mute is None:
        text = translate("{text} is no length of time; expected one such as 30m or 2h")
        raise UsageError(text.format(text=quoted(" ".join(arguments))))
    if mute.seconds > LONGEST_MUTE_SECONDS:
        longest = duration_text(LONGEST_MUTE_SECONDS, translate)
        raise UsageError(translate("alerts can be muted for {duration} at most").format(duration=longest))
    return mute


def objection(arguments: Sequence[str], *, is_named: bool, translate: Callable[[str], str]) -> str | None:
    """Return what is wrong with the arguments of `mute`; None if nothing is."""
    try:
        parse_mute(arguments, is_named=is_named, translate=translate)
    except UsageError as error:
        return str(error)
    return None


def effect(arguments: Sequence[str], *, watch: str | None, is_named: bool, translate: Callable[[str], str]) -> str:
    """Return what `mute` will do with such arguments, about the bot `watch` where that is known.

    Raises:
        UsageError: they cannot be meant.
    """
    mute = parse_mute(arguments, is_named=is_named, translate=translate)
    length = duration_text(mute.seconds, translate)
    bot = watch or (None if mute.name is None else quoted(mute.name))
    if bot is None:
        return translate("tell of no alert for {duration}; they are counted and told then").format(duration=length)
    text = translate("tell of no alert of {bot} for {duration}; they are counted and told then")
    return text.format(bot=bot, duration=length)


def muted_texts(watches: Sequence[str], *, until: str, person: str, translate: Callable[[str], str]) -> tuple[str, str]:
    """Return what to tell who has muted some bots, and the other admins."""
    reply = translate("alerts of {bots} are muted until {time}; they are counted, and told then or at `unmute`")
    notice = translate("{person} has muted the alerts of {bots} until {time}; they are counted, and told then")
    bots = ", ".join(watches)
    return reply.format(bots=bots, time=until), notice.format(bots=bots, time=until, person=person)


def unmuted_texts(
    watches: Sequence[str], *, quiet_until: str | None, person: str, translate: Callable[[str], str]
) -> tuple[str, str]:
    """Return what to tell who has ended the mute of some bots, perhaps within quiet hours, and the other admins."""
    reply = translate("alerts of {bots} are not muted any more")
    notice = translate("{person} has ended the mute of the alerts of {bots}")
    if quiet_until is not None:
        reply = translate("alerts of {bots} are not muted any more; they wait for the end of the quiet hours at {time}")
    bots = ", ".join(watches)
    return reply.format(bots=bots, time=quiet_until), notice.format(bots=bots, person=person)


def _read(arguments: Sequence[str], *, is_named: bool) -> Mute | None:
    if not arguments:
        return Mute(seconds=MUTE_SECONDS)
    readings: list[tuple[str | None, Sequence[str]]] = [(None, arguments)]
    if is_named:
        readings += [(arguments[-1], arguments[:-1]), (arguments[0], arguments[1:])]
    for name, length in readings:
        if (seconds := parse_duration(" ".join(length))) is not None:
            return Mute(seconds=seconds, name=name)
    return Mute(seconds=MUTE_SECONDS, name=arguments[0]) if is_named and len(arguments) == 1 else None
