"""`profiles`: the bot families, the patterns that tell their lines apart, and lines that they match."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from logmonitor.cli.output import folder
from logmonitor.display import visible
from logmonitor.errors import LogMonitorError
from logmonitor.profile_folder import load_profile, load_profiles

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from logmonitor.profile import Profile, Rule

_BOLD: Final = "1"
_DIM: Final = "2"
_KIND: Final = "36"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="show this family's patterns and lines that they match")
    parser.add_argument("--folder", metavar="DIR", type=folder, help="a folder with profiles of your own")


def run(arguments: argparse.Namespace) -> int:
    """List the families, or show one; return the exit code: 2 if there is none of that name or one is not valid."""
    folders = [arguments.folder] if arguments.folder else []
    try:
        if arguments.name is None:
            _print_list(load_profiles(*folders))
        else:
            _print_profile(load_profile(arguments.name, *folders))
    except LogMonitorError as error:
        print(f"logmonitor profiles: {error}", file=sys.stderr)
        return 2
    return 0


def _print_list(profiles: Mapping[str, Profile]) -> None:
    width = max(map(len, profiles), default=0)
    for name, profile in profiles.items():
        kinds = ", ".join(dict.fromkeys(str(rule.kind) for rule in profile.events))
        title = visible(profile.title, one_line=True)
        print(f"{_painted(name.ljust(width), _BOLD)}  {title}  {_painted(kinds, _DIM)}")


def _print_profile(profile: Profile) -> None:
    print(f"{_painted(profile.name, _BOLD)}  {visible(profile.title, one_line=True)}")
    for name, value in _facts(profile):
        print(f"{_painted(name, _DIM)}  {visible(value, one_line=True)}")
    for heading, rules in (("event", profile.events), ("message", profile.messages), ("sign", profile.signs)):
        for rule in rules:
            print()
            print(_painted(rule.kind or heading, _KIND))
            for name, value in _parts(rule):
                print(f"  {_painted(name.ljust(7), _DIM)}  {visible(value, one_line=True)}")


def _facts(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield what holds for the whole family."""
    framing = profile.framing
    if framing.prefix:
        yield "each record begins with", framing.prefix
    if framing.json is not None:
        yield "JSON lines, the message in", framing.json.message
    if profile.genuine is not None:
        yield "a genuine QR leads to", profile.genuine
    if profile.qr_file is not None:
        yield "the QR's image", profile.qr_file
    if profile.qr_life:
        yield "a QR lives, in seconds", ", then ".join(f"{seconds:g}" for seconds in profile.qr_life)
    if profile.message_cut is not None:
        yield "characters of a message that are shown", str(profile.message_cut)
    if profile.traffic_is_login:
        yield "traffic proves a login, seconds after a loss", f"{profile.margin:g}"


def _parts(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the parts of a rule."""
    if rule.pattern is not None:
        yield "pattern", rule.pattern
    for field, pattern in rule.where:
        yield "where", f"{field} = {pattern}"
    if rule.qr_field is not None:
        yield "QR in", rule.qr_field
    for line in rule.examples:
        yield "line", line


def _painted(text: str, style: str) -> str:
    """Colour a text on a terminal."""
    return f"\x1b[{style}m{text}\x1b[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text
