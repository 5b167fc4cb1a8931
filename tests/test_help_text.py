"""What the help says."""

from __future__ import annotations

import pytest

from logmonitor.command import Entry
from logmonitor.help_text import help_lines
from logmonitor.operation import Command, Context, Invocation, Right, SecurityRule


async def _handler(_context: Context, _invocation: Invocation) -> None:
    """Do nothing: what runs is the runtime's affair."""


def _entry(command: Command, *, operation: str = "operation", watch: str | None = None) -> Entry:
    return Entry(operation=operation, watch=watch, command=command)


def _command(name: str, *, usage: str = "", help_: str = "do it", timeout: float = 60.0) -> Command:
    return Command(name=name, handler=_handler, help=help_, usage=usage, timeout=timeout)


_QR = Command(name="qr", handler=_handler, help="send the QR", usage="[BOT]", takes_watch=True, right=Right.GRANT)
_SHELL = Command(
    name="sh",
    handler=_handler,
    help="run a shell command",
    usage="COMMAND",
    security=frozenset({SecurityRule.TOTP, SecurityRule.CONFIRM}),
)
_STATUS = Command(name="status", handler=_handler, help="tell how all is", right=Right.ANYONE)
_ENTRIES = (
    _entry(_STATUS),
    _entry(_QR, operation="rescue-bob", watch="bob"),
    _entry(_QR, operation="rescue-carol", watch="Carol"),
    _entry(_SHELL, operation="shell", watch="bob"),
    _entry(_command("log")),
)


def _chinese(text: str) -> str:
    catalogue = {
        "{command}: {help}": "{command}：{help}",
        "send the QR": "发送二维码",
        "[BOT]": "[机器人]",
        "Bots: {bots}": "机器人：{bots}",
        "Has to be confirmed.": "需要确认。",
    }
    return catalogue.get(text, text) if text else "the header of a catalogue"


def _help(name: str | None = None) -> tuple[str, ...]:
    return help_lines(_ENTRIES, translate=_chinese, name=name)


def test_help_lines_has_one_translated_row_for_each_command() -> None:
    """A command that two operations share is listed once, and one without usage stands alone."""
    assert _help() == (
        "status：tell how all is",
        "qr [机器人]：发送二维码",
        "sh COMMAND：run a shell command",
        "log：do it",
    )


def test_help_lines_tells_all_about_one_command() -> None:
    """Usage, sentence, the bots it is about where these are not all, who may run it, and what it asks for."""
    granted = "For admins, and for whom an admin has granted it."
    assert _help("qr") == ("qr [机器人]", "发送二维码", "机器人：bob, Carol", granted)
    assert _help("/ＱＲ") == _help("qr")
    assert _help("log") == ("log", "do it", "For admins only.")
    assert _help("status") == ("status", "tell how all is", "For everybody.")
    assert _help("sh") == (
        "sh COMMAND",
        "run a shell command",
        "机器人：bob",
        "For admins only.",
        "Asks for a one-time code.",
        "需要确认。",
    )
    assert _help("qt") == ()


def test_help_lines_tells_the_rules_that_hold() -> None:
    """What a configuration adds to a command is told, and in the order in which it is asked for."""
    rows = help_lines(_ENTRIES, translate=str, name="log", rules=lambda _entry: frozenset(SecurityRule))
    assert rows[3:] == (
        "Asks for a one-time code.",
        "A code comes over your second channel.",
        "Has to be confirmed.",
        "Another admin has to confirm.",
    )


def test_help_lines_tells_bots_apart_whose_rules_differ() -> None:
    """Where a command asks for one thing for one bot and for another for the next, each is told by itself."""

    def rules(entry: Entry) -> frozenset[SecurityRule]:
        return frozenset({SecurityRule.PEER}) if entry.watch == "bob" else frozenset()

    granted = "For admins, and for whom an admin has granted it."
    assert help_lines(_ENTRIES, translate=str, name="qr", rules=rules)[3:] == (
        "bob:",
        granted,
        "Another admin has to confirm.",
        "Carol:",
        granted,
    )


@pytest.mark.parametrize(
    ("seconds", "deadline"),
    [
        (0.5, "0.5 s"),
        (30, "30 s"),
        (90, "90 s"),
        (300, "5 min"),
        (5400, "5400 s"),
        (7200, "2 h"),
        (172_800, "2 days"),
        (176_400, "176400 s"),
    ],
)
def test_help_lines_tells_a_deadline_that_is_not_the_usual_one(seconds: float, deadline: str) -> None:
    """A deadline is told exactly, and the usual one not at all."""
    entries = [_entry(_command("log", timeout=seconds))]
    assert help_lines(entries, translate=str, name="log")[-1] == f"Is ended after {deadline}."
    assert help_lines([_entry(_command("log"))], translate=str, name="log")[-1] == "For admins only."
