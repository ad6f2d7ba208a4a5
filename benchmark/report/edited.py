"""Runs that count as one method's, or one data set's, though its file was edited between them by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from benchmark.records import Record
from benchmark.report.scores import Entrant, Scores


def footnote(scores: Scores, entrants: Sequence[Entrant]) -> str:
    """The names and their files; "" where none was edited."""
    runs = [run for entrant in entrants for data in scores.datasets for run in scores.of_seeds(entrant, data)]
    told = sorted(edited(runs))
    remedy = "whose version was not raised, so that earlier runs stand beside later ones"
    return f"Edited between runs: {'; '.join(told)}, {remedy}." if told else ""


def edited(runs: Iterable[Record]) -> set[str]:
    """The methods, data sets and probes, as "mine (mine.py)", of which one version ran from several states of its file.

    What lies in the repository changes from one commit to another, and its versions are kept with it.
    """
    states: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for run in runs:
        for name, version, code in _parts(run):
            if sha256 := code.get("sha256"):
                commit = str(run.provenance.get("commit", "")) if "/" in code["file"] else ""
                states[name, version, code["file"], commit.rstrip("+")].add(sha256)
    return {f"{name} ({file})" for (name, _, file, _), found in states.items() if len(found) > 1}


def _parts(run: Record) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name, version and code of what gave a run's numbers; those that its probes left of an earlier state too."""
    known = run.provenance.get("code", {})
    for name, part in ((run.method, "method"), (run.dataset, "dataset")):
        yield name, str(run.configuration.get(part, {}).get("version")), known.get(part, {})
    for name, probe in run.probes.items():
        yield name, str(probe.get("configuration", {}).get("version")), probe.get("code") or {}
