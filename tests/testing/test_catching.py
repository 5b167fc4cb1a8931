"""The kit catches what it is there for, and says so with the whole transcript."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from logmonitor import Command, Context, Invocation, Message, Operation, OperationConfig, Right
from logmonitor.testing import chat

if TYPE_CHECKING:
    from collections.abc import Callable


def doors(config: OperationConfig | None = None) -> Operation:
    """Make an operation as it should be: it opens doors for whom it may."""

    async def open_door(context: Context, invocation: Invocation) -> None:
        await context.send(f"{invocation.text} is open")

    command = Command(name="open", handler=open_door, help="open a door", usage="DOOR", right=Right.GRANT)
    return Operation(name="doors", config=config or OperationConfig(), commands=(command,))


def telling(*receivers: str) -> Operation:
    """Make an operation that tells these of an open door, whoever has asked."""

    async def open_door(context: Context, invocation: Invocation) -> None:
        for to in receivers:
            await context.send(f"{invocation.text} is open", to=to)

    operation = doors()
    return replace(operation, commands=(replace(operation.commands[0], handler=open_door),))


def reading_along(answer: Callable[[Message], str | None]) -> Operation:
    """Make an operation that answers any message that `answer` has something to say to."""

    async def on_message(context: Context, message: Message) -> None:
        text = answer(message)
        if text is not None:
            await context.send(text, to=message.conversation)

    return replace(doors(), on_message=on_message)


def rude(_message: Message) -> str:
    """Answer everybody."""
    return "you may not open doors"


def count_votes() -> Callable[[Message], str | None]:
    """Count every message that votes, however old it is, and as often as it comes."""
    votes = 0

    def answer(message: Message) -> str | None:
        nonlocal votes
        votes += message.text == "vote"
        return f"{votes} votes" if message.text == "vote" else None

    return answer


async def test_sound_operation_passes() -> None:
    """An operation as it should be answers who may ask, where he asked, and nobody else."""
    async with chat(doors(), admins=("Ann", "Ben"), users=("Cy",)) as here:
        ann, ben, cy = map(here.user, ("Ann", "Ben", "Cy"))
        await ann.says("open gate").should_reply("gate is open")
        await ben.should_receive_nothing()
        await cy.says("open gate").should_not_reply()
        await cy.should_be_denied("open gate")


async def test_operation_that_answers_a_stranger_is_caught() -> None:
    """A stranger who gets an answer has received something, and learns that he was denied."""
    async with chat(reading_along(rude), users=("Cy",), strict=False) as here:
        cy = here.user("Cy")
        with pytest.raises(AssertionError, match="Cy should have received nothing in answer to 'hello', and has"):
            await cy.says("hello").should_not_reply()
        with pytest.raises(AssertionError, match="Cy should have received nothing, and has"):
            await cy.should_receive_nothing()
        with pytest.raises(AssertionError, match="should have been denied 'open gate' as if there were no such comma"):
            await cy.should_be_denied("open gate")


async def test_command_that_is_open_to_anyone_is_caught() -> None:
    """A command whose right was forgotten runs for a stranger, and the kit says that it ran."""
    operation = doors()
    lax = replace(operation, commands=(replace(operation.commands[0], right=Right.ANYONE),))
    async with chat(lax, users=("Cy",), strict=False) as here:
        with pytest.raises(AssertionError, match="Cy should have been denied 'open gate', and it ran"):
            await here.user("Cy").should_be_denied("open gate")


async def test_command_that_works_silently_is_caught() -> None:
    """A command that says nothing has run all the same."""
    ran: list[str] = []

    async def open_door(_context: Context, invocation: Invocation) -> None:
        ran.append(invocation.text)

    operation = doors()
    silent = replace(operation, commands=(replace(operation.commands[0], right=Right.ANYONE, handler=open_door),))
    async with chat(silent, users=("Cy",)) as here:
        with pytest.raises(AssertionError, match="and it ran"):
            await here.user("Cy").should_be_denied("open gate")
    assert ran == ["gate"]


async def test_operation_that_answers_everybody_is_caught() -> None:
    """Whoever is told something by mistake is found, whether a test asks for him or for nobody."""
    operation = telling("Ann", "Ben", "cy-id")
    async with chat(operation, admins=("Ann", "Ben"), users=("Cy",), strict=False) as here:
        await here.user("Ann").says("open gate").should_reply("gate is open")
        with pytest.raises(AssertionError, match="Cy should have received nothing, and has"):
            await here.user("Cy").should_receive_nothing()
        with pytest.raises(AssertionError, match="the bot has said what no assertion expects:") as told:
            await here.should_say_nothing_more()
    rows = str(told.value).partition("The transcript:")[0].splitlines()
    assert rows[1:] == ["  12:00:00  bot → Ben: gate is open", "  12:00:00  bot → Cy: gate is open"]


async def test_chat_is_strict_unless_told_otherwise() -> None:
    """What nobody has asked for makes the test fail at the end of the chat; a failure before it is told instead."""

    async def play(*, strict: bool, fails: bool = False) -> None:
        async with chat(telling("Ann", "Ben"), admins=("Ann", "Ben"), strict=strict) as here:
            await here.user("Ann").says("open gate").should_reply("gate is shut" if fails else "gate is open")

    with pytest.raises(AssertionError, match="the bot has said what no assertion expects"):
        await play(strict=True)
    with pytest.raises(AssertionError, match="Ann should have received 'gate is shut'"):
        await play(strict=True, fails=True)
    await play(strict=False)


async def test_message_to_nobody_is_caught() -> None:
    """An operation that writes to whom the chat does not know, or has not named as a contact, is told."""
    async with chat(telling("Ann", "Cy"), users=("Cy",), strict=False) as here:
        await here.user("Ann").says("open gate").should_reply("gate is open")
        with pytest.raises(AssertionError, match=re.escape("bot → nobody (Cy): gate is open  [did not go: the chat")):
            await here.should_say_nothing_more()
    async with chat(replace(telling("Ann", "Cy"), contacts=("Cy",)), users=("Cy",)) as here:
        await here.user("Ann").says("open gate").should_reply("gate is open")
        await here.user("Cy").should_receive("gate is open")


async def test_operation_that_answers_in_the_wrong_place_is_caught() -> None:
    """What was asked directly and is answered in a room has not been answered, and others have read it."""
    operation = telling("ops@chatroom")
    async with chat(operation, users=("Cy",), rooms={"ops": ("Ann", "Cy")}, strict=False) as here:
        with pytest.raises(AssertionError, match="Ann should have received 'gate is open' in answer to 'open gate'"):
            await here.user("Ann").says("open gate").should_reply("gate is open")
        with pytest.raises(AssertionError, match="Cy should have received nothing, and has"):
            await here.user("Cy").should_receive_nothing()


async def test_operation_that_forgets_a_receiver_is_caught() -> None:
    """Of two admins who should be told, the one who is not is named."""
    async with chat(telling("Ann"), admins=("Ann", "Ben")) as here:
        await here.user("Ann").says("open gate").should_reply("gate is open")
        with pytest.raises(AssertionError, match="Ben should have received 'gate is open', and has not"):
            await here.user("Ben").should_receive("gate is open")


async def test_operation_that_obeys_a_stale_command_is_caught() -> None:
    """What was written long ago and comes in now should lead to nothing."""
    async with chat(reading_along(count_votes()), users=("Cy",), strict=False) as here:
        here.transport.delay_next(3600)
        with pytest.raises(AssertionError, match="should have received nothing in answer to 'vote', and has") as told:
            await here.user("Cy").says("vote").should_not_reply()
    assert "Cy → bot: vote  [written 3600 s ago]" in str(told.value)


async def test_operation_that_obeys_a_message_twice_is_caught() -> None:
    """What the chat delivers twice should count once."""
    async with chat(reading_along(count_votes()), users=("Cy",), strict=False) as here:
        here.transport.duplicate_next()
        said = here.user("Cy").says("vote")
        await said.should_reply("1 votes")
        with pytest.raises(AssertionError, match="should have received nothing in answer to 'vote', and has") as told:
            await said.should_not_reply()
    assert "bot → Cy: 2 votes" in str(told.value)


async def test_program_obeys_no_stale_or_repeated_command() -> None:
    """A command of an admin that is stale is refused in a sentence, and one that comes twice is run once."""
    async with chat(doors()) as here:
        ann = here.user("Ann")
        here.transport.delay_next(3600)
        await ann.says("open gate").should_reply("that was written too long ago, nothing was done; send it again")
        here.transport.duplicate_next()
        await ann.says("open gate").should_reply("gate is open")


async def test_failure_shows_who_said_what_to_whom() -> None:
    """A failure tells what was expected and everything that passed: time, speaker, receivers, room, text."""
    async with chat(doors(), users=("Cy",), rooms={"ops": ("Ann", "Cy")}, command_rooms=("ops",), strict=False) as here:
        ann = here.user("Ann")
        await here.user("Cy").says("good morning", room="ops")
        await here.move_on(61)
        with pytest.raises(AssertionError) as told:
            await ann.says("open gate", room="ops").should_reply(re.compile("closed"))
    assert str(told.value).splitlines() == [
        "Ann should have received what the pattern 'closed' finds in answer to 'open gate', and has not",
        "The transcript:",
        "  12:00:00  Cy → #ops (bot, Ann): good morning",
        "  12:00:00  -- 61 s pass",
        "  12:01:01  Ann → #ops (bot, Cy): open gate",
        "  12:01:01  bot → #ops (Ann, Cy): gate is open",
    ]
