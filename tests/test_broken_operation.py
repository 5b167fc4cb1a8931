"""An operation whose code fails is told of, and disables nothing but itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from logmonitor import Context, LogBatch, Operation, OperationConfig
from logmonitor.config import build_operations, load
from logmonitor.errors import ConfigurationError
from logmonitor.testing import chat
from tests.configuration.test_factory import install
from tests.stdio_bot import stdio_bot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logmonitor.config import Config

CONFIGURATION: Final = """
[bot]
name = "alice"
language = "{language}"
[chat]
transport = "stdio"
admins = ["admin"]
[[watch]]
name = "bob"
log = "bob.log"
[[operation]]
use = "qr_rescue"
watch = "bob"
[[operation]]
use = "{use}"
{keys}
{rules}
"""
NOT_THERE: Final = "which is not installed: install it"
OPERATION: Final = (
    "import logmonitor\nprint('hello')\n"
    "def alert(config): return logmonitor.Operation(name=config.name, config=config, {})\n"
)
MODULES: Final = {
    "fine": OPERATION.format(""),
    "unimportable": "import no_such_sdk\n",
    "raising": "raise type('VendorError', (Exception,), {})('no\\nlicence')\n",
    "leaving": "raise SystemExit('not so')\n",
    "faulty": "def alert(config, *, match: str = 'x'): return {}['handlers']\n",
    "strange": "def alert(config): return 'an operation'\n",
    "untyped": "def alert(config, *, match): ...\n",
    "taken": "def alert(config, *, admins: str): ...\n",
    "number": "alert = 3\n",
    "refused": OPERATION.format("patterns=('a(?=b)',), on_batch=print"),
    "reserved": OPERATION.format("commands=(logmonitor.Command(name='help', handler=print, help='x'),)"),
    "chatty": "def alert(config): raise RuntimeError('\\u202e' + 'x' * 1000)\n",
    "strict": "def alert(config, *, quiet: float = 1): raise ValueError(f'bad quiet {quiet!r}')\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder in which a distribution is installed that has one operation for each module, and a log."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name, text in MODULES.items():
        (tmp_path / f"{name}_alert.py").write_text(text)
    install(tmp_path, *(f"{name} = {name}_alert:alert" for name in MODULES), "gone = no_such_alert:alert [extra]")
    (tmp_path / "bob.log").touch()
    yield tmp_path
    for name in [name for name in sys.modules if name.endswith("_alert")]:
        del sys.modules[name]


def written(folder: Path, use: str, *, keys: str = "", rules: str = "", language: str = "en") -> Path:
    """Write a configuration that has the rescue and the operation `use`; return its path."""
    path = folder / "alice.toml"
    path.write_text(CONFIGURATION.format(use=use, keys=keys, rules=rules, language=language))
    path.chmod(0o600)
    return path


def loaded(folder: Path, use: str, *, keys: str = "", rules: str = "") -> Config:
    """Load such a configuration."""
    return load(written(folder, use, keys=keys, rules=rules), environ={})


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        ("unimportable", "broken in unimportable_alert:alert of others: needs the package 'no_such_sdk', " + NOT_THERE),
        (
            "raising",
            "broken in raising_alert:alert of others: module 'raising_alert' failed with VendorError: no licence",
        ),
        ("leaving", "broken in leaving_alert:alert of others: module 'leaving_alert' failed with SystemExit: not so"),
        ("gone", "broken in no_such_alert:alert [extra] of others: there is no module 'no_such_alert'"),
        ("number", "broken in number_alert:alert of others: is of type int; expected a function"),
        ("faulty", "failed with KeyError: 'handlers'"),
        ("strange", "returned str; expected an Operation"),
        ("untyped", "has the parameter 'match' without a type"),
        ("taken", "has the parameter 'admins', which is taken; expected another"),
        ("chatty", f"failed with RuntimeError: \\u202e{'x' * 267}…"),
        ("refused", "pattern 'a(?=b)' is refused: "),
        ("reserved", "operation 'reserved' claims command 'help', which belongs to the runtime"),
        ("faulty_alert:alert", "failed with KeyError: 'handlers'"),
        ("unimportable_alert:alert", "needs the package 'no_such_sdk', " + NOT_THERE),
    ],
)
def test_load_leaves_out_an_operation_whose_code_fails(folder: Path, use: str, reason: str) -> None:
    """Whatever its module or factory does, the others are there, and it is named with the reason, on one line."""
    config = loaded(folder, use)
    (broken,) = config.broken
    assert (broken.use, broken.name, broken.reason[: len(reason)]) == (use, use.rpartition(":")[2], reason)
    assert len(broken.reason) == len(reason) or reason.endswith(" ")
    assert [operation.name for operation in build_operations(config)] == ["qr_rescue"]


@pytest.mark.parametrize(
    ("use", "keys", "sentence"),
    [
        ("faulti", "", "use = 'faulti': unknown operation; did you mean 'faulty'?"),
        ("no_such_alert:alert", "", "use = 'no_such_alert:alert': there is no module 'no_such_alert'"),
        ("untyped_alert:alert", "", "use = 'untyped_alert:alert': has the parameter 'match' without a type"),
        ("strict", "quiet = -1.0", "use = 'strict': bad quiet -1.0"),
        ("faulty", "mtach = 'x'", "mtach: unknown key; did you mean 'match'?"),
        ("unimportable", "watch = 'bbo'", "watch = 'bbo': nothing of that name is watched; did you mean 'bob'?"),
        ("unimportable", "name = 'a b'", "name = 'a b': expected one word of letters, digits, '-' and '_'"),
    ],
)
def test_load_refuses_what_is_written_wrongly(folder: Path, use: str, keys: str, sentence: str) -> None:
    """A name that leads nowhere and a parameter that is refused are errors of the configuration, as ever."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, use, keys=keys)
    assert str(caught.value) == f"{folder}/alice.toml: [[operation]] #2 {sentence}"


def test_load_keeps_the_rules_of_an_operation_that_is_left_out(folder: Path) -> None:
    """A rule for a command that nobody knows of is no mistake while an operation is missing, and still is else."""
    rules = "[security.rules]\npause = ['confirm']\n"
    assert loaded(folder, "faulty", rules=rules).security.rules[0][0] == "pause"
    with pytest.raises(ConfigurationError, match="means no command"):
        loaded(folder, "fine", rules=rules)


def test_load_names_no_secret_in_a_reason(folder: Path) -> None:
    """What a factory says of its failure shows nothing that came from the environment."""
    (folder / "telling_alert.py").write_text("def alert(config, *, token: str): raise RuntimeError(f'no {token}')\n")
    path = written(folder, "telling_alert:alert", keys='token = "${TOKEN}"')
    (broken,) = load(path, environ={"TOKEN": "hunter22"}).broken
    assert broken.reason == "failed with RuntimeError: no ${TOKEN}"


async def test_run_goes_on_without_an_operation_that_fails(folder: Path) -> None:
    """The admin is told once and finds it in `status`, the operator in the log; the others do their work."""
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    told = "operation faulty fails and is left out: failed with KeyError: 'handlers'"
    async with stdio_bot(written(folder, "faulty"), environ=environ) as bot:
        assert await bot.next_text() == told
        assert told in (await bot.answer_to("status")).splitlines()
        assert (
            await bot.answer_to("qr")
            == "bob: not known yet\nthere is no QR of bob yet; it is sent as soon as its log shows it"
        )
        code, errors = await bot.stop()
    assert code == 0
    assert f"ERROR logmonitor.runtime: {told}\n" in errors
    assert "Traceback" not in errors


async def test_run_keeps_what_an_operation_prints_out_of_the_chat(folder: Path) -> None:
    """A module that prints while it is imported writes nothing between the frames of a chat on standard output."""
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    async with stdio_bot(written(folder, "fine"), environ=environ) as bot:
        assert (await bot.answer_to("status")).startswith("bob: not known yet")
        assert "hello\n" in (await bot.stop())[1]


async def test_run_tells_of_an_operation_that_fails_in_chinese(folder: Path) -> None:
    """An admin who reads Chinese is told in Chinese."""
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    async with stdio_bot(written(folder, "faulty", language="zh"), environ=environ) as bot:
        assert await bot.next_text() == "操作 faulty 出错，已停用：failed with KeyError: 'handlers'"


def test_check_finds_an_operation_that_fails(folder: Path) -> None:
    """It is a finding with its remedy, and everything else is looked at."""
    done = subprocess.run(
        [sys.executable, "-m", "logmonitor", "check", str(written(folder, "unimportable"))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    found = lines.index(
        "finding: operation unimportable: fails and is left out: broken in unimportable_alert:alert of others: needs"
        f" the package 'no_such_sdk', {NOT_THERE}"
    )
    assert lines[found + 1] == (
        "  remedy: mend what unimportable names, or take its [[operation]] out; until then all others go on without it"
    )
    assert lines[-1] == "1 finding; once mended, check again."


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"expires_at": datetime(2030, 1, 1)}, "a message expires at datetime.datetime(2030, 1, 1, 0, 0)"),  # noqa: DTZ001  # as somebody may write it
        ({"priority": 7}, "a message has the priority 7"),
        ({"to": 5}, "a message is for 5"),
    ],
)
async def test_message_that_nobody_could_send_holds_up_no_other(how: dict[str, Any], reason: str) -> None:
    """What an operation sends in a way that cannot be is refused there and then: everything else goes on."""

    async def on_batch(context: Context, _batch: LogBatch) -> None:
        await context.send("hello", **how)

    broken = Operation(name="broken", config=OperationConfig(), on_batch=on_batch)
    async with chat(broken, watches=("bob",)) as here:
        ann = here.user("Ann")
        here.log("bob").write("a line")
        await ann.should_receive(re.compile(rf"^on_batch of broken failed: {re.escape(reason)}; expected "))
        await ann.says("status")
        await ann.should_receive(re.compile("chat: up"))
