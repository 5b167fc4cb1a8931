"""The image of a day: what is to be drawn, and what of it stands in the pixels."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import psutil
import pytest
from PIL import Image, ImageColor

from logmonitor import HostError, SessionState, render_plot, translation
from logmonitor.plot import plotting
from logmonitor.plot.chart import COLOURS, WIDTH
from logmonitor.plot.history import BotSample, Sample
from logmonitor.plot.plotting import MOST_BOTS, plot_chart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

END = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
LOST = "\U00013000"
"""A hieroglyph, which no font of a machine has that is no museum's."""


def day(
    *bots: str,
    states: dict[int, SessionState] | None = None,
    memory_bytes: int | None = 100 << 20,
    alerts: dict[int, int] | None = None,
) -> list[Sample]:
    """Return a sample for each minute of the day before; `states` and `alerts` are by minute, states until the next."""
    state, samples = SessionState.LOGGED_IN, []
    for minute in range(1440):
        state = (states or {}).get(minute, state)
        bot = BotSample(state=state, memory_bytes=memory_bytes)
        at = END - DAY + timedelta(minutes=minute)
        samples.append(Sample(at=at, bots=dict.fromkeys(bots, bot), alerts=(alerts or {}).get(minute, 0)))
    return samples


async def pixels(samples: Sequence[Sample], *bots: str, language: str = "en") -> Image.Image:
    """Return the image of a day."""
    plot = await render_plot(samples, bots, end=END, zone=UTC, translate=translation(language))
    image = Image.open(io.BytesIO(plot.image))
    assert image.format == "PNG"
    return image.convert("RGB")


def count_of(image: Image.Image, box: tuple[int, int, int, int], colour: str) -> int:
    """Count the pixels of a colour in a part of an image."""
    part, wanted = image.crop(box), ImageColor.getrgb(colour)
    return sum(count for count, seen in part.getcolors(part.width * part.height) or () if seen == wanted)


def rows_of(image: Image.Image, colour: str, *, least: int) -> list[int]:
    """Return the rows of an image that have so many pixels of a colour."""
    rows = range(image.height)
    return [y for y in rows if count_of(image, (0, y, image.width, y + 1), colour) >= least]


def columns_of(image: Image.Image, y: int, colour: str) -> list[int]:
    """Return the columns of a row that have a colour."""
    wanted = ImageColor.getrgb(colour)
    return [x for x in range(image.width) if image.getpixel((x, y)) == wanted]


async def test_bands_stand_at_their_times() -> None:
    """Half a day logged in, a quarter out, a quarter in again: so are the colours of the band, from left to right."""
    states = {720: SessionState.LOGGED_OUT, 1080: SessionState.LOGGED_IN}
    image = await pixels(day("bob", states=states), "bob")
    assert image.width == WIDTH
    y = max(rows_of(image, COLOURS["logged_in"], least=600))
    well, lost = columns_of(image, y, COLOURS["logged_in"]), columns_of(image, y, COLOURS["logged_out"])
    left, width = min(well), max(well) - min(well)
    assert (min(lost) - left) / width == pytest.approx(0.5, abs=0.01)
    assert (max(lost) - left) / width == pytest.approx(0.75, abs=0.01)
    assert not set(range(min(lost), max(lost))) & set(well)


async def test_loss_of_a_minute_can_be_seen() -> None:
    """What is short is drawn as wide as a phone can show, and nothing covers it."""
    states = {700: SessionState.LOGGED_OUT, 701: SessionState.LOGGED_IN}
    image = await pixels(day("bob", states=states), "bob")
    y = max(rows_of(image, COLOURS["logged_in"], least=600))
    assert len(columns_of(image, y, COLOURS["logged_out"])) >= 5


async def test_loss_of_just_now_can_be_seen() -> None:
    """At the very end of the day a short band is drawn whole, too."""
    image = await pixels(day("bob", states={1439: SessionState.LOGGED_OUT}), "bob")
    y = max(rows_of(image, COLOURS["logged_in"], least=600))
    assert len(columns_of(image, y, COLOURS["logged_out"])) >= 5


async def test_memory_is_a_line_as_high_as_its_share() -> None:
    """A process whose memory doubles at noon has a line that stands twice as high above zero then."""
    samples = day("bob")
    half = [
        Sample(at=one.at, bots={"bob": BotSample(state=SessionState.LOGGED_IN, memory_bytes=50 << 20)})
        for one in samples[:720]
    ]
    image = await pixels([*half, *samples[720:]], "bob")
    blue = "#0072b2"
    low, high = rows_of(image, blue, least=300)[-1], rows_of(image, blue, least=300)[0]
    assert max(columns_of(image, low, blue)) < WIDTH / 2 < max(columns_of(image, high, blue))
    assert high < low


async def test_alerts_are_drawn_when_they_were() -> None:
    """Five alerts in the evening raise the line there and nowhere else."""
    quiet, loud = await pixels(day("bob"), "bob"), await pixels(day("bob", alerts={1080: 5}), "bob")
    assert quiet.size == loud.size
    bottom = loud.height * 2 // 3
    tall = [x for x in range(loud.width) if count_of(loud, (x, bottom, x + 1, loud.height), "#4d4d4d") > 100]
    assert tall
    assert all(0.7 * WIDTH * 0.8 < x < 0.85 * WIDTH * 0.9 for x in tall)


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_nothing_seen_is_an_image_too(language: str) -> None:
    """Without a sample there is no line and no band, and no error."""
    image = await pixels([], "bob", language=language)
    assert rows_of(image, COLOURS["logged_in"], least=50) == []


async def test_no_bot_is_an_image_too() -> None:
    """Where nothing is watched, memory and alerts are drawn all the same."""
    plot = await render_plot(day(), (), end=END)
    assert plot.names == ()
    assert Image.open(io.BytesIO(plot.image)).width == WIDTH


async def test_image_grows_with_the_bots_it_shows() -> None:
    """More bots are more rows, up to six, all of the same height."""
    one, two = await pixels(day("a"), "a"), await pixels(day("a", "b"), "a", "b")
    names = [f"bot {number}" for number in range(9)]
    plot = await render_plot(day(*names), names, end=END)
    assert one.height < two.height
    assert plot.names == tuple(names[:MOST_BOTS])


async def test_names_are_written_as_far_as_there_are_letters() -> None:
    """A name may have what a drawing program takes for commands; one without a font is a number."""
    names = ["_x", "$a$ ^_{", "%d {} \\n", LOST, "bob" * 20]
    plot = await render_plot(day(*names), names, end=END)
    assert plot.names == ("_x", "$a$ ^_{", "%d {} \\n", "#4", f"{('bob' * 20)[:23]}…")


async def test_chinese_is_written_where_there_is_a_font() -> None:
    """On a machine with such a font the labels are Chinese, and the image is another than in English."""
    english, chinese = await pixels(day("bob"), "bob"), await pixels(day("bob"), "bob", language="zh")
    assert english.tobytes() != chinese.tobytes()


async def test_lack_of_matplotlib_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what draws, the error names what installs it."""
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError(\"No module named 'matplotlib'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(HostError, match=r"matplotlib is not installed; `pip install 'logmonitor\[plot\]'` installs it"):
        await render_plot([], ["bob"], end=END)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(7)", "the drawing failed with exit code 7: it says nothing"),
        ("raise OSError('no room')", "the drawing failed with exit code 1: OSError: no room"),
        ("import os; os.kill(os.getpid(), 9)", "the drawing failed with exit code -9: it says nothing"),
    ],
)
async def test_drawing_that_fails_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    """Whatever the drawing program dies of ends in an error with the last that it said."""
    (tmp_path / "matplotlib.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(HostError) as caught:
        await render_plot([], ["bob"], end=END)
    assert str(caught.value) == reason


def hang(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the drawing program hang; return the file in which it says its id."""
    path = folder / "pid"
    (folder / "matplotlib.py").write_text(
        f"import os, time\nwith open({str(path)!r} + '.new', 'w') as file:\n    file.write(str(os.getpid()))\n"
        f"os.rename({str(path)!r} + '.new', {str(path)!r})\ntime.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return path


async def test_drawing_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than the time it has, and no process is left."""
    path = hang(tmp_path, monkeypatch)
    monkeypatch.setattr(plotting, "_SECONDS", 3.0)
    with pytest.raises(HostError, match="the drawing takes longer than 3 s"):
        await render_plot([], ["bob"], end=END)
    assert not path.exists() or not psutil.pid_exists(int(path.read_text()))


async def test_drawing_that_is_cancelled_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not wait for the image leaves no process behind."""
    path = hang(tmp_path, monkeypatch)
    drawing = asyncio.ensure_future(render_plot([], ["bob"], end=END))
    async with asyncio.timeout(60):
        while not path.exists():  # noqa: ASYNC110 - the file is another process's
            await asyncio.sleep(0.01)
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing
    assert not psutil.pid_exists(int(path.read_text()))


def chart(samples: Sequence[Sample], *watches: str, zone: str = "UTC", end: datetime = END) -> dict[str, object]:
    """Return what would be drawn."""
    return plot_chart(samples, watches, end=end, zone=ZoneInfo(zone), translate=translation("zh"))


def test_labels_are_given_in_english_too() -> None:
    """Where there is no font for the language, there is something to write."""
    assert chart([], "bob")["title"] == ["最近 24 小时", "the last 24 hours"]
    assert chart(day("bob"), "bob")["states"] == {"logged_in": ["已登录", "logged in"]}


@pytest.mark.parametrize(
    ("zone", "period", "ticks"),
    [
        (
            "UTC",
            "2026-11-20 09:30 – 2026-11-21 09:30 UTC+00:00",
            ["12:00", "16:00", "20:00", "00:00", "04:00", "08:00"],
        ),
        (
            "Asia/Shanghai",
            "2026-11-20 17:30 – 2026-11-21 17:30 UTC+08:00",
            ["20:00", "00:00", "04:00", "08:00", "12:00", "16:00"],
        ),
        (
            "Asia/Kathmandu",
            "2026-11-20 15:15 – 2026-11-21 15:15 UTC+05:45",
            ["16:00", "20:00", "00:00", "04:00", "08:00", "12:00"],
        ),
    ],
)
def test_times_are_those_of_the_zone(zone: str, period: str, ticks: list[str]) -> None:
    """Every fourth hour has a mark, as the clocks there show it."""
    drawn = plot_chart([], [], end=END, zone=ZoneInfo(zone), translate=str)
    assert drawn["period"] == [period]
    assert [text for _, text in drawn["ticks"]] == ticks


def test_ticks_stand_where_the_clock_shows_them_when_clocks_change() -> None:
    """On the day with 25 hours the marks are where the clocks show those hours."""
    end = datetime(2026, 10, 25, 12, tzinfo=UTC)
    drawn = plot_chart([], [], end=end, zone=ZoneInfo("Europe/Berlin"), translate=str)
    hours = [(datetime.fromtimestamp(at, UTC).hour, text) for at, text in drawn["ticks"]]
    assert hours == [(14, "16:00"), (18, "20:00"), (22, "00:00"), (3, "04:00"), (7, "08:00"), (11, "12:00")]


@pytest.mark.parametrize(
    ("states", "share"),
    [
        ({}, "logged in 100 %"),
        ({700: SessionState.LOGGED_OUT, 701: SessionState.LOGGED_IN}, "logged in 99 %"),
        ({0: SessionState.LOGGED_OUT, 1439: SessionState.LOGGED_IN}, "logged in 0 %"),
        ({360: SessionState.AWAITING_SCAN}, "logged in 25 %"),
    ],
)
def test_share_is_whole_only_if_nothing_is_missing(states: dict[int, SessionState], share: str) -> None:
    """A loss of a minute is seen in the number, too."""
    drawn = plot_chart(day("bob", states=states), ["bob"], end=END, zone=None, translate=str)
    assert drawn["rows"][0]["share"] == [share, share]


def test_memory_is_the_machine_where_no_process_is_known() -> None:
    """The line is never empty as long as anything was measured; with processes it is theirs."""
    machine = [Sample(at=END - timedelta(minutes=1), memory_bytes=1 << 30)]
    drawn = plot_chart(machine, ["bob"], end=END, zone=None, translate=str)
    assert drawn["memory"] == ["memory in use on the machine (MB)"] * 2
    assert drawn["lines"] == [{"name": [""], "points": [[((END - timedelta(minutes=1)).timestamp(), 1024.0)]]}]
    drawn = plot_chart([*day("bob"), *machine], ["bob"], end=END, zone=None, translate=str)
    assert (drawn["memory"][0], [line["name"][0] for line in drawn["lines"]]) == ("memory (MB)", ["bob"])


def test_key_tells_only_of_what_is_shown() -> None:
    """States that did not occur are not explained; a time without samples is."""
    samples = day("bob", states={100: SessionState.SCANNED})
    assert set(plot_chart(samples, ["bob"], end=END, zone=None, translate=str)["states"]) == {"logged_in", "scanned"}
    broken = [one for one in samples if not 300 < (one.at - END + DAY).total_seconds() / 60 < 320]
    drawn = plot_chart(broken, ["bob"], end=END, zone=None, translate=str)
    assert list(drawn["states"]) == ["logged_in", "scanned", "unseen"]
