"""A file of environment variables beside a configuration: a NAME=VALUE to a line, as a shell takes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logmonitor.cli.row import reason_of
from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LIMIT_BYTES: Final = 1 << 20
_LINE: Final = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)="""
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>[^\n]*))""",
    re.MULTILINE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"""\\(["\\`$])""")


def variables_path(configuration: Path) -> Path:
    """Return where the variables of a configuration are kept."""
    return configuration.absolute().with_suffix(".env")


def read_variables(path: Path) -> dict[str, str]:
    """Return what a file of variables gives.

    Raises:
        ConfigurationError: it cannot be read, or is no such file.
    """
    try:
        if not path.is_file() and path.exists():
            raise ConfigurationError(f"{path}: is no file; expected one with lines NAME=VALUE")
        if path.stat().st_size > _LIMIT_BYTES:
            raise ConfigurationError(f"{path}: is larger than 1 MiB; expected lines NAME=VALUE")
        text = path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {reason_of(error)}") from None
    if "\0" in text:
        raise ConfigurationError(f"{path}: holds a NUL character, which no variable can; expected lines NAME=VALUE")
    return variables_of(text)


def variables_of(text: str) -> dict[str, str]:
    """Return what such lines give, each value quoted as for a shell or plain; what has no value is left out."""
    found = {}
    for match in _LINE.finditer(text):
        value = match["double"]
        value = _ESCAPED.sub(r"\1", value) if value is not None else match["single"] or match["plain"] or ""
        found[match["name"]] = value.strip() if match["plain"] else value
    return {name: value for name, value in found.items() if value}


def variables_text(variables: Mapping[str, str]) -> str:
    """Return the lines of such a file."""
    return "".join(f"{name}={_in_shell_quotes(value)}\n" for name, value in variables.items())


def _in_shell_quotes(value: str) -> str:
    return '"' + "".join(f"\\{one}" if one in '"\\`$' else one for one in value) + '"'
