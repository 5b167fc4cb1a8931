"""From what a phone types to the command that is meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logmonitor.command import Choice, Found, Unknown, abridged, build, canonical, find, processes_of, suggest
from logmonitor.errors import OperationError
from logmonitor.machine import ProcessSelector
from logmonitor.operation import Command, Operation, OperationConfig
from logmonitor.typed import Typed, parse

if TYPE_CHECKING:
    from logmonitor.operation import Context, Invocation


async def _handler(_context: Context, _invocation: Invocation) -> None:
    """Do nothing: what runs is the runtime's affair."""


def _command(
    name: str, *, takes_watch: bool = False, takes_arguments: bool = False, usage: str = "", help_: str = "do it"
) -> Command:
    return Command(
        name=name,
        handler=_handler,
        help=help_,
        takes_watch=takes_watch,
        takes_arguments=takes_arguments,
        usage=usage,
    )


def _operation(name: str, *commands: Command, watch: str | None = None, kind: str = "operation") -> Operation:
    return Operation(name=kind, config=OperationConfig(name=name, watch=watch), commands=commands)


_QR = _command("qr", takes_watch=True, usage="[BOT]", help_="send the QR")
_TAIL = _command("tail", takes_watch=True, takes_arguments=True, usage="PATTERN [BOT]")
_SHELL = _command("sh", usage="COMMAND", help_="run a shell command")
_ENTRIES = build(
    [
        _operation("rescue-bob", _QR, watch="bob"),
        _operation("rescue-carol", _QR, watch="Carol"),
        _operation("rescue-admin", _command("disable-qr-rescue"), _command("enable-qr-rescue"), _command("restart")),
        _operation("shell", _SHELL, watch="bob"),
        _operation("logs", _command("log", takes_watch=True), _TAIL),
    ]
)
_WATCHES = ("bob", "Carol", "dave")


def _typed(text: str) -> Typed:
    typed = parse(text)
    assert typed is not None
    return typed


def _names(found: Found | Choice | Unknown) -> tuple[str, str | None, tuple[str, ...]]:
    assert isinstance(found, Found)
    return found.entry.operation, found.watch, found.arguments


def test_build_lists_the_commands_of_all_operations_in_order() -> None:
    """Each command stands with the name of its operation and the bot that is about."""
    entries = build([_operation("", _QR, _SHELL, watch="bob", kind="rescue"), _operation("b", _command("restart"))])
    assert [(entry.operation, entry.watch, entry.command.name) for entry in entries] == [
        ("rescue", "bob", "qr"),
        ("rescue", "bob", "sh"),
        ("b", None, "restart"),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_operation("a", _QR, watch="bob"), _operation("b", _QR, watch="bob")),
        (_operation("a", _QR, watch="bob"), _operation("b", _QR)),
        (_operation("a", _QR), _operation("b", _QR, watch="bob")),
        (_operation("a", _QR), _operation("b", _QR)),
        (_operation("a", _command("qr"), watch="bob"), _operation("b", _QR, watch="carol")),
        (_operation("a", _QR, watch="bob"), _operation("b", _command("qr"), watch="carol")),
    ],
)
def test_build_refuses_two_operations_that_claim_one_command(first: Operation, second: Operation) -> None:
    """Unless each is about its own bot and both take a bot's name, the error names both and the command."""
    with pytest.raises(OperationError, match="operations 'a' and 'b' both claim command 'qr'"):
        build([first, second])


def test_build_refuses_two_operations_of_one_name() -> None:
    """An operation's name tells it from the others, so it cannot be theirs."""
    with pytest.raises(OperationError, match="two operations have the name 'rescue'"):
        build([_operation("rescue", watch="bob"), _operation("", kind="rescue", watch="carol")])


@pytest.mark.parametrize("name", ["help", "confirm", "code", "jobs", "cancel", "grant", "deny", "revoke", "grants"])
def test_build_refuses_the_runtimes_names(name: str) -> None:
    """What the runtime itself offers belongs to it."""
    with pytest.raises(OperationError, match=f"operation 'a' claims command '{name}', which belongs to the runtime"):
        build([_operation("a", _command(name))])


def test_build_refuses_a_command_that_bots_say_to_each_other() -> None:
    """A command called ding or dong would never be heard."""
    with pytest.raises(OperationError, match="operation 'a' claims command 'dong', which bots say to each other"):
        build([_operation("a", _command("dong"))])


@pytest.mark.parametrize(
    ("signal", "claimed"),
    [
        ("sh", "command 'sh' of operation 'shell'"),
        (" /SH. ", "command 'sh' of operation 'shell'"),
        ("sh is back", "command 'sh' of operation 'shell'"),
        ("status", "command 'status' of the runtime"),
    ],
)
def test_build_refuses_a_signal_that_says_a_command(signal: str, claimed: str) -> None:
    """What twins tell each other runs nothing, so it must not be what an admin would type to run something."""
    operations = [replace(_operation("rescue"), signals=("您好世界", signal)), _operation("shell", _SHELL)]
    with pytest.raises(OperationError) as caught:
        build(operations)
    assert str(caught.value) == (
        f"operation 'rescue' has the signal {signal!r}, which says {claimed};"
        " expected a text that begins with no command's name"
    )


def test_build_takes_a_signal_that_says_no_command() -> None:
    """Any other text is right, an empty one too."""
    assert build([replace(_operation("rescue"), signals=("hello sh", "", "shell"))]) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("qr bob", ("rescue-bob", "bob", ())),
        ("qr BOB 5", ("rescue-bob", "bob", ("5",))),
        ("qr ｃａｒｏｌ", ("rescue-carol", "Carol", ())),
        ("log dave x", ("logs", "dave", ("x",))),
        ("sh ls -l", ("shell", "bob", ("ls", "-l"))),
        ("restart bob", ("rescue-admin", None, ("bob",))),
    ],
)
def test_find_gives_a_command_to_the_operation_it_is_about(
    text: str, found: tuple[str, str | None, tuple[str, ...]]
) -> None:
    """A bot's name chooses the operation and leaves the arguments; a command that takes none keeps them all."""
    assert _names(find(_typed(text), _ENTRIES, watches=_WATCHES)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tail ERROR bob", ("logs", "bob", ("ERROR",))),
        ("tail bob ERROR", ("logs", "bob", ("ERROR",))),
        ("tail bob carol", ("logs", "Carol", ("bob",))),
        ("tail “not found” twice DAVE", ("logs", "dave", ("not found", "twice"))),
        ("tail bob", ("logs", "bob", ())),
    ],
)
def test_find_takes_the_bot_from_either_end_of_other_arguments(
    text: str, found: tuple[str, str | None, tuple[str, ...]]
) -> None:
    """Of a command with other arguments the last word may name the bot, or else the first, and is no argument then."""
    assert _names(find(_typed(text), _ENTRIES, watches=_WATCHES)) == found


def test_find_takes_arguments_without_a_bot_for_the_only_one() -> None:
    """What names no bot is an argument: of the only bot there is, else the bot is asked for."""
    assert _names(find(_typed("tail ERROR"), _ENTRIES, watches=("dave",))) == ("logs", "dave", ("ERROR",))
    assert find(_typed("tail ERROR"), _ENTRIES, watches=_WATCHES) == Choice(name="tail", watches=_WATCHES)
    assert find(_typed("tail"), _ENTRIES, watches=_WATCHES) == Choice(name="tail", watches=_WATCHES)


def test_find_takes_the_only_bot_without_being_told() -> None:
    """Without an argument a command is about the one bot it covers, of its operation or of all."""
    only = build([_operation("rescue", _QR, watch="bob"), _operation("logs", _command("log", takes_watch=True))])
    assert _names(find(_typed("qr"), only, watches=_WATCHES)) == ("rescue", "bob", ())
    assert _names(find(_typed("log"), only, watches=("dave",))) == ("logs", "dave", ())


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("qr", Choice(name="qr", watches=("bob", "Carol"))),
        ("log", Choice(name="log", watches=_WATCHES)),
        ("qr dave", Choice(name="qr", watches=("bob", "Carol"), asked="dave")),
        ("log nobody", Choice(name="log", watches=_WATCHES, asked="nobody")),
    ],
)
def test_find_asks_which_bot_is_meant(text: str, choice: Choice) -> None:
    """With several bots and none named, or a name that none of them has, nothing runs."""
    assert find(_typed(text), _ENTRIES, watches=_WATCHES) == choice


def test_find_tells_bots_apart_that_differ_by_case() -> None:
    """A name as it is spelt wins; one that could be either is asked about."""
    watches = ("bob", "Bob")
    assert _names(find(_typed("log Bob"), _ENTRIES, watches=watches)) == ("logs", "Bob", ())
    assert find(_typed("log BOB"), _ENTRIES, watches=watches) == Choice(name="log", watches=watches, asked="BOB")


@pytest.mark.parametrize(
    ("text", "suggestions"),
    [
        ("rq", ("qr",)),
        ("q", ("qr",)),
        ("qrcode", ("qr",)),
        ("statsu", ()),
        ("restrat now", ("restart",)),
        ("disable-qrrescue", ("disable-qr-rescue", "enable-qr-rescue", "qr")),
        ("rescue", ("enable-qr-rescue", "disable-qr-rescue")),
        ("disableqrrescue", ("disable-qr-rescue", "enable-qr-rescue", "qr")),
        ("Disable QR rescue", ("disable-qr-rescue", "enable-qr-rescue")),
        ("enabel_qr_recsue", ("enable-qr-rescue", "disable-qr-rescue", "qr")),
        ("re start bob", ("restart", "enable-qr-rescue", "disable-qr-rescue")),
        ("rest rat", ("restart",)),
        ("now restart", ()),
        ("--", ()),
        ("您好", ()),
        ("?", ()),
    ],
)
def test_find_suggests_the_nearest_names_and_runs_none(text: str, suggestions: tuple[str, ...]) -> None:
    """A name that no command has is unknown, with those it may have meant."""
    typed = _typed(text)
    assert find(typed, _ENTRIES, watches=_WATCHES) == Unknown(name=typed.name, suggestions=suggestions)


def test_suggest_bears_no_word_at_all() -> None:
    """Where nothing was typed nothing is suggested, and a word without end is looked at only so far."""
    assert suggest(" ", _ENTRIES) == ()
    assert suggest("qr" + "x" * 10_000, _ENTRIES) == ("qr",)


@given(name=st.sampled_from([entry.command.name for entry in _ENTRIES]), at=st.integers(min_value=0))
def test_suggest_puts_a_name_first_whose_letters_were_transposed_or_lost(name: str, at: int) -> None:
    """Two letters in each other's place, a dash left out or made a space still mean the name."""
    at %= len(name) - 1
    for typo in (name[:at] + name[at + 1] + name[at] + name[at + 2 :], name.replace("-", ""), name.replace("-", " ")):
        assert suggest(typo, _ENTRIES)[0] == name


@given(name=st.text(min_size=1, max_size=20))
def test_suggest_names_only_commands_that_exist(name: str) -> None:
    """At most three names come back, each of a command it was given."""
    suggested = suggest(name, _ENTRIES)
    assert len(suggested) <= 3
    assert set(suggested) <= {entry.command.name for entry in _ENTRIES}


def _canonical(text: str) -> str:
    typed = _typed(text)
    found = find(typed, _ENTRIES, watches=_WATCHES)
    assert isinstance(found, Found)
    return canonical(found.entry, found.watch, found.text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("/QR  Bob", "qr bob"),
        ("Qr “ＣＡＲＯＬ”  now", "qr Carol now"),
        ("log dave", "log dave"),
        ("tail  “a  b” c BOB", "tail “a  b” c bob"),
        ("tail Bob x  y", "tail x  y bob"),
        ("tail carol bob", "tail carol bob"),
        ("sh", "sh"),
        ("SH  ls  —l “a  b”", "sh ls  —l “a  b”"),
        ("sh echo a\nrm b", "sh echo a␊rm b"),
        ("sh echo a\r\n\tb", "sh echo a␍␊␉b"),
        ("sh echo a␊b", r"sh echo a\u240ab"),
        ("sh echo \u202etx\u200dt", r"sh echo \u202etx\u200dt"),
        (r"sh echo \u202e", r"sh echo \x5cu202e"),
        (r"sh grep '\.' \\server", r"sh grep '\.' \\server"),
        ("sh a\xa0b　c", r"sh a\xa0b　c"),
        ("sh \ud800", r"sh \ud800"),
    ],
)
def test_canonical_shows_what_was_understood(text: str, line: str) -> None:
    """The name and the bot by their own names, the rest as typed, on one line with nothing hidden in it."""
    assert _canonical(text) == line


def test_canonical_puts_a_bot_of_two_words_in_quotes() -> None:
    """A bot's name never runs into the text behind it."""
    entry = build([_operation("rescue", _QR)])[0]
    assert canonical(entry, "my bot", "x") == 'qr "my bot" x'
    assert canonical(entry, "my bot", "") == 'qr "my bot"'


@given(
    first=st.text(st.sampled_from('ab \t\r\n\\xu0249e␉␊␍␡\u202e\u200d\u3000\xa0"“') | st.characters(), max_size=12),
    second=st.text(st.sampled_from('ab \t\r\n\\xu0249e␉␊␍␡\u202e\u200d\u3000\xa0"“') | st.characters(), max_size=12),
)
@example(first="\\\u202e", second="\\\\u202e")
@example(first="\t", second="    ")
@example(first="\r\n", second="\n")
def test_canonical_is_never_that_of_another_text(first: str, second: str) -> None:
    """Two texts behind a name give one line only if they are the same text, and it is one line."""
    entry = next(entry for entry in _ENTRIES if entry.command.name == "sh")
    lines = canonical(entry, "bob", first), canonical(entry, "bob", second)
    assert (lines[0] == lines[1]) == (first == second)
    assert all(len(line.splitlines()) == 1 for line in lines)


@given(text=st.text(st.sampled_from("ab =-'\"/.é你") | st.characters(categories=("L", "N", "P", "S")), max_size=30))
def test_canonical_says_the_same_command_when_typed_again(text: str) -> None:
    """A line in which nothing had to be shown is understood as the command it came from."""
    for name in ("sh", "qr bob", "log Carol", "tail bob"):
        first = _typed(f"{name} {text}")
        found = find(first, _ENTRIES, watches=_WATCHES)
        assert isinstance(found, Found)
        line = canonical(found.entry, found.watch, found.text)
        if "\\" not in line:
            assert find(_typed(line), _ENTRIES, watches=_WATCHES) == found


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 500 + "… (501 characters in all)"),
        ("x" * 497 + r"\u202e", "x" * 497 + "… (503 characters in all)"),
        ("x" * 499 + r"\a", "x" * 499 + r"\… (501 characters in all)"),
    ],
)
def test_abridged_shows_a_long_command_by_its_head_and_length(command: str, shown: str) -> None:
    """More than 500 characters are cut, never inside an escape, and the length is said."""
    assert abridged(command) == shown


def test_build_refuses_two_processes_of_one_bot() -> None:
    """One bot has one process, whoever says which; the same said twice is no matter."""
    config = OperationConfig(watch="bob")
    first = Operation(name="a", config=config, process=ProcessSelector(port=80))
    second = Operation(name="b", config=config, process=ProcessSelector(process="bob"))
    with pytest.raises(OperationError, match="two processes are said to be that of 'bob': port 80 and process bob"):
        build((first, second))
    assert build((first, replace(second, process=first.process))) == ()
    assert processes_of((first, replace(second, process=None))) == {"bob": ProcessSelector(port=80)}
