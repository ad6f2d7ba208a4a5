"""What all figures share: sizes, colours that the colour-blind can tell apart, files that are the same each time."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from benchmark.records import Record, write_atomically
from benchmark.report.scores import Entrant, Scores

Figure = Any  # matplotlib's; it is imported where it is used
Axes = Any

Read = Callable[[Record], Mapping[str, np.ndarray]]
"""The arrays that lie beside a record; empty where there are none."""

Draw = Callable[[Scores, Read], Iterator[tuple[str, Figure]]]
"""Figures by name, as far as there is something to show."""

COLUMN = 3.4
"""Inches: a column of a two-column page."""

PAGE = 6.9
"""Inches: the width of its text."""

SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,
    "text.parse_math": False,  # names are printed as they are, "$" included
}

BLACK = "#000000"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", BLACK)
"""Okabe & Ito 2008, without the yellow, which is too faint for a line."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
LETTERS = 16
"""Of a panel's title, how many fit into an inch."""
LEGEND_LETTERS = 21.5
"""The same of a legend's names, whose letters are smaller."""
KEY = 0.25
"""Inches beside a name of a legend: the line that it names, and what is left free."""
LINE = 0.13
"""The height in inches of one more line of a title."""
SLANTED = 40
"""Letters of the longest name that stands slanted below a panel."""
HATCHES = ("", "//////", "......", "xxxxxx")


@dataclass(frozen=True)
class Look:
    """How a method is drawn in every figure of its suite."""

    colour: str
    marker: str
    dash: str
    hatch: str


def looks(scores: Scores) -> dict[Entrant, Look]:
    """One for each that ran; where a colour comes again, dash and hatch are others, so that many can be told apart."""
    found = {}
    for i, entrant in enumerate(scores.entrants()):
        again = i // len(COLOURS) % len(DASHES)
        found[entrant] = Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[again], HATCHES[again])
    return found


@contextmanager
def style() -> Iterator[None]:
    """Our settings, whatever the user's own are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def panels(titles: Sequence[str], columns: int, width: float, height: float) -> tuple[Figure, dict[str, Axes]]:
    """A figure of `width` inches with a panel of `height` inches for each title, `columns` in a row."""
    from matplotlib.figure import Figure as NewFigure

    rows, letters = math.ceil(len(titles) / columns), round(LETTERS * width / columns)
    lines = {title: fill(title, letters) for title in titles}
    more = LINE * max((text.count("\n") for text in lines.values()), default=0)
    figure = NewFigure(figsize=(width, rows * (height + more) + 0.3), layout="constrained")
    axes = {title: figure.add_subplot(rows, columns, i + 1) for i, title in enumerate(titles)}
    for title, panel in axes.items():
        panel.set_title(lines[title], loc="left")
    return figure, axes


def name_below(figure: Figure, panels: Sequence[Axes], names: Mapping[float, str]) -> None:
    """Names below panels, which keep their height, at places of the x axis: slanted, or numbers of a list below them.

    A list where one of them is too long: slanted it would take the panels' width.
    """
    longest = max(map(len, names.values()))
    if longest <= SLANTED:
        shown, room = [*names.values()], 0.025 * longest
        how: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    else:
        shown, how = [str(number) for number in range(1, len(names) + 1)], {}
        letters = round(LEGEND_LETTERS * figure.get_figwidth())
        lines = [fill(f"{number}  {name}", letters) for number, name in zip(shown, names.values(), strict=True)]
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=6)
        room = 0.1 * sum(1 + line.count("\n") for line in lines) + 0.2
    for panel in panels:
        panel.set_xticks([*names], shown, fontsize=6, **how)
    figure.set_figheight(figure.get_figheight() + room)


def legend(figure: Figure, handles: Mapping[str, Any], columns: int) -> None:
    """Below all panels, which keep their height; in fewer columns, and lines, where names are too long for these."""
    longest = max(map(len, handles), default=0)
    while columns > 1 and longest > _letters(figure, columns):
        columns -= 1
    names = [fill(name, _letters(figure, columns)) for name in handles]
    more = 0.115 * sum(name.count("\n") for name in names)  # only in a single column
    figure.set_figheight(figure.get_figheight() + 0.14 * math.ceil(len(names) / columns) + more)
    where = {"loc": "outside lower center", "ncols": columns, "columnspacing": 1.5}
    figure.legend(list(handles.values()), names, **where)


def _letters(figure: Figure, columns: int) -> int:
    """Of a name, how many fit into one of so many columns of a legend."""
    return round(LEGEND_LETTERS * (figure.get_figwidth() / columns - KEY))


def logarithmic(panel: Axes) -> None:
    """Make the y axis so, where every value is above 0."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    values = [float(y) for line in panel.get_lines() for y in line.get_ydata()]
    if not values or min(values) <= 0:
        return
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def say_troubles(panel: Axes, scores: Scores, dataset: str) -> None:
    """In a corner, which runs on a data set failed, if any."""
    panel.text(0.99, 0.98, troubles(scores, dataset), transform=panel.transAxes, ha="right", va="top", fontsize=5)


def troubles(scores: Scores, dataset: str) -> str:
    """A line for each method of which runs on a data set failed."""
    of = {
        e.title: [str(r.seed) for r in scores.of_seeds(e, dataset) if r.status == "failed"] for e in scores.entrants()
    }
    return "\n".join(f"failed: {title}, seed {', '.join(seeds)}" for title, seeds in of.items() if seeds)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write it as PNG and as PDF beside each other, without dates and versions: the same figure, the same bytes."""
    kinds: dict[str, dict[str, Any]] = {
        "png": {"dpi": 200, "metadata": {"Software": None}},
        "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    }
    written = []
    for ending, options in kinds.items():
        content = io.BytesIO()
        figure.savefig(content, format=ending, **options)
        figure.set_layout_engine("none")  # what the first has laid out stays for the second
        written.append(path.with_name(f"{path.name}.{ending}"))
        write_atomically(written[-1], content.getvalue())
    return written
