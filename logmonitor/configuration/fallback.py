"""`[[fallback]]`: the channels that are tried, in order, where the chat does not take what is urgent."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from logmonitor.channel.apprise_url import look_at, service_of
from logmonitor.configuration.binding import Parameter, parameters_of
from logmonitor.configuration.document import suggestion
from logmonitor.configuration.factory import TRANSPORTS, find_transport, make_transport
from logmonitor.configuration.keys import Admins, After, Rooms, Text, Word  # noqa: TC001  # read at run time
from logmonitor.configuration.record import FallbackConfig
from logmonitor.configuration.taking import take_factory

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from logmonitor.configuration.document import Location
    from logmonitor.configuration.finder import Finder
    from logmonitor.configuration.record import BotConfig

_TABLE: Final = "fallback"
_KINDS: Final = ("url", "transport")
_OF_URLS: Final = ("to",)
"""What has no meaning beside an Apprise URL, which says itself where it leads."""

_BUDGETS: Final = ("per_period", "per_inbound")
"""What a chat may be sent is counted for the one in `[chat]`; a fallback has only what is urgent."""


def _fallback(
    *,
    name: Word | None = None,
    after: After = 60.0,
    admins: Admins | None = None,
    url: Text | None = None,
    transport: Text | None = None,
    to: Rooms = (),
) -> FallbackConfig:
    own = service_of(url) if url is not None else (transport or "").rpartition(":")[2].rpartition(".")[2]
    return FallbackConfig(name=name or own, after=after, admins=admins, url=url, transport=transport, to=to)


def read_fallbacks(finder: Finder, bot: BotConfig | None, names: Collection[str]) -> tuple[FallbackConfig, ...]:
    """Read every `[[fallback]]`, in order; `names` are the admins that the configuration names."""
    found: dict[Location, FallbackConfig] = {}
    for location, table in finder.many(_TABLE):
        one = _read(finder, location, table, bot)
        if one is not None:
            found[location] = one
            _check_admins(finder, location, one, names)
    _check_names(finder, found)
    return tuple(_looked_at(finder, found).values())


def _read(
    finder: Finder, location: Location, table: Mapping[str, object], bot: BotConfig | None
) -> FallbackConfig | None:
    """Read one, and try its transport."""
    general = parameters_of(_fallback)
    given = [kind for kind in _KINDS if kind in table]
    if len(given) != 1:
        which = "has both url and transport" if given else "has neither url nor transport"
        text = f"{which}; expected one: an Apprise URL, or a chat such as 'wechaty' with its keys"
        finder.find(location, text, shows_value=False)
        return None
    if given == ["url"]:
        known = [one for one in general if one.name not in _OF_URLS]
        values = finder.bound(table, location, known)
        return None if values is None else _fallback(**values)
    place = (*location, "transport")
    if not _may_be_fallback(finder, table, place):
        return None
    factory, own = take_factory(finder, table, place, find_transport, general, positional=0)
    told = {} if bot is None else {"bot": bot.name, "language": bot.language}
    told = {one.name: told[one.name] for one in own if one.name in told and one.name not in table}
    own = tuple(replace(one, is_required=False) if one.name in told else one for one in own)
    values = finder.bound(table, location, (*_needing_to(general), *own), is_open=factory is None)
    if values is None or factory is None:
        return None
    parameters: dict[str, Any] = told | {one.name: values.pop(one.name) for one in own if one.name in values}
    if finder.attempt(lambda: make_transport(factory, parameters), place) is None:
        return None
    for key in parameters.keys() & set(_BUDGETS):
        finder.find((*location, key), "is for [chat] alone: a fallback has only what is urgent; leave it out")
    return replace(_fallback(**values), parameters=parameters)


def _may_be_fallback(finder: Finder, table: Mapping[str, object], place: Location) -> bool:
    """Find a chat that is this terminal, which is no other channel."""
    known = TRANSPORTS.get(str(table.get("transport")))
    if known is not None and not known.connects:
        others = ", ".join(repr(name) for name, one in TRANSPORTS.items() if one.connects)
        finder.find(place, f"is this program's own terminal; expected {others} or package.module:Class")
        return False
    return True


def _needing_to(general: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return the keys as they are beside a transport, which has to be told whom it leads to."""
    return tuple(replace(one, is_required=one.is_required or one.name == "to") for one in general if one.name != "url")


def _check_admins(finder: Finder, location: Location, one: FallbackConfig, names: Collection[str]) -> None:
    """Find whose messages there will never be any of."""
    for admin in one.admins or ():
        if names and admin not in names:
            meant = suggestion(admin, names)
            hint = f"did you mean {meant!r}?" if meant else "expected one of the admins, as [chat] names them"
            finder.find(
                (*location, "admins"), f"{admin!r} is no admin of this configuration; {finder.document.scrub(hint)}"
            )
    if one.transport is not None and not one.to:
        finder.find((*location, "to"), "expected at least one, as that chat knows them: an id, number or alias")


def _check_names(finder: Finder, found: dict[Location, FallbackConfig]) -> None:
    """Find two that were given one name; those that were given none are numbered."""
    counts: Counter[str] = Counter()
    given = {location for location, table in finder.many(_TABLE, again=True) if "name" in table}
    taken = {found[location].name.casefold() for location in found if location in given}
    seen: set[str] = set()
    for location, one in found.items():
        folded = one.name.casefold()
        if location in given:
            if folded in seen:
                finder.find((*location, "name"), "is the name of another fallback; expected one of its own")
            seen.add(folded)
            continue
        name = one.name
        while folded in taken:
            counts[one.name] += 1
            name = f"{one.name}-{counts[one.name] + 1}"
            folded = name.casefold()
        taken.add(folded)
        found[location] = replace(one, name=name)


def _looked_at(finder: Finder, found: dict[Location, FallbackConfig]) -> dict[Location, FallbackConfig]:
    """Have Apprise look at its URLs, all at once since each look starts a process."""
    urls = {location: one.url for location, one in found.items() if one.url is not None}
    looks = finder.attempt(lambda: look_at(list(urls.values())), (_TABLE,)) or ()
    for location, look in zip(urls, looks, strict=False):
        if look.problem:
            finder.find((*location, "url"), look.problem)
        found[location] = replace(found[location], carries_files=look.carries_files)
    return found
