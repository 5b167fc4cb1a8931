"""What the documents show runs as it stands there."""

from __future__ import annotations

import asyncio
import inspect
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor.config import load
from logmonitor.signing import KEY_BYTES, key_text

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    "TWIN_KEY": key_text(bytes(KEY_BYTES)),
    "WECHATY_TOKEN": "secret",
    "ADMIN_SECOND_CHANNEL": "ntfys://ntfy.sh/topic",
}
READMES = ("README.md", "README.zh-CN.md")
DOCUMENTS = (*READMES, "ARCHITECTURE.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
TESTED = ("ARCHITECTURE.md", "docs/testing.md")


def blocks(name: str, language: str) -> Iterator[str]:
    """Yield the code blocks of a document in order."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield match[1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_python_block_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block runs behind the ones before it, and every test in it passes."""
    monkeypatch.chdir(tmp_path)  # the Wechaty SDK makes a folder where it is used
    names: dict[str, object] = {}
    for block in blocks(name, "python"):
        exec(compile(block, name, "exec"), names)  # noqa: S102  # our own documents
    tests = [value for key, value in names.items() if key.startswith("test_") and inspect.isfunction(value)]
    for test in tests:
        result = test()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    assert tests or name not in TESTED


@pytest.mark.parametrize("name", [*READMES, "docs/operations.md", "docs/rescuers.md"])
def test_toml_block_loads(name: str, tmp_path: Path) -> None:
    """The configuration in a document is valid, and so it is with each block behind it added."""
    text = ""
    for block in blocks(name, "toml"):
        tomllib.loads(block)
        text += block
        path = tmp_path / "alice.toml"
        path.write_text(text, encoding="utf-8")
        load(path, environ=ENVIRONMENT, is_enrolling=True)
    assert text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_link_leads_to_a_file(name: str) -> None:
    """Every relative link leads to a file of the project."""
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / name).parent.joinpath(target).exists()] == []
