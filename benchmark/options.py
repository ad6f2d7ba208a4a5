"""The options of the command line, and which of them go together."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from benchmark.errors import UserError, closest
from benchmark.loss_logs import LOGS
from benchmark.machine import ROOT
from benchmark.progress import say

MOST = 10_000
"""The largest number of anything that is counted on the command line."""
UNHEEDED = ("seeds", "set", "probes", "retry_failed", "reprobe", "slurm", "scheduler", "tune", "keep_params", "log")
"""Options that a report of what there is does not heed."""
ABOUT = "Evaluate methods on a suite and write comparison tables."


class Parser(argparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self._remedy(message)}")

    def _remedy(self, message: str) -> str:
        _, unrecognized, texts = message.partition("unrecognized arguments: ")
        options = [text.lstrip("-").partition("=")[0] for text in texts.split() if text.startswith("-")]
        if unrecognized and not options:
            for sign, option in (("=", "--set"), (".py", "--plugin")):
                if texts.split() and all(sign in text for text in texts.split()):
                    return f"write {option} before each"
            return "a list has commas and no blanks"
        known = [option.removeprefix("--") for option in self._option_string_actions if option.startswith("--")]
        close = closest(options[0], known) if options else None
        return f"did you mean --{close}? --help lists the options" if close else "--help lists the options"


class Once(argparse.Action):
    """Of an option that, given twice, would silently be what it is the second time."""

    def __call__(self, parser: Any, options: Any, values: Any, option: str | None = None) -> None:
        """Raises UserError where it has been given before."""
        if getattr(options, self.dest) is not None:
            single = self.dest in ("seeds", "budget")
            remedy = "leave one of them out" if single else f"name all in one list: {option} A,B"
            raise UserError(f"{option} is given twice; {remedy}")
        setattr(options, self.dest, values)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options. Raises UserError for a mistake."""
    parser = Parser(prog="run_benchmark.py", description=ABOUT, allow_abbrev=False)
    add = parser.add_argument
    add("--methods", action=Once, metavar="A,B", help="methods to run, or all (default)")
    suites = "suites to run them on, or all (default: that of the data sets, else atari)"
    add("--suite", action=Once, metavar="A,B", help=suites)
    add("--datasets", action=Once, metavar="A,B", help="data sets, instead of all of the suite's")
    add("--probes", action=Once, metavar="A,B", help="probes, instead of the suite's")
    add("--plugin", action="extend", nargs="+", default=[], metavar="P", help="files or modules with what is yours")
    add("--seeds", action=Once, type=_seeds, metavar="N", help="seeds 0 to N-1 of every run (default: 1)")
    add("--budget", action=Once, metavar="NAME", help="smoke, quick (default) or paper")
    add("--out", type=_folder, default=ROOT / "results" / "local", metavar="DIR", help="records and tables")
    add("--tune", action="store_true", help="choose learning rates first, among five, as SetCon's authors did")
    add("--devices", type=_positive, default=1, metavar="N", help="share every batch among N devices (default: 1)")
    add("--seeds-together", type=_positive, default=1, metavar="N", help="train N seeds in one program (accelerators)")
    add("--set", action="append", default=[], metavar="K=V", help="a field, such as methods.scn.slot_size=16")
    add("--workers", type=_positive, default=1, metavar="N", help="processes of this machine that share the runs")
    add("--scheduler", metavar="ADDRESS", help="address, or scheduler file, of a Dask cluster that does the runs")
    add("--scheduler-resources", metavar="GPU=1", help="what a run takes of a Dask worker's resources")
    add("--slurm", type=Path, metavar="FILE", help="submit Slurm jobs that do the runs; options in YAML")
    add("--list", action="store_true", help="list suites, data sets, methods and probes")
    add("--dry-run", action="store_true", help="show the plan and stop")
    add("--report-only", action="store_true", help="write the tables from the records there are, of what is named")
    add("--siunitx", action="store_true", help="align numbers in the LaTeX tables by the package siunitx")
    add("--compare", nargs=2, type=Path, metavar=("A", "B"), help="what changed from one output folder to another")
    add("--retry-failed", action="store_true", help="run failed runs again")
    add("--reprobe", action="store_true", help="ask all probes again, on the kept parameters")
    add("--log", choices=LOGS, help="send losses and metrics to a log while runs train; needs its package")
    add("--keep-params", action="store_true", help="keep parameters beside the records of what is trained or probed")
    add("--verbose", action="store_true", help="show each run of the plan, and all settings")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        remedy = "--suite atari runs all methods on its games, --list has all names, --help the options"
        raise UserError(f"no option says what to run; {remedy}")
    options = parser.parse_args(given)
    options.arguments = given
    _check_together(options)
    if options.report_only and (idle := [name for name in UNHEEDED if getattr(options, name)]):
        told = ", ".join("--" + name.replace("_", "-") for name in idle)
        say(f"--report-only shows all records of what is named; not heeded: {told}", sys.stderr)
    options.shown_budget, options.budget, options.seeds = options.budget, options.budget or "quick", options.seeds or 1
    return options


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no folder")
    return Path(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    if int(text) > MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST}, the most that can be asked for")
    return int(text)


def _seeds(text: str) -> int:
    if "," in text:
        raise argparse.ArgumentTypeError(f"{text!r} is a list; give their number, 2 for the seeds 0 and 1")
    return _positive(text)


def _check_together(options: argparse.Namespace) -> None:
    """Raises UserError for options that contradict one another."""
    modes = {"--list": options.list, "--dry-run": options.dry_run, "--report-only": options.report_only}
    modes["--compare"] = options.compare is not None
    if len(asked := [mode for mode, wanted in modes.items() if wanted]) > 1:
        raise UserError(f"{' and '.join(asked)} ask for different things; name one")
    if (options.workers > 1) + (options.scheduler is not None) + (options.slurm is not None) > 1:
        raise UserError("--workers, --scheduler and --slurm are three places for the runs; name one")
    if options.scheduler_resources is not None and options.scheduler is None:
        raise UserError(f"--scheduler-resources {options.scheduler_resources!r} goes with --scheduler ADDRESS; name it")
    if options.seeds_together > 1 and (options.scheduler is not None or options.devices > 1):
        tasks = options.scheduler is not None
        other = "--scheduler, whose tasks are one run each" if tasks else "--devices, which shares out one run"
        raise UserError(f"--seeds-together {options.seeds_together} does not go with {other}; leave one of them out")
    if options.seeds_together > 1 and options.log:
        raise UserError(f"--log {options.log} follows one run at a time; leave it or --seeds-together out")
