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


def test_a_probe_that_was_edited_is_named_too():
    probes = [{"probe": {"configuration": {"version": 1}, "code": {"file": "probe.py", "sha256": one}}} for one in "ab"]
    assert edited(run(seed, "a", probes=asked) for seed, asked in enumerate(probes)) == {"probe (probe.py)"}


def test_records_that_say_nothing_of_their_code_are_no_edit():
    assert edited([replace(run(0, "a"), provenance={}), run(1, "b")]) == set()
