"""Who takes part in a comparison, on what, and what each scored: the records of one (suite, budget) by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Literal, TypeVar

from benchmark.records import Record
from benchmark.report.statistics import Summary, summarise
from benchmark.suites import SUITES

T = TypeVar("T")
Role = Literal["floor", "", "ceiling"]
ORDER: tuple[Role, ...] = ("floor", "", "ceiling")


@dataclass(frozen=True)
class Context:
    """What records do not say of themselves.

    `variant` names what distinguishes a record's configuration from the present defaults ("diversity_weight=0"; "" for
    none), `asked` the same of its probes, by their names. `floors` are methods that do not train, `ceilings` those that
    read labels. A length of training that all records share is left out of the variant, as it tells no row from
    another, unless they are set beside others'.
    """

    variant: Callable[[Record], str] = lambda record: ""
    asked: Callable[[Record], Mapping[str, str]] = lambda record: {}
    floors: frozenset[str] = frozenset()
    ceilings: frozenset[str] = frozenset()
    beside_others: bool = False

    def role(self, method: str) -> Role:
        """What a method stands for in a comparison."""
        return "ceiling" if method in self.ceilings else "floor" if method in self.floors else ""


@dataclass(frozen=True)
class Entrant:
    """A method in one configuration; `tuned` where it must be told from the same with its own learning rate."""

    method: str
    variant: str = ""
    role: Role = ""
    tuned: bool = False

    @property
    def title(self) -> str:
        """Its name, with what tells it from the defaults and what it stands for."""
        remarks = ", ".join(filter(None, (self.variant, "tuned" * self.tuned, self.role)))
        return f"{self.method} ({remarks})" if remarks else self.method


@dataclass(frozen=True)
class Scores:
    """The records of one (suite, budget) by entrant, data set and seed."""

    suite: str
    budget: str
    context: Context
    runs: Mapping[tuple[Entrant, str, int], Record]

    @property
    def folder(self) -> str:
        """The name of its tables' and figures' folder, as "atari-quick"."""
        return f"{self.suite}-{self.budget}"

    @classmethod
    def of(cls, records: Iterable[Record], context: Context) -> list[Scores]:
        """One a (suite, budget), in the order of their names.

        Where one name would cover several configurations, each gets a part of its digest: they are never averaged.
        """
        groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in records:
            groups[record.suite, record.budget].append(record)
        return [cls(*key, context, _by_entrant(group, context)) for key, group in sorted(groups.items())]

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """In alphabetical order."""
        return tuple(sorted({dataset for _, dataset, _ in self.runs}))

    @cached_property
    def averaged(self) -> tuple[str, ...]:
        """What means are over: the suite's own, where there are several; others, as a game's centred form, stand beside
        them. Else all.
        """
        known = SUITES[self.suite].datasets if self.suite in SUITES else ()
        own = tuple(dataset for dataset in self.datasets if dataset in known)
        return own if len(own) > 1 else self.datasets

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """All that any entrant ran with."""
        return tuple(sorted({seed for _, _, seed in self.runs}))

    def entrants(self, first: Sequence[str] = ()) -> tuple[Entrant, ...]:
        """Floors, the others, ceilings; among each the methods named in `first`, run or not, then by name."""
        everyone = {entrant for entrant, _, _ in self.runs}
        everyone |= {Entrant(method, role=self.context.role(method)) for method in first}
        rank = {method: index for index, method in enumerate(first)}
        return tuple(
            sorted(
                everyone,
                key=lambda e: (ORDER.index(e.role), rank.get(e.method, len(rank)), e.method, e.variant, e.tuned),
            )
        )

    def of_seeds(self, entrant: Entrant, dataset: str) -> list[Record]:
        """Its records on that data set, seed by seed."""
        return [self.runs[key] for seed in self.seeds if (key := (entrant, dataset, seed)) in self.runs]

    def firsts(self, dataset: str, find: Callable[[Record], T | None]) -> Iterator[tuple[Entrant, Record, T]]:
        """For each entrant its first record on that data set in which `find` finds something, and what it finds."""
        for entrant in self.entrants():
            for record in self.of_seeds(entrant, dataset):
                if (found := find(record)) is not None:
                    yield entrant, record, found
                    break

    def restricted(self, datasets: Iterable[str]) -> Scores:
        """The same with these data sets only."""
        kept = set(datasets)
        return replace(self, runs={key: record for key, record in self.runs.items() if key[1] in kept})

    def of_these(self, seeds: Iterable[int]) -> Scores:
        """The same with these seeds only."""
        kept = set(seeds)
        return replace(self, runs={key: record for key, record in self.runs.items() if key[2] in kept})

    def value(
        self, entrant: Entrant, dataset: str, seed: int, metric: str, target: str = "all", probe: str = "linear"
    ) -> float | None:
        """A metric of a target by a probe, on test.

        None where the run is missing, the probe has not answered (of a run that failed others may have), has failed
        since, or the metric is undefined.
        """
        return self._values.get((entrant, dataset, seed), {}).get((metric, target, probe))

    @cached_property
    def _values(self) -> dict[tuple[Entrant, str, int], dict[tuple[str, str, str], float | None]]:
        """By run, the metrics on test by metric, target and probe."""
        return {key: _on_test(record) for key, record in self.runs.items()}

    def mean(
        self, entrant: Entrant, datasets: Sequence[str], metric: str, target: str = "all", probe: str = "linear"
    ) -> Summary | None:
        """Over seeds, of each seed's mean over the data sets; a seed that lacks one of them does not count."""
        found = self.complete(entrant, datasets, metric, target, probe) if datasets else {}
        return summarise([fmean(values) for values in found.values()])

    def complete(
        self, entrant: Entrant, datasets: Sequence[str], metric: str, target: str = "all", probe: str = "linear"
    ) -> dict[int, list[float]]:
        """The values on these data sets, of each seed that has all of them."""
        what = (metric, target, probe)
        by_seed = {seed: [self.value(entrant, dataset, seed, *what) for dataset in datasets] for seed in self.seeds}
        found = {seed: [value for value in values if value is not None] for seed, values in by_seed.items()}
        return {seed: values for seed, values in found.items() if len(values) == len(datasets)}

    def answers(self, metric: str, targets: Iterable[str], probe: str) -> list[float | None]:
        """The metric's values on test, None where undefined, of every run and target that the probe was asked of."""
        wanted = [(metric, target, probe) for target in targets]
        return [found[what] for found in self._values.values() for what in wanted if what in found]

    def measured(self, metric: str, targets: Iterable[str], probe: str) -> bool:
        """Is any of these answers defined?"""
        return any(value is not None for value in self.answers(metric, targets, probe))

    def paths(self, entrant: Entrant, datasets: Iterable[str]) -> tuple[str, ...]:
        """Of its records on these data sets, as they lie under the output folder."""
        wanted = ((entrant, dataset, seed) for dataset in datasets for seed in self.seeds)
        return tuple(self._paths[key] for key in wanted if key in self.runs)

    @cached_property
    def _paths(self) -> dict[tuple[Entrant, str, int], str]:
        return {key: record.path.as_posix() for key, record in self.runs.items()}

    def possible(self, metric: str, target: str = "all", probe: str = "linear") -> tuple[str, ...]:
        """The data sets but those on which all that have answered, or finished, leave the metric undefined."""
        what = (metric, target, probe)
        answered = [
            (key[1], self._values[key].get(what))
            for key, record in self.runs.items()
            if record.status == "ok" or what in self._values[key]
        ]
        undefined = {dataset for dataset, _ in answered} - {dataset for dataset, value in answered if value is not None}
        return tuple(dataset for dataset in self.datasets if dataset not in undefined)


def _by_entrant(records: Sequence[Record], context: Context) -> dict[tuple[Entrant, str, int], Record]:
    runs = {}
    digests: dict[tuple[Entrant, str], set[str]] = defaultdict(set)
    named = list(_named(records, context))
    for entrant, record in named:
        digests[entrant, record.dataset].add(record.digest)
    for entrant, record in named:
        if len(digests[entrant, record.dataset]) > 1:
            told = f"configuration {record.digest[:6]}"
            entrant = replace(entrant, variant=", ".join(filter(None, (entrant.variant, told))))
        runs[entrant, record.dataset, record.seed] = record
    return runs


def _named(records: Sequence[Record], context: Context) -> Iterator[tuple[Entrant, Record]]:
    """What each record is of. A tuned method is told from the same with its own learning rate where both are there, on
    any data set; records in which its own was chosen are of both.
    """
    firsts = {(record.method, record.digest, record.tuned): record for record in records}
    shared = set() if context.beside_others else _training_of_all(records)
    variants = {
        what: ", ".join(part for part in context.variant(first).split(", ") if part not in shared)
        for what, first in firsts.items()
    }
    plain = [(Entrant(r.method, variants[r.method, r.digest, r.tuned], context.role(r.method)), r) for r in records]
    digests: dict[tuple[Entrant, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for entrant, record in plain:
        digests[entrant, record.dataset][record.tuned].add(record.digest)
    apart = {entrant for (entrant, _), (own, tuned) in digests.items() if own and tuned and own != tuned}
    for entrant, record in plain:
        if entrant not in apart:
            yield entrant, record
            continue
        for tuned in (False, True):
            if record.digest in digests[entrant, record.dataset][tuned]:
                yield replace(entrant, tuned=tuned), record


def _training_of_all(records: Sequence[Record]) -> set[str]:
    """The length of training where all have the same, as a variant has it: it tells no row from another."""
    settings = [record.configuration.get("training", {}) for record in records]
    lengths = {name: {fields.get(name) for fields in settings} for name in ("steps", "frames_per_step")}
    return {f"{name}={next(iter(found))}" for name, found in lengths.items() if len(found) == 1}


def _on_test(record: Record) -> dict[tuple[str, str, str], float | None]:
    rows = [row for row in record.standing if row["split"] == "test"]
    return {(row["metric"], row["target"], row["probe"]): row["value"] for row in rows}
