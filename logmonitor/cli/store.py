"""`logmonitor store check`: whether what must last is sound, whose it is, and what stands in it."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import stat
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from logmonitor.cli.configured import add_config_argument, named_path
from logmonitor.cli.row import Row, counted, printer, user_name
from logmonitor.cli.telling import tell
from logmonitor.config import load
from logmonitor.display import visible
from logmonitor.errors import ConfigurationError, ForeignStoreError, NewerStoreError, StoreError, StoreUnavailableError
from logmonitor.storage.place import COMPANIONS, beside, log_size_bytes
from logmonitor.storage.survey import NEWEST_VERSION, read_survey
from logmonitor.store import set_aside_before
from logmonitor.wording import duration_text, session_text, size_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from logmonitor.storage.survey import Survey

LEAST_FREE_BYTES: Final = 16 << 20
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "tell whether the store is sound, whose it is, and what stands in it"
    check = actions.add_parser("check", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    add_config_argument(check)
    check.epilog = (
        "It only looks, also beside a bot that runs, and makes and changes nothing. Exit codes: 0 nothing found,"
        " 1 something found, 2 the configuration cannot be read or names no store."
    )


def run(arguments: argparse.Namespace) -> int:
    """Look at the store; return 0 if nothing is wrong with it, 1 if something is, 2 if there is none to look at."""
    try:
        path = _store_path(arguments)
    except ConfigurationError as error:
        tell(visible(f"logmonitor store: {error}"), stream=sys.stderr)
        return 2
    show, found = printer(), 0
    for row in store_rows(path, now=datetime.now(UTC)):
        show(row)
        found += row.remedy is not None
    print(f"{counted(found)}; once mended, check again." if found else "Nothing is wrong with the store.")
    return 1 if found else 0


def store_rows(path: Path, *, now: datetime) -> Iterator[Row]:
    """Look at the store at `path`; nothing is made, migrated or changed."""
    for aside in set_aside_before(path):
        text = f"one that was damaged was set aside as {aside}, with all that stood in it"
        yield Row(subject="store", text=text, remedy="grant and enroll anew, and move it elsewhere")
    try:
        survey = read_survey(path)
    except StoreError as error:
        yield Row(subject="store", text=str(error), remedy=_remedy(error, path))
        return
    if not path.exists():
        yield Row(subject="store", text=f"there is no {path} yet; the first start makes it")
        yield from _folder_rows(path)
        return
    yield from _file_rows(path)
    yield from _folder_rows(path)
    if survey is None:
        yield Row(subject="store", text=f"nothing stands in {path}; the next start begins it anew")
    else:
        yield from survey_rows(path, survey, now)


def _store_path(arguments: argparse.Namespace) -> Path:
    """Return where the store is.

    Raises:
        ConfigurationError: the configuration cannot be read or is not valid, or names no store.
    """
    config = load(named_path(arguments), is_enrolling=True)
    if config.bot.store is None:
        raise ConfigurationError(f"{config.path}: no store is named, so that nothing lasts; expected [bot] store")
    return config.bot.store


def _remedy(error: StoreError, path: Path) -> str:
    if isinstance(error, StoreUnavailableError):
        return f"let the user {user_name()} read it, on a disk that works"
    if isinstance(error, NewerStoreError):
        return "run the logmonitor that made it, or name another file as [bot] store, where nothing is granted yet"
    if isinstance(error, ForeignStoreError):
        return f"name another file as [bot] store, or {shlex.join(('mv', str(path), f'{path}.other'))}"
    return "put a copy of it in its place, or let the next start set it aside and go on without history"


def _file_rows(path: Path) -> Iterator[Row]:
    """Tell whose the file is, who else may use it, and how large it is."""
    status = path.stat()
    owner = _owner_name(status.st_uid)
    yield Row(
        subject="owner",
        text=f"{path} belongs to {owner}",
        remedy=None
        if status.st_uid == os.geteuid() or os.geteuid() == 0
        else f"run logmonitor as {owner}, or let it belong to the user that runs it, who seems to be {user_name()}",
    )
    open_to_others = [
        each
        for each in (path, *(beside(path, companion) for companion in COMPANIONS))
        if each.exists() and each.stat().st_mode & _OTHERS
    ]
    if open_to_others:
        modes = ", ".join(f"{each.name} has mode {stat.S_IMODE(each.stat().st_mode):03o}" for each in open_to_others)
        remedy = shlex.join(("chmod", "600", *map(str, open_to_others)))
        yield Row(subject="mode", text=f"{modes}, so that others can use it", remedy=remedy)
    else:
        yield Row(subject="mode", text=f"{stat.S_IMODE(status.st_mode):03o}, for its owner alone")
    log_bytes = log_size_bytes(path)
    more = f", and {size_text(log_bytes)} beside it that belong to it" if log_bytes else ""
    yield Row(subject="size", text=f"{size_text(status.st_size)}{more}")


def _folder_rows(path: Path) -> Iterator[Row]:
    """Tell whether the folder lets the store be written, and nobody else put another in its place."""
    folder = path.parent
    if not folder.is_dir():
        remedy = f"{shlex.join(('mkdir', '-p', str(folder)))}, or name a file elsewhere"
        yield Row(subject="folder", text=f"{folder} is no folder that exists", remedy=remedy)
        return
    is_writable = os.access(folder, os.W_OK | os.X_OK, effective_ids=True) and (
        not path.exists() or os.access(path, os.R_OK | os.W_OK, effective_ids=True)
    )
    if not is_writable:
        remedy = f"let the user {user_name()} write it and {path.name}; until then the rescue goes on without history"
        yield Row(subject="folder", text=f"{folder} cannot be written by {user_name()}", remedy=remedy)
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        text = f"{folder} can be written by everybody, who can so put another store in the place of this one"
        yield Row(subject="folder", text=text, remedy=shlex.join(("chmod", "o-w", str(folder))))
    yield room_row(folder)


def room_row(folder: Path) -> Row:
    """Tell how much room is left where something is to last.

    Raises:
        OSError: it cannot be told.
    """
    free_bytes = shutil.disk_usage(folder).free
    scarce = "make room: while there is none the rescue goes on, and nothing of it lasts"
    text = f"{size_text(free_bytes)} free in {folder}"
    return Row(subject="disk", text=text, remedy=scarce if free_bytes < LEAST_FREE_BYTES else None)


def survey_rows(path: Path, survey: Survey, now: datetime) -> Iterator[Row]:
    """Tell what stands in it."""
    version = f"version {survey.version}, "
    version += "the newest" if survey.version == NEWEST_VERSION else f"which the next start makes {NEWEST_VERSION}"
    yield Row(subject="version", text=version)
    if survey.unsound is None:
        yield Row(subject="soundness", text="every page, index and reference is sound")
    else:
        kept = shlex.join(("cp", str(path), f"{path}.unsound"))
        remedy = f"end the bot, {kept}, and put an older copy in its place or remove it"
        yield Row(subject="soundness", text=survey.unsound, remedy=remedy)
    for session in survey.sessions:
        logs = survey.logs.get(session.watch, 0)
        text = f"{session_text(session, now=now, translate=str)}; {_count(logs, 'log')} to be read on"
        yield Row(subject="session", text=text)
    for watch, reason in survey.unreadable:
        remedy = "let the next start go on without its history; it reads the end of the log anew"
        yield Row(subject="session", text=f"{watch}: cannot be read: {reason}", remedy=remedy)
    if survey.pending_calls:
        text = f"{_count(survey.pending_calls, 'call')} of operations to be made again at the next start, if none runs"
        yield Row(subject="handlers", text=text)
    waiting = f"{survey.letters_waiting} to be sent"
    if survey.oldest_letter_at is not None:
        waiting += f", the oldest for {duration_text((now - survey.oldest_letter_at).total_seconds(), str)}"
    yield Row(subject="messages", text=f"{waiting}; {survey.letters_failed} failed for good")
    rights = f"{_count(survey.grants, 'grant')}, {_count(survey.denials, 'denial')}, {survey.enrolled} enrolled"
    yield Row(subject="rights", text=rights)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _owner_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)
