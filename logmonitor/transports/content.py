"""What becomes of a message's content on a screen: text, a QR's rows, or a file that is saved."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import segno  # noqa: F401  # what draws a QR imports it when it draws the first one, which is when somebody waits

from logmonitor.errors import QrError, TransportError
from logmonitor.qr import render_terminal
from logmonitor.records import Attachment, Link, Qr

if TYPE_CHECKING:
    from collections.abc import Callable

    from logmonitor.records import Content
    from logmonitor.transports.screen import Screen

_NAME_SIZE: Final = 60
_BORDERS: Final = ((4, 6), (2, 1))
"""Widths of a QR's quiet zone in modules: what the standard asks for, and what phones put up with.

The first is taken only if so many rows are left, for what is written below the QR not to push it out of the window.
"""


class Composer:
    """Turns content into what a screen can draw; what it cannot draw is saved to a folder."""

    def __init__(self, screen: Screen, *, folder: Path | None, translate: Callable[[str], str]) -> None:
        """Save to `folder`; without one, to a fresh one that no other user can read, made when it is needed."""
        self._screen = screen
        self._folder = folder
        self._translate = translate

    async def compose(self, content: Content) -> tuple[str, tuple[str, ...]]:
        """Return the text to draw, and the rows of a QR to draw below it, if there is one.

        Raises:
            TransportError: a file cannot be saved.
        """
        match content:
            case Attachment(qr=Qr() as qr):
                return await self._qr(content, qr)
            case Attachment():
                return await self._saved(content, self._translate("{name} saved as {path}")), ()
            case Link():
                return "\n".join(filter(None, (content.title, content.url, content.description))), ()
            case _:
                return content, ()

    async def _qr(self, image: Attachment, qr: Qr) -> tuple[str, tuple[str, ...]]:
        rows: tuple[str, ...] = ()
        for border, spare_rows in _BORDERS:
            try:
                rows = render_terminal(qr, border=border, dark_blocks=True)
            except QrError:
                return await self._saved(image, self._translate("{name} saved as {path}")), ()
            if self._screen.can_draw(rows, spare_rows=spare_rows):
                return image.caption, rows
        if not self._screen.has_blocks:
            wording = self._translate(
                "The QR is not drawn here: the encoding of this output, {encoding}, has no block characters. "
                "Use UTF-8, or open the image {path} and scan that"
            )
            return await self._saved(image, wording, encoding=self._screen.encoding), ()
        columns, height = self._screen.size
        wording = self._translate(
            "The QR is not drawn here: this window has {columns} × {rows} characters, and {needed_columns} × "
            "{needed_rows} are needed. Enlarge it and ask again, or open the image {path} and scan that"
        )
        needed = {"needed_columns": len(rows[0]), "needed_rows": len(rows) + 1, "columns": columns, "rows": height}
        return await self._saved(image, wording, **needed), ()

    async def _saved(self, attachment: Attachment, wording: str, **values: int | str) -> str:
        """Save an attachment; return its caption with a line, made of `wording`, on where it is."""
        try:
            self._folder = self._folder or Path(tempfile.mkdtemp(prefix="logmonitor-"))
            path = await asyncio.to_thread(_save, attachment, self._folder)
        except OSError as error:
            raise TransportError(f"cannot save {attachment.filename!r}: {error}") from error
        line = wording.format(name=path.name, path=path, **values)
        return f"{attachment.caption}\n{line}".lstrip("\n")


def _save(attachment: Attachment, folder: Path) -> Path:
    """Write an attachment into a new file in `folder`, which no other user can read; return its path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = "".join(character if character.isprintable() else "_" for character in Path(attachment.filename).name)
    name = name.lstrip(".")[-_NAME_SIZE:] or "attachment"
    path = folder / name
    number = 1
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            number += 1
            path = folder / f"{number}-{name}"
        else:
            with os.fdopen(descriptor, "wb") as file:
                file.write(attachment.data)
            return path
