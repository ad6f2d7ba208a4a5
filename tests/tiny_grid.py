"""A plug-in for worker processes, and grids of runs on the tiny data set, each a second or two."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import tiny  # noqa: F401  registers the data set

from benchmark import checkpoints, claims, plan
from benchmark.configure import Configuration, parse_overrides
from benchmark.report.figures import FIGURES

ROOT = Path(__file__).resolve().parent.parent
started: list[subprocess.Popen] = []
"""All that `start` has started."""

SMALL = ["training.steps=2", "training.frames_per_step=4"]

checkpoints.EVERY = float(os.environ.get("TEST_CHECKPOINT_EVERY", checkpoints.EVERY))
claims.ATTEMPTS = int(os.environ.get("TEST_ATTEMPTS", claims.ATTEMPTS))
if "TEST_NO_FIGURES" in os.environ:
    FIGURES.update(dict.fromkeys(FIGURES, ()))


def runs(*methods: str) -> list[plan.Run]:
    """The runs of `small.command`, seed 0 of each method."""
    wanted = Configuration("atari", "smoke", tuple(parse_overrides(SMALL)))
    return plan.runs(wanted, methods, ["tiny"], seeds=1)


def claim_paths(out: Path, *methods: str) -> list[Path]:
    """Where the first claims of those runs lie."""
    return [out / run.path.with_suffix(".claim-1") for run in runs(*methods)]


def arguments(out: Path, methods: str, seeds: int = 1, steps: int = 2, *more: str) -> list[str]:
    """A command line for a grid on the tiny data set."""
    sizes = ["--set", f"training.steps={steps}", "--set", "training.frames_per_step=4", "--budget", "smoke"]
    grid = ["--datasets", "tiny", "--methods", methods, "--seeds", str(seeds), "--out", str(out)]
    return ["--plugin", str(Path(__file__)), *grid, *sizes, *more]


def environment(out: Path) -> dict[str, str]:
    """Of a command with a cache of its own under `out`, which draws the first figure of a suite only."""
    return os.environ | {"SLOTBENCH_CACHE": str(out / "cache"), "TEST_NO_FIGURES": "1"}


def start(out: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    """The command as a process, leader of a group of its own, with a cache of its own under `out`."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_benchmark.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment(out) | variables,
    )
    started.append(process)
    return process
