"""Units of systemd, pm2 and supervisor: which process is theirs."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logmonitor.errors import HostError
from logmonitor.machine import Manager
from logmonitor.restart.unit_command import unit_command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logmonitor.machine import Completed

_TIMEOUT: Final = 15.0


async def main_processes(manager: Manager, name: str, *, run: Callable[..., Awaitable[Completed]]) -> tuple[int, ...]:
    """Return the id of a unit's main process, of each instance where there are several; none while it is stopped.

    Raises:
        HostError: the manager knows no such unit, or does not answer.
    """
    match manager:
        case Manager.SYSTEMD:
            question = unit_command(manager, name, "show", "--property=LoadState", "--property=MainPID")
            read = _of_systemd
        case Manager.PM2:
            question, read = ("pm2", "jlist"), _of_pm2
        case Manager.SUPERVISOR:
            question, read = unit_command(manager, name, "pid"), _of_supervisor
    try:
        answer = await run(*question, timeout=_TIMEOUT)
    except TimeoutError:
        raise HostError(f"{question[0]} did not answer within {_TIMEOUT:g} s") from None
    return tuple(pid for pid in read(name, answer) if pid > 0)


def _of_systemd(name: str, answer: Completed) -> tuple[int, ...]:
    values = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    if answer.exit_code or "LoadState" not in values:
        raise _refused(name, answer)
    if values["LoadState"] == "not-found":
        raise HostError(f"systemd has no unit {name!r}")
    if not values.get("MainPID", "").isdigit():
        raise HostError(f"unit {name!r} of systemd has no main process; expected a service")
    return (int(values["MainPID"]),)


def _of_pm2(name: str, answer: Completed) -> tuple[int, ...]:
    for line in reversed(answer.stdout.splitlines()):  # what pm2 has to say about itself stands before
        units: list[dict[str, object]]
        with suppress(ValueError):
            units = json.loads(line)
            if isinstance(units, list):
                break
    else:
        raise _refused(name, answer)
    meant = [unit for unit in units if name in (unit.get("name"), str(unit.get("pm_id")))]
    if not meant:
        raise HostError(f"pm2 has no process {name!r}")
    return tuple(pid for unit in meant if isinstance(pid := unit.get("pid"), int))


def _of_supervisor(name: str, answer: Completed) -> tuple[int, ...]:
    said = answer.stdout.split()
    if not said or not all(word.isdigit() for word in said):
        raise _refused(name, answer)
    return tuple(map(int, said))


def _refused(name: str, answer: Completed) -> HostError:
    lines = (answer.stderr.strip() or answer.stdout.strip() or f"exit code {answer.exit_code}").splitlines()
    return HostError(f"{answer.argv[0]} tells no process of {name!r}: {lines[0][:200]}")
