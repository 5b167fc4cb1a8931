"""`logmonitor fallback test`: whether what the chat does not take arrives by the fallbacks."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Final

from logmonitor.cli.configured import add_config_option, config_path
from logmonitor.cli.row import Row, counted, printer
from logmonitor.cli.telling import tell
from logmonitor.clock import SystemClock
from logmonitor.config import load
from logmonitor.configuration.document import expected
from logmonitor.display import visible
from logmonitor.errors import ConfigurationError, LogMonitorError
from logmonitor.escalating.assembly import make_way
from logmonitor.language import translation
from logmonitor.qr import render_png
from logmonitor.records import Attachment, Qr

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from logmonitor.config import Config, FallbackConfig

_QR: Final = Qr(payload="logmonitor")
_REMEDY: Final = "check its keys in the configuration, and whether what it names is up from this machine"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "send a QR that says nothing by the fallbacks, at once"
    test = actions.add_parser("test", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    test.add_argument("names", nargs="*", metavar="NAME", help="the fallbacks to try; default: each of them, in order")
    add_config_option(test)
    test.epilog = (
        "Exit codes: 0 all have taken it, 1 one has not, 2 the configuration cannot be read, or has no such fallback. "
        "That a service has taken a message it says itself; that it arrived only you can see."
    )


def run(arguments: argparse.Namespace) -> int:
    """Try the fallbacks that are asked for; return 0 if all have taken the message, 1 if not, 2 if there is none."""
    logging.getLogger("logmonitor").addHandler(logging.NullHandler())  # what is wrong stands in its row
    try:
        config = load(config_path(arguments))
        fallbacks = _chosen(config, arguments.names)
    except ConfigurationError as error:
        tell(visible(f"logmonitor fallback: {error}"), stream=sys.stderr)
        return 2
    show, failed = printer(config.secrets), 0
    for fallback in fallbacks:
        row = asyncio.run(_row(config, fallback))
        show(row)
        failed += row.remedy is not None
    if failed:
        print(f"{counted(failed)}; once mended, try again.")
    return 1 if failed else 0


def _chosen(config: Config, names: Sequence[str]) -> tuple[FallbackConfig, ...]:
    """Return the fallbacks of these names, all without any.

    Raises:
        ConfigurationError: there is none.
    """
    if not config.fallbacks:
        raise ConfigurationError(
            f"{config.path}: there is no fallback; expected a [[fallback]] with a url or transport"
        )
    known = {one.name: one for one in config.fallbacks}
    for name in names:
        if name not in known:
            raise ConfigurationError(f"{config.path}: no fallback is called {name!r}; {expected(name, known)}")
    return tuple(known[name] for name in dict.fromkeys(names or known))


async def _row(config: Config, fallback: FallbackConfig) -> Row:
    """Send by one fallback."""
    subject, translate = f"fallback {fallback.name}", translation(config.bot.language)
    way = make_way(config, fallback, translate=translate, clock=SystemClock())
    caption = translate("this is a test of the fallback {name} of {bot}; its QR says “logmonitor”")
    message = Attachment(
        filename="test-qr.png",
        content_type="image/png",
        data=render_png(_QR),
        caption=caption.format(name=fallback.name, bot=config.bot.name),
        qr=_QR,
    )
    try:
        await way.send(message)
    except LogMonitorError as error:
        return Row(subject=subject, text=f"did not work: {error}", remedy=_REMEDY)
    return Row(subject=subject, text="has taken the message; look whether it is there")
