"""The second look at a command whose sender has the right to run it: confirmations, codes, another admin's word."""

from __future__ import annotations

import hmac
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor import approval
from logmonitor.approval import LIFE_SECONDS, Pending, Proposal, Request, in_order
from logmonitor.approval_text import is_shown_whole, missing_text, peer_question, question
from logmonitor.command import abridged
from logmonitor.errors import AuditError, StoreError, TransportError
from logmonitor.one_time_code import CodeKind, kind_of
from logmonitor.operation import SecurityRule
from logmonitor.pacer import Pacer
from logmonitor.records import Priority
from logmonitor.throttle import Throttle
from logmonitor.totp import Verdict
from logmonitor.wording import duration_text, person_text
from logmonitor.worker import ask_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from logmonitor.clock import Clock
    from logmonitor.outbox import Outbox
    from logmonitor.recorder import Recorder
    from logmonitor.records import Message, Sender
    from logmonitor.second_channel import SecondChannel
    from logmonitor.totp import Totp, Verification

_log = logging.getLogger(__name__)
DISTURBANCES: Final = Throttle(limit=5, period=600.0)
"""How often one user's commands may have a code sent or other admins asked."""

CODE_DIGITS: Final = 8
"""Of a code sent over the second channel: two more than an authenticator's, so that they are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Whom the chat knows.

    `names_of` a stable id are the names under which codes are enrolled for it. `admins_of` an operation are told of
    what goes wrong, `peers_of` a request may confirm it for its user.
    """

    names_of: Callable[[str], tuple[str, ...]]
    admins_of: Callable[[str], tuple[Sender, ...]]
    peers_of: Callable[[Request], tuple[Sender, ...]]


def _new_code() -> str:
    """Draw a code for a second channel; none begins as a year does, since dates stay where codes are redacted."""
    code = "20"
    while code.startswith("20"):
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    return code


class Approver:
    """Lets a command run once everything has been shown that it needs, and nothing that is shown count twice."""

    def __init__(
        self,
        *,
        totp: Totp,
        channel: SecondChannel,
        people: People,
        outbox: Outbox,
        clock: Clock,
        recorder: Recorder,
        start: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
        run: Callable[[Request, tuple[str, ...]], None],
        translate: Callable[[str], str],
    ) -> None:
        """Wait for nothing yet; `run` runs what is approved, with the factors that were shown."""
        self._totp = totp
        self._channel = channel
        self._people = people
        self._outbox = outbox
        self._clock = clock
        self._recorder = recorder
        self._start = start
        self._run = run
        self._translate = translate
        self._pending = Pending()
        self._disturbances = Pacer(DISTURBANCES, clock)

    def ask(self, request: Request, rules: frozenset[SecurityRule], *, code: str | None = None) -> None:
        """Run a command now if `rules` want nothing or `code`, which came with it, is all; else ask for the rest."""
        given: tuple[str, ...] = ()
        try:
            obstacle = self._obstacle(request, rules)
        except StoreError as error:
            _log.error("%s", error)
            obstacle = (
                "store unreadable",
                self._translate("what this asks for cannot be verified now; the log of logmonitor tells why"),
            )
        if obstacle is not None:
            self._refuse(request, *obstacle)
            return
        effect = self._effect(request)
        if code is not None and SecurityRule.TOTP in rules:
            factor = self._verified(request, code, rules)
            if factor is None:
                return
            given = (factor,)
            rules -= {SecurityRule.TOTP}
        if not rules:
            self._run(request, given)
            return
        if rules & {SecurityRule.OUT_OF_BAND, SecurityRule.PEER} and not self._disturbances.admits(request.user):
            self._refuse(request, "too often", self._translate("you have asked for that too often; try again later"))
            return
        proposal = Proposal(
            id=self._new_id(),
            request=request,
            needs=in_order(rules),
            given=given,
            code=_new_code() if SecurityRule.OUT_OF_BAND in rules else None,
            expires_at=self._clock.monotonic() + LIFE_SECONDS,
        )
        self._pending, replaced = approval.propose(self._pending, proposal)
        if replaced is not None:
            self._record(replaced.request, "dropped", reason="replaced by another command")
        self._record(request, "asked", reason=", ".join(proposal.needs), factors=given)
        self._prompt(proposal, effect, replaced)
        self._start(self._expire(proposal))

    def has_authenticator(self, message: Message) -> bool:
        """Tell whether whoever sent `message` has one enrolled; True where that cannot be found out."""
        try:
            return not self._totp.enrolled().isdisjoint(self._people.names_of(message.sender.id))
        except StoreError:
            return True

    def is_waiting(self, message: Message) -> bool:
        """Tell whether something waits for whoever sent `message`, where it was sent."""
        return self._waiting(message) is not None

    def give_code(self, message: Message, code: str) -> None:
        """Let a code count for what waits for it."""
        _ = self._translate
        self._drop_late()
        proposal = self._waiting(message)
        if proposal is None:
            self._answer(message.conversation, _("no command of yours waits for a code here"))
            return
        request = proposal.request
        if message.sent_at < request.invocation.message.sent_at:
            self._answer(message.conversation, _("that code was written before the command; send one again"))
            return
        rule = SecurityRule.OUT_OF_BAND if kind_of(code) is CodeKind.OUT_OF_BAND else SecurityRule.TOTP
        if rule not in proposal.needs:
            self._answer(message.conversation, _("that is not what the command waits for"))
            return
        if rule is SecurityRule.OUT_OF_BAND:
            factor = self._compared(proposal, code)
        else:
            factor = self._verified(request, code, frozenset(proposal.needs))
        if factor is not None:
            self._fulfil(proposal, rule, factor)

    def confirm(self, message: Message, id_: str) -> None:
        """Let whoever sent `message` confirm what waits under an id."""
        _ = self._translate
        self._drop_late()
        conversation, user = message.conversation, message.sender.id
        found = approval.confirmable(self._pending, id_, user=user, conversation=conversation)
        is_peer = found is not None and found[1] is SecurityRule.PEER
        if found is None or (is_peer and user not in {peer.id for peer in self._people.peers_of(found[0].request)}):
            with suppress(AuditError):
                self._recorder.record_message(message, "refused", reason="nothing to confirm", command="confirm")
            self._answer(conversation, _("nothing waits for that confirmation of yours here"))
            return
        proposal, rule = found
        if message.sent_at < proposal.request.invocation.message.sent_at:
            self._answer(conversation, _("that confirmation was written before the command; send it again"))
            return
        if rule is SecurityRule.PEER:
            self._record(proposal.request, "confirmed", reason=f"by {user}")
            self._answer(conversation, _("confirmed"))
        self._fulfil(proposal, rule, "confirm" if rule is SecurityRule.CONFIRM else f"peer {user}")

    def _new_id(self) -> str:
        """Draw an id that nothing waits under."""
        while True:
            id_ = "".join(secrets.choice(approval.ID_ALPHABET) for _character in range(approval.ID_LENGTH))
            if approval.is_free(self._pending, id_):
                return id_

    def _waiting(self, message: Message) -> Proposal | None:
        return approval.waiting_for(self._pending, user=message.sender.id, conversation=message.conversation)

    def _obstacle(self, request: Request, rules: frozenset[SecurityRule]) -> tuple[str, str] | None:
        """Return why what `rules` want cannot be shown at all: for the audit, and for the user."""
        _ = self._translate
        names = self._people.names_of(request.user)
        if SecurityRule.TOTP in rules and not self._totp.enrolled().intersection(names):
            return "not enrolled", _("this needs a one-time code, and no authenticator is enrolled for you")
        if rules & {SecurityRule.TOTP, SecurityRule.OUT_OF_BAND}:
            until = self._totp.locked_until(names)
            if until is not None:
                return "locked", self._locked(until)
        if SecurityRule.OUT_OF_BAND in rules and not self._channel.reaches(names):
            return "no second channel", _("this needs a code over a second channel, and none is configured for you")
        if SecurityRule.PEER in rules and not self._people.peers_of(request):
            return "no peer", _("this has to be confirmed by another admin, and the chat knows none who may")
        if rules & {SecurityRule.PEER, SecurityRule.OUT_OF_BAND} and not is_shown_whole(request):
            return "not shown whole", _(
                "what is shown of this would not be all of it, as it is too long or looks as if it held a secret"
            )
        return None

    def _prompt(self, proposal: Proposal, effect: str, replaced: Proposal | None) -> None:
        """Say what a command needs, to everybody of whom it needs something."""
        request = proposal.request
        if SecurityRule.OUT_OF_BAND in proposal.needs:
            self._start(self._send_code(proposal))
        if SecurityRule.PEER in proposal.needs:
            for peer in self._people.peers_of(request):
                self._answer(peer.id, peer_question(proposal, effect, translate=self._translate))
        replaces = replaced is not None
        self._answer(request.conversation, question(proposal, effect, replaces=replaces, translate=self._translate))

    def _effect(self, request: Request) -> str:
        command = request.command
        return self._translate(command.help) if command.effect is None else ask_of(command.effect, request.invocation)

    async def _send_code(self, proposal: Proposal) -> None:
        """Send the code of a command over the second channel of who asked for it; without it nothing waits."""
        _ = self._translate
        request = proposal.request
        text = _("{code} is the code for: {command}").format(code=proposal.code, command=request.shown)
        try:
            await self._channel.send(self._people.names_of(request.user), text)
        except TransportError as error:
            _log.error("a code could not be sent over the second channel of %r: %s", request.user, error)
            if approval.is_free(self._pending, proposal.id):
                return  # it came all the same, and was used, or the command waits no longer
            self._drop(proposal, "second channel failed", _("your second channel does not work; nothing was done"))

    async def _expire(self, proposal: Proposal) -> None:
        """Drop what has waited too long, and say so."""
        await self._clock.sleep(max(0.0, proposal.expires_at - self._clock.monotonic()))
        self._drop_late()

    def _drop_late(self) -> None:
        self._pending, late = approval.expire(self._pending, now=self._clock.monotonic())
        for one in late:
            self._record(one.request, "dropped", reason="not confirmed in time")
            self._answer(
                one.request.conversation,
                self._translate("{command} was not done: it was not confirmed in time").format(
                    command=abridged(one.request.shown, translate=self._translate)
                ),
            )

    def _verified(self, request: Request, code: str, rules: frozenset[SecurityRule]) -> str | None:
        """Use up an authenticator's code for a command; return the factor it is, None where it does not count.

        Where `rules` that are still to be fulfilled, or another command of the user, wait for a second channel's code,
        wrong codes are not forgotten for this one: whoever has the authenticator could guess at the other without end.
        """
        _ = self._translate
        verification = self._totp.verify(
            self._people.names_of(request.user),
            code,
            command=request.text,
            forgives=SecurityRule.OUT_OF_BAND not in rules
            and not approval.has_need(self._pending, SecurityRule.OUT_OF_BAND, user=request.user),
        )
        match verification.verdict:
            case Verdict.ACCEPTED if verification.by_recovery_code:
                left = verification.recovery_codes_left
                self._answer(request.conversation, _("recovery codes left: {count}").format(count=left))
                return "recovery code"
            case Verdict.ACCEPTED:
                return "totp"
            case Verdict.USED:
                why = "used code", _("that code was used before; wait for the next one")
            case Verdict.LOCKED:
                why = "locked", self._locked(verification.locked_until)
            case Verdict.NOT_ENROLLED:
                why = "not enrolled", _("this needs a one-time code, and no authenticator is enrolled for you")
            case Verdict.UNAVAILABLE:
                why = "codes unavailable", _("codes cannot be verified now; the log of logmonitor tells why")
            case Verdict.WRONG:
                why = "wrong code", _("that code is wrong")
        self._refuse(request, *why)
        self._warn_of_lock(request, verification)
        return None

    def _compared(self, proposal: Proposal, code: str) -> str | None:
        """Compare a code with the one sent over the second channel; a wrong one counts as an authenticator's does."""
        _ = self._translate
        request = proposal.request
        names = self._people.names_of(request.user)
        try:
            until = self._totp.locked_until(names)
        except StoreError as error:
            _log.error("%s", error)
            self._refuse(
                request, "store unreadable", _("codes cannot be verified now; the log of logmonitor tells why")
            )
            return None
        if until is not None:
            self._refuse(request, "locked", self._locked(until))
            return None
        if hmac.compare_digest(code.encode(), (proposal.code or "").encode()):
            return "out_of_band"
        verification = self._totp.note_failure(names)
        self._refuse(request, "wrong code", _("that code is wrong"))
        self._warn_of_lock(request, verification)
        return None

    def _warn_of_lock(self, request: Request, verification: Verification) -> None:
        """Tell everybody who should know, on every channel, that somebody has guessed codes."""
        if not verification.is_newly_locked:
            return
        _ = self._translate
        waiting = self._waiting(request.invocation.message)
        if waiting is not None:
            self._pending = approval.drop(self._pending, waiting)
        self._record(request, "locked", reason="too many wrong codes")
        text = _("too many wrong codes from {person}; {locked}").format(
            person=person_text(request.invocation.message.sender), locked=self._locked(verification.locked_until)
        )
        admins = {admin.id for admin in self._people.admins_of(request.operation)} | {request.user}
        for to in sorted(admins):
            self._outbox.put(to, text, priority=Priority.ALERT)
            self._start(self._warn_over_channel(self._people.names_of(to), text))

    async def _warn_over_channel(self, names: tuple[str, ...], text: str) -> None:
        if not self._channel.reaches(names):
            return
        try:
            await self._channel.send(names, text)
        except TransportError as error:
            _log.error("the second channel does not work: %s", error)

    def _locked(self, until: datetime | None) -> str:
        _ = self._translate
        left = 0.0 if until is None else (until - self._clock.now()).total_seconds()
        return _("no code is accepted for {duration}").format(duration=duration_text(max(left, 1.0), _))

    def _fulfil(self, proposal: Proposal, rule: SecurityRule, factor: str) -> None:
        """Note what was shown, and run the command once nothing is missing."""
        self._pending, fulfilled = approval.fulfil(self._pending, proposal, rule, factor=factor)
        if not fulfilled.needs:
            if "out_of_band" in fulfilled.given:
                with suppress(StoreError):
                    self._totp.clear(self._people.names_of(fulfilled.request.user))
            self._run(fulfilled.request, fulfilled.given)
            return
        self._answer(fulfilled.request.conversation, missing_text(fulfilled, translate=self._translate))

    def _drop(self, proposal: Proposal, reason: str, text: str) -> None:
        self._pending = approval.drop(self._pending, proposal)
        self._refuse(proposal.request, reason, text)

    def _refuse(self, request: Request, reason: str, text: str) -> None:
        self._record(request, "refused", reason=reason)
        self._answer(request.conversation, text)

    def _record(self, request: Request, decision: str, *, reason: str, factors: tuple[str, ...] = ()) -> None:
        """Put on record what leads to nothing yet; where that fails the command itself will be refused."""
        with suppress(AuditError):
            self._recorder.record(request, decision, reason=reason, factors=factors)

    def _answer(self, conversation: str, text: str) -> None:
        self._outbox.put(conversation, text)
