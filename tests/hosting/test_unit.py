"""Units of systemd, pm2 and supervisor, by what their managers answer."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import HostError
from logmonitor.host import describe, listeners
from logmonitor.hosting.finding import find
from logmonitor.hosting.unit import main_processes
from logmonitor.machine import Completed, Manager, ProcessSelector
from logmonitor.restart.unit_command import unit_command

if TYPE_CHECKING:
    from tests.hosting.strangers import Strangers


class Programs:
    """Programs that answer what a test says, and what they were asked."""

    def __init__(self, stdout: str = "", *, stderr: str = "", exit_code: int = 0) -> None:
        """Let every program answer alike."""
        self.stdout, self.stderr, self.exit_code = stdout, stderr, exit_code
        self.asked: list[tuple[str, ...]] = []

    async def run(self, *argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # as the port has it
        """Answer."""
        self.asked.append(argv)
        return Completed(
            argv=argv, exit_code=self.exit_code, stdout=self.stdout, stderr=self.stderr, seconds=min(0.1, timeout)
        )


async def pids(manager: Manager, name: str, programs: Programs) -> tuple[int, ...]:
    """Return the processes of a unit by what programs answer."""
    return await main_processes(manager, name, run=programs.run)


async def test_systemd_tells_the_main_process() -> None:
    """A service that runs has one, one that is stopped has none."""
    programs = Programs("LoadState=loaded\nMainPID=4711\n")
    assert await pids(Manager.SYSTEMD, "bob.service", programs) == (4711,)
    assert await pids(Manager.SYSTEMD, "bob", Programs("MainPID=0\nLoadState=loaded\n")) == ()
    assert programs.asked == [("systemctl", "show", "--property=LoadState", "--property=MainPID", "--", "bob.service")]


async def test_systemd_is_asked_for_a_unit_of_the_user() -> None:
    """`user:` before a name says whose it is."""
    programs = Programs("LoadState=loaded\nMainPID=4711\n")
    assert await pids(Manager.SYSTEMD, "user:bob", programs) == (4711,)
    assert programs.asked[0][:2] == ("systemctl", "--user")
    assert programs.asked[0][-1] == "bob"


@pytest.mark.parametrize(
    ("programs", "sentence"),
    [
        (Programs("LoadState=not-found\nMainPID=0\n"), "systemd has no unit 'bob'"),
        (Programs("LoadState=loaded\n"), "unit 'bob' of systemd has no main process; expected a service"),
        (
            Programs(stderr="System has not been booted with systemd\nmore\n", exit_code=1),
            "systemctl tells no process of 'bob': System has not been booted with systemd",
        ),
        (Programs(exit_code=3), "systemctl tells no process of 'bob': exit code 3"),
    ],
)
async def test_systemd_that_knows_nothing_is_told(programs: Programs, sentence: str) -> None:
    """A unit that is not there is told apart from one that is stopped."""
    with pytest.raises(HostError) as caught:
        await pids(Manager.SYSTEMD, "bob", programs)
    assert str(caught.value) == sentence


async def test_pm2_tells_each_instance() -> None:
    """A process is named by its name or its number; what pm2 says of itself before the list is passed over."""
    listed = json.dumps(
        [
            {"name": "bob", "pm_id": 0, "pid": 11},
            {"name": "bob", "pm_id": 1, "pid": 12},
            {"name": "eve", "pm_id": 2, "pid": 0},
        ]
    )
    programs = Programs(
        f"[PM2] Spawning PM2 daemon with pm2_home=/home/ann/.pm2\n[PM2] PM2 Successfully daemonized\n{listed}\n"
    )
    assert await pids(Manager.PM2, "bob", programs) == (11, 12)
    assert await pids(Manager.PM2, "1", programs) == (12,)
    assert await pids(Manager.PM2, "eve", programs) == ()
    with pytest.raises(HostError, match="pm2 has no process 'mallory'"):
        await pids(Manager.PM2, "mallory", programs)
    with pytest.raises(HostError, match="pm2 tells no process of 'bob': command not found"):
        await pids(Manager.PM2, "bob", Programs("command not found", exit_code=1))


async def test_supervisor_tells_the_process() -> None:
    """A program that is stopped has the id 0."""
    programs = Programs("4711\n")
    assert await pids(Manager.SUPERVISOR, "bots:bob", programs) == (4711,)
    assert programs.asked == [("supervisorctl", "pid", "bots:bob")]
    assert await pids(Manager.SUPERVISOR, "bob", Programs("0\n")) == ()
    with pytest.raises(HostError, match=r"supervisorctl tells no process of 'bob': No such process bob"):
        await pids(Manager.SUPERVISOR, "bob", Programs("No such process bob\n", exit_code=4))


async def test_manager_that_does_not_answer_is_told() -> None:
    """What hangs is given up."""

    async def hang(*argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # as the port has it
        raise TimeoutError(f"{argv} was ended after {timeout}")

    with pytest.raises(HostError, match="pm2 did not answer within 15 s"):
        await main_processes(Manager.PM2, "bob", run=hang)


async def test_unit_is_found_unless_it_is_ours(strangers: Strangers) -> None:
    """The main process of a unit is described; one that is gone is not found, and this program's own is refused."""
    process = await strangers.shell("echo ready; sleep 1000; exit")
    programs = Programs(f"LoadState=loaded\nMainPID={process.pid}\n")
    found = partial(find, run=programs.run, describe=describe, listeners=listeners)
    assert [one.pid for one in await found(ProcessSelector(systemd="bob"))] == [process.pid]
    programs.stdout = f"LoadState=loaded\nMainPID={os.getpid()}\n"
    with pytest.raises(HostError, match=r"^systemd bob is what logmonitor itself runs in; expected a bot's$"):
        await found(ProcessSelector(systemd="bob"))
    programs.stdout = "LoadState=loaded\nMainPID=4194305\n"
    assert await found(ProcessSelector(systemd="bob")) == ()


def test_unit_command_names_the_unit_last() -> None:
    """Each manager is asked in its own words."""
    assert unit_command(Manager.SYSTEMD, "bob", "restart") == ("systemctl", "restart", "--", "bob")
    assert unit_command(Manager.SYSTEMD, "user:bob", "stop") == ("systemctl", "--user", "stop", "--", "bob")
    assert unit_command(Manager.PM2, "bob", "restart") == ("pm2", "restart", "bob")
    assert unit_command(Manager.SUPERVISOR, "bots:bob", "stop") == ("supervisorctl", "stop", "bots:bob")
