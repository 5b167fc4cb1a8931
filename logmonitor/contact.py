"""The one contact that a configured name means: by what its owner cannot choose, and never one of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapidfuzz.fuzz import ratio

from logmonitor.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmonitor.records import Sender

_LISTED: Final = 20


def find_contact(who: str, contacts: Sequence[Sender], /, *, nobody: str = "the chat knows nobody") -> Sender:
    """Return the contact with the id `who`, else the only one with that weixin number or alias.

    A display name is its owner's to choose and finds nobody. One contact's alias that is another's weixin number fits
    both, and so neither.

    Raises:
        RejectedError: none or several fit; the text lists those, or the nearest, and says `nobody` where none is known.
    """
    exact = [contact for contact in contacts if who == contact.id]
    found = exact or [contact for contact in contacts if who and who in (contact.weixin, contact.alias)]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} contacts fit {who!r}" if found else f"no contact fits {who!r}"
    listed = _listed(who, found or contacts)
    raise RejectedError(f"{problem}; expected one of {listed or f'none: {nobody}'}")


def _listed(who: str, contacts: Sequence[Sender]) -> str:
    """List contacts by what finds them; the nearest to `who` where there are too many."""
    names = sorted("/".join(_handles(contact)) for contact in contacts)
    if len(names) <= _LISTED:
        return ", ".join(map(repr, names))
    nearest = sorted(contacts, key=lambda contact: (-_nearness(who, contact), contact.id))[:_LISTED]
    shown = ", ".join(repr("/".join(_handles(contact))) for contact in nearest)
    return f"{shown} and {len(names) - _LISTED} more"


def _handles(contact: Sender) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (contact.id, contact.weixin, contact.alias))))


def _nearness(who: str, contact: Sender) -> float:
    return max(ratio(who.casefold(), handle.casefold()) for handle in _handles(contact))
