"""`grant`, `deny`, `revoke` and `grants` in the chat: what is confirmed is what is kept, for exactly one contact."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from logmonitor.audit import ANCHOR_OWNER, Audit
from logmonitor.contact import find_contact
from logmonitor.errors import AuditError, RejectedError, StoreError, TransportError
from logmonitor.grant import Grant
from logmonitor.granting.commands import grant_commands
from logmonitor.operation import Command, Context, Invocation, Right, SecurityRule
from logmonitor.records import Sender
from logmonitor.store import Store
from logmonitor.testing import ADMIN, START, RecordingContext, message
from logmonitor.typed import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_BOB = Sender(id="wxid_bob", alias="bob", name="Bob")
_CAROL = Sender(id="wxid_carol", name="carol", weixin="CarolWeixin")
_NEW_YEAR = datetime.fromisoformat("2026-12-31T16:00:00+00:00")


async def _nothing(_context: Context, _invocation: Invocation) -> None:
    """Do nothing."""


_KNOWN = tuple(
    (operation, Command(name=name, handler=_nothing, help="do it", right=right))
    for operation, name, right in (
        ("log_view", "view", Right.GRANT),
        ("log_view", "tail", Right.GRANT),
        ("shell", "sh", Right.ADMIN),
        ("logmonitor", "revoke", Right.ADMIN),
    )
)


@dataclass
class _Chat:
    """An admin's chat with the commands; `say` returns the answer, `confirmed` what had to be confirmed before it."""

    store: Store
    commands: dict[str, Command]
    contacts: list[Sender]
    seconds: float = 0.0
    confirmed: str | None = None
    room: str | None = None

    async def say(self, text: str) -> str:
        """Do what the dispatcher does: object, have it confirmed, run."""
        invocation = self.invocation(text)
        command = self.commands[invocation.name]
        self.confirmed = None
        objection = None if command.objection is None else command.objection(invocation)
        if objection is not None:
            return objection
        if command.effect is not None:
            self.confirmed = command.effect(invocation)
        return await self.run(invocation)

    async def run(self, invocation: Invocation) -> str:
        """Call the handler alone, as after a confirmation."""
        context = RecordingContext()
        await self.commands[invocation.name].handler(context, invocation)
        (sent,) = context.sent
        assert isinstance(sent.content, str)
        return sent.content

    def invocation(self, text: str) -> Invocation:
        """Return a text as the dispatcher hands it on."""
        typed = parse(text)
        assert typed is not None
        return Invocation(
            message=message(text, room=self.room), name=typed.name, arguments=typed.arguments, text=typed.text
        )

    async def resolve(self, who: str) -> Sender:
        """Return the one contact that is meant."""
        if who == "nobody-knows":
            raise TransportError("no answer within 30 s\nor so")
        if who == "refused-by-chat":
            raise RejectedError("no such\ncontact")
        return find_contact(who, self.contacts)

    def now(self) -> datetime:
        """Return noon, and what has passed since."""
        return START + timedelta(seconds=self.seconds)


def _chat(*, store: Store | None = None, language: str = "en", audit: Audit | None = None) -> _Chat:
    chat = _Chat(store=store or Store(), commands={}, contacts=[ADMIN, _BOB, _CAROL])
    commands = grant_commands(
        chat.store,
        resolve=chat.resolve,
        commands=lambda: _KNOWN,
        zone=_SHANGHAI,
        language=language,
        now=chat.now,
        audit=audit,
    )
    chat.commands.update({command.name: command for command in commands})
    return chat


def _grant(**fields: object) -> Grant:
    values: dict[str, object] = {"user": "wxid_bob", "by": ADMIN.id, "at": START} | fields
    return Grant(**values)  # type: ignore[arg-type]  # the names are checked by Grant itself


def test_commands_are_for_admins_and_changes_are_confirmed() -> None:
    """No grant gives the right to grant; what changes something is confirmed, and all of it waits for nothing."""
    commands = _chat().commands.values()
    assert [(command.name, command.security, command.read_only) for command in commands] == [
        ("grant", {SecurityRule.CONFIRM}, False),
        ("deny", {SecurityRule.CONFIRM}, False),
        ("revoke", {SecurityRule.CONFIRM}, False),
        ("grants", frozenset(), True),
    ]
    assert {command.right for command in commands} == {Right.ADMIN}
    assert all(command.control for command in commands)


async def test_grant_keeps_what_was_confirmed_for_the_stable_id() -> None:
    """An alias is confirmed as typed, and kept as the id of the one contact that has it."""
    chat = _chat()
    said = await chat.say("grant bob view until 2026-12-31")
    what = "may run log_view.view, in direct messages, until the end of 2026-12-31 (UTC+08:00)"
    assert chat.confirmed == f"the one contact bob {what}"
    assert said == f"done, number 1: “bob” (wxid_bob) {what}"
    assert chat.store.grants() == (_grant(id=1, operation="log_view", command="view", until=_NEW_YEAR),)


async def test_grant_without_a_date_says_that_it_is_for_ever() -> None:
    """For ever is allowed, and said before and after."""
    chat = _chat()
    said = await chat.say("grant wxid_carol log_view.*")
    assert chat.confirmed is not None
    assert chat.confirmed.endswith("in direct messages, for ever")
    assert said == (
        "done, number 1: “carol” (wxid_carol) may run log_view.* (now: view, tail), in direct messages, for ever"
    )
    assert chat.store.grants() == (_grant(id=1, user="wxid_carol", operation="log_view"),)


async def test_grant_to_everybody_says_so() -> None:
    """`*` is not looked up, and is read as what it is."""
    chat = _chat()
    assert await chat.say("grant * view everywhere") == (
        "done, number 1: everybody who writes to the bot may run log_view.view, everywhere, for ever"
    )
    assert chat.confirmed is not None
    assert chat.confirmed.startswith("everybody who writes to the bot")
    assert chat.store.grants() == (_grant(id=1, user="*", operation="log_view", command="view", room="*"),)


async def test_grant_in_here_is_of_that_room_alone() -> None:
    """Said in a room, `here` is that room."""
    chat = _chat()
    chat.room = "team@chat"
    await chat.say("grant bob view in here")
    assert [grant.room for grant in chat.store.grants()] == ["team@chat"]


async def test_deny_keeps_a_denial() -> None:
    """A denial may be of what no grant gives."""
    chat = _chat()
    said = await chat.say("deny bob sh everywhere for 12h")
    assert said == ("done, number 1: “bob” (wxid_bob) may not run sh, everywhere, until 2026-11-21 08:00 (UTC+08:00)")
    assert chat.store.grants() == (
        _grant(id=1, command="sh", room="*", is_denial=True, until=START + timedelta(hours=12)),
    )


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("deny bob *", "*", "may not run * (now: view, tail, sh, revoke), everywhere, for ever"),
        ("deny bob sh direct", "direct", "may not run sh, in direct messages, for ever"),
        ("grant bob view", "direct", "may run log_view.view, in direct messages, for ever"),
    ],
)
async def test_deny_holds_everywhere_unless_it_is_said_where(text: str, place: str, said: str) -> None:
    """A denied admin does not go on in a command room; what holds where is said before and after."""
    chat = _chat()
    assert await chat.say(text) == f"done, number 1: “bob” (wxid_bob) {said}"
    assert chat.confirmed == f"the one contact bob {said}"
    assert [grant.room for grant in chat.store.grants()] == [place]


async def test_grant_of_a_command_that_is_misspelt_tells_which_may_be_meant() -> None:
    """What is near is asked for by the name that can be typed."""
    chat = _chat()
    assert await chat.say("grant bob veiw") == "'veiw' fits no command that can be meant; did you mean 'view'?"


@pytest.mark.parametrize(
    "text",
    [
        "grant",
        "grant bob",
        "grant bob sh",
        "grant bob revoke",
        "grant bob vew",
        "grant bob view until 2020-01-01",
        "grant bob view until 12-31",
        "grant bob view until 2026-02-30",
        "grant bob view in here",
        "deny bob vew",
        "deny bob view for ages",
    ],
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_asked(text: str) -> None:
    """Nothing is confirmed and nothing kept of what is typed wrongly, also where a handler is called all the same."""
    chat = _chat()
    said = await chat.say(text)
    assert chat.confirmed is None
    invocation = chat.invocation(text)
    effect = chat.commands[invocation.name].effect
    assert effect is not None
    assert effect(invocation) == said
    assert await chat.run(invocation) == said
    assert chat.store.grants() == ()


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        (
            "dave",
            "nothing was done: no contact fits 'dave'; expected the id of one: * (alias “star”), a (alias “twin”), ",
        ),
        ("twin", "nothing was done: 2 contacts fit 'twin'; expected the id of one: a (alias “twin”), b (alias “twin”)"),
        ("carol", "nothing was done: no contact fits 'carol'"),
        ("nobody-knows", "nothing was done, the chat cannot be asked now: no answer within 30 s␊or so"),
        ("wxid_?", "nothing was done: no contact fits 'wxid_?'"),
        ("wxid_*", "'wxid_*' names nobody and no place; expected one id or name, or `*` for all"),
        ("stars", "'wxid_*' names nobody and no place; expected one id or name, or `*` for all"),
        ("star", "'*' names nobody and no place; expected one id or name, or `*` for all"),
        ("admin", "“admin” (admin-id) is an admin, who needs no grant"),
    ],
)
async def test_grant_is_for_exactly_one_contact(who: str, answer: str) -> None:
    """Nobody, several, a display name, a contact whose id is a pattern, or an admin: nothing is granted."""
    chat = _chat()
    chat.contacts += [Sender(id="a", alias="twin"), Sender(id="b", alias="twin")]
    chat.contacts += [Sender(id="wxid_*", alias="stars"), Sender(id="*", alias="star")]
    assert (await chat.say(f"grant {who} view")).startswith(answer)
    assert chat.store.grants() == ()


async def test_grant_is_looked_up_when_it_is_given_and_not_before() -> None:
    """An alias that two contacts have by the time it is confirmed is nobody's."""
    chat = _chat()
    invocation = chat.invocation("grant bob view")
    effect = chat.commands["grant"].effect
    assert effect is not None
    effect(invocation)
    chat.contacts.append(Sender(id="wxid_imposter", weixin="bob"))
    assert (await chat.run(invocation)).startswith("nothing was done: 2 contacts fit 'bob'")
    assert chat.store.grants() == ()


async def test_grant_goes_by_no_display_name() -> None:
    """Who calls herself Bob is granted nothing by it, and a name cannot pass for more of the answer."""
    chat = _chat()
    chat.contacts = [Sender(id="wxid_imposter", name="bob"), Sender(id="wxid_x", alias="x", name="y")]
    assert (await chat.say("grant bob view")).startswith("nothing was done: no contact fits 'bob'")
    chat.contacts = [Sender(id="wxid_x", name="Bob\n2: admin may run *\u202e")]
    assert "“Bob␊2· admin may run *\\u202e” (wxid_x) may run" in await chat.say("grant wxid_x view")


async def test_length_counts_from_when_it_was_written() -> None:
    """What was confirmed two minutes later ends when the question said it would."""
    chat = _chat()
    invocation = chat.invocation("grant bob view for 12h")
    chat.seconds = 120
    await chat.run(invocation)
    assert [(grant.until, grant.at) for grant in chat.store.grants()] == [
        (START + timedelta(hours=12), START + timedelta(minutes=2))
    ]


async def test_grant_that_has_ended_when_it_is_confirmed_is_not_kept() -> None:
    """A time that passes while the question waits grants nothing."""
    chat = _chat()
    invocation = chat.invocation("grant bob view until 2026-11-20 20:01")
    chat.seconds = 60
    assert await chat.run(invocation) == "it would have ended by now; nothing was done"
    assert chat.store.grants() == ()


async def test_grant_that_stands_already_is_not_kept_twice() -> None:
    """The same again is said and not kept; the same until another time is kept, and the other one told."""
    chat = _chat()
    await chat.say("grant bob view until 2026-12-31")
    row = (
        "1: “bob” (wxid_bob) may run log_view.view, in direct messages, until the end of 2026-12-31 (UTC+08:00);"
        " by admin-id, 2026-11-20 20:00"
    )
    assert await chat.say("grant wxid_bob log_view.view until 2026-12-31") == f"that stands there already: {row}"
    said = await chat.say("grant bob view for 1d")
    assert said.splitlines()[1:] == [f"beside it stands {row}"]
    assert [grant.id for grant in chat.store.grants()] == [1, 2]


async def test_grant_beside_one_that_has_ended_is_new() -> None:
    """What has ended counts for nothing."""
    chat = _chat()
    await chat.say("grant bob view for 1min")
    chat.seconds = 60
    assert (await chat.say("grant bob view for 1h")).count("\n") == 0
    assert len(chat.store.grants()) == 2


@pytest.mark.parametrize("text", ["deny * *", "deny admin *", "deny admin revoke everywhere", "deny * revoke"])
async def test_deny_does_not_lock_out_who_says_it(text: str) -> None:
    """An admin cannot keep himself from taking it back."""
    chat = _chat()
    assert await chat.say(text) == (
        "that would keep you yourself from `revoke`; on the server `logmonitor grant deny` does it"
    )
    assert chat.store.grants() == ()


async def test_deny_may_hold_for_an_admin() -> None:
    """A denial of another command, in one room, or of another admin, is one."""
    chat = _chat()
    for text in ("deny admin sh", "deny * * in ops@chat", "deny bob *"):
        assert (await chat.say(text)).startswith("done")


async def test_revoke_takes_back_what_it_showed() -> None:
    """The confirmation shows what the number stands for; then that one is gone and the others stay."""
    chat = _chat()
    await chat.say("grant bob view")
    await chat.say("grant bob tail until 2026-12-31")
    said = await chat.say("revoke ＃２")
    text = (
        "may run log_view.tail, in direct messages, until the end of 2026-12-31 (UTC+08:00);"
        " by admin-id, 2026-11-20 20:00"
    )
    assert chat.confirmed == f"this will hold no more: 2: wxid_bob {text}"
    assert said == f"this holds no more: 2: “bob” (wxid_bob) {text}"
    assert [grant.id for grant in chat.store.grants()] == [1]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("revoke", "which one? Say `revoke` and a number; `grants` lists them"),
        ("revoke bob", "which one? Say `revoke` and a number; `grants` lists them"),
        ("revoke 1 2", "which one? Say `revoke` and a number; `grants` lists them"),
        ("revoke -1", "which one? Say `revoke` and a number; `grants` lists them"),
        ("revoke 9", "there is no number 9; `grants` lists them"),
        ("revoke 9999999999999999999999", "which one? Say `revoke` and a number; `grants` lists them"),
    ],
)
async def test_revoke_of_no_number_there_is_says_so(text: str, answer: str) -> None:
    """A number that there is not, or that is none, takes nothing back."""
    chat = _chat()
    await chat.say("grant bob view")
    assert await chat.say(text) == answer
    invocation = chat.invocation(text)
    effect = chat.commands["revoke"].effect
    assert effect is not None
    assert effect(invocation) == answer
    assert await chat.run(invocation) == answer
    assert len(chat.store.grants()) == 1


class _RacingStore(Store):
    """A store from which somebody else takes the grant right before it is taken."""

    def remove_grant(self, id_: int, /) -> Grant | None:
        """Let the other one have it."""
        super().remove_grant(id_)
        return super().remove_grant(id_)


async def test_revoke_of_what_another_has_just_revoked_says_so() -> None:
    """Of two admins who take back the same, the second is told that it is gone."""
    chat = _chat(store=_RacingStore())
    await chat.say("grant bob view")
    assert await chat.say("revoke 1") == "there is no number 1; `grants` lists them"


async def test_grants_lists_number_who_what_where_when_and_by_whom() -> None:
    """Every grant is a row, with the names that the chat knows; what has ended is marked."""
    chat = _chat()
    assert await chat.say("grants") == "nothing is granted or denied"
    chat.store.add_grant(_grant(operation="log_view", command="view", until=START))
    chat.store.add_grant(_grant(user="wxid_gone", room="ops@chat", is_denial=True, by="root (command line)"))
    chat.store.add_grant(_grant(user="*", command="tail", until=_NEW_YEAR))
    assert (await chat.say("grants")).splitlines() == [
        (
            "1: “bob” (wxid_bob) may run log_view.view, in direct messages, until 2026-11-20 20:00 (UTC+08:00);"
            " by “admin” (admin-id), 2026-11-20 20:00 (ended)"
        ),
        "2: wxid_gone may not run *, in the room ops@chat, for ever; by root (command line), 2026-11-20 20:00",
        (
            "3: everybody who writes to the bot may run tail, in direct messages,"
            " until the end of 2026-12-31 (UTC+08:00); by “admin” (admin-id), 2026-11-20 20:00"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("grants bob", [1, 3]), ("grants wxid_gone", [2, 3]), ("grants *", [3]), ("grants nobody-knows", [3])],
)
async def test_grants_of_one_user_are_those_that_speak_of_him(text: str, numbers: list[int]) -> None:
    """By alias or id, also of a contact that is gone; those of everybody are his too."""
    chat = _chat()
    for user in ("wxid_bob", "wxid_gone", "*"):
        chat.store.add_grant(_grant(user=user))
    assert [int(row.partition(":")[0]) for row in (await chat.say(text)).splitlines()] == numbers


async def test_commands_speak_chinese() -> None:
    """In Chinese everything said is Chinese, and so may be what is typed."""
    chat = _chat(language="zh")
    said = await chat.say("grant bob view 到2026年12月31日")
    assert (
        said == "已完成，编号 1：“bob” (wxid_bob) 可以运行 log_view.view，仅限私聊，直到 2026-12-31 结束（UTC+08:00）"
    )
    assert chat.confirmed == "联系人 bob（须唯一） 可以运行 log_view.view，仅限私聊，直到 2026-12-31 结束（UTC+08:00）"


async def test_contact_that_is_nobody_is_told_in_chinese() -> None:
    """Who could be meant is told in Chinese too, each by what can be typed; what a chat itself says stays as it is."""
    chat = _chat(language="zh")
    chat.contacts = [_BOB, _CAROL]
    assert await chat.say("grant dave view") == (
        "什么都没有做：没有联系人对应 'dave'；应为其中一位的 id：wxid_bob (备注“bob”), wxid_carol (微信号“CarolWeixin”)"
    )
    assert (await chat.say("grant wxid_carol view")).startswith("已完成")
    chat.contacts.append(Sender(id="wxid_imposter", weixin="bob"))
    assert await chat.say("deny bob *") == (
        "什么都没有做：有 2 位联系人对应 'bob'；应为其中一位的 id：wxid_bob (备注“bob”), wxid_imposter (微信号“bob”)"
    )


async def test_chat_that_refuses_a_contact_in_words_of_its_own_is_told() -> None:
    """A reason that is the chat's own is passed on on one line."""
    chat = _chat()
    assert await chat.say("grant refused-by-chat view") == "nothing was done: no such␊contact"


async def test_changes_are_on_the_audit(tmp_path: Path) -> None:
    """Each change names who made it, where, and which grant it is; what changes nothing is not there."""
    store = Store()
    path = tmp_path / "audit.jsonl"
    chat = _chat(store=store, audit=Audit(path, anchor=store.view(ANCHOR_OWNER)))
    for text in ("grant bob view", "grant bob view", "deny bob tail", "grants", "revoke 1", "revoke 1"):
        await chat.say(text)
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    changes = [(record["decision"], record["user"], record["grant"]) for record in records if "decision" in record]
    assert changes == [("granted", "admin-id", 1), ("denied", "admin-id", 2), ("revoked", "admin-id", 1)]


class _BrokenAudit(Audit):
    """An audit on a full disk."""

    def write(self, record: object, /) -> None:
        """Fail."""
        raise AuditError(f"cannot write {type(record).__name__}")


async def test_change_that_cannot_be_put_on_record_is_none() -> None:
    """What the audit does not take is neither given nor taken back."""
    store = Store()
    store.add_grant(_grant())
    chat = _chat(store=store, audit=_BrokenAudit(None, anchor=store.view(ANCHOR_OWNER)))
    for text in ("grant wxid_carol view", "revoke 1"):
        with pytest.raises(AuditError):
            await chat.say(text)
    assert chat.store.grants() == (_grant(id=1),)


@contextmanager
def _closed(store: Store) -> Iterator[Store]:
    store.close()
    yield store


async def test_store_that_cannot_be_read_is_told_by_the_handler() -> None:
    """A store that fails makes no objection and no effect fail; the handler does, and that is told."""
    with _closed(Store()) as store:
        chat = _chat(store=store)
        invocation = chat.invocation("revoke 1")
        command = chat.commands["revoke"]
        assert command.objection is not None
        assert command.effect is not None
        assert command.objection(invocation) is None
        assert "cannot be used" in command.effect(invocation)
        for text in ("revoke 1", "grant bob view", "grants"):
            with pytest.raises(StoreError):
                await chat.run(chat.invocation(text))


def test_grant_of_the_kit_is_that_of_the_store() -> None:
    """What the store gives back is what was put in, so that rows of it can be compared."""
    store = Store()
    grant = _grant(until=_NEW_YEAR, is_denial=True)
    assert store.add_grant(grant) == replace(grant, id=1)
