"""How a bot's process and log and the machine are: what was seen, compared with before, and said in rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.wording import duration_text, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from logmonitor.machine import FileState, Process, ProcessSelector, Usage

_SHORTEST_MEASURE: Final = 5.0
_SHORTEST_LIFE: Final = 1.0
_STALE_SECONDS: Final = 5.0
_SHOWN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When something is told, by the calendar and by a clock that never steps, and in which language."""

    now: datetime
    monotonic: float
    translate: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen of a bot's process at a time of a clock that never steps.

    `processes` are those that `selector` means. `before` is how the only one of them was at an earlier time, by which
    its use of the processor is measured.
    """

    selector: ProcessSelector
    processes: tuple[Process, ...]
    at: float
    before: tuple[Process, float] | None = None

    @property
    def process(self) -> Process | None:
        """The process, if it is the only one."""
        return self.processes[0] if len(self.processes) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is known of a bot: its process as it was last seen, or why it could not be looked for now; its logs.

    `logs` are those that were written to last, as far as they could be looked at.
    """

    sight: Sight | None = None
    obstacle: str = ""
    logs: Mapping[Path, FileState] = field(default_factory=dict)


def follow(earlier: Sight | None, sight: Sight) -> Sight:
    """Return a new sight with what it is to be compared with: the last of the same process, if not too short ago."""
    if earlier is None or earlier.process is None or sight.process is None:
        return sight
    if (earlier.process.pid, earlier.process.created) != (sight.process.pid, sight.process.created):
        return sight
    is_long_ago = sight.at - earlier.at >= _SHORTEST_MEASURE
    return replace(sight, before=(earlier.process, earlier.at) if is_long_ago else earlier.before)


def processor_share(sight: Sight, *, now: datetime) -> float:
    """Return which part of one processor the process of a sight has used: since before, else since its start.

    In the first second of its life that says nothing yet.
    """
    process = sight.process
    if process is None:
        return 0.0
    if sight.before is not None:
        seconds = sight.at - sight.before[1]
        used = process.cpu_seconds - sight.before[0].cpu_seconds
    else:
        seconds = (now - process.started_at).total_seconds()
        used = process.cpu_seconds
    return max(0.0, used / seconds) if seconds >= _SHORTEST_LIFE else 0.0


def process_rows(vitals: Vitals, moment: Moment) -> tuple[str, ...]:
    """Tell of a bot's process; nothing where nobody has said which it is."""
    sight = vitals.sight
    rows = () if sight is None else (_sight_text(sight, moment),)
    if vitals.obstacle:
        obstacle = visible(vitals.obstacle, one_line=True)
        rows = (moment.translate("its process cannot be looked for: {reason}").format(reason=obstacle), *rows)
    return rows


def log_rows(vitals: Vitals, moment: Moment, *, grown_bytes: int) -> tuple[str, ...]:
    """Tell how much a bot's logs have grown in the last hour, and when one was written to; nothing if none is there."""
    _ = moment.translate
    if not vitals.logs:
        return ()
    written_at = max(state.modified_at for state in vitals.logs.values())
    text = _("log: +{size} in the last hour, last written {duration} ago")
    ago = duration_text((moment.now - written_at).total_seconds(), _)
    return (text.format(size=size_text(grown_bytes), duration=ago),)


def machine_rows(usage: Usage | None, *, translate: Callable[[str], str]) -> tuple[str, ...]:
    """Tell of load, memory and disks."""
    if usage is None:
        return (translate("the machine does not tell how it is"),)
    load = " ".join(f"{mean:.1f}" for mean in usage.load)
    rows = [
        translate("load {load} on {cores} cores; memory: {free} of {total} free").format(
            load=load,
            cores=usage.cores,
            free=size_text(usage.memory_available_bytes),
            total=size_text(usage.memory_bytes),
        )
    ]
    for disk in usage.disks:
        text = translate("disk {path}: {free} of {total} free")
        path = visible(str(disk.path), one_line=True)
        rows.append(text.format(path=path, free=size_text(disk.free_bytes), total=size_text(disk.total_bytes)))
    return tuple(rows)


def _sight_text(sight: Sight, moment: Moment) -> str:
    _ = moment.translate
    selector = visible(sight.selector.text, one_line=True)
    process = sight.process
    if process is not None:
        row = _("process {pid}: {memory}, {percent} % CPU, up for {duration}").format(
            pid=process.pid,
            memory=size_text(process.memory_bytes),
            percent=round(100 * processor_share(sight, now=moment.now)),
            duration=duration_text((moment.now - process.started_at).total_seconds(), _),
        )
    elif sight.processes:
        pids = ", ".join(str(one.pid) for one in sight.processes[:_SHOWN])
        more = " …" if len(sight.processes) > _SHOWN else ""
        row = _("{count} processes are meant by {selector}: {pids}").format(
            count=len(sight.processes), selector=selector, pids=f"{pids}{more}"
        )
    else:
        row = _("no process: nothing runs as {selector}").format(selector=selector)
    age = moment.monotonic - sight.at
    if age < _STALE_SECONDS:
        return row
    return _("{row} (seen {duration} ago)").format(row=row, duration=duration_text(age, _))
