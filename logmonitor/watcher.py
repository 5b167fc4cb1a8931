"""One bot: its logs followed, its session kept up to date, its operations told."""

from __future__ import annotations

import asyncio
import logging
import stat
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from logmonitor.clock import SystemClock
from logmonitor.configuration.log_pattern import found, literal
from logmonitor.display import visible
from logmonitor.follower import Follower, Start
from logmonitor.isolation import isolated
from logmonitor.lines import split
from logmonitor.log_slice import LogClock
from logmonitor.profile import AUTO
from logmonitor.profile_folder import load_profile, load_profiles
from logmonitor.reading.choice import choose_profile
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Chunk, Event, EventKind, LogBatch, NoticeKind, Session, Transition
from logmonitor.refusal import Refusals, note, reason_text, refusal_rows, tell
from logmonitor.scan import Scanner
from logmonitor.watch import WatchState, finish, observe, tick, wake_at
from logmonitor.worker import call_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence
    from pathlib import Path

    from logmonitor.clock import Clock
    from logmonitor.config import BotConfig, WatchConfig
    from logmonitor.operation import Context
    from logmonitor.records import Notice
    from logmonitor.watch import Observation
    from logmonitor.worker import Worker

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
BACKLOG_BYTES: Final = 1 << 20
SETTLE_SECONDS: Final = 0.05
_TROUBLES: Final = 3
_LOUD: Final = frozenset(
    {NoticeKind.GAP, NoticeKind.LONG_LINE, NoticeKind.MISSING, NoticeKind.UNREADABLE, NoticeKind.POLLING}
)


class Watcher:
    """Follows the logs of one bot.

    First the end of what stands in them is read: it chooses the family and tells where the session stands. A loss that
    stands there is announced if its QR is still valid; nothing else of the past is.
    """

    def __init__(
        self,
        watch: WatchConfig,
        *,
        workers: Sequence[Worker],
        sessions: MutableMapping[str, Session],
        bot: BotConfig,
        clock: Clock | None = None,
    ) -> None:
        """Watch as `watch` says, for `bot`, whose profiles stand beside the shipped ones and whose own log is left out.

        A session's times are those of `clock`, without one the machine's.

        Raises:
            ProfileError: a profile is not valid, or there is none of that name.
        """
        self.name = watch.name
        self._watch = watch
        self._key = bot.twin_key
        self._timezone = bot.timezone
        self._own_logs = [bot.self_log] if bot.self_log else []
        self._workers = [worker for worker in workers if worker.is_about(watch.name)]
        self._scanners = {worker.name: Scanner(worker.operation.patterns, strip_ansi=True) for worker in self._workers}
        self._sessions = sessions
        self._state = WatchState(session=Session(watch=watch.name))
        folders = [bot.profiles] if bot.profiles else []
        is_known = watch.profile != AUTO
        self._profiles = {} if is_known else load_profiles(*folders)
        self._profile = compile_profile(load_profile(watch.profile, *folders)) if is_known else None
        self._unread: list[Chunk] = []
        self._why_no_profile = ""
        self._clock = clock or SystemClock()
        self._settles_at: float | None = None
        self._lost_bytes = 0
        self._passed_over = 0
        self._refusals = Refusals()
        self._follower: Follower | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        sources = (literal(log) or log for log in self._watch.logs)
        async with Follower(*sources, start=Start.END, tail_bytes=BACKLOG_BYTES, exclude=self._own_logs) as follower:
            self._follower = follower
            items = aiter(follower)
            coming: asyncio.Future[Chunk | Notice] | None = None
            try:
                while True:
                    coming = coming or asyncio.ensure_future(anext(items))
                    await self._wait(coming)
                    if coming.done():
                        item, coming = coming.result(), None
                        await self._take(item)
                    else:
                        with isolated(self._pass_over):
                            await self._wake()
            finally:
                if coming is not None:
                    coming.cancel()

    async def _wait(self, coming: asyncio.Future[Chunk | Notice]) -> None:
        """Wait until something comes, or until time asks for something."""
        seconds = self._seconds_to_wake()
        if seconds is None:
            await asyncio.wait({coming})
            return
        waking: asyncio.Future[Any] = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({waking, coming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()

    def logs(self) -> tuple[Path, ...]:
        """Return the logs that are there now, the one written to last at the end."""
        there: dict[Path, int] = {}
        for log in self._watch.logs:
            path = literal(log)
            for each in found(log) if path is None else (path,):
                with suppress(OSError):  # it is gone by now, or in a folder that may not be entered
                    status = each.stat()
                    if stat.S_ISREG(status.st_mode):
                        there[each] = status.st_mtime_ns
        return tuple(sorted(there.keys() - set(self._own_logs), key=lambda path: (there[path], path)))

    def log_clock(self) -> LogClock | None:
        """Return how the log tells the time; None where it does not, or its family is not known yet."""
        framing = None if self._profile is None else self._profile.framing
        json_time = None if framing is None or framing.json is None else framing.json.time
        if framing is None or (framing.time_format is None and json_time is None):
            return None
        return LogClock(
            prefix=framing.prefix,
            time_format=framing.time_format,
            json_time=json_time,
            zone=self._watch.timezone or self._timezone,
        )

    def remarks(self, translate: Callable[[str], str]) -> tuple[str, ...]:
        """Return what an admin should know besides the session."""
        rows = self._trouble_rows(translate)
        if self._profile is None and self._why_no_profile:
            rows.append(translate("its log is not understood: {reason}").format(reason=self._why_no_profile))
        if self._lost_bytes:
            rows.append(translate("{count} bytes of its log were lost to a rotation").format(count=self._lost_bytes))
        if self._passed_over:
            text = translate("{count} pieces of its log could not be understood; the log of logmonitor tells more")
            rows.append(text.format(count=self._passed_over))
        return (*rows, *refusal_rows(self._refusals, translate))

    def _trouble_rows(self, translate: Callable[[str], str]) -> list[str]:
        """Tell which logs bring nothing, as long as that holds."""
        troubles = () if self._follower is None else self._follower.troubles()
        rows = []
        for trouble in troubles[:_TROUBLES]:
            path = visible(str(trouble.path), one_line=True)
            if trouble.kind is NoticeKind.MISSING:
                rows.append(translate("its log is not there: {path}").format(path=path))
            else:
                row = translate("its log cannot be read: {path}: {reason}")
                rows.append(row.format(path=path, reason=trouble.detail))
        if len(troubles) > _TROUBLES:
            row = translate("{count} more of its logs are not there, or cannot be read")
            rows.append(row.format(count=len(troubles) - _TROUBLES))
        return rows

    async def _take(self, item: Chunk | Notice) -> None:
        if not isinstance(item, Chunk):
            level = logging.WARNING if item.kind in _LOUD else logging.INFO
            _log.log(level, "%s: %s: %s", self.name, item.path, item.detail)
            self._lost_bytes += item.lost_bytes or 0
            return
        if item.backlog:
            self._settles_at = self._clock.monotonic() + SETTLE_SECONDS
        with isolated(self._pass_over):
            if not item.backlog and self._settles_at is not None:
                await self._announce_standing_loss()
            await self._understand(item)
        if not item.backlog:
            with isolated(self._pass_over):
                await self._hand_out(item)

    async def _understand(self, chunk: Chunk) -> None:
        """Let the session meet a chunk, once the family is known; until then keep the last of what was read."""
        chunks = [chunk]
        if self._profile is None:
            self._unread.append(chunk)
            if chunk.caught_up or not chunk.backlog:
                self._choose(self._unread if chunk.backlog else chunks)
            chunks, self._unread = self._unread, [] if self._profile else _last(self._unread, BACKLOG_BYTES)
        if self._profile is None:
            return
        for each in chunks:
            self._state, observations = observe(
                self._state,
                each,
                profile=self._profile,
                now=self._clock.now(),
                live=True,
                zone=self._watch.timezone,
                qr_path=self._watch.qr_file,
                key=self._key,
                require_signed=self._watch.require_signed,
            )
            await self._tell(observations, is_past=each.backlog)

    def _pass_over(self, error: Exception) -> None:
        """Tell of what could not be understood, and forget what was being read; what is known of the session stays.

        So does the memory of which signed lines were there: none of them may count again.
        """
        _log.error("%s: passing over what could not be understood", self.name, exc_info=error)
        self._passed_over += 1
        self._state = WatchState(session=self._state.session, accepted=self._state.accepted)

    def _choose(self, chunks: Sequence[Chunk]) -> None:
        choice = choose_profile(self._profiles, chunks)
        if choice.profile is not None:
            _log.info("%s: the log is of the family %s", self.name, choice.profile.name)
            self._profile = compile_profile(choice.profile)
        elif choice.reason != self._why_no_profile:
            self._why_no_profile = choice.reason
            _log.warning("%s: %s", self.name, choice.reason)

    async def _tell(self, observations: Sequence[Observation], *, is_past: bool = False) -> None:
        """Keep the session, and tell the operations of what is not past."""
        for observation in observations:
            self._sessions[self.name] = observation.session
            self._refusals = note(self._refusals, observation.event)
            event, transition = observation.event, observation.transition
            if transition is not None:
                level = logging.DEBUG if is_past else logging.INFO
                _log.log(level, "%s: %s by %s", self.name, transition.after.state, event.kind)
            if is_past:
                continue
            for worker in self._workers:
                await _submit(worker, "on_event", worker.operation.on_event, event)
                if transition is not None:
                    await _submit(worker, "on_transition", worker.operation.on_transition, transition)
        if not is_past:
            self._warn()

    def _warn(self) -> None:
        """Tell the operator why lines are refused; what they say is nobody's business here."""
        self._refusals, news = tell(self._refusals)
        for refusal in news:
            _log.warning("%s: refused a session line: %s", self.name, reason_text(refusal, str))

    async def _hand_out(self, chunk: Chunk) -> None:
        """Give each operation the lines that it asked for."""
        for worker in self._workers:
            if worker.operation.on_batch is None:
                continue
            hits = self._scanners[worker.name].hits(chunk)
            lines = tuple(hit.line for hit in hits) if worker.operation.patterns else tuple(split(chunk))
            if lines:
                batch = LogBatch(
                    watch=self.name,
                    path=chunk.path,
                    lines=lines,
                    start_offset=chunk.start_offset,
                    end_offset=chunk.end_offset,
                )
                await _submit(worker, "on_batch", worker.operation.on_batch, batch)

    async def _announce_standing_loss(self) -> None:
        """After the past has been read: tell of a loss that stands, if its QR can still be scanned."""
        self._settles_at = None
        if self._profile is None:
            return
        self._state, observations = finish(self._state, profile=self._profile)
        await self._tell(observations, is_past=True)
        self._warn()
        session = self._state.session
        qr = session.qr
        if not session.is_lost or qr is None or (qr.expires is not None and qr.expires <= self._clock.now()):
            return
        event = Event(
            kind=EventKind.SCAN, line=0, offset=0, watch=self.name, path=qr.log_path, qr=qr, verified=qr.verified
        )
        transition = Transition(before=replace(session, qr=None, loss=session.loss - 1), after=session, event=event)
        for worker in self._workers:
            await _submit(worker, "on_transition", worker.operation.on_transition, transition)

    async def _wake(self) -> None:
        """Do what time asks for."""
        if self._settles_at is not None and self._settles_at <= self._clock.monotonic():
            await self._announce_standing_loss()
        if self._profile is not None:
            self._state, observations = tick(self._state, self._clock.now(), profile=self._profile)
            await self._tell(observations)

    def _seconds_to_wake(self) -> float | None:
        dues = []
        if self._settles_at is not None:
            dues.append(self._settles_at - self._clock.monotonic())
        if (due := wake_at(self._state)) is not None:
            dues.append((due - self._clock.now()).total_seconds())
        return max(0.0, min(dues)) if dues else None


def _last(chunks: list[Chunk], size_bytes: int) -> list[Chunk]:
    """Return the last chunks, as many as hold at most `size_bytes`."""
    kept: list[Chunk] = []
    for chunk in reversed(chunks):
        size_bytes -= len(chunk.data)
        if size_bytes < 0:
            break
        kept.insert(0, chunk)
    return kept


async def _submit(
    worker: Worker, about: str, handler: Callable[[Context, _T], Awaitable[None]] | None, value: _T
) -> None:
    if handler is not None:
        await worker.submit(call_of(about, handler, value))
