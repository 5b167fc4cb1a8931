"""`logmonitor run`: what a configuration says, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.cli.variable_file import read_variables
from logmonitor.config import build_operations, build_transport, load
from logmonitor.display import visible
from logmonitor.errors import ConfigurationError, LogMonitorError
from logmonitor.notify import Notifier
from logmonitor.redact import redact
from logmonitor.runtime import serve

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from logmonitor.config import Config
    from logmonitor.operation import Operation
    from logmonitor.transport import Transport

_log = logging.getLogger(__name__)
STOP_SECONDS: Final = 15.0
GRACE_SECONDS: Final = 3.0
"""How long what was cancelled then may take, before the process is ended with it."""

_FORCED: Final = 128 + signal.SIGINT
_QUIET: Final = ("hpack", "watchdog")
"""Libraries whose details are never logged.

`hpack` shows headers compressed, the token among them, which no redaction can see; `watchdog` answers every record in a
file below a folder that is watched with another one.
"""


class _Visible(logging.Formatter):
    """Shows control characters instead of sending them to the terminal: what is logged may quote a stranger."""

    def __init__(self, layout: str, secrets: Sequence[str]) -> None:
        """Lay records out as `layout` says, without any of `secrets`."""
        super().__init__(layout)
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text that nothing obeys and that gives no credential away."""
        return visible(redact(super().format(record), self._secrets))


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG.toml", help="the configuration; `check` tells what it lacks"
    )
    parser.epilog = (
        "Exit codes: 0 stopped as told, 1 ended by itself, 2 the configuration cannot be read or is not valid. "
        "A Wechaty gateway serves one client: whoever starts later takes the place of the one before."
    )
    parser.add_argument(
        "--variables", type=Path, metavar="FILE", help="take environment variables from a file of lines NAME=VALUE, too"
    )
    parser.add_argument("--verbose", action="store_true", help="log every step, not only what an operator needs")


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; return 0, 1 if the work had to end by itself, 2 for a bad configuration."""
    try:
        if arguments.variables is not None:
            os.environ.update(read_variables(arguments.variables))
        config = load(arguments.config)
        transport, operations = build_transport(config), build_operations(config)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    is_shared = config.chat.transport == "console" and sys.stderr.isatty()
    set_up_logging(_level(is_verbose=arguments.verbose, is_shared=is_shared), secrets=config.secrets)
    last_resort = threading.Timer(STOP_SECONDS + GRACE_SECONDS, _give_up)
    last_resort.daemon = True
    try:
        asyncio.run(_serve(config, transport, operations, last_resort))
    except* LogMonitorError as group:
        wrong = [*dict.fromkeys(_sentences(group))]
    except* asyncio.CancelledError:
        wrong = [f"did not stop within {STOP_SECONDS:g} s; ended"]
    else:
        wrong = []
    finally:
        last_resort.cancel()
    for sentence in wrong:
        print(f"{arguments.config}: {redact(sentence, config.secrets)}", file=sys.stderr)
    return 1 if wrong else 0


def _level(*, is_verbose: bool, is_shared: bool) -> int:
    """Choose what is logged: on a terminal that is shared with a chat, only what needs attention."""
    if is_verbose:
        return logging.DEBUG
    return logging.WARNING if is_shared else logging.INFO


def set_up_logging(level: int, *, secrets: Sequence[str]) -> None:
    """Send log records to standard error, without `secrets`, coloured where that is a terminal."""
    handler: logging.Handler
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415  # what 60 ms of a start after a crash would go to
        from rich.highlighter import NullHighlighter  # noqa: PLC0415
        from rich.logging import RichHandler  # noqa: PLC0415

        handler = RichHandler(
            console=Console(stderr=True), show_path=False, log_time_format="%H:%M:%S", highlighter=NullHighlighter()
        )
        handler.setFormatter(_Visible("%(message)s", secrets))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(_Visible("%(asctime)s %(levelname)s %(name)s: %(message)s", secrets))
    logging.basicConfig(handlers=[handler], level=level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.INFO)


def _give_up() -> None:
    """End the process, which a thread of an operation may be keeping from its end."""
    print(f"did not stop within {STOP_SECONDS + GRACE_SECONDS:g} s; ended", file=sys.stderr, flush=True)
    os._exit(1)


async def _serve(
    config: Config, transport: Transport, operations: tuple[Operation, ...], last_resort: threading.Timer
) -> None:
    """Serve until the first SIGINT or SIGTERM, with which `last_resort` starts; a SIGINT after that ends at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    notifier = Notifier.take(os.environ)
    if notifier.watchdog is not None:
        faulthandler.enable(all_threads=False)  # whoever is ended for being stuck says where
    serving = asyncio.ensure_future(
        serve(config, transport=transport, operations=operations, stop=stop, notifier=notifier)
    )

    def on_signal(number: signal.Signals) -> None:
        if not stop.is_set():
            _log.info("%s: stopping", number.name)
            stop.set()
            loop.call_later(STOP_SECONDS, serving.cancel)
            last_resort.start()
        elif number is signal.SIGINT:
            sys.stderr.flush()
            os._exit(_FORCED)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    _log.info("%s watches %s", config.bot.name, ", ".join(watch.name for watch in config.watches) or "nothing")
    await serving


def _sentences(error: BaseException) -> list[str]:
    """Return the text of every error in a group."""
    if isinstance(error, BaseExceptionGroup):
        return [sentence for one in error.exceptions for sentence in _sentences(one)]
    return [str(error)]
