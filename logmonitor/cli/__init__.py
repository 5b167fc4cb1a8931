"""The command line: one module for each command, loaded only when it is asked for."""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "demo": "watch Alice rescue Bob, two bots on this machine",
    "run": "watch, rescue and answer, as a configuration says",
    "check": "tell what would stop a configuration from working",
    "follow": "print the lines of logs as they come, and lose none",
    "replay": "show what the session machine sees in an existing log",
    "profiles": "list the bot families whose logs are understood",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 for findings, 2 for wrong usage or a bad configuration."""
    _prepare_output()
    words = sys.argv[1:] if argv is None else list(argv)
    chosen = next((word for word in words if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="logmonitor",
        description="Two bots follow each other's log; when one is thrown out, the other sends you its login QR.",
        epilog="Try `logmonitor demo` first. `logmonitor COMMAND --help` tells more of each.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == chosen:
            module = import_module(f"logmonitor.cli.{name}")
            module.configure(command)
            command.set_defaults(run=module.run)
    arguments = parser.parse_args(words)
    code: int = arguments.run(arguments)
    return code


def _prepare_output() -> None:
    """Have a standard output even where it is closed, and one that takes every character."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - it stays open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class _Version(argparse.Action):
    """Prints the version; looked up only when it is asked for, since the look-up takes as long as all else."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        _values: object,
        _option: str | None = None,
    ) -> None:
        metadata = import_module("importlib.metadata")
        print(f"{parser.prog} {metadata.version('logmonitor')}")
        parser.exit()
