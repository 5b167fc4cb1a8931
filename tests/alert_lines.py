"""Log lines for property tests of alerts: some match, some are parts of traces, some neither."""

from __future__ import annotations

import re
from typing import Final

from hypothesis import strategies as st

TEXTS: Final = (
    "12:00:00 INFO fine",
    "12:00:01 ERR disk {number} full",
    "12:00:02 ERR no network",
    "12:00:03 ERR trouble {{",
    "Traceback (most recent call last):",
    "ERR Traceback (most recent call last):",
    '  File "a.py", line {number}, in b',
    "    raise ERRError({number})",
    "    ^^^",
    "ERRError: {number}",
    "ValueError: bad",
    "",
    "During handling of the above exception, another exception occurred:",
    "future: <Task>",
    "Caused by: a.b.ERRError: c",
    "\tat a.b.C(C.java:{number})",
    "panic: ERR",
    "goroutine {number} [running]:",
    "main.main()",
    "\t/a/b.go:{number} +0x1d",
    "/srv/a.js:{number}",
    "throw new ERRError({number})",
    "}}",
    "Node.js v20",
    "> 12:00:01 ERR disk {number} full",
    "> ERRError: {number}",
)
MATCH: Final = "ERR"
_WANTED: Final = re.compile(rf"^(?!> ).*{MATCH}")


def is_wanted(text: str) -> bool:
    """Tell whether somebody wants to hear of a line: what is quoted was told before."""
    return _WANTED.search(text) is not None


texts = st.lists(
    st.builds(lambda text, number: text.format(number=number), st.sampled_from(TEXTS), st.integers(0, 20)), max_size=40
)
"""What a bot may write."""
