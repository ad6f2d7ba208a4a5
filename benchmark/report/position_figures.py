"""A test frame with its objects where they are and where a linear read-out of the slots puts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmark.report.drawing import COLOURS, PAGE, Axes, Figure, Read, legend, panels
from benchmark.report.scores import Scores

COLUMNS = 4
ROOM = 0.06
"""Margin shown around the frame, as a share of its side, so that what is predicted outside is seen to be."""


def positions(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """For each data set one frame a method, of the first seed that has it: the ridge line of slot accuracy."""
    for dataset in scores.datasets:
        firsts = scores.firsts(dataset, lambda record: kept if "linear.frame" in (kept := read(record)) else None)
        if found := {entrant.title: kept for entrant, _, kept in firsts}:
            yield f"positions-{dataset}", _beside_each_other(found)


def _beside_each_other(found: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    from matplotlib.lines import Line2D

    height, width, _ = next(iter(found.values()))["linear.frame"].shape
    columns = min(COLUMNS, len(found))
    each = PAGE / COLUMNS
    figure, axes = panels([*found], columns, columns * each, each * height / width + 0.1)
    for title, arrays in found.items():
        _draw(axes[title], *(arrays[f"linear.{name}"] for name in ("frame", "true", "predicted")))
    marks: dict[str, Any] = {"mfc": "none", "color": "0.3", "ls": "none"}
    handles = {"where the object is": Line2D([], [], marker="o", **marks)}
    handles["where the slots put it"] = Line2D([], [], marker="x", **marks)
    if any((np.isnan(arrays["linear.true"]).sum(-1) == 1).any() for arrays in found.values()):
        handles["only its column or row is known"] = Line2D([], [], color="0.3", ls="--")
    legend(figure, handles, len(handles) if columns > 2 else 1)
    return figure


def _draw(panel: Axes, frame: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> None:
    """An object a colour; the two places of one are joined."""
    height, width, _ = frame.shape
    panel.imshow(frame, interpolation="none")
    for j, (here, there) in enumerate(zip(true, predicted, strict=True)):
        colour = COLOURS[j % (len(COLOURS) - 1)]
        for axis, line in enumerate((panel.axvline, panel.axhline)):
            if np.isfinite(here[axis]) and np.isnan(here[1 - axis]):
                line(here[axis], color=colour, lw=0.8)
                line(there[axis], color=colour, lw=0.8, ls="--")
        panel.plot(*zip(here, there, strict=True), color=colour, lw=0.6)
        panel.plot(*here, "o", mfc="none", mec=colour, ms=5)
        panel.plot(*there, "x", color=colour, ms=4)
    panel.set_xlim(-ROOM * width, (1 + ROOM) * width)
    panel.set_ylim((1 + ROOM) * height, -ROOM * height)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)
