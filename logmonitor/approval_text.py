"""What is said of a command that waits: what it is, what it will do, and what is still missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.approval import LIFE_SECONDS
from logmonitor.command import abridged
from logmonitor.operation import SecurityRule
from logmonitor.redact import redact
from logmonitor.wording import duration_text, person_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from logmonitor.approval import Proposal, Request


def is_shown_whole(request: Request) -> bool:
    """Tell whether whoever judges a command by what a chat shows of it sees all of it."""
    return request.text == request.shown == abridged(request.shown) == redact(request.shown)


def question(proposal: Proposal, effect: str, *, replaces: bool, translate: Callable[[str], str]) -> str:
    """Return what its user is asked for; with `replaces` another command waited before."""
    _ = translate
    life = duration_text(LIFE_SECONDS, _)
    wanted = {
        SecurityRule.TOTP: _("Send the code of your authenticator within {duration}.").format(duration=life),
        SecurityRule.OUT_OF_BAND: _("Send the code that comes over your second channel within {duration}.").format(
            duration=life
        ),
        SecurityRule.CONFIRM: _confirmation(proposal, life, _),
        SecurityRule.PEER: _("Another admin has to confirm it within {duration}.").format(duration=life),
    }
    dropped = [_("What waited before is dropped.")] if replaces else []
    return "\n".join((*_shown(proposal, effect, _), *dropped, *(wanted[need] for need in proposal.needs)))


def peer_question(proposal: Proposal, effect: str, *, translate: Callable[[str], str]) -> str:
    """Return what other admins are asked."""
    _ = translate
    asker = person_text(proposal.request.invocation.message.sender)
    return "\n".join(
        (
            _("{person} asks for:").format(person=asker),
            *_shown(proposal, effect, _),
            _confirmation(proposal, duration_text(LIFE_SECONDS, _), _),
        )
    )


def missing_text(proposal: Proposal, *, translate: Callable[[str], str]) -> str:
    """Return what a proposal still needs, once something was accepted."""
    _ = translate
    wanted = {
        SecurityRule.TOTP: _("the code of your authenticator"),
        SecurityRule.OUT_OF_BAND: _("the code that comes over your second channel"),
        SecurityRule.CONFIRM: _("`confirm {id}`").format(id=proposal.id),
        SecurityRule.PEER: _("another admin's confirmation"),
    }
    missing = ", ".join(wanted[need] for need in proposal.needs)
    return _("Accepted; still missing: {missing}").format(missing=missing)


def _shown(proposal: Proposal, effect: str, translate: Callable[[str], str]) -> tuple[str, str]:
    return abridged(proposal.request.shown, translate=translate), f"→ {effect}"


def _confirmation(proposal: Proposal, life: str, translate: Callable[[str], str]) -> str:
    return translate("Say `confirm {id}` within {duration} to have it done.").format(id=proposal.id, duration=life)
