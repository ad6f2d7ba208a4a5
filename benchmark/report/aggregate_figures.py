"""Figures over many data sets: performance profiles, and who scores what where."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmark.report.aggregate_tables import METRIC, aggregated, samples
from benchmark.report.bootstrap import profile, resampled
from benchmark.report.drawing import COLUMN, PAGE, Figure, Read, legend, looks, name_below, panels
from benchmark.report.scores import Scores
from benchmark.report.table import number

LEVELS = np.linspace(0, 1, 101)

IN_A_COLUMN = 9
"""Methods whose numbers stand beside each other in a heat map of a column's width."""

DARK = 0.5
"""Below it numbers on the colour are white."""


def profiles(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """The share of runs, over data sets and seeds, that score above each level; bands are 95 % of the bootstrap.

    Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv 2108.13264).
    """
    known = samples(scores)
    if len(known) < 2 or len(aggregated(scores)) < 2:
        return
    figure, axes = panels([""], 1, COLUMN, 1.9)
    handles = {}
    for entrant, look in looks(scores).items():
        if entrant not in known:
            continue
        style = {"color": look.colour, "ls": look.dash}
        handles[entrant.title] = axes[""].plot(LEVELS, profile(known[entrant], LEVELS), **style)[0]
        if len(known[entrant]) > 1:
            (draws,) = resampled([known[entrant]])
            low, high = np.quantile(profile(draws, LEVELS), (0.025, 0.975), axis=0)
            axes[""].fill_between(LEVELS, low, high, color=look.colour, alpha=0.15, lw=0)
    axes[""].set_xlabel("R² of ridge regression on standardised slots")
    axes[""].set_ylabel("share of runs above")
    axes[""].set_ylim(-0.02, 1.02)
    legend(figure, handles, 2)
    yield "performance-profiles", figure


def heat_map(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """The mean over seeds of every method on every data set, in colour and in numbers; grey where there is none."""
    datasets, entrants = scores.possible(METRIC), [*looks(scores)]
    means = [[scores.mean(entrant, (dataset,), METRIC) for entrant in entrants] for dataset in datasets]
    values = np.array([[found.mean if found else np.nan for found in row] for row in means])
    if not np.isfinite(values).any():
        return
    figure, axes = panels([""], 1, COLUMN if len(entrants) <= IN_A_COLUMN else PAGE, 0.13 * len(datasets) + 0.35)
    panel = axes[""]
    panel.set_title("R² of ridge regression on standardised slots", loc="left", fontsize=6)
    panel.set_facecolor("0.85")
    image = panel.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if value < DARK else "black"
            panel.text(column, row, number(value, 2), ha="center", va="center_baseline", fontsize=5, color=ink)
    panel.set_yticks(range(len(datasets)), datasets)
    name_below(figure, [panel], {place: entrant.title for place, entrant in enumerate(entrants)})
    panel.tick_params(length=0, labelsize=6)
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)
    figure.colorbar(image, ax=panel, pad=0.02, extend="min")
    yield "heat-map-r2-ridge", figure
