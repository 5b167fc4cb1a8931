"""Which files a log's pattern in a configuration means."""

from __future__ import annotations

import glob
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

_ESCAPED: Final = re.compile(r"\[([*?[])\]")


def absolute(pattern: str, *, folder: Path) -> str:
    """Put a pattern below `folder`, whose own name is no pattern; `~` is the home folder."""
    expanded = os.path.expanduser(pattern)  # noqa: PTH111  # a pattern is no path
    return os.path.join(glob.escape(str(folder)), expanded)  # noqa: PTH118


def literal(pattern: str) -> Path | None:
    """Return the one path that a pattern without wildcards means; None for one with any."""
    if glob.has_magic(_ESCAPED.sub("", pattern)):
        return None
    return Path(_ESCAPED.sub(r"\1", pattern))


def found(pattern: str) -> tuple[Path, ...]:
    """Return the paths that a pattern means now, sorted; a path without wildcards only if something is there."""
    path = literal(pattern)
    if path is not None:
        return (path,) if path.exists() else ()
    return tuple(map(Path, sorted(glob.glob(pattern, recursive=True))))  # noqa: PTH207  # a pattern is no path


def resolved(path: Path) -> Path:
    """Return the path behind every link that exists."""
    return Path(os.path.realpath(path))


def covers(pattern: str, path: Path) -> bool:
    """Tell whether a log's pattern reaches `path`, by name now or later, or through a link that exists."""
    wanted = os.path.normpath(pattern)
    names = {os.path.normpath(path), os.path.realpath(path)}
    if any(_fits(Path(wanted).parts, Path(name).parts) for name in names):
        return True
    return any(os.path.realpath(found) in names for found in glob.iglob(pattern, recursive=True))  # noqa: PTH207  # a pattern is no path


def _fits(patterns: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not patterns or not parts:
        return patterns in ((), ("**",)) and not parts
    if patterns[0] == "**":
        return _fits(patterns[1:], parts) or _fits(patterns, parts[1:])
    return fnmatchcase(parts[0], patterns[0]) and _fits(patterns[1:], parts[1:])
