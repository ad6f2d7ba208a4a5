"""Figures of lines: learning curves, and Figures 2b, 5 and 6 of Löwe et al. 2020. Every seed is a thin line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.colour_tables import Variant, variants
from benchmark.comparison import scaled
from benchmark.drawing import COLUMN, PAGE, Axes, Figure, Look, Read, legend, looks, panels, troubles
from benchmark.scores import Entrant, Scores
from benchmark.setcon_tables import HORIZON
from benchmark.statistics import summarise

__all__ = ["colours", "learning_curves", "steps_ahead"]

Place = tuple[str, str, str, str]
"""Data set, metric, target, probe: where the value of a point is."""

METRICS = {"mse": "MSE (1e-2)", "fg_ari": "ARI (%)"}


def learning_curves(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """The loss against steps, a panel a data set; losses of different methods are in different units."""
    shown = [d for d in scores.datasets if any(r.curve for (_, dataset, _), r in scores.runs.items() if dataset == d)]
    if not shown:
        return
    wide = len(shown) > 4
    figure, axes = panels(shown, 4 if wide else 1, PAGE if wide else COLUMN, 1.4 if wide else 1.7)
    handles: dict[str, Any] = {}
    for dataset, panel in zip(shown, axes, strict=True):
        for entrant, look in looks(scores).items():
            for seed in scores.seeds:
                record = scores.runs.get((entrant, dataset, seed))
                if record and record.curve:
                    steps, losses = zip(*record.curve, strict=True)
                    (line,) = panel.plot(steps, losses, color=look.colour, ls=look.dash, lw=0.8, alpha=0.8)
                    handles.setdefault(entrant.title, line)
        _logarithmic(panel)
        _say(panel, troubles(scores, dataset))
    figure.supxlabel("training steps", fontsize=7)
    figure.supylabel("loss, each method's own; a line a seed", fontsize=7)
    legend(figure, handles, 5 if wide else 3)
    yield "learning-curves", figure


def steps_ahead(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """Figures 2b and 5: the decoder's error, and its masks' ARI, against how many steps ahead slots are predicted."""
    for metric, label in METRICS.items():
        shown = [d for d in scores.datasets if any(_point(scores, e, (d, metric, target, ROLLOUT)) for e in scores.entrants() for target in HORIZON)]
        if not shown:
            continue
        figure, axes = panels(shown, 1, COLUMN, 2.0)
        handles: dict[str, Any] = {}
        for dataset, panel in zip(shown, axes, strict=True):
            places = {ahead: (dataset, metric, target, ROLLOUT) for ahead, target in enumerate(HORIZON)}
            handles = _lines(panel, scores, places) | handles
            panel.set_ylabel(label)
            _say(panel, troubles(scores, dataset))
            if metric == "mse":
                _logarithmic(panel)
        axes[-1].set_xlabel("steps ahead (0: slots of the frame itself)")
        legend(figure, handles, 3)
        yield f"steps-ahead-{metric.replace('_', '-')}", figure


ROLLOUT = "decoder-rollout"
