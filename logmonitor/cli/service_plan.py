"""What a configuration's service has to be like: its unit, and what is to be said of it."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.cli.row import Row
from logmonitor.cli.variable_file import variables_path
from logmonitor.errors import ConfigurationError
from logmonitor.needs import hardening_of
from logmonitor.unit_file import DEFAULT_PATH, Hardening, Scope, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from logmonitor.cli.service_facts import Facts
    from logmonitor.needs import Need

_RUN: Final = Path("/run")
_OURS: Final = "logmonitor"
_HOMES: Final = tuple(map(Path, ("/home", "/root", "/run/user")))
_TEMPORARY: Final = tuple(map(Path, ("/tmp", "/var/tmp")))  # noqa: S108  # nothing is put there
_CLOSED: Final = {
    Hardening.FULL: "it can become no other user, and calls the kernel only as services do",
    Hardening.FILES: "it may become what its programs need to be",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who runs a service."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A unit, and what is to be said of it."""

    unit: Unit
    rows: tuple[Row, ...]


def plan_of(facts: Facts, configuration: Path, *, scope: Scope, account: Account, version: int) -> Plan:
    """Say how the service of a configuration has to be, for a systemd of this version.

    Raises:
        ConfigurationError: its chat needs a terminal, or a path cannot stand in a unit.
    """
    if not facts.connects:
        raise ConfigurationError(
            f"{configuration}: the chat {facts.chat!r} talks to whoever starts it, which a service has not;"
            " expected one that connects to something"
        )
    is_system = scope is Scope.SYSTEM
    seen = tuple(map(Path, facts.seen))
    written = sorted({Path(path).parent for path in facts.written})
    made, kept = _made(written, account) if is_system else ((), written)
    search_path, missing = _search_path(facts.needs)
    environment = [("PATH", search_path)] if search_path is not None else []
    if is_system and any(need.asks_user for need in facts.needs):
        environment.append(("XDG_RUNTIME_DIR", f"/run/user/{account.uid}"))
        seen = (*seen, Path(f"/run/user/{account.uid}"))
    unit = Unit(
        scope=scope,
        description=f"logmonitor: {facts.bot}",
        configuration=configuration.absolute(),
        words=words_of(configuration, has_variables=bool(facts.variables or facts.kept)),
        folder=configuration.absolute().parent,
        user=account.name if is_system else None,
        environment=tuple(environment),
        hardening=hardening_of(facts.needs),
        written=tuple(kept),
        made=tuple(made),
        hides_homes=not _any_below(seen, _HOMES),
        has_own_temporary=not _any_below(seen, _TEMPORARY),
        outlived=any(need.outlived for need in facts.needs),
        delegated=any(need.delegated for need in facts.needs),
        systemd_version=version,
    )
    rows = (*_hardening_rows(unit, facts.needs), *_program_rows(missing), *_file_rows(unit, facts, account))
    return Plan(unit=unit, rows=rows)


def words_of(configuration: Path, *, has_variables: bool) -> tuple[str, ...]:
    """Return the words that run a configuration by this very program; nothing beside the configuration shadows it.

    The program itself reads its variables: systemd would do so as root, whatever they are a link to.
    """
    variables = ("--variables", str(variables_path(configuration))) if has_variables else ()
    return sys.executable, "-P", "-m", "logmonitor", "run", *variables, str(configuration.absolute())


def account_of(uid: int) -> Account:
    """Return the account of a user.

    Raises:
        ConfigurationError: there is none of that number.
    """
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ConfigurationError(f"no user has the number {uid}; expected one who could run the service") from None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir)


def _any_below(paths: Sequence[Path], places: Sequence[Path]) -> bool:
    return any(path.is_relative_to(place) for path in paths for place in places)


def _made(written: Sequence[Path], account: Account) -> tuple[list[str], list[Path]]:
    """Tell folders that each boot takes away, which systemd is to make, from all others.

    These are named after us or the user: another service's would be given to the user before that makes it.
    """
    made, kept = [], []
    for path in written:
        below = path.relative_to(_RUN).parts if path.is_relative_to(_RUN) else ()
        is_ours = below[:1] == (account.name,) or (bool(below) and below[0].startswith(_OURS))
        if is_ours and (not path.exists() or path.stat().st_uid == account.uid):
            made.append(str(path.relative_to(_RUN)))
        else:
            kept.append(path)
    return made, kept


def _search_path(needs: Sequence[Need]) -> tuple[str | None, dict[str, str]]:
    """Return where programs have to be looked for if not where all are, and for whom which one is nowhere."""
    before: list[str] = []
    missing: dict[str, str] = {}
    for need in needs:
        for program in need.programs:
            if os.sep in program or shutil.which(program, path=DEFAULT_PATH):
                continue
            found = shutil.which(program)
            if found is None:
                missing[program] = need.subject
            else:
                before.append(str(Path(found).absolute().parent))
    folders = [*dict.fromkeys(before)]
    return (os.pathsep.join((*folders, DEFAULT_PATH)) if folders else None), missing


def _hardening_rows(unit: Unit, needs: Sequence[Need]) -> Iterator[Row]:
    """Tell what is closed to the service, and what had to be left open for whom."""
    if unit.hardening is not Hardening.NONE:
        texts = []
        if unit.scope is Scope.SYSTEM:
            places = ", ".join(map(str, (*unit.written, *(_RUN / one for one in unit.made))))
            texts.append(f"it sees the machine read-only and writes to {places or 'nothing'}")
            texts.append("it sees no homes" if unit.hides_homes else "homes are open to reading, as it needs some")
            if not unit.has_own_temporary:
                texts.append("temporary files are those of all, as it needs some")
        else:
            texts.append("whatever its user may write is open to it: only the machine's systemd closes files")
        if unit.scope is Scope.SYSTEM or unit.hardening is Hardening.FULL:
            texts.append(_CLOSED[unit.hardening])
        yield Row(subject="hardened", text="; ".join(texts))
    for need in needs:
        if need.hardening is not Hardening.FULL:
            what = "all that the account may do" if need.hardening is Hardening.NONE else "becoming another user"
            yield Row(subject="left open", text=f"{what}, because {need.subject} {need.reason}")
    if unit.outlived:
        text = "only the program itself is ended with the service (KillMode=process): what it has started goes on"
        yield Row(subject="left running", text=text)


def _program_rows(missing: Mapping[str, str]) -> Iterator[Row]:
    for program, subject in missing.items():
        remedy = f"install {program}, or be where it is found and install the service again"
        yield Row(subject=subject, text=f"{program} is not on the search path", remedy=remedy)


def _file_rows(unit: Unit, facts: Facts, account: Account) -> Iterator[Row]:
    """Tell what the service cannot read or write."""
    for path in unit.written:
        if not path.is_dir():
            remedy = f"make it, for {account.name} to write to"
            yield Row(subject="files", text=f"{path}, in which the service writes, is no folder", remedy=remedy)
    for wanted, paths in (("read", facts.unread), ("write in", facts.unwritten)):
        for one in paths:
            yield Row(subject="files", text=f"{account.name} cannot {wanted} {one}", remedy=f"let {account.name} do so")
