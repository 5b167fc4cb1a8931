"""The line a person types at, at the bottom of a terminal, while messages are drawn above it."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Self

from prompt_toolkit import PromptSession
from prompt_toolkit.application import in_terminal
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from types import TracebackType

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

Fragments = tuple[tuple[str, str], ...]
"""Text in pieces, each with its style."""

_STYLE = Style.from_dict({"bottom-toolbar": "noreverse", "bottom-toolbar.text": "noreverse"})


class _Words(Completer):
    """Completes a line to one of the lines that make sense now."""

    def __init__(self, words: Callable[[], tuple[str, ...]]) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002  # the library's signature
        """Yield the words that begin with what stands before the cursor."""
        typed = document.text_before_cursor
        return [Completion(word, start_position=-len(typed)) for word in self._words() if word.startswith(typed)]


class _SteadyInput(Vt100Input):
    """Keeps the terminal as it is while something is drawn, so that no key is echoed, obeyed or lost meanwhile."""

    def cooked_mode(self) -> AbstractContextManager[None]:
        """Do not change the mode."""
        return nullcontext()


class Prompt:
    """Reads lines from a terminal; what is drawn through `draw`, logged or printed meanwhile appears above the line.

    A typed line vanishes when it is sent, for the caller to draw as the message it has become. Ctrl-C is the signal
    SIGINT, Ctrl-D on an empty line the end.
    """

    def __init__(
        self,
        *,
        label: Callable[[], Fragments],
        toolbar: Callable[[], Fragments] | None = None,
        words: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """Ask with `label`, show `toolbar` below, complete `words` with the Tab key; all asked for at each drawing."""
        self._label = label
        self._toolbar = toolbar
        self._words = words
        self._stack = ExitStack()
        self._session: PromptSession[str] | None = None
        self._drawing = asyncio.Lock()

    def __enter__(self) -> Self:
        """Take over the terminal's output."""
        toolbar = self._toolbar
        keys = _SteadyInput(sys.stdin)
        self._stack.enter_context(keys.raw_mode())
        self._session = PromptSession(
            lambda: FormattedText(self._label()),
            bottom_toolbar=None if toolbar is None else lambda: FormattedText(toolbar()),
            completer=_Words(self._words),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            reserve_space_for_menu=0,
            erase_when_done=True,
            style=_STYLE,
            key_bindings=_bindings(),
            input=keys,
        )
        self._stack.enter_context(patch_stdout(raw=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Give the terminal back."""
        self._stack.close()

    async def lines(self) -> AsyncIterator[str]:
        """Yield each line as it is entered, until Ctrl-D."""
        if self._session is None:
            return
        while True:
            try:
                line = await self._session.prompt_async(handle_sigint=False)
            except KeyboardInterrupt:
                signal.raise_signal(signal.SIGINT)
                await asyncio.sleep(0)
            except EOFError:
                return
            else:
                yield line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    async def draw(self, action: Callable[[], None]) -> None:
        """Run `action`, which writes to the terminal, above the line that is being typed."""
        await asyncio.shield(asyncio.ensure_future(self._draw(action)))

    def refresh(self) -> None:
        """Draw label and toolbar anew."""
        if self._session is not None:
            self._session.app.invalidate()

    async def _draw(self, action: Callable[[], None]) -> None:
        async with self._drawing, in_terminal():
            action()


def _bindings() -> KeyBindings:
    """Return what keys do here and nowhere else.

    A colour in a pasted text looks like a report of the mouse, which is never asked for: the library fails on it.
    """
    bindings = KeyBindings()
    bindings.add(Keys.Vt100MouseEvent)(lambda _event: None)
    return bindings
