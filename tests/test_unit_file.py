"""Units as text: what stands in them, what systemd itself says of them, and what cannot."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import ConfigurationError
from logmonitor.unit_file import (
    Hardening,
    Scope,
    Unit,
    configuration_of,
    unit_name,
    unit_text,
)

UNIT = Unit(
    scope=Scope.SYSTEM,
    description="logmonitor: alice",
    configuration=Path("/srv/alice/alice.toml"),
    words=("/bin/true", "-P", "-m", "logmonitor", "run", "/srv/alice/alice.toml"),
    folder=Path("/"),
    user="daemon",
    written=(Path("/srv/alice"),),
)
ODD = "a b%c$d\"e'ü[x]*中=1"


def lines(unit: Unit) -> list[str]:
    """Return the lines of a unit's text."""
    return unit_text(unit).splitlines()


def test_unit_is_started_told_of_and_ended_as_the_program_expects() -> None:
    """Ready by its own word, watched, started again whatever ends it but a bad configuration, ended in its own time."""
    text = lines(UNIT)
    for line in (
        "Type=notify",
        "NotifyAccess=main",
        'ExecStart="/bin/true" "-P" "-m" "logmonitor" "run" "/srv/alice/alice.toml"',
        "User=daemon",
        "Restart=always",
        "RestartPreventExitStatus=2",
        "StartLimitIntervalSec=0",
        "WatchdogSec=60",
        "TimeoutStopSec=30",
        "KillMode=mixed",
        "WantedBy=multi-user.target",
    ):
        assert line in text


def test_full_hardening_closes_files_and_other_users() -> None:
    """The machine is read-only but for what the program writes, and nothing makes it another user."""
    text = lines(replace(UNIT, hides_homes=True))
    for line in (
        "ProtectSystem=strict",
        'ReadWritePaths="-/srv/alice"',
        "PrivateTmp=yes",
        "ProtectHome=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "SystemCallFilter=@system-service",
    ):
        assert line in text


def test_files_alone_are_closed_where_programs_may_become_others() -> None:
    """Nothing is set that would imply NoNewPrivileges."""
    text = lines(replace(UNIT, hardening=Hardening.FILES, has_own_temporary=False))
    assert "ReadWritePaths=-/tmp -/var/tmp" in text
    assert "ProtectHome=read-only" in text
    implying = ("NoNew", "RestrictA", "RestrictN", "RestrictS", "SystemCall", "Capab", "PrivateDev")
    assert [one for one in text if one.startswith(implying)] == []


def test_nothing_is_closed_where_what_is_started_would_inherit_it() -> None:
    """A process that is restarted, or a shell, finds the machine as it is."""
    text = lines(replace(UNIT, hardening=Hardening.NONE, outlived=True, delegated=True, systemd_version=252))
    assert [
        one for one in text if one.startswith(("Protect", "Private", "ReadWrite", "NoNew", "RestrictN", "Limit"))
    ] == []
    assert "KillMode=process" in text
    assert "Delegate=yes" in text
    assert "DelegateSubgroup=main" not in text
    assert "DelegateSubgroup=main" in lines(replace(UNIT, delegated=True, systemd_version=254))


def test_unit_of_a_user_asks_for_nothing_that_a_user_has_not() -> None:
    """No user, no namespaces, and the target of a user's systemd."""
    text = lines(replace(UNIT, scope=Scope.USER, user=None))
    assert [one for one in text if one.startswith(("User=", "Protect", "Private", "ReadWrite", "Wants", "Capab"))] == []
    assert "NoNewPrivileges=yes" in text
    assert "WantedBy=default.target" in text


def test_capabilities_stay_where_root_reads_by_them() -> None:
    """Root that gave them up could not read what belongs to others."""
    assert "CapabilityBoundingSet=" not in lines(replace(UNIT, user="root"))


def test_folders_below_run_are_made_at_each_start() -> None:
    """A boot takes them away."""
    text = lines(replace(UNIT, made=("bots/alice",)))
    assert 'RuntimeDirectory="bots/alice"' in text
    assert "RuntimeDirectoryPreserve=yes" in text


@pytest.mark.parametrize("text", ["a\nb", "a\x7f", "a\udcff"])
def test_what_no_unit_can_say_is_refused(text: str) -> None:
    """A line's end or half a character in a path would begin another setting, or nothing."""
    with pytest.raises(ConfigurationError, match="cannot stand in a unit of systemd; expected no control characters"):
        replace(UNIT, configuration=Path(f"/{text}"))


@pytest.mark.parametrize("text", ["a\\", "a ", "a\t "])
def test_what_its_line_would_not_keep_is_refused(text: str) -> None:
    """A backslash at the end continues the line, a blank is lost."""
    with pytest.raises(ConfigurationError, match="cannot stand in a unit of systemd"):
        replace(UNIT, folder=Path(f"/{text}"))
    with pytest.raises(ConfigurationError, match="cannot stand in a unit of systemd"):
        replace(UNIT, description=f"logmonitor: {text}")


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1))
def test_unit_says_which_configuration_it_is_for(name: str) -> None:
    """Whatever its path, as far as a unit can name it."""
    path = Path("/srv") / name
    try:
        unit = replace(UNIT, configuration=path)
    except ConfigurationError:
        return
    assert configuration_of(unit_text(unit)) == str(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[Service]\nExecStart=/bin/true\n",
        '[Service]\nConfiguration="/a"\n',
        "[X-Logmonitor]\n",
        "[X-Logmonitor]\nConfiguration=oops\n",
        "[X-Logmonitor]\nConfiguration=1\n",
        '[X-Logmonitor]\nOther="/a"\n',
    ],
)
def test_unit_of_somebody_else_is_for_no_configuration(text: str) -> None:
    """Only what we wrote is ours."""
    assert configuration_of(text) is None


@pytest.mark.parametrize(
    ("bot", "otherwise", "name"),
    [
        ("alice", "bots", "logmonitor-alice.service"),
        ("my  bot/1", "bots", "logmonitor-my-bot-1.service"),
        ("爱丽丝", "alice", "logmonitor-alice.service"),
        ("爱丽丝", "爱丽丝", "logmonitor-bot.service"),
        ("../x", "bots", "logmonitor-x.service"),
        ("x" * 300, "bots", f"logmonitor-{'x' * 100}.service"),
    ],
)
def test_unit_has_a_name_that_a_shell_takes(bot: str, otherwise: str, name: str) -> None:
    """The bot's where it can be one, else the configuration's."""
    assert unit_name(bot, otherwise=otherwise) == name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on this machine")
@pytest.mark.parametrize("hardening", list(Hardening))
@pytest.mark.parametrize("folder", ["plain", ODD])
def test_systemd_finds_nothing_wrong(tmp_path: Path, hardening: Hardening, folder: str) -> None:
    """`systemd-analyze verify` accepts the unit, wherever the program and the configuration lie."""
    place = tmp_path / folder
    place.mkdir()
    program = place / "python"
    shutil.copy("/bin/true", program)
    unit = Unit(
        scope=Scope.SYSTEM,
        description=f"logmonitor: {folder} 50%",
        configuration=place / "alice.toml",
        words=(str(program), "-m", "logmonitor", "run", str(place / "alice.toml")),
        folder=place,
        user="daemon",
        environment=(("PATH", f"{place}:/bin"),),
        hardening=hardening,
        written=(place,),
        made=("bots/alice",),
        hides_homes=True,
        outlived=hardening is Hardening.NONE,
        delegated=hardening is Hardening.NONE,
    )
    path = tmp_path / "logmonitor-alice.service"
    path.write_text(unit_text(unit), "utf-8")
    done = subprocess.run(("systemd-analyze", "verify", str(path)), check=False, capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if "logmonitor-alice" in line] == []
    assert done.returncode == 0
