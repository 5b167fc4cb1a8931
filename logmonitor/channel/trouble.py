"""Why a service was not reached, out of what Apprise says of it, in sentences of our own: its own quote addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logmonitor.channel.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOLD: Final = "Socket Exception: "
_SMTP: Final = re.compile(r"\(([45]\d\d), b['\"]")
_REFUSED: Final = range(500, 600)
_UNKNOWN_SENDER: Final = (530, 534, 535, 538)
"""Codes of SMTP (RFC 4954) for a login that did not work, as it does not either where there were too many."""

_SENTENCES: Final = (
    (
        ("NameResolutionError", "Name or service not known", "name resolution", "No address associated", "getaddrinfo"),
        "cannot be found by its name",
    ),
    (("CERTIFICATE_VERIFY_FAILED",), "shows a certificate that cannot be trusted"),
    (("[SSL", "SSLError"), "does not speak TLS as it should"),
    (("Connection refused",), "refused the connection"),
    (("unreachable", "No route to host"), "cannot be reached over the network"),
    (("timed out",), "has not answered in time"),
    (("Connection reset", "Connection aborted", "Connection unexpectedly closed"), "broke off the connection"),
)


def trouble_in(messages: Iterable[str], /) -> Verdict | None:
    """Tell why a service did not take a message, by what Apprise logged meanwhile; None if that is not told."""
    told = [message for message in messages if message.startswith(_TOLD)]
    for message in reversed(told):
        code = _SMTP.search(message)
        if code is not None:
            return _answered(int(code[1]))
        for words, sentence in _SENTENCES:
            if any(word in message for word in words):
                return Verdict(outcome=Outcome.FAILED, problem=sentence)
    return None


def _answered(code: int) -> Verdict:
    """Tell what a mail server means by a code of SMTP (RFC 5321): from 500 on what it would say again."""
    is_refused = code in _REFUSED and code not in _UNKNOWN_SENDER
    return Verdict(outcome=Outcome.REFUSED if is_refused else Outcome.FAILED, problem=f"answered with code {code}")
