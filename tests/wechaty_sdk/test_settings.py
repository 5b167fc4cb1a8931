"""What is given to the plugin is checked as a configuration file is, when the plugin is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from logmonitor import ConfigurationError, Operation, OperationConfig
from logmonitor.config import BotConfig, ChatConfig, Config, SecurityConfig, WatchConfig
from logmonitor.signing import key_text
from logmonitor.transports.wechaty_sdk.settings import Safety, make_configuration
from operations.qr_rescue import qr_rescue

FOLDER: Final = Path("/srv/bots")
KEY: Final = bytes(range(32))
DEFAULTS: Final[dict[str, Any]] = {
    "watches": (),
    "admins": (),
    "rooms": (),
    "self_log": None,
    "pid_file": None,
    "twin_key": None,
    "require_signed": False,
    "bot_name": "",
    "language": "en",
    "safety": Safety(),
    "folder": FOLDER,
}


def rescue(watch: str | None = "bob", admins: Any = ("AdminWeixin",), name: str = "") -> Operation:  # noqa: ANN401  # wrong ones too
    """Return an operation about a bot."""
    return qr_rescue(OperationConfig(name=name, watch=watch, admins=admins))


def made(*operations: Operation, **settings: object) -> Config:
    """Make a configuration of what is given, and else of defaults."""
    return make_configuration(operations, **{**DEFAULTS, **settings})


async def nothing(*_: object) -> None:
    """Do nothing."""


def test_line_of_the_readme_follows_a_log_by_its_bots_name() -> None:
    """Without watches bob is followed at bob.log, and the bot's name is its own log's."""
    assert made(rescue(), self_log="alice.log") == Config(
        path=FOLDER / "WechatyLogMonitor",
        bot=BotConfig(name="alice", self_log=FOLDER / "alice.log", store=FOLDER / "alice.db"),
        chat=ChatConfig(transport="WechatyLogMonitor", admins=()),
        watches=(WatchConfig(name="bob", logs=("/srv/bots/bob.log",)),),
        security=SecurityConfig(audit=FOLDER / "alice.audit.jsonl", key_file=FOLDER / "alice.key"),
    )


def test_everything_that_can_be_given_arrives() -> None:
    """A name, a key, admins, rooms, a language and a watch with all it has come into the configuration."""
    configuration = made(
        rescue(),
        watches=[WatchConfig(name="bob", logs=("b*.log", "/var/log/bob"), profile="cow")],
        admins=["Boss"],
        rooms=["ops@chatroom"],
        self_log=Path("/var/log/alice-1.log"),
        pid_file="alice.pid",
        twin_key=key_text(KEY),
        require_signed=True,
        bot_name="alice",
        language="zh",
    )
    log = Path("/var/log/alice-1.log")
    assert configuration.bot == BotConfig(
        name="alice",
        language="zh",
        self_log=log,
        pid_file=FOLDER / "alice.pid",
        twin_key=KEY,
        store=Path("/var/log/alice-1.db"),
    )
    assert configuration.chat == ChatConfig(transport="WechatyLogMonitor", admins=("Boss",), rooms=("ops@chatroom",))
    logs = ("/srv/bots/b*.log", "/var/log/bob")
    assert configuration.watches == (WatchConfig(name="bob", logs=logs, profile="cow", require_signed=True),)


def test_pid_file_that_is_another_file_too_is_refused() -> None:
    """A pid would be written over what else is kept there."""
    with pytest.raises(ConfigurationError) as caught:
        made(rescue(), self_log="alice.log", pid_file=Path("/srv/bots/alice.log"))
    assert str(caught.value) == (
        "WechatyLogMonitor: pid_file = '/srv/bots/alice.log': is the self_log too; expected a file of its own"
    )


def test_bot_without_a_log_of_its_own_has_a_name() -> None:
    """Neither a log nor a name given: the bot is called logmonitor."""
    assert made(rescue()).bot == BotConfig(name="logmonitor", store=FOLDER / "logmonitor.db")


def test_admins_of_an_operation_are_not_the_chats() -> None:
    """Who may run one operation's commands may not, by that, run every operation's."""
    assert made(rescue(admins=("One",)), admins=["Two"]).chat.admins == ("Two",)


def test_operation_without_admins_of_its_own_has_the_plugins() -> None:
    """An operation that names no admins is fine where the plugin does."""
    assert made(rescue(admins=None), admins=["Two"]).chat.admins == ("Two",)


def test_operation_about_every_bot_needs_a_watch() -> None:
    """An operation that names no bot works on the watches."""
    watch = WatchConfig(name="bob", logs=("/var/log/bob",))
    assert made(rescue(watch=None), watches=[watch]).watches == (watch,)


@pytest.mark.parametrize(
    ("operations", "settings", "sentence"),
    [
        ([], {}, "nothing to do; expected at least one operation"),
        ([rescue(admins=None)], {}, "operation 'qr_rescue': admins = []: expected at least one, to be told of a loss"),
        (
            [rescue(admins=())],
            {"admins": ["Boss"]},
            "operation 'qr_rescue': admins = []: expected at least one, to be told of a loss",
        ),
        ([rescue(admins="Boss")], {}, "operation 'qr_rescue': admins = 'Boss': expected a list"),
        ([rescue()], {"admins": "Boss"}, "admins = 'Boss': expected a list"),
        ([rescue()], {"admins": ["A", "A"]}, "admins = ['A', 'A']: 'A' stands there twice; expected each once"),
        ([rescue()], {"rooms": "ops"}, "rooms = 'ops': expected a list"),
        ([rescue()], {"language": "de"}, "language = 'de': unknown language; expected 'en' or 'zh'"),
        ([rescue()], {"self_log": ""}, "self_log = '': expected a text that is not empty, on one line"),
        (
            [rescue()],
            {"twin_key": "too-short"},
            "twin_key = '[redacted]': bad twin key; expected the 43 characters that `logmonitor key` prints",
        ),
        ([rescue(watch=None)], {}, "nothing is watched; expected an operation about a bot, or watches"),
        (
            [rescue(watch="../bob")],
            {},
            "watch '../bob': name = '../bob': expected one word of letters, digits, '-' and '_'",
        ),
        (
            [rescue()],
            {"watches": [WatchConfig(name="bob", logs=())]},
            "watch 'bob': logs = []: expected at least one log",
        ),
        (
            [rescue()],
            {"watches": [WatchConfig(name="bob", logs=("b",), profile="cwo")]},
            "watch 'bob': profile = 'cwo': unknown profile; did you mean 'cow'?",
        ),
        (
            [rescue(), rescue(watch="Bob", name="other")],
            {},
            "watch 'Bob': name = 'Bob': is the name of another watch, 'bob'; expected one of its own",
        ),
        (
            [rescue()],
            {"self_log": "bob.log", "bot_name": "alice"},
            (
                "watch 'bob': logs = ['/srv/bots/bob.log']: this bot writes there itself (self_log);"
                " expected another bot's log"
            ),
        ),
        (
            [rescue()],
            {"require_signed": True},
            (
                "watch 'bob': require_signed = true: no signature holds without this bot's twin_key;"
                " expected the key that it shares with its twin"
            ),
        ),
        (
            [rescue()],
            {"twin_key": key_text(KEY), "bot_name": "Bob"},
            (
                "watch 'bob': name = 'bob': is this bot's own name, 'Bob';"
                " expected another, as twins with one key are told apart by name"
            ),
        ),
        (
            [rescue()],
            {"twin_key": key_text(KEY), "self_log": "alice.2.log"},
            (
                "bot_name = 'alice.2': with twin_key its lines are signed under this name, by which its twin has to"
                " watch it; expected one word of letters, digits, '-' and '_'"
            ),
        ),
        (
            [rescue(), rescue(watch="carol")],
            {},
            "two operations have the name 'qr_rescue'; expected a name of its own for each",
        ),
        (
            [rescue(), rescue(name="other")],
            {},
            (
                "operations 'qr_rescue' and 'other' both claim command 'qr'; expected one of them, or operations for"
                " different bots and a command that takes a bot's name"
            ),
        ),
        (
            [rescue(name="logmonitor")],
            {},
            "operation 'logmonitor': name = 'logmonitor': is the program's own name; expected another",
        ),
    ],
)
def test_what_is_wrong_is_refused(operations: list[Operation], settings: dict[str, object], sentence: str) -> None:
    """Each mistake is one sentence that names it, its value unless that is a secret, and what was expected."""
    with pytest.raises(ConfigurationError) as caught:
        made(*operations, **settings)
    assert str(caught.value) == f"WechatyLogMonitor: {sentence}"


def test_everything_that_clashes_is_told_at_once() -> None:
    """What cannot stand side by side is one error, a line for each."""
    with pytest.raises(ConfigurationError) as caught:
        made(rescue(), watches=[WatchConfig(name="bob", logs=("*.log",), profile="cwo")], self_log="alice.log")
    assert str(caught.value).splitlines() == [
        (
            "WechatyLogMonitor: watch 'bob': logs = ['/srv/bots/*.log']: this bot writes there itself (self_log);"
            " expected another bot's log"
        ),
        "WechatyLogMonitor: watch 'bob': profile = 'cwo': unknown profile; did you mean 'cow'?",
    ]


def test_pattern_that_no_engine_takes_is_refused() -> None:
    """An operation's pattern is compiled when the plugin is made, not when the first line comes."""
    operation = Operation(
        name="alert", config=OperationConfig(watch="bob", admins=("A",)), patterns=("(?=x)",), on_batch=nothing
    )
    with pytest.raises(ConfigurationError, match=r"^WechatyLogMonitor: .*\(\?="):
        made(operation)
