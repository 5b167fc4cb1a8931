"""What the author of a bot gives to the plugin, as a configuration for the runtime: checked by the same rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from zoneinfo import ZoneInfo

from logmonitor.channel.apprise_url import check_urls
from logmonitor.command import build
from logmonitor.config import (
    BotConfig,
    ChatConfig,
    Config,
    Language,
    SecondChannelConfig,
    SecurityConfig,
    WatchConfig,
)
from logmonitor.configuration.binding import bind, parameters_of
from logmonitor.configuration.consistency import PROGRAM, Conflict, find_conflicts, own_files
from logmonitor.configuration.document import Document, Finding
from logmonitor.configuration.keys import (  # noqa: TC001  # read at run time
    Admins,
    File,
    FileOrFalse,
    Logs,
    MaxAge,
    Rooms,
    Rules,
    Text,
    TwinKey,
    Word,
    Zone,
)
from logmonitor.configuration.log_pattern import absolute, covers, resolved
from logmonitor.configuration.requirement import Known, askings, find_idle, find_unmet
from logmonitor.configuration.security import enrolled_in, passwords_of
from logmonitor.errors import ConfigurationError, LogMonitorError
from logmonitor.pattern import compile_pattern
from logmonitor.profile_folder import load_profiles
from logmonitor.sealing import Seal
from logmonitor.signing import parse_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from logmonitor.operation import Operation

_PLUGIN: Final = "WechatyLogMonitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """What the author gives about how commands are secured, and where that lasts, as `WechatyLogMonitor` takes it."""

    timezone: str | None = None
    store: str | Path | None = None
    audit: str | Path | Literal[False] | None = None
    key_file: str | Path | None = None
    key: str | None = field(default=None, repr=False)
    max_age: float | None = None
    rules: Mapping[str, Collection[str]] = field(default_factory=dict)
    second_channels: Mapping[str, str] = field(default_factory=dict, repr=False)


def make_configuration(
    operations: Sequence[Operation],
    *,
    watches: Sequence[WatchConfig],
    admins: Sequence[str],
    rooms: Sequence[str],
    self_log: str | Path | None,
    pid_file: str | Path | None,
    twin_key: str | None,
    require_signed: bool,
    bot_name: str,
    language: str,
    safety: Safety,
    folder: Path,
) -> Config:
    """Return the configuration of a plugin with these arguments; relative paths are taken from `folder`.

    What lasts lies beside `self_log` under its name, as `alice.db` beside `alice.log`, else in `folder`. A bot that an
    operation is about and no watch names is followed at `<name>.log`. The plugin's own admins alone are the chat's, who
    may run everything; those of an operation may run what is its own.

    Raises:
        ConfigurationError: something is wrong.
    """
    given = {
        "self_log": None if self_log is None else str(self_log),
        "pid_file": None if pid_file is None else str(pid_file),
        "bot_name": bot_name or (Path(self_log).stem if self_log else PROGRAM),
        "language": language,
        "rooms": _listed(rooms),
        "admins": _listed(admins) or None,
        "twin_key": twin_key,
        **_as_table(safety),
    }
    table = {key: value for key, value in given.items() if value is not None}
    own = _bound(_own, table, name=_PLUGIN, folder=folder)
    own_log = folder / Path(own["self_log"]).expanduser() if "self_log" in own else None
    stem = folder / PROGRAM if own_log is None else own_log
    bot = BotConfig(
        name=own["bot_name"],
        language=own["language"],
        timezone=ZoneInfo(own["timezone"]) if "timezone" in own else None,
        store=own.get("store", stem.with_suffix(".db")),
        self_log=own_log,
        pid_file=own.get("pid_file"),
        twin_key=parse_key(own["twin_key"]) if "twin_key" in own else None,
    )
    chat = ChatConfig(transport=_PLUGIN, admins=own.get("admins", ()), rooms=own["rooms"])
    all_watches = tuple(
        _anchored(watch, folder=folder, require_signed=require_signed)
        for watch in (*watches, *_implied(operations, watches))
    )
    _check_operations(operations, chat, folder=folder)
    if not all_watches:
        raise ConfigurationError(f"{_PLUGIN}: nothing is watched; expected an operation about a bot, or watches")
    security, channels = _security(own, stem), _channels(own.get("second_channels", {}))
    names = [operation.config.name or operation.name for operation in operations]
    _check_together(bot, security, all_watches, names)
    _check_rules(operations, bot, chat, security, channels)
    return Config(
        path=folder / _PLUGIN,
        bot=bot,
        chat=chat,
        watches=all_watches,
        security=security,
        second_channels=channels,
        secrets=(
            *(secret for secret in (own.get("twin_key"), security.key) if secret is not None),
            *(channel.url for channel in channels),
            *passwords_of([channel.url for channel in channels]),
        ),
    )


def _own(
    *,
    bot_name: Text,
    language: Language,
    rooms: Rooms,
    admins: Admins = (),
    self_log: Text | None = None,
    pid_file: File | None = None,
    twin_key: TwinKey | None = None,
    timezone: Zone | None = None,
    store: File | None = None,
    audit: FileOrFalse | None = None,
    key_file: File | None = None,
    key: Text | None = None,
    max_age: MaxAge = 60.0,
    rules: Rules | None = None,
    second_channels: dict[str, str] | None = None,
) -> None:
    """Say what may be given about the bot itself."""


def _told(*, admins: Admins) -> None:
    """Say whom an operation may tell."""


def _watched(*, name: Word, logs: Logs) -> None:
    """Say what may be given about a bot that is watched."""


def _listed(names: Sequence[str]) -> object:
    """Return names as a table holds them: one that stands alone is no list of its letters."""
    return names if isinstance(names, str) else list(names)


def _as_table(safety: Safety) -> dict[str, object]:
    """Return what is given as a table holds it: texts, numbers, lists."""
    return {
        "timezone": safety.timezone,
        "store": None if safety.store is None else str(safety.store),
        "audit": str(safety.audit) if isinstance(safety.audit, Path) else safety.audit,
        "key_file": None if safety.key_file is None else str(safety.key_file),
        "key": safety.key,
        "max_age": safety.max_age,
        "rules": {
            pattern: rules if isinstance(rules, str) else sorted(rules) for pattern, rules in safety.rules.items()
        },
        "second_channels": dict(safety.second_channels),
    }


def _security(own: Mapping[str, Any], stem: Path) -> SecurityConfig:
    audit = own.get("audit", stem.with_suffix(".audit.jsonl"))
    if "key" in own:
        try:
            Seal(own["key"].strip(), origin="key")
        except ConfigurationError as error:
            raise ConfigurationError(f"{_PLUGIN}: {error}") from None
    return SecurityConfig(
        audit=None if audit is False else audit,
        key_file=own.get("key_file", stem.with_suffix(".key")),
        key=own.get("key"),
        rules=tuple((pattern, frozenset(rules)) for pattern, rules in own.get("rules", {}).items()),
        **({"max_age": own["max_age"]} if "max_age" in own else {}),
    )


def _channels(urls: Mapping[str, str]) -> tuple[SecondChannelConfig, ...]:
    for admin, problem in zip(urls, check_urls(list(urls.values())), strict=True):
        if problem:
            raise ConfigurationError(f"{_PLUGIN}: second_channels {admin!r}: {problem}")
    return tuple(SecondChannelConfig(admin=admin, url=url) for admin, url in urls.items())


def _bound(function: Callable[..., object], table: Mapping[str, object], *, name: str, folder: Path) -> dict[str, Any]:
    document = Document(name=name, written=table, values=table)
    values, findings = bind(table, parameters_of(function), location=(), document=document, folder=folder)
    if findings:
        raise document.error(findings)
    return values


def _implied(operations: Iterable[Operation], watches: Iterable[WatchConfig]) -> tuple[WatchConfig, ...]:
    """Return the bots that operations are about and no watch names, each followed at the log that bears its name."""
    known = {watch.name for watch in watches}
    names = dict.fromkeys(one.config.watch for one in operations if one.config.watch is not None)
    return tuple(WatchConfig(name=name, logs=(f"{name}.log",)) for name in names if name not in known)


def _anchored(watch: WatchConfig, *, folder: Path, require_signed: bool) -> WatchConfig:
    table = {"name": watch.name, "logs": [str(log) for log in watch.logs]}
    values = _bound(_watched, table, name=f"{_PLUGIN}: watch {watch.name!r}", folder=folder)
    return replace(
        watch,
        logs=tuple(absolute(log, folder=folder) for log in values["logs"]),
        require_signed=watch.require_signed or require_signed,
    )


def _check_operations(operations: Sequence[Operation], chat: ChatConfig, *, folder: Path) -> None:
    """Refuse operations that cannot stand side by side, or that would tell nobody anything."""
    if not operations:
        raise ConfigurationError(f"{_PLUGIN}: nothing to do; expected at least one operation")
    try:
        build(operations)
        for operation in operations:
            for pattern in operation.patterns:
                compile_pattern(pattern)
    except LogMonitorError as error:
        raise ConfigurationError(f"{_PLUGIN}: {error}") from error
    for operation in operations:
        name = operation.config.name or operation.name
        admins = chat.admins if operation.config.admins is None else operation.config.admins
        _bound(_told, {"admins": _listed(admins)}, name=f"{_PLUGIN}: operation {name!r}", folder=folder)


def _check_together(
    bot: BotConfig, security: SecurityConfig, watches: Sequence[WatchConfig], operations: Sequence[str]
) -> None:
    """Refuse what cannot stand side by side, all of it in one error."""
    conflicts = find_conflicts(
        bot,
        watches,
        operations,
        profiles=load_profiles(),
        files=own_files(bot, security),
        covers=covers,
        resolved=resolved,
    )
    if conflicts:
        raise ConfigurationError("\n".join(_sentence(one, bot, security, watches, operations) for one in conflicts))


def _check_rules(
    operations: Sequence[Operation],
    bot: BotConfig,
    chat: ChatConfig,
    security: SecurityConfig,
    channels: Sequence[SecondChannelConfig],
) -> None:
    """Refuse rules for no command, and what commands ask for that none of their admins has, all in one error."""
    commands = askings(operations, chat.admins)
    known = Known(
        names=frozenset(name for one in commands for name in one.admins),
        enrolled=None if bot.store is None else enrolled_in(bot.store, commands, security),
        channels=frozenset(channel.admin for channel in channels),
    )
    idle = find_idle([pattern for pattern, _ in security.rules], commands)
    sentences = [f"{_PLUGIN}: rules {pattern!r}: {text}" for pattern, text in idle]
    for unmet in find_unmet(commands, security.rules, known):
        place = f"operation {unmet.operation!r}" if unmet.pattern is None else f"rules {unmet.pattern!r}"
        sentences.append(f"{_PLUGIN}: {place}: {unmet.text}")
    if sentences:
        raise ConfigurationError("\n".join(sentences))


def _sentence(
    conflict: Conflict,
    bot: BotConfig,
    security: SecurityConfig,
    watches: Sequence[WatchConfig],
    operations: Sequence[str],
) -> str:
    """Return what is wrong as a line: whose argument, its value and what was expected."""
    key, name = conflict.field, _PLUGIN
    match conflict.record:
        case "bot":
            key = "bot_name" if key == "name" else key
            value = getattr(bot, conflict.field)
        case "security":
            value = getattr(security, key)
        case "watch":
            watch = watches[conflict.index]
            value = getattr(watch, key)
            name += f": watch {watch.name!r}"
        case _:
            value = operations[conflict.index]
            name += f": operation {value!r}"
    shown = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
    document = Document(name=name, written={key: shown}, values={})
    return document.sentence(Finding(location=(key,), text=conflict.text))
