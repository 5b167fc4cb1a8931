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

    from logmonitor.configuration.record import BotConfig, WatchConfig

PROGRAM: Final = "logmonitor"
"""The name under which the runtime's own commands run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """What is wrong with `field` of the bot, or of the watch or operation at `index`, as the others are."""

    record: Literal["bot", "watch", "operation"]
    index: int = 0
    field: str
    text: str


def find_conflicts(
    bot: BotConfig | None,
    watches: Sequence[WatchConfig],
    operations: Sequence[str],
    *,
    profiles: Collection[str] | None,
    covers: Callable[[str, Path], bool],
) -> tuple[Conflict, ...]:
    """Find what cannot stand side by side; `operations` are their names.

    `bot` and `profiles` (all that there are, without `auto`) are None where nothing is known of them, which then is in
    no conflict. `covers` tells whether a log's pattern reaches a path.
    """
    return (
        *(() if bot is None else _of_bot(bot)),
        *_of_names(watches),
        *(
            Conflict(record="watch", index=index, field=field, text=text)
            for index, watch in enumerate(watches)
            for field, text in (
                *(() if bot is None else _with_bot(watch, bot, covers)),
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


def _with_bot(watch: WatchConfig, bot: BotConfig, covers: Callable[[str, Path], bool]) -> Iterator[tuple[str, str]]:
    """Find a watch on this bot itself, and signatures that cannot be told from others."""
    own_log = bot.self_log
    if own_log is not None and any(covers(log, own_log) for log in watch.logs):
        yield "logs", "this bot writes there itself (self_log); expected another bot's log"
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
