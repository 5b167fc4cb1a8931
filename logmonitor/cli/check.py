"""`logmonitor check`: what would stop a configuration from working, each with its remedy."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from logmonitor.cli.check_chat import chat_rows, tls_rows
from logmonitor.cli.check_fallback import fallback_rows
from logmonitor.cli.check_lasting import lasting_rows
from logmonitor.cli.check_logs import log_rows
from logmonitor.cli.row import Row, counted, printer, reason_of, user_name
from logmonitor.cli.telling import tell
from logmonitor.config import build_operations, build_transport, load
from logmonitor.errors import ConfigurationError, RefusedPatternError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from logmonitor.config import Config


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="the configuration that `run` is to be given")
    parser.epilog = (
        "Exit codes: 0 nothing found, 1 something found, 2 the configuration cannot be read or is not valid. "
        "A bot that runs is not disturbed: it keeps its place in a chat that serves one client, as Wechaty gateways do."
    )


def run(arguments: argparse.Namespace) -> int:
    """Look at everything a configuration needs; return 0 if it is there, 1 if not, 2 for a bad configuration."""
    logging.getLogger("logmonitor").addHandler(logging.NullHandler())  # what a chat logs stands in its row
    show = printer()
    try:
        config = load(arguments.config)
        transport, operations = build_transport(config), build_operations(config)
    except ConfigurationError as error:
        findings = str(error).splitlines()
        for finding in findings:
            show(Row(subject="configuration", text=finding, remedy=""))
        tell(f"{counted(len(findings))} in the configuration; nothing else was looked at.")
        return 1 if isinstance(error, RefusedPatternError) else 2
    contacts = {name for operation in operations for name in (*(operation.config.admins or ()), *operation.contacts)}
    contacts.update(channel.admin for channel in config.second_channels)
    names = dict.fromkeys((*config.chat.admins, *sorted(contacts)))
    show = printer(config.secrets)
    found = 0
    for row in (
        Row(subject="configuration", text=f"{config.path} is valid"),
        *_secret_rows(config),
        *log_rows(config),
        *_operation_rows(config),
        *_broken_rows(config),
        *_self_log_rows(config),
        *_pid_file_rows(config),
        *lasting_rows(config, operations),
        *tls_rows(config.chat),
        *asyncio.run(chat_rows(config.chat.transport, transport, tuple(names))),
        *asyncio.run(fallback_rows(config)),
    ):
        show(row)
        found += row.remedy is not None
    if found:
        tell(f"{counted(found)}; once mended, check again.")
        return 1
    tell(f"Nothing stands in the way of: {shlex.join(('logmonitor', 'run', str(config.path)))}")
    return 0


def _secret_rows(config: Config) -> Iterator[Row]:
    """Look whether others can read the secrets that stand in the configuration."""
    if config.exposed:
        text = f"others than its owner can reach what stands in it: {', '.join(config.exposed)}"
        close = shlex.join(("chmod", "600", str(config.path)))
        remedy = f"{close}, or write ${{NAME}} there and set NAME in the environment"
        yield Row(subject="configuration", text=text, remedy=remedy)


def _operation_rows(config: Config) -> Iterator[Row]:
    """Look for bots that nothing is done about."""
    for watch in config.watches:
        if not any(entry.config.watch in (None, watch.name) for entry in config.operations):
            remedy = 'add an [[operation]], such as use = "qr_rescue"'
            yield Row(subject=f"watch {watch.name}", text="nothing is done when it is lost", remedy=remedy)


def _broken_rows(config: Config) -> Iterator[Row]:
    """Tell of operations whose code fails."""
    for broken in config.broken:
        remedy = f"mend what {broken.use} names, or take its [[operation]] out; until then all others go on without it"
        yield Row(subject=f"operation {broken.name}", text=f"fails and is left out: {broken.reason}", remedy=remedy)


def _self_log_rows(config: Config) -> Iterator[Row]:
    """Look whether this bot can write its own log; nothing is made or written."""
    path = config.bot.self_log
    if path is None:
        return
    subject = "self_log"
    try:
        place = next(one for one in (path, *path.parents) if one.exists())
    except OSError as error:
        yield Row(subject=subject, text=f"{path}: {reason_of(error)}", remedy="name a file that this bot may write to")
        return
    if path.exists() and not path.is_file():
        yield Row(subject=subject, text=f"{path} is no file", remedy="name a file that this bot may write to")
    elif not path.exists() and not place.is_dir():
        yield Row(subject=subject, text=f"{place} is no folder", remedy="name a file in a folder")
    elif not os.access(place, os.W_OK):
        remedy = f"let the user {user_name()} write to it, or name another file"
        yield Row(subject=subject, text=f"{place} cannot be written to", remedy=remedy)
    else:
        yield Row(subject=subject, text=f"{path} can be written")


def _pid_file_rows(config: Config) -> Iterator[Row]:
    """Look whether this bot can say under which process id it runs; nothing is made or written."""
    path = config.bot.pid_file
    if path is None:
        return
    subject, remedy = "pid_file", f"let the user {user_name()} write to that folder, or name a file in another"
    try:
        folder = next(one for one in path.parents if one.exists())
        is_folder = path.is_dir()
    except OSError as error:
        yield Row(subject=subject, text=f"{path}: {reason_of(error)}", remedy=remedy)
        return
    if is_folder:
        yield Row(subject=subject, text=f"{path} is a folder", remedy="name a file in it")
    elif not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Row(subject=subject, text=f"{path} cannot be written: {folder} lets nothing be made in it", remedy=remedy)
    else:
        yield Row(subject=subject, text=f"{path} can be written")
