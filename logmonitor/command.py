"""The commands there are: their look-up by what was typed, did-you-mean, and the one line that a command is."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rapidfuzz.distance import OSA

from logmonitor.display import visible
from logmonitor.errors import OperationError
from logmonitor.typed import parse, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logmonitor.machine import ProcessSelector
    from logmonitor.operation import Command, Operation
    from logmonitor.typed import Typed

RESERVED: Final = ("help", "status", "confirm", "code", "jobs", "cancel", "grant", "deny", "revoke", "grants")
"""Names of the runtime's own commands; no operation may claim them but what it may tell better."""

REPLACEABLE: Final = "status"
"""The one of them that an operation may take the place of."""

SIGNALS: Final = ("ding", "dong", "ping", "pong")
"""What bots ask and answer each other to see whether they are there; no command either."""

_LONGEST_SHOWN: Final = 500
_ESCAPE: Final = re.compile(r"\\(?=[xuU])")
_BROKEN_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-f]?|u[0-9a-f]{0,3}|U[0-9a-f]{0,7})\Z")
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u200d\u2800\u3164\uffa0")
_PLAIN_SPACES: Final = frozenset(" \u3000")
_PICTURES: Final = frozenset("".join(map(chr, range(0x2400, 0x2420))) + "␡")
_SUGGESTIONS: Final = 3
_ALIKE: Final = 0.5
_BEYOND_DOUBT: Final = 0.8
_LONGEST_NAME: Final = 100
_WORDS_OF_NAME: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A command and the operation that offers it; `watch` is the one bot that operation is about, None for all."""

    operation: str
    watch: str | None
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The command to run; `watch` is the bot it is about, which is no longer among `arguments`, nor in `text`.

    `text` is what stands behind the name as it was typed.
    """

    entry: Entry
    watch: str | None
    arguments: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A command about one bot that could be several: `watches` to choose from; `asked` names none of them."""

    name: str
    watches: tuple[str, ...]
    asked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A name no command has; `suggestions` are those most like it, the nearest first."""

    name: str
    suggestions: tuple[str, ...]


def build(operations: Sequence[Operation]) -> tuple[Entry, ...]:
    """List the commands of all operations, in their order.

    Two operations may share a name only where each is about a bot of its own and the command takes that bot's name.

    Raises:
        OperationError: two operations have the same name, claim the same command or name different processes of one
            bot, a command has a reserved name, or what one operation has as a signal would be understood as a command.
    """
    processes_of(operations)
    entries: list[Entry] = []
    names: set[str] = set()
    for operation in operations:
        name = operation.config.name or operation.name
        if name in names:
            raise OperationError(f"two operations have the name {name!r}; expected a name of its own for each")
        names.add(name)
        for command in operation.commands:
            entry = Entry(operation=name, watch=operation.config.watch, command=command)
            _check(entry, entries)
            entries.append(entry)
    claimed = {
        entry.command.name: f"command {entry.command.name!r} of operation {entry.operation!r}" for entry in entries
    }
    claimed |= {name: f"command {name!r} of the runtime" for name in RESERVED}
    for operation in operations:
        for signal in operation.signals:
            typed = parse(signal)
            if typed is not None and typed.name in claimed:
                raise OperationError(
                    f"operation {operation.config.name or operation.name!r} has the signal {signal!r}, which says"
                    f" {claimed[typed.name]}; expected a text that begins with no command's name"
                )
    return tuple(entries)


def processes_of(operations: Iterable[Operation]) -> Mapping[str, ProcessSelector]:
    """Return which process is which bot's, as operations say.

    Raises:
        OperationError: two of them name different processes of one bot.
    """
    found: dict[str, ProcessSelector] = {}
    for operation in operations:
        watch, process = operation.config.watch, operation.process
        if watch is None or process is None:
            continue
        if found.setdefault(watch, process) != process:
            raise OperationError(
                f"two processes are said to be that of {watch!r}: {found[watch].text} and {process.text}; expected one"
            )
    return found


def find(typed: Typed, entries: Sequence[Entry], *, watches: Sequence[str]) -> Found | Choice | Unknown:
    """Find the command that was typed; `watches` are all bots.

    The first argument of a command that takes a bot's name may name one, in any case; of one that takes other arguments
    besides, the last or else the first. Without it the command is about the only bot that its entries cover. What is
    not clear runs nothing.
    """
    same = [entry for entry in entries if entry.command.name == typed.name]
    if not same:
        return Unknown(name=typed.name, suggestions=suggest(" ".join((typed.name, *typed.arguments)), entries))
    command, text = same[0].command, typed.text
    if not command.takes_watch:
        return Found(entry=same[0], watch=same[0].watch, arguments=typed.arguments, text=text)
    covered = {watch: entry for entry in same for watch in ((entry.watch,) if entry.watch is not None else watches)}
    places = words(text)
    for place in (*places[-1:], *places[:1]) if command.takes_arguments else places[:1]:
        word, start, end = place
        watch = _named(word, covered)
        if watch is not None:
            index = places.index(place)
            others = typed.arguments[:index] + typed.arguments[index + 1 :]
            rest = text[:start].rstrip() + text[end:].lstrip()
            return Found(entry=covered[watch], watch=watch, arguments=others, text=rest)
    if places and not command.takes_arguments:
        return Choice(name=typed.name, watches=tuple(covered), asked=typed.arguments[0])
    if len(covered) == 1:
        ((watch, entry),) = covered.items()
        return Found(entry=entry, watch=watch, arguments=typed.arguments, text=text)
    return Choice(name=typed.name, watches=tuple(covered))


def canonical(entry: Entry, watch: str | None, text: str) -> str:
    """Return a command on one line as the program understood it: its name, its bot, and the rest as it was typed.

    `text` is what stands behind the name without the bot, which `watch` is and appears by its own name; behind the text
    where the command takes other arguments. No two commands of
    one program that could do different things have the same line, so a code or confirmation may be bound to it. What
    cannot be seen, turns the direction of writing or would look like something else is shown by an escape. It is as
    long as the text; show it by `abridged`.
    """
    bot = None
    if entry.command.takes_watch and watch is not None:
        bot = f'"{watch}"' if any(map(str.isspace, watch)) else watch
    parts = (entry.command.name, text, bot) if entry.command.takes_arguments else (entry.command.name, bot, text)
    return " ".join(_shown(part) for part in parts if part)


def abridged(command: str, *, translate: Callable[[str], str] = str) -> str:
    """Return what `canonical` returned as it is shown: at most 500 characters of it, and how many there are."""
    if len(command) <= _LONGEST_SHOWN:
        return command
    head = _BROKEN_ESCAPE.sub("", command[:_LONGEST_SHOWN])
    return translate("{command}… ({count} characters in all)").format(command=head, count=len(command))


def suggest(text: str, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return up to three names of `entries` that the first words of `text` may have meant, the nearest first."""
    first, *others = (text[:_LONGEST_NAME].casefold().split() or [""])[:_WORDS_OF_NAME]
    joined = ["".join((first, *others[:count])) for count in range(1, len(others) + 1)]
    known = dict.fromkeys(entry.command.name for entry in entries)
    alike = [
        (score, name) for name in known if (score := max(_likeness(first, name), _likeness_of_words(joined, name)))
    ]
    return tuple(name for _, name in sorted(alike, key=lambda pair: -pair[0]))[:_SUGGESTIONS]


def _shown(text: str) -> str:
    """Show what `visible` shows, so that no two texts look the same: what spells an escape is escaped itself."""
    return "".join(map(_shown_character, _ESCAPE.sub(r"\\x5c", text)))


def _shown_character(character: str) -> str:
    if character == "\t":
        return "␉"
    is_odd_space = unicodedata.category(character) == "Zs" and character not in _PLAIN_SPACES
    if is_odd_space or character in _UNSEEN or character in _PICTURES:
        return character.encode("unicode_escape").decode()
    return visible(character, one_line=True)


def _check(entry: Entry, others: Iterable[Entry]) -> None:
    """Refuse an entry whose command could not be told from another."""
    name = entry.command.name
    if name in RESERVED and name != REPLACEABLE:
        raise OperationError(f"operation {entry.operation!r} claims command {name!r}, which belongs to the runtime")
    if name in SIGNALS:
        raise OperationError(f"operation {entry.operation!r} claims command {name!r}, which bots say to each other")
    for other in others:
        if other.command.name != name:
            continue
        apart = entry.watch is not None and other.watch is not None and entry.watch != other.watch
        if not (apart and entry.command.takes_watch and other.command.takes_watch):
            raise OperationError(
                f"operations {other.operation!r} and {entry.operation!r} both claim command {name!r}; expected one of"
                " them, or operations for different bots and a command that takes a bot's name"
            )


def _named(asked: str, watches: Iterable[str]) -> str | None:
    """Return the bot that `asked` names: exactly, else in any case if only one fits."""
    known = list(watches)
    if asked in known:
        return asked
    folded = _fold(asked)
    fitting = [watch for watch in known if _fold(watch) == folded]
    return fitting[0] if len(fitting) == 1 else None


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _likeness(word: str, name: str) -> float:
    """Measure how near two names are, up to 1; 0 for two of which neither is near to or part of the other.

    Two that differ in their dashes only are as near as can be.
    """
    score = max(float(OSA.normalized_similarity(*pair)) for pair in ((word, name), (_compact(word), _compact(name))))
    shorter, longer = sorted((word, name), key=len)
    return score if score >= _ALIKE or (len(shorter) > 1 and shorter in longer) else 0.0


def _likeness_of_words(joined: Iterable[str], name: str) -> float:
    """Measure how near a name is to words that were to be one; 0 unless that is beyond doubt."""
    score = max((float(OSA.normalized_similarity(_compact(one), _compact(name))) for one in joined), default=0.0)
    return score if score >= _BEYOND_DOUBT else 0.0


def _compact(name: str) -> str:
    return name.replace("-", "").replace("_", "") or name
