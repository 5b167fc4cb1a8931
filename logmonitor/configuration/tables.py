"""The tables of a configuration: each read into its record, and what is wrong in one or between them found."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from logmonitor.command import build
from logmonitor.configuration.binding import parameters_of
from logmonitor.configuration.consistency import OwnFile, find_conflicts, own_files
from logmonitor.configuration.document import Location, expected
from logmonitor.configuration.factory import find_operation, find_transport, make_operation, make_transport
from logmonitor.configuration.fallback import read_fallbacks
from logmonitor.configuration.keys import Admins, Archives, File, Logs, Rooms, Text, TwinKey, Word, Zone  # noqa: TC001  # the same
from logmonitor.configuration.log_pattern import absolute, covers, resolved
from logmonitor.configuration.record import BotConfig, BrokenOperation, ChatConfig, OperationEntry, WatchConfig
from logmonitor.configuration.rescue import read_rescue
from logmonitor.configuration.security import check_rules, read_second_channels, read_security
from logmonitor.configuration.taking import take_factory
from logmonitor.display import visible
from logmonitor.errors import BrokenCodeError, OperationError, PatternError, ProfileError
from logmonitor.language import LANGUAGES
from logmonitor.operation import Operation, OperationConfig
from logmonitor.pattern import compile_pattern
from logmonitor.profile import AUTO
from logmonitor.profile_folder import load_profiles
from logmonitor.signing import parse_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from logmonitor.configuration.finder import Finder
    from logmonitor.configuration.record import FallbackConfig, RescueConfig, SecondChannelConfig, SecurityConfig

_RUNNING: Final = (
    ("watch",),
    ("second_channel",),
    ("fallback",),
    ("rescue",),
    *(("bot", key) for key in ("self_log", "pid_file", "profiles", "twin_key")),
)
"""What only a running bot needs, besides what is its chat's own."""

_KEYS: Final = {"logs": "log"}
"""The fields of records whose key has another name."""

_LONGEST_REASON: Final = 300


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise ValueError(f"unknown language; {expected(text, LANGUAGES)}")
    return text


Language = Annotated[str, AfterValidator(_language)]


def _bot(
    *,
    name: Text,
    language: Language = "en",
    timezone: Zone | None = None,
    store: File | None = None,
    self_log: Path | None = None,
    pid_file: File | None = None,
    profiles: Path | None = None,
    twin_key: TwinKey | None = None,
) -> BotConfig:
    return BotConfig(
        name=name,
        language=language,
        timezone=None if timezone is None else ZoneInfo(timezone),
        store=store,
        self_log=self_log,
        pid_file=pid_file,
        profiles=profiles,
        twin_key=None if twin_key is None else parse_key(twin_key),
    )


def _chat(*, transport: Text, admins: Admins, rooms: Rooms = ()) -> ChatConfig:
    return ChatConfig(transport=transport, admins=admins, rooms=rooms)


def _watch(
    *,
    name: Word,
    log: Logs,
    archive: Archives = (),
    profile: Text = AUTO,
    timezone: Zone | None = None,
    qr_file: Path | None = None,
    require_signed: bool = False,
) -> WatchConfig:
    return WatchConfig(
        name=name,
        logs=(log,) if isinstance(log, str) else log,
        archives=(archive,) if isinstance(archive, Path) else archive,
        profile=profile,
        timezone=None if timezone is None else ZoneInfo(timezone),
        qr_file=qr_file,
        require_signed=require_signed,
    )


def _operation(
    *, use: Text, name: Word | None = None, watch: str | None = None, admins: Admins | None = None
) -> OperationEntry:
    config = OperationConfig(name=name or use.rpartition(":")[2].rpartition(".")[2], watch=watch, admins=admins)
    return OperationEntry(use=use, config=config)


def _made(factory: Callable[..., object], entry: OperationEntry) -> Operation:
    """Make an operation.

    Raises:
        ConfigurationError: it refuses its parameters.
        BrokenCodeError: its code fails, or asks for what cannot be and nothing in the configuration has a part in.
    """
    operation = make_operation(factory, entry.config, entry.parameters)
    if not entry.parameters:
        try:
            for pattern in operation.patterns:
                compile_pattern(pattern)
            build((operation,))
        except (PatternError, OperationError) as error:
            raise BrokenCodeError(*error.args) from error
    return operation


def is_lasting(location: Location) -> bool:
    """Tell whether what stands there matters to who works on what lasts, and does not run the bot."""
    table, *keys = location
    is_chats_own = table == "chat" and keys and keys[0] not in {one.name for one in parameters_of(_chat)}
    return not is_chats_own and location[:1] not in _RUNNING and location[:2] not in _RUNNING


class Reading:
    """One reading of a document, whose findings gather in a finder.

    The tables are read in the order of the methods; `check` comes last. With `is_running` False the document is the
    part of one that lasts: no chat is tried. `broken` are the operations whose code fails: they are left out, and what
    is wrong with them is no finding.
    """

    def __init__(self, finder: Finder, *, is_running: bool = True) -> None:
        """Begin with the finder's document."""
        self._finder = finder
        self._is_running = is_running
        self._bot: BotConfig | None = None
        self._watches: dict[Location, WatchConfig] = {}
        self._operations: dict[Location, str] = {}
        self._made: dict[Location, Operation] = {}
        self.broken: tuple[BrokenOperation, ...] = ()
        self._chat: ChatConfig | None = None
        self._security: SecurityConfig | None = None
        self._rescue: RescueConfig | None = None

    def bot(self) -> BotConfig | None:
        """Read `[bot]`."""
        table = self._finder.single("bot")
        if table is not None:
            values = self._finder.bound(table, ("bot",), parameters_of(_bot))
            self._bot = None if values is None else _bot(**{"store": self._finder.path.with_suffix(".db")} | values)
        return self._bot

    def chat(self) -> ChatConfig | None:
        """Read `[chat]` and try its transport."""
        table = self._finder.single("chat")
        if table is None:
            return None
        general = parameters_of(_chat)
        if not self._is_running:
            values = self._finder.bound(table, ("chat",), general)
            self._chat = None if values is None else _chat(**values)
            return self._chat
        factory, own = take_factory(self._finder, table, ("chat", "transport"), find_transport, general, positional=0)
        given = {"bot": self._bot.name, "language": self._bot.language} if self._bot is not None else {}
        given = {one.name: given[one.name] for one in own if one.name in given and one.name not in table}
        own = tuple(replace(one, is_required=False) if one.name in given else one for one in own)
        values = self._finder.bound(table, ("chat",), (*general, *own), is_open=factory is None)
        if values is None or factory is None:
            return None
        parameters = given | {one.name: values.pop(one.name) for one in own if one.name in values}
        self._finder.attempt(lambda: make_transport(factory, parameters), ("chat", "transport"))
        self._chat = replace(_chat(**values), parameters=parameters)
        return self._chat

    def watches(self) -> tuple[WatchConfig, ...]:
        """Read every `[[watch]]`."""
        for location, table in self._finder.many("watch"):
            values = self._finder.bound(table, location, parameters_of(_watch))
            if values is not None:
                watch = _watch(**values)
                self._watches[location] = replace(
                    watch, logs=tuple(absolute(log, folder=self._finder.folder) for log in watch.logs)
                )
        return tuple(self._watches.values())

    def operations(self) -> tuple[OperationEntry, ...]:
        """Read every `[[operation]]` and try its factory."""
        entries = [self._operation(location, table) for location, table in self._finder.many("operation")]
        return tuple(entry for entry in entries if entry is not None)

    def security(self) -> SecurityConfig | None:
        """Read `[security]`."""
        self._security = read_security(self._finder)
        return self._security

    def second_channels(self) -> tuple[SecondChannelConfig, ...]:
        """Read every `[[second_channel]]`."""
        return read_second_channels(self._finder, self._admins())

    def fallbacks(self) -> tuple[FallbackConfig, ...]:
        """Read every `[[fallback]]` and try their transports."""
        return read_fallbacks(self._finder, self._bot, self._admins()) if self._is_running else ()

    def rescue(self) -> RescueConfig | None:
        """Read `[rescue]`."""
        self._rescue = read_rescue(self._finder)
        return self._rescue

    def check(self) -> None:
        """Find what is wrong between the tables."""
        self._finder.find_unknown()
        if not self._is_running:
            return
        self._finder.find_idleness()
        self._check_records(self._profiles())
        is_whole = len(self._made) + len(self.broken) == len(self._finder.many("operation", again=True))
        if is_whole and self._chat is not None and self._security is not None:
            check_rules(
                self._finder,
                self._made,
                is_complete=not self.broken,
                admins=self._chat.admins,
                security=self._security,
                channels=self._channel_admins(),
                store=None if self._bot is None else self._bot.store,
            )

    def _admins(self) -> frozenset[str]:
        """Return whom the configuration names as admins."""
        own = {name for operation in self._made.values() for name in operation.config.admins or ()}
        return frozenset(own.union(() if self._chat is None else self._chat.admins))

    def _channel_admins(self) -> frozenset[str]:
        """Return to whom a second channel leads, also where its URL is wrong or could not be had, which is told."""
        tables = self._finder.many("second_channel", again=True)
        return frozenset(admin for _, table in tables if isinstance(admin := table.get("admin"), str))

    def _operation(self, location: Location, table: Mapping[str, object]) -> OperationEntry | None:
        general = parameters_of(_operation)
        faults: list[BrokenCodeError] = []
        factory, own = take_factory(
            self._finder, table, (*location, "use"), find_operation, general, positional=1, on_broken=faults.append
        )
        values = self._finder.bound(table, location, (*general, *own), is_open=factory is None)
        if self._is_running:
            self._check_watch(location, table)
        if values is None or (factory is None and not faults):
            return None
        parameters = {one.name: values.pop(one.name) for one in own if one.name in values}
        entry = _operation(**values)
        if self._bot is not None:
            config = replace(entry.config, language=self._bot.language, timezone=self._bot.timezone)
            entry = replace(entry, config=config)
        entry = replace(entry, parameters=parameters)
        if factory is not None:
            self._operations[location] = entry.config.name
            operation = self._finder.attempt(
                partial(_made, factory, entry),
                (*location, "use"),
                on_broken=faults.append,
            )
            if operation is not None:
                self._check_operation(location, operation)
        if not faults:
            return entry
        reason = visible(self._finder.document.scrub(str(faults[0])), one_line=True)
        if len(reason) > _LONGEST_REASON:
            reason = f"{reason[: _LONGEST_REASON - 1]}…"
        self.broken = (*self.broken, BrokenOperation(use=entry.use, name=entry.config.name, reason=reason))
        return None

    def _check_operation(self, location: Location, operation: Operation) -> None:
        """Find a pattern that no engine takes, and what cannot stand beside the operations before."""
        try:
            for pattern in operation.patterns:
                compile_pattern(pattern)
            build((*self._made.values(), operation))
        except PatternError as error:
            self._finder.refuse(location, error)
        except OperationError as error:
            self._finder.find(location, self._finder.document.scrub(str(error)))
        else:
            self._made[location] = operation

    def _check_watch(self, location: Location, table: Mapping[str, object]) -> None:
        """Find an operation about a bot that is not watched."""
        watch = table.get("watch")
        names = [one["name"] for _, one in self._finder.many("watch", again=True) if isinstance(one.get("name"), str)]
        if isinstance(watch, str) and watch not in names and not self._finder.document.is_unset((*location, "watch")):
            hint = expected(watch, map(str, names)) if names else "expected a [[watch]] of that name"
            self._finder.find(
                (*location, "watch"), f"nothing of that name is watched; {self._finder.document.scrub(hint)}"
            )

    def _check_records(self, profiles: Collection[str] | None) -> None:
        """Find what cannot stand side by side, each at its place."""
        places: dict[str, list[Location]]
        places = {
            "bot": [("bot",)],
            "security": [("security",)],
            "rescue": [("rescue",)],
            "watch": [*self._watches],
            "operation": [*self._operations],
        }
        conflicts = find_conflicts(
            self._bot_as_known(),
            tuple(self._watches.values()),
            tuple(self._operations.values()),
            profiles=profiles,
            files=self._files(),
            covers=covers,
            resolved=resolved,
        )
        for one in conflicts:
            key = _KEYS.get(one.field, one.field)
            self._finder.find((*places[one.record][one.index], key), self._finder.document.scrub(one.text))

    def _files(self) -> tuple[OwnFile, ...]:
        """Return this bot's own files, those that the document names behind those that it does not."""

        def is_named(file: OwnFile) -> bool:
            table = self._finder.document.written.get(str(file.record))
            return isinstance(table, dict) and file.field in table

        configuration = OwnFile(record=None, field="", path=self._finder.path)
        return configuration, *sorted(own_files(self._bot, self._security, self._rescue), key=is_named)

    def _bot_as_known(self) -> BotConfig | None:
        """Return the bot; where its table is wrong, one without anything, unless it has a key that cannot be read."""
        table = self._finder.document.values.get("bot")
        has_key = isinstance(table, dict) and "twin_key" in table
        return self._bot or (None if has_key else BotConfig(name=""))

    def _profiles(self) -> Collection[str] | None:
        """Return the names of all profiles; None, and a finding, where they cannot be read."""
        folder = None if self._bot is None else self._bot.profiles
        place = () if folder is None else ("bot", "profiles")
        if folder is not None and not folder.is_dir():
            self._finder.find(place, "there is no such folder; expected one with profiles in it")
            return None
        try:
            return load_profiles(*(() if folder is None else (folder,)))
        except ProfileError as error:
            self._finder.refuse(place, error)
            return None
