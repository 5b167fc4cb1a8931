"""What is put together wrongly is refused when it is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logmonitor import Command, Operation, OperationConfig, OperationError, Right, SecurityRule

if TYPE_CHECKING:
    from logmonitor import Context, Invocation


async def nothing(_context: Context, _invocation: Invocation) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"name": "QR"},
            "bad command name 'QR'; expected lower-case letters, digits, '-' and '_', a letter first",
        ),
        ({"name": ""}, "bad command name ''; expected lower-case letters, digits, '-' and '_', a letter first"),
        ({"help": ""}, "command 'qr' has no help; expected one sentence"),
        ({"timeout": 0}, "bad timeout 0 of command 'qr'; expected seconds above 0"),
    ],
)
def test_command_refuses_what_could_not_be_used(fields: dict[str, object], sentence: str) -> None:
    """A name that cannot be typed, no help and no time are refused."""
    with pytest.raises(OperationError) as refused:
        Command(**{"name": "qr", "handler": nothing, "help": "send it", **fields})  # type: ignore[arg-type]
    assert str(refused.value) == sentence


QR = Command(name="qr", handler=nothing, help="send it")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "1st"}, "bad operation name '1st'; expected lower-case letters, digits, '-' and '_', a letter first"),
        ({"patterns": ("ERROR",)}, "operation 'rescue' has patterns but no on_batch to receive their lines"),
        ({"commands": (QR, QR)}, "operation 'rescue' has command 'qr' twice"),
    ],
)
def test_operation_refuses_what_could_not_work(fields: dict[str, object], sentence: str) -> None:
    """A name that is none, patterns without a handler and two commands of one name are refused."""
    with pytest.raises(OperationError) as refused:
        Operation(**{"name": "rescue", "config": OperationConfig(), **fields})  # type: ignore[arg-type]
    assert str(refused.value) == sentence


def test_operation_with_a_dot_in_its_configured_name_is_refused() -> None:
    """Names with a dot are the program's own, such as the audit's in the store."""
    with pytest.raises(
        OperationError, match=r"bad name 'logmonitor\.audit' of operation 'x'; expected one without a dot"
    ):
        Operation(name="x", config=OperationConfig(name="logmonitor.audit"))


def test_command_for_anyone_cannot_ask_who_it_is() -> None:
    """What is for whoever writes has nobody whose code or confirmation it could ask for."""
    with pytest.raises(OperationError, match="command 'hours' is for anyone and asks for totp"):
        Command(name="hours", handler=nothing, help="x", right=Right.ANYONE, security=frozenset({SecurityRule.TOTP}))
