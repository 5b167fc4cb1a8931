"""The command line: one module for each command, loaded only when it is asked for."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

COMMANDS: Final = {
    "demo": "watch Alice rescue Bob, two bots on this machine",
    "run": "watch, rescue and answer, as a configuration says",
    "check": "tell what would stop a configuration from working",
    "fallback": "try the channels that are used where the chat takes nothing",
    "follow": "print the lines of logs as they come, and lose none",
    "replay": "show what the session machine sees in an existing log",
    "profiles": "list the bot families whose logs are understood",
    "grant": "say who may run what besides the admins, and who may not",
    "totp": "enroll the authenticators whose one-time codes the bot accepts",
    "outbox": "show what waits to be sent and what failed, and send or drop it",
    "store": "tell whether what must last is sound, and what stands in it",
    "audit": "show who asked for what and what was decided, and whether any of it is missing",
    "service": "have systemd run a configuration, from every start of the machine on",
    "key": "make a key with which twins sign their lines for each other",
}
_INTERRUPTED: Final = 130


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
    try:
        for name, summary in COMMANDS.items():
            command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
            if name == chosen:
                module = _loaded(name)
                module.configure(command)
                command.set_defaults(run=module.run)
        arguments = parser.parse_args(words)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        _forget_output()
        print(f"logmonitor: cannot write: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    return code


def _loaded(name: str) -> ModuleType:
    """Load a command's module; a sixth of what that takes would go into looking for garbage where there is none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(f"logmonitor.cli.{name}")
    finally:
        if was_enabled:
            gc.enable()


def _prepare_output() -> None:
    """Have standard streams even where they are closed, and an output that takes every character."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - it stays open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """Let what is still buffered for standard output go nowhere, instead of failing once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


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
