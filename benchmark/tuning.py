"""The learning rate as SetCon's authors chose it: of five rates, the one whose decoder errs least (Löwe et al. 2020).

The decoder is trained beside the model (`probe_protocol=joint`); its mean squared error on the slots and on the one
step predictions of the validation split decides. Candidates are ordinary runs with records of their own, in `tuning/`
under the output folder, so that a stopped choice goes on.

Departures: the paper's five are 1e-4 to 5e-4, times sequences a step over 256; ours are multiples of the method's own
rate. With the default, 1e-3, at the paper's batch they are 3.3e-4 to 1.7e-3 on GridWorld, the paper's 4e-4 to 2e-3.
On Bouncing Balls the paper's are 0.5e-4 to 2.5e-4: `--set methods.setcon.learning_rate=1.5e-4` makes ours these.
The validation split decides on both, as we read the paper its training frames on the balls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark import checked
from benchmark.errors import answering
from benchmark.plan import Run
from benchmark.records import Record
from benchmark.unfinished import standing_record

FACTORS = (1 / 3, 2 / 3, 1.0, 4 / 3, 5 / 3)
"""Candidates, as multiples of the method's own rate, which is the third: as far apart as the paper's 1e-4 to 5e-4."""


def candidates(grid: Iterable[Run]) -> list[Run]:
    """Five runs, on seed 0, for each method and data set of the grid that trains and whose frames can be decoded."""
    pairs = {(run.dataset_name, run.method_name): run for run in grid if _tunable(run)}
    return [_candidate(run, factor) for run in pairs.values() for factor in FACTORS]


def _tunable(run: Run) -> bool:
    with answering(f"--tune asks {run.method_name} on {run.dataset_name}"):
        runs_there = checked.supports(run.method, run.dataset.spec()) is None
        return run.method.trains and runs_there and "decoder" in run.probe_digests


def _candidate(run: Run, factor: float) -> Run:
    rate = run.method.learning_rate * factor
    with answering(f"--tune asks {run.method_name} with learning_rate={rate:.3g}"):
        method = replace(run.method, learning_rate=rate)
    training, probes = replace(run.training, probe_protocol="joint"), {"decoder": run.probes["decoder"]}
    remark = f"learning rate {rate:.3g}"
    return replace(run, method=method, training=training, probes=probes, seed=0, remark=remark)


def tuned(grid: Sequence[Run], out: Path) -> list[Run]:
    """The grid with the chosen rates, as far as the records of the candidates under `out` decide."""
    return [_tuned(run, out) for run in grid]


def _tuned(run: Run, out: Path) -> Run:
    if not _tunable(run):
        return run
    scores = {c.method.learning_rate: _score(c, out) for c in (_candidate(run, factor) for factor in FACTORS)}
    known = {rate: score for rate, score in scores.items() if score is not None}
    if not known:
        return run
    chosen = min(known, key=lambda rate: known[rate])
    how = {
        "by": "MSE of s and p1 on val, decoder trained beside the model, seed 0",
        "candidates": [[rate, score] for rate, score in scores.items()],
        "chosen": chosen,
    }
    return replace(run, method=replace(run.method, learning_rate=chosen), tuned=how)


def choices(grid: Iterable[Run]) -> list[str]:
    """A line for each method and data set of a tuned grid: the rate that was chosen, and each one's error."""
    runs = {(run.dataset_name, run.method_name): run for run in grid if _tunable(run)}
    return [f"{dataset}, {method}: {_choice(run)}" for (dataset, method), run in runs.items()]


def _choice(run: Run) -> str:
    if run.tuned is None:
        return f"learning rate {run.method.learning_rate:.3g}, its own, as no candidate has an error"
    errors = (f"{rate:.3g} ({'none' if error is None else f'{error:.4g}'})" for rate, error in run.tuned["candidates"])
    return f"learning rate {run.tuned['chosen']:.3g} has the least {run.tuned['by']}, of {', '.join(errors)}"


def _score(run: Run, out: Path) -> float | None:
    """What the record of a candidate says; None for one that failed or was not run."""
    record = standing_record(out / run.path)
    return error_on_val(record) if record else None


def error_on_val(record: Record) -> float | None:
    """MSE of the model's own decoder on val, plus that of slots one step ahead if it predicts; None if undefined."""
    wanted = "decoder", "mse_own", "val"
    rows = [row for row in record.metrics if (row["probe"], row["metric"], row["split"]) == wanted]
    values = [row["value"] for row in rows if row["target"] in ("s", "p1")]
    return sum(values) if values and None not in values else None
