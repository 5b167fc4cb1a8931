"""The pictures of docs/operations.md show what is really said."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.conversations import CONVERSATIONS
from tests.picture import draw

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
IMAGE = re.compile(r"data:image/png;base64,[^\"]*")


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_picture_shows_what_is_said(name: str) -> None:
    """The picture is that of the conversation as it is today; only the pixels of images in it may differ.

    `python -m tests.test_pictures NAME` draws it anew.
    """
    picture = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert IMAGE.sub("", draw(await CONVERSATIONS[name](), title="alice")) == IMAGE.sub("", picture)


def test_pictures_are_those_of_conversations() -> None:
    """No picture is left over from a conversation that there is no more."""
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(CONVERSATIONS)


async def redraw(*names: str) -> None:
    """Draw the conversations that are named, or all, as they are today."""
    for name in names or CONVERSATIONS:
        (FOLDER / f"{name}.svg").write_text(draw(await CONVERSATIONS[name](), title="alice"), encoding="utf-8")


if __name__ == "__main__":
    import asyncio

    asyncio.run(redraw(*sys.argv[1:]))
