"""The last day as an image for a phone: sessions as bands, memory and alerts as lines."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logmonitor.display import visible
from logmonitor.errors import HostError
from logmonitor.plot.chart import NOT_INSTALLED
from logmonitor.plot.history import KEPT_SECONDS, alert_counts, bands, memory_lines, share_logged_in, within
from logmonitor.records import SessionState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, tzinfo

    from logmonitor.plot.history import Band, Sample

MOST_BOTS: Final = 6
"""How many bots one image shows."""

_PROGRAM: Final = Path(__file__).with_name("chart.py")
_SECONDS: Final = 45.0
_STEP_SECONDS: Final = 1800.0
_TICK_HOURS: Final = 4
_NEAR: Final = 4
_MEGABYTE: Final = 1 << 20
_LONGEST_NAME: Final = 24
_UNSEEN: Final = "unseen"
_SEEN: Final = timedelta(minutes=5)
_STATES: Final = (
    SessionState.LOGGED_IN.value,
    SessionState.LOGGED_OUT.value,
    SessionState.AWAITING_SCAN.value,
    SessionState.SCANNED.value,
    SessionState.UNKNOWN.value,
    _UNSEEN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """An image, as PNG. `names` are how it calls the bots: by number where the machine has no font for the name."""

    image: bytes
    names: tuple[str, ...]


async def render_plot(
    samples: Iterable[Sample],
    watches: Sequence[str],
    *,
    end: datetime,
    zone: tzinfo | None = None,
    translate: Callable[[str], str] = str,
) -> Plot:
    """Draw the day before `end` of the first six of `watches`, with the times of `zone`, None for the machine's.

    It is drawn in a process of its own, which is ended after 45 seconds or when this is cancelled.

    Raises:
        HostError: matplotlib, which draws, is not installed, or fails.
    """
    chart = plot_chart(samples, watches[:MOST_BOTS], end=end, zone=zone, translate=translate)
    names, _, image = (await _draw(json.dumps(chart).encode())).partition(b"\n")
    return Plot(image=image, names=tuple(json.loads(names)))


def plot_chart(
    samples: Iterable[Sample],
    watches: Sequence[str],
    *,
    end: datetime,
    zone: tzinfo | None,
    translate: Callable[[str], str],
) -> dict[str, Any]:
    """Return what `chart.py` draws: times in seconds since 1970, and texts with what to write in their place.

    That is English for the labels, and a number for a bot's name.
    """
    start = end - timedelta(seconds=KEPT_SECONDS)
    seen = within(samples, start, end)
    english = _labels(str)
    labels = {name: [text, english[name]] for name, text in _labels(translate).items()}
    names = {watch: _name(watch, number) for number, watch in enumerate(watches, start=1)}
    found = {watch: bands(seen, watch, end=end) for watch in watches}
    states = {band.state.value for one in found.values() for band in one}
    if any(_is_broken(one, start, end) for one in found.values()):
        states.add(_UNSEEN)
    lines = [(names[watch], points) for watch in watches if (points := _points(seen, watch))]
    machine = _points(seen, None)
    if not lines and machine:
        lines, labels["memory"] = [([""], machine)], labels["machine"]
    count = round(KEPT_SECONDS / _STEP_SECONDS)
    return {
        **labels,
        "period": [_period_text(start, end, zone)],
        "start": start.timestamp(),
        "end": end.timestamp(),
        "ticks": _ticks(start, end, zone),
        "states": {state: labels[state] for state in _STATES if state in states},
        "rows": [
            {
                "name": names[watch],
                "share": [share.format(percent=_percent(one)) if one else "" for share in labels["share"]],
                "bands": [(band.start.timestamp(), band.end.timestamp(), band.state.value) for band in one],
            }
            for watch, one in found.items()
        ],
        "lines": [{"name": name, "points": points} for name, points in lines],
        "counts": alert_counts(seen, start=start, step=_STEP_SECONDS, count=count),
        "edges": [start.timestamp() + number * _STEP_SECONDS for number in range(count + 1)],
    }


def _labels(translate: Callable[[str], str]) -> dict[str, str]:
    return {
        "title": translate("the last 24 hours"),
        "memory": translate("memory (MB)"),
        "machine": translate("memory in use on the machine (MB)"),
        "no_memory": translate("no process was seen"),
        "alerts": translate("alerts in each half hour"),
        "no_alerts": translate("no alerts"),
        "share": translate("logged in {percent}"),
        SessionState.UNKNOWN.value: translate("not known"),
        SessionState.LOGGED_IN.value: translate("logged in"),
        SessionState.LOGGED_OUT.value: translate("logged out"),
        SessionState.AWAITING_SCAN.value: translate("waiting for a scan"),
        SessionState.SCANNED.value: translate("scanned"),
        _UNSEEN: translate("nothing seen"),
    }


def _name(watch: str, number: int) -> list[str]:
    """Return what to call a bot: by its name, else by its number."""
    name = visible(watch, one_line=True)
    return [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…", f"#{number}"]


def _is_broken(found: Sequence[Band], start: datetime, end: datetime) -> bool:
    """Tell whether there is a time that can be seen in the image and during which nothing was seen."""
    edges = [start, *(at for band in found for at in (band.start, band.end)), end]
    return any(after - before > _SEEN for before, after in zip(edges[::2], edges[1::2], strict=True))


def _percent(found: Sequence[Band]) -> str:
    """Return in what part of the time seen a bot was logged in, which is 100 % only if nothing is missing."""
    return f"{int(100 * share_logged_in(found))} %"


def _points(samples: Sequence[Sample], watch: str | None) -> list[list[tuple[float, float]]]:
    """Return memory as lines: of samples that lie too near to be told apart the one with the most."""
    return [
        [
            (at.timestamp(), size_bytes / _MEGABYTE)
            for first in range(0, len(line), _NEAR)
            for at, size_bytes in [max(line[first : first + _NEAR], key=lambda point: point[1])]
        ]
        for line in memory_lines(samples, watch)
    ]


def _period_text(start: datetime, end: datetime, zone: tzinfo | None) -> str:
    first, last = start.astimezone(zone), end.astimezone(zone)
    offset = f"{last:%z}"
    return f"{first:%Y-%m-%d %H:%M} – {last:%Y-%m-%d %H:%M} UTC{offset[:3]}:{offset[3:5]}"


def _ticks(start: datetime, end: datetime, zone: tzinfo | None) -> list[tuple[float, str]]:
    """Return the times at which the clock shows a multiple of four hours, and what it shows."""
    quarter = timedelta(minutes=15)  # of which the zones of the world are made
    first = start.replace(minute=0, second=0, microsecond=0)
    times = (first + number * quarter for number in range(round(KEPT_SECONDS / 900) + 4))
    shown = ((at.timestamp(), at.astimezone(zone)) for at in times if start <= at <= end)
    return [(at, f"{local:%H:%M}") for at, local in shown if local.hour % _TICK_HOURS == 0 and local.minute == 0]


async def _draw(document: bytes) -> bytes:
    """Run the program that draws."""
    # `-P`: beside it stand modules that are named like some of the standard library's
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(_PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
    )
    try:
        async with asyncio.timeout(_SECONDS):
            drawn, complaint = await process.communicate(document)
    except TimeoutError:
        raise HostError(f"the drawing takes longer than {_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == NOT_INSTALLED:
        raise HostError("matplotlib is not installed; `pip install 'logmonitor[plot]'` installs it")
    if process.returncode != 0:
        reason = next(reversed(complaint.decode("utf-8", "replace").split("\n")[:-1]), "it says nothing")
        raise HostError(f"the drawing failed with exit code {process.returncode}: {reason}")
    return drawn
