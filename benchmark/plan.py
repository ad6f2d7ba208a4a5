"""What a command would do: the identity of every run, what exists already, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmark import checked, parameters, records
from benchmark.configure import Configuration
from benchmark.contracts import Dataset, Method, Probe
from benchmark.errors import UserError, answering
from benchmark.joint import Joint, joint
from benchmark.machine import uncommitted
from benchmark.records import Record
from benchmark.registry import code, code_below, configuration, probes, source
from benchmark.suites import Training

ENGINE = 1
"""Raised by hand when a change of the training kernel alters what training computes."""

State = Literal["new", "retry", "reprobe", "damaged", "done", "failed", "skipped"]

TO_DO: tuple[State, ...] = ("new", "retry", "reprobe", "damaged")


@dataclass(frozen=True)
class Run:
    """One method trained once on one data set with one seed."""

    suite: str
    budget: str
    dataset_name: str
    dataset: Dataset
    method_name: str
    method: Method
    training: Training
    probes: Mapping[str, Probe]
    seed: int
    tuned: Mapping[str, Any] | None = None
    """What chose the method's learning rate, if anything did."""
    remark: str = ""
    """What tells it from others of the same names and seed."""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.dataset_name, self.method_name, f"seed {self.seed}", self.remark)))

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """All that training depends on, besides the seed."""
        training = {"engine": ENGINE, **asdict(self.training)}
        if self.training.precision == "float32":  # all there was when the first records were written
            del training["precision"]
        return {
            "method": configuration(self.method),
            "dataset": configuration(self.dataset),
            "training": training,
            **({"joint": self.trained.decoding()} if isinstance(self.trained, Joint) else {}),
        }

    @cached_property
    def digest(self) -> str:
        """The identity of what is trained."""
        return records.digest(self.configuration)

    @cached_property
    def probe_digests(self) -> dict[str, str]:
        """The identity of each probe that applies to the data set."""
        spec = self.dataset.spec()
        return {
            name: records.digest(configuration(probe))
            for name, probe in self.probes.items()
            if checked.supports(probe, spec) is None
        }

    @cached_property
    def trained(self) -> Method:
        """What is trained: the method, or the method with the probe's decoder beside it."""
        return joint(self.method) if self.training.probe_protocol == "joint" else self.method

    @property
    def batch_size(self) -> int:
        """Samples a step: windows of as many frames as the method wants; at least one, whether or not it trains."""
        return max(1, self.training.frames_per_step // self.trained.window(self.dataset.spec()))

    @property
    def path(self) -> Path:
        """Where its record lies under the output folder."""
        return records.run_path(self.dataset_name, self.method_name, self.digest, self.seed)

    def parameters(self, cache: Path) -> Path:
        """Where its trained parameters are kept."""
        return (cache / "parameters" / self.path.relative_to("runs")).with_suffix(".npz")

    def parameters_beside(self, out: Path) -> Path:
        """Where `--keep-params` keeps them beside its record."""
        return (out / self.path).with_suffix(".parameters.npz")

    def kept_parameters(self, out: Path, cache: Path, record: Record) -> Path | None:
        """Where the parameters that the record speaks of are, in the cache or beside it; None if they are lost."""
        sha256 = record.training.get("parameters_sha256")
        places = (self.parameters(cache), self.parameters_beside(out))
        return next((path for path in places if parameters.intact(path, sha256)), None)

    def checkpoints(self, cache: Path) -> Path:
        """The folder of its checkpoints while it trains."""
        return (cache / "checkpoints" / self.path.relative_to("runs")).with_suffix("")

    @property
    def code(self) -> str:
        """The identity of the files that its method and data set are made of, as they were imported."""
        return records.digest([code_below(type(part)) for part in (self.method, self.dataset)])


@dataclass(frozen=True)
class Item:
    """A run and what is to be done with it; `record` is what exists of it, and changes only when the run is done.

    `asked` are the probes to ask where the answers of the others stay; empty: all of the run's.
    """

    run: Run
    state: State
    reason: str = ""
    record: Record | None = None
    asked: tuple[str, ...] = ()

    @property
    def to_do(self) -> bool:
        """Does anything remain to be done?"""
        return self.state in TO_DO

    @property
    def probes_to_ask(self) -> tuple[str, ...]:
        """Names of the probes that are to answer: those of `asked`, else all of the run's."""
        return self.asked or tuple(self.run.probe_digests)


def collecting(items: Iterable[Item]) -> list[Run]:
    """The first run to do of each collection of frames; data sets with the same fields and `missing` share theirs, as a
    game and its centred form do.
    """
    firsts: dict[Any, Run] = {}
    for run in (item.run for item in items if item.to_do):
        firsts.setdefault((type(run.dataset).missing, records.digest(configuration(run.dataset))), run)
    return [*firsts.values()]


def runs(wanted: Configuration, methods: Sequence[str], datasets: Sequence[str], seeds: int) -> list[Run]:
    """The grid, data set by data set so that frames are loaded once, method by method so that programs are."""
    chosen = {name: wanted.method(name) for name in methods}
    return [
        Run(
            wanted.suite,
            wanted.budget,
            dataset_name,
            dataset,
            name,
            method,
            wanted.training(dataset_name),
            probes,
            seed,
        )
        for dataset_name, dataset, probes in ((d, wanted.dataset(d), wanted.probes(d)) for d in datasets)
        for name, method in chosen.items()
        for seed in range(seeds)
    ]


def united(grid: Iterable[Run]) -> list[Run]:
    """Each run once: where several suites have the same, the first one's with the probes of all."""
    once: dict[Path, Run] = {}
    for run in grid:
        known = once.get(run.path)
        once[run.path] = replace(known, probes={**known.probes, **run.probes}) if known else run
    return list(once.values())


def plan(grid: Iterable[Run], out: Path, cache: Path, *, retry_failed: bool, reprobe: bool) -> list[Item]:
    """What exists of each run and what is to be done.

    Raises UserError where a method, data set or probe cannot say, and for a record that cannot be read.
    """
    items = []
    for run in grid:
        with answering(f"{run.method_name} on {run.dataset_name}, of which `python -m benchmark.check` tells more"):
            items.append(examine(run, out, cache, retry_failed, reprobe))
    return items


def examine(run: Run, out: Path, cache: Path, retry_failed: bool = False, reprobe: bool = False) -> Item:
    """What exists of a run and what is to be done."""
    if reason := checked.supports(run.method, run.dataset.spec()) or _without_probes(run) or _decoder_unread(run):
        return Item(run, "skipped", reason)
    _check_window(run)
    path = out / run.path
    try:
        if not path.exists():
            return Item(run, "new")
        record = records.read(path)
    except (records.UnreadableRecordError, OSError) as error:
        why = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else error
        remedy = "make it readable, use the version that wrote it, or another --out"
        raise UserError(f"{path}: {why}; it may be whole, so that nothing is done: {remedy}") from None
    except records.DamagedRecordError as error:
        return Item(run, "damaged", f"{run.path}: {error}; it is set aside and the run done again")
    if not record.probes.keys() <= run.probe_digests.keys():  # with the answers that stay, it stays in their suite
        run = replace(run, suite=record.suite, budget=record.budget)
    kept, changed = run.kept_parameters(out, cache, record), _changed_probes(run, record)
    damaged = "its arrays for figures are damaged" if parameters.arrays_damaged(out, record) else ""
    failed = _failed_before(record, tuple(run.probe_digests))
    to_ask = changed if retry_failed or reprobe else tuple(name for name in changed if name not in failed)
    if record.status == "failed" and retry_failed and not kept:
        return Item(_with_probes_of(record, run), "retry", record.reason or "", record)
    if failed and not (kept and (to_ask or reprobe or retry_failed)):
        return Item(run, "failed", "; ".join(filter(None, (record.reason, _edited(run, record)))), record)
    if not (changed or reprobe or (retry_failed and record.status == "failed") or (damaged and kept)):
        told = _edited(run, record, "; if what is computed has changed too, raise `version` in the class")
        return Item(run, "done", told, record)  # a probe that is not asked now may have failed
    if not kept:
        again = _with_probes_of(record, run)
        gone = sorted(record.probes.keys() - again.probes.keys())
        told = "its parameters are not kept, so it is trained again to be probed, by all that its record was asked"
        told += f" but {', '.join(gone)}, not known as it was: its answers go" if gone else ""
        return Item(again, "new", told, record)
    if reprobe or len(to_ask) in (0, len(run.probe_digests)) or not parameters.arrays_intact(out, record):
        return Item(run, "reprobe", damaged, record=record)
    return Item(run, "reprobe", f"only {', '.join(to_ask)}", record, to_ask)


def _edited(run: Run, record: Record, remedy: str = "") -> str:
    """Which files of plug-ins are no more what they were, though the versions of their classes are."""
    mine = {"method": run.method, "dataset": run.dataset} | {name: run.probes[name] for name in run.probe_digests}
    known = record.provenance.get("code", {}) | {name: probe.get("code") for name, probe in record.probes.items()}
    files = [file for name, plugin in mine.items() if (file := code(type(plugin))) != (known.get(name) or file)]
    # what is committed in the repository has its versions kept with it; it alone is named by its folder too
    names = sorted({file["file"] for file in files if "/" not in file["file"] or file["file"] in uncommitted()})
    return f"{', '.join(names)} {'have' if len(names) > 1 else 'has'} changed since then{remedy}" if names else ""


def _failed_before(record: Record, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the probes failed when they were asked; all of them where the run itself did."""
    if record.status != "failed":
        return ()
    return tuple(name for name in names if name in record.notes.get("failed_probes", names))


def _with_probes_of(record: Record, run: Run) -> Run:
    """The run with the probes too that only its record was asked, as it was: old answers are not of a new training."""
    asked = {}
    for name, probe in record.probes.items():
        if name in run.probes:
            continue
        settings = {f: tuple(v) if isinstance(v, list) else v for f, v in probe["configuration"].items()}
        del settings["version"]
        with suppress(UserError):  # a plug-in's that is not named now, or has other fields
            asked[name] = probes.create(name, **settings)
    return replace(run, probes={**asked, **run.probes})


def _check_window(run: Run) -> None:
    """Raises UserError unless a sample is a number of frames, and no more than a training step has."""
    window = run.trained.window(run.dataset.spec())
    if not isinstance(window, int) or window < 1:
        told = f"window gave {window!r} on {run.dataset_name}; expected an int of at least 1"
        raise UserError(f"{source(type(run.method), 'window')}: {told}")
    if run.method.trains and run.training.frames_per_step < window:
        length = run.dataset.spec().clip_length
        given = f"training.frames_per_step is {run.training.frames_per_step}"
        needed = f"{run.method_name} on {run.dataset_name} learns from {window} frames at once"
        if window > length:
            remedy = f"let it be fewer or, if training sequences are longer, set that to at least {window}"
            raise UserError(f"{needed}, but its clips have {length} and {given}; {remedy}")
        raise UserError(f"{given}, but {needed}; set at least {window}")


def _without_probes(run: Run) -> str | None:
    """Why none of the probes can be asked; None if one can."""
    if run.probe_digests:
        return None
    reasons = (f"{name}: {checked.supports(probe, run.dataset.spec())}" for name, probe in run.probes.items())
    return f"no probe to ask it ({'; '.join(reasons)})"


def _decoder_unread(run: Run) -> str | None:
    """Why no decoder should be trained beside the method, if none of the probes asked reads it."""
    if not isinstance(run.trained, Joint) or any(run.probes[name].reads_decoder for name in run.probe_digests):
        return None
    return "probe_protocol=joint trains a decoder beside it, which none of the probes asked reads"


def _changed_probes(run: Run, record: Record) -> tuple[str, ...]:
    """The run's probes that the record does not know as they are now."""
    known = {name: probe["digest"] for name, probe in record.probes.items()}
    return tuple(name for name, digest in run.probe_digests.items() if known.get(name) != digest)
