"""What changed between two output folders: means, tests against SciPy, and the runs that only one has."""

from dataclasses import replace

import numpy as np
import pytest
from made import failed, record, row, written
from scipy.stats import ttest_ind, ttest_rel

from benchmark import plan
from benchmark.command import main
from benchmark.configure import Configuration
from benchmark.records import Record
from benchmark.report.changes import as_markdown, changes
from benchmark.report.scores import Context


def runs(values: np.ndarray, first: int = 0, metric: str = "r2", datasets: tuple[str, ...] = ("pong",)) -> list[Record]:
    """Seeds by data sets."""
    return [
        record(dataset, "scn", first + seed, [row("linear", metric, "all", float(values[seed, d]))])
        for seed in range(len(values))
        for d, dataset in enumerate(datasets)
    ]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_shared_seeds_are_compared_in_pairs(random):
    a, b = random.normal(0, 1, (4, 1)), random.normal(0.5, 1, (4, 1))
    (found,) = changes(runs(a), runs(b), Context())
    assert (found.before.mean, found.after.mean) == (pytest.approx(a.mean()), pytest.approx(b.mean()))
    assert (found.pairs, found.p) == (4, pytest.approx(ttest_rel(a[:, 0], b[:, 0]).pvalue))


def test_runs_that_trained_longer_in_the_one_than_in_the_other_are_not_the_same():
    def trained(steps: int) -> list[Record]:
        training = {"training": {"steps": steps, "frames_per_step": 128}}
        return [replace(run, digest=f"d{steps}", configuration=training) for run in runs(np.array([[0.1], [0.2]]))]

    context = Context(variant=lambda run: f"steps={run.configuration['training']['steps']}")
    told = as_markdown(trained(400), trained(800), context)
    assert told.startswith("A and B have no metric of the same run.")
    assert "Only in A: atari, quick, pong, scn (steps=400), seed 0, 1." in told.replace("synthetic", "atari")


def test_other_seeds_are_compared_as_independent(random):
    a, b = random.normal(0, 1, (4, 1)), random.normal(0.5, 1, (3, 1))
    (found,) = changes(runs(a), runs(b, first=10), Context())
    assert (found.pairs, found.p) == (0, pytest.approx(ttest_ind(a[:, 0], b[:, 0], equal_var=False).pvalue))


def test_several_data_sets_have_a_line_of_their_mean_over_all_pairs(random):
    a = random.normal(0, 1, (2, 2))
    b = a + random.normal(0.2, 0.1, (2, 2))
    found = changes(runs(a, datasets=("boxing", "pong")), runs(b, datasets=("boxing", "pong")), Context())
    assert [change.dataset for change in found] == ["boxing", "pong", "mean of 2"]
    assert (found[2].pairs, found[2].p) == (4, pytest.approx(ttest_rel(a.ravel(), b.ravel()).pvalue))


def test_of_three_data_sets_each_is_one_pair_however_many_its_seeds(random):
    names = {"datasets": ("boxing", "pong", "seaquest")}
    a = random.normal(0, 1, (2, 3))
    b = a + random.normal(0.2, 0.1, (2, 3))
    found = changes(runs(a, **names), runs(b, **names), Context())[-1]
    assert (found.pairs, found.p) == (3, pytest.approx(ttest_rel(a.mean(0), b.mean(0)).pvalue))
    assert found.difference == pytest.approx((b - a).mean())


@pytest.mark.parametrize(("metric", "up", "word"), [("r2", 1, "better"), ("r2", -1, "worse"), ("mse", 1, "worse")])
def test_what_is_significant_is_called_better_or_worse_by_its_direction(random, metric, up, word):
    a = random.normal(0, 1, (4, 1))
    text = as_markdown(runs(a, metric=metric), runs(a + up * random.normal(2, 0.1, (4, 1)), metric=metric), Context())
    assert f"{word} |" in text


def test_the_direction_is_that_of_the_pairs_that_were_tested():
    a, b = np.array([[0.1], [0.2], [0.3]]), np.array([[0.2], [0.301], [0.399], [-5.0], [-5.0]])
    (found,) = changes(runs(a), runs(b), Context())
    assert found.after.mean < found.before.mean and found.difference == pytest.approx(0.1)
    text = " ".join(as_markdown(runs(a), runs(b), Context()).split())
    assert "| +0.1 | 3 |" in text and "better |" in text


def test_a_new_version_of_a_method_is_compared_with_the_one_before(tmp_path, capsys):
    for name, value, version in (("a", 0.25, 1), ("b", 0.5, 2)):
        (run,) = runs(np.full((1, 1), value))
        configuration = plan.runs(Configuration("atari", "quick"), ["scn"], ["pong"], 1)[0].configuration
        method = {**configuration["method"], "version": version}
        run = replace(run, suite="atari", configuration={**configuration, "method": method})
        written(tmp_path / name, run)
    assert main(["--compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "| scn | r2 |" in (text := " ".join(capsys.readouterr().out.split())) and "+0.25" in text


def test_each_budget_is_compared_with_its_own():
    before = [replace(run, budget=name) for name, value in (("quick", 0.1), ("paper", 0.7)) for run in one_run(value)]
    after = [replace(run, budget=name) for name, value in (("quick", 0.2), ("paper", 0.9)) for run in one_run(value)]
    told = {change.where: (change.before.mean, change.after.mean) for change in changes(before, after, Context())}
    assert told == {"synthetic, quick": (0.1, 0.2), "synthetic, paper": (0.7, 0.9)}


def one_run(value: float) -> list[Record]:
    return runs(np.array([[value]]))


def test_a_mean_over_data_sets_is_of_as_many_as_there_are_seeds(random):
    a = random.normal(0, 1, (3, 2))
    *_, mean = changes(*[runs(a, datasets=("boxing", "pong"))] * 2, Context())
    assert (mean.dataset, mean.before.n) == ("mean of 2", 3)
    assert mean.before.se == pytest.approx(a.mean(1).std(ddof=1) / 3**0.5)


def test_what_is_not_significant_is_called_neither_better_nor_worse():
    a, b = np.array([[0.1], [0.2], [0.3]]), np.array([[0.5], [0.1], [0.4]])
    text = as_markdown(runs(a), runs(b), Context())
    assert "better" not in text and "worse" not in text


def test_a_run_that_failed_is_not_among_those_that_one_folder_has_though_a_probe_answered():
    (answered,) = (replace(run, seed=1, status="failed", reason="probe masks: it raised") for run in one_run(0.5))
    assert "Only in" not in as_markdown([*one_run(0.5), answered], one_run(0.5), Context())


def test_p_values_are_corrected_for_all_lines(random):
    a, games = random.normal(0, 1, (3, 3)), ("boxing", "pong", "tennis")
    b = a + np.array([[0.29, 0.3, 0.31], [0.2, 0.3, -0.4], [0.1, -0.2, 0.3]]).T
    before, after = (runs(values, datasets=games) for values in (a, b))
    smallest = min(change.p for change in changes(before, after, Context()))
    assert f"| {4 * smallest:.2g} |" in as_markdown(before, after, Context())


def test_the_same_metric_of_two_probes_is_told_apart():
    both = [row("decoder", "mse", "s", 0.1), row("decoder-rollout", "mse", "s", 0.2)]
    text = as_markdown(*[[record("gridworld", "setcon", 0, both)]] * 2, Context())
    lines = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if "| setcon " in line]
    assert [line[4:6] for line in lines] == [["mse s", "decoder"], ["mse s", "decoder-rollout"]]


def test_one_seed_tells_the_difference_and_no_more():
    text = as_markdown(runs(np.array([[0.5]])), runs(np.array([[0.75]])), Context())
    assert "| +0.25 | 1 and 1 |   — |" in text


def test_a_part_of_a_metric_and_what_is_neither_good_nor_bad_are_left_out():
    rows = [row("linear", "r2", "all", 0.5), row("linear", "r2", "ball_x", 0.5), row("decoder", "mse", "p1", 0.5)]
    floor = {**row("linear", "compactness_floor", "all", 0.1), "higher_is_better": None}
    run = record("pong", "scn", 0, [*rows, floor])
    found = [change.what for change in changes([run], [run], Context())]
    assert found == [("r2", "all", "linear"), ("mse", "p1", "decoder")]


def test_what_is_told_for_all_on_val_only_leaves_the_targets_on_test_their_lines():
    rows = [row("my", "m", "all", 0.5) | {"split": "val"}, row("my", "m", "s", 0.25)]
    (found,) = changes(*[[record("pong", "scn", 0, rows)]] * 2, Context())
    assert found.what == ("m", "s", "my") and found.before.mean == 0.25


def test_runs_of_one_folder_only_are_named():
    text = as_markdown([*runs(np.ones((3, 1))), failed("boxing", "scn")], runs(np.ones((1, 1))), Context())
    assert "Only in A: synthetic, quick, pong, scn, seed 1, 2." in text
    assert "boxing" not in text and "Only in B" not in text
    other = [record("tennis", "cswm", 0, [row("linear", "r2", "all", 0.5)])]
    assert as_markdown(other, runs(np.ones((1, 1))), Context()).startswith("A and B have no metric of the same run.")


def test_what_is_no_more_defined_is_named_as_no_mean_tells_it():
    def asked(values):
        of = {"pong": values[0], "boxing": values[1]}
        return [record(name, "setcon", 0, [row("linear", "compactness", "all", value)]) for name, value in of.items()]

    told = as_markdown(asked((0.2, 0.3)), asked((None, 0.4)), Context())
    assert "Undefined in B: synthetic, quick, setcon, compactness (linear) on pong; no mean above counts it." in told
    assert "Undefined" not in as_markdown(asked((None, 0.3)), asked((0.2, 0.4)), Context())
    assert "Undefined" not in as_markdown(asked((0.2, 0.3)), [record("pong", "setcon", 0, [])], Context())


def test_the_command_prints_it_and_a_folder_without_records_is_a_mistake(tmp_path, capsys):
    for name, value in (("a", 0.25), ("b", 0.5)):
        for run in runs(np.full((1, 1), value)):
            written(tmp_path / name, replace(run, configuration={"method": {}, "dataset": {}, "training": {}}))
    assert main(["--compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "+0.25" in capsys.readouterr().out
    (path,) = (tmp_path / "a").rglob("seed-0.json")
    path.with_name("seed-1.json").write_text("{")
    assert main(["--compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "left out: runs/" in capsys.readouterr().err
    assert main(["--compare", str(tmp_path / "a"), str(tmp_path / "b"), "--methods", "scn", "--budget", "quick"]) == 0
    assert "+0.25" in capsys.readouterr().out
    assert main(["--compare", str(tmp_path / "a"), str(tmp_path / "b"), "--methods", "cswm"]) == 2
    assert "no records of what is named under" in capsys.readouterr().err
    assert main(["--compare", str(tmp_path / "a"), str(tmp_path / "c")]) == 2
    assert "no records under" in capsys.readouterr().err


def test_a_data_set_that_only_one_folder_has_takes_no_line_from_the_others(random):
    a, b = random.normal(0, 1, (2, 2)), random.normal(0, 1, (2, 3))
    for one, other in ((a, b), (b, a)):
        games = ("boxing", "pong", "tennis")
        found = changes(*(runs(v, datasets=games[: v.shape[1]]) for v in (one, other)), Context())
        assert [change.dataset for change in found] == ["boxing", "pong", "mean of 2"]


def test_a_mean_of_what_changed_is_over_the_suites_own_data_sets(random):
    a, b = random.normal(0, 1, (2, 3, 3))
    of = [[replace(run, suite="atari") for run in runs(v, datasets=("boxing", "pong", "pong-centred"))] for v in (a, b)]
    found = {change.dataset: change for change in changes(*of, Context())}
    assert [*found] == ["boxing", "pong", "pong-centred", "mean of 2"]
    assert found["mean of 2"].before.mean == pytest.approx(a[:, :2].mean())


def test_probes_that_were_asked_with_other_settings_are_named():
    def asked(settings):
        return [replace(run, probes={"linear": {"told": settings}}) for run in runs(np.ones((2, 1)))]

    context = Context(asked=lambda run: {"linear": told} if (told := run.probes["linear"]["told"]) else {})
    text = as_markdown(asked(""), asked("floor_draws=7"), context)
    assert "Asked differently: linear, in A with the defaults, in B with floor_draws=7, on pong." in text
    assert "Asked differently" not in as_markdown(asked("floor_draws=7"), asked("floor_draws=7"), context)
