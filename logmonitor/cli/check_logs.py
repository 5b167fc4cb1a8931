"""What `check` finds about the logs that are watched: whether they can be read, whose they are, who signed them."""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.cli.row import Row, reason_of, user_name
from logmonitor.configuration.log_pattern import literal
from logmonitor.profile import AUTO
from logmonitor.profile_folder import load_profiles
from logmonitor.reader import read_chunks
from logmonitor.reading.choice import choose_profile
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Refusal
from logmonitor.signed_lines import count_signed
from logmonitor.watcher import BACKLOG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from logmonitor.config import Config, WatchConfig
    from logmonitor.profile import Profile
    from logmonitor.records import Chunk
    from logmonitor.signed_lines import SignedLines

_FILES_READ: Final = 100
_LEAST_BYTES: Final = 1 << 16


def log_rows(config: Config) -> Iterator[Row]:
    """Look at the logs of every watch, and at who wrote them."""
    profiles = load_profiles(*(() if config.bot.profiles is None else (config.bot.profiles,)))
    for watch in config.watches:
        subject = f"watch {watch.name}"
        readable: list[Path] = []
        found = {log: _paths(log) for log in watch.logs}
        for log, paths in found.items():
            if not paths:
                remedy = "correct the pattern, or start the bot that writes; what fits it is followed from then on"
                is_wanting = not any(found.values())
                yield Row(subject=subject, text=f"no file fits {log}", remedy=remedy if is_wanting else None)
            for path in paths:
                problem = _problem(subject, path)
                yield problem or Row(subject=subject, text=f"{path} can be read")
                readable += [] if problem else [path]
        yield from archive_rows(watch)
        if readable:
            yield from _content_rows(watch, readable, profiles, config.bot.twin_key)


def archive_rows(watch: WatchConfig) -> Iterator[Row]:
    """Tell of each folder that rotated logs go to whether it can be looked into."""
    subject = f"watch {watch.name}"
    for folder in watch.archives:
        try:
            os.listdir(folder)  # noqa: PTH208  # whether it can be listed is all that is wanted
        except (FileNotFoundError, NotADirectoryError) as error:
            remedy = "correct archive, or make the folder; what is rotated into another is not found again"
            yield Row(subject=subject, text=f"the archive {folder}: {reason_of(error)}", remedy=remedy)
        except OSError as error:
            remedy = f"let the user {user_name()} list it, and enter the folders above it"
            yield Row(subject=subject, text=f"the archive {folder} cannot be read: {reason_of(error)}", remedy=remedy)
        else:
            yield Row(subject=subject, text=f"the archive {folder} can be read")


def _content_rows(
    watch: WatchConfig, paths: Sequence[Path], profiles: Mapping[str, Profile], key: bytes | None
) -> Iterator[Row]:
    """Tell whose log it is and who signed it, by the part of it that `run` would start from."""
    subject, name = f"watch {watch.name}", watch.profile
    chunks: list[Chunk] = []
    share_bytes = max(_LEAST_BYTES, BACKLOG_BYTES // len(paths))
    try:
        for path in paths[:_FILES_READ]:
            chunks += read_chunks(path, start_offset=max(0, path.stat().st_size - share_bytes))
    except OSError as error:
        yield Row(subject=subject, text=f"cannot be read: {reason_of(error)}", remedy="check again")
        return
    if not any(chunk.data.strip() for chunk in chunks):
        yield Row(subject=subject, text="its log is empty; the family shows when it is written to")
        return
    choice = choose_profile(profiles if name == AUTO else {name: profiles[name]}, chunks)
    if choice.profile is not None:
        yield _known(subject, choice.profile)
        if key is not None:
            signed = count_signed(chunks, profile=compile_profile(choice.profile), bot=watch.name, key=key)
            yield signed_row(watch, signed)
    elif name == AUTO:
        problem, _, remedy = choice.reason.partition("; ")
        remedy += " as its profile; `logmonitor profiles` tells about each"
        yield Row(subject=subject, text=problem, remedy=remedy)
    else:
        remedy = "name another profile, or auto; `logmonitor profiles` lists them"
        yield Row(subject=subject, text=f"no line of its log is one of {name}", remedy=remedy)


def signed_row(watch: WatchConfig, signed: SignedLines) -> Row:
    """Tell what the signatures in a log prove, and what keeps them from it."""
    subject, name = f"watch {watch.name}", watch.name
    refused = sum(
        count for reason, count in signed.refused.items() if watch.require_signed or reason is not Refusal.UNSIGNED
    )
    if signed.verified:
        others = f"; {refused} other session lines are refused" if refused else ""
        return Row(subject=subject, text=f"its lines are signed by {name}{others}")
    if Refusal.WRONG in signed.refused:
        text = f"no signature in its log is that of {name}, so these lines are refused"
        remedy = (
            f"give both bots the same twin_key, and this [[watch]] the [bot] name of its twin, if that is not {name}"
        )
        return Row(subject=subject, text=text, remedy=remedy)
    if not watch.require_signed:
        return Row(subject=subject, text=f"its lines are not signed by {name}; they are believed as they are")
    if refused:
        text = "require_signed = true, and none of its session lines is signed: all are refused"
        remedy = f"give {name} the same twin_key and watch its self_log, or take require_signed out"
        return Row(subject=subject, text=text, remedy=remedy)
    return Row(subject=subject, text="no session line to be signed stands in its log yet")


def _known(subject: str, profile: Profile) -> Row:
    """Tell whose log it is, and where a stranger's lines cannot be told from the bot's."""
    text = f"its log is that of {profile.name}"
    if not profile.messages:
        text += ", whose messages are not known: a line that a stranger causes to be logged would be believed"
    return Row(subject=subject, text=text)


def _paths(log: str) -> list[Path]:
    """Return the files that a log's pattern means now."""
    path = literal(log)
    found = glob.glob(log, recursive=True) if path is None else []  # noqa: PTH207  # a pattern is no path
    return sorted(map(Path, found)) if path is None else [path]


def _problem(subject: str, path: Path) -> Row | None:
    """Return what keeps a log from being read, None if nothing does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        folder = next(parent for parent in path.parents if parent.exists())
        if folder != path.parent:
            remedy = f"correct the path; it leads as far as {folder}"
            return Row(subject=subject, text=f"{path.parent} does not exist, nor does {path.name} in it", remedy=remedy)
        remedy = "correct the path, or start the bot that writes it; it is followed from then on"
        return Row(subject=subject, text=f"{path} does not exist", remedy=remedy)
    except OSError as error:
        remedy = f"let the user {user_name()} read it, and enter the folders above it"
        return Row(subject=subject, text=f"{path} cannot be read: {reason_of(error)}", remedy=remedy)
    mode = os.fstat(descriptor).st_mode
    os.close(descriptor)
    if stat.S_ISREG(mode):
        return None
    remedy = "name the log itself, or a pattern that fits it"
    return Row(subject=subject, text=f"{path} is no file that a bot writes lines to", remedy=remedy)
