"""One bot: its logs followed, its session kept up to date, its operations told."""

from __future__ import annotations

import asyncio
import logging
import stat
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from logmonitor.checkpoint import Draft
from logmonitor.clock import SystemClock
from logmonitor.configuration.log_pattern import found, literal
from logmonitor.follower import Follower, Start
from logmonitor.isolation import isolated
from logmonitor.log_slice import LogClock
from logmonitor.news import Audience, News, pass_on
from logmonitor.profile import AUTO
from logmonitor.profile_folder import load_profile, load_profiles
from logmonitor.reading.choice import choose_profile
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Chunk, Event, EventKind, Session, Transition
from logmonitor.remarks import Remarks
from logmonitor.watch import WatchState, finish, learn, observe, tick, wake_at

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from pathlib import Path

    from logmonitor.checkpoint import Checkpoint
    from logmonitor.clock import Clock
    from logmonitor.config import BotConfig, WatchConfig
    from logmonitor.records import Notice
    from logmonitor.watch import Observation
    from logmonitor.worker import Worker

_log = logging.getLogger(__name__)
BACKLOG_BYTES: Final = 1 << 20
SETTLE_SECONDS: Final = 0.05


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
        checkpoint: Checkpoint,
        report: Callable[[str], None],
        clock: Clock | None = None,
    ) -> None:
        """Watch as `watch` says, for `bot`, whose profiles stand beside the shipped ones and whose own log is left out.

        `checkpoint` holds how far it came before; `report` tells the admins of lines that nobody will ever read. A
        session's times are those of `clock`, without one the machine's.

        Raises:
            ProfileError: a profile is not valid, or there is none of that name.
        """
        self.name = watch.name
        self._watch = watch
        self._key = bot.twin_key
        self._timezone = bot.timezone
        self._own_logs = [bot.self_log] if bot.self_log else []
        self._audience = Audience(watch.name, workers)
        self._sessions = sessions
        self._checkpoint = checkpoint
        self._progress = checkpoint.watch(watch.name)
        self._restored = checkpoint.restore(watch.name)
        fresh = WatchState(session=Session(watch=watch.name))
        self._state = self._restored.state or fresh
        sessions[watch.name] = self._state.session
        folders = [bot.profiles] if bot.profiles else []
        is_known = watch.profile != AUTO
        self._profiles = {} if is_known else load_profiles(*folders)
        self._profile = compile_profile(load_profile(watch.profile, *folders)) if is_known else None
        self._unread: list[Chunk] = []
        self._why_no_profile = ""
        self._clock = clock or SystemClock()
        self._settles_at: float | None = None
        self._untold_loss: str | None = None
        self._remarks = Remarks(watch.name, language=bot.language, report=report, clock=self._clock)
        self._follower: Follower | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        if self._restored.problem:
            self._remarks.tell_history_is_lost(self._restored.problem)
        self._resume()
        sources = (literal(log) or log for log in self._watch.logs)
        start = Start.END if self._restored.is_fresh else self._restored.positions
        archives, own = self._watch.archives, self._own_logs
        async with Follower(
            *sources, start=start, tail_bytes=BACKLOG_BYTES, exclude=own, archives=archives
        ) as follower:
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
        troubles = () if self._follower is None else self._follower.troubles()
        why_no_profile = self._why_no_profile if self._profile is None else ""
        return self._remarks.rows(troubles, why_no_profile=why_no_profile, translate=translate)

    def _resume(self) -> None:
        """Let the calls be made again that were not over."""
        for cause in self._restored.causes:
            if not self._audience.repeat(cause):
                self._checkpoint.decide(cause.operation, Draft(), cause=cause)

    async def _take(self, item: Chunk | Notice) -> None:
        if not isinstance(item, Chunk):
            self._remarks.heed(item)
            return
        if item.backlog:
            self._settles_at = self._clock.monotonic() + SETTLE_SECONDS
        news = News()
        with isolated(self._pass_over):
            if not item.backlog and self._settles_at is not None:
                self._settle(news)
            self._understand(item, news)
        if not self._is_past(item):
            with isolated(self._pass_over):
                self._audience.hand_out(news, item)
        await self._pass_on(news, path=item.path)

    def _is_past(self, chunk: Chunk) -> bool:
        """Tell whether lines are no news: they were handled before, or stood in a log that is new to us."""
        return chunk.handled or (chunk.backlog and chunk.path not in self._restored.positions)

    def _understand(self, chunk: Chunk, news: News) -> None:
        """Let the session meet a chunk, once the family is known; until then keep the last of what was read."""
        chunks = [chunk]
        if self._profile is None:
            self._unread.append(chunk)
            if chunk.caught_up or not chunk.backlog:
                self._choose(self._unread if chunk.backlog else chunks)
            chunks, self._unread = self._unread, [] if self._profile else _last(self._unread, BACKLOG_BYTES)
        if self._profile is None:
            return
        take = partial(
            observe,
            profile=self._profile,
            now=self._clock.now(),
            live=True,
            zone=self._watch.timezone,
            qr_path=self._watch.qr_file,
            key=self._key,
            require_signed=self._watch.require_signed,
        )
        for each in chunks:
            if each.handled and self._restored.state is not None:
                self._state = learn(self._state, each, take)
                continue
            is_past = self._is_past(each)
            self._state, observations = take(self._state, each, missed=each.backlog and not is_past)
            self._tell(observations, news, is_past=is_past)

    def _pass_over(self, error: Exception) -> None:
        """Tell of what could not be understood, and forget what was being read; what is known of the session stays.

        So does the memory of which signed lines were there: none of them may count again.
        """
        self._remarks.note_failure(error)
        self._state = WatchState(session=self._state.session, accepted=self._state.accepted)

    def _choose(self, chunks: Sequence[Chunk]) -> None:
        choice = choose_profile(self._profiles, chunks)
        if choice.profile is not None:
            _log.info("%s: the log is of the family %s", self.name, choice.profile.name)
            self._profile = compile_profile(choice.profile)
        elif choice.reason != self._why_no_profile:
            self._why_no_profile = choice.reason
            _log.warning("%s: %s", self.name, choice.reason)

    def _tell(self, observations: Sequence[Observation], news: News, *, is_past: bool = False) -> None:
        """Keep the session; what is not past is news for the operations."""
        for observation in observations:
            self._sessions[self.name] = observation.session
            self._remarks.note_event(observation.event)
            event, transition = observation.event, observation.transition
            if transition is not None:
                level = logging.DEBUG if is_past else logging.INFO
                _log.log(level, "%s: %s by %s", self.name, transition.after.state, event.kind)
                if transition.is_loss:
                    self._untold_loss = transition.after.loss_id if is_past else None
            if is_past:
                continue
            moves = () if transition is None else (transition,)
            news.transitions.extend(moves)
            self._audience.tell(news, event, *moves)
        if not is_past:
            self._remarks.warn()

    def _settle(self, news: News) -> None:
        """After what stood in the logs has been read: give out what was held back.

        Of a log that was read for the first time only a loss that stands is told, if its QR can still be scanned.
        """
        self._settles_at = None
        if self._profile is None:
            return
        self._state, observations = finish(self._state, profile=self._profile)
        self._tell(observations, news, is_past=self._restored.is_fresh)
        self._remarks.warn()
        session = self._state.session
        qr = session.qr
        if not session.is_lost or session.loss_id != self._untold_loss or qr is None:
            return
        if qr.expires is not None and qr.expires <= self._clock.now():
            return
        event = Event(
            kind=EventKind.SCAN, line=0, offset=0, watch=self.name, path=qr.log_path, qr=qr, verified=qr.verified
        )
        before = replace(session, qr=None, loss=session.loss - 1)
        self._audience.tell(news, Transition(before=before, after=session, event=event))

    async def _wake(self) -> None:
        """Do what time asks for."""
        news = News()
        with isolated(self._pass_over):
            if self._settles_at is not None and self._settles_at <= self._clock.monotonic():
                self._settle(news)
            if self._profile is not None:
                self._state, observations = tick(self._state, self._clock.now(), profile=self._profile)
                self._tell(observations, news)
        await self._pass_on(news)

    async def _pass_on(self, news: News, *, path: Path | None = None) -> None:
        """Let the operations hear of what is new, and note how far the log at `path` has been handed out."""
        position = None if path is None or self._follower is None else self._follower.position(path)
        self._progress.note(
            self._state,
            [cause for _, _, cause in news.calls],
            place=None if path is None or position is None else (path, position),
            transitions=news.transitions,
            at=self._clock.now(),
        )
        await pass_on(news)

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
