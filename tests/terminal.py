"""A terminal with a program in it, for tests: type, and wait for what appears."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

import zxingcpp

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_BRIGHT, _DARK = b"\xff", b"\x00"
_PIXELS = 4
_BLACK_ON_WHITE = {"\x1b[30;107m", "\x1b[38;5;16;48;5;231m", "\x1b[38;2;0;0;0;48;2;255;255;255m"}
_CELL = re.compile(r"(\x1b\[[0-9;]*m)|(.)")
_MOVE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|[@-Z\\-_])")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")


def open_terminal(*, columns: int = 100, rows: int = 50) -> tuple[int, int]:
    """Open a terminal of this size; return the end a person sits at, and the end a program writes to."""
    person, program = pty.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return person, program


def plain(text: str) -> str:
    """Take the escape sequences out of what a program wrote to a terminal."""
    return _ESCAPE.sub("", text).replace("\r", "")


def scanned(output: str) -> list[str]:
    """Return what a phone's camera reads from a dark screen that shows `output`: the payloads of all QRs, as drawn.

    Ink is bright on a dark ground unless the output asks for black on white; nothing but blocks is ink.
    """
    rows = [_painted(line) for line in _MOVE.sub("", output).replace("\r", "").split("\n")]
    width = max(max(len(upper), len(lower)) for upper, lower in rows)
    halves = [half.ljust(width, _DARK) for row in rows for half in row]
    image = b"".join(_enlarged(half) * _PIXELS for half in halves)
    view = memoryview(image).cast("B", (len(halves) * _PIXELS, width * _PIXELS))
    found = zxingcpp.read_barcodes(
        view, zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode), try_invert=False, try_rotate=False
    )
    return [code.text for code in sorted(found, key=lambda code: code.position.top_left.y)]


def _painted(line: str) -> tuple[bytes, bytes]:
    """Return the upper and the lower half of a line, a byte of grey for each character."""
    upper, lower = bytearray(), bytearray()
    ink, ground = _BRIGHT, _DARK
    for escape, character in _CELL.findall(line):
        if escape:
            ink, ground = (_DARK, _BRIGHT) if escape in _BLACK_ON_WHITE else (_BRIGHT, _DARK)
        else:
            upper += ink if character in "█▀" else ground
            lower += ink if character in "█▄" else ground
    return bytes(upper), bytes(lower)


def _enlarged(half: bytes) -> bytes:
    return b"".join(bytes([grey]) * _PIXELS for grey in half)


class Terminal:
    """Runs a program in a terminal of its own; `output` is all it wrote so far."""

    def __init__(
        self,
        *argv: str,
        folder: Path,
        columns: int = 100,
        rows: int = 50,
        environ: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        """Start `argv` under this Python."""
        self._person, program = open_terminal(columns=columns, rows=rows)
        self.output = ""
        self._data = b""
        environment = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR"}}
        environment |= {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **(environ or {})}
        self.process = subprocess.Popen(
            [sys.executable, *argv],
            stdin=program,
            stdout=program,
            stderr=program,
            cwd=folder,
            env=environment,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        os.close(program)

    def press(self, text: str | bytes) -> None:
        """Press the keys of `text`, or paste its bytes; Enter is a carriage return."""
        os.write(self._person, text.encode() if isinstance(text, str) else text)

    def wait_for(self, wanted: str, *, deadline: float = 30.0) -> str:
        """Wait until `wanted` has appeared; return all output so far, without escape sequences.

        Raises:
            TimeoutError: it did not appear in time.
        """
        end = time.monotonic() + deadline
        while wanted not in plain(self.output):
            if not self._read(end - time.monotonic()):
                raise TimeoutError(f"{wanted!r} did not appear in {plain(self.output)}")
        return plain(self.output)

    def wait(self, *, deadline: float = 30.0) -> int:
        """Wait until the program has ended; return its exit code.

        Raises:
            TimeoutError: it did not end in time.
        """
        end = time.monotonic() + deadline
        while self._read(end - time.monotonic()):
            pass
        try:
            return self.process.wait(timeout=max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the program did not end; it wrote {plain(self.output)}") from None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End the program, if it runs still, and close the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._person)

    def _read(self, seconds: float) -> bool:
        """Read what is there, waiting for it; False at the end of output or of the time."""
        if seconds <= 0 or not select.select([self._person], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._person, 1 << 16)
        except OSError:
            return False
        self._data += data
        self.output = self._data.decode(errors="replace")
        return bool(data)
