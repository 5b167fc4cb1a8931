"""Confirmations, codes and peers: what lets a command run, and every way in which it does not."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from logmonitor import Command, Context, Invocation, Message, SecurityRule, Sender, StoreError
from logmonitor.approval import LIFE_SECONDS, Request
from logmonitor.approver import Approver, People, _new_code
from logmonitor.audit import Audit
from logmonitor.directory import Directory
from logmonitor.outbox import Outbox
from logmonitor.recorder import Recorder
from logmonitor.sealing import Seal
from logmonitor.store import Store
from logmonitor.testing import ADMIN, FakeClock, MemoryTransport
from logmonitor.testing.authenticator import Authenticator, enrol
from logmonitor.testing.second_channel import MemorySecondChannel
from logmonitor.totp import Totp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

BEN = Sender(id="ben-id", name="Ben")
CY = Sender(id="cy-id", name="Cy")
TOTP, CONFIRM, PEER, OUT_OF_BAND = SecurityRule.TOTP, SecurityRule.CONFIRM, SecurityRule.PEER, SecurityRule.OUT_OF_BAND


@dataclass
class Desk:
    """An approver with everything around it; Ann and Ben are admins, Ann has an authenticator and a second channel."""

    approver: Approver
    clock: FakeClock
    store: Store
    channel: MemorySecondChannel
    transport: MemoryTransport
    authenticator: Authenticator
    path: Path
    ran: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    said: int = 0

    def message(self, text: str, sender: Sender = ADMIN, *, room: str | None = None) -> Message:
        """Make a message that is written now."""
        self.said += 1
        return Message(
            id=f"in-{self.said}",
            sender=sender,
            conversation=room or sender.id,
            text=text,
            sent_at=self.clock.now(),
            room=room,
        )

    async def ask(
        self,
        text: str,
        *rules: SecurityRule,
        sender: Sender = ADMIN,
        room: str | None = None,
        code: str | None = None,
        **fields: object,
    ) -> str:
        """Ask for a command; return what was last said to who asked."""

        async def nothing(_context: Context, _invocation: Invocation) -> None: ...

        command = replace(Command(name="sh", handler=nothing, help="run it"), **fields)  # type: ignore[arg-type]
        invocation = Invocation(message=self.message(text, sender, room=room), name="sh", text=text)
        request = Request(
            operation="shell", command=command, invocation=invocation, text=f"sh {text}", shown=f"sh {text}"
        )
        self.approver.ask(request, frozenset(rules), code=code)
        return await self.told(room or sender.id)

    async def give(self, code: str, sender: Sender = ADMIN, *, room: str | None = None) -> str:
        """Give a code; return what was last said to who gave it."""
        self.approver.give_code(self.message(code, sender, room=room), code)
        return await self.told(room or sender.id)

    async def confirm(self, id_: str, sender: Sender = ADMIN, *, room: str | None = None) -> str:
        """Confirm; return what was last said to who did."""
        self.approver.confirm(self.message(f"confirm {id_}", sender, room=room), id_)
        return await self.told(room or sender.id)

    async def told(self, to: str = ADMIN.id) -> str:
        """Return what was last said to somebody."""
        await self.clock.move_on(0)
        return next((str(content) for who, content in reversed(self.transport.sent) if who == to), "")

    async def id(self, to: str = ADMIN.id) -> str:
        """Return the id that somebody was last asked to confirm."""
        await self.clock.move_on(0)
        texts = [str(content) for who, content in self.transport.sent if who == to and "`confirm " in str(content)]
        return texts[-1].split("`confirm ")[1].split("`")[0]

    def reasons(self) -> list[tuple[str, str]]:
        """Return what stands in the audit: decisions and their reasons."""
        records = map(json.loads, self.path.read_text().splitlines())
        return [(record["decision"], record["reason"]) for record in records]


@asynccontextmanager
async def desk(path: Path, *, admins: tuple[Sender, ...] = (ADMIN, BEN)) -> AsyncIterator[Desk]:
    """Set everything up; the audit goes to `path`."""
    clock, store, seal = FakeClock(), Store(), Seal(Fernet.generate_key())
    transport, channel = MemoryTransport(ADMIN, BEN, CY), MemorySecondChannel("AdminWeixin", "ben-id")
    directory = Directory(transport, ["AdminWeixin"])
    await directory.look_up()
    outbox = Outbox(directory)
    ran: list[tuple[str, tuple[str, ...]]] = []
    tasks: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:

        def start(work: Coroutine[object, object, None]) -> asyncio.Task[None]:
            task = group.create_task(work)
            tasks.add(task)
            return task

        authenticator = enrol("AdminWeixin", store, seal, clock)
        approver = Approver(
            totp=Totp(store, seal, now=clock.now),
            channel=channel,
            people=People(
                names_of=directory.names_of,
                admins_of=lambda _operation: admins,
                peers_of=lambda request: tuple(admin for admin in admins if admin.id != request.user),
            ),
            outbox=outbox,
            clock=clock,
            recorder=Recorder(Audit(path, anchor=store.view("audit")), clock),
            start=start,
            run=lambda request, factors: ran.append((request.text, factors)),
            translate=str,
        )
        start(outbox.run())
        await clock.move_on(60)  # past the step of the code that the enrolment used
        yield Desk(
            approver=approver,
            clock=clock,
            store=store,
            channel=channel,
            transport=transport,
            authenticator=authenticator,
            path=path,
            ran=ran,
        )
        for task in tasks:
            task.cancel()
    store.close()


async def test_command_without_rules_runs_at_once(tmp_path: Path) -> None:
    """What asks for nothing waits for nothing."""
    async with desk(tmp_path / "audit") as here:
        assert await here.ask("ls") == ""
        assert here.ran == [("sh ls", ())]


async def test_command_is_confirmed_by_its_id(tmp_path: Path) -> None:
    """The question shows the command and what it will do; the id that it names has it done, once."""
    async with desk(tmp_path / "audit") as here:
        question = await here.ask("ls", CONFIRM, effect=lambda invocation: f"will list {invocation.text}")
        id_ = await here.id()
        assert question == f"sh ls\n→ will list ls\nSay `confirm {id_}` within 2 min to have it done."
        await here.confirm(id_)
        assert here.ran == [("sh ls", ("confirm",))]
        assert await here.confirm(id_) == "nothing waits for that confirmation of yours here"
        assert len(here.ran) == 1


async def test_new_proposal_takes_the_old_ones_place_and_its_time(tmp_path: Path) -> None:
    """The id of what was asked for before confirms nothing any more, and the newer one has its own two minutes."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("old", CONFIRM)
        old = await here.id()
        await here.clock.move_on(LIFE_SECONDS - 1)
        assert "What waited before is dropped." in await here.ask("new", CONFIRM)
        new = await here.id()
        await here.confirm(old)
        assert here.ran == []
        await here.clock.move_on(LIFE_SECONDS - 1)
        await here.confirm(new)
        assert here.ran == [("sh new", ("confirm",))]


async def test_what_is_not_confirmed_in_time_is_not_done_and_said_so(tmp_path: Path) -> None:
    """After two minutes the command is dropped, who asked is told, and its id works no more."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", CONFIRM)
        id_ = await here.id()
        await here.clock.move_on(LIFE_SECONDS)
        assert await here.told() == "sh ls was not done: it was not confirmed in time"
        await here.confirm(id_)
        assert here.ran == []


@pytest.mark.parametrize(("sender", "room"), [(BEN, None), (CY, None), (ADMIN, "room-id"), (BEN, ADMIN.id)])
async def test_confirmation_is_that_users_in_that_conversation(
    tmp_path: Path, sender: Sender, room: str | None
) -> None:
    """Another user, or the same one elsewhere, is told what an unknown id is told."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", CONFIRM)
        answer = await here.confirm(await here.id(), sender, room=room)
        assert answer == "nothing waits for that confirmation of yours here"
        assert answer == await here.confirm("ZZZZ", sender, room=room)
        assert here.ran == []


async def test_code_is_asked_for_and_opens_the_command(tmp_path: Path) -> None:
    """Without a code in it a command asks for one; the answer has it done."""
    async with desk(tmp_path / "audit") as here:
        assert "Send the code of your authenticator within 2 min." in await here.ask("ls", TOTP)
        await here.give(here.authenticator.code())
        assert here.ran == [("sh ls", ("totp",))]
        assert here.authenticator.code() not in here.path.read_text()


async def test_code_counts_for_the_command_that_waits_and_no_other(tmp_path: Path) -> None:
    """A code that was written before the command it would now answer is refused, and not used up."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", TOTP)
        code = here.message(here.authenticator.code())
        await here.clock.move_on(1)
        await here.ask("rm -rf /", TOTP)
        here.approver.give_code(code, code.text)
        assert await here.told() == "that code was written before the command; send one again"
        assert here.ran == []
        await here.give(here.authenticator.code())
        assert here.ran == [("sh rm -rf /", ("totp",))]


async def test_confirmation_written_before_the_command_is_refused(tmp_path: Path) -> None:
    """Where a chat reorders messages a confirmation counts for nothing that was asked for later."""
    async with desk(tmp_path / "audit") as here:
        early = here.message("confirm")
        await here.clock.move_on(1)
        await here.ask("ls", CONFIRM)
        here.approver.confirm(early, await here.id())
        assert await here.told() == "that confirmation was written before the command; send it again"
        assert here.ran == []


async def test_code_that_nothing_waits_for_is_not_looked_at(tmp_path: Path) -> None:
    """A code sent into the blue counts neither as used nor as wrong."""
    async with desk(tmp_path / "audit") as here:
        assert await here.give(here.authenticator.code()) == "no command of yours waits for a code here"
        assert await here.give(here.authenticator.code(), BEN) == "no command of yours waits for a code here"
        await here.ask("ls", TOTP, code=here.authenticator.code())
        assert here.ran == [("sh ls", ("totp",))]


async def test_code_works_once(tmp_path: Path) -> None:
    """The code of a step that was used opens nothing more, not the same command either."""
    async with desk(tmp_path / "audit") as here:
        code = here.authenticator.code()
        await here.ask("ls", TOTP, code=code)
        assert await here.ask("ls", TOTP, code=code) == "that code was used before; wait for the next one"
        assert len(here.ran) == 1


async def test_five_wrong_codes_lock_and_tell_everybody_who_should_know(tmp_path: Path) -> None:
    """The fifth wrong code drops what waits, tells every admin and the second channel, and locks for five minutes."""
    async with desk(tmp_path / "audit") as here:
        wrong = f"{(int(here.authenticator.code()) + 500_000) % 10**6:06}"
        await here.ask("ls", TOTP)
        for _ in range(4):
            assert await here.give(wrong) == "that code is wrong"
        await here.give(wrong)
        warning = "too many wrong codes from “admin” (admin-id); no code is accepted for 5 min"
        assert sorted(to for to, content in here.transport.sent if content == warning) == ["admin-id", "ben-id"]
        assert here.channel.sent == [("AdminWeixin", warning), ("ben-id", warning)]
        assert await here.give(here.authenticator.code()) == "no command of yours waits for a code here"
        assert await here.ask("ls", TOTP) == "no code is accepted for 5 min"
        await here.clock.move_on(300)
        await here.ask("ls", TOTP, code=here.authenticator.code())
        assert here.ran == [("sh ls", ("totp",))]


async def test_user_without_an_authenticator_is_refused_at_once(tmp_path: Path) -> None:
    """Who has none enrolled is not asked for a code, and another's code opens nothing."""
    async with desk(tmp_path / "audit") as here:
        refusal = "this needs a one-time code, and no authenticator is enrolled for you"
        assert await here.ask("ls", TOTP, sender=BEN) == refusal
        assert await here.ask("ls", TOTP, sender=BEN, code=here.authenticator.code()) == refusal
        assert here.ran == []


async def test_recovery_code_stands_in_for_the_authenticator(tmp_path: Path) -> None:
    """A recovery code counts once, is told as what it is, and stands in the audit as such."""
    async with desk(tmp_path / "audit") as here:
        code = here.authenticator.recovery_codes[0]
        assert await here.ask("ls", TOTP, code=code) == "recovery codes left: 9"
        assert here.ran == [("sh ls", ("recovery code",))]
        await here.ask("ls", TOTP, code=code)
        assert len(here.ran) == 1


async def test_code_over_the_second_channel_names_the_command_and_opens_it(tmp_path: Path) -> None:
    """Eight digits go over the second channel alone, with the command; they open that command, once."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", OUT_OF_BAND)
        code = here.channel.code_for("AdminWeixin")
        assert here.channel.sent == [("AdminWeixin", f"{code} is the code for: sh ls")]
        assert not any(code in str(content) for _, content in here.transport.sent)
        await here.give(code)
        assert here.ran == [("sh ls", ("out_of_band",))]
        await here.ask("ls", OUT_OF_BAND)
        assert await here.give(code) == "that code is wrong"
        assert len(here.ran) == 1


async def test_wrong_codes_of_the_second_channel_lock_as_well(tmp_path: Path) -> None:
    """Guessing at the second channel's code is limited as guessing at the authenticator's is."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", OUT_OF_BAND)
        right = here.channel.code_for("AdminWeixin")
        for _ in range(5):
            await here.give(f"{(int(right) + 1) % 10**8:08}")
        assert await here.give(right) == "no command of yours waits for a code here"
        assert here.ran == []


async def test_authenticators_code_is_none_of_the_second_channels(tmp_path: Path) -> None:
    """Each rule takes its own code."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", OUT_OF_BAND)
        assert await here.give(here.authenticator.code()) == "that is not what the command waits for"
        assert here.ran == []


async def test_command_is_dropped_where_its_code_cannot_be_sent(tmp_path: Path) -> None:
    """A second channel that fails is told, and nothing is left waiting."""
    async with desk(tmp_path / "audit") as here:
        here.channel.fail_next()
        await here.ask("ls", OUT_OF_BAND, CONFIRM)
        assert await here.told() == "your second channel does not work; nothing was done"
        await here.confirm(await here.id())
        assert here.ran == []


async def test_user_without_a_second_channel_is_refused_at_once(tmp_path: Path) -> None:
    """Who has none is not left waiting for a code."""
    async with desk(tmp_path / "audit") as here:
        answer = await here.ask("ls", OUT_OF_BAND, sender=CY)
        assert answer == "this needs a code over a second channel, and none is configured for you"


async def test_second_channel_and_other_admins_are_not_disturbed_without_end(tmp_path: Path) -> None:
    """After five codes in ten minutes no further one is sent."""
    async with desk(tmp_path / "audit") as here:
        for _ in range(5):
            await here.ask("ls", OUT_OF_BAND)
        assert await here.ask("ls", OUT_OF_BAND) == "you have asked for that too often; try again later"
        assert len(here.channel.sent) == 5
        await here.clock.move_on(600)
        await here.ask("ls", OUT_OF_BAND)
        assert len(here.channel.sent) == 6


async def test_another_admin_has_it_done(tmp_path: Path) -> None:
    """Every other admin is asked, with the command and who wants it; the first one's word counts, once."""
    async with desk(tmp_path / "audit", admins=(ADMIN, BEN, CY)) as here:
        await here.ask("ls", PEER)
        id_ = await here.id(BEN.id)
        assert (
            await here.told(BEN.id)
            == f"“admin” (admin-id) asks for:\nsh ls\n→ run it\nSay `confirm {id_}` within 2 min to have it done."
        )
        assert id_ == await here.id(CY.id)
        assert await here.confirm(id_) == "nothing waits for that confirmation of yours here"
        assert await here.confirm(id_, BEN) == "confirmed"
        assert here.ran == [("sh ls", ("peer ben-id",))]
        assert await here.confirm(id_, CY) == "nothing waits for that confirmation of yours here"
        assert len(here.ran) == 1


async def test_who_is_no_admin_confirms_for_nobody(tmp_path: Path) -> None:
    """A user who is entitled to something, but no admin, is no peer."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", PEER)
        assert await here.confirm(await here.id(BEN.id), CY) == "nothing waits for that confirmation of yours here"
        assert here.ran == []


async def test_only_admin_has_no_peer(tmp_path: Path) -> None:
    """Where nobody else could confirm it is said at once."""
    async with desk(tmp_path / "audit", admins=(ADMIN,)) as here:
        assert (
            await here.ask("ls", PEER) == "this has to be confirmed by another admin, and the chat knows none who may"
        )


async def test_rules_combine(tmp_path: Path) -> None:
    """Every rule has to be fulfilled, in any order, and after each it is said what is missing."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", TOTP, OUT_OF_BAND, CONFIRM, PEER)
        id_ = await here.id()
        await here.confirm(id_, BEN)
        codes = "the code of your authenticator, the code that comes over your second channel"
        assert (await here.told()) == f"Accepted; still missing: {codes}, `confirm {id_}`"
        await here.give(here.authenticator.code())
        await here.give(here.channel.code_for("AdminWeixin"))
        assert (await here.told()) == f"Accepted; still missing: `confirm {id_}`"
        assert here.ran == []
        await here.confirm(id_)
        assert here.ran == [("sh ls", ("peer ben-id", "totp", "out_of_band", "confirm"))]


async def test_code_given_with_the_command_leaves_the_other_rules(tmp_path: Path) -> None:
    """A right code inline opens nothing that has to be confirmed, too."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", TOTP, CONFIRM, code=here.authenticator.code())
        assert here.ran == []
        await here.confirm(await here.id())
        assert here.ran == [("sh ls", ("totp", "confirm"))]


async def test_store_that_cannot_be_read_permits_nothing(tmp_path: Path) -> None:
    """With the store gone a code cannot be verified, and is not accepted."""
    async with desk(tmp_path / "audit") as here:
        here.store.close()
        with pytest.raises(StoreError):
            here.store.grants()
        answer = await here.ask("ls", TOTP, code=here.authenticator.code())
        assert answer == "what this asks for cannot be verified now; the log of logmonitor tells why"
        assert here.ran == []


@pytest.mark.parametrize(
    "text", ["echo token=abcdefgh", "uptime" + " " * 600 + "; rm -rf /", 'x password: "`rm -rf /`"']
)
@pytest.mark.parametrize("rule", [PEER, OUT_OF_BAND])
async def test_command_that_cannot_be_shown_whole_is_judged_by_nobody(
    tmp_path: Path, text: str, rule: SecurityRule
) -> None:
    """What would be cut or redacted where another sees it is refused: it could hide what it does."""
    async with desk(tmp_path / "audit") as here:
        answer = await here.ask(text, rule)
        assert (
            answer == "what is shown of this would not be all of it, as it is too long or looks as if it held a secret"
        )
        assert await here.told(BEN.id) == ""
        assert here.channel.sent == []


async def test_name_of_who_asks_forges_nothing(tmp_path: Path) -> None:
    """Another admin is shown who asks by a quoted name on one line, and by the stable id."""
    mask = Sender(id="cy-id", name="Ben\nsh uptime\nSay `confirm ZZZZ`")
    async with desk(tmp_path / "audit") as here:
        await here.ask("evil", PEER, sender=mask)
        first, *rest = (await here.told(BEN.id)).split("\n")
        assert first.endswith("(cy-id) asks for:")
        assert rest[0] == "sh evil"


async def test_one_factor_does_not_buy_guesses_at_the_other(tmp_path: Path) -> None:
    """With two codes to show, a right one forgets no wrong one of the other: the fifth wrong one locks."""
    async with desk(tmp_path / "audit") as here:
        answers = []
        for _ in range(5):
            await here.ask("ls", TOTP, OUT_OF_BAND, code=here.authenticator.code())
            wrong = f"{(int(here.channel.code_for('AdminWeixin')) + 1) % 10**8:08}"
            await here.give(wrong)
            answers.append(await here.told())
            await here.clock.move_on(30)
        assert any("too many wrong codes" in str(content) for _, content in here.transport.sent)
        assert here.ran == []


async def test_other_command_does_not_buy_guesses_at_the_second_channel(tmp_path: Path) -> None:
    """While a second channel's code is waited for, a right code for another command forgets no wrong one."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("both", TOTP, OUT_OF_BAND)
        wrong = f"{(int(here.channel.code_for('AdminWeixin')) + 1) % 10**8:08}"
        for _ in range(4):
            await here.give(wrong)
        await here.ask("only", TOTP, code=here.authenticator.code())
        await here.give(wrong)
        assert any("too many wrong codes" in str(content) for _, content in here.transport.sent)
        assert here.ran == [("sh only", ("totp",))]


async def test_codes_that_were_right_forget_the_wrong_ones(tmp_path: Path) -> None:
    """A mistype before each right code of a second channel adds up to no lock."""
    async with desk(tmp_path / "audit") as here:
        for _ in range(6):
            await here.ask("ls", OUT_OF_BAND)
            right = here.channel.code_for("AdminWeixin")
            await here.give(f"{(int(right) + 1) % 10**8:08}")
            await here.give(right)
            await here.clock.move_on(300)
        assert len(here.ran) == 6


async def test_second_channel_that_fails_late_undoes_nothing(tmp_path: Path) -> None:
    """Where the code came all the same and was used, a service that then fails changes neither answer nor record."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("ls", OUT_OF_BAND)
        await here.give(here.channel.code_for("AdminWeixin"))
        here.channel.fail_next()
        await here.ask("uptime", OUT_OF_BAND)
        assert await here.told() == "your second channel does not work; nothing was done"
        assert here.ran == [("sh ls", ("out_of_band",))]


def test_code_for_the_second_channel_never_looks_like_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates stay where codes are redacted, so no code begins as a year does."""
    drawn = iter([20261121, 7, 12345678])
    monkeypatch.setattr("secrets.randbelow", lambda _limit: next(drawn))
    assert _new_code() == "00000007"
    assert _new_code() == "12345678"


async def test_every_step_is_on_record(tmp_path: Path) -> None:
    """The audit has what was asked, refused, replaced and dropped."""
    async with desk(tmp_path / "audit") as here:
        await here.ask("a", CONFIRM)
        await here.ask("b", TOTP)
        await here.give("000000" if here.authenticator.code() != "000000" else "000001")
        await here.clock.move_on(LIFE_SECONDS)
        assert here.reasons() == [
            ("asked", "confirm"),
            ("dropped", "replaced by another command"),
            ("asked", "totp"),
            ("refused", "wrong code"),
            ("dropped", "not confirmed in time"),
        ]
