"""A configuration, read and checked as a whole."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logmonitor.config import (
    BotConfig,
    ChatConfig,
    Config,
    OperationEntry,
    SecurityConfig,
    WatchConfig,
    build_operations,
    build_transport,
    load,
)
from logmonitor.errors import ConfigurationError, ProfileError
from logmonitor.operation import OperationConfig
from logmonitor.signing import key_text

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS = """
from logmonitor import Command, Operation, OperationError

async def answer(context, invocation): ...
async def on_batch(context, batch): ...

def alert(config, *, match: str, quiet: float = 300.0, label: str = "") -> Operation:
    if quiet < 0:
        raise OperationError(f"bad quiet {quiet!r} for {match!r}; expected seconds above 0")
    return Operation(name="alert", config=config, patterns=(match,), on_batch=on_batch)

def greet(config, *, takes_watch: bool = True, command: str = "greet") -> Operation:
    commands = (Command(name=command, handler=answer, help="greet", takes_watch=takes_watch),)
    return Operation(name="greet", config=config, commands=commands)

def clash(config, *, admins: str) -> Operation: ...

class Chat:
    def __init__(self, *, token: str, bot: str, port: int = 80): self.token, self.bot, self.port = token, bot, port
    limits = health = messages = resolve = send = __aenter__ = __aexit__ = None

class Plain:
    def __init__(self, *, token: str = "", port: int = 80): ...
    limits = health = messages = resolve = send = __aenter__ = __aexit__ = None

class Strict(Plain):
    def __init__(self, *, token: str): raise ValueError(f"bad token {token!r}")

class Admins:
    def __init__(self, *, admins: int): ...
"""
BOT = '[bot]\nname = "alice"\n'
CHAT = '[chat]\ntransport = "stdio"\nadmins = ["AdminWeixin"]\n'
WATCH = '[[watch]]\nname = "bob"\nlog = "bob.log"\n'
KEY = bytes(range(32))
TABLES = "[bot], [chat], [[watch]], [[operation]], [security], [[second_channel]], [[fallback]]"
SIGNED = BOT + f'twin_key = "{key_text(KEY)}"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a module of operations in it."""
    folder = tmp_path_factory.mktemp("config").resolve()
    (folder / "kit.py").write_text(OPERATIONS)
    search, modules = sys.path[:], sys.modules.copy()
    yield folder
    sys.path[:] = search
    sys.modules.clear()
    sys.modules.update(modules)


def read(folder: Path, text: str, **environ: str) -> Config:
    """Load `text` as the file `bots.toml`."""
    path = folder / "bots.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=environ)


def findings(folder: Path, text: str, **environ: str) -> list[str]:
    """Return what is found in `text`, without the name of the file."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text, **environ)
    lines = str(caught.value).splitlines()
    start = f"{folder / 'bots.toml'}: "
    assert all(line.startswith(start) for line in lines)
    return [line.removeprefix(start) for line in lines]


def test_load_reads_the_documented_shape(folder: Path) -> None:
    """The example of the documentation gives these records."""
    config = read(
        folder,
        """
        [bot]
        name = "alice"
        language = "zh"             # or "en"
        self_log = "alice.log"

        [chat]
        transport = "stdio"
        text_size = 500
        admins = ["AdminWeixin"]

        [[watch]]
        name = "bob"
        log = "bob.log"
        timezone = "Asia/Shanghai"
        qr_file = "QR.png"
        archive = "old"

        [[watch]]
        name = "卡罗尔_2"
        log = ["/var/log/carol/*.log", "carol.[0-9].log"]
        archive = ["old/carol", "/var/old"]
        profile = "auto"

        [[operation]]
        use = "kit:alert"
        watch = "bob"
        match = "x"
        quiet = 5

        [[operation]]
        use = "kit:greet"
        name = "hello"
        admins = ["Other"]
        """,
    )
    assert config == Config(
        path=folder / "bots.toml",
        bot=BotConfig(name="alice", language="zh", store=folder / "bots.db", self_log=folder / "alice.log"),
        chat=ChatConfig(transport="stdio", admins=("AdminWeixin",), parameters={"text_size": 500}),
        watches=(
            WatchConfig(
                name="bob",
                logs=(str(folder / "bob.log"),),
                timezone=ZoneInfo("Asia/Shanghai"),
                qr_file=folder / "QR.png",
                archives=(folder / "old",),
            ),
            WatchConfig(
                name="卡罗尔_2",
                logs=("/var/log/carol/*.log", str(folder / "carol.[0-9].log")),
                archives=(folder / "old" / "carol", Path("/var/old")),
            ),
        ),
        operations=(
            OperationEntry(
                use="kit:alert",
                config=OperationConfig(name="alert", watch="bob", language="zh"),
                parameters={"match": "x", "quiet": 5.0},
            ),
            OperationEntry(use="kit:greet", config=OperationConfig(name="hello", admins=("Other",), language="zh")),
        ),
        security=SecurityConfig(audit=folder / "bots.audit.jsonl", key_file=folder / "bots.key"),
    )
    assert [operation.config for operation in build_operations(config)] == [entry.config for entry in config.operations]
    assert build_transport(config).limits.text_size == 500


def test_load_needs_no_more_than_three_tables(folder: Path) -> None:
    """Language, profile and operations have defaults."""
    config = read(folder, BOT + CHAT + WATCH)
    assert (config.bot.language, config.watches[0].profile, config.operations) == ("en", "auto", ())


def test_load_gives_the_transport_the_bot_and_language_it_asks_for(folder: Path) -> None:
    """A transport's parameters `bot` and `language` come from `[bot]`, unless `[chat]` says otherwise."""
    chat = '[chat]\ntransport = "kit:Chat"\nadmins = ["a"]\ntoken = "t"\n'
    assert read(folder, BOT + chat + WATCH).chat.parameters == {"token": "t", "bot": "alice"}
    own = read(folder, BOT + chat + 'bot = "carol"\n' + WATCH)
    assert own.chat.parameters == {"token": "t", "bot": "carol"}
    made: Any = build_transport(own)
    assert (made.token, made.bot, made.port) == ("t", "carol", 80)


def test_load_takes_secrets_from_the_environment(folder: Path) -> None:
    """`${NAME}` in any text is the variable's value."""
    chat = '[chat]\ntransport = "kit:Chat"\nadmins = ["${WHO}"]\ntoken = "x-${PIN}"\n'
    config = read(folder, BOT + chat + WATCH, WHO="me", PIN="hunter2")
    assert config.chat.admins == ("me",)
    assert config.chat.parameters == {"token": "x-hunter2", "bot": "alice"}


def test_load_reads_what_proves_who_wrote_a_line(folder: Path) -> None:
    """The twins' key is read, from the environment as well, and rooms are ids."""
    text = SIGNED + CHAT + 'rooms = ["ops@chatroom"]\n' + WATCH + "require_signed = true\n"
    config = read(folder, text)
    assert (config.bot.twin_key, config.chat.rooms, config.watches[0].require_signed) == (KEY, ("ops@chatroom",), True)
    config = read(folder, text.replace(key_text(KEY), "${TWIN_KEY}"), TWIN_KEY=key_text(KEY))
    assert config.bot.twin_key == KEY
    assert config.secrets == (key_text(KEY),)


def test_load_tells_once_that_the_twin_key_is_not_set(folder: Path) -> None:
    """A key that the environment lacks is one finding, and a wrong one there is not shown."""
    text = BOT + 'twin_key = "${TWIN_KEY}"\n' + CHAT + WATCH + "require_signed = true\n"
    assert findings(folder, text) == ["[bot] twin_key = '[redacted]': environment variable TWIN_KEY is not set"]
    assert findings(folder, text, TWIN_KEY="hunter22") == [
        "[bot] twin_key = '[redacted]': bad twin key; expected the 43 characters that `logmonitor key` prints"
    ]


def test_load_finds_names_that_no_signature_can_carry(folder: Path) -> None:
    """Twins need two names, and the one that signs a name that a [[watch]] can have."""
    assert findings(folder, SIGNED + CHAT + WATCH.replace('"bob"', '"Ａlice"')) == [
        (
            "[[watch]] #1 name = 'Ａlice': is this bot's own name, 'alice';"
            " expected another, as twins with one key are told apart by name"
        )
    ]
    spaced = SIGNED.replace("alice", "our alice")
    assert findings(folder, spaced + 'self_log = "alice.log"\n' + CHAT + WATCH) == [
        (
            "[bot] name = 'our alice': with twin_key its lines are signed under this name, by which its twin has to"
            " watch it; expected one word of letters, digits, '-' and '_'"
        )
    ]
    assert read(folder, spaced + CHAT + WATCH).bot.name == "our alice"


def test_load_shows_no_secret_of_the_file_either(folder: Path) -> None:
    """A token that stands in the file is hidden in what a transport says of it, and in what a record shows."""
    chat = '[chat]\ntransport = "kit:Strict"\nadmins = ["a"]\ntoken = "hunter22"\n'
    assert findings(folder, SIGNED + chat + WATCH) == ["[chat] transport = 'kit:Strict': bad token '[redacted]'"]
    config = read(folder, SIGNED + chat.replace("Strict", "Plain") + WATCH)
    assert config.chat.parameters == {"token": "hunter22"}
    assert config.secrets == (key_text(KEY), "hunter22")
    assert "hunter22" not in repr(config)
    assert key_text(KEY) not in repr(config)
    assert repr(KEY) not in repr(config)


@pytest.mark.parametrize(("mode", "is_exposed"), [(0o600, False), (0o640, True), (0o602, True), (0o604, True)])
def test_load_tells_which_secrets_others_can_read(folder: Path, mode: int, *, is_exposed: bool) -> None:
    """A secret in a file that is not its owner's alone is named by its key; one from the environment is not."""
    chat = '[chat]\ntransport = "kit:Plain"\nadmins = ["a"]\ntoken = "${PIN}"\n'
    read(folder, SIGNED + chat + WATCH, PIN="hunter22")
    path = folder / "bots.toml"
    before = path.stat().st_mode
    path.chmod(mode)
    config = load(path, environ={"PIN": "hunter22"})
    path.chmod(before)
    assert config.exposed == (("[bot] twin_key",) if is_exposed else ())


def test_load_reads_a_log_below_a_folder_with_the_name_of_a_pattern(tmp_path: Path) -> None:
    """What looks like a pattern in the folder's own name is none; a home folder is found."""
    odd = tmp_path / "bots[1]"
    odd.mkdir()
    config = read(odd, BOT + CHAT + '[[watch]]\nname = "bob"\nlog = ["*.log", "/var/log/bob.log"]\n')
    assert config.watches[0].logs == (f"{tmp_path}/bots[[]1]/*.log", "/var/log/bob.log")
    config = read(odd, BOT + CHAT + '[[watch]]\nname = "bob"\nlog = "~/bob.log"\n')
    assert config.watches[0].logs == (str(Path.home() / "bob.log"),)


def test_load_of_a_relative_path_gives_absolute_logs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the file is named, what is in it is relative to its folder."""
    read(folder, BOT + CHAT + WATCH)
    monkeypatch.chdir(folder.parent)
    config = load(Path(folder.name) / "bots.toml", environ={})
    assert config.path == Path(folder.name) / "bots.toml"
    assert config.folder == folder
    assert config.watches[0].logs == (str(folder / "bob.log"),)


@pytest.mark.parametrize("start", ["\ufeff", "\r\n"])
def test_load_takes_what_editors_add(folder: Path, start: str) -> None:
    """A byte order mark and carriage returns do no harm."""
    assert read(folder, start + (BOT + CHAT + WATCH).replace("\n", "\r\n")).bot.name == "alice"


def test_load_says_in_one_sentence_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    """Whatever stands at the path, one sentence names it and the reason."""

    def refused(path: Path) -> str:
        with pytest.raises(ConfigurationError) as caught:
            load(path, environ={})
        return str(caught.value).removeprefix(f"{path}: ")

    def holding(data: bytes) -> Path:
        path = tmp_path / "x.toml"
        path.write_bytes(data)
        return path

    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "nowhere.toml") == "no such file"
    assert refused(tmp_path) == "is a directory; expected a file in TOML"
    assert refused(tmp_path / "pipe") == ("is no ordinary file of at most 1 MiB; expected a configuration in TOML")
    assert refused(holding(b"#" * (1 << 20) + b"#")) == (
        "is no ordinary file of at most 1 MiB; expected a configuration in TOML"
    )
    assert refused(holding(b"")) == f"is empty; expected {TABLES}, [rescue]"
    assert refused(holding(b"# nothing\n")) == f"is empty; expected {TABLES}, [rescue]"
    assert refused(holding(b"a = '\xff'")) == "is not UTF-8: byte 0xff at offset 5"
    assert refused(holding("x = 1".encode("utf-16"))) == "is not UTF-8: byte 0xff at offset 0"
    assert refused(holding(b"[bot]\nname = ")) == "line 2, column 8: not valid TOML: invalid value"
    assert refused(tmp_path / "x.toml" / "below") == "cannot be read: not a directory"
    assert refused(Path("a\0b")).startswith("cannot be read: ")


def test_load_finds_missing_tables(folder: Path) -> None:
    """What every configuration needs is named."""
    assert findings(folder, "[bots]\n[cat]\n") == [
        "[bots]: unknown table; did you mean [bot]?",
        "[cat]: unknown table; did you mean [chat]?",
        "nothing to do; expected at least one [[watch]]",
    ]
    assert findings(folder, "[[operation]]\nuse = 'kit:greet'") == [
        "no [bot]; expected one",
        "no [chat]; expected one",
    ]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("[bto]", "[bto]: unknown table; did you mean [bot]?"),
        ("[watchs]", "[watchs]: unknown table; did you mean [[watch]]?"),
        ("[[operations]]", "[[operations]]: unknown table; did you mean [[operation]]?"),
        (
            "[zzz]",
            f"[zzz]: unknown table; expected {TABLES} or [rescue]",
        ),
    ],
)
def test_load_suggests_the_table_that_was_meant(folder: Path, wrong: str, sentence: str) -> None:
    """A table that is not known is told with the right one."""
    whole = (BOT.replace("[bot]", wrong) if wrong == "[bto]" else BOT) + CHAT + WATCH
    assert findings(folder, whole if wrong == "[bto]" else f"{whole}{wrong}\n") == [sentence]


def test_load_tells_an_operation_that_its_bot_is_not_watched_for_brackets(folder: Path) -> None:
    """A [watch] in single brackets watches nobody, and an operation about that bot is told so."""
    operation = "[[operation]]\nuse = 'kit:greet'\nwatch = 'bob'\n"
    assert findings(folder, BOT + CHAT + WATCH.replace("[[watch]]", "[watch]") + operation) == [
        "[watch]: expected [[watch]], in double brackets, one for each",
        "[[operation]] #1 watch = 'bob': nothing of that name is watched; expected a [[watch]] of that name",
    ]


def test_load_tells_a_key_outside_of_every_table(folder: Path) -> None:
    """A key before the first table belongs to none."""
    assert findings(folder, 'name = "x"\n' + BOT + CHAT + WATCH) == [
        f"name: unknown key outside of every table; expected {TABLES} or [rescue]"
    ]


def test_load_tells_single_from_double_brackets(folder: Path) -> None:
    """A table that stands once, and one that may stand many times, are told apart."""
    text = '[[bot]]\nname = "alice"\n' + CHAT.replace("[chat]", "[[chat]]") + WATCH.replace("[[watch]]", "[watch]")
    assert findings(folder, 'operation = "x"\n' + text) == [
        "[[bot]]: expected [bot], once, in single brackets",
        "[[chat]]: expected [chat], once, in single brackets",
        "[watch]: expected [[watch]], in double brackets, one for each",
        "operation: expected [[operation]], in double brackets, one for each",
    ]


@pytest.mark.parametrize(
    ("table", "line", "sentence"),
    [
        ("bot", "language = 'zz'", "[bot] language = 'zz': unknown language; expected 'en' or 'zh'"),
        ("bot", "language = 1", "[bot] language = 1: expected a text in quotes"),
        ("bot", "self_log = 1", "[bot] self_log = 1: expected a text in quotes"),
        ("bot", "profiles = ['x']", "[bot] profiles = ['x']: expected a text in quotes"),
        ("bot", "self_lgo = 'x'", "[bot] self_lgo: unknown key; did you mean 'self_log'?"),
        ("bot", "langage = 'en'", "[bot] langage: unknown key; did you mean 'language'?"),
        ("bot", "twin_key = 1", "[bot] twin_key = '[redacted]': expected a text in quotes"),
        (
            "bot",
            "twin_key = 'hunter22'",
            "[bot] twin_key = '[redacted]': bad twin key; expected the 43 characters that `logmonitor key` prints",
        ),
        ("bot", "twinkey = 'hunter22'", "[bot] twinkey: unknown key; did you mean 'twin_key'?"),
        ("chat", "rooms = 'ops@chatroom'", "[chat] rooms = 'ops@chatroom': expected a list"),
        ("chat", "rooms = ['']", "[chat] rooms #1 = '': expected a text that is not empty, on one line"),
        (
            "chat",
            "rooms = ['a@chatroom', 'a@chatroom']",
            "[chat] rooms = ['a@chatroom', 'a@chatroom']: 'a@chatroom' stands there twice; expected each once",
        ),
        (
            "watch",
            "require_signed = true",
            (
                "[[watch]] #1 require_signed = true: no signature holds without this bot's twin_key;"
                " expected the key that it shares with its twin"
            ),
        ),
        ("watch", "require_signed = 'yes'", "[[watch]] #1 require_signed = 'yes': expected true or false"),
        ("chat", "text_siz = 1", "[chat] text_siz: unknown key; did you mean 'text_size'?"),
        ("chat", "text_size = 'x'", "[chat] text_size = 'x': expected a whole number"),
        ("chat", "text_size = 0", "[chat] text_size = 0: expected more than 0"),
        ("watch", "profil = 'x'", "[[watch]] #1 profil: unknown key; did you mean 'profile'?"),
        ("watch", "archive = ''", "[[watch]] #1 archive = '': expected the path of a folder, or several"),
        ("watch", "archive = []", "[[watch]] #1 archive = []: expected the path of a folder, or several"),
        ("watch", "archive = 3", "[[watch]] #1 archive = 3: expected a text in quotes or a list"),
        ("watch", "qr_fil = 'x'", "[[watch]] #1 qr_fil: unknown key; did you mean 'qr_file'?"),
        ("watch", "time_zone = 'x'", "[[watch]] #1 time_zone: unknown key; did you mean 'timezone'?"),
        (
            "watch",
            "timezone = 'Asia/Shangai'",
            "[[watch]] #1 timezone = 'Asia/Shangai': unknown time zone; did you mean 'Asia/Shanghai'?",
        ),
        (
            "watch",
            "timezone = 'x'",
            "[[watch]] #1 timezone = 'x': unknown time zone; expected a name such as 'Asia/Shanghai'",
        ),
        (
            "watch",
            "timezone = '../x'",
            "[[watch]] #1 timezone = '../x': unknown time zone; expected a name such as 'Asia/Shanghai'",
        ),
        ("operation", "wacth = 'bob'", "[[operation]] #1 wacth: unknown key; did you mean 'watch'?"),
        ("operation", "quite = 1", "[[operation]] #1 quite: unknown key; did you mean 'quiet'?"),
        ("operation", "quiet = 'x'", "[[operation]] #1 quiet = 'x': expected a number"),
        (
            "operation",
            "quiet = -1",
            "[[operation]] #1 use = 'kit:alert': bad quiet -1.0 for 'x'; expected seconds above 0",
        ),
        ("operation", "admins = []", "[[operation]] #1 admins = []: expected at least one, to be told of a loss"),
        (
            "operation",
            "name = 'x y'",
            "[[operation]] #1 name = 'x y': expected one word of letters, digits, '-' and '_'",
        ),
        (
            "operation",
            "name = 'logmonitor'",
            "[[operation]] #1 name = 'logmonitor': is the program's own name; expected another",
        ),
        (
            "operation",
            "watch = 'bbo'",
            "[[operation]] #1 watch = 'bbo': nothing of that name is watched; did you mean 'bob'?",
        ),
        (
            "operation",
            "watch = 'zzz'",
            "[[operation]] #1 watch = 'zzz': nothing of that name is watched; expected 'bob'",
        ),
    ],
)
def test_load_tells_what_is_wrong_with_a_key(folder: Path, table: str, line: str, sentence: str) -> None:
    """Each wrong value and each misspelt key gives one sentence with its place and what was expected."""
    tables = {"bot": BOT, "chat": CHAT, "watch": WATCH, "operation": "[[operation]]\nuse = 'kit:alert'\nmatch = 'x'\n"}
    tables[table] += f"{line}\n"
    assert findings(folder, "".join(tables.values())) == [sentence]


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ('name = "alice"', "", "[bot] name: missing; expected a text in quotes"),
        ('name = "alice"', 'name = " "', "[bot] name = ' ': expected a text that is not empty, on one line"),
        ('name = "alice"', 'nme = "x"', "[bot] nme: unknown key; did you mean 'name'?"),
        ('transport = "stdio"', "", "[chat] transport: missing; expected a text in quotes"),
        ('transport = "stdio"', "transport = 1", "[chat] transport = 1: expected a text in quotes"),
        (
            'transport = "stdio"',
            'transport = "stdoi"',
            "[chat] transport = 'stdoi': unknown transport; did you mean 'stdio'?",
        ),
        (
            'transport = "stdio"',
            'transport = "no_such:Chat"',
            "[chat] transport = 'no_such:Chat': there is no module 'no_such'",
        ),
        (
            'transport = "stdio"',
            'transport = "kit:Admins"',
            "[chat] transport = 'kit:Admins': has the parameter 'admins', which is taken; expected another",
        ),
        (
            'transport = "stdio"',
            'transport = "kit:alert"',
            "[chat] transport = 'kit:alert': has the parameter 'config'; expected keyword-only ones",
        ),
        ('admins = ["AdminWeixin"]', "", "[chat] admins: missing; expected a list"),
        ('admins = ["AdminWeixin"]', 'admins = "me"', "[chat] admins = 'me': expected a list"),
        ('admins = ["AdminWeixin"]', 'admins = ["me", 1]', "[chat] admins #2 = 1: expected a text in quotes"),
        (
            'admins = ["AdminWeixin"]',
            'admins = ["me", ""]',
            "[chat] admins #2 = '': expected a text that is not empty, on one line",
        ),
        (
            'admins = ["AdminWeixin"]',
            'admins = ["me", "me"]',
            "[chat] admins = ['me', 'me']: 'me' stands there twice; expected each once",
        ),
        (
            'name = "bob"',
            'name = ""',
            "[[watch]] #1 name = '': expected one word of letters, digits, '-' and '_'",
        ),
        ('log = "bob.log"', "", "[[watch]] #1 log: missing; expected a text in quotes or a list"),
        ('log = "bob.log"', "lgo = 1", "[[watch]] #1 lgo: unknown key; did you mean 'log'?"),
        ('log = "bob.log"', "log = []", "[[watch]] #1 log = []: expected at least one log"),
        ('log = "bob.log"', 'log = ""', "[[watch]] #1 log = '': expected the path of a log or a list"),
        ('log = "bob.log"', 'log = ["a", 1]', "[[watch]] #1 log #2 = 1: expected a text in quotes"),
        ('log = "bob.log"', "log = 1", "[[watch]] #1 log = 1: expected a text in quotes or a list"),
    ],
)
def test_load_tells_what_a_required_key_needs(folder: Path, right: str, wrong: str, sentence: str) -> None:
    """What must be there is named with its type, what cannot be with what would be right."""
    whole = BOT + CHAT + WATCH
    assert whole.count(right) == 1
    assert findings(folder, whole.replace(right, wrong)) == [sentence]


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        ("use = 1", "[[operation]] #1 use = 1: expected a text in quotes"),
        ("x = 1", "[[operation]] #1 use: missing; expected a text in quotes"),
        ('use = "qr_rescu"', "[[operation]] #1 use = 'qr_rescu': unknown operation; did you mean 'qr_rescue'?"),
        (
            'use = "kit:alrt"',
            "[[operation]] #1 use = 'kit:alrt': there is no 'alrt' in module 'kit'; did you mean 'alert'?",
        ),
        ('use = "kit:alert"', "[[operation]] #1 match: missing; expected a text in quotes"),
        (
            'use = "kit:clash"',
            "[[operation]] #1 use = 'kit:clash': has the parameter 'admins', which is taken; expected another",
        ),
        (
            'use = "json:dumps"',
            "[[operation]] #1 use = 'json:dumps': has the parameter 'kw'; expected keyword-only ones",
        ),
        (
            'use = "kit:greet"\ncommand = "help"',
            "[[operation]] #1: operation 'greet' claims command 'help', which belongs to the runtime",
        ),
    ],
)
def test_load_tells_what_is_wrong_with_an_operation(folder: Path, use: str, sentence: str) -> None:
    """A factory that is not there, not one, or not served by its keys, is told at its place."""
    assert findings(folder, BOT + CHAT + WATCH + f"[[operation]]\n{use}\n") == [sentence]


def test_load_refuses_a_pattern_that_no_engine_takes(folder: Path) -> None:
    """An operation's pattern is compiled before anything starts."""
    (sentence,) = findings(folder, BOT + CHAT + WATCH + "[[operation]]\nuse = 'kit:alert'\nmatch = 'a(?=b)'\n")
    assert sentence.startswith("[[operation]] #1: pattern 'a(?=b)' is refused: ")


PROFILE = """
title = "My bot"
[[event]]
kind = "login"
pattern = "in"
"""


def test_load_knows_the_profiles_of_the_users_folder(tmp_path: Path) -> None:
    """A profile is one of ours or one of the user's; another name is told with the one meant."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my-bot.toml").write_text(PROFILE)
    bot = BOT + 'profiles = "mine"\n'
    assert read(tmp_path, bot + CHAT + WATCH + 'profile = "my-bot"\n').watches[0].profile == "my-bot"
    assert findings(tmp_path, bot + CHAT + WATCH + 'profile = "my-bto"\n') == [
        "[[watch]] #1 profile = 'my-bto': unknown profile; did you mean 'my-bot'?"
    ]
    assert findings(tmp_path, BOT + CHAT + WATCH + 'profile = "atuo"\n') == [
        "[[watch]] #1 profile = 'atuo': unknown profile; did you mean 'auto'?"
    ]


def test_load_refuses_profiles_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder that is not there and a profile that is not valid are told at the key that leads to them."""
    text = BOT + 'profiles = "mine"\n' + CHAT + WATCH
    assert findings(tmp_path, text) == [
        "[bot] profiles = 'mine': there is no such folder; expected one with profiles in it"
    ]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my-bot.toml").write_text(PROFILE.replace('"in"', '"in(?!x)"'))
    (sentence,) = findings(tmp_path, text)
    assert sentence.startswith(
        f"[bot] profiles = 'mine': {tmp_path}/mine/my-bot.toml: event[1].pattern: pattern 'in(?!x)'"
    )


def test_load_tells_that_a_shipped_profile_is_broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile of ours that cannot be read is nobody's key."""

    def refuse() -> None:
        raise ProfileError("cannot read the profile 'x'")

    monkeypatch.setattr("logmonitor.configuration.tables.load_profiles", refuse)
    assert findings(folder, BOT + CHAT + WATCH) == ["cannot read the profile 'x'"]


def test_load_finds_names_that_stand_twice(folder: Path) -> None:
    """Bots are told apart in any case and width, operations by name and command."""
    operation = "[[operation]]\nuse = 'kit:greet'\n"
    text = BOT + CHAT + WATCH + WATCH.replace('"bob"', '"ＢＯＢ"').replace("bob.log", "c.log") + operation
    found = findings(folder, text + operation + operation + "name = 'other'\n")
    assert found[:2] == [
        "[[watch]] #2 name = 'ＢＯＢ': is the name of another watch, 'bob'; expected one of its own",
        "[[operation]] #2: two operations have the name 'greet'; expected a name of its own for each",
    ]
    assert [line[:78] for line in found[2:]] == [
        "[[operation]] #3: operations 'greet' and 'other' both claim command 'greet'; e",
    ]


def test_load_allows_one_operation_for_each_bot(folder: Path) -> None:
    """A command that takes a bot's name may come from an operation for each bot."""
    watches = WATCH + WATCH.replace("bob", "carol")
    operations = "".join(
        f"[[operation]]\nuse = 'kit:greet'\nname = 'n-{bot}'\nwatch = '{bot}'\n" for bot in ("bob", "carol")
    )
    assert len(build_operations(read(folder, BOT + CHAT + watches + operations))) == 2


@pytest.mark.parametrize(
    "log", ["alice.log", "./x/../alice.log", "*.log", "al?ce.log", "**/*.log", "{}/*/../alice.log"]
)
def test_load_refuses_to_follow_the_log_it_writes(folder: Path, log: str) -> None:
    """`self_log` is not followed, by whatever name or pattern, though it does not exist yet."""
    watch = WATCH.replace("bob.log", log.format(folder))
    text = BOT + 'self_log = "alice.log"\n' + CHAT + watch
    written = log.format(folder)
    assert findings(folder, text) == [
        f"[[watch]] #1 log = {written!r}: this bot writes there itself (self_log); expected another bot's log"
    ]


def test_load_refuses_to_follow_a_link_to_the_log_it_writes(tmp_path: Path) -> None:
    """A link that leads to `self_log`, or a folder reached through one, is seen through."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "alice.log").touch()
    (tmp_path / "bob.log").symlink_to(tmp_path / "real" / "alice.log")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    for own, log in (("real/alice.log", "bob.log"), ("linked/alice.log", "real/*.log"), ("linked/new.log", "real/*")):
        text = BOT + f'self_log = "{own}"\n' + CHAT + WATCH.replace("bob.log", log)
        assert findings(tmp_path, text) == [
            f"[[watch]] #1 log = {log!r}: this bot writes there itself (self_log); expected another bot's log"
        ]


@pytest.mark.parametrize("log", ["alice.log.1", "logs/alice.log", "*.txt", "**/bob.log", "/alice.log"])
def test_load_follows_other_logs(folder: Path, log: str) -> None:
    """A pattern that does not reach `self_log` is right."""
    assert read(folder, BOT + 'self_log = "alice.log"\n' + CHAT + WATCH.replace("bob.log", log)).watches


def test_load_tells_everything_at_once_in_order(folder: Path) -> None:
    """All findings come together, table by table."""
    text = (
        "[[operation]]\nuse = 'kit:alert'\n[[watch]]\nname = 'b'\n[[watch]]\n"
        "[chat]\ntransport = 'kit:Plain'\nadmins = ['a']\n"
        "x = 1\n[bot]\nnaem = 'x'\n[zzz]\n"
    )
    assert findings(folder, text) == [
        f"[zzz]: unknown table; expected {TABLES} or [rescue]",
        "[bot] naem: unknown key; did you mean 'name'?",
        "[chat] x: unknown key; expected 'admins', 'port', 'rooms', 'token' or 'transport'",
        "[[watch]] #1 log: missing; expected a text in quotes or a list",
        "[[watch]] #2 name: missing; expected a text in quotes",
        "[[watch]] #2 log: missing; expected a text in quotes or a list",
        "[[operation]] #1 match: missing; expected a text in quotes",
    ]


def test_load_names_a_variable_that_is_not_set_once(folder: Path) -> None:
    """A missing variable is one finding, and what depends on it none."""
    text = BOT + CHAT.replace("stdio", "${T}") + WATCH.replace('"bob"', '"${W}"')
    text += "[[operation]]\nuse = '${U}'\nwatch = '${W}'\n"
    assert findings(folder, text) == [
        "[chat] transport = '${T}': environment variable T is not set",
        "[[watch]] #1 name = '${W}': environment variable W is not set",
        "[[operation]] #1 use = '${U}': environment variable U is not set",
        "[[operation]] #1 watch = '${W}': environment variable W is not set",
    ]


@pytest.mark.parametrize(
    "text",
    [
        BOT + CHAT.replace("stdio", "${S}") + WATCH,
        BOT + CHAT + WATCH + "[[operation]]\nuse = '${S}'\n",
        BOT + CHAT + WATCH + "[[operation]]\nuse = '${S}:x'\n",
        BOT + CHAT + WATCH + "[[operation]]\nuse = 'kit:alert'\nmatch = '${S}'\nquiet = -1\n",
        BOT + CHAT + WATCH + "[[operation]]\nuse = 'kit:greet'\ncommand = '${S}'\n",
        BOT + CHAT + WATCH + "[[operation]]\nuse = 'kit:greet'\nname = '${S}'\n",
        BOT + CHAT + WATCH + "[[operation]]\nuse = 'kit:greet'\nwatch = '${S}'\n",
        BOT + CHAT + WATCH.replace('"bob"', '"${S}"'),
        BOT + CHAT + WATCH.replace('"bob"', '"x${S}"') + "[[operation]]\nuse = 'kit:greet'\nwatch = 'hunter'\n",
        BOT + CHAT + WATCH + "timezone = '${S}'\n",
        BOT + "language = '${S}'\n" + CHAT + WATCH,
        BOT + CHAT.replace('"AdminWeixin"', '"${S}", "${S}"') + WATCH,
        BOT + CHAT + 'text_size = "${S}"\n' + WATCH,
        BOT + CHAT + 'text_unit = "${S}"\n' + WATCH,
        BOT + 'self_log = "${S}"\n' + CHAT + WATCH.replace("bob.log", "${S}"),
    ],
)
def test_load_shows_no_secret(folder: Path, text: str) -> None:
    """Wherever a value from the environment is wrong, its variable is shown and it is not."""
    sentences = "\n".join(findings(folder, text, S='hunter2 "é\\'))
    assert "${S}" in sentences
    assert "hunter2" not in sentences


names = st.text(alphabet="abcXYZ019_-好", min_size=1, max_size=8)
texts = st.text(alphabet="ab $\"'\\é好{}.", min_size=1, max_size=10).filter(str.strip)
seconds = st.floats(min_value=0, max_value=1e9) | st.integers(0, 1000)


@given(
    name=texts,
    language=st.sampled_from(["en", "zh"]),
    admins=st.lists(texts, min_size=1, max_size=3, unique=True),
    watches=st.lists(names, min_size=1, max_size=3, unique_by=str.casefold),
    label=texts,
    quiet=seconds,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_load_round_trips(
    folder: Path, *, name: str, language: str, admins: list[str], watches: list[str], label: str, quiet: float
) -> None:
    """Whatever valid values are written, the records hold."""

    def toml(value: object) -> str:
        return json.dumps(value, ensure_ascii=False).replace("${", "$${")

    config = read(
        folder,
        f"[bot]\nname = {toml(name)}\nlanguage = {toml(language)}\n"
        f'[chat]\ntransport = "stdio"\nadmins = {toml(admins)}\n'
        + "".join(f"[[watch]]\nname = {toml(watch)}\nlog = 'x'\n" for watch in watches)
        + f"[[operation]]\nuse = 'kit:alert'\nmatch = 'x'\nlabel = {toml(label)}\nquiet = {toml(quiet)}\n",
    )
    assert (config.bot.name, config.bot.language, list(config.chat.admins)) == (name, language, admins)
    assert [watch.name for watch in config.watches] == watches
    assert config.operations[0].parameters == {"match": "x", "label": label, "quiet": quiet}


def test_build_tells_when_the_world_has_changed(folder: Path) -> None:
    """A configuration put together by hand is refused like one from a file."""
    entry = OperationEntry(use="kit:nowhere", config=OperationConfig())
    chat = ChatConfig(transport="nowhere", admins=("a",))
    config = Config(path=folder / "x", bot=BotConfig(name="a"), chat=chat, operations=(entry,))
    with pytest.raises(ConfigurationError, match="there is no 'nowhere' in module 'kit'"):
        build_operations(config)
    with pytest.raises(ConfigurationError, match="unknown transport; expected"):
        build_transport(config)
