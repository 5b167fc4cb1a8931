"""What has to hold between the records of a configuration, whether they come from a file or from a program."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from logmonitor.configuration.document import expected
from logmonitor.configuration.keys import is_word
from logmonitor.profile import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from logmonitor.configuration.record import BotConfig, RescueConfig, SecurityConfig, WatchConfig

PROGRAM: Final = "logmonitor"
"""The name under which the runtime's own commands run."""

_DATABASES: Final = ("store", "lease")
_COMPANIONS: Final = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """What is wrong with `field` of the bot, or of the watch or operation at `index`, as the others are."""

    record: Literal["bot", "watch", "operation", "security", "rescue"]
    index: int = 0
    field: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """A file that nothing else may be, which `field` of a record names; no `record` means the configuration itself.

    `companions` are what may stand behind its name, in the names of files that are kept beside it.
    """

    record: Literal["bot", "security", "rescue"] | None
    field: str
    path: Path
    companions: tuple[str, ...] = ()

    def paths(self) -> tuple[Path, ...]:
        """Return the file and what is kept beside it."""
        return self.path, *(self.path.with_name(self.path.name + companion) for companion in self.companions)


def own_files(
    bot: BotConfig | None, security: SecurityConfig | None, rescue: RescueConfig | None = None
) -> tuple[OwnFile, ...]:
    """Return the files that this bot writes or keeps to itself, as far as they are known."""
    named: tuple[tuple[Literal["bot", "security", "rescue"], str, Path | None], ...] = (
        ("bot", "self_log", None if bot is None else bot.self_log),
        ("bot", "pid_file", None if bot is None else bot.pid_file),
        ("bot", "store", None if bot is None else bot.store),
        ("security", "audit", None if security is None else security.audit),
        ("security", "key_file", None if security is None else security.key_file),
        ("rescue", "lease", None if rescue is None else rescue.lease),
    )
    return tuple(
        OwnFile(record=record, field=field, path=path, companions=_COMPANIONS if field in _DATABASES else ())
        for record, field, path in named
        if path is not None
    )


def find_conflicts(
    bot: BotConfig | None,
    watches: Sequence[WatchConfig],
    operations: Sequence[str],
    *,
    profiles: Collection[str] | None,
    files: Sequence[OwnFile] = (),
    covers: Callable[[str, Path], bool],
    resolved: Callable[[Path], Path],
) -> tuple[Conflict, ...]:
    """Find what cannot stand side by side; `operations` are their names, `files` those of this bot alone.

    `bot` and `profiles` (all that there are, without `auto`) are None where nothing is known of them, which then is in
    no conflict. Of two files that are one the later is wrong. `covers` tells whether a log's pattern reaches a path,
    `resolved` gives the path behind links.
    """
    return (
        *(() if bot is None else _of_bot(bot)),
        *_of_files(files, resolved),
        *_of_names(watches),
        *(
            Conflict(record="watch", index=index, field=field, text=text)
            for index, watch in enumerate(watches)
            for field, text in (
                *_with_files(watch, files, covers),
                *(() if bot is None else _with_bot(watch, bot)),
                *(() if profiles is None else _with_profiles(watch, profiles)),
            )
        ),
        *(
            Conflict(record="operation", index=index, field="name", text="is the program's own name; expected another")
            for index, name in enumerate(operations)
            if name == PROGRAM
        ),
    )


def _of_bot(bot: BotConfig) -> Iterator[Conflict]:
    """Find a bot that signs under a name which no watch can have."""
    if bot.twin_key is not None and bot.self_log is not None and not is_word(bot.name):
        yield Conflict(
            record="bot",
            field="name",
            text="with twin_key its lines are signed under this name, by which its twin has to watch it;"
            " expected one word of letters, digits, '-' and '_'",
        )


def _of_names(watches: Sequence[WatchConfig]) -> Iterator[Conflict]:
    """Find watches that could not be told apart."""
    first: dict[str, str] = {}
    for index, watch in enumerate(watches):
        folded = _folded(watch.name)
        if folded in first:
            text = f"is the name of another watch, {first[folded]!r}; expected one of its own"
            yield Conflict(record="watch", index=index, field="name", text=text)
        first.setdefault(folded, watch.name)


def _of_files(files: Sequence[OwnFile], resolved: Callable[[Path], Path]) -> Iterator[Conflict]:
    """Find files that would overwrite each other."""
    taken: dict[Path, OwnFile] = {}
    for file in files:
        paths = [resolved(path) for path in file.paths()]
        other = next((taken[path] for path in paths if path in taken), None)
        if other is not None and file.record is not None:
            whose = "the configuration itself" if other.record is None else f"the {other.field} too"
            text = f"is {whose}; expected a file of its own"
            yield Conflict(record=file.record, field=file.field, text=text)
        taken |= {path: file for path in paths if path not in taken}


def _with_files(
    watch: WatchConfig, files: Sequence[OwnFile], covers: Callable[[str, Path], bool]
) -> Iterator[tuple[str, str]]:
    """Find a watch on what this bot itself writes."""
    reached = [
        file.field
        for file in files
        if file.record is not None and any(covers(log, path) for log in watch.logs for path in file.paths())
    ]
    if reached:
        yield "logs", f"this bot writes there itself ({', '.join(reached)}); expected another bot's log"


def _with_bot(watch: WatchConfig, bot: BotConfig) -> Iterator[tuple[str, str]]:
    """Find signatures that cannot be told from others."""
    if watch.require_signed and bot.twin_key is None:
        text = "no signature holds without this bot's twin_key; expected the key that it shares with its twin"
        yield "require_signed", text
    if bot.twin_key is not None and _folded(bot.name) == _folded(watch.name):
        text = f"is this bot's own name, {bot.name!r}; expected another, as twins with one key are told apart by name"
        yield "name", text


def _with_profiles(watch: WatchConfig, profiles: Collection[str]) -> Iterator[tuple[str, str]]:
    """Find a profile that is not there."""
    known = (AUTO, *profiles)
    if watch.profile not in known:
        yield "profile", f"unknown profile; {expected(watch.profile, known)}"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
