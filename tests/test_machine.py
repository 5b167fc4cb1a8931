"""What is said of the machine is refused where it cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from logmonitor.errors import OperationError, PatternError
from logmonitor.machine import Manager, ProcessSelector, ShellLimits


def test_process_selector_takes_exactly_one() -> None:
    """No word on which process, or two, is refused, and the keys there are are named."""
    with pytest.raises(OperationError, match=r"expected one of process, command, pid_file, port, .* found none"):
        ProcessSelector()
    with pytest.raises(OperationError, match="found process and port"):
        ProcessSelector(process="node", port=80)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_process_selector_refuses_a_port_that_is_none(port: int) -> None:
    """A port is one that something can listen on."""
    with pytest.raises(OperationError, match=f"bad port {port}; expected 1 to 65535"):
        ProcessSelector(port=port)


def test_process_selector_refuses_what_is_empty() -> None:
    """An empty name would be every process's."""
    with pytest.raises(OperationError, match="bad process ''"):
        ProcessSelector(process="")


def test_process_selector_refuses_a_pattern_that_could_hang() -> None:
    """A command is looked for by patterns of linear time."""
    with pytest.raises(PatternError):
        ProcessSelector(command=r"(a)\1")


def test_process_selector_tells_units_from_processes() -> None:
    """A unit has a manager, a process none."""
    assert ProcessSelector(pm2="bob").unit == (Manager.PM2, "bob")
    assert ProcessSelector(systemd="bob.service").unit == (Manager.SYSTEMD, "bob.service")
    assert ProcessSelector(pid_file=Path("bob.pid")).unit is None


def test_process_selector_tells_what_was_given() -> None:
    """Its text is what a person wrote."""
    assert ProcessSelector(port=8080).text == "port 8080"
    assert ProcessSelector(supervisor="bots:bob").text == "supervisor bots:bob"


@pytest.mark.parametrize("name", ["timeout", "output_bytes", "memory_bytes", "processes"])
def test_shell_limits_refuse_what_nothing_could_run_in(name: str) -> None:
    """A limit of nothing is a slip of the pen."""
    with pytest.raises(OperationError, match=f"bad {name} 0; expected more than 0"):
        ShellLimits(**{name: 0})
