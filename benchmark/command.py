"""The command: plan, execute, report."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path

from benchmark import plan, stopping, tuning
from benchmark.configure import parse_overrides
from benchmark.describe import describe, listing, memory_needed
from benchmark.engines import Engine
from benchmark.engines.process import Duty
from benchmark.errors import UserError
from benchmark.estimate import Estimate, Timings, estimate
from benchmark.grid import TUNING, named, planned, runs_under, say_unused, wanted
from benchmark.loss_logs import opener
from benchmark.machine import cache_folder, memory, writable
from benchmark.options import parse
from benchmark.plan import Item
from benchmark.plugins import load_plugins
from benchmark.progress import progress_for, say, silence
from benchmark.report.writing import compare, report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 some run failed, 2 a user's mistake, 130 interrupted.

    143 when ended by SIGTERM, which saves a checkpoint of the present run first.
    """
    with suppress(AttributeError):  # a notebook's has no encoding
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        with stopping.listening():
            return _main(parse(arguments))
    except UserError as error:
        say(f"run_benchmark.py: {error}", sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough
        silence(sys.stdout)
        return 0
    except OSError as error:
        if error.filename is None and error.errno != ENOSPC:
            raise
        if error.filename is None:  # it is what the output goes to
            silence(sys.stdout)
        where = "the output" if error.filename is None else repr(str(error.filename))
        say(f"run_benchmark.py: {where}: {error.strerror}; name a place that can be used", sys.stderr)
        return 2
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
        print(listing(), flush=True)
        return 0
    if options.compare:
        before, after = options.compare
        print(compare(before, after, named(options)), end="", flush=True)
        return 0
    candidates = tuning.candidates(grid) if options.tune else []
    if options.tune and not candidates:
        told = "nothing here trains on frames of 64x64 at most and is asked the probe decoder, whose error decides"
        raise UserError(f"--tune: {told}; leave --tune out{', or add decoder to --probes' if options.probes else ''}")
    if options.report_only:
        check_records(options.out)
    out = options.out
    if not options.dry_run or out.exists():
        writable(out, "the output folder", "choose another with --out")
    if options.report_only:
        report(out, options.siunitx, named(options))
        return 0
    say_unused(parse_overrides(options.set), grid)
    if options.log:
        opener(options.log)
    cache, code = cache_folder(), 0
    if options.slurm is not None:
        return submit([TUNING, ""] if candidates else [""], cache, options)
    if candidates:
        say("first, candidates for the learning rates")
        code = carry_out(candidates, TUNING, cache, options)
        grid = runs_under(options, "")
        for line in () if options.dry_run else tuning.choices(grid):
            say(line)
    code = max(code, carry_out(grid, "", cache, options))
    if not options.dry_run:
        report(out, options.siunitx)
    return code


def check_records(out: Path) -> None:
    """Raise UserError for a folder that is not there, and for one without records, whose other files would be
    overwritten.
    """
    if not out.exists():
        raise UserError(f"--report-only: {str(out)!r} does not exist; name a folder that has records with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / "runs").is_dir():
        inside = sorted(str(runs.parent) for runs in out.glob("*/runs"))
        where = " or ".join(inside) or "a folder with `runs` in it"
        raise UserError(f"--report-only: {str(out)!r} has no records; with --out name {where}")


def carry_out(grid: list[plan.Run], folder: str, cache: Path, options: argparse.Namespace) -> int:
    """Say what is to be done and, unless that is all that was asked, do it."""
    out = options.out / folder
    items = planned(grid, out, cache, options)
    if not items:
        return 0
    engine = choose_engine(folder, cache, options)
    expected = estimate(items, cache, engine.lanes)
    say(describe(items, expected, options.verbose))
    here = options.scheduler is None  # a cluster's machines have caches and memory of their own
    if here and (needed := memory_needed(items, engine.lanes, memory())):
        say(needed)
    if options.dry_run:
        return 0
    if here:
        check_room(items, cache)
    return execute(items, expected, engine, cache)


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
        grid = runs_under(options, folder)
        items = planned(grid, options.out / folder, cache, options)
        for line in tuning.choices(grid) if options.tune and not folder else ():
            say(line)
        say(describe(items, estimate([], cache), options.verbose))
        if any(item.to_do for item in items):
            if options.dry_run:
                count = jobs.count(items)
                say(f"an array of {count} job{'s' if count > 1 else ''} would be submitted")
            else:
                ids = jobs.submit(items, duty(folder, options), options.out)
                say(f"submitted: {' '.join(ids)}; logs in {options.out / 'jobs'}; on Slurm squeue --me shows what runs")
                after = "then give this command again" if folder else "--report-only writes the tables"
                say(f"--dry-run shows what is done; {after}")
            break
    return 0


def execute(items: list[Item], expected: Estimate, engine: Engine, cache: Path) -> int:
    """Do what is to be done; 1 if any run failed, now or before."""
    failures, last = sum(item.state == "failed" for item in items), None
    forget_checkpoints(items, engine.out, cache)
    if expected.runs:
        trained = {item.run.path: item.run for item in items if item.state != "reprobe"}
        timings = Timings(cache)
        with progress_for(expected.runs, engine.lanes) as display:
            for record in engine.execute(items, display):
                if record.status != "ok":
                    failures, last = failures + 1, record
                elif record.path in trained:
                    timings.add(record, trained[record.path])
    if last:
        where = engine.out / last.path
        say(f"a run that failed has its traceback in its record, the last in {where}; --retry-failed tries again")
    return 1 if failures else 0


def forget_checkpoints(items: list[Item], out: Path, cache: Path) -> None:
    """Remove those of runs that are done: a process killed right after it wrote a record has left them.

    Later ones are of the same run for another output folder.
    """
    for item in items:
        folder = item.run.checkpoints(cache)
        with suppress(OSError):
            if item.state == "done" and folder.stat().st_mtime <= (out / item.run.path).stat().st_mtime:
                shutil.rmtree(folder)


def check_room(items: list[Item], cache: Path) -> None:
    """Raise UserError when the frames that are still to be collected do not fit on the cache's disk."""
    needed = sum(run.dataset.missing(cache)[0] for run in plan.collecting(items))
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise UserError(
            f"the frames to collect need about {needed / 1e6:.0f} MB in {str(cache)!r}, {free / 1e6:.0f} MB are free; "
            "make room, or set SLOTBENCH_CACHE to a larger disk"
        )
