"""Everything at work: followers, the chat and the operations, in one TaskGroup, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from logmonitor.checkpoint import FLUSH_SECONDS as CHECKPOINT_SECONDS
from logmonitor.checkpoint import Checkpoint
from logmonitor.clock import SystemClock
from logmonitor.command import processes_of
from logmonitor.directory import Directory
from logmonitor.dispatcher import Dispatcher, Safeguards
from logmonitor.escalating.assembly import make_escalation
from logmonitor.granting.commands import grant_commands
from logmonitor.host import LocalHost
from logmonitor.isolation import isolated
from logmonitor.language import translation
from logmonitor.lasting import Lasting
from logmonitor.lease import Reach
from logmonitor.notify import Notifier
from logmonitor.outbox import Outbox
from logmonitor.overview import Overview
from logmonitor.own_account import OWNER, OwnAccount
from logmonitor.pid_file import PidFile
from logmonitor.qr import render_png
from logmonitor.recorder import Recorder
from logmonitor.records import Priority, Qr, Session
from logmonitor.rescuer import Rescuer
from logmonitor.second_channel import AppriseChannel
from logmonitor.totp import Totp
from logmonitor.transport import CanWait, is_up
from logmonitor.watcher import Watcher
from logmonitor.wording import broken_text, standing_text
from logmonitor.worker import Watching, Worker, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from logmonitor.clock import Clock
    from logmonitor.config import Config
    from logmonitor.machine import Host
    from logmonitor.operation import Command, Context, Operation
    from logmonitor.second_channel import SecondChannel
    from logmonitor.transport import Transport

_log = logging.getLogger(__name__)
FLUSH_SECONDS: Final = 5.0
RESTART_SECONDS: Final = 1.0
HOLD_SECONDS: Final = 30.0
_FIRST_QR: Final = Qr(payload="logmonitor")  # drawn at the start, so that no rescue waits for the drawing to be loaded


async def serve(
    config: Config,
    *,
    transport: Transport,
    operations: tuple[Operation, ...],
    stop: asyncio.Event,
    clock: Clock | None = None,
    host: Host | None = None,
    channel: SecondChannel | None = None,
    notifier: Notifier | None = None,
) -> None:
    """Follow, rescue and answer until `stop` is set; then let the outbox finish and close the chat.

    `clock` is by what everything here is timed but the following of files, `host` the machine that operations touch,
    `channel` how codes reach people beside the chat; without them the machine's own, and what the configuration names.
    `notifier` tells whoever started this program as a service how it is.

    Raises:
        OperationError: two operations claim the same name or command.
        StoreError: the store is another program's, or a newer version's.
        TransportError: the chat cannot be entered, or is lost for good.
    """
    host = host or LocalHost()
    with Lasting(config) as lasting:
        pid_file = PidFile(config.bot.pid_file, host)
        runtime = _Runtime(
            config,
            transport=transport,
            operations=operations,
            stop=stop,
            lasting=lasting,
            clock=clock or SystemClock(),
            host=host,
            pid_file=pid_file,
            channel=channel or AppriseChannel({one.admin: one.url for one in config.second_channels}),
        )
        notifier = notifier or Notifier()
        async with pid_file, notifier.attending(is_at_work=runtime.is_at_work, stop=stop, status=runtime.standing):
            with runtime.rescuer or nullcontext():
                await _serve(runtime, transport, stop)


async def _serve(runtime: _Runtime, transport: Transport, stop: asyncio.Event) -> None:
    """Be in the chat and at work until `stop` is set."""
    async with _entered(transport, stop), asyncio.TaskGroup() as tasks:
        delivery = tasks.create_task(runtime.deliver())
        work = tasks.create_task(runtime.work())
        await stop.wait()
        await runtime.stop()
        work.cancel()
        await asyncio.wait({work})
        if not await runtime.outbox.flush(FLUSH_SECONDS):
            _log.warning("%d messages were not delivered", runtime.outbox.delivery().waiting)
        delivery.cancel()


@asynccontextmanager
async def _entered(transport: Transport, stop: asyncio.Event) -> AsyncIterator[None]:
    """Be in the chat; give up entering it when told to stop meanwhile."""
    entering, stopping = asyncio.ensure_future(transport.__aenter__()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({entering, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not entering.done():
            entering.cancel()
            await asyncio.wait({entering})
    if entering.cancelled():
        yield
        return
    await entering
    try:
        yield
    finally:
        await transport.__aexit__(*sys.exc_info())


class _Runtime:
    """The parts, put together."""

    def __init__(
        self,
        config: Config,
        *,
        transport: Transport,
        operations: tuple[Operation, ...],
        stop: asyncio.Event,
        lasting: Lasting,
        clock: Clock,
        host: Host,
        pid_file: PidFile,
        channel: SecondChannel,
    ) -> None:
        self._config = config
        self._pid_file = pid_file
        self._stop = stop
        self.is_at_work = asyncio.Event()
        self._transport = transport
        self._lasting = lasting
        self._clock = clock
        self._translate = translation(config.bot.language)
        names = set(config.chat.admins)
        for operation in operations:
            names.update(operation.config.admins or (), operation.contacts)
        self._directory = Directory(transport, names)
        self.rescuer = self._make_rescuer()
        self._own_account = OwnAccount(
            config,
            transport=transport,
            directory=self._directory,
            store=lasting.store.view(OWNER),
            gate=self.rescuer,
            translate=self._translate,
        )
        self.outbox = Outbox(
            self._directory,
            letters=lasting.store.letters,
            gate=self._own_account.gate,
            translate=self._translate,
            secrets=config.secrets,
            zone=config.bot.timezone,
            now=clock.now,
            monotonic=clock.monotonic,
            sleep=clock.sleep,
        )
        self._sessions = {watch.name: Session(watch=watch.name) for watch in config.watches}
        self._checkpoint = Checkpoint(lasting.store, self.outbox, now=clock.now)
        world = World(
            outbox=self.outbox,
            directory=self._directory,
            sessions=self._sessions,
            host=host,
            admins=config.chat.admins,
            store=lasting.store,
            checkpoint=self._checkpoint,
            clock=clock,
            watching=Watching(
                watches={watch.name: watch for watch in config.watches},
                processes=processes_of(operations),
                logs=lambda name: self._watcher(name).logs(),
                log_clock=lambda name: self._watcher(name).log_clock(),
                overview=self._tell_overview,
            ),
        )
        self._escalation = make_escalation(
            config,
            self.outbox,
            operations=operations,
            directory=self._directory,
            transport=transport,
            translate=self._translate,
            clock=clock,
        )
        self._workers = tuple(Worker(operation, world) for operation in operations)
        self._watchers = tuple(
            Watcher(
                watch,
                workers=self._workers,
                sessions=self._sessions,
                bot=config.bot,
                checkpoint=self._checkpoint,
                report=self._alert,
                clock=clock,
            )
            for watch in config.watches
        )
        self._overview = Overview(
            watchers=self._watchers,
            workers=self._workers,
            sessions=self._sessions,
            transport=transport,
            directory=self._directory,
            outbox=self.outbox,
            escalation=self._escalation,
            lasting=lasting,
            rescuer=self.rescuer,
            broken=config.broken,
            translate=self._translate,
        )
        self._dispatcher = Dispatcher(
            self._workers,
            world,
            Safeguards(
                totp=Totp(lasting.store, lasting.seal, now=clock.now),
                channel=channel,
                recorder=Recorder(lasting.audit, clock),
                rules=config.security.rules,
                rooms=config.chat.rooms,
                max_age=config.security.max_age,
            ),
            start=self._start,
            commands=(self._overview.command(), *self._grant_commands(clock)),
            language=config.bot.language,
        )

    async def deliver(self) -> None:
        """Empty the outbox until cancelled; an error in a transport's own code ends no more than one message."""
        while True:
            try:
                await self.outbox.run()
            except ExceptionGroup:
                _log.exception("the transport failed in a way that it should not; going on")
                await asyncio.sleep(RESTART_SECONDS)

    async def work(self) -> None:
        """Do everything but deliver what is sent, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._create_task = tasks.create_task
            self._tell_news()
            tasks.create_task(asyncio.to_thread(render_png, _FIRST_QR))
            tasks.create_task(self._directory.run())
            for worker in self._workers:
                tasks.create_task(worker.run())
            for watcher in self._watchers:
                tasks.create_task(watcher.run())
            tasks.create_task(self._receive())
            tasks.create_task(self._keep_progress())
            tasks.create_task(self._escalation.run())
            if self.rescuer is not None:
                tasks.create_task(self.rescuer.run())
            tasks.create_task(self._own_account.run(self.outbox))
            self.is_at_work.set()

    def standing(self) -> str:
        """Tell in one line how the chat and the bots are."""
        return standing_text(self._transport.health(), self._sessions.values(), waiting=self.outbox.delivery().waiting)

    async def _keep_progress(self) -> None:
        """Write now and then how far the logs have been handled, and at the end."""
        try:
            while True:
                await asyncio.sleep(CHECKPOINT_SECONDS)
                self._checkpoint.flush()
                failure = self._checkpoint.failure or self.outbox.store_failure
                for text in self._lasting.turns(failure, self._clock.monotonic(), self._translate):
                    self._alert(text)
        finally:
            self._checkpoint.flush()

    def _make_rescuer(self) -> Rescuer | None:
        """Return what this bot shares rescues with others by, None where it does not."""
        if self._config.rescue is None:
            return None
        return Rescuer(
            self._config.rescue,
            name=self._config.bot.name,
            watches=[watch.name for watch in self._config.watches],
            reach=self._reach,
            waiting_for=self._keyed_wait,
            names_of=self._directory.known_as,
            tell=self._alert,
            translate=self._translate,
            clock=self._clock,
        )

    def _keyed_wait(self, watch: str) -> float | None:
        """Return for how many seconds the oldest message about a bot that others may have too has waited here."""
        return self.outbox.oldest_keyed_wait(watch)

    def _reach(self) -> Reach:
        """Tell how the admins can be reached now: a chat that is tried although it says that it is down may fail."""
        if is_up(self._transport):
            return Reach.CHAT
        is_tried = not isinstance(self._transport, CanWait)
        return Reach.FALLBACK if self._config.fallbacks or is_tried else Reach.NONE

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Do something beside everything else."""
        return self._create_task(work)

    def _tell_overview(self, context: Context, watch: str | None) -> tuple[str, ...]:
        """Tell how one bot is, or everything."""
        return self._overview.rows(context, watch)

    def _watcher(self, name: str) -> Watcher:
        """Return who follows a bot that is watched."""
        return next(watcher for watcher in self._watchers if watcher.name == name)

    def _grant_commands(self, clock: Clock) -> tuple[Command, ...]:
        return grant_commands(
            self._lasting.store,
            resolve=self._directory.resolve,
            commands=lambda: self._dispatcher.commands,
            zone=self._config.bot.timezone,
            language=self._config.bot.language,
            now=clock.now,
            audit=self._lasting.audit,
        )

    async def stop(self) -> None:
        """End what is at work for somebody, and tell them."""
        await self._dispatcher.stop()

    def _tell_news(self) -> None:
        """Tell the admins what was lost, and what does not work."""
        for broken in self._config.broken:
            _log.error("%s", broken_text(broken, str))
        for text in (
            *(broken_text(broken, self._translate) for broken in self._config.broken),
            *self._pid_file.news(self._translate),
            *self._lasting.news(self._clock.now(), self._translate),
        ):
            self._alert(text)

    def _alert(self, text: str) -> None:
        """Tell the chat's admins something that no operation has to say."""
        for admin in self._config.chat.admins:
            self.outbox.put(self._directory.address(admin), text, priority=Priority.ALERT)

    async def _receive(self) -> None:
        """Let messages take effect as they come; the first waits until it is known who the admins are, or for long."""
        is_waited_for = False
        async for message in self._transport.messages():
            if not is_waited_for:
                await self._wait_for_admins()
                is_waited_for = True
            with isolated(lambda error: _log.error("a message was not understood", exc_info=error)):
                self._dispatcher.handle(message)
        if not is_up(self._transport):
            _log.warning("the chat has ended: %s", self._transport.health().reason)
            self._stop.set()

    async def _wait_for_admins(self) -> None:
        """Wait until everybody was looked up once: until then an admin is a stranger, and would not be obeyed."""
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                await self._directory.wait_until_looked_up()
        except TimeoutError:
            _log.warning("the admins were not looked up within %g s; those unknown are strangers", HOLD_SECONDS)
