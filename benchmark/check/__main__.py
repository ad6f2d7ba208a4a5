"""Ask of one method, data set or probe what every one must keep.

    python -m benchmark.check NAME [--plugin P] [--datasets A,B]

A line a check; exit code 0: all hold, 1: something is wrong, 2: a user's mistake. A method and a probe are asked on
tiny data that resemble the data sets named; without --datasets the first one of the suites that it supports.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import chain

from benchmark import checked
from benchmark.check import dataset_checks, method_checks, probe_checks
from benchmark.check.look_alike import look_alike
from benchmark.check.outcome import Check, ask
from benchmark.configure import Configuration, select
from benchmark.contracts import Method, Probe
from benchmark.errors import UserError, answering, unknown
from benchmark.machine import cache_folder, set_up_jax
from benchmark.options import Parser
from benchmark.plugins import load_plugins
from benchmark.program import on_device
from benchmark.registry import Registry, datasets, methods, probes, source
from benchmark.suites import SUITES, suite_with

Asked = tuple[str, tuple[Check, ...], object]
"""What is asked, on what: a heading, the checks and their subject."""

BUDGET = "smoke"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = Parser(prog="benchmark.check", description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="a method, data set or probe")
    parser.add_argument("--plugin", action="append", default=[], metavar="P", help="a file or module that registers it")
    parser.add_argument("--datasets", metavar="A,B", help="data sets to resemble")
    try:
        options = parser.parse_args(arguments)
        load_plugins(options.plugin)
        set_up_jax(cache_folder())
        with answering(repr(options.name)):
            wrong = [_tell(*asked) for asked in asked_of(options.name, options.datasets)]
    except UserError as error:
        print(f"benchmark.check: {error}", file=sys.stderr)
        return 2
    return 1 if any(wrong) else 0


def asked_of(name: str, like: str | None) -> Iterator[Asked]:
    """What is asked of everything of that name. Raises UserError for one that nothing has, or that cannot be asked."""
    if not any(name in registry for registry in (methods, datasets, probes)):
        if name.endswith(".py"):
            raise UserError(f"{name!r} is a file; say NAME --plugin {name}, with the name that it registers")
        raise unknown("method, data set or probe", name, chain(methods, datasets, probes))
    if name in methods:
        yield from _of_method(name, like)
    if name in datasets:
        yield _of_dataset(name)
    if name in probes:
        yield from _of_probe(name, like)


def _of_method(name: str, like: str | None) -> Iterator[Asked]:
    method = methods.create(name)
    for place in _places(name, method, like):
        trial = method_checks.Trial(method, on_device(look_alike(datasets.create(place).spec())))
        yield f"{_heading(name, methods)}, on data like {place}", method_checks.checks(type(method)), trial


def _of_dataset(name: str) -> Asked:
    dataset = Configuration(suite_with("datasets", name), BUDGET).dataset(name)
    splits = on_device(checked.as_splits(dataset, dataset.load(cache_folder(), print)))
    return _heading(name, datasets), dataset_checks.CHECKS, dataset_checks.Source(dataset, splits)


def _of_probe(name: str, like: str | None) -> Iterator[Asked]:
    wanted = Configuration(suite_with("probes", name), BUDGET)
    for place in _places(name, probes.create(name), like):
        probe = wanted.probe(name, place)
        question = probe_checks.Question(probe, on_device(look_alike(datasets.create(place).spec())))
        yield f"{_heading(name, probes)}, on data like {place}", probe_checks.CHECKS, question


def _places(name: str, plugin: Method | Probe, like: str | None) -> list[str]:
    """The data sets to resemble: those named, else the first of the suites' that the plug-in supports."""
    if like is not None:
        named = select("data set", like, datasets, default=datasets)
        refused = {place: plugin.supports(datasets.create(place).spec()) for place in named}
        for place, reason in refused.items():
            if isinstance(reason, str) and reason.strip():
                raise UserError(f"{name!r} does not support data set {place!r}: {reason}; name another")
        return list(named)
    for place in chain.from_iterable(suite.datasets for suite in SUITES.values()):
        if plugin.supports(datasets.create(place).spec()) is None:
            return [place]
    raise UserError(f"{name!r} supports no data set of any suite; name one that it does with --datasets")


def _heading(name: str, registry: Registry) -> str:
    return f"{registry.kind} {name} ({source(registry.entry(name)[0])})"


def _tell(heading: str, checks: tuple[Check, ...], subject: object) -> bool:
    """Print a line a check, what is wrong in the words of the first one that says so; is anything wrong?"""
    print(heading)
    said: dict[str, str] = {}
    for found in ask(checks, subject):
        if found.wrong is None:
            print(f"  ok     {found.claim}", flush=True)
        elif found.wrong in said:  # what ends one check ends others
            print(f"  -      {found.claim}: as in {said[found.wrong]!r}", flush=True)
        else:
            said[found.wrong] = found.claim
            print(f"  WRONG  {found.claim}: {found.wrong}", flush=True)
    return bool(said)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
