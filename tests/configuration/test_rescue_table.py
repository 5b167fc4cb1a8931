"""`[rescue]` in a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.config import Config, RescueConfig, load
from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

FINE: Final = """
[bot]
name = "alice"
[chat]
transport = "stdio"
admins = ["Ann"]
[[watch]]
name = "bob"
log = "bob.log"
[[operation]]
use = "qr_rescue"
"""


def read(folder: Path, more: str, *, is_enrolling: bool = False) -> Config:
    """Load a configuration that has nothing wrong but for what is added."""
    path = folder / "bots.toml"
    path.write_text(FINE + more, encoding="utf-8")
    return load(path, environ={}, is_enrolling=is_enrolling)


def finding(folder: Path, more: str) -> str:
    """Return what is found, without the name of the file before it."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, more)
    return str(caught.value).removeprefix(f"{folder / 'bots.toml'}: ")


def test_nothing_is_shared_unless_it_is_said(tmp_path: Path) -> None:
    """Without the table there is one rescuer."""
    assert read(tmp_path, "").rescue is None


def test_lease_lies_beside_the_configuration_and_lasts_half_a_minute(tmp_path: Path) -> None:
    """What is relative is relative to the file, and the term has a default."""
    folder = tmp_path.resolve()
    assert read(folder, '[rescue]\nlease = "lease.db"\n').rescue == RescueConfig(lease=folder / "lease.db", term=30.0)
    assert read(folder, '[rescue]\nlease = "/run/l"\nterm = 5\n').rescue == RescueConfig(
        lease=(folder / "/run/l"), term=5.0
    )
    assert read(folder, "[rescue]\nterm = 0\n", is_enrolling=True).rescue is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[rescue]\n", "[rescue] lease: missing; expected a text in quotes"),
        ("[rescue]\nlease = ''\n", "[rescue] lease = '': expected the path of a file"),
        ("[rescue]\nlease = 'l'\nterm = 0\n", "[rescue] term = 0: expected at least 1"),
        ("[rescue]\nlease = 'l'\nterm = 4000\n", "[rescue] term = 4000: expected at most 3600"),
        ("[rescue]\nlaese = 'l'\nlease = 'l'\n", "[rescue] laese: unknown key; did you mean 'lease'?"),
        ("[[rescue]]\nlease = 'l'\n", "[[rescue]]: expected [rescue], once, in single brackets"),
        ("[resceu]\nlease = 'l'\n", "[resceu]: unknown table; did you mean [rescue]?"),
        ("[rescue]\nlease = 'bots.db'\n", "[rescue] lease = 'bots.db': is the store too; expected a file of its own"),
        (
            "[rescue]\nlease = 'bots.db-wal'\n",
            "[rescue] lease = 'bots.db-wal': is the store too; expected a file of its own",
        ),
        (
            "[rescue]\nlease = 'bots.toml'\n",
            "[rescue] lease = 'bots.toml': is the configuration itself; expected a file of its own",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, more: str, said: str) -> None:
    """Each finding names key, value and what was expected."""
    assert finding(tmp_path.resolve(), more) == said
