"""What the author of a bot gives to the plugin, as a configuration for the runtime: checked by the same rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logmonitor.command import build
from logmonitor.config import BotConfig, ChatConfig, Config, Language, WatchConfig
from logmonitor.configuration.binding import bind, parameters_of
from logmonitor.configuration.consistency import PROGRAM, Conflict, find_conflicts
from logmonitor.configuration.document import Document, Finding
from logmonitor.configuration.keys import Admins, Logs, Rooms, Text, TwinKey, Word  # noqa: TC001  # read at run time
from logmonitor.configuration.log_pattern import absolute, covers
from logmonitor.errors import ConfigurationError, LogMonitorError
from logmonitor.pattern import compile_pattern
from logmonitor.profile_folder import load_profiles
from logmonitor.signing import parse_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logmonitor.operation import Operation

_PLUGIN: Final = "WechatyLogMonitor"


def make_configuration(
    operations: Sequence[Operation],
    *,
    watches: Sequence[WatchConfig],
    admins: Sequence[str],
    rooms: Sequence[str],
    self_log: str | Path | None,
    twin_key: str | None,
    require_signed: bool,
    bot_name: str,
    language: str,
    folder: Path,
) -> Config:
    """Return the configuration of a plugin with these arguments; relative paths are taken from `folder`.

    A bot that an operation is about and no watch names is followed at `<name>.log`. The plugin's own admins alone are
    the chat's, who may run everything; those of an operation may run what is its own.

    Raises:
        ConfigurationError: something is wrong.
    """
    given = {
        "self_log": None if self_log is None else str(self_log),
        "bot_name": bot_name or (Path(self_log).stem if self_log else PROGRAM),
        "language": language,
        "rooms": _listed(rooms),
        "admins": _listed(admins) or None,
        "twin_key": twin_key,
    }
    table = {key: value for key, value in given.items() if value is not None}
    own = _bound(_own, table, name=_PLUGIN, folder=folder)
    bot = BotConfig(
        name=own["bot_name"],
        language=own["language"],
        self_log=folder / Path(own["self_log"]).expanduser() if "self_log" in own else None,
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
    _check_together(bot, all_watches, [operation.config.name or operation.name for operation in operations])
    return Config(path=folder / _PLUGIN, bot=bot, chat=chat, watches=all_watches)


def _own(
    *,
    bot_name: Text,
    language: Language,
    rooms: Rooms,
    admins: Admins = (),
    self_log: Text | None = None,
    twin_key: TwinKey | None = None,
) -> None:
    """Say what may be given about the bot itself."""


def _told(*, admins: Admins) -> None:
    """Say whom an operation may tell."""


def _watched(*, name: Word, logs: Logs) -> None:
    """Say what may be given about a bot that is watched."""


def _listed(names: Sequence[str]) -> object:
    """Return names as a table holds them: one that stands alone is no list of its letters."""
    return names if isinstance(names, str) else list(names)


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


def _check_together(bot: BotConfig, watches: Sequence[WatchConfig], operations: Sequence[str]) -> None:
    """Refuse what cannot stand side by side, all of it in one error."""
    conflicts = find_conflicts(bot, watches, operations, profiles=load_profiles(), covers=covers)
    if conflicts:
        raise ConfigurationError("\n".join(_sentence(one, bot, watches, operations) for one in conflicts))


def _sentence(conflict: Conflict, bot: BotConfig, watches: Sequence[WatchConfig], operations: Sequence[str]) -> str:
    """Return what is wrong as a line: whose argument, its value and what was expected."""
    key, name = conflict.field, _PLUGIN
    match conflict.record:
        case "bot":
            key = f"bot_{key}"
            value = getattr(bot, conflict.field)
        case "watch":
            watch = watches[conflict.index]
            value = getattr(watch, key)
            name += f": watch {watch.name!r}"
        case _:
            value = operations[conflict.index]
            name += f": operation {value!r}"
    document = Document(name=name, written={key: list(value) if isinstance(value, tuple) else value}, values={})
    return document.sentence(Finding(location=(key,), text=conflict.text))
