"""logmonitor inside a bot that runs on the Python SDK of Wechaty: one line in the bot, and no second connection.

Import this module before `wechaty`: the SDK cannot be imported on today's Python until what keeps it from that has been
mended, which importing this module does (`wechaty_sdk.mending`). Where else it reaches into the SDK a comment says why.
"""

from __future__ import annotations

import asyncio
import logging
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakSet

from logmonitor.isolation import isolated
from logmonitor.runtime import serve
from logmonitor.transports.puppet_service.puppet import LOST
from logmonitor.transports.wechaty_sdk.ear import Ear
from logmonitor.transports.wechaty_sdk.mending import mend, without_known_warnings
from logmonitor.transports.wechaty_sdk.settings import Safety, make_configuration
from logmonitor.transports.wechaty_sdk.work import Work

with without_known_warnings():
    mend()
    from wechaty import Wechaty, WechatyPlugin
    from wechaty.schema import PluginStatus
    from wechaty_puppet_service import PuppetService

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from wechaty import WechatyPluginOptions

    from logmonitor.config import WatchConfig
    from logmonitor.operation import Operation
    from logmonitor.transports.puppet_service.account import AccountChat

__all__ = ["WechatyLogMonitor"]

_log = logging.getLogger(__name__)
_STOPPED: Final = "the bot has stopped"


class WechatyLogMonitor(WechatyPlugin):  # type: ignore[misc]  # the SDK has no types
    """Follows the logs of other bots and rescues them, by the account of the bot that uses it.

        from logmonitor import OperationConfig
        from logmonitor.transports.wechaty_plugin import WechatyLogMonitor  # before wechaty
        from operations.qr_rescue import qr_rescue
        from wechaty import Wechaty, WechatyOptions

        config = OperationConfig(watch="bob", admins=("AdminWeixin",))  # follows bob.log
        bot = Wechaty(WechatyOptions(endpoint="127.0.0.1:8788", token="secret"))
        bot.use(WechatyLogMonitor(operations=[qr_rescue(config, login_test="您好世界")], self_log="alice.log"))
        asyncio.run(bot.start())

    It is used before the bot is started, works from that start on, before the first scan, through every login and
    restart, and ends with the bot. The bot's own handlers and other plugins are told everything as without it. One
    object serves one bot: a second one that uses it while the first has not stopped goes on without, and says so.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        *,
        watches: Sequence[WatchConfig] = (),
        admins: Sequence[str] = (),
        rooms: Sequence[str] = (),
        self_log: str | Path | None = None,
        pid_file: str | Path | None = None,
        twin_key: str | None = None,
        require_signed: bool = False,
        bot_name: str = "",
        language: str = "en",
        timezone: str | None = None,
        store: str | Path | None = None,
        audit: str | Path | Literal[False] | None = None,
        key_file: str | Path | None = None,
        key: str | None = None,
        max_age: float | None = None,
        rules: Mapping[str, Collection[str]] | None = None,
        second_channels: Mapping[str, str] | None = None,
        options: WechatyPluginOptions | None = None,
    ) -> None:
        """Say what to do; nothing is started. Relative paths are taken from the working directory of now.

        Args:
            operations: what to do about which bot; a bot called `bob` that `watches` does not name is followed at
                `bob.log`.
            watches: bots whose logs are elsewhere, several, or of a certain family: `WatchConfig(name="bob",
                logs=("/srv/bob/*.log",))`.
            admins: who may run every command and is told what an operation without admins of its own tells: ids, weixin
                numbers or aliases. An operation's own admins may run its commands, and are told what it tells.
            rooms: ids of rooms in which an admin is heard as in a direct message.
            self_log: the file for what happens to this bot's own account, so that a twin can rescue it.
            pid_file: the file for the id of this process while it works, so that a twin can find it.
            twin_key: the key that `logmonitor key` prints and twins share; it signs `self_log` and verifies the others.
            require_signed: let nothing but lines signed with `twin_key` move the session of any bot.
            bot_name: the name by which its twin watches this bot; without it that of `self_log`, as in `alice.log`.
            language: that of what is said about bots and commands: `en` or `zh`.
            timezone: that of dates in chat, such as `Asia/Shanghai`; without it the machine's.
            store: the file for what must last; without it `alice.db` beside a `self_log` called `alice.log`, else
                `logmonitor.db`.
            audit: the file for what was decided, `False` for none; without it as `store`, with `.audit.jsonl`.
            key_file: the file with the key to the secrets in the store; without it as `store`, with `.key`.
            key: that key itself, in place of the file.
            max_age: the seconds after which a message is too old to be obeyed; without it 60.
            rules: what commands ask for besides their own: `{"sh*": ["totp", "confirm"]}`, by name or pattern.
            second_channels: a way to an admin beside the chat, as an Apprise URL by the admin's name.
            options: the SDK's, for its web page.

        Raises:
            ConfigurationError: something about that is wrong.
        """
        self._operations = tuple(operations)
        self._config = make_configuration(
            self._operations,
            watches=watches,
            admins=admins,
            rooms=rooms,
            self_log=self_log,
            pid_file=pid_file,
            twin_key=twin_key,
            require_signed=require_signed,
            bot_name=bot_name,
            language=language,
            safety=Safety(
                timezone=timezone,
                store=store,
                audit=audit,
                key_file=key_file,
                key=key,
                max_age=max_age,
                rules=rules or {},
                second_channels=second_channels or {},
            ),
            folder=Path.cwd(),
        )
        self._starts = 0
        self._is_held = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._puppet: PuppetService | None = None
        self._reporting: WeakSet[PuppetService] = WeakSet()
        self._ear: Ear | None = None
        self._work: Work | None = None
        super().__init__(options)

    @property
    def scheduler(self) -> object:
        """The SDK's own, of the last bot that used this object; nothing here needs it."""
        return super().scheduler

    @scheduler.setter
    def scheduler(self, scheduler: object) -> None:
        # The SDK raises "can't set scheduler twice" where a second bot uses a plugin, and ends what starts both: whose
        # it is, and whether the first has stopped by then, is better told when that bot starts.
        setattr(self, self._scheduler_field, scheduler)

    async def on_running(self) -> None:
        """Begin again, because the SDK's web page says so."""
        if self._puppet is not None and self._ear is not None and self._ear.is_closed:
            self.listen(self._puppet, is_from_start=False)

    async def on_stoped(self) -> None:
        """End, because the SDK's web page says so."""
        self.end()

    def serves_another(self, puppet: PuppetService) -> bool:
        """Tell whether it is another bot's, which has not stopped, than the one of `puppet`."""
        is_alive = self._loop is not None and not self._loop.is_closed()
        return self._is_held and is_alive and self._puppet is not puppet

    def listen(self, puppet: PuppetService, *, is_from_start: bool = True) -> None:
        """Work by `puppet`, which is about to be started or is at work already; go on with what is being done."""
        if self._puppet is not puppet:
            self.end()
            self._puppet = puppet
        if puppet not in self._reporting:
            self._report_life(puppet)
            self._reporting.add(puppet)
        self._is_held |= is_from_start
        self._loop = asyncio.get_running_loop()
        if self._work is not None and self._work.is_hopeless:
            return
        if self._ear is not None:
            self._ear.close("the bot starts anew")
        if self._work is None or self._work.is_over:
            self._work = Work(self._serve)
        self._ear = Ear(puppet, self._work.chat, is_from_start=is_from_start)

    def end(self) -> None:
        """Stop what is at work; what is still to be sent is given a moment."""
        if self._ear is not None:
            self._ear.close(_STOPPED)
        if self._work is not None:
            self._work.end()

    async def _serve(self, chat: AccountChat, stop: asyncio.Event) -> None:
        await serve(self._config, transport=chat, operations=self._operations, stop=stop)

    def _report_life(self, puppet: PuppetService) -> None:
        """Learn when the stream of events ends, and when the bot stops: the SDK's puppet tells neither in an event."""
        start, stop = puppet.start, puppet.stop

        @wraps(start)
        async def reported_start() -> None:
            self._starts += 1
            own = self._starts
            reason, is_held = "the gateway has ended the connection", False
            try:
                await start()
            except asyncio.CancelledError:
                reason = _STOPPED
                raise
            except BaseException as error:
                reason = f"the bot has lost its gateway ({type(error).__name__})"
                is_held = isinstance(error, LOST)  # the SDK starts the bot anew after a minute
                raise
            finally:
                if self._puppet is puppet and self._starts == own:
                    self._is_held = is_held
                    if self._ear is not None:
                        self._ear.close(reason)

        @wraps(stop)
        async def reported_stop() -> None:
            if self._puppet is not puppet:
                await stop()
                return
            ear = self._ear
            if ear is not None:
                ear.close(_STOPPED)
            try:
                await stop()
            finally:
                self._is_held &= self._puppet is not puppet
            # `Wechaty.restart` is a stop with a start right behind it, without a turn of the loop between the two: what
            # has not begun to listen anew by the next turn has stopped.
            asyncio.get_running_loop().call_soon(lambda: self.end() if self._ear is ear else None)

        puppet.start = reported_start  # type: ignore[method-assign]  # of this puppet alone
        puppet.stop = reported_stop  # type: ignore[method-assign]  # of this puppet alone


# The SDK tells its plugins which bot is theirs at its first login, and `use` does not tell them either; a scan comes
# before that, and `login` comes once. The one place that each start of a bot passes before its puppet speaks is where
# the SDK itself begins to listen to that puppet, also after `stop` has emptied the puppet's list of listeners.
_listen_as_the_sdk_does = Wechaty.init_puppet_event_bridge


@wraps(_listen_as_the_sdk_does)
async def _listen_too(bot: Wechaty, puppet: object) -> None:
    await _listen_as_the_sdk_does(bot, puppet)
    manager = bot._plugin_manager  # noqa: SLF001  # the SDK has no other way to its plugins
    for plugin in tuple(manager.plugins()):
        if not isinstance(plugin, WechatyLogMonitor) or manager.plugin_status(plugin.name) is not PluginStatus.Running:
            continue
        if not isinstance(puppet, PuppetService):
            _log.error(
                "%s is no puppet service, which logmonitor needs; the bot goes on without", type(puppet).__name__
            )
            continue
        if plugin.serves_another(puppet):
            _log.error(
                "this WechatyLogMonitor is at work in another bot; expected one of its own for each; the bot goes on"
                " without"
            )
            manager.remove_plugin(plugin.name)
            continue
        with isolated(lambda error: _log.error("logmonitor cannot begin; the bot goes on without", exc_info=error)):
            plugin.listen(puppet)


Wechaty.init_puppet_event_bridge = _listen_too
