"""A configuration: TOML and the environment turned into records, checked as a whole before anything starts.

Nobody else reads either. Every finding is told at once, each with file, key, value and what was expected.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from logmonitor.command import build
from logmonitor.configuration.binding import Parameter, bind, parameters_of
from logmonitor.configuration.document import Document, Finding, Location, alternatives, expected, parse, suggestion
from logmonitor.configuration.factory import find_operation, find_transport, make_operation, make_transport
from logmonitor.configuration.keys import Admins, Logs, Rooms, Text, TwinKey, Word, Zone, is_word
from logmonitor.configuration.log_pattern import absolute, covers
from logmonitor.errors import (
    ConfigurationError,
    LogMonitorError,
    OperationError,
    PatternError,
    ProfileError,
    RefusedPatternError,
)
from logmonitor.language import LANGUAGES
from logmonitor.operation import Operation, OperationConfig
from logmonitor.pattern import compile_pattern
from logmonitor.profile import AUTO
from logmonitor.profile_folder import load_profiles
from logmonitor.signing import parse_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from logmonitor.transport import Transport

_LIMIT_BYTES: Final = 1 << 20
_SINGLE: Final = ("bot", "chat")
_MANY: Final = ("watch", "operation")
_TABLES: Final = (*_SINGLE, *_MANY)
_FORMS: Final = {name: f"[{name}]" for name in _SINGLE} | {name: f"[[{name}]]" for name in _MANY}
_ALL_FORMS: Final = alternatives(_FORMS.values())
_RUNTIME: Final = "logmonitor"
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfig:
    """This bot: its name, its language, where it writes its own session lines, where the user's profiles are.

    `twin_key` signs these lines, and verifies those of the bots that are watched.
    """

    name: str
    language: str = "en"
    self_log: Path | None = None
    profiles: Path | None = None
    twin_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatConfig:
    """The chat: its transport with that one's own parameters, and who may command.

    In `rooms`, which are ids, an admin is heard as in a direct message.
    """

    transport: str
    admins: tuple[str, ...]
    rooms: tuple[str, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """A bot to watch. `logs` are absolute paths as `glob` reads them; `profile` is a family's name or `auto`.

    With `require_signed` only lines that the bot itself signed move its session.
    """

    name: str
    logs: tuple[str, ...]
    profile: str = AUTO
    timezone: ZoneInfo | None = None
    qr_file: Path | None = None
    require_signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEntry:
    """An operation to run: the factory that `use` names, and what it is called with."""

    use: str
    config: OperationConfig
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration; `path` is the file it was read from.

    `secrets` are the texts that no log record may show; `exposed` are the keys of those that stand in the file itself
    while others than its owner may read or change it.
    """

    path: Path
    bot: BotConfig
    chat: ChatConfig
    watches: tuple[WatchConfig, ...] = ()
    operations: tuple[OperationEntry, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    exposed: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that what is relative is relative to."""
        return self.path.absolute().parent


def load(path: Path, *, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check the configuration at `path`; nothing is started and no log is read.

    Raises:
        RefusedPatternError: nothing is wrong but patterns or profiles.
        ConfigurationError: it cannot be read, or something in it is wrong: one finding a line.
    """
    text, is_private = _read(path)
    document, findings = parse(text, name=str(path), environ=environ)
    if not document.values:
        raise ConfigurationError(f"{path}: is empty; expected {', '.join(_FORMS.values())}")
    reading = _Reading(document, path.absolute().parent, findings)
    bot, chat = reading.bot(), reading.chat()
    watches, operations = reading.watches(), reading.operations()
    reading.check()
    if reading.findings or bot is None or chat is None:
        error = document.error(sorted(reading.findings, key=_rank))
        is_readable = bot is not None and chat is not None and all(one in reading.refused for one in reading.findings)
        raise RefusedPatternError(*error.args) if is_readable else error
    return Config(
        path=path,
        bot=bot,
        chat=chat,
        watches=watches,
        operations=operations,
        secrets=document.secrets(),
        exposed=() if is_private else document.plain_secrets(),
    )


def build_operations(config: Config) -> tuple[Operation, ...]:
    """Make the operations of a configuration; nothing is started.

    Raises:
        ConfigurationError: one of them cannot be made.
    """
    return tuple(
        make_operation(find_operation(entry.use, folder=config.folder), entry.config, entry.parameters)
        for entry in config.operations
    )


def build_transport(config: Config) -> Transport:
    """Make the transport of a configuration; nothing is connected.

    Raises:
        ConfigurationError: it cannot be made.
    """
    return make_transport(find_transport(config.chat.transport, folder=config.folder), config.chat.parameters)


def _read(path: Path) -> tuple[str, bool]:
    """Return what stands in the file, and whether that is its owner's alone."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ConfigurationError(f"{path}: is a directory; expected a file in TOML")
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT_BYTES:
            raise ConfigurationError(f"{path}: is no ordinary file of at most 1 MiB; expected a configuration in TOML")
        return path.read_bytes().decode("utf-8-sig"), not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ConfigurationError(f"{path}: is not UTF-8: byte 0x{byte:02x} at offset {error.start}") from None
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{path}: cannot be read: {reason.lower()}") from None


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise ValueError(f"unknown language; {expected(text, LANGUAGES)}")
    return text


Language = Annotated[str, AfterValidator(_language)]


def _bot(
    *,
    name: Text,
    language: Language = "en",
    self_log: Path | None = None,
    profiles: Path | None = None,
    twin_key: TwinKey | None = None,
) -> BotConfig:
    return BotConfig(
        name=name,
        language=language,
        self_log=self_log,
        profiles=profiles,
        twin_key=None if twin_key is None else parse_key(twin_key),
    )


def _chat(*, transport: Text, admins: Admins, rooms: Rooms = ()) -> ChatConfig:
    return ChatConfig(transport=transport, admins=admins, rooms=rooms)


def _watch(
    *,
    name: Word,
    log: Logs,
    profile: Text = AUTO,
    timezone: Zone | None = None,
    qr_file: Path | None = None,
    require_signed: bool = False,
) -> WatchConfig:
    return WatchConfig(
        name=name,
        logs=(log,) if isinstance(log, str) else log,
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


class _Reading:
    """One reading of a document; `findings` is what came up so far."""

    def __init__(self, document: Document, folder: Path, findings: Sequence[Finding]) -> None:
        self._document = document
        self._folder = folder
        self.findings = list(findings)
        self.refused: list[Finding] = []
        missing = [name for name in _TABLES if name in _MANY or name not in document.values]
        self._meant = {key: suggestion(key, missing) for key in document.values if key not in _TABLES}
        self._bot: BotConfig | None = None
        self._watches: dict[Location, WatchConfig] = {}
        self._made: list[Operation] = []

    def bot(self) -> BotConfig | None:
        """Read `[bot]`."""
        table = self._single("bot")
        if table is not None:
            values = self._bound(table, ("bot",), parameters_of(_bot))
            self._bot = None if values is None else _bot(**values)
        return self._bot

    def chat(self) -> ChatConfig | None:
        """Read `[chat]` and try its transport."""
        table = self._single("chat")
        if table is None:
            return None
        general = parameters_of(_chat)
        factory, own = self._factory(table, ("chat", "transport"), find_transport, general, positional=0)
        given = {"bot": self._bot.name, "language": self._bot.language} if self._bot is not None else {}
        given = {one.name: given[one.name] for one in own if one.name in given and one.name not in table}
        own = tuple(replace(one, is_required=False) if one.name in given else one for one in own)
        values = self._bound(table, ("chat",), (*general, *own), is_open=factory is None)
        if values is None or factory is None:
            return None
        parameters = given | {one.name: values.pop(one.name) for one in own if one.name in values}
        self._attempt(lambda: make_transport(factory, parameters), ("chat", "transport"))
        return replace(_chat(**values), parameters=parameters)

    def watches(self) -> tuple[WatchConfig, ...]:
        """Read every `[[watch]]`."""
        for location, table in self._many("watch"):
            values = self._bound(table, location, parameters_of(_watch))
            if values is not None:
                watch = _watch(**values)
                self._watches[location] = replace(
                    watch, logs=tuple(absolute(log, folder=self._folder) for log in watch.logs)
                )
        return tuple(self._watches.values())

    def operations(self) -> tuple[OperationEntry, ...]:
        """Read every `[[operation]]` and try its factory."""
        entries = [self._operation(location, table) for location, table in self._many("operation")]
        return tuple(entry for entry in entries if entry is not None)

    def check(self) -> None:
        """Find what is wrong between the tables."""
        for key, meant in self._meant.items():
            kind = "table" if isinstance(self._document.values[key], dict | list) else "key outside of every table"
            hint = f"did you mean {_FORMS[meant]}?" if meant else f"expected {_ALL_FORMS}"
            self._find((key,), f"unknown {kind}; {hint}", shows_value=False)
        if not any(name in self._document.values or name in self._meant.values() for name in _MANY):
            self._find((), "nothing to do; expected at least one [[watch]]")
        named: dict[str, Location] = {}
        for location, watch in self._watches.items():
            earlier = named.setdefault(_folded(watch.name), location)
            if earlier != location:
                self._find((*location, "name"), "another [[watch]] has that name; expected one of its own")
            self._check_self_log((*location, "log"), watch.logs)
            self._check_signed(location, watch)
        self._check_name()
        self._check_profiles()

    def _operation(self, location: Location, table: Mapping[str, object]) -> OperationEntry | None:
        general = parameters_of(_operation)
        factory, own = self._factory(table, (*location, "use"), find_operation, general, positional=1)
        values = self._bound(table, location, (*general, *own), is_open=factory is None)
        self._check_watch(location, table)
        if values is None or factory is None:
            return None
        parameters = {one.name: values.pop(one.name) for one in own if one.name in values}
        entry = _operation(**values)
        language = "en" if self._bot is None else self._bot.language
        entry = replace(entry, config=replace(entry.config, language=language), parameters=parameters)
        if entry.config.name == _RUNTIME:
            self._find((*location, "name"), "is the program's own name; expected another")
            return None
        operation = self._attempt(lambda: make_operation(factory, entry.config, parameters), (*location, "use"))
        if operation is not None:
            self._check_operation(location, operation)
        return entry

    def _check_operation(self, location: Location, operation: Operation) -> None:
        """Find a pattern that no engine takes, and what cannot stand beside the operations before."""
        try:
            for pattern in operation.patterns:
                compile_pattern(pattern)
            build((*self._made, operation))
        except PatternError as error:
            self._refuse(location, error)
        except OperationError as error:
            self._find(location, self._document.scrub(str(error)))
        else:
            self._made.append(operation)

    def _check_watch(self, location: Location, table: Mapping[str, object]) -> None:
        """Find an operation about a bot that is not watched."""
        watch = table.get("watch")
        names = [one["name"] for _, one in self._many("watch", again=True) if isinstance(one.get("name"), str)]
        if isinstance(watch, str) and watch not in names and not self._document.is_unset((*location, "watch")):
            hint = expected(watch, map(str, names)) if names else "expected a [[watch]] of that name"
            self._find((*location, "watch"), f"nothing of that name is watched; {self._document.scrub(hint)}")

    def _check_self_log(self, location: Location, logs: Sequence[str]) -> None:
        """Find a watch that follows what this bot itself writes."""
        own = None if self._bot is None else self._bot.self_log
        if own is not None and any(covers(log, own) for log in logs):
            self._find(location, "this bot writes there itself (self_log); expected another bot's log")

    def _check_signed(self, location: Location, watch: WatchConfig) -> None:
        """Find signatures that have to hold, without the key that tells whether they do, or for both twins alike."""
        table = self._document.values.get("bot")
        if watch.require_signed and not (isinstance(table, dict) and "twin_key" in table):
            text = "no signature holds without [bot] twin_key; expected the key that this bot signs with"
            self._find((*location, "require_signed"), text)
        bot = self._bot
        if bot is not None and bot.twin_key is not None and _folded(bot.name) == _folded(watch.name):
            text = "twins with one key need two names; expected the one under which this bot signs, its own [bot] name"
            self._find((*location, "name"), text)

    def _check_name(self) -> None:
        """Find a bot whose signed lines its twin could not name."""
        bot = self._bot
        if bot is not None and bot.twin_key is not None and bot.self_log is not None and not is_word(bot.name):
            self._find(
                ("bot", "name"),
                "with twin_key its lines are signed under this name, which its twin's [[watch]] has to carry;"
                " expected one word of letters, digits, '-' and '_'",
            )

    def _check_profiles(self) -> None:
        """Find profiles that cannot be read, and watches that name one that is not there."""
        folder = None if self._bot is None else self._bot.profiles
        place = () if folder is None else ("bot", "profiles")
        if folder is not None and not folder.is_dir():
            self._find(place, "there is no such folder; expected one with profiles in it")
            return
        try:
            known = load_profiles(*(() if folder is None else (folder,)))
        except ProfileError as error:
            self._refuse(place, error)
            return
        for location, watch in self._watches.items():
            if watch.profile not in (AUTO, *known):
                hint = self._document.scrub(expected(watch.profile, (AUTO, *known)))
                self._find((*location, "profile"), f"unknown profile; {hint}")

    def _single(self, name: str) -> Mapping[str, object] | None:
        table = self._document.values.get(name)
        if table is None and name not in self._meant.values():
            self._find((), f"no {_FORMS[name]}; expected one")
        elif table is not None and not isinstance(table, dict):
            self._find((name,), f"expected {_FORMS[name]}, once, in single brackets", shows_value=False)
        return table if isinstance(table, dict) else None

    def _many(self, name: str, *, again: bool = False) -> list[tuple[Location, Mapping[str, object]]]:
        tables = self._document.values.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            if not again:
                text = f"expected {_FORMS[name]}, in double brackets, one for each"
                self._find((name,), text, shows_value=False)
            return []
        return [((name, index), table) for index, table in enumerate(tables)]

    def _bound(
        self, table: Mapping[str, object], location: Location, parameters: Sequence[Parameter], *, is_open: bool = False
    ) -> dict[str, Any] | None:
        """Return a table's values, None where something about them is wrong."""
        values, findings = bind(
            table, parameters, location=location, document=self._document, folder=self._folder, is_open=is_open
        )
        self.findings += findings
        return None if findings or self._document.is_unset(location) else values

    def _factory(
        self,
        table: Mapping[str, object],
        location: Location,
        find: Callable[..., Callable[..., object]],
        general: Sequence[Parameter],
        *,
        positional: int,
    ) -> tuple[Callable[..., object] | None, tuple[Parameter, ...]]:
        """Return what the name at `location` stands for and the keys it takes; None where it cannot be had."""
        name = table.get(str(location[-1]))
        if not isinstance(name, str) or not name.strip() or self._document.is_unset(location):
            return None, ()
        factory = self._attempt(lambda: find(name, folder=self._folder), location)
        if factory is None:
            return None, ()
        own = self._attempt(lambda: parameters_of(factory, positional=positional), location)
        clashes = {one.name for one in own or ()} & {one.name for one in general}
        for name in sorted(clashes):
            self._find(location, f"has the parameter {name!r}, which is taken; expected another")
        return (None, ()) if own is None or clashes else (factory, own)

    def _attempt(self, action: Callable[[], _Result], location: Location) -> _Result | None:
        """Return what `action` gives; None, and a finding, where it cannot."""
        try:
            return action()
        except ConfigurationError as error:
            self._find(location, self._document.scrub(str(error)))
            return None

    def _refuse(self, location: Location, error: LogMonitorError) -> None:
        self._find(location, self._document.scrub(str(error)))
        self.refused.append(self.findings[-1])

    def _find(self, location: Location, text: str, *, shows_value: bool = True) -> None:
        self.findings.append(Finding(location=location, text=text, shows_value=shows_value))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _rank(finding: Finding) -> tuple[int, int]:
    """Order findings as the tables of the documentation stand, and as they stand in the file."""
    match finding.location:
        case (str(table), int(index), *_):
            return _TABLES.index(table), index
        case (str(table), *_) if table in _TABLES:
            return _TABLES.index(table), 0
        case _:
            return -1, 0
