"""Figures: which ones a suite gets, drawn from its records and the arrays beside them, written as PNG and PDF.

A pure function of these: the same records give the same bytes with the same version of matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from benchmark.parameters import intact
from benchmark.records import Record
from benchmark.report import frame_figures, line_figures, scn_figures
from benchmark.report.drawing import Draw, save, style
from benchmark.report.scores import Context, Scores

__all__ = ["write_figures"]

BARE = Context()

FIGURES: dict[str, tuple[Draw, ...]] = {
    "atari": (line_figures.learning_curves, scn_figures.accuracy, scn_figures.importance),
    "synthetic": (
        line_figures.learning_curves,
        line_figures.steps_ahead,
        frame_figures.one_frame,
        frame_figures.frames_ahead,
        frame_figures.over_time,
    ),
    "colours": (line_figures.learning_curves, line_figures.colours),
}
"""What a suite gets; any other suite gets those for which it has the metrics and arrays."""

EVERY: tuple[Draw, ...] = (
    line_figures.learning_curves,
    line_figures.steps_ahead,
    scn_figures.accuracy,
    scn_figures.importance,
    frame_figures.one_frame,
    frame_figures.frames_ahead,
    frame_figures.over_time,
)


def write_figures(records: Iterable[Record], out: Path, context: Context = BARE) -> list[Path]:
    """Write the figures of all records of the output folder `out` into its folder "figures"; returns their paths.

    One folder a (suite, budget). Arrays are read from beside the records under `out`; where they are not there, or not
    as the record says, figures that need them show what the other runs have.
    """

    def read(record: Record) -> Mapping[str, np.ndarray]:
        return arrays(out, record)

    written: list[Path] = []
    with style():
        for scores in Scores.of(records, context):
            folder = out / "figures" / f"{scores.suite}-{scores.budget}"
            for draw in FIGURES.get(scores.suite, EVERY):
                for name, figure in draw(scores, read):
                    written += save(figure, folder / name)
    return written


def arrays(out: Path, record: Record) -> dict[str, np.ndarray]:
    """What the record's probes left for figures."""
    path = (out / record.path).with_suffix(".npz")
    if not intact(path, record.notes.get("arrays_sha256")):
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
