"""What a restart decides: how a process is started again, whether somebody else does it, and how it is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.machine import Launch, StreamKind
from logmonitor.redact import REDACTED
from logmonitor.wording import duration_text, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from logmonitor.machine import Ending, Origin, Process, Stream

_INITS: Final = frozenset({"init", "systemd", "tini", "dumb-init", "docker-init", "catatonit"})
_NOWHERE: Final = (StreamKind.NULL, StreamKind.CLOSED)
_LONGEST_COMMAND: Final = 200
_MINUTE: Final = 60
_PASSWORD_OPTIONS: Final = {
    **dict.fromkeys(("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlsh", "mysqlcheck"), ("-p",)),
    **dict.fromkeys(("mariadb", "mariadb-dump", "mariadb-admin", "sshpass"), ("-p",)),
    **dict.fromkeys(("mongo", "mongosh", "mongodump", "mongorestore"), ("-p",)),
    **dict.fromkeys(("redis-cli", "redis-benchmark"), ("-a", "--pass")),
}
_LIKELY_OPTIONS: Final = frozenset({"-p", "-P", "-pw"})
_WORD: Final = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"']|["'])+""")
_PLAIN: Final = re.compile(r"""["']?(?:-.*|[\d.:,/-]+(?:tcp|udp)?|[.~]{0,2}/.*)["']?""", re.DOTALL)


class Problem(StrEnum):
    """What went wrong with a restart: how far it came."""

    SURVIVES = "survives"
    GOES_ON = "goes_on"
    REFUSED = "refused"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    NO_ANSWER = "no_answer"
    NO_LOGIN = "no_login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a restart, start or stop: those in `after` took the place of those in `before`.

    `launch` is how it was started here, None for what something else has started, as `keeper` may have. `sizes` are
    those of its output files before; `logins` is how many its log had shown. `began` is when, by a clock that never
    steps, and `seconds` how long it took. `problem` is what went wrong, `reason` why, `last_words` what was written,
    None where that may not be read.
    """

    before: tuple[Process, ...] = ()
    after: tuple[Process, ...] = ()
    ending: Ending | None = None
    launch: Launch | None = None
    keeper: str = ""
    sizes: Mapping[Path, int] = field(default_factory=dict)
    logins: int = 0
    began: float = 0.0
    seconds: float = 0.0
    problem: Problem | None = None
    reason: str = ""
    last_words: str | None = ""


def launch_of(origin: Origin, *, stdout: Path | None, translate: Callable[[str], str]) -> Launch | str:
    """Return how to start a process again as it was, or the sentence that says why it cannot be.

    Its output goes to `stdout` where that is given; what it complains of goes there with it, unless that has a file of
    its own.
    """
    obstacle = None if origin.environ is None else _obstacle(origin, stdout, translate)
    if obstacle is not None:
        return obstacle
    if origin.folder is None and origin.environ is not None:
        return translate("the folder that it works in was deleted or moved, or something else has taken its place")
    if origin.executable is None or origin.folder is None or origin.environ is None or origin.umask is None:
        return translate("it cannot be seen how it was started: it is a process of {user}").format(
            user=_shown(origin.process.user)
        )
    return Launch(
        executable=origin.executable,
        argv=origin.argv,
        environ=origin.environ,
        folder=origin.folder,
        uid=origin.uid,
        gid=origin.gid,
        groups=origin.groups,
        umask=origin.umask,
        limits=origin.limits,
        stdout=origin.stdout.path if stdout is None else stdout,
        stderr=_error_path(origin, stdout),
    )


def is_supervised(origin: Origin) -> bool:
    """Tell whether something may start a process again once it has ended: the service it is in, or its parent.

    An init that only takes in orphans does not. A parent that cannot be seen may.
    """
    if origin.unit is not None:
        return True
    if origin.parent is None:
        return origin.process.parent > 1
    return origin.parent.name not in _INITS


def is_same(one: Process, other: Process) -> bool:
    """Tell whether two records are of one process."""
    return (one.pid, one.created) == (other.pid, other.created)


def heirs(before: Process, found: Iterable[Process]) -> tuple[Process, ...]:
    """Return which of `found` took the place of `before`: others of the same words, or a parent's new child.

    What another user runs never does: anybody may show the same words.
    """
    return tuple(
        other
        for other in found
        if not is_same(before, other)
        and other.user == before.user
        and (
            other.argv == before.argv
            or (other.parent == before.parent and before.parent > 1 and other.name == before.name)
        )
    )


def command_text(process: Process) -> str:
    """Return a process's words on one line, at most 200 characters of them, without the passwords among them."""
    words = " ".join(filter(None, _without_passwords(process.argv))) or f"[{process.name}]"
    text = _shown(words[: _LONGEST_COMMAND + 1])
    return text if len(text) <= _LONGEST_COMMAND else f"{text[: _LONGEST_COMMAND - 1]}…"


def _without_passwords(argv: Iterable[str]) -> Iterator[str]:
    """Yield words, and for a password the mark that redaction leaves.

    That is what stands behind `-p` and the like, or in one word with it for programs known to read it so. For
    all others a number or a path is none: it is a port, a process or a place. A word may be a whole line, as a shell's.
    """
    options: tuple[str, ...] = ()
    before = ""

    def shown(word: str) -> str:
        nonlocal options, before
        bare = word.strip("\"'")
        option, before = before, bare
        if option in options or (option in _LIKELY_OPTIONS and not _PLAIN.fullmatch(word)):
            return REDACTED
        for known in options:
            if bare.startswith(known) and bare != known and not known.startswith("--"):
                return known + REDACTED
        options = _PASSWORD_OPTIONS.get(bare.rpartition("/")[2], options)
        return word

    for word in argv:
        is_secret = before in options or any(word.startswith(known) and known == "-p" for known in options)
        if is_secret or (before in _LIKELY_OPTIONS and not _PLAIN.fullmatch(word)):
            yield shown(word)
        else:
            yield _WORD.sub(lambda found: shown(found[0]), word)


def process_text(process: Process, *, now: datetime, translate: Callable[[str], str]) -> str:
    """Return one line on a process: its id, whose it is, for how long it runs, its memory, and its words."""
    return translate("pid {pid}, {user}, up {duration}, {memory}: {command}").format(
        pid=process.pid,
        user=_shown(process.user),
        duration=duration_text((now - process.started_at).total_seconds(), translate),
        memory=size_text(process.memory_bytes),
        command=command_text(process),
    )


def pids_text(processes: Sequence[Process]) -> str:
    """Return the ids of processes as one word of a sentence."""
    return ", ".join(str(process.pid) for process in processes)


def change_rows(bot: str, change: Change, *, translate: Callable[[str], str]) -> tuple[str, ...]:
    """Return what is told of a restart or start, whether it has worked or not."""
    _ = translate
    match change.problem:
        case None if change.before:
            form = _("{bot} was restarted in {duration}: pid {before} → {after}, {memory}")
        case None:
            form = _("{bot} was started in {duration}: pid {after}, {memory}")
        case Problem.SURVIVES:
            form = _("{bot} does not end, not even when killed: pid {survivors}; nothing was started")
        case Problem.GOES_ON:
            form = _("{bot} goes on running: pid {after}")
        case Problem.REFUSED:
            form = _("what keeps {bot} refused: {reason}")
        case Problem.NOT_STARTED:
            form = _("{bot} was ended (pid {before}) and cannot be started again: {reason}; `start` tries once more")
        case Problem.ENDED if change.after:
            form = _("{bot} does not run: it was started as pid {after} and ended within {duration}")
        case Problem.ENDED:
            form = _("{bot} was started, but no new process of it has appeared")
        case Problem.NO_ANSWER:
            form = _("{bot} runs as pid {after}, but port {reason} does not answer after {duration}")
        case _:
            form = _("{bot} runs as pid {after}, but its log shows no login after {duration}")
    row = form.format(
        bot=bot,
        duration=_seconds_text(change.seconds, translate),
        before=pids_text(change.before),
        after=pids_text(change.after),
        memory=size_text(sum(process.memory_bytes for process in change.after)),
        survivors=", ".join(map(str, () if change.ending is None else change.ending.survivors)),
        reason=change.reason,
    )
    return (
        row,
        *killed_rows(change.ending, translate=translate),
        *_keeper_rows(change, translate),
        *_last_rows(change, translate),
    )


def killed_rows(ending: Ending | None, *, translate: Callable[[str], str]) -> tuple[str, ...]:
    """Return what is told of those that did not end when asked; nothing where all did."""
    if ending is None or not ending.killed:
        return ()
    return (translate("had to be killed: pid {pids}").format(pids=", ".join(map(str, ending.killed))),)


def origin_rows(origin: Origin, *, translate: Callable[[str], str]) -> tuple[str, ...]:
    """Return what is told of how a process was started: its program, folder, outputs, parent and service."""
    _ = translate
    rows = []
    if origin.executable is not None:
        rows.append(_("program: {path}").format(path=_shown(str(origin.executable))))
    if origin.folder is not None:
        rows.append(_("folder: {path}").format(path=_shown(str(origin.folder))))
    rows.append(
        _("output: {stdout}; errors: {stderr}").format(
            stdout=_place(origin.stdout, translate), stderr=_place(origin.stderr, translate)
        )
    )
    if origin.parent is not None:
        rows.append(_("started by: {parent}").format(parent=_named(origin.parent)))
    if origin.unit is not None:
        rows.append(_("service: {unit}").format(unit=_shown(origin.unit)))
    return tuple(rows)


def keeper_of(origin: Origin) -> str:
    """Return what may have brought a process back; nothing where that cannot be told."""
    if origin.unit is not None:
        return _shown(origin.unit)
    return "" if origin.parent is None else _named(origin.parent)


def _error_path(origin: Origin, stdout: Path | None) -> Path | None:
    """Return where a process's complaints go: a file of their own is kept, else they go where `stdout` says."""
    if stdout is None or origin.stderr.kind is StreamKind.NULL:
        return origin.stderr.path
    is_own = origin.stderr.kind is StreamKind.FILE and origin.stderr.path != origin.stdout.path
    return origin.stderr.path if is_own else stdout


def _obstacle(origin: Origin, stdout: Path | None, translate: Callable[[str], str]) -> str | None:
    """Return what keeps a process from being started as it was, as far as it can be seen how that was."""
    _ = translate
    if origin.is_contained and origin.unit is not None:
        return _("it sees other files or processes than this program does; {remedy}").format(
            remedy=_unit_remedy(origin, translate)
        )
    if origin.is_contained:
        return _("it runs in a container, which only the container's own tools can start again")
    if origin.is_executable_gone:
        return _("its program is not there any more: {path}").format(path=_shown(str(origin.executable)))
    if not any(origin.argv):
        return _("it does not show the words it was started with; {remedy}").format(
            remedy=_unit_remedy(origin, translate)
        )
    for stream, form in (
        (origin.stdout, _("its output goes to {place}, which cannot be kept: {remedy}")),
        (origin.stderr, _("its error output goes to {place}, which cannot be kept: {remedy}")),
    ):
        is_kept = stream.kind in _NOWHERE or (stream.kind is StreamKind.FILE and stream.path is not None)
        if stdout is None and not is_kept:
            return form.format(place=_place(stream, translate), remedy=_stdout_remedy(origin, translate))
    return None


def _last_rows(change: Change, translate: Callable[[str], str]) -> tuple[str, ...]:
    """Return what a process that was started here, and failed, has written."""
    launch = change.launch
    if change.problem is None or launch is None or not change.after or launch.stdout is launch.stderr is None:
        return ()
    if change.last_words is None:
        return ()
    if change.last_words:
        return translate("the last it has written:"), change.last_words
    return (translate("it has written nothing"),) if change.problem is Problem.ENDED else ()


def _keeper_rows(change: Change, translate: Callable[[str], str]) -> tuple[str, ...]:
    if change.launch is not None or not change.keeper or not change.after:
        return ()
    return (translate("{keeper} brought it back; nothing was started besides").format(keeper=change.keeper),)


def _seconds_text(seconds: float, translate: Callable[[str], str]) -> str:
    """Return a length of time with its tenths, as far as they matter."""
    if seconds >= _MINUTE:
        return duration_text(seconds, translate)
    return translate("{count} s").format(count=f"{seconds:.1f}")


def _named(process: Process) -> str:
    return _shown(f"{process.name} ({process.pid})")


def _place(stream: Stream, translate: Callable[[str], str]) -> str:
    match stream.kind:
        case StreamKind.FILE if stream.path is not None:
            return _shown(str(stream.path))
        case kind if kind in _NOWHERE:
            return translate("nowhere")
        case StreamKind.PIPE:
            return translate("a pipe")
        case StreamKind.SOCKET:
            return translate("a socket")
        case StreamKind.TERMINAL:
            return translate("a terminal")
        case _:
            return translate("something that is no file")


def _stdout_remedy(origin: Origin, translate: Callable[[str], str]) -> str:
    remedy = translate('configure a file for it, as stdout = "bot.log"')
    if not is_supervised(origin):
        return remedy
    return translate("{remedy}, or {other}").format(remedy=remedy, other=_unit_remedy(origin, translate))


def _unit_remedy(origin: Origin, translate: Callable[[str], str]) -> str:
    """Say which unit to name, as far as that can be told."""
    if origin.unit is not None:
        return translate('name its service, as systemd = "{unit}"').format(unit=_shown(origin.unit))
    if origin.parent is None or not is_supervised(origin):
        return translate("name its unit, as pm2, supervisor or systemd")
    return translate("if {parent} keeps it, name it as its unit (pm2, supervisor or systemd)").format(
        parent=_named(origin.parent)
    )


def _shown(text: str) -> str:
    return visible(text, one_line=True)
