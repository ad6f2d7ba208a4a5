"""Several suites in one command: one plan, each run once."""

import re
from dataclasses import dataclass, replace

import pytest

from benchmark import plan
from benchmark.command import main
from benchmark.configure import Configuration, datasets_by_suite, parse_overrides, typed
from benchmark.errors import UserError
from benchmark.registry import datasets
from benchmark.suites import SUITES, paper_share


def test_all_means_every_suite_with_its_own_data_sets():
    assert datasets_by_suite("all", None) == {name: suite.datasets for name, suite in SUITES.items()}


def test_data_sets_choose_the_suites_that_have_them():
    assert datasets_by_suite("all", "gridworld,pong") == {"atari": ("pong",), "synthetic": ("gridworld",)}
    assert datasets_by_suite("atari,synthetic", "pong") == {"atari": ("pong",)}


def test_a_suite_named_alone_lends_itself_to_any_data_set():
    assert datasets_by_suite("atari", "gridworld") == {"atari": ("gridworld",)}


def test_a_data_set_of_no_suite_needs_one_suite():
    with pytest.raises(UserError, match="'tiny' is in none of several suites; say which one's budget"):
        datasets_by_suite("all", "tiny")


def test_every_budget_exists_in_every_suite():
    assert len({frozenset(suite.budgets) for suite in SUITES.values()}) == 1


def test_a_data_set_with_a_budget_of_its_own_has_its_probes_and_the_user_the_last_word():
    of = {
        place: Configuration("synthetic", "quick").probe("decoder", place) for place in ("gridworld", "bouncing_balls")
    }
    assert of["gridworld"].max_steps < of["bouncing_balls"].max_steps
    assert of["gridworld"].learning_rate > of["bouncing_balls"].learning_rate
    overrides = tuple(parse_overrides(["probes.decoder.max_steps=7"]))
    wanted = Configuration("synthetic", "quick", overrides)
    steps = {run.dataset_name: run.probes["decoder"].max_steps for run in plan.runs(wanted, ["setcon"], [*of], seeds=1)}
    assert steps == {"gridworld": 7, "bouncing_balls": 7}
    assert wanted.probe("decoder", "bouncing_balls").learning_rate == of["bouncing_balls"].learning_rate


@pytest.mark.parametrize("name", ["decoder", "decoder-rollout", "decoder-predicted"])
@pytest.mark.parametrize("budget", ["smoke", "quick", "paper"])
def test_a_decoder_learns_as_long_in_whatever_suite(name, budget):
    def decoder(suite, dataset):
        return Configuration(suite, budget).probe(name, dataset)

    for suite in ("atari", "worlds"):
        assert decoder(suite, "pong") == decoder(suite, "gridworld") == decoder("synthetic", "gridworld")
        assert decoder(suite, "bouncing_balls") == decoder("synthetic", "bouncing_balls")
    clips = {suite: Configuration(suite, "smoke").probe("colour-kmeans", "shapes").num_clips for suite in SUITES}
    assert clips["worlds"] == clips["colours"] == clips["atari"] == 1 < clips["synthetic"]  # which has its own


def test_a_run_of_two_suites_is_done_once_with_the_probes_of_both():
    (first,) = plan.runs(Configuration("atari", "smoke"), ["scn"], ["tiny"], seeds=1)
    decoder = Configuration("synthetic", "smoke").probe("decoder", "tiny")
    second = replace(first, suite="synthetic", probes={"decoder": decoder, "linear": first.probes["linear"]})
    other = replace(first, seed=1)
    both, alone = plan.united([first, second, other])
    assert both.suite == "atari" and set(both.probes) == {*first.probes, "decoder"}
    assert alone == other


def test_the_plan_of_all_suites_has_a_heading_each_and_one_estimate(tmp_path, capsys):
    assert main(["--suite", "all", "--methods", "scn", "--budget", "smoke", "--dry-run", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[1].rstrip(",") for line in shown if line.startswith("suite ")] == list(SUITES)
    assert len([line for line in shown if re.search(r" on \d+ cores?\b", line)]) == 1


@pytest.mark.parametrize(
    ("suite", "dataset", "steps", "frames"),
    [
        ("atari", "pong", 78_125, 128 * 2),
        ("synthetic", "gridworld", 100_000, 1024 * 8),
        ("synthetic", "bouncing_balls", 100_000, 128 * 12),
        ("colours", "gridworld-colours-3-slots-4", 100_000, 1024 * 8),
        ("worlds", "shapes", 9_766, 1024 * 2),
        ("worlds", "cubes", 9_766, 1024 * 2),
        ("worlds", "three_body", 5_372, 1024 * 2),
    ],
)
def test_the_paper_budget_is_that_of_each_paper_and_data_set(suite, dataset, steps, frames):
    """Steps and frames a step by the papers: epochs, pairs or sequences, and batches."""
    training = Configuration(suite, "paper").training(dataset)
    assert (training.steps, training.frames_per_step) == (steps, frames)
    assert paper_share(suite, dataset, training) == 1
    assert paper_share(suite, dataset, replace(training, steps=2 * steps)) == 2


def test_a_data_set_with_a_budget_of_its_own_has_its_training_and_frames_and_the_user_the_last_word():
    quick = Configuration("synthetic", "quick")
    assert quick.training("bouncing_balls").frames_per_step == 32 * 12 != quick.training("gridworld").frames_per_step
    assert quick.dataset("bouncing_balls").image_size == 32
    overrides = tuple(parse_overrides(["datasets.bouncing_balls.image_size=16", "datasets.pong.train_frames=777"]))
    assert Configuration("synthetic", "quick", overrides).dataset("bouncing_balls").image_size == 16
    pong = Configuration("atari", "smoke", overrides).dataset("pong")
    assert (pong.train_frames, pong.probe_frames) == (777, 1_500)


@pytest.mark.parametrize("name", ["pong", "pong-centred", "bouncing_balls", "gridworld", "shapes"])
@pytest.mark.parametrize("budget", ["smoke", "quick", "paper"])
def test_a_data_set_has_the_same_frames_in_whatever_suite(name, budget):
    home = {"gridworld": "synthetic", "bouncing_balls": "synthetic", "shapes": "worlds"}.get(name, "atari")
    fields = SUITES[home].budgets[budget].on(name).data
    for suite in SUITES:
        made = Configuration(suite, budget).dataset(name)
        assert {field: getattr(made, field) for field in fields} == fields
        assert made == Configuration(home, budget).dataset(name)


def test_a_data_set_that_no_suite_has_any_of_has_the_fields_of_the_suite_that_is_asked(registries):
    @datasets.register("mine")
    @dataclass(frozen=True, kw_only=True)
    class Mine(datasets.entry("tiny")[0]):
        train_frames: int = 7

    @datasets.register("my-balls")
    @dataclass(frozen=True, kw_only=True)
    class MyBalls(datasets.entry("bouncing_balls")[0]):
        pass

    sizes = [Configuration(suite, "smoke").dataset("my-balls").image_size for suite in ("atari", "synthetic")]
    assert sizes == [16, 16]
    asked = [Configuration(suite, "smoke").dataset("mine").train_frames for suite in ("atari", "synthetic")]
    assert asked == [1_500, 7]


def test_a_game_has_the_papers_frames_at_the_quick_budget():
    for budget in ("quick", "paper"):
        pong = Configuration("atari", budget).dataset("pong")
        assert (pong.train_frames, pong.probe_frames, pong.max_episode_steps) == (100_000, 50_000, 27_000)


def test_a_field_whose_type_is_not_there_is_one_line():
    @dataclass(frozen=True)
    class Odd:
        width: "Missing" = 3

    (override,) = parse_overrides(["methods.scn.slot_size=3"])
    with pytest.raises(UserError, match=r"the types of the fields in .*test_suites.py: it raises NameError"):
        typed(Odd, override)


def test_without_a_suite_data_sets_bring_their_own():
    assert datasets_by_suite(None, "gridworld") == {"synthetic": ("gridworld",)}
    assert datasets_by_suite(None, "gridworld pong") == {"atari": ("pong",), "synthetic": ("gridworld",)}
    games = {"atari": SUITES["atari"].datasets}
    assert datasets_by_suite(None, None) == datasets_by_suite(None, "all") == games
    assert datasets_by_suite(None, "pong-centred,gridworld") == {"atari": ("pong-centred", "gridworld")}  # as it was
    assert datasets_by_suite("atari", "gridworld") == {"atari": ("gridworld",)}


def test_a_suite_without_the_papers_budget_has_no_share_of_it(monkeypatch):
    theirs = {name: budget for name, budget in SUITES["atari"].budgets.items() if name != "paper"}
    training = theirs["quick"].training
    assert paper_share("atari", "pong", training) == pytest.approx(400 * 128 / (78_125 * 256))
    monkeypatch.setitem(SUITES, "atari", replace(SUITES["atari"], budgets=theirs))
    assert paper_share("atari", "pong", training) is None
