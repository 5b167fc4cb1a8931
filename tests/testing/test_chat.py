"""A whole program in a chat: people, rooms, rights, codes, time, faults, logs and what lasts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from logmonitor import (
    Attachment,
    Command,
    Context,
    Event,
    EventKind,
    Invocation,
    Limits,
    Link,
    LogBatch,
    Message,
    Operation,
    OperationConfig,
    OperationError,
    RejectedError,
    Right,
    SecurityRule,
    TransportError,
)
from logmonitor.testing import START, FakeClock, LogWriter, chat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIRM = frozenset({SecurityRule.CONFIRM})


def ops(config: OperationConfig | None = None, **changes: object) -> Operation:
    """Make an operation with a command that can be granted, and one for admins with what else is said of it."""

    async def answer(context: Context, invocation: Invocation) -> None:
        await context.send(f"{invocation.name} {invocation.text}".strip())

    commands = (
        Command(name="look", handler=answer, help="look at it", usage="THING", right=Right.GRANT),
        Command(name="wipe", handler=answer, help="wipe it", usage="THING", **changes),  # type: ignore[arg-type]
    )
    return Operation(name="ops", config=config or OperationConfig(), commands=commands)


async def test_reply_is_a_text_a_pattern_or_what_a_function_accepts() -> None:
    """A reply is expected whole, by a pattern whose groups are returned, by a function, or whatever it is."""
    async with chat(ops()) as here:
        ann = here.user("Ann")
        assert (await ann.says("look gate").should_reply("look gate")).text == "look gate"
        heard = await ann.says("look 7").should_reply(re.compile(r"look (?P<number>\d)"))
        assert (heard["number"], heard[0]) == ("7", "look 7")
        heard = await ann.says("look 8").should_reply(lambda content: "8" in str(content))
        assert heard.content == "look 8"
        with pytest.raises(LookupError, match="no group 'number'; expected a pattern"):
            heard["number"]
        await ann.says("look").should_reply()


async def test_reply_is_a_file_or_a_link() -> None:
    """A file is expected as it is, or by its caption; so is a link, by all that is read of it."""
    picture = Attachment(filename="a.png", content_type="image/png", data=b"123", caption="see")
    page = Link(title="page", url="https://example.org")

    async def show(context: Context, _invocation: Invocation) -> None:
        await context.send(picture)
        await context.send(page)

    operation = Operation(
        name="show", config=OperationConfig(), commands=(Command(name="show", handler=show, help="show it"),)
    )
    async with chat(operation) as here:
        ann = here.user("Ann")
        said = ann.says("show")
        await said.should_reply(page)
        await said.should_reply(picture)
        said = ann.says("show")
        await said.should_reply("see")
        await said.should_reply(re.compile("example"))
        with pytest.raises(AssertionError, match=r"received <b.png: text/plain, 0 bytes> in answer"):
            await said.should_reply(Attachment(filename="b.png", content_type="text/plain", data=b""))
        with pytest.raises(AssertionError, match="should have received anything in answer to 'show'"):
            await said.should_reply()
        with pytest.raises(AssertionError, match="should have received what is_known accepts in answer"):
            await said.should_reply(is_known)


def is_known(_content: object) -> bool:
    """Accept nothing."""
    return False


async def test_people_and_rooms_are_told_apart() -> None:
    """What is said in a room reaches its members, what is said directly one person; each is asked for by itself."""
    async with chat(
        ops(),
        admins=("Ann", "Ben"),
        users=("Cy",),
        rooms={"ops": ("Ann", "Cy"), "fun": ("Ben",)},
        command_rooms=("ops",),
    ) as here:
        ann, ben, cy = map(here.user, ("Ann", "Ben", "Cy"))
        said = await ann.says("look gate", room="ops")
        await here.room("fun").should_receive_nothing()
        await here.room("ops").should_receive("look gate")
        await here.room("ops").should_receive_nothing()
        await cy.should_receive("look gate")
        await said.should_reply("look gate")
        await ben.should_receive_nothing()
        await ben.says("look gate", room="fun").should_not_reply()
        await ben.should_be_denied("look gate", room="fun")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"rooms": {"ops": ("Eve",)}}, "'Eve' is not a user; expected one of 'Ann'"),
        ({"second_channels": ("Eve",)}, "'Eve' is not a user"),
        ({"command_rooms": ("ops",)}, "'ops' is not a room; expected one of none"),
        ({"users": ("Ann",)}, "'Ann' is in the chat twice"),
    ],
)
async def test_setting_that_cannot_be_meant_is_refused(arguments: dict[str, object], problem: str) -> None:
    """Who or what is named and not there is told before anything begins."""
    with pytest.raises(ValueError, match=problem):
        await chat(ops(), **arguments).__aenter__()  # type: ignore[arg-type]


async def test_name_that_nobody_has_is_told() -> None:
    """A user, room, log or command that there is not, or a right that is none, is an error of the test."""
    async with chat(ops()) as here:
        ann = here.user("Ann")
        with pytest.raises(ValueError, match="nobody is called 'Eve'; expected one of 'Ann'"):
            here.user("Eve")
        with pytest.raises(ValueError, match="no room is called 'ops'; expected one of none"):
            ann.says("look", room="ops")
        with pytest.raises(ValueError, match="no bot 'bob' is watched; expected one of none"):
            here.log("bob")
        with pytest.raises(ValueError, match="'lok' is no command of this chat; expected 'look', 'wipe'"):
            await ann.should_be_denied("lok")
        with pytest.raises(ValueError, match=r"bad right 'look'; expected operation\.command"):
            here.grant(ann, "look")
        with pytest.raises(AssertionError, match="Ann was asked for no confirmation"):
            ann.confirms()
        with pytest.raises(LookupError, match="no code was sent to 'Ann' over the second channel"):
            here.second_channel.code_for("Ann")


async def test_operations_that_cannot_be_put_together_are_refused() -> None:
    """What the program refuses at its start is raised where the chat begins."""
    with pytest.raises(OperationError, match="two operations have the name 'ops'"):
        await chat(ops(), ops()).__aenter__()


async def test_granted_command_runs_until_the_grant_ends() -> None:
    """A grant holds for its user, command, place and time; a denial wins, and what is revoked holds no more."""
    async with chat(ops(), users=("Cy",), rooms={"ops": ("Cy",)}) as here:
        cy = here.user("Cy")
        here.grant(cy, "ops.look", until=START + timedelta(seconds=60))
        await cy.says("look gate").should_reply("look gate")
        await cy.should_be_denied("look gate", room="ops")
        await cy.should_be_denied("wipe gate")
        await here.move_on(60)
        await cy.should_be_denied("look gate")
        here.grant(cy, "*.*", room="ops")
        await cy.says("look gate", room="ops").should_reply("look gate")
        here.deny(cy, "ops.look", room="direct")
        await cy.says("look gate", room="ops").should_reply("look gate")
        denial = here.deny(cy, "ops.look")
        await cy.should_be_denied("look gate", room="ops")
        here.revoke(denial)
        await cy.says("look gate", room="ops").should_reply("look gate")


async def test_denial_is_compared_with_what_there_is_not() -> None:
    """Whoever may run something gets a sentence about unknown commands, and after too many of them silence."""
    async with chat(ops(), users=("Cy",)) as here:
        cy = here.user("Cy")
        here.grant(cy, "ops.look")
        for _ in range(8):
            await cy.should_be_denied("wipe gate")
        await cy.should_be_denied("grant Cy ops.wipe")
        await here.user("Ann").says("look gate").should_reply("look gate")


async def test_command_is_confirmed_by_who_has_asked() -> None:
    """`confirms` says the id that the bot has told; somebody else has been told none."""
    async with chat(ops(security=CONFIRM), admins=("Ann", "Ben")) as here:
        ann, ben = here.user("Ann"), here.user("Ben")
        await ann.says("wipe disk").should_reply(re.compile("Say `confirm"))
        with pytest.raises(AssertionError, match="Ben was asked for no confirmation"):
            ben.confirms()
        await ann.confirms().should_reply("wipe disk")
        await ann.says("wipe disk").should_reply(re.compile("Say `confirm"))
        await here.move_on(121)
        await ann.should_receive(re.compile("not confirmed in time"))
        await ann.confirms().should_reply(re.compile("nothing waits"))


async def test_rules_of_a_configuration_add_to_those_of_a_command() -> None:
    """What a configuration would ask for is asked for."""
    async with chat(ops(), rules={"look": (SecurityRule.PEER,)}, admins=("Ann", "Ben")) as here:
        said = here.user("Ann").says("look gate")
        await said.should_reply(re.compile("Another admin has to confirm"))
        await here.user("Ben").should_receive(re.compile("asks for:"))
        await here.user("Ben").confirms().should_reply("confirmed")
        await said.should_reply("look gate")


async def test_codes_of_an_authenticator_are_those_of_the_fake_time() -> None:
    """Each code works once, the next one 30 seconds later; one of an authenticator that is far ahead does not."""
    async with chat(ops(security=frozenset({SecurityRule.TOTP}))) as here:
        ann = here.user("Ann")
        await ann.says("wipe disk").should_reply(re.compile("no authenticator is enrolled"))
        phone = here.enrol(ann)
        await ann.says(f"wipe {phone.code()} disk").should_reply("wipe disk")
        await ann.says(f"wipe {phone.code()} disk").should_reply(re.compile("used before"))
        await here.move_on(30)
        await ann.says(f"wipe {phone.code(ahead=300)} disk").should_reply("that code is wrong")
        said = ann.says("wipe disk")
        await said.should_reply(re.compile("Send the code"))
        await ann.says(phone.code())
        await said.should_reply("wipe disk")
        await ann.says(f"wipe {phone.recovery_codes[0]} disk").should_reply("recovery codes left: 9")
        await ann.should_receive("wipe disk")


async def test_code_over_the_second_channel_is_there_to_be_read() -> None:
    """Whoever has a second channel gets a code there; where it fails nothing is done."""
    rule = frozenset({SecurityRule.OUT_OF_BAND})
    async with chat(ops(security=rule), admins=("Ann", "Ben"), second_channels=("Ann",)) as here:
        ann = here.user("Ann")
        said = ann.says("wipe disk")
        await said.should_reply(re.compile("second channel"))
        code = here.second_channel.code_for("Ann")
        await ann.says(code)
        await said.should_reply("wipe disk")
        assert here.second_channel.sent == [("Ann", f"{code} is the code for: wipe disk")]
        assert f"-- bot → Ann, over the second channel: {code}" in str(here.transcript)
        await here.user("Ben").says("wipe disk").should_reply(re.compile("none is configured for you"))
        here.second_channel.fail_next()
        said = ann.says("wipe disk")
        await said.should_reply(re.compile("Send the code"))
        await said.should_reply(re.compile("your second channel does not work"))
        with pytest.raises(RejectedError, match="there is no second channel to 'Ben' or 'ben-id'"):
            await here.second_channel.send(["Ben", "ben-id"], "text")


async def test_name_that_somebody_gives_himself_is_worth_nothing() -> None:
    """A stranger who calls himself like an admin is a stranger, and the operation hears his new name."""
    names: list[str | None] = []

    async def on_message(_context: Context, message: Message) -> None:
        names.append(message.sender.name)

    reader = Operation(name="reader", config=OperationConfig(), on_message=on_message)
    async with chat(ops(), reader, users=("Eve",)) as here:
        eve = here.user("Eve")
        eve.takes_name("Ann")
        await eve.should_be_denied("look gate")
    assert names == ["Ann"]


async def test_message_has_what_it_was_said_with() -> None:
    """Files, mentions and a quote reach the operation."""
    got: list[Message] = []

    async def on_message(_context: Context, message: Message) -> None:
        got.append(message)

    reader = Operation(name="reader", config=OperationConfig(), on_message=on_message)
    picture = Attachment(filename="a.png", content_type="image/png", data=b"123")
    async with chat(reader, users=("Cy",), rooms={"ops": ("Cy",)}) as here:
        await here.user("Cy").says("see", room="ops", attachments=(picture,), mentions=("bot",), quoted="what?")
    (message,) = got
    assert (message.attachments, message.mentions, message.quoted) == ((picture,), ("bot",), "what?")
    assert (message.room, message.conversation, message.sender.id) == ("ops@chatroom", "ops@chatroom", "cy-id")


async def test_failed_message_is_sent_again_in_time() -> None:
    """What fails is tried again by the fake time, what is refused for good is not; a lost receipt sends it twice."""
    async with chat(ops()) as here:
        ann = here.user("Ann")
        here.transport.fail_next(TransportError("down"), times=3)
        said = ann.says("look gate")
        await said.should_not_reply()
        await here.move_on(60)
        await said.should_reply("look gate")
        here.transport.lose_receipts()
        said = ann.says("look again")
        await said.should_reply("look again")
        await here.move_on(60)
        await said.should_reply("look again")
        here.transport.fail_next(RejectedError("blocked"))
        said = ann.says("look away")
        await here.move_on(3600)
        await said.should_not_reply()
    assert [entry.problem for entry in here.transcript.entries].count("did not go: down") == 3


async def test_throttled_chat_gets_everything_in_the_end() -> None:
    """Messages beyond a chat's limit come later, in order."""
    async with chat(ops(), users=("Cy",)) as here:
        here.transport.throttle(2, period=60)
        ann = here.user("Ann")
        said = [ann.says(f"look {number}") for number in range(5)]
        await said[1].should_reply("look 1")
        await said[0].should_reply("look 0")
        await ann.should_receive_nothing()
        await here.move_on(600)
        for number, text in ((2, "look 2"), (3, "look 3"), (4, "[12:00] look 4")):
            await said[number].should_reply(text)


async def test_limits_of_a_chat_and_its_language_are_kept() -> None:
    """What is too large for the chat is split, and the program speaks the language of its configuration."""
    async with chat(ops(), language="zh", limits=Limits(text_size=40), users=("Cy",)) as here:
        ann = here.user("Ann")
        await ann.says("xyzzy").should_reply(re.compile("不是您可用的命令"))
        said = ann.says(f"look {'gate ' * 9}")
        for number in (1, 2):
            await said.should_reply(re.compile(rf"{number}/2"))


async def test_audit_tells_what_was_decided() -> None:
    """What the program puts on record is there to be read."""
    async with chat(ops(), users=("Cy",)) as here:
        assert list(here.audit) == []
        await here.user("Cy").should_be_denied("look gate")
        await here.user("Ann").says("look gate").should_reply()
        rows = [(row["decision"], row["user"], row["command"], row["reason"]) for row in here.audit]
    assert rows[:2] == [("refused", "cy-id", "look", "stranger"), ("allowed", "ann-id", "look gate", "admin")]


async def test_what_lasts_is_found_by_the_next_chat(tmp_path: Path) -> None:
    """A chat in the same folder goes on with grants, enrolments and what operations keep, at the same clock."""

    async def count(context: Context, _invocation: Invocation) -> None:
        number = int(context.store.get("count") or 0) + 1
        context.store.put("count", str(number))
        await context.send(f"{number} at {context.now():%H:%M}")

    command = Command(name="count", handler=count, help="count", right=Right.GRANT)
    counter = Operation(name="counter", config=OperationConfig(), commands=(command,))
    clock = FakeClock()
    async with chat(counter, users=("Cy",), folder=tmp_path, clock=clock) as here:
        here.grant(here.user("Cy"), "counter.count")
        await here.user("Cy").says("count").should_reply("1 at 12:00")
        await here.move_on(60)
    async with chat(counter, users=("Cy",), folder=tmp_path, clock=clock) as here:
        await here.user("Cy").says("count").should_reply("2 at 12:01")
    async with chat(counter, users=("Cy",)) as here:
        await here.user("Cy").should_be_denied("count")


def alarm() -> Operation:
    """Make an operation that tells of errors, and of logins."""

    async def on_batch(context: Context, batch: LogBatch) -> None:
        await context.send(f"{batch.watch}: {', '.join(line.text for line in batch.lines)}")

    async def on_event(context: Context, event: Event) -> None:
        if event.kind is EventKind.LOGIN:
            await context.send(f"{event.watch}: {event.user} is in")

    return Operation(name="alarm", config=OperationConfig(), patterns=("ERROR",), on_batch=on_batch, on_event=on_event)


async def test_what_is_logged_reaches_the_operation_before_it_is_judged() -> None:
    """Lines are read by the real follower; nothing is judged before all that were written have been handed out."""
    async with chat(alarm(), watches=("bob", "carol")) as here:
        ann, bob = here.user("Ann"), here.log("bob")
        bob.write("all is well")
        await ann.should_receive_nothing()
        bob.write("ERROR 1", "well", "ERROR 2", "ERR", end="")
        await ann.should_receive("bob: ERROR 1, ERROR 2")
        await ann.should_receive_nothing()
        bob.write("OR 3")
        await ann.should_receive("bob: ERROR 3")
        here.log("carol").write("ERROR 4")
        await ann.should_receive("carol: ERROR 4")


async def test_rotated_log_is_read_on() -> None:
    """Renaming, compressing, truncating and growing again lose nothing that had been read."""
    async with chat(alarm(), watches=("bob",)) as here:
        ann, bob = here.user("Ann"), here.log("bob")
        rotations: tuple[Callable[[], object], ...] = (bob.rotate, bob.truncate, lambda: bob.rotate(compress=True))
        for number, rotate in enumerate(rotations):
            bob.write(f"ERROR {number}")
            await ann.should_receive(f"bob: ERROR {number}")
            rotate()
        bob.write("ERROR 3", "ERROR 4")
        await ann.should_receive("bob: ERROR 3, ERROR 4")
        bob.regrow("ERROR 5")
        await ann.should_receive(re.compile("ERROR 5"))
        here.ignore_so_far()


async def test_log_may_be_there_before_the_bot(tmp_path: Path) -> None:
    """A log of one's own is followed from its end; what the session was before is known."""
    with LogWriter(tmp_path / "bob.log") as log:
        log.write("22:44:35 INFO StarterBot Contact<Bob> login", "ERROR of old")
        async with chat(alarm(), log_of={"bob": log}, profile="wechaty-ts") as here:
            ann = here.user("Ann")
            await ann.should_receive_nothing()
            await ann.says("status bob").should_reply(re.compile("logged in as Bob"))
            log.write("22:44:36 INFO StarterBot Contact<Bob> logout", "22:44:37 INFO StarterBot Contact<Bob> login")
            await ann.should_receive("bob: Bob is in")


async def test_what_was_said_so_far_can_be_left_alone() -> None:
    """A test that is about what comes next need not expect what led there."""
    async with chat(ops()) as here:
        ann = here.user("Ann")
        await ann.says("look gate")
        here.ignore_so_far()
        await ann.should_receive_nothing()
        with pytest.raises(AssertionError, match="should have received 'look gate', and has not"):
            await ann.should_receive("look gate")


async def test_log_that_cannot_be_made_ends_the_chat(tmp_path: Path) -> None:
    """What keeps a chat from beginning is raised, and nothing of it stays open."""
    (tmp_path / "logs").write_text("no folder", encoding="utf-8")
    with pytest.raises(FileExistsError):
        await chat(log_of={"bob": LogWriter(tmp_path / "logs" / "bob.log")}).__aenter__()
