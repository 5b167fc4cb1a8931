"""What the operations of a configuration need of the machine, and so what may be closed to a service that runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from logmonitor.machine import Manager
from logmonitor.unit_file import Hardening

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from logmonitor.machine import ProcessSelector
    from logmonitor.operation import Operation

_OURS: Final = "operations."
_LOOKING: Final = frozenset({"liveness", "log_alert", "log_view", "qr_rescue", "status"})
_KEPT_OUTSIDE: Final = frozenset({Manager.SYSTEMD, Manager.SUPERVISOR})
_ASKED: Final = {Manager.PM2: "pm2", Manager.SUPERVISOR: "supervisorctl"}
_USERS_OWN: Final = "user:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one operation, or whatever `subject` is, needs: at most so much `hardening`, because of what it does.

    What it starts may have to outlive the service (`outlived`); it may make control groups (`delegated`), look for
    `programs` on the search path, and ask a user's own systemd (`asks_user`). Without a `reason` there is nothing.
    """

    subject: str
    reason: str = ""
    hardening: Hardening = Hardening.FULL
    outlived: bool = False
    delegated: bool = False
    programs: tuple[str, ...] = ()
    asks_user: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """An operation as a configuration names it, and what was made of that; None where its code fails."""

    use: str
    name: str
    operation: Operation | None
    parameters: Mapping[str, object] = field(default_factory=dict)


def hardening_of(needs: Iterable[Need]) -> Hardening:
    """Return how much can be closed so that everybody has what they need."""
    allowed = {need.hardening for need in needs}
    return next(one for one in reversed(Hardening) if one in allowed or one is Hardening.FULL)


def needs_of(uses: Sequence[Use]) -> tuple[Need, ...]:
    """Return what each operation needs, in their order."""
    selectors = [one.operation.process for one in uses if one.operation is not None and one.operation.process]
    return tuple(_need(use, selectors) for use in uses)


def _need(use: Use, selectors: Sequence[ProcessSelector]) -> Need:
    own = None if use.operation is None else use.operation.process
    meant = [own] if own is not None else [*selectors]
    managers = {None if one.unit is None else one.unit[0] for one in meant}
    match _short(use.use):
        case "shell_exec":
            reason = "runs whatever an admin says"
            return Need(subject=use.name, reason=reason, hardening=Hardening.NONE, delegated=True)
        case "restart_process" if not meant or managers - _KEPT_OUTSIDE:
            reason = "starts processes that are to be as they were, and to go on when the service ends"
        case "restart_process" | "liveness" if Manager.PM2 not in managers:
            return Need(subject=use.name, programs=_programs(managers), asks_user=_asks_user(meant))
        case "liveness":
            reason = "asks pm2, which starts its daemon where there is none"
        case "service_check" if programs := tuple(_words(use.parameters)):
            reason = f"runs programs of yours: {', '.join(programs)}"
            return Need(subject=use.name, reason=reason, hardening=Hardening.FILES, programs=programs)
        case "service_check":
            return Need(subject=use.name)
        case short if short in _LOOKING:
            return Need(subject=use.name)
        case _ if use.operation is None:
            reason = "fails now; once mended it may do anything"
        case _:
            reason = "is not one of logmonitor's own, and may do anything"
    return Need(
        subject=use.name,
        reason=reason,
        hardening=Hardening.NONE,
        outlived=True,
        programs=_programs(managers),
        asks_user=_asks_user(meant),
    )


def _short(use: str) -> str:
    """Return by which of our names an operation goes, however it was named."""
    return use.removeprefix(_OURS).partition(":")[0] if use.startswith(_OURS) else use


def _programs(managers: Iterable[Manager | None]) -> tuple[str, ...]:
    return tuple(sorted(_ASKED[one] for one in managers if one in _ASKED))


def _asks_user(selectors: Iterable[ProcessSelector]) -> bool:
    return any((one.systemd or "").startswith(_USERS_OWN) for one in selectors)


def _words(parameters: Mapping[str, object]) -> Iterator[str]:
    """Yield the programs that services are checked by, each once."""
    services = parameters.get("services")
    commands = [getattr(one, "command", None) for one in services] if isinstance(services, list | tuple) else []
    yield from dict.fromkeys(command[0] for command in commands if command)
