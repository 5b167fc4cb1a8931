"""Commands that wait for what they need besides the right to run: a confirmation, a code, another admin.

Each waits for one user in one conversation, under a short id, and for `LIFE_SECONDS`. A new one takes the place of the
one before it. What was shown for one command counts for no other.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from logmonitor.operation import SecurityRule

if TYPE_CHECKING:
    from logmonitor.operation import Command, Invocation

LIFE_SECONDS: Final = 120.0
ID_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""What ids are made of: no two characters that a reader takes for each other."""

ID_LENGTH: Final = 4
_AROUND_IDS: Final = " .,!?;:、。「」“”‘’`'\""
_ORDER: Final = (SecurityRule.TOTP, SecurityRule.OUT_OF_BAND, SecurityRule.CONFIRM, SecurityRule.PEER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command as somebody entitled has asked for it.

    `text` is its canonical form, uncut; codes and confirmations are bound to it. `shown` is what is shown of it, which
    may lack what could be a code.
    """

    operation: str
    command: Command
    invocation: Invocation = field(repr=False)
    text: str = field(repr=False)
    shown: str

    @property
    def user(self) -> str:
        """The stable id of who asks."""
        return self.invocation.message.sender.id

    @property
    def conversation(self) -> str:
        """Where it was asked, and nowhere else is it confirmed by the same user."""
        return self.invocation.message.conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A request that waits. `needs` is what is missing, in the order in which it is asked for.

    `given` are the factors shown so far, as the audit names them. `code` is what was sent over the second channel.
    `expires_at` is in seconds of a clock that never steps.
    """

    id: str
    request: Request
    needs: tuple[SecurityRule, ...]
    given: tuple[str, ...] = ()
    code: str | None = None
    expires_at: float

    def __repr__(self) -> str:
        """Show nothing of the code."""
        return f"Proposal(id={self.id!r}, request={self.request.shown!r}, needs={self.needs!r}, given={self.given!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What waits: at most one proposal for each user in each conversation."""

    proposals: tuple[Proposal, ...] = ()


def in_order(rules: frozenset[SecurityRule]) -> tuple[SecurityRule, ...]:
    """Return rules in the order in which they are asked for: what the user has at hand first, other people last."""
    return tuple(rule for rule in _ORDER if rule in rules)


def id_of(word: str) -> str:
    """Return an id as it was typed on a phone in the form in which ids are compared."""
    return unicodedata.normalize("NFKC", word).strip(_AROUND_IDS).upper()


def is_free(pending: Pending, id_: str, /) -> bool:
    """Tell whether no proposal has this id."""
    return all(proposal.id != id_ for proposal in pending.proposals)


def propose(pending: Pending, proposal: Proposal, /) -> tuple[Pending, Proposal | None]:
    """Let a proposal wait; return the one whose place it took, if any."""
    replaced = waiting_for(pending, user=proposal.request.user, conversation=proposal.request.conversation)
    return replace(pending, proposals=(*_without(pending, replaced), proposal)), replaced


def expire(pending: Pending, *, now: float) -> tuple[Pending, tuple[Proposal, ...]]:
    """Drop what has waited too long at `now`; return it."""
    late = tuple(proposal for proposal in pending.proposals if now >= proposal.expires_at)
    return replace(pending, proposals=tuple(one for one in pending.proposals if one not in late)), late


def drop(pending: Pending, proposal: Proposal, /) -> Pending:
    """Let a proposal wait no longer."""
    return replace(pending, proposals=_without(pending, proposal))


def waiting_for(pending: Pending, *, user: str, conversation: str) -> Proposal | None:
    """Return what waits for this user in this conversation."""
    return next(
        (
            proposal
            for proposal in pending.proposals
            if (proposal.request.user, proposal.request.conversation) == (user, conversation)
        ),
        None,
    )


def has_need(pending: Pending, rule: SecurityRule, *, user: str) -> bool:
    """Tell whether anything of a user's waits for what `rule` asks for."""
    return any(proposal.request.user == user and rule in proposal.needs for proposal in pending.proposals)


def confirmable(pending: Pending, id_: str, /, *, user: str, conversation: str) -> tuple[Proposal, SecurityRule] | None:
    """Return the proposal that `user` may confirm here under this id, and the rule that this fulfils.

    Who asked confirms in the conversation where it was asked, once; another user only what another has to confirm.
    Whether that one is an admin is not known here. None tells nothing about what there is.
    """
    proposal = next((one for one in pending.proposals if one.id == id_of(id_)), None)
    if proposal is None:
        return None
    is_own = proposal.request.user == user
    rule = SecurityRule.CONFIRM if is_own else SecurityRule.PEER
    if rule not in proposal.needs or (is_own and proposal.request.conversation != conversation):
        return None
    return proposal, rule


def fulfil(pending: Pending, proposal: Proposal, rule: SecurityRule, *, factor: str) -> tuple[Pending, Proposal]:
    """Note that `rule` is fulfilled; a proposal that needs nothing more waits no longer, so that it is run once."""
    needs = tuple(need for need in proposal.needs if need is not rule)
    fulfilled = replace(proposal, needs=needs, given=(*proposal.given, factor))
    others = _without(pending, proposal)
    return replace(pending, proposals=(*others, fulfilled) if needs else others), fulfilled


def _without(pending: Pending, proposal: Proposal | None) -> tuple[Proposal, ...]:
    return tuple(one for one in pending.proposals if proposal is None or one.id != proposal.id)
