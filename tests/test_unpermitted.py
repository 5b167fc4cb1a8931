"""What becomes of commands that their senders may not run: silence, a record, a warning, and nobody wrongly accused."""

from __future__ import annotations

from logmonitor import Command, Context, Invocation, Operation, OperationConfig, Right
from logmonitor.testing import chat


async def nothing(_context: Context, _invocation: Invocation) -> None:
    """Do nothing."""


def shop(**config: object) -> Operation:
    """Make an operation with a command for anyone, one to be granted, and one for admins."""
    return Operation(
        name="shop",
        config=OperationConfig(**config),  # type: ignore[arg-type]
        commands=(
            Command(name="hours", handler=nothing, help="tell the hours", right=Right.ANYONE, read_only=True),
            Command(name="look", handler=nothing, help="look", right=Right.GRANT),
            Command(name="wipe", handler=nothing, help="wipe"),
        ),
    )


async def test_stranger_is_on_record_beside_a_command_for_anyone() -> None:
    """That something is open to everybody hides no attempt at what is not."""
    async with chat(shop(), admins=("Ann",), users=("Eve",)) as here:
        await here.user("Eve").says("wipe all").should_not_reply()
        await here.user("Eve").says("hello there").should_not_reply()
        refused = [(one["user"], one["command"], one["reason"]) for one in here.audit if one["decision"] == "refused"]
    assert refused == [("eve-id", "wipe", "stranger")]


async def test_stranger_who_goes_on_is_warned_of_once() -> None:
    """Ten attempts stand in the audit; then the admins are told, once an hour, and no more is written."""
    async with chat(shop(), admins=("Ann",), users=("Eve",)) as here:
        for number in range(15):
            await here.user("Eve").says(f"wipe {number}").should_not_reply()
        await here.user("Ann").should_receive(lambda text: "goes on asking for what is not allowed" in str(text))
        assert len([one for one in here.audit if one["decision"] == "refused"]) == 10


async def test_admin_of_an_operation_is_answered_however_often_he_asks() -> None:
    """Who is in charge of an operation is not cut off in an emergency."""
    async with chat(shop(admins=("Ben",)), admins=("Ann",), users=("Ben",)) as here:
        for _ in range(70):
            await here.user("Ben").says("wipe all")
        await here.user("Ben").says("status").should_reply(bool)
