"""What may be handed to a shell: texts that match a pattern as a whole, of which none lets a second command in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.errors import OperationError
from logmonitor.pattern import compile_pattern, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SPECIAL: Final = ";&|<>()$`\\\"'#\n\r"
"""Characters that mean something to a shell: they end a command, begin another, or hide one."""

_CLASSES: Final = frozenset("dDsSwW")


def allow_list(patterns: Sequence[str]) -> Callable[[str], bool]:
    r"""Return what tells whether a text matches one of `patterns` (RE2 syntax) as a whole; without any every text does.

    What stands for several characters must not stand for one that a shell gives a meaning: `systemctl status .*` would
    allow `systemctl status x; reboot`. Such a character may only be named by itself, as in `journalctl -n \d+ \| tail`.

    Raises:
        OperationError: a pattern lets such characters through.
        PatternError: a pattern is refused.
    """
    regexes = [compile_pattern(pattern) for pattern in patterns]
    for pattern in patterns:
        for token in tokenize(pattern):
            is_class = token.kind in {"any", "class", "property"} or (
                token.kind == "escape" and token.text[1] in _CLASSES
            )
            through = _let_through(token.text) if is_class else ""
            if through:
                raise OperationError(
                    f"pattern {pattern!r} allows {through[0]!r} by its {token.text!r} at position {token.position}, and"
                    r" so any command behind it; expected the characters that may stand there, as in [\w./-]"
                )
    return lambda text: not regexes or any(regex.fullmatch(text) is not None for regex in regexes)


def _let_through(piece: str) -> str:
    """Return the special characters that a piece of a pattern stands for."""
    regex = compile_pattern(piece)
    return "".join(character for character in SPECIAL if regex.fullmatch(character) is not None)
