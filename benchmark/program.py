"""What the runs on a data set share: its frames on the device, and for each method the compiled step and encoder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
from flax import nnx
from jax.sharding import Mesh

from benchmark import checked
from benchmark.contracts import Dataset, Report, Splits
from benchmark.devices import mesh
from benchmark.errors import RAISED, DiskError
from benchmark.freeze import Encoder, Reader, reader
from benchmark.plan import Run
from benchmark.training import Kernel, adam, initialiser
from benchmark.types import Batch, Data, Key


@dataclass
class Loaded:
    """A data set in memory, read the same way by all its runs; `seconds` is what loading took."""

    splits: Splits
    reader: Reader
    seconds: float


@dataclass
class Program:
    """What the seeds of one method on one data set share: the compiled training step and encoder."""

    initialise: Callable[[Key], nnx.Module]
    kernel: Kernel
    encoder: Encoder
    batch_size: int
    window: int


@dataclass
class Bench:
    """The frames of one data set and the program of one method, each made when the first run needs it.

    `devices` are those among which each batch is shared.
    """

    dataset: tuple[str, Dataset]
    cache: Path
    note: Report
    devices: int = 1
    _loaded: Loaded | None = None
    _failure: BaseException | None = None
    _where: TracebackType | None = None
    _program: tuple[tuple[str, str, int], Program] | None = None

    @property
    def loaded(self) -> Loaded:
        """The data set. Raises, for each of its runs, what kept it from being loaded for the first."""
        if self._loaded is None and self._failure is None:
            self._load()
        if self._loaded is None:
            assert self._failure is not None
            raise self._failure.with_traceback(self._where)  # which each raise would make longer
        return self._loaded

    def _load(self) -> None:
        began, (_, dataset) = time.perf_counter(), self.dataset
        try:
            splits = on_device(checked.loaded(dataset, dataset.load(self.cache, self.note)))
        except DiskError:
            raise
        except RAISED as error:
            self._failure, self._where = error, error.__traceback__
        else:
            self._loaded = Loaded(splits, reader(splits.spec), time.perf_counter() - began)

    def program(self, run: Run) -> Program:
        """What the seeds of the run's method share, as far as their probes want slots of as many steps ahead."""
        key = run.method_name, run.digest, _horizon(run)
        if self._program is None or self._program[0] != key:
            self._program = key, make_program(run, self.loaded.splits, mesh(self.devices))
        return self._program[1]


def run_keys(seed: int) -> Key:
    """The three keys of a run: initialisation, training, probes."""
    return jax.random.split(jax.random.fold_in(jax.random.key(0), seed), 3)


def on_device(splits: Splits) -> Splits:
    """Put the arrays of all splits on the device once; splits that share an array go on sharing it.

    On a CPU an array on a 64-byte boundary is used where it is: frames exist once. (`jnp.asarray` would copy them.)
    """
    placed: dict[int, Any] = {}

    def place(array: Any) -> Any:
        if id(array) not in placed:
            placed[id(array)] = jax.device_put(array)
        return placed[id(array)]

    for split in (splits.train, splits.probe, splits.val, splits.test):
        split.data = jax.tree.map(place, split.data)
    return splits


def make_program(run: Run, splits: Splits, among: Mesh | None = None) -> Program:
    """The kernel and encoder of a method on a data set. Labels reach the loss of a ceiling only."""
    method, spec, batch_size = run.trained, splits.spec, run.batch_size
    window = method.window(spec)

    def sample(data: Data, key: Key) -> Batch:
        batch = splits.train.sample(data, key, batch_size, window)
        return batch if method.reads_labels else batch._replace(labels=None)

    loss, optimizer = partial(checked.loss, method), adam(method.learning_rate, method.weight_decay)
    kernel = Kernel(loss, sample, optimizer, among, bfloat16=run.training.precision == "bfloat16")
    initialise = initialiser(partial(checked.build, method, spec))
    return Program(initialise, kernel, Encoder(method, spec, _horizon(run)), batch_size, window)


def _horizon(run: Run) -> int:
    """Most steps ahead that any of its probes asks about."""
    return max((run.probes[name].horizon for name in run.probe_digests), default=0)
