"""The one contact that a configured name means: by what its owner cannot choose, and never one of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapidfuzz.fuzz import ratio

from logmonitor.display import visible
from logmonitor.errors import ContactError
from logmonitor.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logmonitor.records import Sender

_LISTED: Final = 10


def find_contact(who: str, contacts: Sequence[Sender], /, *, nobody: str = "the chat knows nobody") -> Sender:
    """Return the contact with the id `who`, else the only one with that alias or weixin number.

    A display name is its owner's to choose and finds nobody. An id finds its contact whatever others call themselves.
    An alias is the bot's account's to give, a weixin number its owner's to choose: one contact's alias that is
    another's number fits both, and so neither, for it cannot be told which was meant.

    Raises:
        ContactError: none or several fit; the text lists those, or the nearest, by what can be typed instead, and says
            `nobody` where none is known.
    """
    exact = [contact for contact in contacts if who == contact.id]
    found = exact or [contact for contact in contacts if who and who in (contact.alias, contact.weixin)]
    if len(found) == 1:
        return found[0]
    known = tuple(contacts)

    def explain(translate: Callable[[str], str]) -> str:
        if found:
            text = translate("{count} contacts fit {who}; expected the id of one: {listed}")
            return text.format(count=len(found), who=repr(who), listed=_listed(who, found, translate))
        if not known:
            return translate("no contact fits {who}: {nobody}").format(who=repr(who), nobody=nobody)
        text = translate("no contact fits {who}; expected the id of one: {listed}")
        return text.format(who=repr(who), listed=_listed(who, known, translate))

    raise ContactError(explain)


def _listed(who: str, contacts: Sequence[Sender], translate: Callable[[str], str]) -> str:
    """List contacts by what finds them; the nearest to `who` where there are too many."""
    shown = sorted(contacts, key=lambda contact: contact.id)
    if len(contacts) > _LISTED:
        shown = sorted(shown, key=lambda contact: -_nearness(who, contact))[:_LISTED]
    listed = ", ".join(_shown(contact, translate) for contact in shown)
    if len(contacts) <= _LISTED:
        return listed
    return translate("{listed} and {count} more").format(listed=listed, count=len(contacts) - _LISTED)


def _shown(contact: Sender, translate: Callable[[str], str]) -> str:
    """Return the id, as it is to be typed, and in brackets what else finds the contact."""
    hints = []
    if contact.alias:
        hints.append(translate("alias {alias}").format(alias=quoted(contact.alias)))
    if contact.weixin and contact.weixin != contact.id:
        hints.append(translate("number {number}").format(number=quoted(contact.weixin)))
    id_ = visible(contact.id, one_line=True)
    id_ = f'"{id_}"' if any(map(str.isspace, id_)) else id_
    return f"{id_} ({', '.join(hints)})" if hints else id_


def _nearness(who: str, contact: Sender) -> float:
    handles = filter(None, (contact.id, contact.alias, contact.weixin))
    return max(ratio(who.casefold(), handle.casefold()) for handle in handles)
