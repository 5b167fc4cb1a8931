"""Restarting units of the real supervisor, pm2 and systemd."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from logmonitor import OperationConfig, ProcessSelector
from operations.restart_process import restart_process
from tests.gateway.driver import FOLDER as NODE_FOLDER
from tests.gateway.driver import needs_gateway
from tests.hosting.strangers import until
from tests.operations.real_context import RealContext

if TYPE_CHECKING:
    import pytest

    from tests.hosting.own_systemd import Systemd
    from tests.hosting.strangers import Strangers

PM2 = NODE_FOLDER / "node_modules" / "pm2" / "bin" / "pm2"
SCRIPT = "import signal, sys\nprint('ready', flush=True)\nsignal.pause()\n"


class Keeper:
    """What keeps a unit `bob`: programs on the search path that ask it, and the operation about that unit."""

    def __init__(self, strangers: Strangers, monkeypatch: pytest.MonkeyPatch, **selector: str) -> None:
        """Put a folder for programs in front of the search path."""
        self.strangers = strangers
        self.folder = strangers.folder
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        self.script = self.folder / "bob.py"
        self.script.write_text(SCRIPT, "utf-8")
        self.selector: dict[str, Any] = dict(selector)
        self.context = RealContext()
        monkeypatch.setenv("PATH", f"{self.programs}{os.pathsep}{os.environ['PATH']}")
        name, _, mark = strangers.mark.decode().partition("=")
        monkeypatch.setenv(name, mark)

    def offer(self, name: str, *words: str) -> None:
        """Have a program of that name run these words, and behind them its own."""
        path = self.programs / name
        quoted = " ".join(f"'{word}'" for word in words)
        path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n', "utf-8")
        path.chmod(0o755)

    async def pids(self) -> tuple[int, ...]:
        """Return the ids of the unit's processes."""
        found = await self.context.host.find(ProcessSelector(**self.selector))
        return tuple(process.pid for process in found)

    async def does(self, command: str) -> str:
        """Run a command; return what was said in the end."""
        parameters: dict[str, Any] = {"stay_up": 0.5, "timeout": 10.0} | self.selector
        operation = restart_process(OperationConfig(watch="bob"), **parameters)
        return await self.context.do(operation, command, watch="bob")

    async def is_obeyed(self) -> None:
        """Expect that it restarts, stops and starts the unit, and that all of that is told as it is."""
        (first,) = await self.pids()
        told = await self.does("restart")
        (second,) = await self.pids()
        assert re.match(rf"bob was restarted in [\d.]+ (s|min): pid {first} → {second}, ", told), told
        assert (await self.does("start")).startswith(f"bob runs already:\npid {second}, ")
        assert await self.does("stop") == f"bob was stopped: pid {second}"
        assert await self.pids() == ()
        assert (await self.does("ps")).startswith("bob does not run (")
        told = await self.does("restart")
        (third,) = await self.pids()
        assert re.match(rf"bob was started in [\d.]+ s: pid {third}, ", told), told
        await self.does("stop")
        assert (await self.does("start")).startswith("bob was started in ")


async def kept_by_supervisor(strangers: Strangers, monkeypatch: pytest.MonkeyPatch, *words: str) -> Keeper:
    """Start a supervisor that keeps a Bob."""
    keeper = Keeper(strangers, monkeypatch, supervisor="bob")
    socket, configuration = keeper.folder / "s", keeper.folder / "supervisord.conf"
    configuration.write_text(
        f"[supervisord]\nnodaemon=true\npidfile={keeper.folder}/s.pid\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
        f"[unix_http_server]\nfile={socket}\n[supervisorctl]\nserverurl=unix://{socket}\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[program:bob]\ncommand={' '.join(words or (sys.executable, str(keeper.script)))}\n"
        f"startsecs=0\nautorestart=true\nstdout_logfile={keeper.folder}/bob.out\nstderr_logfile={keeper.folder}/bob.err\n",
        "utf-8",
    )
    keeper.offer("supervisorctl", sys.executable, "-m", "supervisor.supervisorctl", "-c", str(configuration))
    await strangers.start(sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration))
    await until(lambda: is_ready(keeper))
    return keeper


def is_ready(keeper: Keeper) -> bool:
    """Tell whether Bob has said that he is."""
    path = keeper.folder / "bob.out"
    return path.exists() and "ready" in path.read_text("utf-8")


async def test_supervisor_is_asked(strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of supervisor's is restarted, stopped and started by it."""
    keeper = await kept_by_supervisor(strangers, monkeypatch)
    await keeper.is_obeyed()


async def test_supervisor_has_brought_back_what_was_ended_by_its_words(
    strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that supervisor keeps, meant by its words, is ended and adopted, once its output has a file."""
    keeper = await kept_by_supervisor(strangers, monkeypatch)
    (first,) = await keeper.pids()
    keeper.selector = {"command": re.escape(str(keeper.script)) + "$"}
    refused = await keeper.does("restart")
    assert "its output goes to a pipe, which cannot be kept" in refused
    assert re.search(r"if python[\d.]* \(\d+\) keeps it, name it as its unit", refused)
    assert await keeper.pids() == (first,)
    keeper.selector["stdout"] = keeper.folder / "never.out"
    told = await keeper.does("restart")
    assert re.match(rf"bob was restarted in [\d.]+ s: pid {first} → \d+, ", told)
    assert re.search(r"\npython[\d.]* \(\d+\) brought it back; nothing was started besides$", told)
    del keeper.selector["stdout"]
    assert len(await keeper.pids()) == 1


async def test_unknown_program_of_supervisor_is_told(strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that supervisor does not know is told as it says it, and nothing is done."""
    keeper = await kept_by_supervisor(strangers, monkeypatch)
    keeper.selector = {"supervisor": "carol"}
    told = await keeper.does("restart")
    assert told.startswith("restart of bob failed: supervisorctl tells no process of 'carol': ")
    keeper.selector = {"supervisor": "bob"}
    assert len(await keeper.pids()) == 1


@needs_gateway
async def test_pm2_is_asked(strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of pm2's is restarted, stopped and started by it, whether meant by its name or its number."""
    keeper = Keeper(strangers, monkeypatch, pm2="bob")
    monkeypatch.setenv("PM2_HOME", str(keeper.folder / "pm2"))
    keeper.offer("pm2", shutil.which("node") or "node", str(PM2))
    script = keeper.folder / "bob.js"
    script.write_text("console.log('ready')\nsetInterval(() => {}, 1000)\n", "utf-8")
    output = keeper.folder / "bob.out"
    started = await asyncio.create_subprocess_exec(
        "pm2", "start", str(script), "--name", "bob", "--output", str(output), stdout=subprocess.DEVNULL
    )
    assert await started.wait() == 0
    await until(lambda: is_ready(keeper))
    await keeper.is_obeyed()
    keeper.selector = {"pm2": "0"}
    assert (await keeper.does("restart")).startswith("bob was restarted in ")
    keeper.selector = {"pm2": "carol"}
    assert await keeper.does("restart") == "restart of bob failed: pm2 has no process 'carol'"
    keeper.selector = {"pm2": "bob"}
    (pid,) = await keeper.pids()
    keeper.selector = {"command": f"^node {re.escape(str(script))}"}
    told = await keeper.does("restart")
    assert told.startswith(
        f"bob was not restarted, and runs on as pid {pid}: it does not show the words it was started"
    )


async def test_systemd_is_asked(strangers: Strangers, own_systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service of a user's systemd is restarted, stopped and started by it."""
    keeper = Keeper(strangers, monkeypatch, systemd="user:bob.service")
    units = keeper.folder / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    service = f"[Service]\nExecStart={sys.executable} {keeper.script}\nRestart=always\nRestartSec=100ms\n"
    (units / "bob.service").write_text(service, "utf-8")
    (units / "failing.service").write_text("[Service]\nExecStart=/bin/sh -c 'sleep 1; exit 3'\n", "utf-8")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own_systemd.runtime))
    environ = (
        f"HOME={keeper.folder}".encode(),
        f"XDG_RUNTIME_DIR={own_systemd.runtime}".encode(),
        f"PATH={os.environ['PATH']}".encode(),
        strangers.mark,
    )
    await strangers.start(*own_systemd.words(), environ=environ)
    await until((own_systemd.runtime / "systemd" / "private").exists)
    started = await asyncio.create_subprocess_exec("systemctl", "--user", "start", "bob.service")
    assert await started.wait() == 0
    await keeper.is_obeyed()
    keeper.selector = {"systemd": "user:failing", "stay_up": 30.0}
    told = await keeper.does("restart")
    ended = r"bob does not run: it was started as pid \d+ and ended within|bob was started, but no new process"
    assert re.match(ended, told), told
    keeper.selector = {"systemd": "user:carol"}
    assert await keeper.does("restart") == "restart of bob failed: systemd has no unit 'user:carol'"
