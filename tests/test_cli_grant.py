"""`logmonitor grant`: what is said on the machine holds for the bot that runs, and is on the audit."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from logmonitor import cli
from logmonitor.cli.grant_desk import OWN_RIGHTS
from logmonitor.command import RESERVED
from logmonitor.store import Store
from tests.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.grant import Grant

_CONFIG = """
[bot]
name = "alice"
timezone = "Asia/Shanghai"

[chat]
transport = "console"
admins = ["AdminWeixin"]

[[watch]]
name = "bob"
log = "bob.log"

[[operation]]
use = "qr_rescue"
watch = "bob"
admins = ["SecondWeixin"]
"""
_TABLE = "CREATE TABLE permissions (id INTEGER PRIMARY KEY, username TEXT, cmd TEXT, subcmd TEXT, valid_until DATE)"
_GOOD = (
    ("ann", "qr_rescue", "qr", "2099-12-31"),
    ("bob", "*", "*", 4102329600000),
    ("carol", "act_demo", "setup", 20991231),
    ("dave", "*", "*", "2020-01-01"),
)
_INJECTION = "x'); DROP TABLE access_grant; --"


def _exit_code(*words: str) -> int:
    """Run the program; argparse leaves it in its own way."""
    try:
        return cli.main(words)
    except SystemExit as stop:
        return int(str(stop.code))


class _Machine:
    """A folder with a configuration; `grant` runs the command in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.config = folder / "alice.toml"
        self.config.write_text(_CONFIG, encoding="utf-8")
        self.config.chmod(0o600)
        self._capsys = capsys

    def grant(self, *words: str) -> tuple[int, str]:
        """Return exit code and everything said, on both streams."""
        code = _exit_code("grant", *words, "--config", str(self.config))
        captured = self._capsys.readouterr()
        return code, captured.out + captured.err

    def grants(self) -> tuple[Grant, ...]:
        """Return what is in the store."""
        with Store(self.folder / "alice.db") as store:
            return store.grants()

    def audit(self) -> list[tuple[str, int]]:
        """Return decision and number of what the audit says."""
        path = self.folder / "alice.audit.jsonl"
        if not path.exists():
            return []
        records = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        return [(record["decision"], record["grant"]) for record in records]

    def xbot(self, *rows: tuple[object, ...]) -> str:
        """Make the database of an XBot; return its path."""
        path = self.folder / "local.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(_TABLE)
            connection.executemany(
                "INSERT INTO permissions (username, cmd, subcmd, valid_until) VALUES (?, ?, ?, ?)", rows
            )
        return str(path)


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> _Machine:
    """Return a folder with a configuration in it."""
    return _Machine(tmp_path, capsys)


def test_own_commands_are_those_that_the_runtime_reserves() -> None:
    """What may be granted and denied of the runtime's own is known here too; `code` is only how a code is given."""
    assert set(OWN_RIGHTS) == set(RESERVED) - {"code"}


def test_grant_add_holds_at_once_for_a_store_that_is_open(machine: _Machine) -> None:
    """A bot that runs reads the grant at its next decision."""
    with Store(machine.folder / "alice.db") as running:
        assert running.grants() == ()
        code, said = machine.grant("add", "wxid_ann", "qr", "--until", "2099-12-31")
        assert (code, said) == (
            0,
            "1: wxid_ann may run qr_rescue.qr, in direct messages, until the end of 2099-12-31 (UTC+08:00)\n",
        )
        (grant,) = running.grants()
        assert (grant.user, grant.operation, grant.command, grant.room) == ("wxid_ann", "qr_rescue", "qr", "direct")
        assert grant.until is not None
        assert grant.until.isoformat() == "2099-12-31T16:00:00+00:00"
        assert grant.by.endswith(" (command line)")
        assert machine.grant("revoke", "1")[0] == 0
        assert running.grants() == ()
    assert machine.audit() == [("granted", 1), ("revoked", 1)]


def test_grant_add_of_the_same_is_kept_once(machine: _Machine) -> None:
    """The same again is said; the same until another time is kept beside it, and said."""
    machine.grant("add", "wxid_ann", "qr")
    code, said = machine.grant("add", "wxid_ann", "qr_rescue.qr")
    assert code == 0
    assert said.startswith("nothing to do, it stands there already: 1: wxid_ann may run")
    code, said = machine.grant("add", "wxid_ann", "qr", "--until", "7d", "--room", "direct")
    assert code == 0
    assert said.splitlines()[1].startswith(
        "beside it stands 1: wxid_ann may run qr_rescue.qr, in direct messages, for ever"
    )
    assert machine.audit() == [("granted", 1), ("granted", 2)]


def test_grant_add_in_rooms_and_for_everybody(machine: _Machine) -> None:
    """A room, everywhere, and everybody are said as such."""
    assert "in the room ops@chat, for ever" in machine.grant("add", "wxid_ann", "status", "--room", "ops@chat")[1]
    assert machine.grant("add", "*", "status", "--room", "*")[1] == (
        "2: everybody may run logmonitor.status, everywhere, for ever\n"
    )
    assert "2: everybody may run" in machine.grant("list")[1]


def test_grant_deny_may_hold_for_everybody_and_says_how_to_undo_it(machine: _Machine) -> None:
    """What the chat refuses can be done here, with the way back."""
    code, said = machine.grant("deny", "*", "*")
    assert code == 0
    assert said.endswith("no admin can take this back in the chat: `logmonitor grant revoke` does\n")
    code, said = machine.grant("deny", "wxid_ann", "*", "--until", "12h")
    assert code == 0
    assert "no admin" not in said
    assert machine.audit() == [("denied", 1), ("denied", 2)]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("add", "AdminWeixin", "qr"), "'AdminWeixin' is an admin, who needs no grant"),
        (("add", "SecondWeixin", "qr"), "'SecondWeixin' is an admin of qr_rescue, who needs no grant"),
        (("add", "SecondWeixin", "qr_rescue.*"), "'SecondWeixin' is an admin of qr_rescue, who needs no grant"),
        (("add", "wxid_*", "qr"), "'wxid_*' names nobody and no place; expected one id or name, or `*` for all"),
        (("add", "", "qr"), "'' names nobody and no place"),
        (("add", "wxid_ann", "revoke"), ": revoke is for admins alone, whatever is granted"),
        (("add", "wxid_ann", "help"), "anyone may run help as it is"),
        (("add", "wxid_ann", "statsu"), "'statsu' fits no command that can be meant; did you mean 'status'?\n"),
        (("deny", "wxid_ann", "grnat"), "'grnat' fits no command that can be meant; did you mean 'grant', 'grants'?\n"),
        (("add", "wxid_ann", "xyz"), "'xyz' fits no command that can be meant; expected one of: status, qr"),
        (("add", "wxid_ann", "qr", "--until", "2020-01-01"), "'2020-01-01' has passed; expected a time to come"),
        (("add", "wxid_ann", "qr", "--until", "12-31"), "'12-31' names no year, or not first"),
        (("add", "wxid_ann", "qr", "--room", "ops*"), "'ops*' names nobody and no place"),
        (("add", "wxid_ann", "qr", "--room", "here"), "this is no room"),
        (("add", "wxid_ann"), "the following arguments are required: WHAT"),
        (("revoke", "x"), "'x' is no number; expected one that `logmonitor grant list` shows"),
        ((), "the following arguments are required: ACTION"),
    ],
)
def test_grant_refuses_what_cannot_be_meant(machine: _Machine, words: tuple[str, ...], refusal: str) -> None:
    """Wrong usage is told with what was expected, and changes nothing."""
    code, said = machine.grant(*words)
    assert code == 2
    assert refusal in said
    assert machine.grants() == ()
    assert machine.audit() == []


def test_grant_deny_without_a_room_is_for_everywhere(machine: _Machine) -> None:
    """Who is denied something cannot go on in a room; a permission stays in direct messages."""
    assert "may not run *" in machine.grant("deny", "wxid_ann", "*")[1]
    assert "may not run qr, in direct messages" in machine.grant("deny", "wxid_ann", "qr", "--room", "direct")[1]
    assert "may run qr_rescue.qr, in direct messages" in machine.grant("add", "wxid_ann", "qr")[1]
    assert [grant.room for grant in machine.grants()] == ["*", "direct", "direct"]
    assert ", everywhere, for ever" in machine.grant("list")[1].splitlines()[0]


@pytest.mark.parametrize("user", ["AdminWeixin", "SecondWeixin"])
def test_grant_deny_of_a_configured_admin_holds_and_warns(machine: _Machine, user: str) -> None:
    """What the configuration calls an admin may be his stable id, for which a denial holds, or a name and nobody."""
    code, said = machine.grant("deny", user, "qr")
    assert code == 0
    assert f"1: {user} may not run qr, everywhere, for ever\n" in said
    assert (
        f"warning: the configuration names an admin {user!r}; if that is a name and no stable id, the denial does not"
        " hold; `logmonitor check` tells the id\n"
    ) in said
    assert [(grant.user, grant.is_denial) for grant in machine.grants()] == [(user, True)]


def test_grant_add_for_the_admin_of_one_operation_may_be_of_another(machine: _Machine) -> None:
    """Who commands one operation alone may be granted something else, with the same warning."""
    code, said = machine.grant("add", "SecondWeixin", "status")
    assert code == 0
    assert "if that is a name and no stable id, the permission does not hold" in said
    assert [(grant.user, grant.command) for grant in machine.grants()] == [("SecondWeixin", "status")]


@pytest.mark.parametrize("number", ["9", "0", "-1", "99999999999999999999"])
def test_grant_revoke_of_no_number_there_is_says_so(machine: _Machine, number: str) -> None:
    """A number that there is not is told, and is not on the audit."""
    code, said = machine.grant("revoke", number)
    assert code in {1, 2}
    assert "there is no number" in said or "unrecognized arguments" in said or "arguments are required" in said
    assert machine.audit() == []


def test_grant_list_shows_all_or_one_users(machine: _Machine) -> None:
    """Rows with number, who, what, where, until when and by whom; those of everybody are anybody's."""
    assert machine.grant("list") == (0, "nothing is granted or denied\n")
    machine.grant("add", "wxid_ann", "qr")
    machine.grant("deny", "wxid_bob", "*")
    machine.grant("add", "*", "status")
    numbers = [
        [row.partition(":")[0] for row in machine.grant("list", *user)[1].splitlines()]
        for user in ((), ("wxid_ann",), ("wxid_zoe",))
    ]
    assert numbers == [["1", "2", "3"], ["1", "3"], ["3"]]


def test_grant_without_a_configuration_says_what_was_expected(
    machine: _Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A configuration that is not there, or not valid, is told."""
    assert cli.main(["grant", "list", "--config", str(machine.folder / "none.toml")]) == 2
    assert "none.toml: no such file" in capsys.readouterr().err
    machine.config.write_text("[bot]\n", encoding="utf-8")
    code, said = machine.grant("list")
    assert code == 2
    assert "logmonitor grant: " in said


def test_grant_that_cannot_be_put_on_record_is_none(machine: _Machine) -> None:
    """Where the audit cannot be written, nothing is given and nothing taken back."""
    machine.grant("add", "wxid_ann", "qr")
    (machine.folder / "alice.audit.jsonl").unlink()
    (machine.folder / "alice.audit.jsonl").mkdir()
    for words in (("add", "wxid_bob", "qr"), ("revoke", "1")):
        code, said = machine.grant(*words)
        assert code == 1
        assert said.startswith("logmonitor grant: ")
    assert [grant.user for grant in machine.grants()] == ["wxid_ann"]


def test_grant_tells_of_a_store_that_was_damaged(machine: _Machine) -> None:
    """A store that is set aside is told, since what was in it holds no more."""
    machine.grant("deny", "wxid_ann", "*")
    (machine.folder / "alice.db").write_bytes(b"no store at all" * 1000)
    code, said = machine.grant("list")
    assert code == 0
    assert "the store was damaged and is set aside as" in said


def test_import_shows_all_and_writes_what_was_confirmed(machine: _Machine) -> None:
    """Without a terminal `--yes` is the word; what has expired stays behind, and a second import doubles nothing."""
    path = machine.xbot(*_GOOD, (_INJECTION, "qr_rescue", "*", "2099-12-31"))
    code, said = machine.grant("import", path)
    assert code == 1
    assert said.splitlines() == [
        "1\tann\tqr_rescue.qr\tthe end of 2099-12-31 (UTC+08:00)\tnew",
        "2\tbob\t*\tthe end of 2099-12-31 (UTC+08:00)\tnew",
        (
            "3\tcarol\tact_demo.setup\tthe end of 2099-12-31 (UTC+08:00)\tnew, but gives nothing:"
            " no command here that can be granted has that name"
        ),
        "4\tdave\t*\tthe end of 2020-01-01 (UTC+08:00)\thas expired",
        f"5\t{_INJECTION}\tqr_rescue.*\tthe end of 2099-12-31 (UTC+08:00)\tnew",
        "nothing is imported",
        "logmonitor grant: there is no terminal to confirm it on; say --yes",
    ]
    assert machine.grants() == ()
    code, said = machine.grant("import", path, "--yes", "--user", "ann=wxid_ann")
    assert code == 0
    assert said.endswith("4 grants imported; `logmonitor grant list` shows them\n")
    assert [grant.user for grant in machine.grants()] == ["wxid_ann", "bob", "carol", _INJECTION]
    assert machine.audit() == [("granted", number) for number in (1, 2, 3, 4)]
    code, said = machine.grant("import", path, "--yes", "--user", "ann=wxid_ann")
    assert (code, said.splitlines()[-1]) == (0, "nothing to import")
    assert len(machine.grants()) == 4


def test_import_of_a_configured_admin_warns_once(machine: _Machine) -> None:
    """What XBot calls a user and the configuration an admin is a name or an id; that is said before it is written."""
    path = machine.xbot(
        ("AdminWeixin", "qr_rescue", "qr", "2099-12-31"), ("AdminWeixin", "*", "*", "2099-12-31"), *_GOOD[:1]
    )
    warning = (
        "warning: the configuration names an admin 'AdminWeixin'; if that is a name and no stable id, the permission"
        " does not hold; `logmonitor check` tells the id\n"
    )
    code, said = machine.grant("import", path)
    assert (code, said.count(warning)) == (1, 1)
    assert said.count("warning:") == 1
    code, said = machine.grant("import", path, "--yes", "--user", "AdminWeixin=wxid_admin")
    assert (code, said.count("warning:")) == (0, 0)


def test_import_doubles_nothing_within_one_file(machine: _Machine) -> None:
    """A permission that stands there twice is one grant; many are written some at a time."""
    rows = [(f"user{number}", "*", "*", "2099-12-31") for number in range(60)]
    code, _said = machine.grant("import", machine.xbot(*rows, *rows), "--yes", "--room", "ops@chat")
    assert code == 0
    assert [grant.user for grant in machine.grants()] == [f"user{number}" for number in range(60)]
    assert {grant.room for grant in machine.grants()} == {"ops@chat"}


def test_import_of_rows_that_cannot_be_read_is_none_unless_they_are_left_out(machine: _Machine) -> None:
    """One bad row stops all of it, with its reason; `--skip-bad` takes the others."""
    path = machine.xbot(
        *_GOOD, ("*", "*", "*", "2099-12-31"), ("eve", "a*", "x", "2099-12-31"), ("fay", "*", "*", "soon")
    )
    code, said = machine.grant("import", path, "--yes")
    assert code == 1
    assert "5\t'*'\t\t\tcannot be read: bad username '*'" in said
    assert "6\t'eve'\t\t\tcannot be read: bad cmd 'a*'" in said
    assert "7\t'fay'\t\t\tcannot be read: bad valid_until 'soon'" in said
    assert "3 rows cannot be read, and nothing is imported" in said
    assert machine.grants() == ()
    assert machine.grant("import", path, "--yes", "--skip-bad")[0] == 0
    assert [grant.user for grant in machine.grants()] == ["ann", "bob", "carol"]


@pytest.mark.parametrize(
    ("pairs", "refusal"),
    [
        (("ann",), "bad --user 'ann'"),
        (("=wxid_ann",), "bad --user '=wxid_ann'"),
        (("ann=",), "'' names nobody"),
        (("ann=*",), "'*' names nobody"),
        (("ann=a", "ann=b"), "bad --user 'ann=b'"),
        (("zoe=wxid_zoe",), "--user 'zoe': nothing in"),
    ],
)
def test_import_refuses_a_user_that_cannot_be_meant(machine: _Machine, pairs: tuple[str, ...], refusal: str) -> None:
    """A name without its id, twice, or that the file does not have, imports nothing."""
    path = machine.xbot(*_GOOD)
    code, said = machine.grant("import", path, "--yes", *(word for pair in pairs for word in ("--user", pair)))
    assert code == 2
    assert refusal in said
    assert machine.grants() == ()


def test_import_of_a_file_that_is_no_xbots_is_refused(machine: _Machine) -> None:
    """The configuration itself, or nothing at all, is no database."""
    code, said = machine.grant("import", str(machine.config))
    assert (code, said) == (
        1,
        f"logmonitor grant: {machine.config} cannot be read as the local.db of an XBot: file is not a database\n",
    )
    assert machine.grant("import", str(machine.folder / "none.db"))[0] == 1


@pytest.mark.parametrize(
    ("keys", "code", "count"), [("y\r", 0, 3), ("Yes\r", 0, 3), ("\r", 1, 0), ("n\r", 1, 0), ("\x04", 1, 0)]
)
def test_import_asks_whoever_sits_at_the_terminal(machine: _Machine, keys: str, code: int, count: int) -> None:
    """At a terminal the table is drawn and a `y` is wanted; anything else writes nothing."""
    path = machine.xbot(*_GOOD, ("\x1b[2Jeve", "*", "*", "2020-01-01"))
    with Terminal(
        "-m",
        "logmonitor",
        "grant",
        "import",
        path,
        "--skip-bad",
        "--config",
        str(machine.config),
        folder=machine.folder,
    ) as terminal:
        shown = terminal.wait_for("[y/N]")
        terminal.press(keys)
        assert terminal.wait() == code
    assert "cannot be read: bad username" in " ".join(shown.split())
    assert "Grant 3 rows, in direct messages, in " in " ".join(shown.split())
    assert len(machine.grants()) == count
