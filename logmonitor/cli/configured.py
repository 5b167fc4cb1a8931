"""The configuration that a command works on where it is no argument of its own: named, or the only one here."""

from __future__ import annotations

import argparse
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.cli.row import reason_of
from logmonitor.configuration.document import alternatives
from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "LOGMONITOR_CONFIG"
_REMEDY: Final = f"expected --config CONFIG.toml, or its path in {VARIABLE}"
_LIMIT_BYTES: Final = 1 << 20


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add `--config`, to a command, to its own subcommands, or to both."""
    parser.add_argument(
        "--config",
        "-c",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="CONFIG.toml",
        help=f"the configuration; default: {VARIABLE}, else the only one in this folder",
    )


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Add the configuration as an argument that may be left out, and `--config` beside it."""
    parser.add_argument(
        "named", type=Path, nargs="?", metavar="CONFIG.toml", help="the configuration, as --config names it"
    )
    add_config_option(parser)


def named_path(arguments: argparse.Namespace) -> Path:
    """Return which configuration the argument names, without one which `config_path` finds.

    Raises:
        ConfigurationError: none is named, or several are.
    """
    named: Path | None = arguments.named
    if named is None:
        return config_path(arguments)
    if getattr(arguments, "config", None) is not None:
        raise ConfigurationError("two configurations are named; expected one")
    return named


def config_path(
    arguments: argparse.Namespace, *, environ: Mapping[str, str] = os.environ, folder: Path | None = None
) -> Path:
    """Return which configuration is meant: the option's, the environment's, or the only one in `folder`, or here.

    Raises:
        ConfigurationError: none is, or it could be one of several.
    """
    named: Path | None = getattr(arguments, "config", None)
    if named is not None:
        return named
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    place = (folder or Path()).absolute()
    unreadable: dict[str, str] = {}
    here = _configurations(folder or Path(), unreadable)
    if len(here) == 1:
        return here[0]
    if unreadable and not here:
        which = "; ".join(f"{name} cannot be read: {reason}" for name, reason in unreadable.items())
        raise ConfigurationError(f"no configuration is named, and in {place} {which}; {_REMEDY}")
    if not here:
        raise ConfigurationError(f"no configuration is named, and none lies in {place}; {_REMEDY}")
    names = alternatives([path.name for path in here])
    raise ConfigurationError(f"no configuration is named, and it could be {names}; {_REMEDY}")


def _configurations(folder: Path, unreadable: dict[str, str]) -> list[Path]:
    """Return the configurations in a folder; note the files that may be some and cannot be read, each with why."""
    found: list[Path] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError as error:
        unreadable["what lies there"] = reason_of(error)
        return found
    for path in paths:
        try:
            if _is_configuration(path):
                found.append(path)
        except PermissionError as error:
            unreadable[path.name] = reason_of(error)
        except OSError:
            continue
    return found


def _is_configuration(path: Path) -> bool:
    """Tell whether a file has a `[bot]`; one that is no TOML, which is told when it is read, if it seems to.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file() or path.stat().st_size > _LIMIT_BYTES:
        return False
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    try:
        return isinstance(tomllib.loads(text).get("bot"), dict)
    except (ValueError, RecursionError):
        return any(line.strip().startswith("[bot]") for line in text.splitlines())
