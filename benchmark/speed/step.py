"""One training step, timed inside the kernel's own loop."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
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

    def __call__(self, step: int, loss: float, parts: Mapping[str, float]) -> None:
        now = time.perf_counter()
        if self._last:
            self.seconds.append((now - self._last[1]) / (step - self._last[0]))
        self._last = step, now


def load(run: Run, cache: Path) -> Splits:
    """The run's data set on the device, made or collected if it is not in the cache."""
    return on_device(run.dataset.load(cache, lambda line: print(line, file=sys.stderr)))


def measure(runs: list[Run], splits: Splits, among: Mesh | None = None, together: bool = False) -> dict[str, Any]:
    """Train each of the runs, which differ in their seed, on one device or `among` many, and say what a step took.

    One after the other or all `together`: a step is one of all of them then, and its `flops` too, on all devices.
    `ms_per_step` is the median over all steps after the warm-up, from one result on the host to the next. `loss` is
    that of the last step of each seed: what a run of so many steps has in its record. `flops` is XLA's own count for a
    step, a loop's body once, and `share_of_peak` what of the machine's rate at a large matrix product that makes; None
    where XLA counts nothing. `peak_memory_mb` is the whole process, data included; `step_memory_mb` what the step's
    program holds besides its arguments.
    """
    program, seconds, losses = make_program(runs[0], splits, among), [], []
    program.kernel.few = 0  # what is measured is a step of a long training
    keys, data, steps = [run_keys(run.seed) for run in runs], splits.train.data, runs[0].training.steps
    if together:
        models, watch = [program.initialise(key) for key, _, _ in keys], Stopwatch()
        fitted = program.kernel.fit_together(models, data, steps, [key for _, key, _ in keys], watch)
        seconds, losses = watch.seconds[WARM_UP:], [own.curve[-1][1] for own in fitted]
    else:
        for init_key, train_key, _ in keys:
            watch = Stopwatch()
            own = program.kernel.fit(program.initialise(init_key), data, steps, train_key, watch)
            seconds += watch.seconds[WARM_UP:]
            losses.append(own.curve[-1][1])
    each, kernel = median(seconds), program.kernel
    devices = among.size if among else 1
    flops = kernel.flops and kernel.flops * devices * (len(runs) if together else 1)
    # Simulated devices share one CPU.
    peak, rate = matrix_peak() * (1 if jax.default_backend() == "cpu" else devices), flops / each if flops else None
    return {
        "method": runs[0].method_name,
        "dataset": runs[0].dataset_name,
        "batch": program.batch_size,
        "frames_per_step": program.batch_size * program.window,
        "steps": runs[0].training.steps,
        "seeds": [run.seed for run in runs],
        "seeds_together": len(runs) if together else 1,
        "devices": devices,
        "ms_per_step": 1e3 * each,
        "compile_seconds": kernel.compile_seconds,
        "loss": losses,
        "flops": flops,
        "gflops_per_second": rate and rate / 1e9,
        "matrix_peak_gflops_per_second": peak / 1e9,
        "share_of_peak": rate and rate / peak,
        "peak_memory_mb": peak_memory() / 1e6,
        "step_memory_mb": kernel.temporary_bytes / 1e6,
        "device": provenance()["device"],
        "threads": provenance()["threads"],
    }


@cache
def matrix_peak() -> float:
    """Operations a second of this machine in a float32 product of two square matrices, the best of several."""
    size = 2048
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
