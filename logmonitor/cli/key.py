"""`logmonitor key`: a new key for twins."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Final

from logmonitor.signing import KEY_BYTES, key_text

if TYPE_CHECKING:
    import argparse

_NEXT: Final = """\
Keep it secret, and give it to both twins: export TWIN_KEY=... where each is started, and in each configuration
[bot] twin_key = "${TWIN_KEY}". Each [[watch]] carries the name under which its bot signs, that bot's [bot] name;
then require_signed = true there refuses every line that the twin did not sign."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes: nothing."""
    parser.epilog = (
        "The key stands alone on standard output: export TWIN_KEY=$(logmonitor key). "
        'Both twins are given the same one as [bot] twin_key = "${TWIN_KEY}"; each signs with it under its [bot] name, '
        "which is the name that the other's [[watch]] has to carry."
    )


def run(_: argparse.Namespace) -> int:
    """Print a key, and to a person what to do with it; return 0."""
    print(key_text(secrets.token_bytes(KEY_BYTES)), flush=True)
    if sys.stdout.isatty():
        print(_NEXT, file=sys.stderr)
    return 0
