"""The file that gives a service the environment variables of its configuration, written by the service's user."""

from __future__ import annotations

import re
import shlex
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.cli.row import Row, reason_of
from logmonitor.cli.service_facts import run_as
from logmonitor.errors import ConfigurationError
from logmonitor.unit_file import environment_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from logmonitor.cli.service_plan import Account

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LINE: Final = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)="""
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>[^\n]*))""",
    re.MULTILINE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"""\\(["\\`$])""")
_APPEND: Final = """\
import os, sys
descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
with os.fdopen(descriptor, "ab") as file:
    file.write(sys.stdin.buffer.read())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The variables that a configuration takes, and the file that gives them to the service.

    `kept` are those in the file, `values` all that are known from it and from here.
    """

    path: Path
    names: tuple[str, ...]
    kept: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def missing(self) -> tuple[tuple[str, str], ...]:
        """What the file lacks and is set here."""
        return tuple((name, self.values[name]) for name in self.names if name not in self.kept and name in self.values)


def environment_of(path: Path, names: Sequence[str], environ: Mapping[str, str]) -> Environment:
    """Look at what a service's variables would be; `path` is that of the configuration.

    Raises:
        ConfigurationError: the file of variables cannot be read.
    """
    place = path.absolute().with_suffix(".env")
    try:
        kept = _variables(place.read_text("utf-8", "surrogateescape")) if place.exists() else {}
    except OSError as error:
        raise ConfigurationError(f"{place}: cannot be read: {reason_of(error)}") from None
    return Environment(path=place, names=tuple(names), kept=kept, values={**environ, **kept})


def keep_missing(environment: Environment, account: Account) -> Row | None:
    """Write what the file of variables lacks and is set here; tell of it, and of who else could read it.

    Raises:
        ConfigurationError: it cannot be written.
    """
    path, missing = environment.path, environment.missing
    if missing:
        begin = "\n" if path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size else ""
        run_as(
            account, _APPEND, str(path), given=(begin + environment_text(missing)).encode("utf-8", "surrogateescape")
        )
        names = ", ".join(name for name, _ in missing)
        return Row(subject="environment", text=f"{names}, as set here, was written to {path}, for {account.name} alone")
    with suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            text = f"{path} has mode {mode:03o}, so that others than its owner can read or change it"
            return Row(subject="environment", text=text, remedy=shlex.join(("chmod", "600", str(path))))
        return Row(subject="environment", text=f"comes from {path}")
    return None


def _variables(text: str) -> dict[str, str]:
    """Return what a file of variables gives: a value to a line, quoted as for a shell or plain."""
    found = {}
    for match in _LINE.finditer(text):
        value = match["double"]
        value = _ESCAPED.sub(r"\1", value) if value is not None else match["single"] or match["plain"] or ""
        found[match["name"]] = value.strip() if match["plain"] else value
    return {name: value for name, value in found.items() if value}
