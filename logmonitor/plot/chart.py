"""A program that draws: JSON comes in, an image goes out.

It runs alone, since drawing takes much memory, and imports nothing of the program that starts it. A text is given as
alternatives, of which the first is drawn that the fonts of the machine have the letters for. Out comes a line of JSON,
which says how the bots are called in the image, and then the PNG.
"""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator
    from matplotlib.typing import LineStyleType

NOT_INSTALLED: Final = 3
"""The exit code that says that there is nothing to draw with."""

WIDTH: Final = 1080
_DPI: Final = 180
_NICENESS: Final = 10
_LEFT, _PANEL_WIDTH = 54, 864
_TITLE, _PERIOD, _KEY = 44, 92, 126
_KEY_ROW, _BAND_ROW, _HEAD, _PANEL, _TICKS = 44, 94, 84, 300, 62
_INK: Final = "#1a1a1a"
_PALE: Final = "#6b6b6b"
_GRID: Final = "#d9d9d9"
_ALERTS: Final = "#4d4d4d"

# What is well is light, what is not is dark or loud and hatched where there is room: told apart without colours, too.
COLOURS: Final = {
    "logged_in": "#7ccdb1",
    "scanned": "#3b8fd0",
    "awaiting_scan": "#f2d400",
    "logged_out": "#b23a00",
    "unknown": "#d6d6d6",
    "unseen": "#f4f4f4",
}
_HATCHES: Final = {
    "awaiting_scan": ("\\\\", "#7a5f00"),
    "logged_out": ("//", "white"),
    "scanned": ("..", "white"),
    "unknown": ("xx", "#b0b0b0"),
}
_LINES: Final[tuple[tuple[str, LineStyleType], ...]] = (
    ("#0072b2", "-"),
    ("#d55e00", (0, (4, 1.5))),
    ("#cc79a7", "-"),
    ("#000000", (0, (1, 1))),
    ("#009e73", (0, (5, 1, 1, 1))),
    ("#e69f00", "-"),
)
_SHORTEST_SHOWN, _NARROW = 0.007, 0.02
_ASIAN: Final = ("cjk", "hei", "song", "ming", "han sans", "han serif", "wenquanyi", "fallback", "unicode", "pingfang")
_PREFERRED: Final = ("Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "WenQuanYi Micro Hei", "Microsoft YaHei")


def main() -> int:
    """Draw what standard input says on standard output; return the exit code."""
    os.nice(_NICENESS)
    chart = json.load(sys.stdin)
    try:
        import matplotlib as mpl  # noqa: PLC0415  # what it lacks is told, and not raised
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_INSTALLED
    mpl.rcdefaults()
    words = Words(chart)
    mpl.rcParams.update(
        {
            "font.family": words.families,
            "text.parse_math": False,
            "axes.unicode_minus": False,
            "hatch.linewidth": 2.0,
        }
    )
    image = draw(chart, words)
    names = [words.of(row["name"]) for row in chart["rows"]]
    sys.stdout.buffer.write(json.dumps(names).encode() + b"\n" + image)
    sys.stdout.buffer.flush()
    return 0


class Words:
    """What the fonts of this machine can write."""

    def __init__(self, chart: dict[str, Any]) -> None:
        """Choose fonts for the texts of a chart."""
        from matplotlib import font_manager  # noqa: PLC0415  # it is there by now

        self.families = ["DejaVu Sans"]
        self._letters = _letters(self.families[0])
        wanted = {letter for texts in _texts(chart) for letter in texts[0]} - self._letters
        if wanted:
            there = {entry.name for entry in font_manager.fontManager.ttflist}
            preferred = [name for name in _PREFERRED if name in there]
            others = sorted(name for name in there if any(part in name.lower() for part in _ASIAN))
            best = max((*preferred, *others), key=lambda name: len(wanted & _letters(name)), default=None)
            if best is not None:
                self.families.append(best)
                self._letters |= _letters(best)

    def of(self, texts: Sequence[str]) -> str:
        """Return the first of a text's alternatives that can be written, else the last."""
        return next((text for text in texts if self._letters.issuperset(text)), texts[-1])


def _letters(family: str) -> frozenset[str]:
    """Return the letters that a font has."""
    from matplotlib import font_manager  # noqa: PLC0415  # it is there by now

    path = font_manager.findfont(font_manager.FontProperties(family=[family]))
    return frozenset(map(chr, font_manager.get_font(path).get_charmap()))


def _texts(chart: dict[str, Any]) -> Iterable[Sequence[str]]:
    """Yield every text of a chart with its alternatives."""
    yield from (chart[name] for name in ("title", "period", "memory", "no_memory", "alerts", "no_alerts"))
    yield from chart["states"].values()
    yield from (row[part] for row in chart["rows"] for part in ("name", "share"))
    yield from (line["name"] for line in chart["lines"])


def draw(chart: dict[str, Any], words: Words) -> bytes:
    """Draw a chart for a phone: high, in large letters; return the PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # as above
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    states = [(_patch(0, 0, 1, 1, state), words.of(texts)) for state, texts in chart["states"].items()]
    lines = [(_line(number), words.of(line["name"])) for number, line in enumerate(chart["lines"])]
    lines = [(artist, name) for artist, name in lines if name]
    sessions = _KEY + _rows(states) * _KEY_ROW + _KEY_ROW // 2
    memory = sessions + _BAND_ROW * len(chart["rows"]) + _HEAD
    memory_panel = memory + _rows(lines) * _KEY_ROW + _KEY_ROW // 2
    alerts = memory_panel + _PANEL + _TICKS + _HEAD
    alerts_panel = alerts + _KEY_ROW // 2
    height = alerts_panel + _PANEL + _TICKS

    page = Page(Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="white"), height=height)
    FigureCanvasAgg(page.figure)
    page.write(_TITLE, words.of(chart["title"]), size=20, weight="bold")
    page.write(_PERIOD, words.of(chart["period"]), size=13, color=_PALE)
    page.explain(_KEY, states)
    _draw_sessions(page.panel(sessions, _BAND_ROW * len(chart["rows"]), chart), chart, words)
    page.write(memory - _HEAD // 3, words.of(chart["memory"]), size=15, weight="bold")
    page.explain(memory, lines)
    _draw_memory(page.panel(memory_panel, _PANEL, chart), chart, words)
    page.write(alerts - _HEAD // 3, words.of(chart["alerts"]), size=15, weight="bold")
    _draw_alerts(page.panel(alerts_panel, _PANEL, chart), chart, words)
    file = io.BytesIO()
    page.figure.savefig(file, format="png")
    return file.getvalue()


def _rows(entries: Sequence[object]) -> int:
    """Return how many rows of a key there are."""
    return -(-len(entries) // 2)


class Page:
    """An image that is filled from its top; all places are pixels from there."""

    def __init__(self, figure: Figure, *, height: int) -> None:
        """Begin with an empty one."""
        self.figure = figure
        self._height = height

    def _at(self, top: float) -> float:
        return 1 - top / self._height

    def write(self, top: float, text: str, *, size: float, color: str = _INK, weight: str = "normal") -> None:
        """Write a line of text whose middle is there."""
        self.figure.text(_LEFT / WIDTH, self._at(top), text, size=size, color=color, weight=weight, va="center")

    def panel(self, top: float, height: float, chart: dict[str, Any]) -> Axes:
        """Make room for one part; all parts have the same time from left to right."""
        place = (_LEFT / WIDTH, self._at(top + height), _PANEL_WIDTH / WIDTH, height / self._height)
        axes = self.figure.add_axes(place)
        axes.set_xlim(chart["start"], chart["end"])
        axes.set_xticks([at for at, _ in chart["ticks"]], [text for _, text in chart["ticks"]])
        axes.tick_params(axis="x", labelsize=13, labelcolor=_INK, color=_GRID, length=5)
        axes.tick_params(axis="y", labelsize=13, labelcolor=_INK, length=0, pad=5)
        axes.yaxis.tick_right()
        axes.grid(visible=True, color=_GRID, linewidth=0.9)
        axes.set_axisbelow(True)
        for name, spine in axes.spines.items():
            spine.set_visible(name == "bottom")
            spine.set_color(_GRID)
        return axes

    def explain(self, top: float, entries: Sequence[tuple[Artist, str]]) -> None:
        """Say what colours and lines mean."""
        legend = self.figure.legend(
            [artist for artist, _ in entries],
            [" "] * len(entries),
            loc="upper left",
            bbox_to_anchor=(_LEFT / WIDTH, self._at(top)),
            ncols=2,
            fontsize=13,
            frameon=False,
            borderpad=0,
            borderaxespad=0,
            columnspacing=1.4,
            handlelength=1.7,
            handleheight=1.0,
            handletextpad=0.6,
        )
        for text, (_, label) in zip(legend.get_texts(), entries, strict=True):
            text.set_text(label)  # as a label of the legend a name that begins with `_` would be left out
            text.set_color(_INK)


def _draw_sessions(axes: Axes, chart: dict[str, Any], words: Words) -> None:
    """Draw how each bot's session stood, as a band below its name, and what part of the time it was logged in."""
    rows = chart["rows"]
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelbottom=False, length=0)
    axes.spines["bottom"].set_visible(False)
    whole = chart["end"] - chart["start"]
    place = axes.get_yaxis_transform()
    for number, row in enumerate(rows):
        name = words.of(row["name"])
        axes.text(0, number + 0.26, name, size=15, weight="bold", color=_INK, va="center", transform=place)
        share = words.of(row["share"])
        axes.text(1, number + 0.28, share, size=13, color=_PALE, va="center", ha="right", transform=place)
        axes.add_patch(_patch(chart["start"], number + 0.48, whole, 0.46, "unseen"))
        for start, end, state in sorted(row["bands"], key=lambda band: band[2] != "logged_in"):
            width = max(end - start, _SHORTEST_SHOWN * whole)
            left = min(start, chart["end"] - width)
            axes.add_patch(_patch(left, number + 0.48, width, 0.46, state, narrow=_NARROW * whole))


def _patch(left: float, top: float, width: float, height: float, state: str, *, narrow: float = 0) -> Rectangle:
    """Return a piece of a band, hatched unless it is narrow."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415  # as above

    hatch, colour = _HATCHES.get(state, (None, "none")) if width > narrow else (None, "none")
    return Rectangle(
        (left, top), width, height, facecolor=COLOURS[state], hatch=hatch, edgecolor=colour, linewidth=0, zorder=2
    )


def _line(number: int) -> Line2D:
    """Return the line of a bot."""
    from matplotlib.lines import Line2D  # noqa: PLC0415  # as above

    colour, style = _LINES[number]
    return Line2D([], [], color=colour, linestyle=style, linewidth=2.6)


def _draw_memory(axes: Axes, chart: dict[str, Any], words: Words) -> None:
    """Draw how much memory each bot's process had, or how much of the machine's was in use."""
    highest = 0.0
    for line, (colour, style) in zip(chart["lines"], _LINES, strict=False):
        for points in line["points"]:
            single = "o" if len(points) == 1 else None
            times, sizes = zip(*points, strict=True)
            axes.plot(times, sizes, color=colour, linestyle=style, linewidth=2.6, marker=single, clip_on=False)
            highest = max(highest, *sizes)
    axes.set_ylim(0, 1.15 * highest or 1)
    axes.yaxis.set_major_locator(_whole_numbers())
    if not chart["lines"]:
        _say(axes, words.of(chart["no_memory"]))


def _draw_alerts(axes: Axes, chart: dict[str, Any], words: Words) -> None:
    """Draw how many alerts there were."""
    counts, edges = chart["counts"], chart["edges"]
    axes.stairs(counts, edges, fill=True, color=_ALERTS, alpha=0.25)
    axes.stairs(counts, edges, color=_ALERTS, linewidth=2.2)
    axes.set_ylim(0, max(1.15 * max(counts), 2))
    axes.yaxis.set_major_locator(_whole_numbers())
    if not any(counts):
        _say(axes, words.of(chart["no_alerts"]))


def _say(axes: Axes, text: str) -> None:
    """Say why there is nothing to see."""
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, size=14, color=_PALE, ha="center", va="center", transform=axes.transAxes)


def _whole_numbers() -> MaxNLocator:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  # as above

    return MaxNLocator(nbins=4, integer=True, min_n_ticks=2)


if __name__ == "__main__":
    sys.exit(main())
