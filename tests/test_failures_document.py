"""What docs/failures.md promises is shown by tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "failures.md"
SHOWN: Final = re.compile(r"\[(test_\w+)\]\(([^)]+)\)")


def rows() -> list[str]:
    """Return the rows of all tables, without their heads."""
    lines = DOCUMENT.read_text("utf-8").splitlines()
    return [line for line in lines if line.startswith("|") and not line.startswith(("| what fails", "| ---"))]


def names_in(path: Path) -> set[str]:
    """Return the names of the functions of a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, kinds)}


def test_every_failure_has_a_test() -> None:
    """Each row of the tables ends with one test or more."""
    assert [row for row in rows() if not SHOWN.search(row.rsplit("|", 2)[1])] == []


def test_every_test_that_is_named_is_there() -> None:
    """A test that a row names stands in the file to which it leads."""
    named = SHOWN.findall(DOCUMENT.read_text("utf-8"))
    assert [(name, path) for name, path in named if name not in names_in(DOCUMENT.parent / path)] == []
