"""The words that ask systemd, pm2 or supervisor something about one of their units."""

from __future__ import annotations

from typing import Final

from logmonitor.machine import Manager

_USER: Final = "user:"


def unit_command(manager: Manager, name: str, *words: str) -> tuple[str, ...]:
    """Return the program and its words that ask `manager` to do what `words` say, as `restart`, with a unit.

    A unit of systemd that is called `user:NAME` is one of this user's own.
    """
    if manager is Manager.SYSTEMD:
        whose = ("--user",) if name.startswith(_USER) else ()
        return "systemctl", *whose, *words, "--", name.removeprefix(_USER)
    program = "pm2" if manager is Manager.PM2 else "supervisorctl"
    return program, *words, name
