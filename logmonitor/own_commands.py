"""The commands of the runtime itself that are about commands: help, and what becomes of those at work."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from logmonitor.language import translation
from logmonitor.operation import Command, Right
from logmonitor.wording import person_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from logmonitor.approval import Request
    from logmonitor.approver import Approver
    from logmonitor.jobs import Job, Jobs
    from logmonitor.operation import Context, Invocation
    from logmonitor.records import Message

COMPANIONS = frozenset({"help", "confirm", "jobs", "cancel"})
"""What everybody may run who may run anything else, and nobody who may not."""


def own_commands(
    *,
    approver: Approver,
    jobs: Jobs,
    is_admin: Callable[[Message], bool],
    help_of: Callable[[Message, str | None], tuple[str, ...]],
    language: str,
) -> tuple[Command, ...]:
    """Make `help`, `confirm`, `jobs` and `cancel`.

    An admin sees and cancels everybody's jobs, others their own. `help_of` tells what the sender of a message may run.
    """
    _ = translation(language)

    def visible_to(message: Message) -> tuple[Job, ...]:
        """Return the jobs but that which asks: an admin's everybody's, others' their own, and in a room the room's."""
        sees_all = is_admin(message)
        return tuple(
            job
            for job in jobs.all
            if job.request.invocation.message.id != message.id
            and (sees_all or job.request.user == message.sender.id)
            and (message.room is None or job.request.conversation == message.conversation)
        )

    async def tell_help(context: Context, invocation: Invocation) -> None:
        rows = help_of(invocation.message, next(iter(invocation.arguments), None))
        await context.send("\n".join(rows))

    async def confirm(context: Context, invocation: Invocation) -> None:
        if len(invocation.arguments) == 1:
            approver.confirm(invocation.message, invocation.arguments[0])
        else:
            await context.send(_("confirm what? Say `confirm` and the id that stands in the question"))

    async def list_jobs(context: Context, invocation: Invocation) -> None:
        asking = invocation.message.sender.id

        def owner(request: Request) -> str | None:
            sender = request.invocation.message.sender
            return None if sender.id == asking else person_text(sender)

        rows = jobs.rows(visible_to(invocation.message), names=owner)
        await context.send("\n".join(rows) or _("nothing is at work"))

    async def cancel(context: Context, invocation: Invocation) -> None:
        message = invocation.message
        known = visible_to(message)
        wanted = next(iter(invocation.arguments), None)
        if wanted is None:
            chosen = [job for job in known if job.request.user == message.sender.id]
        else:
            chosen = [job for job in known if str(job.id) == wanted.lstrip("#")]
        if len(chosen) == 1:
            jobs.cancel(chosen[0], by=message.sender.id)
            if chosen[0].request.conversation != message.conversation:
                await context.send(_("job {id} is being cancelled").format(id=chosen[0].id))
        elif chosen:
            await context.send(_("which one? Say `cancel` and a number; `jobs` lists them"))
        elif wanted is None:
            await context.send(_("nothing of yours is at work"))
        else:
            await context.send(_("there is no such job; `jobs` lists those that there are"))

    companion = partial(Command, right=Right.ANYONE, read_only=True, control=True)
    return (
        companion(
            name="help",
            handler=tell_help,
            help=_("list what you may ask for, or tell all about one command"),
            usage=_("[COMMAND]"),
        ),
        companion(
            name="confirm",
            handler=confirm,
            help=_("have the command done that waits for your confirmation"),
            usage=_("ID"),
        ),
        companion(
            name="jobs",
            handler=list_jobs,
            help=_("list the commands at work"),
        ),
        companion(
            name="cancel",
            handler=cancel,
            help=_("end a command at work"),
            usage=_("[NUMBER]"),
        ),
    )
