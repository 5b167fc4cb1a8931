"""`jobs`, `cancel`, `confirm` and `help`, as people in a chat use them."""

from __future__ import annotations

import re

from logmonitor import Command, Context, Invocation, Operation, OperationConfig, Right, SecurityRule
from logmonitor.testing import FakeClock, chat


def works(clock: FakeClock) -> Operation:
    """Make an operation whose one command takes an hour, and another has to be confirmed."""

    async def work(_context: Context, _invocation: Invocation) -> None:
        await clock.sleep(3600)

    async def wipe(context: Context, _invocation: Invocation) -> None:
        await context.send("wiped")

    return Operation(
        name="works",
        config=OperationConfig(),
        commands=(
            Command(name="work", handler=work, help="work", right=Right.GRANT, concurrent=True, timeout=7200.0),
            Command(name="wipe", handler=wipe, help="wipe", security=frozenset({SecurityRule.CONFIRM})),
        ),
    )


async def test_jobs_shows_an_admin_everybodys_and_others_their_own() -> None:
    """An admin sees whose a job is; who was granted one command sees his own alone, and cancels no other."""
    clock = FakeClock()
    async with chat(works(clock), admins=("Ann",), users=("Cy",), clock=clock) as here:
        ann, cy = here.user("Ann"), here.user("Cy")
        here.grant(cy, "works.work")
        await ann.says("jobs").should_reply("nothing is at work")
        await ann.says("work").should_not_reply()
        await cy.says("work").should_not_reply()
        number = (await ann.says("jobs").should_reply(re.compile(r"(?P<number>\d+): work, running for 0 s\n.*“Cy”")))[
            "number"
        ]
        await cy.says("jobs").should_reply(re.compile(r"^\d+: work, running for 0 s$"))
        await cy.says(f"cancel {number}").should_reply("there is no such job; `jobs` lists those that there are")
        await cy.says("cancel").should_reply(re.compile("was cancelled"))
        await cy.says("cancel").should_reply("nothing of yours is at work")
        await ann.says(f"cancel #{number}").should_reply(re.compile("was cancelled"))
        await ann.says("jobs").should_reply("nothing is at work")


async def test_cancel_asks_which_and_tells_both_where_it_is_anothers() -> None:
    """Of several of one's own one has to be named; an admin who ends another's job is told that it is being ended."""
    clock = FakeClock()
    async with chat(works(clock), admins=("Ann",), users=("Cy",), clock=clock) as here:
        ann, cy = here.user("Ann"), here.user("Cy")
        here.grant(cy, "works.work")
        await cy.says("work").should_not_reply()
        await cy.says("work").should_not_reply()
        await cy.says("cancel").should_reply("which one? Say `cancel` and a number; `jobs` lists them")
        first, second = re.findall(
            r"^(\d+):", (await ann.says("jobs").should_reply(re.compile("work"))).text, re.MULTILINE
        )
        for number in (second, first):
            await ann.says(f"cancel {number}").should_reply(f"job {number} is being cancelled")
            await cy.should_receive(f"job {number} (work) was cancelled")


async def test_confirm_wants_an_id() -> None:
    """Without an id `confirm` confirms nothing and says what it wants; with it what waits is done."""
    async with chat(works(FakeClock()), admins=("Ann",)) as here:
        ann = here.user("Ann")
        asked = await ann.says("wipe").should_reply(re.compile("`confirm (?P<id>....)`"))
        await ann.says("confirm").should_reply("confirm what? Say `confirm` and the id that stands in the question")
        await ann.says(f"confirm {asked['id']}").should_reply("wiped")


async def test_help_is_of_what_the_sender_may_run() -> None:
    """Who was granted one command reads of that one and of the companions, and nothing of any other."""
    async with chat(works(FakeClock()), admins=("Ann",), users=("Cy",)) as here:
        cy = here.user("Cy")
        here.grant(cy, "works.work")
        heard = await cy.says("help").should_reply(re.compile("work"))
        assert [row.split()[0].rstrip(":") for row in heard.text.splitlines()] == [
            "help",
            "confirm",
            "jobs",
            "cancel",
            "work",
        ]
        await cy.says("help wipe").should_reply(re.compile("^wipe is no command of yours"))
