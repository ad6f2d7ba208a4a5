"""One run from data to record, and many of them in turn. The only place that catches an exception of a run."""

from __future__ import annotations

import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from benchmark import parameters, records
from benchmark.checkpoints import Checkpoints
from benchmark.contracts import Splits
from benchmark.devices import mesh
from benchmark.errors import UserError
from benchmark.freeze import Encoder, Reader, reader
from benchmark.machine import commit, provenance
from benchmark.plan import Item, Run
from benchmark.progress import Progress
from benchmark.records import Record
from benchmark.registry import configuration
from benchmark.training import Kernel, adam, initialiser
from benchmark.types import Batch, Data, Frozen, Key, Metric

ARRAYS_LIMIT = 4_000_000
"""Bytes of arrays for figures that a run may leave beside its record."""


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
class Clock:
    """Seconds that each stage of a run took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Time what happens inside."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - began


@dataclass
class Runner:
    """Carries out planned runs in this process; records go to `out`, frames and parameters to `cache`."""

    out: Path
    cache: Path
    progress: Progress
    keep_params: bool = False
    devices: int = 1
    """Among how many each batch is shared."""

    def execute(self, items: Sequence[Item]) -> Iterator[Record]:
        """Do what is to be done and yield each record, already written.

        A run that raises is recorded as failed and the rest goes on. Raises UserError when a record cannot be written.
        """
        for _, group in groupby((i for i in items if i.to_do), key=lambda i: i.run.dataset_name):
            yield from self._on_one_data_set(list(group))

    def _on_one_data_set(self, items: Sequence[Item]) -> Iterator[Record]:
        """All runs on a data set; a function of its own, so that the frames are gone before the next are loaded."""
        loaded = self._load(items[0].run)
        for _, same_program in groupby(items, key=lambda i: (i.run.method_name, i.run.digest)):
            program = None
            for item in same_program:
                self.progress.run_started(item.run)
                standing = item.record or blank(item.run)
                try:
                    if isinstance(loaded, Exception):
                        raise loaded
                    program = program or make_program(item.run, loaded.splits, mesh(self.devices))
                    for standing in self._run(item, loaded, program):
                        records.encode(standing)
                    record = standing
                except Exception as error:
                    record = failed(standing, error)
                self._write(record, item)
                self.progress.run_finished(record)
                yield record

    def _load(self, run: Run) -> Loaded | Exception:
        """The run's data set, or why it cannot be had: then all runs on it fail."""
        began = time.perf_counter()
        try:
            splits = on_device(run.dataset.load(self.cache, self.progress.note))
        except Exception as error:
            return error
        return Loaded(splits, reader(splits.spec), time.perf_counter() - began)

    def _run(self, item: Item, loaded: Loaded, program: Program) -> Iterator[Record]:
        """The record of the training, as soon as that is done, then the whole one."""
        run, splits, clock = item.run, loaded.splits, Clock({"load": loaded.seconds})
        loaded.seconds = 0.0  # the first run on a data set carries the time of loading it
        init_key, train_key, probe_key = run_keys(run.seed)
        with clock.time("build"):
            model = program.initialise(init_key)
        if item.state == "reprobe":
            assert item.record is not None
            kept = run.kept_parameters(self.out, self.cache, item.record)
            assert kept is not None
            model = parameters.load(kept, model)
            record = replace(item.record, status="ok", reason=None, traceback=None, suite=run.suite, budget=run.budget)
            clock.seconds = record.timing | clock.seconds
        else:
            model, record = self._train(run, model, loaded, program, train_key, clock)
        yield replace(record, timing=dict(clock.seconds))
        self.progress.stage("freezing")
        with clock.time("freeze"):
            train, val, test = (
                program.encoder.freeze(model, split, loaded.reader) for split in (splits.probe, splits.val, splits.test)
            )
        self.progress.stage("probing")
        with clock.time("probe"):
            record = self._probe(run, record, (train, val, test), probe_key)
        stages = {stage: seconds for stage, seconds in clock.seconds.items() if stage != "total"}
        yield replace(record, timing=stages | {"total": sum(stages.values())})

    def _train(
        self, run: Run, model: nnx.Module, loaded: Loaded, program: Program, key: Key, clock: Clock
    ) -> tuple[nnx.Module, Record]:
        """The trained model, its parameters kept, and the record of its training."""
        kernel, steps = program.kernel, run.training.steps if run.trained.trains else 0
        compiled = kernel.compile_seconds
        self.progress.stage("compiling")
        checkpoints = Checkpoints(run.checkpoints(self.cache))
        fitted = kernel.fit(model, loaded.splits.train.data, steps, key, self.progress.step, checkpoints)
        share = steps / fitted.steps if fitted.steps else 1.0  # of a run that went on, time as if it had not stopped
        clock.seconds |= {"compile": kernel.compile_seconds - compiled, "train": fitted.seconds * share}
        facts: dict[str, Any] = {
            "steps": steps,
            "batch_size": program.batch_size,
            "window": program.window,
            "frames": steps * program.batch_size * program.window,
            "flops_per_step": kernel.flops,
            "devices": self.devices,
            "parameters": int(sum(leaf.size for leaf in jax.tree.leaves(nnx.state(fitted.model, nnx.Param)))),
            "parameters_sha256": parameters.save(run.parameters(self.cache), fitted.model),
        }
        if self.keep_params:
            parameters.save((self.out / run.path).with_suffix(".parameters.npz"), fitted.model)
        if run.tuned:
            facts["tuned"] = dict(run.tuned)
        record = replace(blank(run), status="ok", data=loaded.splits.facts, training=facts, curve=fitted.curve)
        return fitted.model, record

    def _probe(self, run: Run, record: Record, frozen: tuple[Frozen, Frozen, Frozen], key: Key) -> Record:
        """The record with the answers of the run's probes; those of other probes in it stay."""
        metrics = [row for row in record.metrics if row["probe"] not in run.probe_digests]
        notes, asked = dict(record.notes), dict(record.probes)
        arrays: dict[str, np.ndarray] = {}
        for name, digest in run.probe_digests.items():
            probe = run.probes[name]
            result = probe(*frozen, jax.random.fold_in(key, zlib.crc32(name.encode())))
            asked[name] = {"digest": digest, "configuration": configuration(probe), "commit": commit()}
            metrics += [_row(name, metric) for metric in result.metrics]
            notes[name] = result.notes
            arrays |= {f"{name}.{part}": value for part, value in result.arrays.items()}
        notes["arrays_sha256"] = save_arrays((self.out / run.path).with_suffix(".npz"), arrays)
        return replace(record, probes=asked, metrics=metrics, notes=notes)

    def _write(self, record: Record, item: Item) -> None:
        """Write a record; a damaged one in its place is set aside first."""
        try:
            if item.state == "damaged":
                set_aside(self.out / record.path)
            records.write(self.out, record)
            if record.curve or "DivergedError" in (record.reason or ""):  # what else failed may go on where it was
                Checkpoints(item.run.checkpoints(self.cache)).clear()
        except OSError as error:
            remedy = "make room there, then give the same command again"
            raise UserError(f"the record {record.path} cannot be written ({error.strerror}); {remedy}") from None


def run_keys(seed: int) -> Key:
    """The three keys of a run: initialisation, training, probes."""
    return jax.random.split(jax.random.fold_in(jax.random.key(0), seed), 3)


def blank(run: Run) -> Record:
    """The record of a run of which nothing is known yet but its identity."""
    return Record(
        suite=run.suite,
        budget=run.budget,
        dataset=run.dataset_name,
        method=run.method_name,
        seed=run.seed,
        digest=run.digest,
        status="failed",
        configuration=run.configuration,
        provenance=provenance(),
    )


def failed(standing: Record, error: Exception) -> Record:
    """The record of a run that raised; what stands of it already, such as its training, stays."""
    reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    told = "".join(traceback.format_exception(error))
    return replace(standing, status="failed", reason=reason, traceback=told)


def _row(probe: str, metric: Metric) -> dict[str, Any]:
    """A metric as a row of a record. Raises ValueError for a number that is not finite: undefined is None."""
    value = None if metric.value is None else float(metric.value)
    if value is not None and not isfinite(value):
        raise ValueError(f"probe {probe} gave {metric.metric} of {metric.target} = {value}; undefined must be None")
    return {"probe": probe, **asdict(metric), "value": value}


def on_device(splits: Splits) -> Splits:
    """Put the arrays of all splits on the device once; splits that share an array go on sharing it."""
    placed: dict[int, Any] = {}

    def place(array: Any) -> Any:
        if id(array) not in placed:
            placed[id(array)] = jax.numpy.asarray(array)
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

    kernel = Kernel(method.loss, sample, adam(method.learning_rate, method.weight_decay), among)
    horizon = max((probe.horizon for probe in run.probes.values()), default=0)
    initialise = initialiser(lambda rngs: method.build(spec, rngs))
    return Program(initialise, kernel, Encoder(method, spec, horizon), batch_size, window)


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> str | None:
    """Write the arrays for figures; returns the file's SHA-256, None if there are none.

    Raises ValueError when they exceed ARRAYS_LIMIT.
    """
    if not arrays:
        return None
    size = sum(array.nbytes for array in arrays.values())
    if size > ARRAYS_LIMIT:
        raise ValueError(f"the probes' arrays take {size} bytes; at most {ARRAYS_LIMIT} are kept")
    return parameters.save_named(path, arrays)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it stays beside its successor."""
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return path.rename(target)
