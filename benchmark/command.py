"""The command: plan, execute, report."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import parameters, plan, records, stopping, tuning
from benchmark.configure import Configuration, Override, datasets_by_suite, parse_overrides, select
from benchmark.describe import describe, listing
from benchmark.engines import Engine
from benchmark.engines.process import Duty
from benchmark.errors import UserError
from benchmark.estimate import Estimate, Timings, estimate
from benchmark.loss_logs import opener
from benchmark.machine import cache_folder, writable
from benchmark.options import parse
from benchmark.plan import Item
from benchmark.plugins import load_plugins
from benchmark.progress import progress_for
from benchmark.records import Record
from benchmark.registry import datasets, methods, probes

if TYPE_CHECKING:
    from benchmark.report.scores import Context

TUNING = "tuning"
"""Where, in the output folder, the runs lie that choose learning rates."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 some run failed, 2 a user's mistake, 130 interrupted.

    143 when ended by SIGTERM, which saves a checkpoint of the present run first.
    """
    try:
        with stopping.listening():
            return _main(parse(arguments))
    except UserError as error:
        print(f"run_benchmark.py: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nStopped. Every finished run is recorded; the same command goes on from there.", file=sys.stderr)
        return 130
    except stopping.Stopped:
        print("\nStopped by a signal. The same command goes on, long runs from their checkpoints.", file=sys.stderr)
        return stopping.CODE


def _main(options: argparse.Namespace) -> int:
    load_plugins(options.plugin)
    grid = wanted(options)
    if options.list:
        print(listing())
        return 0
    if options.compare:
        print(compare(*options.compare), end="")
        return 0
    candidates = tuning.candidates(grid) if options.tune else []
    if options.tune and not candidates:
        told = "nothing here trains on frames of 64x64 at most and is asked the probe decoder, whose error decides"
        raise UserError(f"--tune: {told}; leave --tune out{', or add decoder to --probes' if options.probes else ''}")
    if options.report_only and not options.out.exists():
        raise UserError(
            f"--report-only: {str(options.out)!r} does not exist; name a folder that has records with --out"
        )
    out = writable(options.out, "the output folder", "choose another with --out")
    if options.report_only:
        return report(out, options.siunitx)
    say_unused(parse_overrides(options.set), grid)
    if options.log:
        opener(options.log)
    cache, code = cache_folder(), 0
    if options.slurm is not None:
        return submit([TUNING, ""] if candidates else [""], cache, options)
    if candidates:
        print("first, candidates for the learning rates")
        code = carry_out(candidates, TUNING, cache, options)
        grid = runs_under(options, "")
    code = max(code, carry_out(grid, "", cache, options))
    return code if options.dry_run else max(code, report(out, options.siunitx))


def wanted(options: argparse.Namespace) -> list[plan.Run]:
    """All runs that the options name, suite by suite."""
    names = select("method", options.methods, methods, default=methods)
    asked = select("probe", options.probes, probes, default=())
    overrides = tuple(parse_overrides(options.set))
    grids = (
        plan.runs(Configuration(suite, options.budget, overrides, asked), names, sources, options.seeds)
        for suite, sources in datasets_by_suite(options.suite, options.datasets).items()
    )
    united = plan.united(run for grid in grids for run in grid)
    for override in overrides:
        check_used(override, united)
    return united


def check_used(override: Override, grid: Sequence[plan.Run]) -> None:
    """Raises UserError for a setting of a method, data set or probe that no run of the grid has."""
    if override.place != "training" and not _meant(override, grid):
        raise UserError(
            f"--set {override.text!r}: no run of this plan has {override.name!r}; name it for the plan, or leave out "
            "the setting"
        )


def _meant(override: Override, grid: Sequence[plan.Run]) -> list[Any]:
    """The methods, data sets or probes of the grid that a setting names."""
    plugins: dict[str, Iterable[tuple[str, Any]]] = {
        "methods": ((run.method_name, run.method) for run in grid),
        "datasets": ((run.dataset_name, run.dataset) for run in grid),
        "probes": (named for run in grid for named in run.probes.items()),
    }
    return [plugin for name, plugin in plugins[override.place] if override.name in ("*", name)]


def say_unused(overrides: Iterable[Override], grid: Sequence[plan.Run]) -> None:
    """A setting of all (`*`) is for those that have the field; say where none has."""
    for override in overrides:
        if override.name == "*" and not any(hasattr(one, override.field) for one in _meant(override, grid)):
            print(f"--set {override.text!r}: none of the {override.place} of this plan has that field", file=sys.stderr)


def runs_under(options: argparse.Namespace, folder: str) -> list[plan.Run]:
    """The runs whose records belong into that part of the output folder: the grid's, or those that tune it."""
    grid = wanted(options)
    if folder == TUNING:
        return tuning.candidates(grid)
    return tuning.tuned(grid, options.out / TUNING) if options.tune else grid


def planned(grid: list[plan.Run], out: Path, cache: Path, options: argparse.Namespace) -> list[Item]:
    """What exists of the runs and what is to be done."""
    return plan.plan(grid, out, cache, retry_failed=options.retry_failed, reprobe=options.reprobe)


def carry_out(grid: list[plan.Run], folder: str, cache: Path, options: argparse.Namespace) -> int:
    """Say what is to be done and, unless that is all that was asked, do it."""
    out = options.out / folder
    items = planned(grid, out, cache, options)
    if not items:
        return 0
    engine = choose_engine(folder, cache, options)
    expected = estimate(items, cache, engine.lanes)
    print(describe(items, expected, options.verbose))
    return 0 if options.dry_run else execute(items, expected, engine, cache)


def choose_engine(folder: str, cache: Path, options: argparse.Namespace) -> Engine:
    """Where the runs are to be done. Raises UserError for what is not installed, or not as asked."""
    out = options.out / folder
    if options.scheduler is not None:
        from benchmark.engines import cluster

        resources = cluster.resources(options.scheduler_resources)
        return cluster.Cluster(options.scheduler, resources, duty(folder, options), out)
    if options.workers > 1:
        from benchmark.engines.workers import Workers

        return Workers(options.workers, duty(folder, options), out)
    from benchmark.engines.here import Here

    return Here(out, cache, options.keep_params, options.verbose, options.log, options.devices, options.seeds_together)


def duty(folder: str, options: argparse.Namespace) -> Duty:
    """What workers of this command are started with; the output folder as it is called from anywhere."""
    return Duty((*options.arguments, "--out", str(options.out.resolve())), folder)


def submit(folders: Sequence[str], cache: Path, options: argparse.Namespace) -> int:
    """Submit jobs for the first of the parts of the output folder that is not done, and say how to follow them."""
    from benchmark.engines import slurm

    jobs = slurm.read_options(options.slurm)
    for folder in folders:
        items = planned(runs_under(options, folder), options.out / folder, cache, options)
        print(describe(items, estimate([], cache), options.verbose))
        if any(item.to_do for item in items):
            if not options.dry_run:
                ids = jobs.submit(items, duty(folder, options), options.out)
                print(f"submitted: {' '.join(ids)}; logs in {options.out / 'jobs'}; squeue --me shows what runs")
                after = "then give this command again" if folder else "--report-only writes the tables"
                print(f"--dry-run shows what is done; {after}")
            break
    return 0


def execute(items: list[Item], expected: Estimate, engine: Engine, cache: Path) -> int:
    """Do what is to be done; 1 if any run failed, now or before."""
    failures, last = sum(item.state == "failed" for item in items), None
    forget_checkpoints(items, cache)
    if expected.runs:
        check_room(items, cache)
        trained = {item.run.path: item.run for item in items if item.state != "reprobe"}
        timings = Timings(cache)
        with progress_for(expected.runs, engine.lanes) as display:
            for record in engine.execute(items, display):
                if record.status != "ok":
                    failures, last = failures + 1, record
                elif record.path in trained:
                    timings.add(record, trained[record.path])
    if last:
        print(f"a run that failed has its traceback in its record, the last in {last.path}; --retry-failed tries again")
    return 1 if failures else 0


def forget_checkpoints(items: list[Item], cache: Path) -> None:
    """Remove those of runs that are done: a process killed right after it wrote a record has left them."""
    for item in items:
        if item.state == "done":
            shutil.rmtree(item.run.checkpoints(cache), ignore_errors=True)


def check_room(items: list[Item], cache: Path) -> None:
    """Raise UserError when the frames that are still to be collected do not fit on the cache's disk."""
    sources = {item.run.dataset_name: item.run.dataset for item in items if item.to_do}
    needed = sum(dataset.missing(cache)[0] for dataset in sources.values())
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise UserError(
            f"the frames to collect need about {needed / 1e6:.0f} MB in {str(cache)!r}, {free / 1e6:.0f} MB are free; "
            "make room, or set SLOTBENCH_CACHE to a larger disk"
        )


def compare(before: Path, after: Path) -> str:
    """What changed between the records of two output folders. Raises UserError where one has none."""
    from benchmark.report import changes

    found = {out: read_records(out) for out in (before, after)}
    for out in found:
        if not found[out]:
            raise UserError(f"--compare: no records under {str(out)!r}; name two output folders, as --out does")
    return changes.as_markdown(found[before], found[after], report_context(versions=False))


def report_context(versions: bool = True) -> Context:
    """What records do not say of themselves: variants by the present defaults, floors and ceilings.

    Without `versions` another version of a method's or a data set's code makes no variant.
    """
    from benchmark.report.scores import Context

    return Context(
        variant=partial(plan.variant, versions=versions),
        floors=frozenset(name for name in methods if not methods.entry(name)[0].trains),
        ceilings=frozenset(name for name in methods if methods.entry(name)[0].reads_labels),
    )


def read_records(out: Path) -> list[Record]:
    """All records under `out`; the damaged ones are named."""
    found, damaged = records.read_all(out)
    for path, reason in damaged:
        print(f"left out: {path.relative_to(out)}: {reason}", file=sys.stderr)
    return found


def say_damaged_arrays(found: Iterable[Record], out: Path) -> None:
    """Name the files of arrays beside records that are not as the records say, as figures do without them."""
    for record in found:
        path, sha256 = out / record.arrays, record.notes.get("arrays_sha256")
        if sha256 is not None and path.is_file() and not parameters.intact(path, sha256):
            told = "damaged, so no figure shows it; the command that made it makes it again while parameters are kept"
            print(f"left out: {record.arrays}: {told}", file=sys.stderr)


def say_unregistered(found: Iterable[Record]) -> None:
    """What plug-ins say of a method is not in its records: name those that are not registered here."""
    strangers = {record.method for record in found} - {*methods} | {record.dataset for record in found} - {*datasets}
    if strangers:
        told = "with their --plugin the tables tell floors and ceilings and name what is set"
        print(f"not registered here: {', '.join(sorted(strangers))}; {told}", file=sys.stderr)


def report(out: Path, siunitx: bool = False) -> int:
    """Write tables, figures and page of all records under `out` and print the tables; damaged records are named.

    One command at a time, so that none removes what another writes, and the last one knows all records.
    """
    with _alone(out):
        return _report(out, siunitx)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """While no other command has the folder, where its file system knows locks."""
    from filelock import FileLock

    lock = FileLock(out / ".report.lock")
    with suppress(OSError, NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _report(out: Path, siunitx: bool) -> int:
    from benchmark.report import figures, latex, tables, tidy
    from benchmark.report.page.report import write_report

    found = read_records(out)
    say_damaged_arrays(found, out)
    say_unregistered(found)
    context = report_context()
    try:
        made = tables.everything(found, context)
        tables.write(made, out / "tables", latex.ALIGNED if siunitx else latex.PLAIN)
        tidy.write_metrics(found, out / "tables", print)
        page = write_report(found, out, context, figures.write_figures(found, out, context), made)
    except OSError as error:
        raise UserError(f"tables and figures cannot be written to {str(out)!r} ({error.strerror})") from None
    if not found:
        print(f"no records under {str(out)!r} yet; {page} says so")
        return 0
    print(tables.in_markdown(made))
    print(f"{page}; tables (LaTeX, Markdown, CSV): {out / 'tables'}; figures (PNG, PDF): {out / 'figures'}")
    return 0
