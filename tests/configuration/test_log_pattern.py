"""Which files a log's pattern in a configuration means."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.configuration.log_pattern import absolute, covers, literal

names = st.text(alphabet="ab[]*?!.", min_size=1, max_size=8).filter(lambda name: name not in {".", ".."})


@given(folder=names, name=names)
def test_absolute_takes_the_folder_as_it_is(folder: str, name: str) -> None:
    """Only what the user wrote is a pattern; the folder it is relative to never is."""
    pattern = absolute(glob.escape(name), folder=Path("/") / folder)
    assert literal(pattern) == Path("/") / folder / name
    assert covers(pattern, Path("/") / folder / name)


def test_absolute_knows_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern may begin with `~`."""
    monkeypatch.setenv("HOME", "/home/bot")
    assert absolute("~/logs/*.log", folder=Path("/etc")) == "/home/bot/logs/*.log"


@pytest.mark.parametrize("pattern", ["/x/*.log", "/x/bob.?", "/x/bob[0-9].log", "/x/[[]*.log"])
def test_literal_is_none_for_a_pattern_with_wildcards(pattern: str) -> None:
    """What may mean several files is no single path."""
    assert literal(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "path", "is_covered"),
    [
        ("/a/b.log", "/a/b.log", True),
        ("/a/./c/../b.log", "/a/b.log", True),
        ("/a/*.log", "/a/b.log", True),
        ("/a/*.log", "/a/b/c.log", False),
        ("/a/**/c.log", "/a/c.log", True),
        ("/a/**/c.log", "/a/b/b/c.log", True),
        ("/a/**", "/a/b/c.log", True),
        ("/a/**", "/a", True),
        ("/a/**/d.log", "/a/b/c.log", False),
        ("/a/[bc].log", "/a/b.log", True),
        ("/a/b.log", "/a/b.log.1", False),
        ("/a", "/a/b.log", False),
    ],
)
def test_covers_reads_patterns_as_glob_does(pattern: str, path: str, *, is_covered: bool) -> None:
    """A star stays in its folder, two stars reach below."""
    assert covers(pattern, Path(path)) is is_covered


def test_covers_sees_through_links_that_exist(tmp_path: Path) -> None:
    """A log that is a link to the file is the file."""
    (tmp_path / "real.log").touch()
    (tmp_path / "link.log").symlink_to("real.log")
    assert covers(str(tmp_path / "link.log"), tmp_path / "real.log")
    assert covers(str(tmp_path / "l*.log"), tmp_path / "real.log")
    assert not covers(str(tmp_path / "m*.log"), tmp_path / "real.log")
