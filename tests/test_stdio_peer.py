"""The peers of docs/stdio.md, as they stand there, and that the page leaves no frame out."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_type_hints

import pytest

from logmonitor.transports.frame import Frame
from tests.test_docs import ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = "docs/stdio.md"
NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")


async def converse(folder: Path, command: Sequence[str]) -> tuple[bytes, int | None]:
    """Say `status` to a peer, wait for the first line of the answer, and end it; return that and its exit code."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    async with asyncio.timeout(60):
        peer = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=os.environ | {"PATH": path},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write(b"status\n")
        await peer.stdin.drain()
        answer = await peer.stdout.readline()
        peer.stdin.close()
        return answer, await peer.wait()


@pytest.mark.parametrize(
    ("language", "command"), [("python", sys.executable), pytest.param("js", "node", marks=NEEDS_NODE)]
)
def test_peer_of_the_page_converses(tmp_path: Path, language: str, command: str) -> None:
    """What the page shows is answered when its admin says something, and ends with 0."""
    (configuration,) = blocks(PAGE, "toml")
    (source,) = blocks(PAGE, language)
    (tmp_path / "alice.toml").write_text(configuration, encoding="utf-8")
    (tmp_path / "bob.log").touch()
    (tmp_path / f"peer.{language}").write_text(source, encoding="utf-8")
    assert asyncio.run(converse(tmp_path, (command, f"peer.{language}"))) == (b"wxid_1 bob: not known yet\n", 0)


def test_page_names_every_frame_and_key() -> None:
    """Each type that is understood, and each of its keys, stands in the page."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    records = get_args(Frame)
    types = {name for record in records for name in get_args(get_type_hints(record)["type"])}
    keys = {field.name for record in records for field in dataclasses.fields(record)} - {"type"}
    assert [name for name in sorted(types) if f'{{"type": "{name}"' not in page] == []
    assert [name for name in sorted(keys) if f'"{name}"' not in page] == []
