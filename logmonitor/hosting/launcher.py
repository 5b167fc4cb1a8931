"""The small program that starts a process which outlives whoever asked for it.

It runs by itself, with nothing but Python's own library (`python -I -S launcher.py`): it reads from its input what to
start, forks, and leaves. What it started is then nobody's child but the machine's. The child becomes all that was asked
for before its last step; a step that fails is told by its number in `errno` and by what was tried.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import sys
from pathlib import Path
from typing import Any, Final

_PATIENCE: Final = 20.0
_FAILED: Final = 127
_LIMITS: Final = {getattr(resource, name): name for name in dir(resource) if name.startswith("RLIMIT_")}

Fields = dict[str, Any]


def main() -> None:
    """Start what standard input asks for, and say on standard output how that went."""
    wanted: Fields = json.loads(sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(_start(wanted)))


def _start(wanted: Fields) -> Fields:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _become(wanted, writing)
    os.close(writing)
    if not select.select([reading], [], [], _PATIENCE)[0]:
        os.kill(child, signal.SIGKILL)
        return {"step": "start it in time", "number": 0, "text": f"no answer within {_PATIENCE:g} s"}
    told = os.read(reading, 1 << 16)
    if told:
        os.waitpid(child, 0)
        return dict(json.loads(told))
    with open(f"/proc/{child}/stat", "rb") as file:  # noqa: PTH123  # there even if it has ended: nobody waited for it
        return {"stat": file.read().decode("latin-1")}


def _become(wanted: Fields, writing: int) -> None:
    step = ["begin"]
    try:
        _prepare(wanted, step)
        step[0] = f"run {_shown(wanted['executable'])}"
        words = _words(wanted["argv"])
        if wanted["is_rehearsal"]:
            _expect_program(Path(os.fsdecode(_bytes(wanted["executable"]))))
            os._exit(0)
        os.execve(_bytes(wanted["executable"]), words, _environ(wanted["environ"]))  # noqa: S606 - it is its job
    except (OSError, ValueError, MemoryError) as error:
        number = error.errno if isinstance(error, OSError) else 0
        os.write(writing, json.dumps({"step": step[0], "number": number, "text": str(error)}).encode())
    finally:
        os._exit(_FAILED)


def _prepare(wanted: Fields, step: list[str]) -> None:
    """Become what is wanted, in an order in which each step is still permitted; `step` holds what is being tried."""
    step[0] = "lead a session"
    os.setsid()
    _let_signals_through()
    _set_limits(wanted["limits"], step, is_hard=True)
    step[0] = f"give it groups {wanted['groups']}"
    if sorted(set(os.getgroups())) != sorted(set(wanted["groups"])):
        os.setgroups(wanted["groups"])
    step[0] = f"give it group {wanted['gid']}"
    if set(os.getresgid()) != {wanted["gid"]}:
        os.setresgid(wanted["gid"], wanted["gid"], wanted["gid"])
    step[0] = f"make it user {wanted['uid']}'s"
    if set(os.getresuid()) != {wanted["uid"]}:
        os.setresuid(wanted["uid"], wanted["uid"], wanted["uid"])
    os.umask(wanted["umask"])
    step[0] = f"enter folder {_shown(wanted['folder'])}"
    os.chdir(_bytes(wanted["folder"]))  # as who it is now: what its user may not enter, it does not get
    _set_streams(wanted, step)
    _set_limits(wanted["limits"], step, is_hard=False)


def _let_signals_through() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _set_limits(limits: list[list[int]], step: list[str], *, is_hard: bool) -> None:
    """Set hard limits, which takes a right, or the soft ones: at the very end, as they may let nothing pass."""
    for kind, soft, hard in limits:
        now = resource.getrlimit(kind)
        new = (_lower(now[0], hard), hard) if is_hard else (soft, now[1])
        if new != now:
            step[0] = f"set {_LIMITS[kind]} from {now} to {soft, hard}"
            resource.setrlimit(kind, new)


def _lower(one: int, other: int) -> int:
    return min((limit for limit in (one, other) if limit != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)


def _set_streams(wanted: Fields, step: list[str]) -> None:
    step[0] = "open /dev/null"
    _put(os.open("/dev/null", os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        place = wanted[name] or "/dev/null"
        step[0] = f"open {_shown(place)} to append to it"
        _put(_open_to_append(_bytes(place), is_rehearsal=wanted["is_rehearsal"]), number)


def _open_to_append(path: bytes, *, is_rehearsal: bool) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK
    if not is_rehearsal:
        flags |= os.O_CREAT
    elif not os.path.lexists(path):
        _expect(Path(os.fsdecode(path)).parent, os.W_OK | os.X_OK)
        path = b"/dev/null"
    descriptor = os.open(path, flags, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def _expect_program(path: Path) -> None:
    _expect(path, os.X_OK)
    if path.is_dir():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _expect(path: Path, mode: int) -> None:
    path.stat()
    if not os.access(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _put(descriptor: int, number: int) -> None:
    os.dup2(descriptor, number, inheritable=True)
    if descriptor != number:
        os.close(descriptor)


def _words(texts: list[str]) -> list[bytes]:
    """Return words as bytes, if a program can be given them."""
    if not texts or not texts[0]:
        raise ValueError("the first of its words is empty; expected what it is called")
    if any("\0" in text for text in texts):
        raise ValueError("one of its words holds a zero; expected none")
    return [_bytes(text) for text in texts]


def _environ(texts: list[str]) -> dict[bytes, bytes]:
    """Return variables by name; of two of the same name the first counts, as programs see it."""
    found: dict[bytes, bytes] = {}
    for text in texts:
        name, equals, value = _bytes(text).partition(b"=")
        if name and equals:
            found.setdefault(name, value)
    return found


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _shown(text: str) -> str:
    return _bytes(text).decode("utf-8", "replace")


if __name__ == "__main__":
    main()
