"""The command line: parse, plan, execute, report."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmark import plan, records, tuning
from benchmark.configure import Configuration, parse_overrides, select
from benchmark.describe import describe, listing
from benchmark.errors import UserError
from benchmark.estimate import Estimate, Timings, estimate
from benchmark.machine import ROOT, cache_folder, provenance, set_up_jax, settings, writable
from benchmark.plan import Item
from benchmark.progress import progress_for
from benchmark.registry import datasets, methods
from benchmark.suites import SUITES

ABOUT = "Evaluate methods on a suite and write comparison tables."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help lists the options")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options. Raises UserError for a mistake."""
    parser = _Parser(prog="run_benchmark.py", description=ABOUT, allow_abbrev=False)
    add = parser.add_argument
    add("--methods", metavar="A,B", help="methods to run, or all (default)")
    add("--suite", default="atari", metavar="NAME", help="suite to run them on (default: atari)")
    add("--datasets", metavar="A,B", help="data sets, instead of all of the suite's")
    add("--seeds", type=_positive, default=1, metavar="N", help="seeds 0 to N-1 of every run (default: 1)")
    add("--budget", default="quick", metavar="NAME", help="smoke, quick (default) or paper")
    add("--out", type=Path, default=ROOT / "results" / "local", metavar="DIR", help="records and tables")
    add("--tune", action="store_true", help="choose learning rates first, among five, as SetCon's authors did")
    add("--devices", type=_positive, default=1, metavar="N", help="share every batch among N devices (default: 1)")
    add("--set", action="append", default=[], metavar="K=V", help="a field, such as methods.scn.slot_size=16")
    add("--list", action="store_true", help="list suites, data sets, methods and probes")
    add("--dry-run", action="store_true", help="show the plan and stop")
    add("--report-only", action="store_true", help="write the tables from the records that exist")
    add("--retry-failed", action="store_true", help="run failed runs again")
    add("--reprobe", action="store_true", help="ask all probes again, on the kept parameters")
    add("--keep-params", action="store_true", help="keep trained parameters beside the records too")
    add("--verbose", action="store_true", help="show each run of the plan, and the settings applied")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 some run failed, 2 a user's mistake, 130 interrupted."""
    try:
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


def _main(options: argparse.Namespace) -> int:
    load_plugins()
    wanted = Configuration(options.suite, options.budget, tuple(parse_overrides(options.set)))
    names = select("method", options.methods, methods, default=methods)
    sources = select("data set", options.datasets, datasets, default=SUITES[options.suite].datasets)
    grid = plan.runs(wanted, names, sources, options.seeds)
    if options.list:
        print(listing())
        return 0
    candidates = tuning.candidates(grid) if options.tune else []
    if options.tune and not candidates:
        raise UserError("--tune: nothing here trains on frames small enough for a decoder; leave --tune out")
    out = writable(options.out, "the output folder", "choose another with --out")
    if options.report_only:
        return report(out)
    cache, code = cache_folder(), 0
    if candidates:
        print("first, candidates for the learning rates")
        code = carry_out(candidates, out / "tuning", cache, options)
        grid = tuning.tuned(grid, out / "tuning")
    code = max(code, carry_out(grid, out, cache, options))
    return code if options.dry_run else max(code, report(out))


def load_plugins() -> None:
    """Import all methods, data sets and probes, which register themselves."""
    import datasets as _datasets  # noqa: F401
    import methods as _methods  # noqa: F401
    import probes as _probes  # noqa: F401


def carry_out(grid: list[plan.Run], out: Path, cache: Path, options: argparse.Namespace) -> int:
    """Say what is to be done and, unless that is all that was asked, do it."""
    items = plan.plan(grid, out, cache, retry_failed=options.retry_failed, reprobe=options.reprobe)
    if not items:
        return 0
    expected = estimate(items, cache)
    print(describe(items, expected, options.verbose))
    return 0 if options.dry_run else execute(items, expected, out, cache, options)


def execute(items: list[Item], expected: Estimate, out: Path, cache: Path, options: argparse.Namespace) -> int:
    """Do what is to be done; 1 if any run failed, now or before."""
    failures = sum(item.state == "failed" for item in items)
    if expected.runs:
        from benchmark.devices import check_share, mesh
        from benchmark.runner import Runner  # brings optax, which a plan does not need

        check_room(items, cache)
        set_up_jax(cache)
        provenance()  # a device that does not start is a mistake of the set-up, not of each run
        mesh(options.devices)
        for item in (item for item in items if item.to_do and item.run.method.trains):
            check_share(item.run.batch_size, options.devices, f"{item.run.method_name} on {item.run.dataset_name}")
        if options.verbose:
            print(settings())
        runs = {item.run.path: item.run for item in items}
        timings = Timings(cache)
        with progress_for(expected.runs) as progress:
            for record in Runner(out, cache, progress, options.keep_params, options.devices).execute(items):
                if record.status == "ok":
                    timings.add(record, runs[record.path])
                else:
                    failures += 1
    return 1 if failures else 0


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


def report(out: Path) -> int:
    """Write tables and figures of all records under `out` and print the tables; damaged records are named."""
    from benchmark.report import figures, tables

    found, damaged = records.read_all(out)
    for path, reason in damaged:
        print(f"left out of the tables: {path.relative_to(out)}: {reason}", file=sys.stderr)
    if not found:
        print(f"no records under {str(out)!r} yet")
        return 0
    context = tables.Context(
        variant=plan.variant,
        floors=frozenset(name for name in methods if not methods.entry(name)[0].trains),
        ceilings=frozenset(name for name in methods if methods.entry(name)[0].reads_labels),
    )
    try:
        tables.write_tables(found, out / "tables", context)
        figures.write_figures(found, out, context)
    except OSError as error:
        raise UserError(f"tables and figures cannot be written to {str(out)!r} ({error.strerror})") from None
    print(tables.as_markdown(found, context))
    print(f"tables (LaTeX, Markdown, CSV): {out / 'tables'}; figures (PNG, PDF): {out / 'figures'}")
    return 0
