"""What a process was started with, read from `/proc`."""

from __future__ import annotations

import os
import re
import resource
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.errors import HostError
from logmonitor.hosting.process_table import entry_of, is_same, read_of, status_of, words_of
from logmonitor.machine import Origin, Stream, StreamKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from logmonitor.hosting.process_table import Entry
    from logmonitor.machine import Process

_WORDS_START: Final = 45
_WORDS_END: Final = 46
_DELETED: Final = b" (deleted)"
_LIMITS: Final = {
    "Max cpu time": resource.RLIMIT_CPU,
    "Max file size": resource.RLIMIT_FSIZE,
    "Max data size": resource.RLIMIT_DATA,
    "Max stack size": resource.RLIMIT_STACK,
    "Max core file size": resource.RLIMIT_CORE,
    "Max resident set": resource.RLIMIT_RSS,
    "Max processes": resource.RLIMIT_NPROC,
    "Max open files": resource.RLIMIT_NOFILE,
    "Max locked memory": resource.RLIMIT_MEMLOCK,
    "Max address space": resource.RLIMIT_AS,
    "Max pending signals": resource.RLIMIT_SIGPENDING,
    "Max msgqueue size": resource.RLIMIT_MSGQUEUE,
    "Max nice priority": resource.RLIMIT_NICE,
    "Max realtime priority": resource.RLIMIT_RTPRIO,
    "Max realtime timeout": resource.RLIMIT_RTTIME,
}
_LIMIT: Final = re.compile(r"(?P<name>Max [a-z ]+?) {2,}(?P<soft>\d+|unlimited) +(?P<hard>\d+|unlimited)")
_ROTATED: Final = re.compile(r"(?P<opened>.+?)(?:[.-]\d[\dT_:-]*|\.(?:old|bak|prev))+")
_LOG_SUFFIXES: Final = frozenset({".log", ".out", ".err", ".txt"})
_TERMINALS: Final = frozenset({4, 5, *range(136, 144)})
_NULL: Final = os.makedev(1, 3)
_DEFAULT_PATH: Final = b"/bin:/usr/bin"


def inspect(process: Process, *, describe: Callable[[Entry], Process | None]) -> Origin:
    """Return what a process was started with; `describe` tells of one what others are shown.

    Raises:
        HostError: it is gone.
    """
    origin = _inspect(process, describe)
    entry = entry_of(process.pid)
    if origin is None or entry is None or not is_same(process, entry) or entry.is_ended:
        raise HostError(f"process {process.pid} is gone")
    return origin


def _inspect(process: Process, describe: Callable[[Entry], Process | None]) -> Origin | None:
    pid = process.pid
    entry = entry_of(pid)
    now = None if entry is None else describe(entry)
    status = status_of(pid)
    if entry is None or now is None or "Uid" not in status:
        return None
    environ = _environ(pid)
    folder = _folder(pid)
    words = words_of(pid)
    executable, is_gone = _executable(pid, words, environ, folder)
    above = entry_of(entry.parent)
    return Origin(
        process=now,
        argv=() if _is_title(pid, words, folder) else words,
        executable=executable,
        is_executable_gone=is_gone,
        environ=environ,
        folder=folder,
        uid=int(status["Uid"].split()[0]),
        gid=int(status["Gid"].split()[0]),
        groups=tuple(map(int, status["Groups"].split())),
        umask=int(status["Umask"], 8) if "Umask" in status else None,
        limits=tuple(_limits(pid)),
        stdout=_stream(pid, 1),
        stderr=_stream(pid, 2),
        is_contained=_is_contained(pid, status),
        parent=None if above is None else describe(above),
        unit=unit_of(read_of(pid, "cgroup") or b"", ours=read_of(os.getpid(), "cgroup") or b""),
    )


def _is_title(pid: int, words: tuple[bytes, ...], folder: Path | None) -> bool:
    """Tell whether what a process shows is a title that it wrote over its words.

    It then reaches beyond the place of the words, or leaves the rest of it empty, or fills it with what is no file.
    """
    fields = (read_of(pid, "stat") or b"").rpartition(b")")[2].split()
    place = int(fields[_WORDS_END]) - int(fields[_WORDS_START]) if fields else 0
    if place and len(read_of(pid, "cmdline") or b"") != place:
        return True
    if not words or any(words[1:]):
        return False
    return len(words) > 1 or (b" " in words[0] and not os.path.lexists((folder or Path("/")) / os.fsdecode(words[0])))


def _environ(pid: int) -> tuple[bytes, ...] | None:
    data = read_of(pid, "environ")
    return None if data is None else tuple(text for text in data.split(b"\0") if b"=" in text)


def _folder(pid: int) -> Path | None:
    """Return where a process works, unless something else stands there now: anybody may have put it there."""
    link = _link(pid, "cwd")
    if link is None:
        return None
    path = Path(os.fsdecode(_opened(link)))
    return path if _is_there(path, Path(f"/proc/{pid}/cwd")) else None


def _executable(
    pid: int, words: tuple[bytes, ...], environ: tuple[bytes, ...] | None, folder: Path | None
) -> tuple[Path | None, bool]:
    link = _link(pid, "exe")
    if link is None:
        return None, False
    path = Path(os.fsdecode(_opened(link)))
    if not path.is_file():
        return path, True
    called = _called(words[0], environ or (), folder or Path("/")) if words else ()
    return next((candidate for candidate in called if _is_one_file(candidate, path)), path), False


def _called(word: bytes, environ: tuple[bytes, ...], folder: Path) -> Iterator[Path]:
    """Yield what a process's first word may have stood for, as a shell looks it up: a venv's `python` is but a link."""
    if b"/" in word:
        yield folder / os.fsdecode(word)
    elif word:
        texts = (text.removeprefix(b"PATH=") for text in environ if text.startswith(b"PATH="))
        for place in next(texts, _DEFAULT_PATH).split(b":"):
            yield folder / os.fsdecode(place) / os.fsdecode(word)


def _is_one_file(candidate: Path, path: Path) -> bool:
    return os.access(candidate, os.X_OK) and _is_there(candidate, path)


def _is_there(path: Path, opened: Path) -> bool:
    with suppress(OSError):
        return path.samefile(opened)
    return False


def _limits(pid: int) -> Iterator[tuple[int, int, int]]:
    for line in (read_of(pid, "limits") or b"").decode("ascii", "replace").splitlines():
        found = _LIMIT.match(line)
        if found is not None and found["name"] in _LIMITS:
            yield _LIMITS[found["name"]], _limit(found["soft"]), _limit(found["hard"])


def _limit(text: str) -> int:
    return resource.RLIM_INFINITY if text == "unlimited" else int(text)


def _stream(pid: int, number: int) -> Stream:
    link = _link(pid, f"fd/{number}")
    try:
        status = Path(f"/proc/{pid}/fd/{number}").stat()  # goes through the link to what may have no name any more
    except FileNotFoundError:
        return Stream(kind=StreamKind.CLOSED)
    except OSError:
        return Stream(kind=StreamKind.OTHER)
    kind = _kind(status)
    return Stream(kind=kind, path=_log_path(link) if link is not None and kind is StreamKind.FILE else None)


def _kind(status: os.stat_result) -> StreamKind:
    if stat.S_ISREG(status.st_mode):
        return StreamKind.FILE
    if stat.S_ISFIFO(status.st_mode):
        return StreamKind.PIPE
    if stat.S_ISSOCK(status.st_mode):
        return StreamKind.SOCKET
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL:
        return StreamKind.NULL
    if stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) in _TERMINALS:
        return StreamKind.TERMINAL
    return StreamKind.OTHER


def _log_path(link: bytes) -> Path:
    """Return by which path a file was opened that may have been renamed since, as logs are when they are rotated."""
    path = Path(os.fsdecode(_opened(link)))
    rotated = _ROTATED.fullmatch(path.name)
    if rotated is None:
        return path
    opened = path.with_name(rotated["opened"])
    return opened if opened.suffix in _LOG_SUFFIXES or opened.is_file() else path


def _opened(link: bytes) -> bytes:
    """Return the path in a link of `/proc`, which says behind it that nothing has that name any more."""
    return link if os.path.lexists(link) else link.removesuffix(_DELETED)


def _link(pid: int, name: str) -> bytes | None:
    with suppress(OSError):
        return os.readlink(os.fsencode(f"/proc/{pid}/{name}"))  # noqa: PTH115 - bytes, and not always a path's
    return None


def _is_contained(pid: int, status: Mapping[str, str]) -> bool:
    """Tell whether a process sees other processes, users or files than this program does."""
    if len(status.get("NSpid", "").split()) > len(status_of(os.getpid()).get("NSpid", "").split()):
        return True
    for name in ("ns/pid", "ns/mnt", "ns/user"):
        theirs = _link(pid, name)
        if theirs is not None and theirs != _link(os.getpid(), name):
            return True
    with suppress(OSError):
        return not Path(f"/proc/{pid}/root").samefile("/")
    return False


def unit_of(groups: bytes, *, ours: bytes) -> str | None:
    """Return the service of systemd's that `/proc/PID/cgroup` names, `user:NAME` for a user's own.

    This program's own service (`ours`) is none: what it started lives there with it.
    """
    service = _service(groups)
    return None if service == _service(ours) else service


def _service(groups: bytes) -> str | None:
    for line in groups.decode("utf-8", "replace").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" or controllers == "name=systemd":
            parts = path.split("/")
            for place in reversed(range(len(parts))):
                if parts[place].endswith(".scope") or parts[place].startswith("user@"):
                    break
                if parts[place].endswith(".service"):
                    is_own = any(part.startswith("user@") for part in parts[:place])
                    return f"user:{parts[place]}" if is_own else parts[place]
    return None
