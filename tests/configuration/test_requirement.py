"""What commands ask for has to be there for one of their admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.command import RESERVED
from logmonitor.configuration.requirement import Asking, Known, Unmet, askings, find_idle, find_unmet
from logmonitor.operation import Command, Operation, OperationConfig, SecurityRule

if TYPE_CHECKING:
    from logmonitor.operation import Context, Invocation

CONFIRM, TOTP = SecurityRule.CONFIRM, SecurityRule.TOTP
OUT_OF_BAND, PEER = SecurityRule.OUT_OF_BAND, SecurityRule.PEER
ALL: Final = frozenset(SecurityRule)
NAMES: Final = frozenset({"Alice", "Bob"})


async def answer(_context: Context, _invocation: Invocation) -> None:
    """Answer nothing."""


def asking(command: str = "sh", *own: SecurityRule, admins: tuple[str, ...] = ("Alice", "Bob")) -> Asking:
    """Return a command of the operation `shell`."""
    return Asking(operation="shell", command=command, own=frozenset(own), admins=admins)


def texts(
    *commands: Asking,
    rules: tuple[tuple[str, frozenset[SecurityRule]], ...] = (),
    enrolled: frozenset[str] | None = frozenset(),
    channels: frozenset[str] = frozenset(),
) -> list[str]:
    """Return what is unmet."""
    known = Known(names=NAMES, enrolled=enrolled, channels=channels)
    return [one.text for one in find_unmet(commands, rules, known, config="my bots.toml")]


def test_askings_are_every_command_with_those_who_command_it() -> None:
    """An operation's commands are its own admins' and the chat's, the runtime's are the chat's."""
    commands = (Command(name="sh", handler=answer, help="x", security=frozenset({TOTP})),)
    config = OperationConfig(name="mine", admins=("Bob", "Alice"))
    operations = (
        Operation(name="shell", config=config, commands=commands),
        Operation(name="log", config=OperationConfig(), commands=(Command(name="log", handler=answer, help="x"),)),
    )
    found = askings(operations, ["Alice"])
    assert found[: len(RESERVED)] == tuple(
        Asking(operation="logmonitor", command=name, admins=("Alice",)) for name in RESERVED
    )
    assert found[len(RESERVED) :] == (
        Asking(operation="mine", command="sh", own=frozenset({TOTP}), admins=("Alice", "Bob")),
        Asking(operation="log", command="log", admins=("Alice",)),
    )


def test_find_idle_finds_patterns_for_no_command() -> None:
    """A pattern means a command there is, or is told with the one that was meant; what answers rules gets none."""
    commands = (asking("sh"), asking("restart"), Asking(operation="logmonitor", command="status", admins=()))
    patterns = ["sh", "re*", "shell.sh", "*.restart", "*", "logmonitor.*", "status"]
    assert list(find_idle(patterns, commands)) == []
    answers = "is how rules are answered; expected another command"
    assert list(find_idle(["restrat", "shell.shh", "x*", "confirm", "logmonitor.code"], commands)) == [
        ("restrat", "means no command; did you mean 'restart'?"),
        ("shell.shh", "means no command; did you mean 'shell.sh'?"),
        ("x*", "means no command; expected 'restart', 'sh' or 'status'"),
        ("confirm", answers),
        ("logmonitor.code", answers),
    ]


def test_find_unmet_finds_nothing_where_one_admin_has_all() -> None:
    """One admin who is enrolled is enough, as is one with a second channel, and two admins are peers."""
    every = asking("sh", *SecurityRule)
    assert texts(every, enrolled=frozenset({"Bob"}), channels=frozenset({"Alice"})) == []
    assert texts(asking("sh", CONFIRM, admins=("Alice",))) == []
    assert texts(asking("sh", TOTP), enrolled=None) == []


def test_find_unmet_tells_what_to_do() -> None:
    """Each lack is told with its remedy, the words of a shell in quotes where they need them."""
    assert texts(asking("sh", *SecurityRule, admins=("Alice",)), enrolled=frozenset({"Bob"})) == [
        "command 'sh' asks for out_of_band, and none of its admins has a second channel; expected one to 'Alice'",
        "command 'sh' asks for peer, and 'Alice' is its only admin; expected another to confirm",
        (
            "command 'sh' asks for totp, and none of its admins is enrolled;"
            " run: logmonitor totp enroll Alice --config 'my bots.toml'"
        ),
    ]
    (unmet,) = find_unmet([asking("sh", TOTP)], (), Known(names=NAMES, enrolled=frozenset()))
    assert unmet == Unmet(
        operation="shell",
        pattern=None,
        text=(
            "command 'sh' asks for totp, and none of its admins is enrolled; run: logmonitor totp enroll Alice --config"
            " CONFIG.toml, in which [bot] store is this bot's"
        ),
    )


def test_find_unmet_trusts_ids_that_may_be_anybodys() -> None:
    """Who is known by a stable id may be one of the admins, whose ids only the chat knows."""
    every = asking("sh", TOTP, OUT_OF_BAND)
    assert texts(every, enrolled=frozenset({"wxid_1"}), channels=frozenset({"wxid_2"})) == []


@pytest.mark.parametrize("rule", SecurityRule)
def test_find_unmet_tells_that_nobody_is_admin(rule: SecurityRule) -> None:
    """Where a command has no admins nobody can show anything."""
    assert texts(asking("sh", rule, admins=())) == [f"command 'sh' asks for {rule}, and it has no admins"]


def test_find_unmet_names_the_commands_of_a_pattern_once() -> None:
    """What a pattern adds to several commands is one finding; what they ask for themselves is another."""
    commands = (asking("sh"), asking("restart"), asking("kill", TOTP), asking("log"))
    rules = (("[sk]*", ALL), ("s*", frozenset({TOTP})), ("shell.*", frozenset({TOTP, CONFIRM})))
    known = Known(names=NAMES, enrolled=frozenset())
    lack = "for totp, and none of its admins is enrolled; run: logmonitor totp enroll Alice --config a.toml"
    assert find_unmet((*commands, asking("kill-all", TOTP)), rules, known, config="a.toml") == (
        Unmet(operation="", pattern="s*", text=f"command 'sh' asks {lack}"),
        Unmet(operation="", pattern="shell.*", text=f"commands 'restart' and 'log' ask {lack}"),
        Unmet(operation="shell", pattern=None, text=f"commands 'kill' and 'kill-all' ask {lack}"),
    )
