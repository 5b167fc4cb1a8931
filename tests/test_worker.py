"""One operation at work, as its people see it."""

from __future__ import annotations

import pytest

from logmonitor import Command, Context, Invocation, Operation, OperationConfig
from logmonitor.testing import chat


def reminder(*, control: bool) -> Operation:
    """Make an operation that reminds the admins when the time has come."""

    async def remind(context: Context, invocation: Invocation) -> None:
        context.wake_at(context.monotonic() + float(invocation.arguments[0]))

    async def on_tick(context: Context) -> None:
        await context.send(f"it is {context.monotonic():g}")

    command = Command(name="remind", handler=remind, help="remind you", usage="SECONDS", control=control)
    return Operation(name="reminder", config=OperationConfig(), commands=(command,), on_tick=on_tick)


@pytest.mark.parametrize("control", [False, True])
async def test_operation_is_woken_whichever_handler_asked_for_it(*, control: bool) -> None:
    """A control command, which runs beside the operation's other handlers, can have it woken like any other."""
    async with chat(reminder(control=control)) as here:
        ann = here.user("Ann")
        await ann.says("remind 10").should_not_reply()
        await here.move_on(9)
        await ann.should_receive_nothing()
        await here.move_on(1)
        await ann.should_receive("it is 10")


async def test_operation_is_woken_at_the_earliest_time_asked_for() -> None:
    """Of several times the earliest wins, whichever was asked for first."""
    async with chat(reminder(control=True)) as here:
        ann = here.user("Ann")
        for seconds in (20, 10, 15):
            await ann.says(f"remind {seconds}").should_not_reply()
        await here.move_on(60)
        await ann.should_receive("it is 10")
        await ann.should_receive_nothing()
