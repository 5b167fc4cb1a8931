"""`logmonitor service`: a configuration run by systemd, from every start of the machine on."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.cli.configured import add_config_argument, named_path
from logmonitor.cli.row import Row, printer, reason_of
from logmonitor.cli.service_facts import ask_facts
from logmonitor.cli.service_files import keep_variables, require_unchanged
from logmonitor.cli.service_plan import account_of, plan_of, words_of
from logmonitor.cli.systemd import Systemd, SystemdError, lingers, systemd_of, units_of
from logmonitor.cli.telling import tell
from logmonitor.cli.variable_file import variables_path
from logmonitor.configuration.document import variables_in
from logmonitor.display import visible
from logmonitor.errors import ConfigurationError
from logmonitor.unit_file import Scope, configuration_of, unit_name, unit_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from logmonitor.cli.service_facts import Facts
    from logmonitor.cli.service_plan import Account, Plan

_SUFFIX: Final = ".service"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
_LIMIT_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What was asked for; `environ` is the environment of who asks."""

    action: str
    configuration: Path
    scope: Scope
    name: str | None
    user: str | None
    is_shown: bool
    environ: Mapping[str, str]


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, summary in (
        ("install", "write the unit, start it, and start it with the machine; or bring all of that up to date"),
        ("uninstall", "stop the service and remove its unit; what the bot keeps stays"),
        ("status", "tell whether the service runs, and whether its unit is what the configuration asks for"),
    ):
        one = actions.add_parser(action, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        add_config_argument(one)
        one.add_argument("--user", action="store_true", help="a service of your own systemd; the default unless root")
        one.add_argument("--name", metavar="NAME", help="the unit's name; default: logmonitor-BOT")
        if action == "install":
            one.add_argument(
                "--run-as", metavar="USER", help="whom root has it run; default: the configuration's owner"
            )
            one.add_argument("--print", action="store_true", help="show the unit on standard output, and do nothing")
        one.epilog = (
            "Exit codes: 0 done, and the service runs; 1 it does not, or something is wrong with it; 2 the"
            " configuration cannot be read or is not valid, or there is no systemd. docs/service.md tells all of it."
        )


def run(arguments: argparse.Namespace) -> int:
    """Install, remove or look at a service; return 0, 1 if it does not run as it should, 2 if nothing could be done."""
    try:
        request = _request(arguments)
        return {"install": _install, "uninstall": _uninstall, "status": _status}[request.action](request)
    except (ConfigurationError, SystemdError) as error:
        for line in str(error).splitlines():
            tell(visible(f"logmonitor service: {line}"), stream=sys.stderr)
        return 2


def _request(arguments: argparse.Namespace) -> _Request:
    """Return what was asked for.

    Raises:
        ConfigurationError: it is not said for which configuration, or the name is none.
    """
    is_user = arguments.user or os.geteuid() != 0
    name: str | None = arguments.name
    if name is not None and not _NAME.fullmatch(_bare(name)):
        raise ConfigurationError(f"bad name {name!r} of a unit; expected letters, digits, '-', '_' and '.'")
    user = getattr(arguments, "run_as", None)
    if user is not None and is_user:
        raise ConfigurationError("a user's own service runs as that user; expected --run-as from root alone")
    return _Request(
        action=arguments.action,
        configuration=named_path(arguments).absolute(),
        scope=Scope.USER if is_user else Scope.SYSTEM,
        name=None if name is None else f"{_bare(name)}{_SUFFIX}",
        user=user,
        is_shown=bool(getattr(arguments, "print", False)),
        environ=os.environ,
    )


def _bare(name: str) -> str:
    return name.removesuffix(_SUFFIX)


def _install(request: _Request) -> int:
    """Write the unit, and have systemd run it."""
    account = _account(request)
    if request.is_shown:
        return _show(request, account)
    try:
        systemd = systemd_of(request.scope)
    except SystemdError as error:
        has_variables = variables_path(request.configuration).exists()
        words = shlex.join(words_of(request.configuration, has_variables=has_variables))
        raise SystemdError(f"{error}\nwithout it, have whatever starts programs here run: {words}") from None
    given = _given(request)
    facts, plan = _planned(request, account, given, version=systemd.version)
    name = _name_to_install(request, systemd, plan)
    show = printer(tuple((given or {}).values()))
    before, after = systemd.text(name), unit_text(plan.unit)
    missing = {one: value for one, value in (given or {}).items() if one not in facts.kept}
    if row := keep_variables(variables_path(request.configuration), missing, account):
        show(row)
    systemd.write(name, after)
    done = "is as it was" if before == after else "was written" if before is None else "was brought up to date"
    who = account.name if request.scope is Scope.SYSTEM else f"{account.name}, by that user's own systemd"
    show(Row(subject="unit", text=f"{systemd.path(name)} {done}; run by {who}"))
    for row in plan.rows:
        show(row)
    _show_linger(request, account, show)
    systemd.tell("daemon-reload")
    systemd.tell("enable", "--", name)
    try:
        systemd.tell("restart", "--", name)
    except SystemdError as error:
        show(Row(subject="service", text=f"does not start: {error}", remedy=f"{_journal(request, name)} tells why"))
        return 1
    state = _state_row(request, name, systemd.facts(name))
    show(state)
    return 0 if state.remedy is None else 1


def _show(request: _Request, account: Account) -> int:
    """Show the unit as it would be written, and what there is to say of it behind that."""
    try:
        version = systemd_of(request.scope).version
    except SystemdError:
        version = 0
    _, plan = _planned(request, account, _given(request), version=version)
    print(unit_text(plan.unit), end="")
    for row in plan.rows:
        print(visible(f"{row.subject}: {row.text}", one_line=True), file=sys.stderr)
    return 0


def _uninstall(request: _Request) -> int:
    """Stop the service and remove its unit."""
    systemd, show = systemd_of(request.scope), printer()
    names = _installed(request, systemd)
    if not names:
        show(Row(subject="service", text=_absence(request, systemd)))
        return 0
    for name in names:
        systemd.tell("disable", "--now", "--", name)
        systemd.remove(name)
        systemd.tell("daemon-reload")
        show(Row(subject="unit", text=f"{systemd.path(name)} was removed, and its service stopped"))
        drop_ins = systemd.path(f"{name}.d")
        if drop_ins.is_dir():
            show(Row(subject="unit", text=f"{drop_ins}, which holds what you added to it, stays"))
    show(Row(subject="files", text="the configuration, its variables, the store and the audit stay as they are"))
    return 0


def _status(request: _Request) -> int:
    """Tell how the service is."""
    systemd, show = systemd_of(request.scope), printer()
    names = _installed(request, systemd)
    if not names:
        show(Row(subject="service", text=_absence(request, systemd), remedy=_install_words(request)))
        return 1
    rows = [_state_row(request, name, systemd.facts(name)) for name in names]
    rows += [row for name in names for row in _drift_rows(request, systemd, name)]
    for row in rows:
        show(row)
    return 1 if any(row.remedy is not None for row in rows) else 0


def _planned(
    request: _Request, account: Account, given: Mapping[str, str] | None, *, version: int
) -> tuple[Facts, Plan]:
    """Say what the configuration is, and how its service has to be.

    Raises:
        ConfigurationError: the configuration is not valid, or no service can run it.
    """
    facts = ask_facts(request.configuration, given, account)
    return facts, plan_of(facts, request.configuration, scope=request.scope, account=account, version=version)


def _given(request: _Request) -> Mapping[str, str] | None:
    """Return the variables that the configuration takes and are set here; None where they are not the service's.

    Who writes a configuration says which variables those are, so root gives nothing of its own for another's.

    Raises:
        ConfigurationError: the configuration cannot be read.
    """
    if request.scope is Scope.SYSTEM and request.configuration.stat().st_uid != 0:
        return None
    names = variables_in(_configuration_text(request.configuration))
    return {name: request.environ[name] for name in names if request.environ.get(name)}


def _configuration_text(path: Path) -> str:
    """Return what stands in the configuration; whether it is valid is another's question.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        if path.stat().st_size > _LIMIT_BYTES or not path.is_file():
            raise ConfigurationError(f"{path}: is no file of at most 1 MiB; expected a configuration in TOML")
        return path.read_text("utf-8-sig", "replace")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {reason_of(error)}") from None


def _account(request: _Request) -> Account:
    """Return who is to run the service: for root the owner of the configuration, which nobody else may change.

    Raises:
        ConfigurationError: that is root itself, unasked, or somebody else could have it run what he likes.
    """
    path = request.configuration
    try:
        owner = path.stat().st_uid
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {reason_of(error)}") from None
    if request.scope is Scope.USER:
        return account_of(os.geteuid())
    if request.user is None and owner == 0:
        raise ConfigurationError(
            f"{path}: belongs to root, and the bot would be root, too; expected a user of its own:"
            " chown it, or --run-as USER"
        )
    account = account_of(owner) if request.user is None else _account_named(request.user)
    require_unchanged(path, account)
    return account


def _account_named(user: str) -> Account:
    """Return a user's account.

    Raises:
        ConfigurationError: there is none of that name.
    """
    try:
        return account_of(pwd.getpwnam(user).pw_uid)
    except KeyError:
        raise ConfigurationError(f"no user is called {user!r}; expected one who could run the service") from None


def _name_to_install(request: _Request, systemd: Systemd, plan: Plan) -> str:
    """Return the name of the unit to be written: the one that there is, else a free one.

    Raises:
        SystemdError: it is installed by another name, or the name is that of somebody else's unit.
    """
    installed = systemd.names_for(request.configuration)
    if installed and request.name not in (None, *installed):
        raise SystemdError(f"{request.configuration} is installed as {installed[0]}; uninstall that before")
    bot = plan.unit.description.partition(": ")[2]
    name = request.name or next(iter(installed), unit_name(bot, otherwise=request.configuration.stem))
    text = systemd.text(name)
    if text is not None and configuration_of(text) != str(request.configuration):
        whose = configuration_of(text)
        why = "is no unit of logmonitor's" if whose is None else f"runs {whose}"
        raise SystemdError(f"{systemd.path(name)} {why}, and is left as it is; name another with --name")
    place = systemd.facts(name).get("FragmentPath", "")
    if text is None and place:
        raise SystemdError(f"{name} is there already, as {place}; name another with --name")
    return name


def _installed(request: _Request, systemd: Systemd) -> tuple[str, ...]:
    """Return the units that run a configuration; of the name that was given where there was one.

    Raises:
        SystemdError: that one is somebody else's.
    """
    if request.name is None:
        return systemd.names_for(request.configuration)
    text = systemd.text(request.name)
    if text is not None and configuration_of(text) != str(request.configuration):
        raise SystemdError(f"{systemd.path(request.name)} does not run {request.configuration}, and is left as it is")
    return () if text is None else (request.name,)


def _absence(request: _Request, systemd: Systemd) -> str:
    """Tell that there is no service, and where there may be one."""
    text = f"none is installed for {request.configuration} in {systemd.folder}"
    if request.scope is Scope.SYSTEM:
        return text
    others = Systemd(scope=Scope.SYSTEM, folder=units_of(Scope.SYSTEM), version=0).names_for(request.configuration)
    return f"{text}; the machine has {others[0]}, which root looks after" if others else text


def _state_row(request: _Request, name: str, facts: Mapping[str, str]) -> Row:
    """Tell whether a service runs, and what it says of itself."""
    active = facts.get("ActiveState", "")
    restarts = facts.get("NRestarts", "0")
    again = {"0": "", "": "", "1": ", started again once"}.get(restarts, f", started again {restarts} times")
    if active == "active":
        since, said = facts.get("ActiveEnterTimestamp", ""), facts.get("StatusText", "")
        parts = (f"runs as pid {facts.get('MainPID', '?')}", f"since {since}" if since else "")
        text = f"{name} {' '.join(filter(None, parts))}{again}{f': {said}' if said else ''}"
        return Row(subject="service", text=text)
    why = facts.get("Result", "")
    how = f" ({why})" if why not in {"", "success"} else ""
    sub = facts.get("SubState", active)
    text = f"{name} is {active or 'unknown'}{'' if sub == active else f' ({sub})'}{how}{again}"
    return Row(subject="service", text=text, remedy=f"{_journal(request, name)} tells why")


def _drift_rows(request: _Request, systemd: Systemd, name: str) -> list[Row]:
    """Tell what of a unit is no longer as an installation would make it."""
    again, facts = _install_words(request), systemd.facts(name)
    rows = []
    if facts.get("UnitFileState") not in {"enabled", "enabled-runtime"}:
        rows.append(Row(subject="unit", text="is not started with the machine", remedy=again))
    try:
        account = _unit_account(request, systemd.text(name) or "")
        if request.scope is Scope.SYSTEM:
            require_unchanged(request.configuration, account)
        _, plan = _planned(request, account, {}, version=systemd.version)
    except ConfigurationError as error:
        first = str(error).splitlines()[0]
        return [*rows, Row(subject="configuration", text=first, remedy="mend it; the service may not start again")]
    if unit_text(plan.unit) != systemd.text(name):
        text = "is not what the configuration asks for now"
        rows.append(Row(subject="unit", text=text, remedy=again))
    return rows


def _unit_account(request: _Request, text: str) -> Account:
    """Return whom a unit names to run it."""
    line = next((line for line in text.splitlines() if line.startswith("User=")), None)
    if request.scope is Scope.USER or line is None:
        return account_of(os.geteuid())
    return _account_named(line.removeprefix("User=").replace("%%", "%"))


def _show_linger(request: _Request, account: Account, show: Callable[[Row], None]) -> None:
    """Tell how long a user's service lives."""
    if request.scope is Scope.SYSTEM or (answer := lingers(account.name)):
        return
    text = "it ends when you log out, and starts when you log in"
    remedy = f"loginctl enable-linger {shlex.quote(account.name)}"
    show(Row(subject="linger", text=text if answer is False else f"{text}, unless lingering is on", remedy=remedy))


def _install_words(request: _Request) -> str:
    """Return the command that installs the service, as whoever is here has to type it."""
    words = ["logmonitor", "service", "install", str(request.configuration)]
    if request.scope is Scope.USER and os.geteuid() == 0:
        words.append("--user")
    if request.name is not None:
        words += ["--name", request.name]
    return shlex.join(words)


def _journal(request: _Request, name: str) -> str:
    """Return the command that shows what a service wrote."""
    scope = ("--user",) if request.scope is Scope.USER else ()
    return shlex.join(("journalctl", *scope, "-n", "30", "-u", name))
