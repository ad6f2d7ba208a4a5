"""What differs between the records of two output folders, such as a method's new version and the one before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from benchmark.records import Record
from benchmark.report import markdown
from benchmark.report.captions import listed
from benchmark.report.scores import Context, Entrant, Scores
from benchmark.report.statistics import LEVEL, Summary, differences, holm, paired, summarise, welch
from benchmark.report.table import DASH

What = tuple[str, str, str]
"""Metric, target and probe, as `Scores.value` takes them."""

HEADS = ("suite, budget", "data set", "method", "metric", "probe", "A", "B", "B - A", "n", "p", "")

NOTE = (
    "Means ± standard error. n: pairs of the same data set, or of data set and seed where data sets are fewer than 3, "
    "by a paired t-test, and then B - A is theirs; or runs in A and in B where fewer than 3 are shared, by Welch's. p "
    "is two-sided, corrected by Holm over all lines; a dash: too few runs to tell."
)


@dataclass(frozen=True)
class Change:
    """A metric of a method on a data set, or on several of them, in A and in B; `p` is not corrected yet.

    `difference` is what `p` is of: the pairs' where they were tested, else that of the means.
    """

    where: str
    dataset: str
    method: str
    what: What
    before: Summary
    after: Summary
    difference: float
    pairs: int
    p: float | None
    higher_is_better: bool


def changes(before: Sequence[Record], after: Sequence[Record], context: Context) -> list[Change]:
    """Of every metric that is good or bad and that both have; of one told for "all", only that."""
    sets = {(scores.suite, scores.budget): scores for scores in Scores.of(before, context)}
    found: list[Change] = []
    for new in Scores.of(after, context):
        old = sets.get((new.suite, new.budget))
        for entrant in new.entrants() if old else ():
            assert old is not None
            for what, better in _directions(new, entrant).items():
                found += _of_metric(old, new, entrant, what, better)
    return found


def _directions(scores: Scores, entrant: Entrant) -> dict[What, bool]:
    """The metrics of a method, and whether more of each is better."""
    rows = [row for (other, _, _), run in scores.runs.items() if other == entrant for row in run.standing]
    tested = [row for row in rows if row["split"] == "test"]
    whole = {(row["probe"], row["metric"]) for row in tested if row["target"] == "all"}
    told = [row for row in tested if row["target"] == "all" or (row["probe"], row["metric"]) not in whole]
    told = [row for row in told if row["higher_is_better"] is not None]
    return {(row["metric"], row["target"], row["probe"]): row["higher_is_better"] for row in told}


def _of_metric(old: Scores, new: Scores, entrant: Entrant, what: What, better: bool) -> Iterator[Change]:
    """A change for each data set that both have and, of several, one for them all."""
    both = [d for d in new.datasets if old.complete(entrant, (d,), *what) and new.complete(entrant, (d,), *what)]
    averaged = tuple(dataset for dataset in both if dataset in new.averaged)
    for over in [(dataset,) for dataset in both] + [averaged] * (len(averaged) > 1):
        one, other = (scores.complete(entrant, over, *what) for scores in (old, new))
        before, after = (summarise([fmean(values) for values in found.values()]) for found in (one, other))
        if before is None or after is None:  # no seed has all of these data sets
            continue
        paired_up = differences(other, one)
        p = paired(paired_up)
        pairs, difference = (0, after.mean - before.mean) if p is None else (len(paired_up), fmean(paired_up))
        name = over[0] if len(over) == 1 else f"mean of {len(over)}"
        p = welch(before, after) if p is None else p
        where = f"{new.suite}, {new.budget}"
        yield Change(where, name, entrant.title, what, before, after, difference, pairs, p, better)


def as_markdown(before: Sequence[Record], after: Sequence[Record], context: Context) -> str:
    """A table of what changed, and the runs that only one folder has, or that failed in one."""
    context = replace(context, beside_others=True)
    found = changes(before, after, context)
    known = [change.p for change in found if change.p is not None]
    adjusted = iter(holm(known))
    lines = [_line(change, None if change.p is None else next(adjusted)) for change in found]
    parts = [markdown.grid([[*HEADS], *lines]), NOTE] if lines else ["A and B have no metric of the same run."]
    ours, theirs = _succeeded(before, context), _succeeded(after, context)
    parts += [f"Asked differently: {told}." for told in _asked_differently(before, after, context)]
    parts += [f"Only in A: {run}." for run in _named(ours - theirs)]
    parts += [f"Only in B: {run}." for run in _named(theirs - ours)]
    parts += [f"Undefined in B: {lost}; no mean above counts it." for lost in _lost(before, after, context)]
    return "\n\n".join(parts) + "\n"


def _asked_differently(before: Sequence[Record], after: Sequence[Record], context: Context) -> Iterator[str]:
    """Probes that the runs on a data set were asked with other settings, or in other versions, in B than in A."""
    sides = [_settings(records, context) for records in (before, after)]
    told: dict[str, list[str]] = defaultdict(list)
    for dataset, probe in sorted(sides[0].keys() & sides[1].keys()):
        ours, theirs = (" or ".join(sorted(side[dataset, probe])) for side in sides)
        if ours != theirs:
            told[f"{probe}, in A with {ours}, in B with {theirs}"].append(dataset)
    yield from (f"{what}, on {listed(on)}" for what, on in told.items())


def _settings(records: Sequence[Record], context: Context) -> dict[tuple[str, str], set[str]]:
    """By data set and probe, what tells it from the present defaults."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in records:
        settings = context.asked(record)
        for probe in record.probes:
            found[record.dataset, probe].add(settings.get(probe, "the defaults"))
    return found


def _lost(before: Sequence[Record], after: Sequence[Record], context: Context) -> Iterator[str]:
    """What A has a value of, and B, though its runs were asked, has none of."""
    sets = {(scores.suite, scores.budget): scores for scores in Scores.of(after, context)}
    for old in Scores.of(before, context):
        new = sets.get((old.suite, old.budget))
        for entrant in old.entrants() if new else ():
            assert new is not None
            for what in _directions(old, entrant):
                gone = [
                    dataset
                    for dataset in old.datasets
                    if old.complete(entrant, (dataset,), *what)
                    and not new.complete(entrant, (dataset,), *what)
                    and _asked(new, entrant, dataset, what)
                ]
                if gone:
                    where = f"{old.suite}, {old.budget}, {entrant.title}"
                    yield f"{where}, {_title(what)} ({what[2]}) on {listed(gone)}"


def _asked(scores: Scores, entrant: Entrant, dataset: str, what: What) -> bool:
    rows = (row for run in scores.of_seeds(entrant, dataset) for row in run.standing)
    return any((row["metric"], row["target"], row["probe"]) == what for row in rows)


def _line(change: Change, p: float | None) -> list[str]:
    n = str(change.pairs) if change.pairs else f"{change.before.n} and {change.after.n}"
    said = (
        "" if p is None or p >= LEVEL else "better" if (change.difference > 0) == change.higher_is_better else "worse"
    )
    means = [_mean(change.before), _mean(change.after), f"{change.difference:+.3g}"]
    where = [change.where, change.dataset, change.method, _title(change.what), change.what[2]]
    return [*where, *means, n, DASH if p is None else f"{p:.2g}", said]


def _title(what: What) -> str:
    """Metric and target, without the probe."""
    return " ".join(part for part in what[:2] if part != "all")


def _mean(value: Summary) -> str:
    return f"{value.mean:.4g}" + (f" ± {value.se:.2g}" if value.se is not None else "")


Place = tuple[str, str, str, str, int]


def _succeeded(records: Sequence[Record], context: Context) -> set[Place]:
    return {
        (scores.suite, scores.budget, dataset, entrant.title, seed)
        for scores in Scores.of(records, context)
        for (entrant, dataset, seed), run in scores.runs.items()
        if run.status == "ok"
    }


def _named(places: set[Place]) -> list[str]:
    """A method on a data set with its seeds."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for *place, seed in sorted(places):
        groups.setdefault(tuple(map(str, place)), []).append(str(seed))
    return [f"{', '.join(place)}, seed {', '.join(seeds)}" for place, seeds in groups.items()]
