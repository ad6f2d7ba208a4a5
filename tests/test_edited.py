"""Runs whose file was edited between them are told below the tables that average them."""

from dataclasses import replace

import pytest
from made import record, row

from benchmark.report.edited import edited, footnote
from benchmark.report.scores import Context, Scores


def run(seed, sha256, file="mine.py", commit="0123456789abcdef", version=1, **fields):
    code = {"method": {"file": file, "sha256": sha256}}
    configuration = {"training": {"steps": 400, "frames_per_step": 1024}, "method": {"version": version}, "dataset": {}}
    rows = [row("linear", "r2", "all", 0.5)]
    made = record("pong", "mine", seed, rows, configuration=configuration, **fields)
    return replace(made, provenance={"commit": commit, "code": code})


def test_seeds_of_two_states_of_a_file_are_named_and_seeds_of_one_are_not():
    (scores,) = Scores.of([run(0, "a"), run(1, "b")], Context())
    told = footnote(scores, scores.entrants())
    assert told.startswith("Edited between runs: mine (mine.py), whose version was not raised, so that earlier runs")
    (scores,) = Scores.of([run(0, "a"), run(1, "a")], Context())
    assert footnote(scores, scores.entrants()) == ""


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (run(0, "a"), run(1, "b", version=2), set()),
        (run(0, "a", "methods/scn.py"), run(1, "b", "methods/scn.py", commit="fedcba9876543210"), set()),
        (run(0, "a", "methods/scn.py"), run(1, "b", "methods/scn.py"), {"mine (methods/scn.py)"}),
        (run(0, "a", "methods/scn.py"), run(1, "b", "methods/scn.py", "0123456789abcdef+"), {"mine (methods/scn.py)"}),
    ],
)
def test_another_version_or_another_commit_is_no_edit_by_hand(one, other, found):
    assert edited([one, other]) == found


@pytest.mark.parametrize(
    ("file", "commits", "found"),
    [
        ("probe.py", ("1", "2"), {"probe (probe.py)"}),
        ("probes/linear.py", ("1", "2"), set()),
        ("probes/linear.py", ("1", "1+"), {"probe (probes/linear.py)"}),
        ("probes/linear.py", ("unknown", "unknown"), set()),
    ],
)
def test_a_probe_that_was_edited_is_named_too_by_the_commit_that_it_was_asked_with(file, commits, found):
    asked = [
        {"probe": {"configuration": {"version": 1}, "code": {"file": file, "sha256": sha256}, "commit": commit}}
        for sha256, commit in zip("ab", commits, strict=True)
    ]
    assert edited(run(seed, "a", commit=str(seed), probes=probes) for seed, probes in enumerate(asked)) == found


def test_records_that_say_nothing_of_their_code_are_no_edit():
    assert edited([replace(run(0, "a"), provenance={}), run(1, "b")]) == set()
