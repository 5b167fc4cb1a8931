"""The tables of a configuration: each read into its record, and what is wrong in one or between them found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path  # noqa: TC003  # read at run time, to check what is given
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from logmonitor.command import build
from logmonitor.configuration.binding import Parameter, bind, parameters_of
from logmonitor.configuration.consistency import find_conflicts
from logmonitor.configuration.document import Document, Finding, Location, alternatives, expected, suggestion
from logmonitor.configuration.factory import find_operation, find_transport, make_operation, make_transport
from logmonitor.configuration.keys import Admins, Logs, Rooms, Text, TwinKey, Word, Zone  # noqa: TC001  # the same
from logmonitor.configuration.log_pattern import absolute, covers
from logmonitor.configuration.record import BotConfig, ChatConfig, OperationEntry, WatchConfig
from logmonitor.errors import ConfigurationError, LogMonitorError, OperationError, PatternError, ProfileError
from logmonitor.language import LANGUAGES
from logmonitor.operation import Operation, OperationConfig
from logmonitor.pattern import compile_pattern
from logmonitor.profile import AUTO
from logmonitor.profile_folder import load_profiles
from logmonitor.signing import parse_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

_SINGLE: Final = ("bot", "chat")
_MANY: Final = ("watch", "operation")
_TABLES: Final = (*_SINGLE, *_MANY)
FORMS: Final = {name: f"[{name}]" for name in _SINGLE} | {name: f"[[{name}]]" for name in _MANY}
_ALL_FORMS: Final = alternatives(FORMS.values())
_KEYS: Final = {"logs": "log"}
"""The fields of records whose key has another name."""

_Result = TypeVar("_Result")


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


class Reading:
    """One reading of a document; `findings` is what came up so far, `refused` those about patterns and profiles.

    The tables are read in the order of the methods; `check` comes last.
    """

    def __init__(self, document: Document, folder: Path, findings: Sequence[Finding]) -> None:
        """Begin with what came up before; what is relative is relative to `folder`."""
        self._document = document
        self._folder = folder
        self.findings = list(findings)
        self.refused: list[Finding] = []
        missing = [name for name in _TABLES if name in _MANY or name not in document.values]
        self._meant = {key: suggestion(key, missing) for key in document.values if key not in _TABLES}
        self._bot: BotConfig | None = None
        self._watches: dict[Location, WatchConfig] = {}
        self._operations: dict[Location, str] = {}
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
            hint = f"did you mean {FORMS[meant]}?" if meant else f"expected {_ALL_FORMS}"
            self._find((key,), f"unknown {kind}; {hint}", shows_value=False)
        if not any(name in self._document.values or name in self._meant.values() for name in _MANY):
            self._find((), "nothing to do; expected at least one [[watch]]")
        self._check_records(self._profiles())

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
        self._operations[location] = entry.config.name
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

    def _check_records(self, profiles: Collection[str] | None) -> None:
        """Find what cannot stand side by side, each at its place."""
        places: dict[str, list[Location]]
        places = {"bot": [("bot",)], "watch": [*self._watches], "operation": [*self._operations]}
        conflicts = find_conflicts(
            self._bot_as_known(),
            tuple(self._watches.values()),
            tuple(self._operations.values()),
            profiles=profiles,
            covers=covers,
        )
        for one in conflicts:
            key = _KEYS.get(one.field, one.field)
            self._find((*places[one.record][one.index], key), self._document.scrub(one.text))

    def _bot_as_known(self) -> BotConfig | None:
        """Return the bot; where its table is wrong, one without anything, unless it has a key that cannot be read."""
        table = self._document.values.get("bot")
        has_key = isinstance(table, dict) and "twin_key" in table
        return self._bot or (None if has_key else BotConfig(name=""))

    def _profiles(self) -> Collection[str] | None:
        """Return the names of all profiles; None, and a finding, where they cannot be read."""
        folder = None if self._bot is None else self._bot.profiles
        place = () if folder is None else ("bot", "profiles")
        if folder is not None and not folder.is_dir():
            self._find(place, "there is no such folder; expected one with profiles in it")
            return None
        try:
            return load_profiles(*(() if folder is None else (folder,)))
        except ProfileError as error:
            self._refuse(place, error)
            return None

    def _single(self, name: str) -> Mapping[str, object] | None:
        table = self._document.values.get(name)
        if table is None and name not in self._meant.values():
            self._find((), f"no {FORMS[name]}; expected one")
        elif table is not None and not isinstance(table, dict):
            self._find((name,), f"expected {FORMS[name]}, once, in single brackets", shows_value=False)
        return table if isinstance(table, dict) else None

    def _many(self, name: str, *, again: bool = False) -> list[tuple[Location, Mapping[str, object]]]:
        tables = self._document.values.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            if not again:
                text = f"expected {FORMS[name]}, in double brackets, one for each"
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


def rank(finding: Finding) -> tuple[int, int]:
    """Order findings as the tables of the documentation stand, and as they stand in the file."""
    match finding.location:
        case (str(table), int(index), *_):
            return _TABLES.index(table), index
        case (str(table), *_) if table in _TABLES:
            return _TABLES.index(table), 0
        case _:
            return -1, 0
