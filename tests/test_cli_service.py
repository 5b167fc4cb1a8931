"""`logmonitor service`, with a systemctl that writes down what it is told, and with a real systemd."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor import cli
from logmonitor.cli import service_facts, systemd
from logmonitor.cli.service_facts import Facts, ask_facts
from logmonitor.cli.service_files import keep_variables, require_unchanged
from logmonitor.cli.service_plan import Account, account_of, plan_of
from logmonitor.cli.variable_file import read_variables
from logmonitor.errors import ConfigurationError
from logmonitor.needs import Need
from logmonitor.unit_file import Hardening, Scope, configuration_of, unit_text
from tests.hosting.strangers import bare_interpreter, until

if TYPE_CHECKING:
    from tests.hosting.own_systemd import Systemd
    from tests.hosting.strangers import Strangers

BOT = '[bot]\nname = "alice"\n'
CHAT = '[chat]\ntransport = "{}"\n{}admins = ["Ann"]\n'
WATCH = '[[watch]]\nname = "bob"\nlog = "bob.log"\n[[operation]]\nuse = "qr_rescue"\n'
WECHATY = 'endpoint = "127.0.0.1:1"\ntoken = "${BOT_TOKEN}"\n'
SECRET = "a%b\"c'd$e`f\\g#h"  # noqa: S105  # nobody's
CHATS = '''
import asyncio, os, sys, time
from logmonitor import Health, Limits, TransportError

class Chat:
    """A chat in which nothing happens, until a file says that the event loop is to be held."""
    limits = Limits()
    def __init__(self, *, token: str = ""): self.token = token
    def health(self): return Health(is_up=True)
    async def messages(self):
        while not os.path.exists(os.path.join(os.path.dirname(__file__), "hold")):
            await asyncio.sleep(0.05)
        time.sleep(1000)
        yield
    async def send(self, to, content, /): raise TransportError("not now")
    async def resolve(self, who, /): raise TransportError("not now")
    async def __aenter__(self):
        with open(os.path.join(os.path.dirname(__file__), "token"), "w") as file: file.write(self.token)
        return self
    async def __aexit__(self, *_): ...
'''
STARTER = '''
import subprocess

class Starter(Chat):
    """A chat that starts what stands for a bot."""
    async def __aenter__(self):
        one = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        with open(os.path.join(os.path.dirname(__file__), "started"), "w") as file: file.write(str(one.pid))
        return self
'''
SYSTEMCTL = """\
#!{python}
import json, os, sys
folder = os.path.dirname(os.path.abspath(__file__))
words = [one for one in sys.argv[1:] if one not in ("--no-pager", "--no-ask-password")]
with open(os.path.join(folder, "told"), "a") as told: told.write(json.dumps(words) + "\\n")
refused = os.path.join(folder, "refuses")
if os.path.exists(refused) and open(refused).read() in words:
    sys.exit("Job failed. See the journal.")
if "--property=Version" in words:
    print("252.38-1")
elif "show" in words:
    print(open(os.path.join(folder, "facts")).read())
"""
RUNNING = "ActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=4711\nStatusText=chat up\nNRestarts=2\n"


class Machine:
    """A machine with a systemctl that is obeyed by nobody, and a configuration."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """Put programs in front of the search path, and units elsewhere."""
        self.programs, self.units, self.bots = folder / "bin", folder / "units", folder / "bots"
        for place in (self.programs, self.units, self.bots):
            place.mkdir()
        self.offer("systemctl", SYSTEMCTL.format(python=sys.executable))
        self.offer("loginctl", "#!/bin/sh\necho no\n")
        self.facts(RUNNING)
        self.configuration = self.bots / "alice.toml"
        self.configuration.write_text(BOT + CHAT.format("wechaty", WECHATY) + WATCH)
        (self.bots / "bob.log").touch()
        monkeypatch.setenv("PATH", f"{self.programs}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("BOT_TOKEN", SECRET)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        monkeypatch.setattr(systemd, "SYSTEM_UNITS", self.units)
        self._capsys = capsys

    def offer(self, name: str, text: str) -> None:
        """Have a program of that name."""
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def facts(self, text: str) -> None:
        """Have systemd know this of every unit."""
        (self.programs / "facts").write_text(text)

    def refuse(self, word: str) -> None:
        """Have systemctl fail at this."""
        (self.programs / "refuses").write_text(word)

    @property
    def told(self) -> list[list[str]]:
        """What systemctl was told to change."""
        lines = (self.programs / "told").read_text().splitlines()
        return [words for words in map(json.loads, lines) if "show" not in words]

    def does(self, action: str, *words: str) -> tuple[int, list[str]]:
        """Run the command about the configuration; return its exit code and all that it says."""
        code = cli.main(["service", action, str(self.configuration), *words])
        said = self._capsys.readouterr()
        return code, (said.out + said.err).splitlines()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Machine:
    """Give a machine on which the configuration's owner is who runs the tests."""
    return Machine(tmp_path, monkeypatch, capsys)


AS_SELF = ("--user",)


def unit_path(machine: Machine) -> Path:
    """Return where a user's unit is kept."""
    return machine.programs.parent / "config" / "systemd" / "user" / "logmonitor-alice.service"


def test_installed_service_is_written_enabled_and_started(machine: Machine) -> None:
    """One command has it run; what it takes from the environment is in a file of its owner's alone, not in the unit."""
    code, said = machine.does("install", *AS_SELF)
    assert code == 0, said
    text = unit_path(machine).read_text()
    assert configuration_of(text) == str(machine.configuration)
    variables = machine.bots / "alice.env"
    assert f'"run" "--variables" "{variables}" "{machine.configuration}"\n' in text
    assert "EnvironmentFile" not in text
    assert SECRET not in text + "\n".join(said)
    assert variables.stat().st_mode & 0o777 == 0o600
    assert read_variables(variables) == {"BOT_TOKEN": SECRET}
    name = "logmonitor-alice.service"
    assert machine.told == [
        ["--user", "daemon-reload"],
        ["--user", "enable", "--", name],
        ["--user", "restart", "--", name],
    ]
    assert said[-1] == f"ok: service: {name} runs as pid 4711, started again 2 times: chat up"
    user = account_of(os.geteuid()).name
    assert f"  remedy: loginctl enable-linger {user}" in said


def test_service_installed_twice_is_brought_up_to_date(machine: Machine) -> None:
    """The same unit under the same name, also of a bot that is called otherwise now; its variables stay."""
    machine.does("install", *AS_SELF)
    code, said = machine.does("install", *AS_SELF)
    assert (code, any("is as it was" in line for line in said)) == (0, True)
    text = machine.configuration.read_text().replace("alice", "carol") + '[[operation]]\nuse = "status"\n'
    machine.configuration.write_text(text)
    code, said = machine.does("install", *AS_SELF)
    assert (code, any("was brought up to date" in line for line in said)) == (0, True)
    assert [path.name for path in unit_path(machine).parent.iterdir()] == ["logmonitor-alice.service"]
    assert "Description=logmonitor: carol" in unit_path(machine).read_text()


@pytest.mark.parametrize("text", ["[Service]\nExecStart=/bin/true\n", '[X-Logmonitor]\nConfiguration="/b.toml"\n'])
def test_unit_of_somebody_else_is_left_as_it_is(machine: Machine, text: str) -> None:
    """Neither overwritten nor removed; with another name there is room for both."""
    unit_path(machine).parent.mkdir(parents=True)
    unit_path(machine).write_text(text)
    code, said = machine.does("install", *AS_SELF)
    assert (code, said[-1].endswith("and is left as it is; name another with --name")) == (2, True)
    assert machine.does("uninstall", *AS_SELF, "--name", "logmonitor-alice")[0] == 2
    assert unit_path(machine).read_text() == text
    assert machine.does("install", *AS_SELF, "--name", "mine.service")[0] == 0
    assert (unit_path(machine).parent / "mine.service").exists()
    code, said = machine.does("install", *AS_SELF, "--name", "other")
    assert (code, "is installed as mine.service" in said[-1]) == (2, True)


def test_unit_that_a_package_brought_is_not_shadowed(machine: Machine) -> None:
    """A unit of that name elsewhere is somebody else's, too."""
    machine.facts("FragmentPath=/lib/systemd/user/logmonitor-alice.service\n")
    code, said = machine.does("install", *AS_SELF)
    assert (code, "is there already, as /lib/systemd/user/logmonitor-alice.service" in said[-1]) == (2, True)
    assert not unit_path(machine).exists()


def test_service_is_removed_with_nothing_of_the_bots(machine: Machine) -> None:
    """Stopped, not started again, and its files left; also where the configuration is gone."""
    machine.does("install", *AS_SELF)
    drop_ins = Path(f"{unit_path(machine)}.d")
    drop_ins.mkdir()
    machine.configuration.unlink()
    code, said = machine.does("uninstall", *AS_SELF)
    assert code == 0, said
    assert machine.told[-2:] == [
        ["--user", "disable", "--now", "--", "logmonitor-alice.service"],
        ["--user", "daemon-reload"],
    ]
    assert not unit_path(machine).exists()
    assert (machine.bots / "alice.env").exists()
    assert any(f"{drop_ins}, which holds what you added to it, stays" in line for line in said)
    code, said = machine.does("uninstall", *AS_SELF)
    assert (code, "none is installed for" in said[0]) == (0, True)


def test_service_that_does_not_start_is_told(machine: Machine) -> None:
    """With the command that shows why."""
    machine.refuse("restart")
    code, said = machine.does("install", *AS_SELF)
    assert code == 1
    remedy = "  remedy: journalctl --user -n 30 -u logmonitor-alice.service tells why"
    assert said[-2:] == ["finding: service: does not start: Job failed. See the journal.", remedy]
    machine.refuse("nothing")
    machine.facts("ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=1\n")
    code, said = machine.does("install", *AS_SELF)
    assert code == 1
    state = "finding: service: logmonitor-alice.service is activating (auto-restart) (exit-code), started again once"
    assert said[-2:] == [state, remedy]


def test_status_tells_whether_it_runs_and_is_what_the_configuration_asks_for(machine: Machine) -> None:
    """Not installed, running, down, out of date, and with a configuration that would not start again."""
    assert machine.does("status", *AS_SELF)[0] == 1
    machine.does("install", *AS_SELF)
    code, said = machine.does("status", *AS_SELF)
    assert (code, said) == (
        0,
        ["ok: service: logmonitor-alice.service runs as pid 4711, started again 2 times: chat up"],
    )
    whole = machine.configuration.read_text()
    machine.configuration.write_text(
        whole + '[[operation]]\nuse = "service_check"\nservices = [{ name = "d", command = ["df"] }]\n'
    )
    code, said = machine.does("status", *AS_SELF)
    assert (code, said[1]) == (1, "finding: unit: is not what the configuration asks for now")
    machine.configuration.write_text(whole + "[oops]\n")
    assert machine.does("status", *AS_SELF)[1][-1] == "  remedy: mend it; the service may not start again"
    machine.configuration.write_text(whole)
    machine.facts("ActiveState=failed\nSubState=failed\nUnitFileState=disabled\nResult=watchdog\nNRestarts=0\n")
    code, said = machine.does("status", *AS_SELF)
    assert code == 1
    assert said[0] == "finding: service: logmonitor-alice.service is failed (watchdog)"
    assert said[2] == "finding: unit: is not started with the machine"


def test_unit_is_shown_and_nothing_done(machine: Machine) -> None:
    """`--print` needs no systemd, and writes and tells nothing."""
    (machine.programs / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    code, said = machine.does("install", *AS_SELF, "--print")
    assert (code, said[1]) == (0, "[Unit]")
    assert not unit_path(machine).exists()
    assert not (machine.bots / "alice.env").exists()


def test_machine_without_systemd_is_told_what_to_run(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says that there is none, one what any other starter of programs has to run."""
    machine.offer("systemctl", "#!/bin/sh\necho 'System has not been booted with systemd.' >&2\nexit 1\n")
    code, said = machine.does("install", *AS_SELF)
    assert code == 2
    assert "System has not been booted with systemd." in said[0]
    assert said[1].endswith(f"-P -m logmonitor run {machine.configuration}")
    assert machine.does("status", *AS_SELF)[0] == 2
    monkeypatch.setenv("PATH", str(machine.bots))
    sentence = "logmonitor service: there is no systemd on this machine: no systemctl is on the search path"
    assert machine.does("uninstall", *AS_SELF) == (2, [sentence])


def test_variables_that_nobody_has_set_are_asked_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed that could not start; what the file says counts as set."""
    monkeypatch.delenv("BOT_TOKEN")
    code, said = machine.does("install", *AS_SELF)
    assert code == 2
    assert said[-1] == f"logmonitor service: set BOT_TOKEN here, or write NAME=VALUE into {machine.bots / 'alice.env'}"
    assert not unit_path(machine).exists()
    (machine.bots / "alice.env").write_text("# mine\nexport BOT_TOKEN='x#y'\nOTHER=1")
    (machine.bots / "alice.env").chmod(0o644)
    code, said = machine.does("install", *AS_SELF)
    assert code == 0
    assert f"  remedy: chmod 600 {machine.bots / 'alice.env'}" in said
    machine.configuration.write_text(machine.configuration.read_text().replace('"alice"', '"${BOT_NAME}"'))
    monkeypatch.setenv("BOT_NAME", "carol")
    assert machine.does("install", *AS_SELF)[0] == 0
    assert (machine.bots / "alice.env").read_text() == "# mine\nexport BOT_TOKEN='x#y'\nOTHER=1\nBOT_NAME=\"carol\"\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--config", "b.toml"), "two configurations are named; expected one"),
        (("--name", "a b"), "bad name 'a b' of a unit"),
        (("--name", "../a"), "bad name '../a' of a unit"),
        (("--run-as", "nobody"), "expected --run-as from root alone"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(machine: Machine, words: tuple[str, ...], sentence: str) -> None:
    """Before anything is looked at."""
    code, said = machine.does("install", *AS_SELF, *words)
    assert (code, sentence in said[0]) == (2, True)


def test_configuration_that_is_not_there_is_told(machine: Machine) -> None:
    """As such, whoever asks."""
    machine.configuration.unlink()
    code, said = machine.does("install", *AS_SELF)
    assert (code, said) == (
        2,
        [f"logmonitor service: {machine.configuration}: cannot be read: no such file or directory"],
    )


@pytest.mark.parametrize("transport", ["console", "stdio"])
def test_chat_that_needs_who_starts_it_is_refused(machine: Machine, transport: str) -> None:
    """A service has no terminal, and nobody at its other end."""
    machine.configuration.write_text(BOT + CHAT.format(transport, "") + WATCH)
    code, said = machine.does("install", *AS_SELF)
    assert (code, f"the chat '{transport}' talks to whoever starts it" in said[0]) == (2, True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs for others")


@needs_root
def test_root_runs_nothing_of_its_own_unasked(machine: Machine) -> None:
    """The owner of the configuration runs it; root only where that is said, and others can change nothing of it."""
    code, said = machine.does("install")
    assert (code, "belongs to root, and the bot would be root, too" in said[0]) == (2, True)
    machine.bots.chmod(0o777)
    code, said = machine.does("install", "--run-as", "root")
    assert (code, "others than its owner can change it" in said[0]) == (2, True)
    machine.bots.chmod(0o755)
    code, said = machine.does("install", "--run-as", "nosuchuser")
    assert (code, "no user is called 'nosuchuser'" in said[0]) == (2, True)
    code, said = machine.does("install", "--run-as", "root")
    assert code == 0, said
    assert "User=root\n" in (machine.units / "logmonitor-alice.service").read_text()
    assert machine.does("status")[0] == 0
    assert machine.told[-1] == ["restart", "--", "logmonitor-alice.service"]
    os.chown(machine.configuration, 65534, 65534)
    code, said = machine.does("install", "--run-as", "root")
    assert (code, "who could change what runs as root" in said[0]) == (2, True)


@needs_root
def test_who_could_put_another_configuration_in_its_place_is_refused(strange_folder: Path) -> None:
    """Whoever owns a folder or link on the way, or may write in one, may say what runs, and so is root or the user."""
    nobody, path = account_of(65534), strange_folder / "bots" / "alice.toml"
    path.parent.mkdir()
    path.touch()
    require_unchanged(path, nobody)
    os.chown(path.parent, 12345, 0)
    with pytest.raises(ConfigurationError, match="bots: belongs to 12345, who could change what runs as "):
        require_unchanged(path, nobody)
    os.chown(path.parent, 65534, 0)
    path.parent.chmod(0o1777)
    with pytest.raises(ConfigurationError, match="bots: others than its owner can change it"):
        require_unchanged(path, nobody)
    path.parent.chmod(0o755)
    link = strange_folder / "here"
    link.symlink_to("bots/../bots")
    require_unchanged(link / "alice.toml", nobody)
    os.chown(link, 12345, 0, follow_symlinks=False)
    with pytest.raises(ConfigurationError, match="here: belongs to 12345"):
        require_unchanged(link / "alice.toml", nobody)
    (strange_folder / "round").symlink_to(strange_folder / "round")
    for lost in ("round", "nowhere"):
        with pytest.raises(ConfigurationError, match="cannot be reached: "):
            require_unchanged(strange_folder / lost / "alice.toml", nobody)


@needs_root
def test_root_gives_nothing_of_its_own_for_the_configuration_of_another(
    machine: Machine, strange_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes it names the variables, which would be root's secrets; nor does root read the file of them."""
    python = strange_folder / "python"
    python.write_text(f'#!/bin/sh\ncat >{strange_folder}/given\necho \'{{"error": "no", "lacking": ["BOT_TOKEN"]}}\'\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    machine.configuration = strange_folder / "alice.toml"
    machine.configuration.write_text(BOT + CHAT.format("wechaty", WECHATY) + WATCH)
    os.mkfifo(strange_folder / "alice.env")  # who opens it waits for ever
    os.chown(machine.configuration, 65534, 65534)
    os.chown(strange_folder, 65534, 65534)
    code, said = machine.does("install")
    assert code == 2
    assert said[-1].endswith(f", for BOT_TOKEN; what is set here is not given to {account_of(65534).name}")
    assert json.loads((strange_folder / "given").read_text())["environ"] == {}
    assert (strange_folder / "given").stat().st_uid == 65534
    os.chown(machine.configuration, 0, 0)
    machine.does("install", "--run-as", account_of(65534).name)
    assert json.loads((strange_folder / "given").read_text())["environ"] == {"BOT_TOKEN": SECRET}


@needs_root
def test_variables_in_a_folder_of_roots_are_written_for_the_service(strange_folder: Path) -> None:
    """By root, as nobody else can write there, behind what stands there already."""
    variables = strange_folder / "alice.env"
    variables.write_text("A=1")
    row = keep_variables(variables, {"B": "2", "C": "3"}, account_of(65534))
    assert row is not None
    assert row.text.startswith("B, C, as set here, was written to ")
    assert read_variables(variables) == {"A": "1", "B": "2", "C": "3"}
    assert variables.stat().st_uid == 65534


@needs_root
def test_remedies_are_typed_as_they_are_told(machine: Machine) -> None:
    """Root's own systemd is asked for by an option, as is a unit of another name."""
    assert f"  remedy: logmonitor service install {machine.configuration} --user" in machine.does("status", *AS_SELF)[1]
    machine.does("install", *AS_SELF, "--name", "mine")
    machine.facts(RUNNING.replace("=enabled", "=disabled"))
    code, said = machine.does("status", *AS_SELF, "--name", "mine")
    assert code == 1
    assert f"  remedy: logmonitor service install {machine.configuration} --user --name mine.service" in said


@needs_root
def test_code_of_others_is_not_run_by_root(machine: Machine, tmp_path: Path) -> None:
    """What a configuration names is run as its owner, or, where that one cannot, not at all."""
    for place in (tmp_path, *tmp_path.parents):
        if not place.stat().st_mode & 0o001:
            place.chmod(place.stat().st_mode | 0o001)  # pytest's own folder is root's alone
    (machine.bots / "mine.py").write_text(
        "import os, pathlib\n"
        "pathlib.Path(__file__).with_name('ran').write_text(str(os.geteuid()))\n"
        "def mine(config): raise ValueError('no')\n"
    )
    machine.configuration.write_text(machine.configuration.read_text() + '[[operation]]\nuse = "mine:mine"\n')
    for path in (machine.bots, *machine.bots.iterdir()):
        os.chown(path, 65534, 65534)
    code, said = machine.does("install")
    ran = machine.bots / "ran"
    assert not ran.exists() or ran.read_text() == "65534"
    assert code == 0 or "cannot run" in said[0] or "fails as" in said[0], said


@needs_root
def test_what_is_run_as_another_user_has_nothing_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers, groups and environment are the user's own, and it has no terminal."""
    python = bare_interpreter()
    monkeypatch.setattr(sys, "executable", python)
    script = (
        "import os; print(os.getresuid(), os.getresgid(), 0 in os.getgroups(), sorted(os.environ),"
        " os.getsid(0) == os.getpid())"
    )
    account = account_of(65534)
    said = service_facts.run_as(account, script, given=b"")
    assert said.startswith(f"{(account.uid,) * 3} {(account.gid,) * 3} False [")
    assert "BOT_TOKEN" not in said
    assert said.endswith(" True\n"), "it shares our terminal"


def facts(**changes: object) -> Facts:
    """Return what is found in a configuration that needs nothing."""
    fields: dict[str, object] = {
        "bot": "alice",
        "chat": "wechaty",
        "connects": True,
        "needs": (Need(subject="qr_rescue"),),
        "written": ("/srv/alice/alice.db",),
        "seen": ("/srv/alice/alice.toml", "/usr/bin/python3"),
    }
    return Facts(**(fields | changes))  # type: ignore[arg-type]


ALICE = Account(name="alice", uid=1000, gid=1000, home="/home/alice")


def planned(given: Facts, scope: Scope = Scope.SYSTEM) -> tuple[str, list[str]]:
    """Return the unit of a configuration in /srv/alice, and the rows about it."""
    plan = plan_of(given, Path("/srv/alice/alice.toml"), scope=scope, account=ALICE, version=252)
    return unit_text(plan.unit), [f"{row.subject}: {row.text}" for row in plan.rows]


def test_plan_hides_what_nothing_lies_in() -> None:
    """Homes and other programs' temporary files are closed, unless something of the bot lies there."""
    text, rows = planned(facts())
    assert "ProtectHome=yes" in text
    assert "PrivateTmp=yes" in text
    assert rows[0].startswith("hardened: it sees the machine read-only and writes to /srv/alice; it sees no homes;")
    text, rows = planned(facts(seen=("/home/bob/bob.log", "/tmp/bob.pid")))
    assert "ProtectHome=read-only" in text
    assert "PrivateTmp" not in text
    assert "temporary files are those of all" in rows[0]


def test_plan_tells_what_was_left_open_and_why() -> None:
    """With a row for each operation that needs it."""
    open_ = Need(subject="sh", reason="runs whatever an admin says", hardening=Hardening.NONE, outlived=True)
    text, rows = planned(facts(needs=(open_, Need(subject="qr_rescue"))))
    assert "Protect" not in text
    assert rows[:2] == [
        "left open: all that the account may do, because sh runs whatever an admin says",
        (
            "left running: only the program itself is ended with the service (KillMode=process):"
            " what it has started goes on"
        ),
    ]


def test_plan_has_programs_found_and_folders_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all programs are not, the unit says where; what is nowhere is told; what a boot takes away comes again."""
    program = tmp_path / "pm2"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    needs = (Need(subject="ps", programs=("sh", "pm2", "nowhere-to-be-found"), asks_user=True),)
    text, rows = planned(facts(needs=needs, written=("/run/logmonitor-test-bots/alice.pid", "/nonexistent/x.db")))
    assert f'Environment="PATH={tmp_path}:/usr/local/sbin:' in text
    assert 'Environment="XDG_RUNTIME_DIR=/run/user/1000"' in text
    assert "ProtectHome=read-only" in text
    assert 'RuntimeDirectory="logmonitor-test-bots"' in text
    assert "RuntimeDirectory" not in planned(facts(written=("/run/postgresql/alice.pid",)))[0]
    assert "ps: nowhere-to-be-found is not on the search path" in rows
    assert "files: /nonexistent, in which the service writes, is no folder" in rows


def test_plan_tells_what_its_user_cannot_reach() -> None:
    """Before the service fails for it."""
    rows = planned(facts(unread=("/srv/bob.log",), unwritten=("/srv/alice",)), Scope.USER)[1]
    assert "files: alice cannot read /srv/bob.log" in rows
    assert "files: alice cannot write in /srv/alice" in rows
    assert rows[0].startswith("hardened: whatever its user may write is open to it")


def test_facts_are_asked_of_a_process_of_the_user(tmp_path: Path) -> None:
    """What it says is taken for facts only where it is; why it says nothing is told."""
    account = account_of(os.geteuid())
    path = tmp_path / "alice.toml"
    path.write_text(BOT + CHAT.format("chats:Chat", "") + WATCH)
    (tmp_path / "chats.py").write_text(CHATS + "\nprint('noise')\n")
    found = ask_facts(path, {}, account)
    assert (found.bot, found.connects) == ("alice", True)
    assert [need.subject for need in found.needs] == ["qr_rescue", "chat chats:Chat"]
    assert f"{tmp_path.resolve()}/alice.db" in found.written
    with pytest.raises(ConfigurationError, match="no such file"):
        ask_facts(tmp_path / "other.toml", {}, account)
    with pytest.raises(ConfigurationError, match=r"fails as .*: SystemExit|fails as"):
        service_facts.run_as(account, "raise OSError('oops')", given=b"")
    with pytest.raises(ConfigurationError, match=r"fails as .*: OSError: .*File too large"):
        service_facts.run_as(account, "while True: print('x' * 100_000, flush=True)", given=b"")


def test_variables_are_not_written_through_a_link(tmp_path: Path) -> None:
    """Who may write in the folder could else have us write anywhere."""
    path, target = tmp_path / "alice.toml", tmp_path / "target"
    path.touch()
    (tmp_path / "alice.env").symlink_to(target)
    with pytest.raises(ConfigurationError, match="fails as"):
        keep_variables(path.with_suffix(".env"), {"A": "1"}, account_of(os.geteuid()))
    assert not target.exists()


def running() -> set[int]:
    """Return the ids of all processes."""
    return {int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()}


def said_of(pid: int, name: str) -> str:
    """Return what the kernel says of a process."""
    return Path(f"/proc/{pid}/{name}").read_text()


async def begun(strangers: Strangers, own_systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a systemd, and have `systemctl --user` ask it."""
    monkeypatch.setenv("HOME", str(strangers.folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(strangers.folder / ".config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own_systemd.runtime))
    monkeypatch.setenv("BOT_TOKEN", SECRET)
    environ = (
        f"HOME={strangers.folder}".encode(),
        f"XDG_RUNTIME_DIR={own_systemd.runtime}".encode(),
        f"PATH={os.environ['PATH']}".encode(),
        strangers.mark,
    )
    await strangers.start(*own_systemd.words(), environ=environ)
    await until((own_systemd.runtime / "systemd" / "private").exists)


async def test_real_systemd_runs_watches_and_ends_the_service(
    strangers: Strangers,
    own_systemd: Systemd,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As installed for a user, in a folder of an odd name: started, ended when stuck and begun anew, removed."""
    folder = strangers.folder / "a b%c$d\"e'ü[x]*中"
    folder.mkdir()
    (folder / "chats.py").write_text(CHATS)
    (folder / "bob.log").touch()
    configuration = folder / "alice.toml"
    configuration.write_text(BOT + CHAT.format("chats:Chat", 'token = "${BOT_TOKEN}"\n') + WATCH)
    await begun(strangers, own_systemd, monkeypatch)
    drop_ins = strangers.folder / ".config" / "systemd" / "user" / "logmonitor-alice.service.d"
    drop_ins.mkdir(parents=True)
    (drop_ins / "quick.conf").write_text("[Service]\nWatchdogSec=2\nRestartSec=100ms\nTimeoutAbortSec=5\n")

    def does(action: str) -> tuple[int, list[str]]:
        code = cli.main(["service", action, str(configuration), "--user"])
        said = capsys.readouterr()
        return code, (said.out + said.err).splitlines()

    code, said = does("install")
    assert code == 0, said
    first = re.search(r"runs as pid (\d+)", said[-1])
    assert first is not None, said
    assert (folder / "token").read_text() == SECRET
    code, said = does("status")
    assert (code, "chat up; bob: unknown" in said[0]) == (0, True), said
    (folder / "hold").touch()
    await until(lambda: int(first[1]) not in running())
    (folder / "hold").unlink()
    await until(lambda: "started again once: chat up" in does("status")[1][0])
    second = re.search(r"runs as pid (\d+)", does("status")[1][0])
    assert second is not None
    assert second[1] != first[1]
    code, said = does("uninstall")
    assert code == 0, said
    assert int(second[1]) not in running()
    assert does("status")[0] == 1


@pytest.mark.parametrize("restarts", [True, False])
async def test_what_the_service_has_restarted_goes_on_without_it(
    strangers: Strangers,
    own_systemd: Systemd,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    restarts: bool,
) -> None:
    """Where the configuration restarts processes they outlive the service; else nothing of it does."""
    (strangers.folder / "chats.py").write_text(CHATS + STARTER)
    (strangers.folder / "bob.log").touch()
    configuration = strangers.folder / "alice.toml"
    restarting = '[[operation]]\nuse = "restart_process"\nwatch = "bob"\nprocess = "no-such-bot"\n' if restarts else ""
    configuration.write_text(BOT + CHAT.format("chats:Starter", "") + WATCH + restarting)
    await begun(strangers, own_systemd, monkeypatch)
    code = cli.main(["service", "install", str(configuration), "--user"])
    assert code == 0, capsys.readouterr()
    started = int((strangers.folder / "started").read_text())
    assert started in running()
    assert cli.main(["service", "uninstall", str(configuration), "--user"]) == 0
    await until(lambda: restarts == (started in strangers.alive()))


async def test_service_works_in_all_that_is_closed_to_it(
    strangers: Strangers,
    own_systemd: Systemd,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A rescuer as the machine's service is at work and keeps what must last, with everything else read-only to it.

    Its chat is down, which is no reason not to have started.
    """
    await begun(strangers, own_systemd, monkeypatch)
    folder, units = strangers.folder / "bots", strangers.folder / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    folder.mkdir(mode=0o755)
    strangers.folder.chmod(0o755)
    (folder / "bob.log").touch()
    configuration = folder / "alice.toml"
    pid_file = 'pid_file = "alice.pid"\n'
    chat = CHAT.format("wechaty", 'endpoint = "127.0.0.1:1"\ntoken = "x"\ntls = false\n')
    configuration.write_text(BOT + pid_file + chat + WATCH)
    real = shutil.which("systemctl")
    programs = strangers.folder / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\nexec {real} --user "$@"\n')
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(systemd, "SYSTEM_UNITS", units)
    drop_ins = units / "logmonitor-alice.service.d"
    drop_ins.mkdir()  # what a systemd of one's own has no nodes to cover with
    (drop_ins / "own.conf").write_text("[Service]\nProtectKernelLogs=no\nProtectKernelTunables=no\n")
    code = cli.main(["service", "install", str(configuration), "--run-as", "root"])
    said = capsys.readouterr()
    assert code == 0, said
    assert "ProtectSystem=strict\n" in (units / "logmonitor-alice.service").read_text()
    assert "chat down" in said.out
    assert "bob: unknown" in said.out
    assert (folder / "alice.db").exists()
    pid = int((folder / "alice.pid").read_text())
    modes = {line.split()[4]: line.split()[5][:2] for line in said_of(pid, "mountinfo").splitlines()}
    assert (modes["/"], modes["/tmp"]) == ("ro", "rw")
    assert "NoNewPrivs:\t1" in said_of(pid, "status")
    assert cli.main(["service", "uninstall", str(configuration)]) == 0
    assert not (folder / "alice.pid").exists()
