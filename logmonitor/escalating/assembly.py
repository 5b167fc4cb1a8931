"""An escalation put together from a configuration."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from logmonitor.config import build_fallback_transport
from logmonitor.escalating.way import apprise_way, chat_way
from logmonitor.escalation import Escalation
from logmonitor.transport import is_up

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from logmonitor.clock import Clock
    from logmonitor.config import Config, FallbackConfig
    from logmonitor.directory import Directory
    from logmonitor.escalating.way import Way
    from logmonitor.escalation import Letterbox
    from logmonitor.operation import Operation
    from logmonitor.transport import Transport


def make_way(config: Config, fallback: FallbackConfig, *, translate: Callable[[str], str], clock: Clock) -> Way:
    """Return the way that a fallback of a configuration is; nothing is connected."""
    if fallback.url is not None:
        return apprise_way(fallback, fallback.url, title=config.bot.name, translate=translate, now=clock.now)
    return chat_way(fallback, partial(build_fallback_transport, config, fallback), translate=translate)


def make_escalation(
    config: Config,
    letters: Letterbox,
    *,
    operations: Collection[Operation],
    directory: Directory,
    transport: Transport,
    translate: Callable[[str], str],
    clock: Clock,
) -> Escalation:
    """Return what escalates `letters`, which `transport` is to deliver, by the configuration's fallbacks."""
    admins = frozenset(config.chat.admins).union(*(one.config.admins or () for one in operations))
    others = frozenset(contact for one in operations for contact in one.contacts) - admins

    def admins_behind(to: str) -> frozenset[str] | None:
        if to in others:
            return frozenset()
        named = admins.intersection(directory.known_as(to))
        return named if named or len(directory.found(admins)) == len(admins) else None

    return Escalation(
        [make_way(config, one, translate=translate, clock=clock) for one in config.fallbacks],
        letters,
        clock=clock,
        is_up=partial(is_up, transport),
        admins_behind=admins_behind,
        zone=config.bot.timezone,
    )
