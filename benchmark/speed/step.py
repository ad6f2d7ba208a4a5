"""One training step, timed inside the kernel's own loop."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from benchmark.contracts import Splits
from benchmark.machine import compile_, provenance
from benchmark.plan import Run
from benchmark.program import make_program, on_device, run_keys

WARM_UP = 3
"""Steps, or calls, that do not count: the first ones find the allocator and the caches cold."""


@dataclass
class Stopwatch:
    """Seconds a step between the calls of a kernel's `on_step`."""

    seconds: list[float] = field(default_factory=list)
    _last: tuple[int, float] | None = None

    def __call__(self, step: int, loss: float) -> None:
        now = time.perf_counter()
        if self._last:
            self.seconds.append((now - self._last[1]) / (step - self._last[0]))
        self._last = step, now


def load(run: Run, cache: Path) -> Splits:
    """The run's data set on the device, made or collected if it is not in the cache."""
    return on_device(run.dataset.load(cache, lambda line: print(line, file=sys.stderr)))


def measure(runs: list[Run], splits: Splits, among: Mesh | None = None) -> dict[str, Any]:
    """Train each of the runs, which differ in their seed, on one device or `among` many, and say what a step took.

    `ms_per_step` is the median over all steps after the warm-up, from one result on the host to the next. `loss` is
    that of the last step of each seed: what a run of so many steps has in its record. `flops` is XLA's own count for a
    step, and `share_of_peak` what of the machine's rate at a large matrix product that makes; None where XLA counts
    nothing. `peak_memory_mb` is the whole process, data included; `step_memory_mb` what the step's program holds
    besides its arguments.
    """
    program, seconds, losses = make_program(runs[0], splits, among), [], []
    for run in runs:
        (init_key, train_key, _), watch = run_keys(run.seed), Stopwatch()
        model, steps = program.initialise(init_key), run.training.steps
        fitted = program.kernel.fit(model, splits.train.data, steps, train_key, watch)
        seconds += watch.seconds[WARM_UP:]
        losses.append(fitted.curve[-1][1])
    each, kernel = median(seconds), program.kernel
    peak, rate = matrix_peak(), kernel.flops / each if kernel.flops else None
    return {
        "method": runs[0].method_name,
        "dataset": runs[0].dataset_name,
        "batch": program.batch_size,
        "frames_per_step": program.batch_size * program.window,
        "steps": runs[0].training.steps,
        "seeds": [run.seed for run in runs],
        "devices": among.size if among else 1,
        "ms_per_step": 1e3 * each,
        "compile_seconds": kernel.compile_seconds,
        "loss": losses,
        "flops": kernel.flops,
        "gflops_per_second": rate and rate / 1e9,
        "matrix_peak_gflops_per_second": peak / 1e9,
        "share_of_peak": rate and rate / peak,
        "peak_memory_mb": peak_memory() / 1e6,
        "step_memory_mb": kernel.temporary_bytes / 1e6,
        "device": provenance()["device"],
        "threads": provenance()["threads"],
    }


@cache
def matrix_peak(size: int = 2048) -> float:
    """Operations a second of this machine in a float32 product of two square matrices, the best of several."""
    a = jnp.asarray(np.random.default_rng(0).standard_normal((size, size), np.float32))
    return 2 * size**3 / min(timed(jnp.matmul, a, a, repeats=5))


def timed(function: Any, *arguments: Any, repeats: int) -> list[float]:
    """Seconds of calls of the compiled function after the warm-up, each until its result is there."""
    program, seconds = compile_(function, *arguments), []
    for _ in range(WARM_UP + repeats):
        began = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        seconds.append(time.perf_counter() - began)
    return seconds[WARM_UP:]


def peak_memory() -> int:
    """Bytes that this process has held at most: on an accelerator its own memory, else the resident set."""
    statistics = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        return statistics["peak_bytes_in_use"]
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
