"""Slot accuracy of every game beside the values of Racah & Chandar 2020, and which slot tells of which object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from benchmark.report.drawing import BLACK, COLUMN, PAGE, Axes, Figure, Look, Read, legend, looks, name_below, panels
from benchmark.report.published import published
from benchmark.report.scores import Entrant, Scores
from benchmark.types import Float

Blocks = dict[Entrant, tuple[list[str], Float[np.ndarray, "o k"]]]
"""Objects and their shares in each slot."""

WIDTH = 0.9
"""Width of a method's matrix, where 1 is the distance to the next."""

MATRICES = 12
"""As many can be told apart beside one another."""

LOWEST = -0.25
"""R2 has no lower end; bars that reach below this are cut off there and say their value."""


def accuracy(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """Table 3: a group of bars a data set, one a method that ran; a point a seed, the paper's value as a diamond."""
    shown = scores.possible("r2")
    if not any(scores.mean(entrant, (dataset,), "r2") for entrant in looks(scores) for dataset in shown):
        return
    from matplotlib.patches import Patch

    styles = looks(scores)
    ran = {dataset: [e for e in styles if scores.of_seeds(e, dataset)] for dataset in shown}
    ends = np.cumsum([len(entrants) + 1 for entrants in ran.values()])
    figure, axes = panels([""], 1, COLUMN, 0.06 * ends[-1] + 0.6)
    panel = axes[""]
    handles = {}
    for end, (dataset, entrants) in zip(ends, ran.items(), strict=True):
        for place, entrant in enumerate(entrants, end - len(entrants) - 1):
            look = styles[entrant]
            _bar(panel, scores, entrant, dataset, place, look)
            paper = published("racah2020")["r2"].get(dataset, {}).get(entrant.method)
            if paper is not None and not entrant.variant:
                handles["the paper"] = panel.plot([paper], [place], "D", mfc="white", mec="black", ms=2.8, mew=0.6)[0]
            handles[entrant.title] = Patch(color=look.colour, hatch=look.hatch)
    panel.set_yticks([end - len(ran[dataset]) / 2 - 1.5 for end, dataset in zip(ends, shown, strict=True)], shown)
    panel.set_ylim(ends[-1] - 0.5, -1)
    panel.set_xlim(LOWEST, 1.03)
    panel.grid(visible=False, axis="y")
    panel.axvline(0, color="black", lw=0.6)
    panel.set_xlabel("R² on test, ordinary least squares; a point a seed")
    legend(figure, handles, 2)
    yield "table3-r2", figure


def _bar(panel: Axes, scores: Scores, entrant: Entrant, dataset: str, place: float, look: Look) -> None:
    """The mean over seeds with its standard error, and every seed; a cross where all failed."""
    values = [scores.value(entrant, dataset, seed, "r2") for seed in scores.seeds]
    found = scores.mean(entrant, (dataset,), "r2")
    if found is None:
        if any(run.status == "failed" for run in scores.of_seeds(entrant, dataset)):
            panel.plot([0.02], [place], "x", color=look.colour, ms=3)
        return
    cut = found.mean < LOWEST
    error = {"xerr": None if cut else found.se, "error_kw": {"elinewidth": 0.6, "ecolor": "0.3"}}
    panel.barh([place], [max(found.mean, LOWEST)], 0.85, color=look.colour, alpha=0.75, hatch=look.hatch, **error)
    points = [max(value, LOWEST) for value in values if value is not None]
    panel.plot(points, [place] * len(points), ".", color="black", ms=1.5, clip_on=False)
    if cut:
        ink = "white" if look.colour == BLACK else "black"
        panel.text(LOWEST + 0.02, place, f"{found.mean:.2f}", fontsize=4.5, va="center_baseline", color=ink)


def importance(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """Which share of the regression's weights an object has in each slot; rows sum to 1. The first seed that has it."""
    found = {dataset: blocks for dataset in scores.datasets if (blocks := _blocks(scores, dataset, read))}
    if not found:
        return
    from matplotlib.figure import Figure as NewFigure

    columns = 2 if len(found) > 8 else 1
    rows = [[*found.values()][start : start + columns] for start in range(0, len(found), columns)]
    heights = [max(len(names) for blocks in row for names, _ in blocks.values()) for row in rows]
    size = (PAGE if columns == 2 else COLUMN, 0.1 * sum(heights) + 0.2 * len(rows) + 0.75)
    figure = NewFigure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
    panels = [figure.add_subplot(grid[divmod(index, columns)]) for index in range(len(found))]
    entrants = scores.entrants()
    shown = _most_often(entrants, found.values())
    for panel, (dataset, blocks) in zip(panels, found.items(), strict=True):
        _matrices(panel, shown, blocks)
        panel.set_title(dataset, loc="left", pad=2)
    names = {place + WIDTH / 2: entrant.title for place, entrant in enumerate(shown)}
    name_below(figure, panels[-columns:], names)
    bar = figure.colorbar(panels[0].images[0], ax=panels, location="bottom", aspect=40, shrink=0.6, pad=0.02)
    label = "share of the weights for an object in each slot\n(ridge regression on standardised slots)"
    if len(shown) < len(entrants):
        label += f"\nof {len(entrants)} rows of the tables the {len(shown)} that ran on most data sets"
    bar.set_label(label)
    yield "importance", figure


def _most_often(entrants: Sequence[Entrant], found: Iterable[Blocks]) -> list[Entrant]:
    """As many as there is room for, those that are found most often, in their order."""
    count = Counter(entrant for blocks in found for entrant in blocks)
    chosen = sorted(entrants, key=lambda entrant: -count[entrant])[:MATRICES]
    return [entrant for entrant in entrants if entrant in chosen]


def _matrices(panel: Axes, entrants: list[Entrant], blocks: Blocks) -> None:
    """The methods' matrices side by side, objects down and slots across; blank what a run has no labels of."""
    names = [*dict.fromkeys(name for known, _ in blocks.values() for name in known)]
    for place, entrant in enumerate(entrants):
        if entrant in blocks:
            known, shares = blocks[entrant]
            rows = np.full((len(names), np.shape(shares)[1]), np.nan)
            rows[[names.index(name) for name in known]] = shares
            extent = (place, place + WIDTH, len(names) - 0.5, -0.5)
            panel.imshow(rows, cmap="cividis", vmin=0, vmax=1, aspect="auto", extent=extent)
    panel.set_yticks(range(len(names)), names)
    panel.set_xlim(0, len(entrants))
    panel.set_xticks([])
    panel.tick_params(length=0, labelsize=5)
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)


def _blocks(scores: Scores, dataset: str, read: Read) -> Blocks:
    found = scores.firsts(dataset, lambda record: read(record).get("linear.importance_std"))
    return {entrant: (record.notes["linear"]["objects"], shares) for entrant, record, shares in found}
