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
    states: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for run in runs:
        for name, version, file, commit, sha256 in _origins(run):
            states[name, version, file, commit].add(sha256)
    return {f"{name} ({file})" for (name, _, file, _), found in states.items() if len(found) > 1}


def _origins(run: Record) -> Iterator[tuple[str, ...]]:
    """(Name, version, file, commit, SHA-256) of what gave a run's numbers, as far as it is known; no commit of a file
    that lies in no folder of the repository.
    """
    code, commit = run.provenance.get("code", {}), run.provenance.get("commit", "unknown")
    trained = [(run.method, "method"), (run.dataset, "dataset")]
    parts = [(name, run.configuration.get(part, {}), code.get(part), commit) for name, part in trained]
    parts += [
        (name, p.get("configuration", {}), p.get("code"), p.get("commit", "unknown")) for name, p in run.probes.items()
    ]
    for name, configuration, file, since in parts:
        own = "/" not in (file or {}).get("file", "")
        if file and "sha256" in file and (own or since != "unknown"):
            yield (
                name,
                str(configuration.get("version")),
                file["file"],
                "" if own else since.rstrip("+"),
                file["sha256"],
            )
