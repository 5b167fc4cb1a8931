"""ARCHITECTURE's "Add an operation", followed to the letter: written down, tested, configured, installed."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.stdio_bot import ADMIN, DEADLINE, stdio_bot

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = Path(__file__).parent.parent / "ARCHITECTURE.md"
CONFIGURATION: Final = f"""
[bot]
name = "alice"
[chat]
transport = "stdio"
admins = ["{ADMIN}"]
[[watch]]
name = "bob"
log = "bob.log"
[[operation]]
watch = "bob"
"""
PACKAGE: Final = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "disk-alert"
version = "1.0"
[project.entry-points."logmonitor.operations"]
disk_alert = "disk_alert:disk_alert"
[tool.hatch.build.targets.wheel]
include = ["disk_alert.py"]
"""
LOGIN: Final = "22:44:35 INFO StarterBot Contact<Bob> login\n"
FULL: Final = "22:44:36 ERR StarterBot write failed: No space left on device\n"


def section() -> str:
    """Return what the page says of adding an operation."""
    (text,) = re.findall(r"^## Add an operation\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the operation and its test in the file that the page names, and a log."""
    (named,) = set(re.findall(r"`(\w+\.py)`", section()))
    blocks = re.findall(r"^```python\n(.*?)^```", section(), re.MULTILINE | re.DOTALL)
    (tmp_path / named).write_text("\n\n".join(blocks), encoding="utf-8")
    (tmp_path / "bob.log").write_text(LOGIN)
    return tmp_path


def configured(folder: Path, use: str) -> Path:
    """Write a configuration with a sentence that names the operation; return its path."""
    path = folder / "alice.toml"
    path.write_text(CONFIGURATION + use + "\n")
    return path


def done(*argv: str, folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a module of this Python to its end, which has to be good; return what it wrote."""
    ended = subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environ or {})},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


async def says_that_the_disk_is_full(config: Path, environ: Mapping[str, str] | None = None) -> None:
    """Run a configuration, and expect what its operation says of a line and of nothing else."""
    async with stdio_bot(config, environ={**os.environ, **(environ or {})}) as bot:
        async with asyncio.timeout(DEADLINE):
            while not (await bot.answer_to("status")).startswith("bob: logged in as Bob"):
                pass
        with (config.parent / "bob.log").open("a") as log:
            log.write(FULL + FULL)
        assert await bot.next_text() == f"bob: {FULL.strip()}"
        assert await bot.answer_to("disk") == "disk is no command of yours; `help` lists them"
        assert (await bot.stop())[0] == 0


def test_recipe_passes_its_own_test(folder: Path) -> None:
    """What the page shows is an operation and a test of it that passes, wherever it stands, without a warning."""
    flags = (
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "-W",
        "error",
    )
    assert "1 passed" in done("pytest", *flags, "disk_alert.py", folder=folder)


async def test_recipe_runs_beside_its_configuration(folder: Path) -> None:
    """With the sentence that the page gives it is checked, and runs."""
    (use,) = re.findall(r"`(use = \"[^`]*\")`", section())
    config = configured(folder, use)
    assert "finding" not in done("logmonitor", "check", str(config), folder=folder)
    await says_that_the_disk_is_full(config)


async def test_recipe_runs_installed_by_its_short_name(folder: Path) -> None:
    """A package offers it through the entry-point group that the page names, to who has that package installed."""
    assert "`logmonitor.operations`" in section()
    package, site = folder / "package", folder / "site"
    package.mkdir()
    (folder / "disk_alert.py").rename(package / "disk_alert.py")
    (package / "pyproject.toml").write_text(PACKAGE)
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--no-compile")
    done("pip", "install", "--quiet", *offline, "--target", str(site), str(package), folder=folder)
    environ = {"PYTHONPATH": str(site)}
    config = configured(folder, 'use = "disk_alert"')
    assert "finding" not in done("logmonitor", "check", str(config), folder=folder, environ=environ)
    await says_that_the_disk_is_full(config, environ)
