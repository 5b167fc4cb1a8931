"""`[security]` and `[[second_channel]]`: read into their records, and held against commands and what the store says."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from logmonitor.channel.apprise_url import check_urls
from logmonitor.configuration.binding import parameters_of
from logmonitor.configuration.keys import File, FileOrFalse, MaxAge, Rules, Text  # noqa: TC001  # read at run time
from logmonitor.configuration.record import SecondChannelConfig, SecurityConfig
from logmonitor.configuration.requirement import Known, askings, find_idle, find_unmet
from logmonitor.errors import StoreError
from logmonitor.operation import SecurityRule
from logmonitor.sealing import Seal
from logmonitor.store import read_enrolled, set_aside_before

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from logmonitor.configuration.document import Location
    from logmonitor.configuration.finder import Finder
    from logmonitor.configuration.requirement import Asking
    from logmonitor.operation import Operation

_SHORTEST_SECRET: Final = 4


def _security(
    *,
    audit: FileOrFalse | None = None,
    key_file: File | None = None,
    key: Text | None = None,
    max_age: MaxAge = 60.0,
    rules: Rules | None = None,
) -> None:
    """Say what may stand in `[security]`."""


def _second_channel(*, admin: Text, url: Text) -> SecondChannelConfig:
    return SecondChannelConfig(admin=admin, url=url)


def read_security(finder: Finder) -> SecurityConfig | None:
    """Read `[security]`; what it does not name lies beside the configuration, under its name."""
    table = finder.single("security", is_required=False)
    values = finder.bound(table or {}, ("security",), parameters_of(_security))
    if values is None:
        return None
    key = values.get("key")
    if key is not None:
        finder.attempt(lambda: Seal(key.strip(), origin="it"), ("security", "key"))
    audit = values.get("audit", finder.path.with_suffix(".audit.jsonl"))
    rules = {pattern: frozenset(added) for pattern, added in values.get("rules", {}).items()}
    return SecurityConfig(
        audit=None if audit is False else audit,
        key_file=values.get("key_file", finder.path.with_suffix(".key")),
        key=key,
        rules=tuple(rules.items()),
        **({"max_age": values["max_age"]} if "max_age" in values else {}),
    )


def read_second_channels(finder: Finder, names: Collection[str]) -> tuple[SecondChannelConfig, ...]:
    """Read every `[[second_channel]]`; `names` are the admins that the configuration names."""
    channels: dict[Location, SecondChannelConfig] = {}
    for location, table in finder.many("second_channel"):
        values = finder.bound(table, location, parameters_of(_second_channel))
        if values is None:
            continue
        channel = _second_channel(**values)
        alike = [name for name in names if name.casefold() == channel.admin.casefold()]
        if any(channel.admin == other.admin for other in channels.values()):
            finder.find((*location, "admin"), "has another second channel; expected one for each")
        elif alike and channel.admin not in alike:
            hint = finder.document.scrub(repr(alike[0]))
            finder.find((*location, "admin"), f"is no admin of this configuration; did you mean {hint}?")
        channels[location] = channel
    urls = [channel.url for channel in channels.values()]
    problems = finder.attempt(lambda: check_urls(urls), ("second_channel",)) or ()
    for location, problem in zip(channels, problems, strict=False):
        if problem:
            finder.find((*location, "url"), problem)
    return tuple(channels.values())


def check_rules(
    finder: Finder,
    operations: Mapping[Location, Operation],
    *,
    is_complete: bool,
    admins: Sequence[str],
    security: SecurityConfig,
    channels: frozenset[str],
    store: Path | None,
) -> None:
    """Find rules for no command, and what commands ask for that none of their admins has.

    Where the operations are not complete, a rule may be for a command of one that is left out. `channels` are the
    names and ids that a second channel leads to. Nobody's enrolment is looked for without a
    `store`. One that cannot be read is no finding here: it is told, and permits nothing, once the program runs, which
    goes on rescuing.
    """
    commands = askings(tuple(operations.values()), admins)
    for pattern, text in find_idle([pattern for pattern, _ in security.rules if is_complete], commands):
        finder.find(("security", "rules", pattern), finder.document.scrub(text), shows_value=False)
    places = {operation.config.name or operation.name: location for location, operation in operations.items()}
    known = Known(
        names=frozenset(name for one in commands for name in one.admins),
        enrolled=None if store is None else enrolled_in(store, commands, security),
        channels=channels,
    )
    for unmet in find_unmet(commands, security.rules, known, config=str(finder.document.name)):
        place = places[unmet.operation] if unmet.pattern is None else ("security", "rules", unmet.pattern)
        finder.find(place, finder.document.scrub(unmet.text))


def enrolled_in(store: Path, commands: Sequence[Asking], security: SecurityConfig) -> frozenset[str] | None:
    """Return who is enrolled in the store at that path; None where that cannot be said, or where nothing asks for it.

    A store that took the place of a damaged one knows nobody, and that must not end the rescue at the next start.
    """
    if not any(
        SecurityRule.TOTP in rules for rules in (*(one.own for one in commands), *dict(security.rules).values())
    ):
        return None
    try:
        enrolled = read_enrolled(store)
    except StoreError:
        return None
    return None if not enrolled and set_aside_before(store) else enrolled


def passwords_of(urls: Iterable[str]) -> tuple[str, ...]:
    """Return the passwords in URLs, which are as secret without the rest of them."""
    found = []
    for url in urls:
        with suppress(ValueError):  # what Apprise takes need not be a URL to others
            found.append(unquote(urlsplit(url).password or ""))
    return tuple(one for one in found if len(one) >= _SHORTEST_SECRET)
