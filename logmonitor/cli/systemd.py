"""The systemd that runs this machine, or one user's: asked and told by `systemctl`; and the units it finds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from logmonitor.cli.row import reason_of
from logmonitor.errors import LogMonitorError
from logmonitor.unit_file import Scope, configuration_of

SYSTEM_UNITS: Final = Path("/etc/systemd/system")
"""Where an administrator keeps units."""

_SECONDS: Final = 150.0
"""How long an answer may take: longer than systemd waits for a service to begin and one to end."""

_MODE: Final = 0o644
_FACTS: Final = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "MainPID",
    "StatusText",
    "NRestarts",
    "Result",
    "ExecMainStatus",
    "ActiveEnterTimestamp",
    "NeedDaemonReload",
)


class SystemdError(LogMonitorError):
    """systemd is not there, or does not do what it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """A systemd and the folder in which its units are kept; its `version` is its number, 0 where it has none."""

    scope: Scope
    folder: Path
    version: int

    def tell(self, *words: str) -> str:
        """Have it do something; return what is said of it.

        Raises:
            SystemdError: it is not done.
        """
        return _systemctl(self.scope, *words)

    def facts(self, name: str) -> dict[str, str]:
        """Return what it knows of a unit, by the names of properties.

        Raises:
            SystemdError: it does not tell.
        """
        said = self.tell("show", f"--property={','.join(_FACTS)}", "--", name)
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def path(self, name: str) -> Path:
        """Return where a unit of ours is kept."""
        return self.folder / name

    def text(self, name: str) -> str | None:
        """Return what stands in a unit there; None where there is none.

        Raises:
            SystemdError: it cannot be read.
        """
        path = self.path(name)
        try:
            return path.read_text("utf-8", "replace") if os.path.lexists(path) else None
        except OSError as error:
            raise SystemdError(f"{path}: cannot be read: {reason_of(error)}") from None

    def names_for(self, configuration: Path) -> tuple[str, ...]:
        """Return the units there that were written for a configuration."""
        found = []
        with suppress(OSError):
            for path in sorted(self.folder.glob("*.service")):
                with suppress(OSError):
                    if configuration_of(path.read_text("utf-8", "replace")) == str(configuration.absolute()):
                        found.append(path.name)
        return tuple(found)

    def write(self, name: str, text: str) -> None:
        """Put a unit there, whole at any time.

        Raises:
            SystemdError: it cannot be written.
        """
        path = self.path(name)
        draft = path.with_name(f".{name}.{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                os.fchmod(file.fileno(), _MODE)
            draft.replace(path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise SystemdError(f"{path}: cannot be written: {reason_of(error)}") from None

    def remove(self, name: str) -> None:
        """Take a unit away.

        Raises:
            SystemdError: it cannot be removed.
        """
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            raise SystemdError(f"{self.path(name)}: cannot be removed: {reason_of(error)}") from None


def systemd_of(scope: Scope) -> Systemd:
    """Return the systemd that runs this machine or this user's services.

    Raises:
        SystemdError: there is none.
    """
    if shutil.which("systemctl") is None:
        raise SystemdError("there is no systemd on this machine: no systemctl is on the search path")
    try:
        version = _systemctl(scope, "show", "--property=Version", "--value")
    except SystemdError as error:
        if scope is Scope.SYSTEM:
            raise SystemdError(f"systemd does not run this machine, or cannot be asked: {error}") from None
        raise SystemdError(
            f"this user's own systemd cannot be asked: {error}; be logged in as that user, not by su or sudo"
        ) from None
    number = re.match(r"\d+", version.strip())
    return Systemd(scope=scope, folder=units_of(scope), version=int(number[0]) if number else 0)


def units_of(scope: Scope) -> Path:
    """Return where units are kept."""
    if scope is Scope.SYSTEM:
        return SYSTEM_UNITS
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home and Path(home).is_absolute() else Path("~/.config").expanduser()) / "systemd" / "user"


def lingers(user: str) -> bool | None:
    """Tell whether a user's services go on without anybody logged in; None where that cannot be told."""
    try:
        said = _run("loginctl", "show-user", user, "--property=Linger", "--value")
    except SystemdError:
        return None
    return {"yes": True, "no": False}.get(said.strip())


def _systemctl(scope: Scope, *words: str) -> str:
    return _run("systemctl", *(("--user",) if scope is Scope.USER else ()), "--no-pager", "--no-ask-password", *words)


def _run(*words: str) -> str:
    """Run a program; return what it says.

    Raises:
        SystemdError: it is not there, or does not end well; the text is what it says of that.
    """
    environ = os.environ | {"LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, errors="replace", timeout=_SECONDS, env=environ
        )
    except OSError as error:
        raise SystemdError(f"{words[0]}: {reason_of(error)}") from None
    except subprocess.TimeoutExpired:
        raise SystemdError(f"{words[0]} did not answer within {_SECONDS:g} s") from None
    if done.returncode:
        said = [line.strip() for line in (done.stderr.strip() or done.stdout.strip()).splitlines()]
        raise SystemdError(" ".join(said[:3]) or f"{words[0]} ended with exit code {done.returncode}")
    return done.stdout
