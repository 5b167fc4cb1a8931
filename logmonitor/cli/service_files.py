"""What a service finds beside its configuration: who could change that, and its file of environment variables."""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.cli.row import Row, reason_of
from logmonitor.cli.service_facts import run_as
from logmonitor.cli.service_plan import account_of
from logmonitor.cli.variable_file import variables_text
from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logmonitor.cli.service_plan import Account

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MOST_LINKS: Final = 40
_APPEND: Final = """\
import os, sys
path, user, group = sys.argv[1:]
descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
with os.fdopen(descriptor, "a+b") as file:
    if os.geteuid() == 0:
        os.fchown(file.fileno(), int(user), int(group))
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    file.write((b"" if file.read() in (b"", b"\\n") else b"\\n") + sys.stdin.buffer.read())
"""


def keep_variables(path: Path, missing: Mapping[str, str], account: Account) -> Row | None:
    """Write what the file of variables lacks, for the service's user alone; tell of it, and of who else could read it.

    Raises:
        ConfigurationError: it cannot be written.
    """
    if missing:
        is_roots = os.geteuid() == 0 and path.parent.stat().st_uid == 0  # there nobody else can put a link
        writer = account_of(0) if is_roots else account
        given = variables_text(missing).encode("utf-8", "surrogateescape")
        run_as(writer, _APPEND, str(path), str(account.uid), str(account.gid), given=given)
        text = f"{', '.join(missing)}, as set here, was written to {path}, for {account.name} alone"
        return Row(subject="environment", text=text)
    with suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            text = f"{path} has mode {mode:03o}, so that others than its owner can read or change it"
            return Row(subject="environment", text=text, remedy=shlex.join(("chmod", "600", str(path))))
        return Row(subject="environment", text=f"comes from {path}")
    return None


def require_unchanged(configuration: Path, account: Account) -> None:
    """Refuse a configuration that others than root and the service's user could change, or have another in its place.

    Raises:
        ConfigurationError: they could, or it cannot be told.
    """
    folder = Path(os.path.realpath(configuration.parent))  # in which nobody else may put a file either
    try:
        for place, status in _way(configuration):
            owner = status.st_uid
            if owner not in (0, account.uid):
                raise ConfigurationError(
                    f"{place}: belongs to {_name(owner)}, who could change what runs as {account.name}; expected one of"
                    f" {account.name}'s or root's own"
                )
            is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX and place != folder
            is_open = not stat.S_ISLNK(status.st_mode) and not is_sticky
            by_others = status.st_mode & stat.S_IWOTH
            by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (0, account.gid)
            if is_open and (by_others or by_group):
                raise ConfigurationError(
                    f"{place}: others than its owner can change it, and so what runs as {account.name};"
                    f" expected {shlex.join(('chmod', 'go-w', str(place)))} before"
                )
    except OSError as error:
        raise ConfigurationError(f"{configuration}: cannot be reached: {reason_of(error)}") from None


def _way(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every folder and link through which a path leads, and where it ends, each with its status.

    Raises:
        OSError: it leads nowhere.
    """
    place, rest, links = Path("/"), [*reversed(path.parts[1:])], 0
    yield place, place.lstat()
    while rest:
        part = rest.pop()
        if part == os.pardir:
            place = place.parent
            continue
        status = (place / part).lstat()
        yield place / part, status
        if not stat.S_ISLNK(status.st_mode):
            place /= part
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(f"more than {_MOST_LINKS} links")
        target = (place / part).readlink()
        place = Path("/") if target.is_absolute() else place
        rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _name(uid: int) -> str:
    """Return what a user is called, by number where there is no name."""
    try:
        return account_of(uid).name
    except ConfigurationError:
        return str(uid)
