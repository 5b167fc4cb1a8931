"""What secures commands is given to the plugin as a configuration says it, and refused as there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest
from cryptography.fernet import Fernet

from logmonitor import Command, ConfigurationError, Operation, OperationConfig
from logmonitor.config import Config, SecondChannelConfig, SecurityConfig
from logmonitor.operation import SecurityRule
from logmonitor.signing import key_text
from logmonitor.store import Store
from logmonitor.transports.wechaty_sdk.settings import Safety, make_configuration

if TYPE_CHECKING:
    from logmonitor import Context, Invocation

TWIN_KEY: Final = key_text(bytes(range(32)))
KEY: Final = Fernet.generate_key().decode()
URL: Final = "json://u:hunter22@127.0.0.1"


async def answer(_context: Context, _invocation: Invocation) -> None:
    """Answer nothing."""


def shell(*security: SecurityRule, admins: tuple[str, ...] = ("Boss",)) -> Operation:
    """Return an operation with a command that asks for something."""
    command = Command(name="sh", handler=answer, help="x", security=frozenset(security))
    return Operation(name="shell", config=OperationConfig(watch="bob", admins=admins), commands=(command,))


def made(
    folder: Path,
    *operations: Operation,
    self_log: str | None = None,
    twin_key: str | None = None,
    **safety: Any,  # noqa: ANN401  # wrong ones too
) -> Config:
    """Make a configuration of what is given about safety, and else of defaults."""
    return make_configuration(
        operations or (shell(),),
        watches=(),
        admins=("Admin",),
        rooms=(),
        self_log=self_log,
        pid_file=None,
        twin_key=twin_key,
        require_signed=False,
        bot_name="alice",
        language="en",
        safety=Safety(**safety),
        folder=folder,
    )


def test_what_lasts_lies_beside_the_bots_own_log(tmp_path: Path) -> None:
    """As `alice.db` beside `alice.log`, and without a log under the program's name in the folder."""
    config = made(tmp_path, self_log="logs/alice.log")
    assert config.bot.store == tmp_path / "logs" / "alice.db"
    assert config.security == SecurityConfig(
        audit=tmp_path / "logs" / "alice.audit.jsonl", key_file=tmp_path / "logs" / "alice.key"
    )
    config = made(tmp_path)
    assert config.bot.store == tmp_path / "logmonitor.db"
    assert config.security == SecurityConfig(
        audit=tmp_path / "logmonitor.audit.jsonl", key_file=tmp_path / "logmonitor.key"
    )


def test_everything_about_safety_arrives(tmp_path: Path) -> None:
    """Paths, key, age, zone, rules and channels come into the configuration, and secrets among its secrets."""
    config = made(
        tmp_path,
        twin_key=TWIN_KEY,
        timezone="Asia/Shanghai",
        store=Path("kept.db"),
        audit=Path("/var/log/alice.audit"),
        key_file="alice.key",
        key=KEY,
        max_age=30,
        rules={"s*": ["confirm"], "shell.sh": {SecurityRule.PEER, SecurityRule.OUT_OF_BAND}},
        second_channels={"Boss": URL},
    )
    assert (config.bot.timezone, config.bot.store) == (ZoneInfo("Asia/Shanghai"), tmp_path / "kept.db")
    assert config.security == SecurityConfig(
        audit=Path("/var/log/alice.audit"),
        key_file=tmp_path / "alice.key",
        key=KEY,
        max_age=30.0,
        rules=(
            ("s*", frozenset({SecurityRule.CONFIRM})),
            ("shell.sh", frozenset({SecurityRule.PEER, SecurityRule.OUT_OF_BAND})),
        ),
    )
    assert config.second_channels == (SecondChannelConfig(admin="Boss", url=URL),)
    assert config.secrets == (TWIN_KEY, KEY, URL, "hunter22")
    assert [secret for secret in (TWIN_KEY, KEY, "hunter22") if secret in repr(config)] == []
    assert made(tmp_path, audit=False).security.audit is None


@pytest.mark.parametrize(
    ("safety", "sentence"),
    [
        ({"store": ""}, "store = '': expected the path of a file"),
        ({"audit": True}, "audit = true: expected the path of a file in quotes, or false to keep no record"),
        ({"timezone": "Asia/Shangai"}, "timezone = 'Asia/Shangai': unknown time zone; did you mean 'Asia/Shanghai'?"),
        ({"max_age": 0}, "max_age = 0: expected at least 1"),
        (
            {"key": "hunter22"},
            "key is no key; expected the 44 characters of a Fernet key, as `logmonitor totp enroll` makes one",
        ),
        ({"rules": {"sh": "totp"}}, "[rules] sh = 'totp': expected a list"),
        (
            {"rules": {"sh": []}},
            (
                "[rules] sh = []: expected at least one rule; rules are only ever added to those a command has, never"
                " taken"
            ),
        ),
        (
            {"rules": {"sh": ["topt"]}},
            ("[rules] sh #1 = 'topt': expected 'confirm', 'totp', 'out_of_band' or 'peer'; did you mean 'totp'?"),
        ),
        ({"rules": {"shh": ["confirm"]}}, "rules 'shh': means no command; did you mean 'sh'?"),
        (
            {"second_channels": {"Boss": "jsno://u:hunter22@127.0.0.1"}},
            "second_channels 'Boss': unknown service; did you mean 'json://'?",
        ),
        ({"store": "a", "audit": "a"}, "audit = '/srv/bots/a': is the store too; expected a file of its own"),
        (
            {"store": "bob.log"},
            (
                "watch 'bob': logs = ['/srv/bots/bob.log']: this bot writes there itself (store);"
                " expected another bot's log"
            ),
        ),
    ],
)
def test_what_is_wrong_about_safety_is_refused(safety: dict[str, Any], sentence: str) -> None:
    """Each mistake is one sentence that names it, its value unless that is a secret, and what was expected."""
    with pytest.raises(ConfigurationError) as caught:
        made(Path("/srv/bots"), **safety)
    assert str(caught.value) == f"WechatyLogMonitor: {sentence}"


def test_what_nobody_could_show_is_refused_at_once(tmp_path: Path) -> None:
    """A code needs an admin who is enrolled, a second channel or another admin somebody who has or is one."""
    with pytest.raises(ConfigurationError) as caught:
        made(tmp_path, shell(SecurityRule.TOTP, SecurityRule.OUT_OF_BAND), rules={"status": ["peer"]})
    assert str(caught.value).splitlines() == [
        (
            "WechatyLogMonitor: rules 'status': command 'status' asks for peer, and 'Admin' is its only admin;"
            " expected another to confirm"
        ),
        (
            "WechatyLogMonitor: operation 'shell': command 'sh' asks for out_of_band, and none of its admins has a"
            " second channel; expected one to 'Admin' or 'Boss'"
        ),
        (
            "WechatyLogMonitor: operation 'shell': command 'sh' asks for totp, and none of its admins is enrolled; run:"
            " logmonitor totp enroll Admin --config CONFIG.toml, in which [bot] store is this bot's"
        ),
    ]
    with Store(tmp_path / "logmonitor.db") as store:
        store.enrol("Boss", b"sealed", recovery=(), at=datetime(2026, 11, 20, tzinfo=UTC))
    assert made(tmp_path, shell(SecurityRule.TOTP)).bot.store == tmp_path / "logmonitor.db"
