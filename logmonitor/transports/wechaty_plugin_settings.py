"""What the author of a bot gives to the plugin, as a configuration for the runtime: checked by the same rules."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logmonitor.command import build
from logmonitor.config import BotConfig, ChatConfig, Config, Language, WatchConfig
from logmonitor.configuration.binding import bind, parameters_of
from logmonitor.configuration.document import Document
from logmonitor.configuration.keys import Admins, Logs, Rooms, Text, TwinKey, Word, is_word
from logmonitor.configuration.log_pattern import absolute, covers
from logmonitor.errors import ConfigurationError, LogMonitorError
from logmonitor.pattern import compile_pattern
from logmonitor.profile import AUTO
from logmonitor.profile_folder import load_profile
from logmonitor.signing import parse_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logmonitor.operation import Operation

_PLUGIN: Final = "WechatyLogMonitor"
_PROGRAM: Final = "logmonitor"


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
        "bot_name": bot_name or (Path(self_log).stem if self_log else _PROGRAM),
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
    _check_names(bot, all_watches)
    for watch in all_watches:
        _check_watch(watch, bot)
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
        if name == _PROGRAM:
            raise ConfigurationError(f"{_PLUGIN}: an operation has the program's own name {name!r}; expected another")
        admins = chat.admins if operation.config.admins is None else operation.config.admins
        _bound(_told, {"admins": _listed(admins)}, name=f"{_PLUGIN}: operation {name!r}", folder=folder)


def _check_names(bot: BotConfig, watches: Sequence[WatchConfig]) -> None:
    """Refuse bots that could not be told apart, and a name that its twin could not give to a watch."""
    if not watches:
        raise ConfigurationError(f"{_PLUGIN}: nothing is watched; expected an operation about a bot, or watches")
    names = [_folded(watch.name) for watch in watches]
    twice = next((watch.name for watch in watches if names.count(_folded(watch.name)) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{_PLUGIN}: two watches have the name {twice!r}; expected a name of its own for each")
    if bot.twin_key is not None and bot.self_log is not None and not is_word(bot.name):
        raise ConfigurationError(
            f"{_PLUGIN}: bot_name = {bot.name!r}: with twin_key its lines are signed under this name, which its twin's"
            " watch has to carry; expected one word of letters, digits, '-' and '_'"
        )


def _check_watch(watch: WatchConfig, bot: BotConfig) -> None:
    where = f"{_PLUGIN}: watch {watch.name!r}"
    if bot.self_log is not None and any(covers(log, bot.self_log) for log in watch.logs):
        raise ConfigurationError(f"{where}: this bot writes there itself (self_log); expected another bot's log")
    if watch.require_signed and bot.twin_key is None:
        raise ConfigurationError(f"{where}: no signature holds without twin_key; expected the one this bot signs with")
    if bot.twin_key is not None and _folded(bot.name) == _folded(watch.name):
        raise ConfigurationError(f"{where}: twins with one key need two names, and bot_name is the same")
    if watch.profile != AUTO:
        try:
            load_profile(watch.profile)
        except LogMonitorError as error:
            raise ConfigurationError(f"{where}: {error}") from error


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
