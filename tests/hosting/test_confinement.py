"""Programs and shell commands that end with all that they started."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import HostError
from logmonitor.hosting import confinement, program
from logmonitor.machine import ShellEnd, ShellLimits, ShellStop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from logmonitor.machine import Shell

DEADLINE = 30.0
END = {"status": 0, "stopped_at": None, "seconds": 1.5, "left": 0, "survivors": [7]}
BEGINNING = b'{"pid": 2147483647}\n{"has_begun": true}\n'


@asynccontextmanager
async def shell(script: str, *, folder: Path = Path("/"), **limits: float) -> AsyncIterator[Shell]:
    """Run a script that a test means to end long before its time is up."""
    within = ShellLimits(**{"timeout": DEADLINE, **limits})  # type: ignore[arg-type]  # whole where they have to be
    async with confinement.shell(script, folder=folder, environ={}, limits=within) as at_work:
        yield at_work


async def ran(script: str, *, folder: Path = Path("/"), **limits: float) -> tuple[bytes, ShellEnd]:
    """Run a script to its end; return what it wrote, and how it ended."""
    async with asyncio.timeout(DEADLINE), shell(script, folder=folder, **limits) as at_work:
        written = b"".join([piece async for piece in at_work.output()])
        return written, await at_work.end()


async def read_pid(at_work: Shell) -> int:
    """Wait until a script has written the id of a process, on a line of its own."""
    written = b""
    async for piece in at_work.output():
        written += piece
        if written.endswith(b"\n"):
            return int(written.split()[-1])
    raise AssertionError(f"it has written {written!r}")


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def open_descriptors() -> int:
    """Count the descriptors of this process."""
    return len(tuple(Path("/proc/self/fd").iterdir()))


async def test_run_returns_what_a_program_wrote() -> None:
    """Both outputs and the exit code come back, apart."""
    completed = await confinement.run("sh", "-c", "echo out; echo err >&2; exit 3", timeout=DEADLINE)
    assert (completed.stdout, completed.stderr, completed.exit_code) == ("out\n", "err\n", 3)
    assert completed.argv == ("sh", "-c", "echo out; echo err >&2; exit 3")
    assert completed.seconds > 0


async def test_run_tells_the_signal_that_ended_a_program() -> None:
    """A program that was killed has the negative number of the signal for its exit code."""
    assert (await confinement.run("sh", "-c", "kill -9 $$", timeout=DEADLINE)).exit_code == -signal.SIGKILL


async def test_run_has_our_environment_and_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program finds its variables as we have them, and the end of its input at once."""
    monkeypatch.setenv("LOGMONITOR_TEST", "it is\nhere")
    completed = await confinement.run("sh", "-c", 'cat; echo "$LOGMONITOR_TEST"', timeout=DEADLINE)
    assert completed.stdout == "it is\nhere\n"


async def test_run_hands_on_words_that_are_no_text() -> None:
    """A word that is no UTF-8 reaches a program as the bytes it is."""
    completed = await confinement.run("printf", "%s", os.fsdecode(b"a\xff"), timeout=DEADLINE)
    assert completed.stdout == "a\ufffd"


async def test_run_keeps_a_megabyte_of_each_output() -> None:
    """What a program writes beyond that is read, so that it can go on, and forgotten."""
    script = "head -c 3000000 /dev/zero; head -c 2000000 /dev/zero >&2; exit 7"
    completed = await confinement.run("sh", "-c", script, timeout=DEADLINE)
    assert (len(completed.stdout), len(completed.stderr), completed.exit_code) == (1 << 20, 1 << 20, 7)


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("no-such-program-here",), "cannot start 'no-such-program-here': No such file or directory"),
        (("/",), "cannot start '/': Permission denied"),
        (("echo", "a\0b"), "cannot start 'echo': a zero byte stands in its words or variables"),
        (("echo", "\ud800"), "cannot start 'echo': half a character stands in its words or variables"),
        (("echo", "x" * (1 << 18)), "cannot start 'echo': Argument list too long"),
    ],
)
async def test_run_tells_why_a_program_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], reason: str
) -> None:
    """What is no program, or is given what none could be, is told in a sentence."""
    monkeypatch.setenv("PATH", os.defpath)  # the one that tests run with may lead where this user may not look
    with pytest.raises(HostError) as caught:
        await confinement.run(*argv, timeout=DEADLINE)
    assert str(caught.value) == reason


async def test_run_ends_all_at_the_deadline(tmp_path: Path) -> None:
    """A program is ended with what it started, though it ignores the signals that may be ignored."""
    script = f"trap '' TERM HUP INT; setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 1000' & wait"
    with pytest.raises(TimeoutError, match=r"'sh' was ended after 0\.5 s"):
        await confinement.run("sh", "-c", script, timeout=0.5)
    assert not is_alive(int((tmp_path / "pid").read_text()))


async def test_run_leaves_a_service_that_was_started() -> None:
    """What a program leaves behind goes on after it, holding the output open or not."""
    completed = await confinement.run("sh", "-c", "sleep 1000 & echo $!", timeout=DEADLINE)
    pid = int(completed.stdout)
    try:
        assert is_alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


async def test_run_ends_all_when_it_is_cancelled(tmp_path: Path) -> None:
    """Nothing is left of a program whose caller does not wait for it any more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    running = asyncio.create_task(
        confinement.run("sh", "-c", f"setsid sh -c 'echo $$ > {pipe}; exec sleep 1000' & wait", timeout=DEADLINE)
    )
    pid = int(await asyncio.to_thread(pipe.read_text))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_alive(pid)


async def test_shell_yields_both_outputs_as_they_come() -> None:
    """What is written comes in its order, and before the end."""
    async with shell("echo first; echo second >&2; sleep 1000") as at_work:
        written = b""
        async for piece in at_work.output():
            written += piece
            if len(written) >= len(b"first\nsecond\n"):
                break
    assert written == b"first\nsecond\n"


async def test_shell_tells_its_exit_code() -> None:
    """A script that ends by itself has an exit code, and left nothing behind."""
    written, end = await ran("exit 3")
    assert (written, end.exit_code, end.stopped_at, end.left) == (b"", 3, None, 0)


async def test_shell_has_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script finds what a user has anywhere and what it is given, and nothing of ours."""
    monkeypatch.setenv("LOGMONITOR_TOKEN", "secret")
    limits = ShellLimits(timeout=DEADLINE)
    environ = {"GREETING": "hi=there", "LANG": "zh_CN.UTF-8"}
    async with confinement.shell("env", folder=Path("/"), environ=environ, limits=limits) as at_work:
        lines = b"".join([piece async for piece in at_work.output()]).decode().splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    variables.pop("_", None)
    assert sorted(variables) == ["GREETING", "HOME", "LANG", "LOGNAME", "PATH", "PWD", "USER"]
    assert (variables["GREETING"], variables["LANG"], variables["PWD"]) == ("hi=there", "zh_CN.UTF-8", "/")


async def test_shell_works_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script begins where it is told to; `~` is the user's home."""
    (tmp_path / "here").touch()
    assert (await ran("ls", folder=tmp_path))[0] == b"here\n"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (await ran("ls", folder=Path("~")))[0] == b"here\n"


async def test_shell_tells_that_its_folder_is_missing(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(HostError) as caught:
        await ran("true", folder=tmp_path / "nowhere")
    assert str(caught.value) == f"cannot work in {str(tmp_path / 'nowhere')!r}: No such file or directory"


async def test_shell_ends_all_on_leaving() -> None:
    """What has a session of its own, or lost its parent, ends with the context."""
    async with shell("(setsid sh -c 'echo $$; exec sleep 1000' &) ; wait; sleep 1000") as at_work:
        pid = await read_pid(at_work)
        assert is_alive(pid)
    assert not is_alive(pid)


async def test_shell_ends_what_it_left_behind() -> None:
    """What goes on after a script's end is counted and ended, though it holds the output open."""
    written, end = await ran("setsid sleep 1000 & sleep 1000 & echo $! $$")
    assert (end.exit_code, end.stopped_at, end.left) == (0, None, 2)
    assert not any(is_alive(int(pid)) for pid in written.split())


async def test_shell_is_ended_at_its_time() -> None:
    """At the limit of time a script is ended, with no exit code."""
    _, end = await ran("trap '' TERM; while :; do sleep 1; done", timeout=0.3)
    assert (end.exit_code, end.stopped_at) == (None, ShellStop.TIME)
    assert end.seconds >= 0.3


async def test_shell_is_ended_at_its_output() -> None:
    """Of an output without end just the beginning comes."""
    written, end = await ran("yes", output_bytes=100_001)
    assert written == (b"y\n" * 50_001)[:-1]
    assert (end.exit_code, end.stopped_at) == (None, ShellStop.OUTPUT)


async def test_shell_may_write_as_much_as_its_limit() -> None:
    """An output of just the limit is not too much."""
    written, end = await ran("head -c 100000 /dev/zero", output_bytes=100_000)
    assert (len(written), end.exit_code, end.stopped_at) == (100_000, 0, None)


async def test_shell_outlives_its_outputs() -> None:
    """A script that closes its outputs goes on until it ends."""
    written, end = await ran("echo hi; exec >&- 2>&-; sleep 0.2; exit 4")
    assert (written, end.exit_code) == (b"hi\n", 4)
    assert end.seconds >= 0.2


async def test_shell_has_nothing_to_read() -> None:
    """A script that reads meets the end of its input."""
    written, end = await ran("cat; read -r line || echo nothing")
    assert (written, end.exit_code) == (b"nothing\n", 0)


async def test_shell_ends_though_nobody_reads() -> None:
    """Who waits for the end need not take the output."""
    async with asyncio.timeout(DEADLINE), shell("head -c 1000000 /dev/zero") as at_work:
        assert (await at_work.end()).exit_code == 0


async def test_shell_is_ended_at_its_output_though_it_has_ended() -> None:
    """What was still on its way when a script ended counts, too."""
    for _ in range(5):
        written, end = await ran("printf 123456", output_bytes=5)
        assert (written, end.exit_code, end.stopped_at) == (b"12345", None, ShellStop.OUTPUT)


async def test_shell_hands_on_all_that_a_script_wrote_last() -> None:
    """Nothing is lost of what a script writes right before its end."""
    for _ in range(5):
        written, end = await ran("head -c 60000 /dev/zero")
        assert (len(written), end.exit_code) == (60_000, 0)


async def test_shell_refuses_variables_that_no_program_could_have() -> None:
    """A zero byte in a variable is told before anything starts."""
    shell_with = confinement.shell("true", folder=Path("/"), environ={"A": "b\0"}, limits=ShellLimits())
    with pytest.raises(HostError, match="a zero byte stands in its words or variables"):
        await shell_with.__aenter__()


async def test_shell_tells_that_nobody_knows_its_home() -> None:
    """A folder below the home of nobody is refused."""
    with pytest.raises(HostError, match="cannot work in '~no-such-user/x': nobody knows that home"):
        await ran("true", folder=Path("~no-such-user/x"))


async def test_shells_run_at_once() -> None:
    """Many commands at once do not get into each other's way, and leave no descriptor open."""
    before = open_descriptors()
    ends = await asyncio.gather(*(ran(f"echo {number}; exit {number}") for number in range(20)))
    assert [(written, end.exit_code) for written, end in ends] == [
        (f"{number}\n".encode(), number) for number in range(20)
    ]
    assert open_descriptors() == before


def test_environment_of_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that is but a number, as in a container, has a home and a name all the same."""
    monkeypatch.setattr(os, "geteuid", lambda: 987_654)
    for name in ("HOME", "LANG", "PATH"):
        monkeypatch.delenv(name, raising=False)
    assert confinement.plain_environ() == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/",
        "LANG": "C.UTF-8",
        "USER": "987654",
        "LOGNAME": "987654",
    }


def test_home_is_what_the_machine_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's own idea of a home is none of a script's."""
    monkeypatch.setenv("HOME", "/home/of/a/service")
    assert confinement.plain_environ()["HOME"] == pwd.getpwuid(os.geteuid()).pw_dir


async def test_program_whose_warden_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no interpreter any more a sentence says that nothing can be started."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(HostError, match="cannot start 'true': No such file or directory"):
        await confinement.run("true", timeout=DEADLINE)


async def test_program_that_is_ended_from_outside_is_told() -> None:
    """A program whose warden is asked to end it by somebody else has no end of its own to tell of."""
    with pytest.raises(HostError, match="'sh' was ended from outside"):
        await confinement.run("sh", "-c", "kill $PPID; sleep 1000", timeout=DEADLINE)


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (
            'os.write(report, b\'{"failed": ["limits", 1]}\\n\')',
            "cannot start 'true', at its limits: Operation not permitted",
        ),
        ("os.write(report, b'no room\\n')", "the warden of 'true' is gone: no room"),
        (f"os.write(report, {BEGINNING!r})", "the warden of 'true' is gone: killed"),
        ("os.write(report, b'{\"pid\": 0}\\n')", "the warden of 'true' is gone: {\"pid\": 0}"),
        ("os.write(report, b'7\\n[7]\\n')", "the warden of 'true' is gone: 7\n[7]"),
    ],
)
async def test_warden_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, reason: str
) -> None:
    """Whatever a warden meets on its way is told in a sentence, and keeps nobody waiting."""
    script = tmp_path / "warden.py"
    script.write_text(f"import os, sys\nreport = int(sys.argv[2])\n{deed}\n")
    monkeypatch.setattr(program, "WARDEN", script)
    with pytest.raises(HostError) as caught:
        await confinement.run("true", timeout=DEADLINE)
    assert str(caught.value) == reason


def let_warden(deed: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a warden that does something else."""
    script = folder / "warden.py"
    script.write_text(f"import os, signal, sys, time\nreport = int(sys.argv[2])\n{deed}\n")
    monkeypatch.setattr(program, "WARDEN", script)


async def test_warden_that_is_killed_is_noticed_though_its_report_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has got hold of what a warden speaks on keeps nobody waiting."""
    holder = tmp_path / "holder"
    deed = f"""
if pid := os.fork():
    open({str(holder)!r}, "w").write(str(pid))
    os.write(report, {BEGINNING!r})
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(1000)
"""
    let_warden(deed, tmp_path, monkeypatch)
    try:
        with pytest.raises(HostError, match="the warden of 'true' is gone: killed"):
            async with asyncio.timeout(DEADLINE):
                await confinement.run("true", timeout=1000)
        assert is_alive(int(holder.read_text()))
    finally:
        os.kill(int(holder.read_text()), signal.SIGKILL)


async def test_end_that_a_killed_warden_has_told_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warden ends by itself once it has told an end; else somebody has told it for it."""
    forged = BEGINNING + json.dumps(END).encode() + b"\n"
    let_warden(f"os.write(report, {forged!r})\nos.kill(os.getpid(), signal.SIGKILL)", tmp_path, monkeypatch)
    with pytest.raises(HostError, match="the warden of 'true' is gone: killed"):
        await confinement.run("true", timeout=DEADLINE)


async def test_last_end_that_a_warden_tells_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was told before, of an end or of another beginning, was told by others."""
    ends = [json.dumps(END | {"status": status << 8}).encode() for status in (0, 5)]
    forged = b"\n".join((BEGINNING + ends[0], b'{"failed": ["program", 2]}', b'{"pid": 2}', ends[1], b""))
    let_warden(f"os.write(report, {forged!r})", tmp_path, monkeypatch)
    assert (await confinement.run("true", timeout=DEADLINE)).exit_code == 5


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_warden_that_talks_without_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    """What nobody understands is kept up to a limit; at that everything is ended, and nothing more is believed."""
    told = b"\n" + BEGINNING + json.dumps(END).encode() + b"\n"
    deed = f"os.write(report, (b'x' * 999 + {end!r}) * 1000)\nos.read(0, 1)\nos.write(report, {told!r})"
    let_warden(deed, tmp_path, monkeypatch)
    with pytest.raises(HostError, match="the warden of 'true' is gone: ") as caught:
        async with asyncio.timeout(DEADLINE):
            await confinement.run("true", timeout=1000)
    assert len(str(caught.value)) < 3000


async def test_warden_that_is_stopped_early_goes_on_at_the_limit_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program's time runs as soon as its id is told, whether it is told or not that it has begun."""
    monkeypatch.setattr(program, "START_SECONDS", 1000.0)
    said = [json.dumps(line).encode() + b"\n" for line in ({"has_begun": True}, END | {"status": None})]
    deed = f"""
os.write(report, b'{{"pid": 2147483647}}\\n')
os.kill(os.getpid(), signal.SIGSTOP)
os.write(report, {said[0]!r})
os.read(0, 1)
os.write(report, {said[1]!r})
"""
    let_warden(deed, tmp_path, monkeypatch)
    with pytest.raises(TimeoutError, match=r"'true' was ended after 0\.3 s, but what belongs to others goes on: 7"):
        async with asyncio.timeout(DEADLINE):
            await confinement.run("true", timeout=0.3)


async def test_program_ends_where_no_process_has_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old kernel, or one that forbids it, tells of a warden's end by its silence."""

    def refuse(_: int) -> int:
        raise OSError

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert (await confinement.run("sh", "-c", "exit 3", timeout=DEADLINE)).exit_code == 3


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*END, "pid", "failed", "has_begun"]), inner),
    )
)
def test_whatever_is_said_is_understood_or_refused(said: object) -> None:
    """Nothing that somebody else says gets further than what a warden could have said."""
    try:
        understood = program.spoken(json.dumps(said).encode())
    except ValueError:
        return
    assert isinstance(said, dict)
    assert understood.keys() == said.keys()


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60_000,
        b"\xff",
        b'{"pid": 1}',
        b'{"pid": 4294967296}',
        b'{"pid": 7, "has_begun": true}',
        b'{"failed": ["program", -1]}',
        b'{"failed": ["program", 1e3]}',
        *(
            json.dumps(END | change).encode()
            for change in (
                {"status": 0x137F},
                {"status": 1 << 40},
                {"status": "0"},
                {"stopped_at": "time"},
                {"seconds": float("nan")},
                {"seconds": 10**400},
                {"seconds": None},
                {"left": -1},
                {"survivors": ["7"]},
                {"survivors": 7},
                {"more": 0},
            )
        ),
    ],
)
def test_what_no_warden_would_say_is_refused(line: bytes) -> None:
    """A word of another type, or of no meaning, is not taken for a warden's."""
    with pytest.raises(ValueError):  # noqa: PT011  # of whatever reason
        program.spoken(line)


def test_end_is_understood() -> None:
    """What a warden says of an end comes as it is."""
    assert program.spoken(json.dumps(END).encode()) == END | {"survivors": (7,)}
