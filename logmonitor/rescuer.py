"""One of several rescuers on one machine: what each has to say is said by the one that holds the lease of that bot.

Where the leases cannot be kept or read, every rescuer sends: told twice is better than not told.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from logmonitor.display import visible
from logmonitor.errors import StoreError
from logmonitor.lease import Circumstances, Claimant, Reach, is_held_by, is_running, settled
from logmonitor.sending.gate import Verdict
from logmonitor.storage.lease_file import LeaseFile
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from logmonitor.clock import Clock
    from logmonitor.configuration.record import RescueConfig
    from logmonitor.lease import Lease
    from logmonitor.records import MessageKey

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
SLOWEST_SECONDS: Final = 35.0
"""For how long at least a holder may be at one message: the outbox waits 30 s for the chat's answer."""

LOOKS_IN_A_TERM: Final = 30
LONGEST_PAUSE: Final = 1.0
FILE_PATIENCE_SECONDS: Final = 0.25
"""How long another process is waited for; it holds the file for some milliseconds, unless it has been stopped."""

RETRY_SECONDS: Final = 5.0
_MOST_UNNOTED: Final = 1000
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Rescuer:
    """The gate of an outbox whose messages other rescuers have too; one for a program, from its start to its end.

    Not for use from other threads.
    """

    def __init__(
        self,
        config: RescueConfig,
        *,
        name: str,
        watches: Iterable[str],
        reach: Callable[[], Reach],
        waiting_for: Callable[[str], float | None],
        names_of: Callable[[str], tuple[str, ...]],
        tell: Callable[[str], None],
        translate: Callable[[str], str],
        clock: Clock,
    ) -> None:
        """Share leases on `watches` under this bot's `name`; nothing is opened yet.

        `reach` says how admins can be reached now, `waiting_for` for how many seconds the oldest message with a key
        about a bot has waited here, None where none does. `names_of` says as whom else a recipient is known: accounts
        may know the same person by several ids, and the rescuers by one name of their configurations. By `tell` admins
        learn what they have to know.
        """
        self._config = config
        self._name = name
        self._watches = dict.fromkeys(watches)
        self._reach = reach
        self._waiting_for = waiting_for
        self._names_of = names_of
        self._tell = tell
        self._translate = translate
        self._clock = clock
        self._instance = uuid.uuid4().hex
        self._boot = _boot_id()
        self._file: LeaseFile | None = None
        self._met: set[str] = set()
        self._free_since: dict[str, float] = {}
        self._ours: set[str] = set()
        self._unnoted: deque[tuple[tuple[str, ...], MessageKey]] = deque(maxlen=_MOST_UNNOTED)
        self._failure = ""
        self._failing_since = 0.0
        self._retry_at = 0.0
        self._is_told = False
        self._changed = asyncio.Event()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give up what is held, so that another need not wait, and close the file."""
        if self._file is not None:
            with suppress(StoreError):
                self._file.release(self._instance)
            self._close()

    async def run(self) -> None:
        """Keep what is held and take what may be taken, until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(min(LONGEST_PAUSE, self._config.term / LOOKS_IN_A_TERM))

    def look(self) -> None:
        """Look at every lease once, and have those who wait ask again."""
        self._using(lambda file: self._settle(file, tuple(self._watches)), instead=None)
        if self._unnoted:
            self._using(self._write_notes, instead=None)
        now = self._clock.monotonic()
        if self._failure and not self._is_told and now - self._failing_since >= self._config.term:
            self._is_told = True
            self._tell(self._failure_text())
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def verdict(self, to: str, key: MessageKey, /) -> Verdict:
        """Tell what becomes of a message to that recipient now: ours to send, another's for now, or delivered."""

        def ask(file: LeaseFile) -> Verdict:
            self._watches.setdefault(key.watch)
            self._settle(file, (key.watch,))
            if any(file.is_delivered(name, key) for name in self._names_of(to)):  # also by who held the lease just now
                return Verdict.DROP
            return Verdict.SEND if key.watch in self._ours else Verdict.WAIT

        return self._using(ask, instead=Verdict.SEND)

    def note_delivered(self, to: str, key: MessageKey, /) -> None:
        """Take note that the recipient has it, for all rescuers; what cannot be written now is later."""
        self._unnoted.append((self._names_of(to), key))
        self._using(self._write_notes, instead=None)

    async def wait_for_change(self) -> None:
        """Return when a verdict may be another one than before."""
        await self._changed.wait()

    def row(self, watch: str) -> str:
        """Return who rescues a bot, for `status`."""
        _ = self._translate
        now = self._clock.monotonic()
        lease = self._using(lambda file: file.lease(watch), instead=None)
        if self._failure:
            return self._failure_text()
        if lease is None or not is_running(lease, boot=self._boot, now=now):
            return _("rescued by nobody now, as this one cannot reach its admins")
        duration = duration_text(now - lease.since, _)
        if lease.instance == self._instance:
            return _("rescued by this one, {name}, for {duration}").format(name=lease.holder, duration=duration)
        text = _("rescued by {name}, for {duration}; this one, {own}, stands by")
        return text.format(name=visible(lease.holder, one_line=True), duration=duration, own=self._name)

    def _write_notes(self, file: LeaseFile) -> None:
        while self._unnoted:
            file.note_delivered(*self._unnoted[0])
            self._unnoted.popleft()

    def _failure_text(self) -> str:
        text = self._translate("the lease cannot be shared with other rescuers, so that each of them sends: {reason}")
        return text.format(reason=self._failure)

    def _settle(self, file: LeaseFile, watches: tuple[str, ...]) -> None:
        """Have the leases of these bots stand as they should, and note which are ours."""
        me = Claimant(
            name=self._name,
            instance=self._instance,
            boot=self._boot,
            term=self._config.term,
            patience=max(self._config.term, SLOWEST_SECONDS),
            reach=self._reach(),
        )
        found = {watch: self._settled(file.lease(watch), me, watch) for watch in watches}
        if any(before != after for before, after in found.values()):
            with file.transaction():
                found = {watch: self._settled(file.lease(watch), me, watch) for watch in watches}
                for before, after in found.values():
                    if after is not None and after != before:
                        file.put_lease(after)
        for watch, (_, lease) in found.items():
            self._note(watch, lease, is_ours=is_held_by(lease, me, now=self._clock.monotonic()))

    def _settled(self, lease: Lease | None, me: Claimant, watch: str) -> tuple[Lease | None, Lease | None]:
        """Return a lease as it stands and as it should."""
        now = self._clock.monotonic()
        if is_running(lease, boot=me.boot, now=now):
            self._free_since.pop(watch, None)
        seen = Circumstances(
            now=now,
            free_for=now - self._free_since.get(watch, now),
            waiting_for=self._waiting_for(watch),
            is_first=watch not in self._met,
        )
        return lease, settled(lease, me, watch, seen)

    def _note(self, watch: str, lease: Lease | None, *, is_ours: bool) -> None:
        """Remember how a lease was found, and log who speaks for the bot from now on."""
        now = self._clock.monotonic()
        self._met.add(watch)
        if not is_running(lease, boot=self._boot, now=now):
            self._free_since.setdefault(watch, now)
        if is_ours and watch not in self._ours:
            self._ours.add(watch)
            _log.info("this rescuer speaks for %s now", watch)
        elif not is_ours and watch in self._ours:
            self._ours.discard(watch)
            holder = lease.holder if lease is not None and lease.instance != self._instance else "nobody"
            _log.warning("this rescuer does not speak for %s any more, but %s", watch, holder)

    def _using(self, action: Callable[[LeaseFile], _T], *, instead: _T) -> _T:
        """Do something with the file, opened anew once if need be; where it is of no use return what is `instead`."""
        if self._failure and self._clock.monotonic() < self._retry_at:
            return instead
        for is_last in (bool(self._failure), True):
            try:
                if self._file is None:
                    self._file = LeaseFile(self._config.lease, patience=FILE_PATIENCE_SECONDS)
                result = action(self._file)
            except StoreError as error:
                self._close()
                if is_last:
                    self._fail(str(error))
            else:
                self._succeed()
                return result
        return instead

    def _fail(self, reason: str) -> None:
        now = self._clock.monotonic()
        self._retry_at = now + RETRY_SECONDS
        if not self._failure:
            self._failing_since = now
            _log.error("the leases cannot be shared, so this rescuer sends whatever others do: %s", reason)
        self._failure = reason

    def _succeed(self) -> None:
        if self._failure:
            _log.info("the leases are shared again")
        self._failure, self._is_told = "", False

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(StoreError):
                file.close()


def _boot_id() -> str:
    """Return what tells this boot of the machine from others, nothing where the system does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
