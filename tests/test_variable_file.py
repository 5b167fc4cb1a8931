"""Files of environment variables: written so that a shell reads them, and read as they were written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.cli.variable_file import read_variables, variables_of, variables_path, variables_text
from logmonitor.errors import ConfigurationError


@given(
    st.dictionaries(
        st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,8}\Z"),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1),
    )
)
def test_variables_come_back_as_they_were(variables: dict[str, str]) -> None:
    """Whatever their values are."""
    assert variables_of(variables_text(variables)) == variables


def test_variables_are_read_by_the_real_shell(tmp_path: Path) -> None:
    """Quotes, dollars, backslashes, blanks and line ends included."""
    value = "a b\"c'd$HOME`e`\\f#%中\n2"
    script = variables_text({"TOKEN": value}) + 'printf %s "$TOKEN"'
    assert subprocess.run(("sh", "-c", script), check=True, capture_output=True, text=True).stdout == value
    (tmp_path / "alice.env").write_text(variables_text({"TOKEN": value}), "utf-8")
    assert read_variables(tmp_path / "alice.env") == {"TOKEN": value}


def test_variables_are_read_as_people_write_them(tmp_path: Path) -> None:
    """Exported, quoted, plain with anything in it; comments and what has no value are none."""
    path = tmp_path / "alice.env"
    path.write_text('# A=1\nexport B=\'x#y\'\n  C = no\nD=a b$c#d \nE=\nF="x\\"y"\nnothing\nG=last')
    assert read_variables(path) == {"B": "x#y", "D": "a b$c#d", "F": 'x"y', "G": "last"}


def test_file_that_gives_no_variables_is_refused(tmp_path: Path) -> None:
    """One that is missing, a folder, something to wait for, too large, or of what no variable holds."""
    path = tmp_path / "alice.env"
    with pytest.raises(ConfigurationError, match="cannot be read: no such file"):
        read_variables(path)
    os.mkfifo(path)
    for name in (path, tmp_path):
        with pytest.raises(ConfigurationError, match="is no file; expected one with lines NAME=VALUE"):
            read_variables(name)
    path.unlink()
    path.write_bytes(b"A=\0")
    with pytest.raises(ConfigurationError, match="holds a NUL character"):
        read_variables(path)
    path.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(ConfigurationError, match="is larger than 1 MiB"):
        read_variables(path)


def test_variables_lie_beside_their_configuration() -> None:
    """Under its name."""
    assert variables_path(Path("/srv/alice.toml")) == Path("/srv/alice.env")
