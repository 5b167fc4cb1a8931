"""Fallbacks as a configuration says them, and what is refused of that."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.config import Config, FallbackConfig, build_fallback_transport, load
from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHATS: Final = """
class Chat:
    def __init__(self, *, token: str, bot: str, port: int = 80):
        if port == 13:
            raise ValueError("bad port")
        self.token, self.bot, self.port = token, bot, port
    limits = health = messages = resolve = send = __aenter__ = __aexit__ = None

class Greedy:
    def __init__(self, *, after: float = 1.0): ...
    limits = health = messages = resolve = send = __aenter__ = __aexit__ = None
"""
START: Final = """
[bot]
name = "alice"
[chat]
transport = "stdio"
admins = ["AdminWeixin", "Deputy"]
[[watch]]
name = "bob"
log = "bob.log"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with chats in it."""
    (tmp_path / "fallback_kit.py").write_text(CHATS)
    search = sys.path[:]
    yield tmp_path.resolve()
    sys.path[:] = search
    sys.modules.pop("fallback_kit", None)


def read(folder: Path, text: str, **environ: str) -> Config:
    """Load `text` behind what else a configuration needs."""
    path = folder / "bots.toml"
    path.write_text(START + text, encoding="utf-8")
    return load(path, environ=environ)


def findings(folder: Path, text: str) -> list[str]:
    """Return what is found in `text`, without the name of the file before each."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text)
    start = f"{folder / 'bots.toml'}: "
    return [line.removeprefix(start) for line in str(caught.value).splitlines()]


def test_load_reads_fallbacks_in_order(folder: Path) -> None:
    """URLs and chats may stand in any order, each with what it needs and a name of its own."""
    config = read(
        folder,
        """
        [[fallback]]
        url = "wecombot://${KEY}"

        [[fallback]]
        transport = "fallback_kit:Chat"
        token = "hunter22"
        to = ["wxid_boss"]
        after = 5
        admins = ["Deputy"]

        [[fallback]]
        name = "mail"
        url = "mailtos://me:hunter%2033@example.org"

        [[fallback]]
        url = "wecombot://another"
        """,
        KEY="abcdef",
    )
    assert config.fallbacks == (
        FallbackConfig(name="wecombot", url="wecombot://abcdef", carries_files=False),
        FallbackConfig(
            name="Chat",
            transport="fallback_kit:Chat",
            to=("wxid_boss",),
            after=5.0,
            admins=("Deputy",),
            parameters={"token": "hunter22", "bot": "alice"},
        ),
        FallbackConfig(name="mail", url="mailtos://me:hunter%2033@example.org"),
        FallbackConfig(name="wecombot-2", url="wecombot://another", carries_files=False),
    )
    assert vars(build_fallback_transport(config, config.fallbacks[1])) == {
        "token": "hunter22",
        "bot": "alice",
        "port": 80,
    }
    assert set(config.secrets) >= {"wecombot://abcdef", "hunter22", "hunter 33", "mailtos://me:hunter%2033@example.org"}
    assert [secret for secret in ("abcdef", "hunter", "another") if secret in repr(config)] == []
    (folder / "bots.toml").chmod(0o644)
    exposed = load(folder / "bots.toml", environ={"KEY": "abcdef"}).exposed
    assert exposed == ("[[fallback]] #2 token", "[[fallback]] #3 url", "[[fallback]] #4 url")


def test_load_needs_no_fallback(folder: Path) -> None:
    """Without any there is none, and who only works on what lasts is asked for no variable of theirs."""
    assert read(folder, "").fallbacks == ()
    path = folder / "bots.toml"
    path.write_text(START + '[[fallback]]\nurl = "${NO_URL}"\n')
    assert load(path, environ={}, is_enrolling=True).fallbacks == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "",
            "has neither url nor transport; expected one: an Apprise URL, or a chat such as 'wechaty' with its keys",
        ),
        (
            'url = "json://h"\ntransport = "wechaty"',
            "has both url and transport; expected one: an Apprise URL, or a chat such as 'wechaty' with its keys",
        ),
        ('url = "jsno://u:hunter22@h"', "url = '[redacted]': unknown service; did you mean 'json://'?"),
        ('url = ""', "url = '[redacted]': expected a text that is not empty, on one line"),
        ('url = "json://h"\nto = ["x"]', "to: unknown key"),
        ('url = "json://h"\nafter = 0', "after = 0: expected at least 1"),
        ('url = "json://h"\nname = "a b"', "name = 'a b': expected one word of letters, digits, '-' and '_'"),
        (
            'url = "json://h"\nadmins = ["adminweixin"]',
            "admins = ['adminweixin']: 'adminweixin' is no admin of this configuration; did you mean 'AdminWeixin'?",
        ),
        (
            'url = "json://h"\nadmins = ["zzz"]',
            "admins = ['zzz']: 'zzz' is no admin of this configuration; expected one of the admins, as [chat]",
        ),
        (
            'transport = "stdio"\nto = ["x"]',
            "transport = 'stdio': is this program's own terminal; expected 'wechaty' or package.module:Class",
        ),
        ('transport = "wechay"\nto = ["x"]', "transport = 'wechay': unknown transport; did you mean 'wechaty'?"),
        (
            'transport = "wechaty"\nendpoint = "127.0.0.1:1"\ntoken = "t"\nto = ["x"]\nper_period = 5',
            "per_period = 5: is for [chat] alone: a fallback has only what is urgent; leave it out",
        ),
        ('transport = ""\nto = ["x"]', "transport = '': expected a text that is not empty, on one line"),
        ('transport = "fallback_kit:Chat"\ntoken = "t"', "to: missing; expected a list"),
        (
            'transport = "fallback_kit:Chat"\ntoken = "t"\nto = []',
            "to = []: expected at least one, as that chat knows them: an id, number or alias",
        ),
        ('transport = "fallback_kit:Chat"\nto = ["x"]', "token: missing; expected a text in quotes"),
        (
            'transport = "fallback_kit:Chat"\ntoken = "t"\nport = 13\nto = ["x"]',
            "transport = 'fallback_kit:Chat': bad port",
        ),
        (
            'transport = "fallback_kit:Greedy"\nto = ["x"]',
            "transport = 'fallback_kit:Greedy': has the parameter 'after', which is taken; expected another",
        ),
        (
            'url = "json://h"\n[[fallback]]\nurl = "json://h"\nname = "x"\n[[fallback]]\nname = "X"\nurl = "json://i"',
            "[[fallback]] #3 name = 'X': is the name of another fallback; expected one of its own",
        ),
    ],
)
def test_load_says_what_is_wrong_with_a_fallback(folder: Path, text: str, found: str) -> None:
    """Each mistake is told at its place, with what was expected and without a secret."""
    (told,) = findings(folder, f"[[fallback]]\n{text}\n")
    start = "" if found.startswith("[[") else "[[fallback]] #1"
    assert told.replace("#1: ", "#1 ", 1).startswith(f"{start} {found}".strip())
    assert "hunter22" not in told


def test_load_tells_of_a_variable_that_is_not_set(folder: Path) -> None:
    """A fallback's secret that is missing from the environment is told once."""
    assert findings(folder, '[[fallback]]\ntransport = "${CHAT}"\nto = ["x"]\n') == [
        "[[fallback]] #1 transport = '${CHAT}': environment variable CHAT is not set"
    ]


def test_load_tells_of_a_single_bracket(folder: Path) -> None:
    """One fallback stands in double brackets too."""
    assert findings(folder, '[fallback]\nurl = "json://h"\n') == [
        "[fallback]: expected [[fallback]], in double brackets, one for each"
    ]


def test_names_are_given_before_they_are_made(folder: Path) -> None:
    """A name that is given is not taken by a fallback without one."""
    text = '[[fallback]]\nurl = "json://h"\n[[fallback]]\nname = "json"\nurl = "json://i"\n'
    assert [one.name for one in read(folder, text).fallbacks] == ["json-2", "json"]
