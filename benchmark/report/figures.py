"""Figures: which ones a suite gets, drawn from its records and the arrays beside them, written as PNG and PDF.

A pure function of these: the same records give the same bytes with the same version of matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.parameters import intact, load_named
from benchmark.records import Record, digest
from benchmark.report import aggregate_figures, figure_cache, frame_figures, line_figures, position_figures, scn_figures
from benchmark.report.drawing import Draw, save, style
from benchmark.report.leftovers import remove_others
from benchmark.report.published import PAPERS
from benchmark.report.scores import Context, Scores

BARE = Context()

ALL: tuple[Draw, ...] = (line_figures.learning_curves, position_figures.positions)
ATARI = (*ALL, scn_figures.accuracy, aggregate_figures.profiles, aggregate_figures.heat_map, scn_figures.importance)
VIDEOS = (line_figures.steps_ahead, frame_figures.one_frame, frame_figures.frames_ahead, frame_figures.over_time)

FIGURES: dict[str, tuple[Draw, ...]] = {
    "atari": ATARI,
    "synthetic": (*ALL, *VIDEOS),
    "colours": (line_figures.learning_curves, line_figures.colours),
}
"""What a suite gets; any other suite gets those for which it has the metrics and arrays."""

EVERY = (*ATARI, *VIDEOS)


def write_figures(records: Iterable[Record], out: Path, context: Context = BARE) -> list[Path]:
    """Write the figures of all records of the output folder `out` into its folder "figures"; returns their paths.

    One folder a (suite, budget); earlier figures of ours that are not drawn now are removed. Arrays are read from
    beside the records under `out`; where they are not there, or not as the record says, figures that need them show
    what the other runs have. Nothing is drawn when `drawn.json` tells that the files there are those of the same
    records, code and matplotlib. Raises OSError.
    """
    sets, folder = Scores.of(records, context), out / "figures"
    if not sets:
        remove_others(folder, (), (".png", ".pdf"))
        return []
    sources = digest([_content(out, scores) for scores in sets] + _code())
    if (found := figure_cache.files(folder, sources)) is not None:
        return found
    written: list[Path] = []
    with style():
        for scores in sets:
            for draw in FIGURES.get(scores.suite, EVERY):
                for name, figure in draw(scores, partial(arrays, out)):
                    written += save(figure, folder / scores.folder / name)
    remove_others(folder, written, (".png", ".pdf"))
    figure_cache.remember(folder, sources, written)
    return written


def _content(out: Path, scores: Scores) -> list[Any]:
    """All that figures may show of a (suite, budget); of arrays, the size and time of their file."""
    runs = []
    for (entrant, _, _), record in scores.runs.items():
        arrays = out / record.arrays
        file = [arrays.stat().st_size, arrays.stat().st_mtime_ns] if arrays.is_file() else None
        runs.append([entrant.title, str(record.path), vars(record) | {"timing": {}}, file])
    return [scores.suite, scores.budget, sorted(runs, key=lambda run: run[:2])]


def _code() -> list[Any]:
    """What draws, and the papers' numbers that it draws."""
    sources = [*Path(__file__).parent.glob("*.py"), *PAPERS.glob("*.toml")]
    return [version("matplotlib"), *(sha256(path.read_bytes()).hexdigest() for path in sorted(sources))]


def arrays(out: Path, record: Record) -> dict[str, np.ndarray]:
    """What the record's probes left for figures."""
    path = out / record.arrays
    return load_named(path) if intact(path, record.notes.get("arrays_sha256")) else {}
