"""Restart, stop and start the process of a bot, and tell how it is.

All that can be known is looked at before anything is ended: a process that could not be started again is not restarted.
`logmonitor.launch_of`, `is_supervised` and `heirs` decide; what stands here are the steps, in their order.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from logmonitor import (
    Command,
    EventKind,
    HostError,
    Launch,
    Manager,
    Operation,
    OperationConfig,
    OperationError,
    Outcome,
    Priority,
    Problem,
    ProcessSelector,
    Right,
    change_rows,
    killed_rows,
    launch_of,
    origin_rows,
    pids_text,
    process_text,
    selector_of,
    session_text,
    succession,
    translation,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from logmonitor import Change, Context, Event, Invocation, Origin, Process

LOOK_SECONDS: Final = 60.0
"""How often it is looked how the bots were started, so that one that has ended by itself can be started again."""

_LISTED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is known of the bots' processes. It is never written down: how one was started holds its environment.

    `busy` are the bots of which a process is being changed. `origins` tell how each was started when it was last seen,
    `started` is what was started here, and `logins` counts those that logs have shown.
    """

    busy: frozenset[str] = frozenset()
    origins: Mapping[str, Origin] = field(default_factory=dict)
    started: Mapping[str, Process] = field(default_factory=dict)
    logins: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is to be done about the process of one bot, and what it is done with; `keep` replaces the `memory`."""

    context: Context
    bot: str
    selector: ProcessSelector
    terms: succession.Terms
    stdout: Path | None
    translate: Callable[[str], str]
    memory: Callable[[], Memory]
    keep: Callable[[Memory], None]

    @property
    def succession(self) -> succession.Succession:
        """The process as one that is given a successor."""
        return succession.Succession(
            context=self.context,
            selector=self.selector,
            terms=self.terms,
            logins=lambda: self.memory().logins.get(self.bot, 0),
            on_start=self.remember_start,
            on_late=self.tell_late,
        )

    def text(self, form: str, **values: object) -> str:
        """Fill in a sentence."""
        return form.format(bot=self.bot, selector=self.selector.text, **values)

    def launch_of(self, origin: Origin) -> Launch | str:
        """Return how to start a process again, or why it cannot be."""
        return launch_of(origin, stdout=self.stdout, translate=self.translate)

    def remember(self, origin: Origin) -> None:
        """Remember how the process was started."""
        memory = self.memory()
        self.keep(replace(memory, origins={**memory.origins, self.bot: origin}))

    def remember_start(self, process: Process) -> None:
        """Remember what was started here."""
        memory = self.memory()
        self.keep(replace(memory, started={**memory.started, self.bot: process}))

    async def tell(self, *rows: str, exit_code: int = 0) -> Outcome:
        """Answer who asked."""
        await self.context.send("\n".join(rows))
        return Outcome(exit_code=exit_code)

    async def report(self, change: Change) -> Outcome:
        """Answer what became of a restart or start."""
        _, context = self.translate, self.context
        rows = [*change_rows(self.bot, change, translate=_)]
        if change.problem is Problem.NO_LOGIN:
            rows.append(session_text(context.session(self.bot), now=context.now(), translate=_))
        if change.problem is None and self.terms.answers_on is not None:
            rows.append(self.text(_("port {port} answers"), port=self.terms.answers_on))
        if change.problem is None and self.terms.wait_for_login:
            rows.append(_("its log shows a login"))
        return await self.tell(*rows, exit_code=0 if change.problem is None else 1)

    async def tell_late(self, end: Process | HostError) -> None:
        """Answer what became of a restart or start that was cancelled half-way."""
        _ = self.translate
        if isinstance(end, HostError):
            text = _("{bot} was being started when that was cancelled, and may not run: {reason}")
            await self.tell(self.text(text, reason=end))
        else:
            text = _("cancelled too late to leave {bot} without a process: it runs as pid {pid}")
            await self.tell(self.text(text, pid=end.pid))


def restart_process(
    config: OperationConfig,
    *,
    process: str | None = None,
    command: str | None = None,
    pid_file: Path | None = None,
    port: int | None = None,
    systemd: str | None = None,
    pm2: str | None = None,
    supervisor: str | None = None,
    timeout: float = 10.0,
    stay_up: float = 3.0,
    respawn: float = 3.0,
    wait_for_login: bool = False,
    ready_timeout: float = 60.0,
    answers_on: int | None = None,
    stdout: Path | None = None,
) -> Operation:
    """Restart, stop and start a bot's process: the one that is named, else the one another operation names.

    `process` is its name; the other ways to say which are those of `ProcessSelector`. It is asked to end, and killed
    after `timeout` seconds. A restart has worked once the new process has stayed up for `stay_up` seconds and, where
    that is wanted, its log has shown a login and a port of this machine answers within `ready_timeout`. Whatever may
    bring it back by itself is given `respawn` seconds for that. `stdout` is the file that its output goes to from then
    on; without it the outputs have to be files, for nothing else can be kept.
    """
    selector = selector_of(
        process=process, command=command, pid_file=pid_file, port=port, systemd=systemd, pm2=pm2, supervisor=supervisor
    )
    if selector is not None:
        _check_unit(selector)
    terms = succession.Terms(
        timeout=timeout,
        respawn=respawn,
        stay_up=stay_up,
        ready_timeout=ready_timeout,
        answers_on=answers_on,
        wait_for_login=wait_for_login,
    )
    memory = Memory()
    _ = translation(config.language)

    def keep(changed: Memory) -> None:
        nonlocal memory
        memory = changed

    def errand_of(context: Context, bot: str) -> Errand | None:
        meant = selector or context.process(bot)
        if meant is None:
            return None
        return Errand(
            context=context,
            bot=bot,
            selector=meant,
            terms=terms,
            stdout=stdout,
            translate=_,
            memory=lambda: memory,
            keep=keep,
        )

    def command_of(word: str, doing: Callable[[Errand], Awaitable[Outcome]], text: str) -> Command:
        async def handle(context: Context, invocation: Invocation) -> Outcome:
            bot = invocation.watch or ""
            errand = errand_of(context, bot)
            if errand is not None:
                return await _run(word, doing, errand)
            await context.send(_("no operation says which process is that of {bot}").format(bot=bot))
            return Outcome(exit_code=1)

        def objection(invocation: Invocation) -> str | None:
            form = _("{command} takes the name of a bot and nothing else")
            return form.format(command=word) if invocation.arguments else None

        return Command(
            name=word,
            handler=handle,
            help=text,
            usage=_("[BOT]"),
            takes_watch=True,
            right=Right.GRANT,
            objection=objection,
            read_only=doing is _tell,
            concurrent=True,
            timeout=terms.longest,
        )

    async def look(context: Context) -> None:
        for errand in filter(None, (errand_of(context, bot) for bot in context.watches)):
            await _look(errand)
        context.wake_at(context.monotonic() + LOOK_SECONDS)

    async def on_start(context: Context) -> None:
        unnamed = [bot for bot in context.watches if errand_of(context, bot) is None]
        if unnamed:
            text = _("restart_process can do nothing: no operation says which process is that of {bot}")
            await context.send(text.format(bot=", ".join(unnamed)), priority=Priority.ALERT)
        await look(context)

    async def on_event(_context: Context, event: Event) -> None:
        nonlocal memory
        if event.kind is EventKind.LOGIN and event.trusted:
            count = memory.logins.get(event.watch, 0) + 1
            memory = replace(memory, logins={**memory.logins, event.watch: count})

    return Operation(
        name="restart_process",
        config=config,
        on_start=on_start,
        on_tick=look,
        on_event=on_event,
        process=selector,
        commands=(
            command_of("restart", _restart, _("end the bot's process and start it again as it was")),
            command_of("stop", _stop, _("end the bot's process")),
            command_of("start", _start, _("start the bot's process as it was when it was last seen")),
            command_of("ps", _tell, _("tell how the bot's process is, and whether it can be restarted")),
        ),
    )


async def _run(word: str, doing: Callable[[Errand], Awaitable[Outcome]], errand: Errand) -> Outcome:
    """Do what a command says, and nothing that changes a process while another does."""
    _, changes = errand.translate, doing is not _tell
    busy = frozenset({errand.bot} if changes else ())
    if busy & errand.memory().busy:
        return await errand.tell(errand.text(_("{bot} is being restarted, stopped or started")), exit_code=1)
    errand.keep(replace(errand.memory(), busy=errand.memory().busy | busy))
    try:
        return await doing(errand)
    except HostError as error:
        text = _("{command} of {bot} failed: {reason}")
        return await errand.tell(errand.text(text, command=word, reason=error), exit_code=1)
    finally:
        errand.keep(replace(errand.memory(), busy=errand.memory().busy - busy))


async def _restart(errand: Errand) -> Outcome:
    """End what runs, and have it run again."""
    if errand.selector.unit is not None:
        return await errand.report(await succession.order(errand.succession, errand.selector.unit, "restart"))
    found, _ = await _find(errand), errand.translate
    if not found:
        return await _begin(errand)
    if len(found) > 1:
        return await _list(errand, found)
    origin = await errand.context.host.inspect(found[0])
    errand.remember(origin)
    launch = errand.launch_of(origin)
    if isinstance(launch, Launch):
        try:
            await errand.context.host.rehearse(launch)
        except HostError as error:
            launch = str(error)
    if isinstance(launch, str):
        text = _("{bot} was not restarted, and runs on as pid {pid}: {reason}")
        return await errand.tell(errand.text(text, pid=found[0].pid, reason=launch), exit_code=1)
    return await errand.report(await succession.restart(errand.succession, origin, launch))


async def _start(errand: Errand) -> Outcome:
    """Have run what does not."""
    found, _ = await _find(errand), errand.translate
    if found:
        rows = (process_text(process, now=errand.context.now(), translate=_) for process in found[:_LISTED])
        return await errand.tell(errand.text(_("{bot} runs already:")), *rows)
    if errand.selector.unit is not None:
        return await errand.report(await succession.order(errand.succession, errand.selector.unit, "start"))
    return await _begin(errand)


async def _begin(errand: Errand) -> Outcome:
    """Start what does not run, as it was when it was last seen."""
    _, origin = errand.translate, errand.memory().origins.get(errand.bot)
    launch = _("it has not been seen running since logmonitor began") if origin is None else errand.launch_of(origin)
    if isinstance(launch, str):
        text = _("{bot} does not run, and cannot be started from here: {reason}")
        return await errand.tell(errand.text(text, reason=launch), exit_code=1)
    return await errand.report(await succession.start(errand.succession, launch))


async def _stop(errand: Errand) -> Outcome:
    """End what runs, and have it stay so."""
    _, origin = errand.translate, None
    if errand.selector.unit is not None:
        change = await succession.order(errand.succession, errand.selector.unit, "stop")
    else:
        found = await _find(errand)
        if not found:
            return await errand.tell(errand.text(_("{bot} does not run ({selector})")))
        if len(found) > 1:
            return await _list(errand, found)
        origin = await errand.context.host.inspect(found[0])
        errand.remember(origin)
        change = await succession.stop(errand.succession, origin)
    if change.problem is not None:
        return await errand.report(change)
    if change.after:
        text = _("{bot} was ended, and brought back as pid {pid}; stop it where it is kept: {keeper}")
        text = errand.text(text, pid=pids_text(change.after), keeper=change.keeper or "?")
        return await errand.tell(text, exit_code=1)
    rows = [errand.text(_("{bot} was stopped: pid {pids}"), pids=pids_text(change.before) or "–")]
    rows.extend(killed_rows(change.ending, translate=_))
    launch = None if origin is None else errand.launch_of(origin)
    if isinstance(launch, str):
        rows.append(errand.text(_("`start` cannot start it again: {reason}"), reason=launch))
    return await errand.tell(*rows)


async def _tell(errand: Errand) -> Outcome:
    """Tell how a process is."""
    _, now = errand.translate, errand.context.now()
    found = await _find(errand)
    origin = errand.memory().origins.get(errand.bot)
    rows = [f"{errand.bot}: {process_text(process, now=now, translate=_)}" for process in found[:_LISTED]]
    if not found:
        rows.append(errand.text(_("{bot} does not run ({selector})")))
    elif len(found) == 1:
        origin = await errand.context.host.inspect(found[0])
        rows.extend(origin_rows(origin, translate=_))
    if errand.selector.unit is None and len(found) <= 1:
        unknown = _("it has not been seen running since logmonitor began")
        launch = unknown if origin is None else errand.launch_of(origin)
        if isinstance(launch, str):
            rows.append(errand.text(_("it cannot be started from here: {reason}"), reason=launch))
    return await errand.tell(*rows)


async def _find(errand: Errand) -> tuple[Process, ...]:
    """Find what is meant; what was started here even where nothing leads to it, as a pid file that nobody writes."""
    host, started = errand.context.host, errand.memory().started.get(errand.bot)
    found = await host.find(errand.selector)
    if found or started is None or not await host.is_running(started):
        return found
    return ((await host.inspect(started)).process,)


async def _look(errand: Errand) -> None:
    """Remember how a process was started, for when it runs no more."""
    if errand.selector.unit is not None or errand.bot in errand.memory().busy:
        return
    with suppress(HostError):
        found = await _find(errand)
        if len(found) == 1:
            errand.remember(await errand.context.host.inspect(found[0]))


async def _list(errand: Errand, found: tuple[Process, ...]) -> Outcome:
    """Show which processes are meant alike."""
    _, now = errand.translate, errand.context.now()
    rows = [errand.text(_("{selector} means {count} processes; nothing was done:"), count=len(found))]
    rows.extend(process_text(process, now=now, translate=_) for process in found[:_LISTED])
    if len(found) > _LISTED:
        rows.append(errand.text(_("… and {count} more"), count=len(found) - _LISTED))
    return await errand.tell(*rows, exit_code=1)


def _check_unit(selector: ProcessSelector) -> None:
    """Refuse a unit's name that its manager would read as an option, or as all units."""
    manager, name = selector.unit or (None, "")
    if name.startswith("-") or (name == "all" and manager is not Manager.SYSTEMD):
        raise OperationError(f"bad {manager} {name!r}; expected the name of one unit")
