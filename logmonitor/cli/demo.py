"""`logmonitor demo`: Alice rescues Bob, on this machine, in a few seconds."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.demo.play import Play
from logmonitor.errors import LogMonitorError
from logmonitor.language import LANGUAGES

if TYPE_CHECKING:
    import argparse

_SIGNALLED: Final = 128


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--script", action="store_true", help="play the story without asking, as without a terminal")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="what the bots and the demo speak")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="leave configurations and logs in this folder, to look at"
    )


def run(arguments: argparse.Namespace) -> int:
    """Play; return 0, 1 if it did not go as it should, 2 for a folder that cannot be used.

    Raises:
        OSError: nothing can be written to the terminal any more.
    """
    is_interactive = not arguments.script and sys.stdin.isatty() and sys.stdout.isatty()
    try:
        folder = _folder(arguments.keep)
    except OSError as error:
        if arguments.keep is None:
            print(f"there is no folder to play in: {error.strerror}; name one with --keep DIR", file=sys.stderr)
        else:
            print(f"cannot use {arguments.keep}: {error.strerror}", file=sys.stderr)
        return 2
    code = 0
    broken: list[OSError] = []
    with folder as path:
        try:
            play = Play(
                folder=Path(path),
                language=arguments.language,
                is_interactive=is_interactive,
                save_to=arguments.keep and Path(path),
            )
            asyncio.run(_play(play))
        except* LogMonitorError as group:
            for problem in dict.fromkeys(map(str, _leaves(group))):
                print(problem, file=sys.stderr)
            code = 1
        except* OSError as group:
            broken = [error for error in _leaves(group) if isinstance(error, OSError)]
        except* KeyboardInterrupt:
            code = 0 if is_interactive else _SIGNALLED + signal.SIGINT
        except* asyncio.CancelledError:
            code = _SIGNALLED + signal.SIGTERM
    if broken:
        raise broken[0]
    return code


async def _play(play: Play) -> None:
    """Play, and let SIGTERM and SIGHUP end it as cleanly as Ctrl-C does."""
    loop = asyncio.get_running_loop()
    playing = asyncio.ensure_future(play.run())
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, playing.cancel)
    await playing


def _folder(keep: Path | None) -> AbstractContextManager[str]:
    """Return the folder to play in: a fresh one that is removed afterwards, or the one to keep.

    Raises:
        OSError: the one to keep cannot be made, or there is something in it.
    """
    if keep is None:
        return tempfile.TemporaryDirectory(prefix="logmonitor-demo-")
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise OSError(errno.ENOTEMPTY, "it is not empty")
    return nullcontext(str(keep.absolute()))


def _leaves(error: BaseException) -> list[BaseException]:
    """Return every error in a group."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]
