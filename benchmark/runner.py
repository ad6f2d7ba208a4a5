"""One run from data to record, and many of them in turn. What a run raises is caught here, and in asking a probe."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from benchmark import parameters, plan, records, stopping
from benchmark.asking import ask
from benchmark.checkpoints import Checkpoints
from benchmark.claims import Claim, Claims
from benchmark.clock import Clock
from benchmark.errors import RAISED, DiskError, LostError, written
from benchmark.plan import Item, Run
from benchmark.program import Bench, Loaded, Program, run_keys
from benchmark.progress import Progress
from benchmark.records import Record
from benchmark.seeds_together import Siblings, alike
from benchmark.types import Key
from benchmark.unfinished import blank, failed, given_up, standing_before, standing_record

POLL = 1.0
"""Seconds between two looks at the runs of others."""


@dataclass
class Runner:
    """Carries out planned runs in this process; records go to `out`, frames and parameters to `cache`.

    Runs that other processes hold are left to them, and taken over where the others die.
    """

    out: Path
    cache: Path
    progress: Progress
    keep_params: bool = False
    devices: int = 1
    """Among how many each batch is shared."""
    together: int = 1
    """How many seeds of a method are trained in one program at most."""
    claims: Claims = field(init=False)
    _claim: Claim | None = None
    _bench: Bench | None = None
    _siblings: Siblings = field(default_factory=Siblings)

    def __post_init__(self) -> None:
        self.claims = Claims(self.out)

    def execute(self, items: Sequence[Item]) -> Iterator[Record]:
        """Do what is to be done and yield each record, written by this process or by another.

        A run that raises is recorded as failed and the rest goes on. Raises DiskError when it cannot be recorded, or
        its frames cannot be kept.
        """
        pending = [item for item in items if item.to_do]
        while pending:
            held = []
            for group in alike(pending, self.together):
                try:
                    self._claim_siblings(group[1:])
                    for item in group:
                        if record := self._settle(item):
                            yield record
                        else:
                            held.append(item)
                finally:
                    self._siblings.give_back()
            if pending := held:
                self._wait(pending)

    def _claim_siblings(self, items: Sequence[Item]) -> None:
        """Claim what can be trained together with the run before them."""
        for item in map(self._as_it_stands, items):
            if item.state == "reprobe" or not item.to_do or not (claim := self._take(item.run)):
                continue
            if claim.holder.attempt == 1:
                self._siblings.add(item.run, claim)
            else:  # whose process has died: it is to be tried alone
                claim.release()

    def _take(self, run: Run) -> Claim | None:
        return self.claims.take(run.path, self._checkpoints(run).step())

    def _settle(self, item: Item) -> Record | None:
        """The record of a run, carried out here if nobody has done it; None while another does."""
        path = item.run.path
        claim = self._siblings.claim_of(path)
        if claim is None and (record := self._done_elsewhere(item)):
            self.progress.run_finished(record)
            return record
        claim = self._claim = claim or self._take(item.run)
        if claim is None:
            return None
        try:
            now = self._as_it_stands(item)  # others may have done it in between
            if now.to_do:
                record = self._do(now, claim)
            else:
                record = now.record
                self.claims.clear(path)
        except LostError:
            return None
        finally:
            claim.release()
        if record:
            self.progress.run_finished(record)
        return record

    def _do(self, item: Item, claim: Claim) -> Record:
        """The record of a run that is claimed, carried out and written."""
        self.progress.run_started(item.run)
        record = given_up(item) if claim.exhausted else self._carry_out(item)
        with stopping.put_off():  # the end of a command is signalled as soon as the record is seen
            self._write(record, item)
            self.claims.clear(item.run.path)
        return record

    def _done_elsewhere(self, item: Item) -> Record | None:
        """The record of the run, if by it another process has done what is missing; asking again is not asked twice."""
        now = self._as_it_stands(item)
        return None if now.to_do else now.record

    def _as_it_stands(self, item: Item) -> Item:
        """What is to be done of an item by now: others may have asked the run other probes, or lost its parameters."""
        record, lost = standing_record(self.out / item.run.path), False
        if item.state == "reprobe" and item.record:
            lost = not item.run.kept_parameters(self.out, self.cache, item.record)
        if record in (None, item.record) and not lost:
            return item
        same = record == item.record  # it is only the parameters that have gone
        return plan.examine(item.run, self.out, self.cache, retry_failed=same, reprobe=same)

    def _carry_out(self, item: Item) -> Record:
        standing, bench = standing_before(item), self._bench_for(item.run)
        try:
            for made in self._run(item, bench.loaded, bench.program(item.run)):
                records.encode(made)
                standing = made
            return standing
        except (LostError, DiskError):
            raise
        except RAISED as error:
            cause = error.__cause__  # of what a generator makes of a StopIteration, which would say less
            return failed(standing, cause if isinstance(cause, StopIteration) else error)

    def _bench_for(self, run: Run) -> Bench:
        """The one in use while it serves, else a new one: the old one goes before other frames are loaded."""
        dataset = run.dataset_name, run.dataset
        if self._bench is None or self._bench.dataset != dataset:
            self._bench = Bench(dataset, self.cache, self.progress.note, self.devices)
        return self._bench

    def _wait(self, items: Sequence[Item]) -> None:
        """Until one of the runs that others hold is done or may be taken over."""
        holders = sorted({str(holder) for item in items if (holder := self.claims.holder(item.run.path))})
        runs = f"{len(items)} runs" if len(items) > 1 else f"{items[0].run}"
        if holders:
            self.progress.note(f"waiting for {runs} of {', '.join(holders)}")
        while not any(self.claims.free(item.run.path) for item in items):
            time.sleep(POLL)

    def _step(self, done: int, loss: float, parts: Mapping[str, float]) -> None:
        if (self._claim and self._claim.lost) or self._siblings.lost:
            raise LostError
        self.progress.step(done, loss, parts)

    def _run(self, item: Item, loaded: Loaded, program: Program) -> Iterator[Record]:
        """The record of the training, as soon as that is done, then the whole one."""
        run, splits, clock = item.run, loaded.splits, Clock({"load": loaded.seconds})
        loaded.seconds = 0.0  # the first run on a data set carries the time of loading it
        init_key, train_key, probe_key = run_keys(run.seed)
        with clock.time("build"):
            model = program.initialise(init_key)
        if item.state == "reprobe":
            model, record = self._trained_before(item, model, clock)
        else:
            model, record = self._train(run, model, loaded, program, train_key, clock)
        if item.state == "reprobe" or not standing_before(item).metrics:  # else old answers stand until there are new
            yield replace(record, timing=dict(clock.seconds))
        self.progress.stage("freezing")
        with clock.time("freeze"):
            train, val, test = (
                replace(program.encoder.freeze(model, split, loaded.reader), say=self.progress.stage)
                for split in (splits.probe, splits.val, splits.test)
            )
        with clock.time("probe"):
            record = ask(item, record, (train, val, test), probe_key, self.out, self.progress.stage, self._confirm)
        yield replace(record, timing=clock.seconds | {"total": sum(clock.seconds.values())})

    def _trained_before(self, item: Item, model: nnx.Module, clock: Clock) -> tuple[nnx.Module, Record]:
        """The model with the parameters that were kept, and the record of its training, without its failures."""
        run, record = item.run, item.record
        assert record is not None
        kept = run.kept_parameters(self.out, self.cache, record)
        assert kept is not None
        model = parameters.load(kept, model)
        self._keep(run, kept)
        answers_stay = set(record.probes) - set(item.probes_to_ask)
        stays = set(record.timing) - {"total"} if answers_stay else {"compile", "train"}
        clock.add({stage: seconds for stage, seconds in record.timing.items() if stage in stays})
        known = replace(record, status="ok", reason=None, suite=run.suite, budget=run.budget)
        return model, known

    def _train(
        self, run: Run, model: nnx.Module, loaded: Loaded, program: Program, key: Key, clock: Clock
    ) -> tuple[nnx.Module, Record]:
        """The trained model, its parameters kept, and the record of its training."""
        kernel, steps = program.kernel, run.training.steps if run.trained.trains else 0
        compiled = kernel.compile_seconds
        self.progress.stage("compiling")
        with stopping.put_off():
            data = loaded.splits.train.data
            if self._claim and self._claim.holder.attempt == 1:
                self._siblings.train(run, program, data, steps, self._checkpoints, self._step, self.progress.note)
            fitted, company = self._siblings.trained(run)
            if fitted is None:
                fitted = kernel.fit(model, data, steps, key, self._step, self._checkpoints(run))
        self._confirm()
        clock.add({"compile": kernel.compile_seconds - compiled})
        # Of a run that went on, time as if it had not stopped; unknown where nothing but its last step was left.
        if fitted.steps or not steps:
            clock.add({"train": fitted.seconds * steps / max(1, fitted.steps)})
        facts: dict[str, Any] = {
            "steps": steps,
            "batch_size": program.batch_size,
            "window": program.window,
            "frames": steps * program.batch_size * program.window,
            "flops_per_step": kernel.flops,
            "devices": self.devices,
            "parameters": int(sum(leaf.size for leaf in jax.tree.leaves(nnx.state(fitted.model, nnx.Param)))),
            "parameters_sha256": self._save(run, fitted.model),
            **company,
        }
        whole = [loss for _, loss in fitted.curve]
        if parts := {name: values for name, values in fitted.parts.items() if values != whole}:
            facts["loss_parts"] = parts
        if nowhere := [name for name, values in parts.items() if None in values]:
            self.progress.note(f"{run}: of the loss's parts {', '.join(nowhere)} is not always finite")
        if run.tuned:
            facts["tuned"] = dict(run.tuned)
        record = replace(
            blank(run), status="ok", data=records.as_read(loaded.splits.facts), training=facts, curve=fitted.curve
        )
        return fitted.model, record

    def _save(self, run: Run, model: nnx.Module) -> str | None:
        """Keep the parameters, for other probes; the SHA-256 of their file, None where the cache has no room for it."""
        file = run.parameters(self.cache)
        try:
            sha256 = parameters.save(file, model)
        except OSError as error:
            if self.keep_params:
                with written(f"the parameters {run.parameters_beside(self.out)}"):
                    return parameters.save(run.parameters_beside(self.out), model)
            remedy = "another probe will need training again; make room, or set SLOTBENCH_CACHE to a larger disk"
            self.progress.note(f"{run}: no parameters kept in {str(self.cache)!r} ({error.strerror}); {remedy}")
            return None
        self._keep(run, file)
        return sha256

    def _keep(self, run: Run, file: Path) -> None:
        """Put a file of the run's parameters beside its record, if that is asked. Raises DiskError."""
        if self.keep_params:
            with written(f"the parameters {run.parameters_beside(self.out)}"):
                records.write_atomically(run.parameters_beside(self.out), file.read_bytes())

    def _checkpoints(self, run: Run) -> Checkpoints:
        return Checkpoints(
            run.checkpoints(self.cache), run.code, note=lambda text: self.progress.note(f"{run}: {text}")
        )

    def _confirm(self) -> None:
        """Before anything of the run is written. Raises LostError if the run is another's by now."""
        if self._claim and not self._claim.confirm():
            raise LostError

    def _write(self, record: Record, item: Item) -> None:
        """Write a record; a damaged one in its place is set aside first.

        Raises LostError if the run is another's, DiskError.
        """
        self._confirm()
        path = self.out / record.path
        with written(f"the record {record.path}"):
            if path.exists() and _damaged(path):
                records.set_aside(path)
            records.write(self.out, record)
            known = item.record.training if item.record else None
            trained = bool(record.curve) and record.training is not known
            if trained or "DivergedError" in (record.reason or ""):  # what else failed may go on where it was
                self._checkpoints(item.run).clear()


def _damaged(path: Path) -> bool:
    """Can the record never be read again? Raises DiskError where it may be whole."""
    try:
        records.read(path)
    except records.UnreadableRecordError as error:
        raise DiskError(f"{path}: {error}; it may be whole, so that no other is written in its place") from None
    except records.DamagedRecordError:
        return True
    return False
