"""`logmonitor totp`: authenticators enrolled, tried, revoked and listed, on the bot's machine alone."""

from __future__ import annotations

import logging
import shlex
import sys
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size

from logmonitor.cli.configured import add_config_option
from logmonitor.cli.registry import ask, opened
from logmonitor.cli.telling import tell
from logmonitor.cli.totp_enroll import enroll
from logmonitor.configuration.document import expected
from logmonitor.display import visible
from logmonitor.errors import AuditError, LogMonitorError
from logmonitor.totp import Verdict, skew_text

if TYPE_CHECKING:
    import argparse

    from logmonitor.cli.registry import Registry
    from logmonitor.totp import Totp, Verification

_COLUMNS: Final = ("user", "since", "recovery codes left", "locked until")


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.epilog = (
        "Run it on the bot's machine, never through the chat. Exit codes: 0 done, 1 refused, 2 wrong usage, or the"
        " configuration, store or key cannot be used."
    )
    add_config_option(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, who, summary in (
        ("enroll", "ADMIN", "show a QR for an authenticator, and let its codes count once it gave one"),
        ("verify", "USER", "tell whether a code is accepted; this uses it up"),
        ("revoke", "USER", "let a user's codes and recovery codes count no more, and end a lock"),
        ("list", None, "show who is enrolled, how many recovery codes are left, and who is locked"),
    ):
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        add_config_option(action)
        if who is not None:
            action.add_argument(
                "user",
                metavar=who,
                help="an admin as [chat] admins names them, or a stable id that was granted something",
            )
        if name == "enroll":
            action.add_argument(
                "--replace", action="store_true", help="replace an earlier enrolment of the user without asking"
            )


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked; return 0, 1 where it is refused, 2 where it cannot be done."""
    logging.getLogger("logmonitor").addHandler(logging.NullHandler())  # what failed is said below
    try:
        with opened(arguments) as registry:
            if registry.store.set_aside is not None:
                _say(f"the store was damaged and set aside as {registry.store.set_aside}: nobody is enrolled any more")
            match arguments.action:
                case "enroll":
                    return enroll(registry, arguments.user, is_replacing=arguments.replace)
                case "verify":
                    return _verify(registry, arguments.user)
                case "revoke":
                    return _revoke(registry, arguments.user)
                case _:
                    return _list(registry)
    except LogMonitorError as error:
        for line in str(error).splitlines():
            _say(line)
        return 2


def _verify(registry: Registry, user: str) -> int:
    if not _is_enrolled(registry, user):
        return 1
    totp = registry.totp()
    code = ask(f"The code that the authenticator of {visible(user, one_line=True)} shows now, or a recovery code:")
    if code is None:
        _say("no code was given")
        return 1
    skew = totp.skew(user, code)
    verification = totp.verify((user,), code, command="totp verify")
    if verification.verdict is Verdict.UNAVAILABLE:
        _say("the code could not be verified: the store cannot be written; try again")
        return 2
    is_accepted = verification.verdict is Verdict.ACCEPTED
    tell(_text(registry, verification, skew=skew))
    is_recorded = _record(registry, "verified" if is_accepted else "refused", "verify", user, verification.verdict)
    if verification.is_newly_locked:
        is_recorded &= _record(registry, "locked", "verify", user, "wrong codes")
    return 0 if is_accepted and is_recorded else 1


def _text(registry: Registry, verification: Verification, *, skew: float | None) -> str:
    """Say what became of a code."""
    until = "" if verification.locked_until is None else registry.local(verification.locked_until)
    match verification.verdict:
        case Verdict.ACCEPTED if verification.by_recovery_code:
            left = verification.recovery_codes_left
            return f"Accepted. This recovery code is used up; {left} left. `logmonitor totp enroll` makes new ones."
        case Verdict.ACCEPTED:
            return "Accepted. This code is used up: wait for the next one before you send a command."
        case Verdict.USED:
            return "Refused: this code was used before, and each works once. Wait for the next one."
        case Verdict.LOCKED:
            return f"Refused: too many wrong codes, so that none is looked at until {until}."
    reason = "this is not the code of now, nor a recovery code that is left" if skew is None else skew_text(skew)
    if verification.is_newly_locked:
        return f"Refused: {reason}. That was one too many: no code is looked at until {until}."
    return f"Refused: {reason}."


def _revoke(registry: Registry, user: str) -> int:
    if not _is_enrolled(registry, user):
        return 1
    registry.reader().revoke(user)
    tell(f"{visible(user, one_line=True)} is enrolled no more: commands that ask for a code refuse them.")
    return 0 if _record(registry, "revoked", "revoke", user) else 1


def _list(registry: Registry) -> int:
    totp = registry.reader()
    rows = [
        (
            visible(enrolment.user, one_line=True),
            registry.local(enrolment.enrolled_at),
            str(enrolment.recovery_codes_left),
            _locked(registry, totp, enrolment.user),
        )
        for enrolment in registry.store.enrolments()
    ]
    if not rows:
        tell(f"Nobody is enrolled. To enroll an admin: {_enrolling('ADMIN', registry)}")
        return 0
    widths = [max(map(cell_len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    for row in (_COLUMNS, *rows):
        print("  ".join(set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _locked(registry: Registry, totp: Totp, user: str) -> str:
    until = totp.locked_until((user,))
    return "-" if until is None else registry.local(until)


def _is_enrolled(registry: Registry, user: str) -> bool:
    """Tell whether a user is enrolled; say who is, or was meant, if not."""
    enrolled = registry.reader().enrolled()
    if user in enrolled:
        return True
    known = expected(user, enrolled) if enrolled else f"nobody is; to enroll somebody: {_enrolling('ADMIN', registry)}"
    _say(f"{user!r} is not enrolled; {known}")
    return False


def _enrolling(user: str, registry: Registry) -> str:
    """Return the command that enrolls a user."""
    return shlex.join(("logmonitor", "totp", "enroll", user, "--config", str(registry.config.path)))


def _record(registry: Registry, decision: str, action: str, user: str, reason: str = "") -> bool:
    """Put on record what was done already; say so and return False where that cannot be."""
    try:
        registry.record(decision, f"totp {action} {user}", reason=reason)
    except AuditError as error:
        _say(f"this was done, and is not on record: {error}")
        return False
    return True


def _say(sentence: str) -> None:
    tell(f"logmonitor totp: {visible(sentence, one_line=True)}", stream=sys.stderr)
