"""What secures commands, as a configuration says it, and what is refused of that."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest
from cryptography.fernet import Fernet

from logmonitor.channel.apprise_url import check_urls
from logmonitor.config import Config, SecondChannelConfig, SecurityConfig, load
from logmonitor.configuration.security import passwords_of
from logmonitor.errors import ConfigurationError
from logmonitor.operation import SecurityRule
from logmonitor.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS: Final = """
from logmonitor import Command, Operation, SecurityRule

async def answer(context, invocation): ...

def shell(config, *, security: tuple[str, ...] = ()) -> Operation:
    rules = frozenset(map(SecurityRule, security))
    names = {"sh": rules, "restart": frozenset()}
    commands = tuple(Command(name=name, handler=answer, help="x", security=own) for name, own in names.items())
    return Operation(name="shell", config=config, commands=commands)
"""
BOT: Final = '[bot]\nname = "alice"\n'
CHAT: Final = '[chat]\ntransport = "stdio"\nadmins = ["AdminWeixin"]\n'
WATCH: Final = '[[watch]]\nname = "bob"\nlog = "bob.log"\n'
SHELL: Final = '[[operation]]\nuse = "security_kit:shell"\n'
FINE: Final = BOT + CHAT + WATCH + SHELL
CHANNEL: Final = '[[second_channel]]\nadmin = "AdminWeixin"\nurl = "json://u:hunter22@127.0.0.1"\n'
KEY: Final = Fernet.generate_key().decode()
AT: Final = datetime(2026, 11, 20, tzinfo=UTC)
ENROLL: Final = "run: logmonitor totp enroll AdminWeixin --config"
CONFIRM, TOTP, PEER = SecurityRule.CONFIRM, SecurityRule.TOTP, SecurityRule.PEER


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with an operation in it."""
    (tmp_path / "security_kit.py").write_text(OPERATIONS)
    search = sys.path[:]
    yield tmp_path.resolve()
    sys.path[:] = search
    sys.modules.pop("security_kit", None)


def read(folder: Path, text: str, *, is_enrolling: bool = False, **environ: str) -> Config:
    """Load `text` as the file `bots.toml`."""
    path = folder / "bots.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=environ, is_enrolling=is_enrolling)


def findings(folder: Path, text: str, *, is_enrolling: bool = False, **environ: str) -> list[str]:
    """Return what is found in `text`, without the name of the file before each."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text, is_enrolling=is_enrolling, **environ)
    start = f"{folder / 'bots.toml'}: "
    return [line.removeprefix(start) for line in str(caught.value).splitlines()]


def test_load_reads_what_secures_commands(folder: Path) -> None:
    """The example of the documentation gives these records."""
    (folder / "state").mkdir()
    with Store(folder / "state" / "alice.db") as store:
        store.enrol("AdminWeixin", b"sealed", recovery=(), at=AT)
    config = read(
        folder,
        """
        [bot]
        name = "alice"
        timezone = "Asia/Shanghai"
        store = "state/alice.db"

        [chat]
        transport = "stdio"
        admins = ["AdminWeixin", "Deputy"]

        [[watch]]
        name = "bob"
        log = "bob.log"

        [[operation]]
        use = "security_kit:shell"
        security = ["confirm"]

        [security]
        audit = "/var/log/alice.audit.jsonl"
        key_file = "~/alice.key"
        key = "${KEY}"
        max_age = 30

        [security.rules]
        "sh*" = ["totp"]
        "shell.restart" = ["confirm", "peer"]
        "logmonitor.grant" = ["out_of_band"]

        [[second_channel]]
        admin = "AdminWeixin"
        url = "${SMS}"

        [[second_channel]]
        admin = "wxid_1"
        url = "mailtos://me:hunter%202@example.org"
        """,
        KEY=KEY,
        SMS="ntfys://token@example.org/topic",
    )
    assert config.bot.timezone == ZoneInfo("Asia/Shanghai")
    assert config.bot.store == folder / "state" / "alice.db"
    assert config.security == SecurityConfig(
        audit=Path("/var/log/alice.audit.jsonl"),
        key_file=Path.home() / "alice.key",
        key=KEY,
        rules=(
            ("sh*", frozenset({TOTP})),
            ("shell.restart", frozenset({CONFIRM, PEER})),
            ("logmonitor.grant", frozenset({SecurityRule.OUT_OF_BAND})),
        ),
        max_age=30.0,
    )
    assert config.second_channels == (
        SecondChannelConfig(admin="AdminWeixin", url="ntfys://token@example.org/topic"),
        SecondChannelConfig(admin="wxid_1", url="mailtos://me:hunter%202@example.org"),
    )


def test_load_puts_what_lasts_beside_the_configuration(folder: Path) -> None:
    """Without a word about it store, audit and key lie beside the file under its name, and nothing is made yet."""
    config = read(folder, FINE)
    assert config.bot.store == folder / "bots.db"
    assert config.security == SecurityConfig(audit=folder / "bots.audit.jsonl", key_file=folder / "bots.key")
    assert config.second_channels == ()
    assert read(folder, FINE + "[security]\naudit = false\n").security.audit is None
    assert not list(folder.glob("bots.[!t]*"))


def test_load_shows_no_secret_of_security(folder: Path) -> None:
    """Where a second channel leads, its password, and the key are secrets, told by their keys where others can read."""
    config = read(folder, FINE + f'[security]\nkey = "{KEY}"\n' + CHANNEL)
    (folder / "bots.toml").chmod(0o644)
    exposed = load(folder / "bots.toml", environ={}).exposed
    assert set(config.secrets) == {KEY, "json://u:hunter22@127.0.0.1", "hunter22"}
    assert exposed == ("[security] key", "[[second_channel]] #1 url")
    assert [secret for secret in (KEY, "hunter22", "127.0.0.1") if secret in repr(config)] == []


def test_passwords_are_taken_out_of_urls_that_are_any() -> None:
    """A password is as it is typed, not as the URL spells it; what is no URL to others has none."""
    urls = ("mailtos://me:hunter%2022@example.org", "ntfys://example.org/topic", "x://u:abc@h", "odd://[u:hunter33@h")
    assert passwords_of(urls) == ("hunter 22",)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("audit = true", "] audit = true: expected the path of a file in quotes, or false to keep no record"),
        ("audit = 1", "] audit = 1: expected the path of a file in quotes, or false to keep no record"),
        ("audit = ''", "] audit = '': expected the path of a file"),
        ("key_file = ''", "] key_file = '': expected the path of a file"),
        ("key_file = false", "] key_file = false: expected a text in quotes"),
        ('key_file = "a\\u0000b"', "] key_file = 'a\\x00b': expected the path of a file"),
        ("keyfile = 'x'", "] keyfile: unknown key; did you mean 'key_file'?"),
        (
            "key = 'hunter22'",
            (
                "] key = '[redacted]': it is no key; expected the 44 characters of a Fernet key, as `logmonitor totp"
                " enroll` makes one"
            ),
        ),
        ("max_age = 0", "] max_age = 0: expected at least 1"),
        ("max_age = -1", "] max_age = -1: expected at least 1"),
        ("max_age = 3601", "] max_age = 3601: expected at most 3600"),
        ("max_age = inf", "] max_age = inf: expected a finite number"),
        ("max_age = nan", "] max_age = nan: expected a finite number"),
        ("max_age = '60'", "] max_age = '60': expected a number"),
        ("rules = []", "] rules = []: expected a table"),
        ("rule = {}", ".rule]: unknown key; did you mean 'rules'?"),
    ],
)
def test_load_tells_what_is_wrong_with_a_key_of_security(folder: Path, line: str, sentence: str) -> None:
    """Each wrong value gives one sentence with its place and what was expected."""
    assert findings(folder, FINE + f"[security]\n{line}\n") == [f"[security{sentence}"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "sh = []",
            "sh = []: expected at least one rule; rules are only ever added to those a command has, never taken",
        ),
        ("sh = 'totp'", "sh = 'totp': expected a list"),
        (
            "sh = ['confirm', 'topt']",
            "sh #2 = 'topt': expected 'confirm', 'totp', 'out_of_band' or 'peer'; did you mean 'totp'?",
        ),
        ("sh = ['zzz']", "sh #1 = 'zzz': expected 'confirm', 'totp', 'out_of_band' or 'peer'"),
        ("sh = [1]", "sh #1 = 1: expected 'confirm', 'totp', 'out_of_band' or 'peer'"),
        ("shh = ['confirm']", "shh: means no command; did you mean 'sh'?"),
        ("SH = ['confirm']", "SH: means no command; did you mean 'sh'?"),
        ("'shel.sh' = ['confirm']", "'shel.sh': means no command; did you mean 'shell.sh'?"),
        ("confirm = ['totp']", "confirm: is how rules are answered; expected another command"),
    ],
)
def test_load_tells_what_is_wrong_with_a_rule(folder: Path, line: str, sentence: str) -> None:
    """A rule that is none, or is for no command, is told at its key."""
    assert findings(folder, FINE + f"[security.rules]\n{line}\n") == [f"[security.rules] {sentence}"]


def test_load_holds_rules_against_no_command_where_one_is_not_known(folder: Path) -> None:
    """An operation that cannot be made has commands that nobody knows: no rule is told to mean none."""
    text = FINE + '[[operation]]\nuse = "qr_rescu"\n[security.rules]\nother = ["confirm"]\n'
    assert findings(folder, text) == ["[[operation]] #2 use = 'qr_rescu': unknown operation; did you mean 'qr_rescue'?"]


def test_load_refuses_a_code_that_nobody_can_give(folder: Path) -> None:
    """A command that asks for a one-time code needs an admin who is enrolled; who is enrolling is let through."""
    config = folder / "bots.toml"
    own = FINE + 'security = ["totp"]\n'
    added = FINE + '[security.rules]\n"*" = ["totp"]\n'
    assert findings(folder, own) == [
        f"[[operation]] #1: command 'sh' asks for totp, and none of its admins is enrolled; {ENROLL} {config}"
    ]
    (found,) = findings(folder, added)
    assert found.startswith("[security.rules] '*' = ['totp']: commands 'help', 'status', ")
    assert found.endswith(f"'sh' and 'restart' ask for totp, and none of its admins is enrolled; {ENROLL} {config}")
    assert read(folder, own, is_enrolling=True).operations
    with Store(folder / "bots.db") as store:
        store.enrol("AdminWeixin", b"sealed", recovery=(), at=AT)
    assert read(folder, own).operations
    assert read(folder, added).operations


def test_load_counts_an_operations_own_admins(folder: Path) -> None:
    """Who commands an operation alone may be the one who is enrolled for it, and for nothing else."""
    with Store(folder / "bots.db") as store:
        store.enrol("Deputy", b"sealed", recovery=(), at=AT)
    text = FINE + 'admins = ["Deputy"]\n[security.rules]\n'
    assert read(folder, text + 'sh = ["totp", "peer"]\n').security.rules
    assert findings(folder, text + 'grant = ["totp"]\n') == [
        (
            "[security.rules] grant = ['totp']: command 'grant' asks for totp, and none of its admins is enrolled;"
            f" {ENROLL} {folder / 'bots.toml'}"
        )
    ]


def test_load_is_not_stopped_by_a_store_that_cannot_be_read(folder: Path) -> None:
    """A damaged store ends no rescue: that its codes count no more is told once the program runs."""
    (folder / "bots.db").write_bytes(b"no database" * 1000)
    assert read(folder, FINE + 'security = ["totp"]\n').bot.store == folder / "bots.db"


def test_load_refuses_a_second_channel_or_a_peer_that_is_not_there(folder: Path) -> None:
    """A code over a second channel needs a channel, another's confirmation another admin."""
    text = FINE + 'security = ["out_of_band", "peer"]\n'
    assert findings(folder, text) == [
        (
            "[[operation]] #1: command 'sh' asks for out_of_band, and none of its admins has a second channel;"
            " expected one to 'AdminWeixin'"
        ),
        (
            "[[operation]] #1: command 'sh' asks for peer, and 'AdminWeixin' is its only admin;"
            " expected another to confirm"
        ),
    ]
    assert read(folder, text.replace('"AdminWeixin"', '"AdminWeixin", "Deputy"') + CHANNEL).second_channels


@pytest.mark.parametrize(
    ("table", "sentences"),
    [
        (
            '[[second_channel]]\nadmin = "AdminWeixin"\n',
            ["[[second_channel]] #1 url: missing; expected a text in quotes"],
        ),
        (
            CHANNEL.replace("json", "jsno"),
            ["[[second_channel]] #1 url = '[redacted]': unknown service; did you mean 'json://'?"],
        ),
        (
            CHANNEL.replace("json://u:hunter22@127.0.0.1", "hunter22"),
            [
                (
                    "[[second_channel]] #1 url = '[redacted]': expected an Apprise URL, such as 'ntfys://<HOST>/<TOPIC>'"
                    " or 'mailtos://<USER>:<PASSWORD>@<HOST>'"
                )
            ],
        ),
        (
            CHANNEL.replace("AdminWeixin", "adminweixin"),
            [
                (
                    "[[second_channel]] #1 admin = 'adminweixin': is no admin of this configuration;"
                    " did you mean 'AdminWeixin'?"
                )
            ],
        ),
        (
            CHANNEL + CHANNEL,
            ["[[second_channel]] #2 admin = 'AdminWeixin': has another second channel; expected one for each"],
        ),
        (
            CHANNEL.replace("[[", "[").replace("]]", "]"),
            ["[second_channel]: expected [[second_channel]], in double brackets, one for each"],
        ),
        ("[[security]]\n", ["[[security]]: expected [security], once, in single brackets"]),
        ("[[secondchannel]]\n", ["[[secondchannel]]: unknown table; did you mean [[second_channel]]?"]),
        ("[secruity]\n", ["[secruity]: unknown table; did you mean [security]?"]),
    ],
)
def test_load_tells_what_is_wrong_with_a_table(folder: Path, table: str, sentences: list[str]) -> None:
    """A second channel is to somebody, once, by a URL that Apprise takes, and is quoted by nobody."""
    assert findings(folder, FINE + table) == sentences


def test_load_needs_no_environment_of_the_service_while_enrolling(folder: Path) -> None:
    """On the command line neither chat, watches nor second channels are looked at, and their secrets are not needed."""
    text = (
        FINE.replace("[chat]", 'store = "kept.db"\ntwin_key = "${TWIN_KEY}"\nself_log = "${LOG}"\n[chat]')
        .replace('"stdio"', '"wechaty"\nendpoint = "${HOST}"\ntoken = "${PIN}"')
        .replace("bob.log", "${BOB}")
        .replace(SHELL, SHELL + 'watch = "bob"\nsecurity = ["totp", "out_of_band"]\n')
    )
    channel = '[[second_channel]]\nadmin = "AdminWeixin"\nurl = "${SMS}"\n'
    config = read(folder, text + channel, is_enrolling=True, PIN="hunter22")
    assert (config.bot.store, config.bot.self_log) == (folder / "kept.db", None)
    assert (config.chat.transport, config.chat.admins, config.chat.parameters) == ("wechaty", ("AdminWeixin",), {})
    assert [entry.config.watch for entry in config.operations] == ["bob"]
    assert (config.watches, config.second_channels, config.secrets) == ((), (), ("hunter22",))
    assert len(findings(folder, text + channel)) == 6


def test_load_needs_no_more_than_bot_and_chat_while_enrolling(folder: Path) -> None:
    """For a bot that is code a configuration of a few lines says where its store is and who its admins are."""
    config = read(folder, BOT + 'store = "alice.db"\n' + CHAT.replace("stdio", "wechaty"), is_enrolling=True)
    assert (config.bot.store, config.chat.admins) == (folder / "alice.db", ("AdminWeixin",))


def test_load_needs_what_lasts_while_enrolling(folder: Path) -> None:
    """What says where something lasts, or who is an admin, has to be there on the command line too."""
    text = (
        FINE.replace("[chat]", 'store = "${STORE}"\n[chat]').replace('"AdminWeixin"', '"${WHO}"')
        + '[security]\nkey = "${KEY}"\naudit = 1\n'
    )
    assert findings(folder, text, is_enrolling=True) == [
        "[bot] store = '${STORE}': environment variable STORE is not set",
        "[chat] admins #1 = '${WHO}': environment variable WHO is not set",
        "[security] key = '[redacted]': environment variable KEY is not set",
        "[security] audit = 1: expected the path of a file in quotes, or false to keep no record",
    ]
    assert findings(folder, BOT + "[secruity]\n", is_enrolling=True) == [
        "no [chat]; expected one",
        "[secruity]: unknown table; did you mean [security]?",
    ]


def test_load_tells_a_second_channel_that_cannot_be_had_once(folder: Path) -> None:
    """Where the URL of a second channel is not set, or wrong, its admin is not said to have none."""
    text = FINE.replace(SHELL, SHELL + 'security = ["out_of_band"]\n')
    channel = '[[second_channel]]\nadmin = "AdminWeixin"\nurl = "${SMS}"\n'
    assert findings(folder, text + channel) == [
        "[[second_channel]] #1 url = '[redacted]': environment variable SMS is not set"
    ]
    (wrong,) = findings(folder, text + channel, SMS="jsno://127.0.0.1")
    assert wrong.startswith("[[second_channel]] #1 url = '[redacted]': unknown service")


def test_load_names_variables_of_security_that_are_not_set(folder: Path) -> None:
    """What the environment lacks is told once, each at its place."""
    text = FINE + '[security]\nkey = "${KEY}"\n[[second_channel]]\nadmin = "AdminWeixin"\nurl = "${SMS}"\n'
    assert findings(folder, text) == [
        "[security] key = '[redacted]': environment variable KEY is not set",
        "[[second_channel]] #1 url = '[redacted]': environment variable SMS is not set",
    ]
    assert findings(folder, text, KEY="hunter22", SMS="json://127.0.0.1") == [
        (
            "[security] key = '[redacted]': it is no key; expected the 44 characters of a Fernet key, as `logmonitor"
            " totp enroll` makes one"
        )
    ]


def test_load_tells_that_apprise_does_not_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation of Apprise is a finding, where a second channel is wanted."""

    def refuse(_urls: object) -> tuple[str, ...]:
        raise ConfigurationError("Apprise failed with ImportError")

    monkeypatch.setattr("logmonitor.configuration.security.check_urls", refuse)
    assert findings(folder, FINE + CHANNEL) == ["[[second_channel]]: Apprise failed with ImportError"]
    assert check_urls(()) == ()


@pytest.mark.parametrize(
    ("bot", "security", "sentence"),
    [
        ('self_log = "a"\nstore = "a"\n', "", "[bot] store = 'a': is the self_log too"),
        ('store = "a"\n', 'audit = "./x/../a"\n', "[security] audit = './x/../a': is the store too"),
        ('store = "a"\n', 'audit = "a-wal"\n', "[security] audit = 'a-wal': is the store too"),
        ('store = "bots.audit.jsonl"\n', "", "[bot] store = 'bots.audit.jsonl': is the audit too"),
        ("", 'key_file = "bots.db"\n', "[security] key_file = 'bots.db': is the store too"),
        ("", 'audit = "bots.toml"\n', "[security] audit = 'bots.toml': is the configuration itself"),
        ('store = "bots.toml"\n', "", "[bot] store = 'bots.toml': is the configuration itself"),
    ],
)
def test_load_refuses_one_file_for_two_things(folder: Path, bot: str, security: str, sentence: str) -> None:
    """Store, audit, key, log and configuration are files of their own; the one that is named is wrong."""
    text = FINE.replace("[chat]", f"{bot}[chat]") + f"[security]\n{security}"
    assert findings(folder, text) == [f"{sentence}; expected a file of its own"]


def test_load_refuses_a_configuration_by_the_name_of_its_store(folder: Path) -> None:
    """A configuration called like what would lie beside it is told so, by the key that helps."""
    path = folder / "alice.db"
    path.write_text(FINE)
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ={})
    assert str(caught.value) == f"{path}: [bot] store: is the configuration itself; expected a file of its own"
    path = path.rename(folder / "alice.key")
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ={})
    assert str(caught.value) == f"{path}: [security] key_file: is the configuration itself; expected a file of its own"


@pytest.mark.parametrize(
    ("log", "fields"),
    [
        ("bots.db", "store"),
        ("*.db-wal", "store"),
        ("*.jsonl", "audit"),
        ("bots.k*", "key_file"),
        ("**/*", "store, audit, key_file"),
    ],
)
def test_load_refuses_to_follow_what_it_writes(folder: Path, log: str, fields: str) -> None:
    """No watch reaches a file of this bot itself."""
    assert findings(folder, FINE.replace("bob.log", log)) == [
        f"[[watch]] #1 log = {log!r}: this bot writes there itself ({fields}); expected another bot's log"
    ]


@pytest.mark.parametrize("max_age", [0.0, -1.0, float("nan"), float("inf"), 3601.0])
def test_security_config_refuses_an_age_that_lets_in_everything_or_nothing(max_age: float) -> None:
    """A record made by a program has the same bounds."""
    with pytest.raises(ConfigurationError, match=r"^bad max_age .*; expected seconds above 0, at most 3600$"):
        SecurityConfig(max_age=max_age)
