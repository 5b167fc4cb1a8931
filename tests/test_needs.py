"""What operations need of the machine, and how much is closed for that."""

from __future__ import annotations

from typing import Any

import pytest

from logmonitor import Operation, OperationConfig, ProcessSelector, Service
from logmonitor.needs import Need, Use, hardening_of, needs_of
from logmonitor.unit_file import Hardening


def use(name: str, process: ProcessSelector | None = None, **parameters: Any) -> Use:  # noqa: ANN401  # any parameter
    """Return an operation as it is used."""
    operation = Operation(name=name.rpartition(":")[2], config=OperationConfig(watch="bob"), process=process)
    return Use(use=name, name=name.rpartition(":")[2], operation=operation, parameters=parameters)


@pytest.mark.parametrize("name", ["qr_rescue", "operations.qr_rescue:qr_rescue", "log_alert", "log_view", "status"])
def test_operations_that_look_need_nothing(name: str) -> None:
    """All can be closed, however they are named."""
    assert needs_of([use(name)]) == (Need(subject=name.rpartition(":")[2]),)
    assert hardening_of(needs_of([use(name)])) is Hardening.FULL


def test_shell_needs_all_and_groups_of_its_own() -> None:
    """What an admin may say nobody knows."""
    (need,) = needs_of([use("shell_exec")])
    assert (need.hardening, need.delegated, need.outlived) == (Hardening.NONE, True, False)


@pytest.mark.parametrize("selector", [ProcessSelector(process="node"), ProcessSelector(pm2="bob"), None])
def test_restarted_processes_outlive_the_service_and_inherit_nothing(selector: ProcessSelector | None) -> None:
    """What was started as it was before must not end with the program that did, nor be closed in with it."""
    (need,) = needs_of([use("restart_process", selector)])
    assert (need.hardening, need.outlived) == (Hardening.NONE, True)
    assert need.programs == (("pm2",) if selector is not None and selector.pm2 else ())


def test_process_that_another_operation_names_counts() -> None:
    """`restart_process` acts upon it where it names none itself."""
    needs = needs_of([use("restart_process"), use("liveness", ProcessSelector(systemd="user:bob"))])
    assert needs == (
        Need(subject="restart_process", asks_user=True),
        Need(subject="liveness", asks_user=True),
    )


def test_units_of_others_are_restarted_by_their_keepers() -> None:
    """Both start what they keep themselves, so that nothing of it is ours."""
    assert needs_of([use("restart_process", ProcessSelector(supervisor="bob"))]) == (
        Need(subject="restart_process", programs=("supervisorctl",)),
    )


def test_pm2_may_be_started_by_who_asks_it() -> None:
    """Its daemon, and every bot below it, would be ours."""
    (need,) = needs_of([use("liveness", ProcessSelector(pm2="bob"))])
    assert (need.hardening, need.outlived, need.programs) == (Hardening.NONE, True, ("pm2",))
    assert needs_of([use("liveness", ProcessSelector(process="node"))]) == (Need(subject="liveness"),)


def test_programs_that_check_services_may_become_others() -> None:
    """They are the user's, so only files are closed; a service that is asked by URL needs nothing."""
    services = (Service(name="disk", command=("df", "-h")), Service(name="api", url="http://127.0.0.1/"))
    (need,) = needs_of([use("service_check", services=services)])
    assert (need.hardening, need.programs) == (Hardening.FILES, ("df",))
    assert needs_of([use("service_check", services=services[1:])]) == (Need(subject="service_check"),)


def test_code_of_others_may_do_anything() -> None:
    """Also what fails now: once mended it must not fail for what was closed meanwhile."""
    needs = needs_of([use("mine:disk_alert"), Use(use="theirs", name="theirs", operation=None)])
    assert [(one.hardening, one.outlived) for one in needs] == [(Hardening.NONE, True)] * 2
    assert needs[0].reason == "is not one of logmonitor's own, and may do anything"
    assert needs[1].reason == "fails now; once mended it may do anything"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), Hardening.FULL),
        ((Hardening.FULL, Hardening.FILES), Hardening.FILES),
        ((Hardening.FILES, Hardening.NONE, Hardening.FULL), Hardening.NONE),
    ],
)
def test_who_needs_most_decides(given: tuple[Hardening, ...], expected: Hardening) -> None:
    """One program has one sandbox."""
    assert hardening_of(Need(subject="x", hardening=one) for one in given) is expected
