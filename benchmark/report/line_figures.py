"""Figures of lines: learning curves, and Figures 2b, 5 and 6 of Löwe et al. 2020. Every seed is a thin line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from benchmark.report.colour_tables import Variant, variants
from benchmark.report.drawing import COLUMN, PAGE, Axes, Figure, Read, legend, logarithmic, looks, panels, say_troubles
from benchmark.report.film import DECODED
from benchmark.report.scores import Entrant, Scores
from benchmark.report.statistics import summarise

LABELS = {"mse": "MSE (1e-2)", "fg_ari": "ARI (%)"}

RULES: dict[str, Callable[[Variant], bool]] = {
    "4 slots": lambda variant: variant.num_slots == 4,
    "colours + 1 slots": lambda variant: variant.num_slots == variant.num_colours + 1,
}
"""How the paper chooses the number of slots, in Figure 6."""


class Place(NamedTuple):
    """Where the value of a point is."""

    dataset: str
    metric: str
    target: str
    probe: str


def learning_curves(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """The loss against steps, a panel a data set; losses of different methods are in different units."""
    trained = {dataset for (_, dataset, _), record in scores.runs.items() if record.curve}
    if not trained:
        return
    wide = len(trained) > 4
    width, height, columns = (PAGE, 1.3, 4) if wide else (COLUMN, 1.7, 1)
    figure, axes = panels(sorted(trained), columns, width, height)
    handles: dict[str, Any] = {}
    for dataset, panel in axes.items():
        handles = _curves(panel, scores, dataset) | handles
        logarithmic(panel)
        say_troubles(panel, scores, dataset)
    for panel in [*axes.values()][-columns:]:
        panel.set_xlabel("training steps")
    figure.supylabel("loss (each method's own), a line a seed", fontsize=7)
    legend(figure, handles, 5 if wide else 2)
    yield "learning-curves", figure


def _curves(panel: Axes, scores: Scores, dataset: str) -> dict[str, Any]:
    handles = {}
    for entrant, look in looks(scores).items():
        for record in scores.of_seeds(entrant, dataset):
            if record.curve:
                steps, losses = zip(*record.curve, strict=True)
                handles[entrant.title] = panel.plot(steps, losses, color=look.colour, ls=look.dash, lw=0.8)[0]
    return handles


def steps_ahead(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """Figures 2b and 5: the error of the decoder, and the ARI of its masks, against the steps that were predicted."""
    for metric, label in LABELS.items():
        places = {
            dataset: {steps: Place(dataset, metric, target, "decoder-rollout") for steps, target in enumerate(DECODED)}
            for dataset in scores.datasets
        }
        shown = [dataset for dataset in places if _any(scores, places[dataset])]
        if not shown:
            continue
        figure, axes = panels(shown, 1, COLUMN, 1.9)
        handles: dict[str, Any] = {}
        for dataset, panel in axes.items():
            handles = _lines(panel, scores, places[dataset]) | handles
            panel.set_ylabel(label)
            say_troubles(panel, scores, dataset)
            if metric == "mse":
                logarithmic(panel)
        axes[shown[-1]].set_xlabel("steps ahead (0: the slots of the frame itself)")
        legend(figure, handles, 2)
        yield f"steps-ahead-{metric.replace('_', '-')}", figure


def colours(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """Figure 6: the error against the number of colours, for each of the paper's rules for the number of slots."""
    places = {
        f"{label}, {rule}": {
            variant.num_colours: Place(dataset, "mse", target, "decoder")
            for dataset, variant in variants(scores).items()
            if holds(variant)
        }
        for target, label in (("s", "MSE s"), ("p1", "MSE p"))
        for rule, holds in RULES.items()
    }
    shown = [title for title, points in places.items() if _any(scores, points)]
    if not shown:
        return
    figure, axes = panels(shown, 2, COLUMN, 1.6)
    handles: dict[str, Any] = {}
    for title, panel in axes.items():
        handles = _lines(panel, scores, places[title]) | handles
        panel.set_xticks(sorted(places[title]))
        logarithmic(panel)
    for panel in [*axes.values()][-2:]:
        panel.set_xlabel("colours (objects)")
    figure.supylabel(LABELS["mse"], fontsize=7)
    legend(figure, handles, 2)
    yield "figure6-colours", figure


def _any(scores: Scores, points: Mapping[int, Place]) -> bool:
    return any(
        _value(scores, e, seed, p) is not None for e in looks(scores) for seed in scores.seeds for p in points.values()
    )


def _value(scores: Scores, entrant: Entrant, seed: int, place: Place) -> float | None:
    """In units of 1e-2, or in %."""
    dataset, *what = place
    value = scores.value(entrant, dataset, seed, *what)
    return None if value is None else 100 * value


def _lines(panel: Axes, scores: Scores, points: Mapping[int, Place]) -> dict[str, Any]:
    """A thin line a seed, the mean over seeds with a band of its standard error; returns the means' handles."""
    handles = {}
    for entrant, look in looks(scores).items():
        means, low, high = {}, {}, {}
        for seed in scores.seeds:
            single = {
                x: value for x, p in sorted(points.items()) if (value := _value(scores, entrant, seed, p)) is not None
            }
            panel.plot([*single], [*single.values()], color=look.colour, lw=0.4, alpha=0.6, marker=".", ms=1.5)
        for x, place in sorted(points.items()):
            values = [_value(scores, entrant, seed, place) for seed in scores.seeds]
            found = summarise([value for value in values if value is not None])
            if found:
                means[x], error = found.mean, found.se or 0.0
                low[x], high[x] = _lower(found.mean, error), found.mean + error
        if means:
            line = {"color": look.colour, "ls": look.dash, "marker": look.marker}
            handles[entrant.title] = panel.plot([*means], [*means.values()], **line)[0]
            panel.fill_between([*means], [*low.values()], [*high.values()], color=look.colour, alpha=0.15, lw=0)
    return handles


def _lower(mean: float, error: float) -> float:
    """The lower edge of a band; that of a mean above 0 stays above 0 too, as an axis may be logarithmic."""
    return max(mean - error, mean / 10) if mean > 0 else mean - error
