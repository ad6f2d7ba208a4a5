"""What tables say beyond means: who is not worse than the best, what collapsed, how far a paper is, all in one."""

import csv
import shutil
import subprocess
from dataclasses import astuple, replace
from functools import partial

import numpy as np
import pytest
from made import decoded, failed, record, row
from scipy.stats import kendalltau, spearmanr, ttest_rel

from benchmark import variants
from benchmark.records import Record, as_read, tidy
from benchmark.registry import configuration, probes
from benchmark.report import latex, markdown
from benchmark.report.agreement_tables import correlation
from benchmark.report.comparison import Measure, by_method
from benchmark.report.published import published
from benchmark.report.scores import Context, Scores
from benchmark.report.statistics import holm, summarise
from benchmark.report.table import Cell, Column, Table, number, signed
from benchmark.report.tables import build, everything, write

CONTEXT = Context(floors=frozenset({"random-cnn"}), ceilings=frozenset({"supervised"}))
PAPER = published("racah2020")["r2"]


def game(dataset: str, method: str, seed: int, value: float | None, **fields) -> Record:
    names = ("r2", "r2_ridge", "compactness", "compactness_std", "modularity", "modularity_std")
    rows = [row("linear", metric, "all", value) for metric in names]
    return record(dataset, method, seed, rows, suite="atari", **fields)


def grid(values: dict[str, np.ndarray], datasets: tuple[str, ...] = ("boxing", "pong")) -> list[Record]:
    """A run a method, data set and seed: `values` are seeds by data sets."""
    return [
        game(dataset, method, seed, float(array[seed, d]))
        for method, array in values.items()
        for seed in range(len(array))
        for d, dataset in enumerate(datasets)
    ]


def tables(records: list[Record], folder: str = "atari-quick") -> dict[str, Table]:
    return {table.name: table for table in everything(records, CONTEXT)[folder]}


def cell(table: Table, row: str, column: str) -> Cell:
    return {r.title: r for r in table.rows}[row].cells[[c.title for c in table.columns].index(column)]


def test_what_is_not_significantly_worse_than_the_best_is_marked():
    random = np.random.default_rng(0)
    best = random.normal(0.8, 0.02, (3, 2))
    values = {"best": best, "near": best - random.normal(0.02, 0.05, (3, 2)), "far": best - 0.3 + 0.01 * best}
    differences = {name: (best - values[name]).ravel() for name in ("near", "far")}
    p = holm([float(ttest_rel(each, np.zeros(6)).pvalue) for each in differences.values()])
    assert p[0] > 0.05 > p[1]
    found = tables(grid(values))["cross-r2-ridge"]
    marks = {c.title: found.rows[-1].cells[i].signs for i, c in enumerate(found.columns)}
    assert marks == {"best": "", "near": "°", "far": ""}
    assert "° not significantly worse" in found.notes[0]
    assert "°" in markdown.render(found) and r"\textsuperscript{$\circ$}" in latex.render(found, "atari-quick")


def test_the_seeds_of_a_data_set_are_no_pairs_of_their_own_where_there_are_three_data_sets():
    games = ("boxing", "pong", "seaquest")
    worse = np.array([[0.01, 0.1, 0.2]]) + np.array([[0.001], [0], [-0.001], [0.0]])
    assert ttest_rel(worse.ravel(), np.zeros(12)).pvalue < 0.01
    assert ttest_rel(worse.mean(0), np.zeros(3)).pvalue > 0.1
    found = tables(grid({"best": np.full((4, 3), 0.5), "other": 0.5 - worse}, games))["cross-r2-ridge"]
    assert found.rows[-1].cells[1].signs == "°"
    assert [row.cells[1].signs for row in found.rows[:-1]] == ["", "", ""]


def test_where_nothing_could_be_tested_the_notes_say_so():
    def told(seeds: int, datasets: tuple[str, ...]) -> str:
        values = {name: np.linspace(0.5, 0.6, seeds)[:, None] + np.zeros(len(datasets)) for name in "ab"}
        values["b"] = values["b"] - 0.1 * np.arange(1, len(datasets) + 1)
        return tables(grid(values, datasets))["cross-r2-ridge"].notes[0]

    games = ("boxing", "pong", "seaquest")
    assert "No difference was tested, for want of 3 pairs." in told(1, games[:2])
    assert "°" not in told(1, games[:2])
    assert "Tested: mean of 3; the others were not, for want of 3 pairs." in told(2, games)
    assert "° not significantly" in told(3, games) and "want" not in told(3, games)


def test_single_columns_that_could_not_be_tested_are_named():
    runs = [record("gridworld", "a", seed, decoded(0.5, 0.6 + seed / 10)) for seed in range(3)]
    runs += [record("gridworld", "b", seed, decoded(0.7, 0.8 + seed / 9)) for seed in range(3)]
    runs = [replace(run, metrics=[r for r in run.metrics if run.seed < 2 or r["target"] == "s"]) for run in runs]
    found = tables(runs, "synthetic-quick")["table1-gridworld"]
    assert "Not tested, for want of 3 pairs: MSE p (1e-2)." in found.notes[0]


def test_single_means_that_could_not_be_tested_are_told_of():
    values = {"a": np.full((3, 1), 0.5), "b": np.array([[0.3], [0.31], [0.33]]), "c": np.full((1, 1), 0.4)}
    told = "A mean that has fewer than 3 pairs with the best is not tested either."
    found = tables(grid(values, ("pong",)))["cross-r2-ridge"]
    assert cell(found, "pong", "c").alike is None and told in found.notes[0]
    assert told not in tables(grid({name: values[name] for name in "ab"}, ("pong",)))["cross-r2-ridge"].notes[0]


def test_holm_counts_all_that_are_compared():
    # One p of .03 is significant by itself, not as the smallest of two.
    t = 5.6
    other = np.array([[0.5], [0.5], [0.5]]) - 0.01 * (1 + np.array([[-1], [0], [1]]) * 3**0.5 / t)
    alone = tables(grid({"a": np.full((3, 1), 0.5), "b": other}, ("pong",)))["cross-r2-ridge"]
    assert cell(alone, "pong", "b").signs == ""
    both = tables(grid({"a": np.full((3, 1), 0.5), "b": other, "c": other}, ("pong",)))["cross-r2-ridge"]
    assert cell(both, "pong", "b").signs == "°"


def test_what_is_better_than_the_best_on_the_seeds_of_both_is_not_called_worse():
    best = np.array([[0.5], [0.6], [0.7]])
    other = np.array([[0.55], [0.651], [0.749], [-3.0]])
    assert ttest_rel(best[:, 0], other[:3, 0]).pvalue < 0.05
    found = tables(grid({"a": best, "b": other}, ("pong",)))["cross-r2-ridge"]
    assert cell(found, "pong", "a").best and cell(found, "pong", "b").signs == "°"


def test_of_errors_what_is_significantly_higher_than_the_lowest_is_not_marked():
    def marks(**values: tuple[float, ...]) -> dict[str, str]:
        runs = [
            record("gridworld", method, seed, decoded(value, value))
            for method, errors in values.items()
            for seed, value in enumerate(errors)
        ]
        found = tables(runs, "synthetic-quick")["table1-gridworld"]
        return {method: cell(found, method, "MSE s (1e-2)").signs for method in values}

    assert marks(a=(0.5, 0.6, 0.7), b=(0.75, 0.851, 0.949)) == {"a": "", "b": ""}
    # Better than the best on the seeds of both, worse by a seed that the best lacks.
    assert marks(a=(0.5, 0.6, 0.7), b=(0.45, 0.549, 0.651, 4.0)) == {"a": "", "b": "°"}


def test_two_pairs_are_too_few_for_a_mark():
    values = {"a": np.array([[0.5], [0.6]]), "b": np.array([[0.49], [0.58]])}
    found = tables(grid(values, ("pong",)))["cross-r2-ridge"]
    assert cell(found, "pong", "b").signs == ""


def test_a_mean_that_lacks_data_sets_says_how_many_it_has():
    records = [game("pong", "scn", 0, 0.5), game("boxing", "scn", 0, None), game("boxing", "cswm", 0, 0.5)]
    found = tables(records)["cross-r2-ridge"]
    assert "— (1 of 2)" in markdown.render(found)
    assert any("how many of the data sets" in note for note in found.notes)


def test_the_distance_from_the_paper_stands_beside_its_value():
    values = [decoded(0.02, value) for value in (0.05, 0.06, 0.07)]
    records = [record("bouncing_balls", "setcon", seed, rows) for seed, rows in enumerate(values)]
    found = tables(records, "synthetic-quick")["table1-bouncing_balls"]
    expected = (6.0 - 5.541) / (1 / 3 + 0.811**2) ** 0.5
    assert cell(found, "setcon", "MSE p (1e-2)").distance == pytest.approx(expected)
    head, *_ = [text.split("|") for text in markdown.render(found).splitlines() if text.startswith("|")]
    assert [text.strip() for text in head[2:5]] == ["MSE p (1e-2)", "paper", "diff."]
    assert "combined standard error." in found.notes[0]
    assert " 5.541 {\\scriptsize$\\pm$ 0.811} & +0.5 &" in latex.render(found, "x")
    for few in (1, 2):  # whose standard error tells too little
        (short,) = [t for t in build(records[:few], CONTEXT)["synthetic-quick"] if t.name == "table1-bouncing_balls"]
        assert not any(column.distance for column in short.columns)


def test_a_paper_without_errors_is_compared_in_the_error_measured_here():
    found = tables(grid({"scn": np.array([[0.6], [0.7], [0.8]])}, ("pong",)))["table3-r2"]
    assert cell(found, "pong", "scn").distance == pytest.approx((0.7 - 0.73) / (0.1 / 3**0.5))
    assert "here alone as the paper's is not known" in found.notes[0]


def test_distances_are_printed_with_their_sign():
    assert [signed(value) for value in (1.25, -0.01, 0.04, -12.0, None)] == ["+1.2", "+0.0", "+0.0", "-12.0", "—"]


def test_collapsed_runs_are_marked_in_every_table_and_named_below():
    why = {"diagnostics": {"collapsed": "effective rank 1.0"}}
    records = [
        *(game("pong", "cswm", seed, 0.1 * seed, notes=why if seed else {}) for seed in range(3)),
        *(game("pong", "scn", seed, 0.5, notes={"diagnostics": {"collapsed": None}}) for seed in range(3)),
    ]
    sets = everything(records, CONTEXT)
    for name, column in (("cross-r2-ridge", "cswm"), ("table3-r2", "cswm")):
        found = {table.name: table for table in sets["atari-quick"]}[name]
        assert "§" in cell(found, "pong", column).signs
        assert "§" not in cell(found, "pong", "scn").signs
        assert "§ collapsed: cswm on pong (effective rank 1.0), 2 of 3 seeds." in found.notes
    (headline,) = sets["headline-quick"]
    assert "§" in cell(headline, "cswm", "R², std.").signs
    assert r"\textsuperscript{\S}" in latex.render(headline, "x")


def test_the_headline_leaves_no_game_out_for_all_slots_on_it_having_collapsed():
    floor = [row("linear", f"{name}_floor", "all", 0.01) for name in ("compactness", "modularity")]
    rows = {
        name: [*game(name, "setcon", 0, value).metrics, *floor] for name, value in (("pong", None), ("boxing", 0.3))
    }
    records = [record(name, "setcon", 0, metrics, suite="atari") for name, metrics in rows.items()]
    (found,) = everything(records, CONTEXT)["headline-quick"]
    titles = {column.title: column.group for column in found.columns}
    assert titles["compactness, std."] == titles["modularity, std."] == "atari, mean of 2, n = 1"
    assert cell(found, "setcon", "compactness, std.") == Cell(covered=(1, 2))


def test_marks_and_records_are_of_the_seeds_that_a_mean_has():
    why = {"diagnostics": {"collapsed": "effective rank 1.0"}}
    records = [game("boxing", "scn", 0, 0.5), game("pong", "scn", 0, 0.5), game("pong", "scn", 1, 0.1, notes=why)]
    (headline,) = everything(records, CONTEXT)["headline-quick"]
    found = cell(headline, "scn", "R², std.")
    assert found.ours.n == 1 and not found.signs and len(found.runs) == 2


def test_the_headline_has_every_suite_of_a_budget_and_a_dash_for_what_is_missing():
    ranked = row("ranking", "hits_at_1", "p10", 0.97)
    records = [
        *(game("pong", method, seed, 0.5) for method in ("scn", "supervised", "random-cnn") for seed in (0, 1)),
        record("gridworld", "setcon", 0, decoded(0.01, 0.02)),
        record("shapes", "cswm", 0, [ranked], suite="worlds"),
        record("pong", "scn", 0, [], suite="atari", budget="paper"),
    ]
    (found,) = everything(records, CONTEXT)["headline-quick"]
    assert [r.title for r in found.rows] == ["random-cnn (floor)", "cswm", "scn", "setcon", "supervised (ceiling)"]
    assert [c.title for c in found.columns] == [
        *("R², std.", "compactness, std.", "modularity, std."),
        *("MSE s (1e-2)", "MSE p1 (1e-2)"),
        "Hits@1, 10 steps (%)",
    ]
    assert [c.group for c in found.columns][::3] == ["pong, n = 2", "gridworld, n = 1"]
    assert cell(found, "cswm", "Hits@1, 10 steps (%)").ours.mean == 97
    assert cell(found, "setcon", "MSE p1 (1e-2)").ours.mean == 2
    assert cell(found, "scn", "MSE p1 (1e-2)") == Cell()
    text = latex.render(found, "x")
    assert r"\multicolumn{3}{c}{pong, n = 2} & \multicolumn{2}{c}{gridworld, n = 1}" in text
    assert r"\cmidrule(lr){2-4}\cmidrule(lr){5-6}\cmidrule(lr){7-7}" in text


def test_below_the_headline_stands_what_is_reached_without_a_model():
    notes = {"decoder": {"mean_image_mse": 0.2, "previous_frame_mse": 0.07}}
    clustered = row("colour-kmeans", "fg_ari", "pixels", 0.97)
    balls = [*decoded(0.01, 0.02, 0.5, 0.5), clustered]
    records = [
        record("gridworld", "setcon", 0, decoded(0.01, 0.02), notes=notes),
        record("bouncing_balls", "setcon", 0, balls, notes={"decoder": {"mean_image_mse": 0.3}}),
        game("pong", "scn", 0, 0.5),
    ]
    (found,) = everything(records, CONTEXT)["headline-quick"]
    below = {r.title: [c.mean and round(c.mean, 6) for c in r.cells[3:]] for r in found.rows if r.summary}
    assert [c.title for c in found.columns[3:]] == [
        *("MSE s (1e-2)", "MSE p1 (1e-2)"),
        *("MSE s (1e-2)", "MSE p1 (1e-2)", "FG-ARI s (%)", "FG-ARI p1 (%)"),
    ]
    assert below == {
        "previous frame": [None, 7.0, None, None, None, None],
        "mean frame": [20.0, None, 30.0, None, None, None],
        "colour k-means": [None, None, None, None, 97.0, None],
    }
    assert found.notes[-1].startswith("Last rows: what is reached without a model, by the frame before, the mean of")
    (games,) = everything(records[2:], CONTEXT)["headline-quick"]
    assert not any(r.summary for r in games.rows) and "Last rows" not in " ".join(games.notes)


def test_what_is_reached_without_a_model_is_of_one_setting_of_the_data_and_may_have_more_seeds_than_methods():
    def on(colours: int, seed: int, mean_image: float, method: str = "setcon") -> Record:
        fields = {"configuration": {"training": {}, "dataset": {"num_colours": colours}}, "digest": f"d{colours}"}
        notes = {"decoder": {"mean_image_mse": mean_image, "previous_frame_mse": 0.07}}
        rows = decoded(0.01, 0.02) if method == "setcon" else [row("decoder", "mse", "s", 0.03)]
        return record("gridworld", method, seed, rows, notes=notes, **fields)

    context = replace(CONTEXT, variant=lambda r: "colours" if r.digest == "d6" else "")
    runs = [on(3, 0, 0.15), *(on(6, seed, 0.35) for seed in range(3)), *(on(3, s, 0.15, "scn") for s in range(3))]
    (found,) = everything(runs, context)["headline-quick"]
    assert cell(found, "mean frame", "MSE s (1e-2)").ours.mean == pytest.approx(15)
    (alone,) = everything([run for run in runs if run.digest == "d3"], context)["headline-quick"]
    before = cell(alone, "previous frame", "MSE p1 (1e-2)")
    assert before.ours.n == 3 and alone.columns[1].num_seeds == 1 and not alone.remark(alone.columns[1], before)


def test_a_column_of_the_headline_has_the_n_of_its_own_data_sets():
    balls = decoded(0.01, 0.02, 0.5, 0.4)
    records = [
        *(record("gridworld", "setcon", seed, decoded(0.01, 0.02)) for seed in range(3)),
        record("gridworld", "slotwise", 0, decoded(0.01, 0.02)),
        record("bouncing_balls", "setcon", 0, balls),
        *(game("pong", "scn", seed, 0.5) for seed in (0, 1)),
        game("boxing", "scn", 0, 0.5),
    ]
    (found,) = everything(records, CONTEXT)["headline-quick"]
    groups = dict.fromkeys(column.group for column in found.columns)
    assert [*groups] == ["atari, mean of 2, n = 1", "gridworld, n = 3", "bouncing_balls, n = 1"]
    remarks = {row.title: [*map(found.remark, found.columns, row.cells)] for row in found.rows}
    assert not any(remarks["setcon"]) and " (1 of 3)" in remarks["slotwise"]


def test_a_data_set_of_ones_own_is_not_averaged_with_the_suites():
    runs = [game(name, "scn", 0, value) for name, value in (("pong", 0.5), ("boxing", 0.75), ("mine", 0.0))]
    (found,) = everything(runs, CONTEXT)["headline-quick"]
    groups = [column.group for column in found.columns]
    assert groups == ["atari, mean of 2, n = 1"] * 3 + ["mine, n = 1"] * 3
    assert [c.ours.mean for c in found.rows[0].cells] == [0.625] * 3 + [0.0] * 3
    (alone,) = everything(runs[2:], CONTEXT)["headline-quick"]
    assert {column.group for column in alone.columns} == {"mine, n = 1"}
    (same,) = everything([*runs[2:], replace(failed("broken", "scn"), suite="atari")], CONTEXT)["headline-quick"]
    assert {column.group for column in same.columns} == {"mine, n = 1"}, "where nothing answered nothing is compared"


def test_a_data_set_of_ones_own_has_the_columns_of_the_synthetic_suite_too():
    both = [record(name, "setcon", 0, decoded(0.01, 0.02, 0.5, 0.25)) for name in ("mine", "bouncing_balls")]
    (found,) = everything(both, CONTEXT)["headline-quick"]
    titles = ["MSE s (1e-2)", "MSE p1 (1e-2)", "FG-ARI s (%)", "FG-ARI p1 (%)"]
    heads = [(column.group, column.title) for column in found.columns]
    assert heads == [(f"{name}, n = 1", title) for name in ("bouncing_balls", "mine") for title in titles]
    assert [cell.ours.mean for cell in found.rows[0].cells] == pytest.approx([1, 2, 50, 25] * 2)


def test_a_headline_speaks_of_what_it_shows_only():
    runs = [game("pong", "scn", 0, 0.5), game("pong", "cswm", 0, 0.4)]
    (found,) = everything(runs, CONTEXT)["headline-quick"]
    text = " ".join((found.caption, *found.notes))
    assert "Atari: slot accuracy" in text and "Bold: the highest" in text
    assert not any(word in text for word in ("MSE", "Synthetic", "Worlds", "worlds"))
    (alone,) = everything(runs[:1], CONTEXT)["headline-quick"]
    assert not any("Bold" in note for note in alone.notes), "nothing is, where nothing is compared"


def test_a_probe_that_no_suite_names_has_a_table_of_its_own():
    mine = [
        {
            "probe": "unrest",
            "target": target,
            "metric": metric,
            "split": split,
            "value": value,
            "higher_is_better": best,
        }
        for metric, target, split, value, best in (
            ("jumps", "all", "test", 0.5, False),
            ("jumps", "ball_x", "test", 0.7, False),
            ("jumps", "all", "val", 9.0, False),
            ("r2", "all", "test", 9.0, True),
            ("parts", "s", "test", 3.0, None),
            ("nowhere", "all", "test", None, True),
        )
    ]

    def of(dataset, method, seed, add):
        own = [row if row["value"] is None else row | {"value": row["value"] + add} for row in mine]
        plain = game(dataset, method, seed, 0.4)
        return replace(plain, metrics=[*plain.metrics, *own], probes={"linear": {}, "unrest": {}})

    records = [of(d, m, s, i + s) for d in ("boxing", "pong") for i, m in enumerate(("scn", "cswm")) for s in (0, 1)]
    fell = {"status": "failed", "reason": "it fell over"}
    reasons = {"linear": "bent", "unrest": "torn"}
    broken = replace(game("pong", "setcon", 0, 0.4), notes={"failed_probes": reasons}, **fell)
    other = replace(game("tennis", "slotwise", 0, 0.4), notes={"failed_probes": {"unrest-too": "torn"}}, **fell)
    found = tables([*records, other, broken])
    table = found["probe-unrest"]
    assert [row.title for row in table.rows] == ["cswm", "scn", "setcon"]  # slotwise was not asked
    assert "mean over data sets: boxing and pong." in table.caption
    assert [column.title for column in table.columns] == ["jumps", "r2", "parts s"]
    assert astuple(cell(table, "scn", "jumps").ours)[::2] == (1.0, 2) and cell(table, "cswm", "jumps").ours.mean == 2.0
    bold = [row.title for row in table.rows for i in (0, 1) if row.cells[i].best]
    assert bold == ["cswm", "scn"] and not any(row.cells[2].best for row in table.rows)
    assert "1 more of its numbers" in table.caption
    assert cell(found["table3-r2"], "pong", "scn").ours.mean == pytest.approx(
        0.4
    )  # nor does its r2 take the other's place


def test_aggregates_are_over_complete_seeds_with_intervals_and_a_warning():
    random = np.random.default_rng(0)
    values = {"scn": random.uniform(0.2, 0.9, (3, 4)), "cswm": random.uniform(0.1, 0.8, (3, 4))}
    records = grid(values, ("boxing", "bowling", "freeway", "pong"))
    found = tables([*records, game("pong", "setcon", 0, 0.4)])
    scn = cell(found["aggregates"], "scn", "IQM of R²")
    assert scn.ours.mean == pytest.approx(np.sort(values["scn"].ravel())[3:9].mean())
    assert scn.bounds[0] < scn.ours.mean < scn.bounds[1]
    mean = cell(found["aggregates"], "scn", "mean R²")
    assert mean.bounds == pytest.approx(summarise([*values["scn"].mean(1)]).interval())
    assert "Fewer than 5 seeds" in found["aggregates"].notes[0]
    assert "no seed of it has every data set (setcon)" in found["aggregates"].notes[1]
    assert "[" in markdown.render(found["aggregates"])
    won = np.mean(values["scn"][:, None] > values["cswm"][None])
    assert cell(found["improvement"], "scn", "over cswm").ours.mean == pytest.approx(won)
    assert cell(found["improvement"], "scn", "over scn") == Cell()
    told = "In round brackets: how many seeds have every data set."
    assert told not in found["aggregates"].notes
    assert told in tables(records[:-4])["aggregates"].notes  # without cswm's last seed
    lone = tables(records[:-8])["aggregates"].notes  # cswm's first seed, which has no interval
    assert "Fewer than 5 seeds" in lone[0] and lone[1].startswith("One seed has no interval")


def test_the_method_that_is_ahead_in_the_mean_has_rank_1_and_wins_against_the_other_whose_chances_are_the_opposite():
    random = np.random.default_rng(1)
    low = random.uniform(0, 1, (2, 3))
    values = {"ahead": np.vstack([low + 0.5, low[:1] - 0.05]), "behind": low}
    found = tables(grid(values, ("boxing", "freeway", "pong")))
    ranks = [cell(found["aggregates"], method, "average rank").ours.mean for method in ("ahead", "behind")]
    assert ranks == [1.0, 2.0]
    won, lost = (cell(found["improvement"], *names) for names in (("ahead", "over behind"), ("behind", "over ahead")))
    assert won.ours.mean == pytest.approx(1 - lost.ours.mean) and won.ours.mean > 0.5
    assert (won.ours.n, lost.ours.n) == (3, 2)
    assert won.bounds[0] < won.bounds[1] and lost.bounds == pytest.approx((1 - won.bounds[1], 1 - won.bounds[0]))


def test_of_two_games_no_order_is_told():
    values = {
        method: np.array([[0.1 * i, 0.5]]) for i, method in enumerate(("random-cnn", "scn", "cswm", "supervised"))
    }
    found = tables(grid(values))["agreement"]
    assert cell(found, "scn: R², over games", "Spearman's rho").ours is None
    assert cell(found, "R², over methods", "Kendall's tau").ours is not None


def test_one_data_set_or_one_method_is_not_aggregated():
    one = grid({"scn": np.full((3, 1), 0.5), "cswm": np.full((3, 1), 0.4)}, ("pong",))
    assert "aggregates" not in tables(one)
    assert "aggregates" not in tables(grid({"scn": np.full((3, 2), 0.5)}))


def test_agreement_is_that_of_scipy_over_games_and_methods():
    games = ("boxing", "breakout", "freeway", "pong", "tennis")
    random = np.random.default_rng(0)
    values = {method: random.uniform(0, 1, (2, 5)) for method in ("random-cnn", "scn", "cswm", "supervised")}
    found = tables(grid(values, games))["agreement"]
    expected = spearmanr(values["scn"].mean(0), [PAPER[g]["scn"] for g in games]).statistic
    assert cell(found, "scn: R², over games", "Spearman's rho").ours.mean == pytest.approx(expected)
    theirs = [np.mean([PAPER[g][m] for g in games]) for m in values]
    expected = kendalltau([array.mean() for array in values.values()], theirs).statistic
    assert cell(found, "R², over methods", "Kendall's tau").ours.mean == pytest.approx(expected)
    assert "(5 of 20)" in markdown.render(found)
    titles = [r.title for r in found.rows]
    assert not any(title.startswith(("modularity", "compactness")) for title in titles), "the paper's are of all games"
    assert "Seeds: 0 and 1." in found.caption and "±" not in found.caption


def test_our_own_values_agree_with_the_paper_if_they_are_the_papers():
    records = [game(g, m, 0, value) for g, values in PAPER.items() for m, value in values.items()]
    found = tables(records)["agreement"]
    assert cell(found, "cswm: R², over games", "Spearman's rho").ours.mean == pytest.approx(1)
    assert cell(found, "R², over methods", "Kendall's tau").ours.mean == pytest.approx(1, abs=0.1)
    assert {"modularity, over methods", "compactness, over methods"} <= {r.title for r in found.rows}


def test_methods_are_put_in_order_against_the_papers_means_over_the_games_shown():
    """Over boxing and privateeye its methods come in another order than over all twenty games."""
    records = [game(g, m, 0, value) for g in ("boxing", "privateeye") for m, value in PAPER[g].items()]
    assert cell(tables(records)["agreement"], "R², over methods", "Kendall's tau").ours.mean == pytest.approx(1)


def test_no_order_is_told_of_two_or_of_equals():
    assert correlation("Spearman's rho", ((1.0, 2.0), (2.0, 3.0))) is None
    assert correlation("Spearman's rho", ()) is None
    assert correlation("Kendall's tau", ((1.0, 2.0), (1.0, 3.0), (1.0, 4.0))) is None
    assert correlation("Kendall's tau", ((1.0, 2.0), (2.0, 3.0), (3.0, 1.0))) == pytest.approx(-1 / 3)


def test_setcons_methods_are_put_in_order_against_its_table():
    theirs = published("loewe2020")["gridworld"]
    records = [
        record("gridworld", method, rows=decoded(values["mse_s"][0], values["mse_p"][0]))
        for method, values in theirs.items()
    ]
    found = tables(records, "synthetic-quick")["agreement-gridworld"]
    assert [r.title for r in found.rows] == ["MSE p, over methods", "MSE s, over methods"]
    assert found.rows[0].cells[0].ours.mean == pytest.approx(1)


def test_csv_has_groups_marks_and_distances(tmp_path):
    write(everything(grid({"scn": np.array([[0.6], [0.7], [0.8]])}, ("pong",)), CONTEXT), tmp_path)
    with open(tmp_path / "atari-quick" / "table3-r2.csv", newline="") as file:
        (line,) = [each for each in csv.DictReader(file) if (each["row"], each["column"]) == ("pong", "scn")]
    assert float(line["distance"]) == pytest.approx(-0.3 * 3**0.5)
    assert (line["best"], line["collapsed"]) == ("0", "0")
    assert "pong, n = 3: R²" in (tmp_path / "headline-quick" / "headline.csv").read_text()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_tables_aligned_by_siunitx_compile_and_fit_the_page(tmp_path):
    random = np.random.default_rng(0)
    records = grid({method: random.normal(0.2, 0.4, (3, 2)) for method in ("scn", "cswm", "a_b", "supervised")})
    records += [replace(record("gridworld", "setcon", 0, decoded(0.1, 1.2)), notes={"diagnostics": {"collapsed": "x"}})]
    write(everything(records, CONTEXT), tmp_path, latex.ALIGNED)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all-tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    if "siunitx.sty' not found" in done.stdout:
        pytest.skip("siunitx is not installed")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def linear_rows(**values):
    return [row("linear", metric, "all", value) for metric, value in values.items()]


def test_aggregates_are_of_the_standardised_form():
    records = [
        record(name, method, 0, linear_rows(r2=value - 1, r2_ridge=value), suite="atari")
        for name in ("boxing", "pong")
        for method, value in (("scn", 0.6), ("cswm", 0.2))
    ]
    assert cell(tables(records)["aggregates"], "scn", "mean R²").ours.mean == pytest.approx(0.6)


def test_agreement_of_r2_is_of_the_papers_form():
    records = [
        record(name, method, 0, linear_rows(r2=value, r2_ridge=-value), suite="atari")
        for name in ("boxing", "breakout", "freeway", "privateeye")
        for method, value in PAPER[name].items()
    ]
    found = tables(records)["agreement"]
    assert cell(found, "scn: R², over games", "Spearman's rho").ours.mean == pytest.approx(1)
    assert cell(found, "R², over methods", "Kendall's tau").ours.mean == pytest.approx(1)


def test_agreement_of_compactness_is_of_the_papers_form():
    theirs = published("racah2020")["structure"]["compactness"]
    records = [
        record(name, method, 0, linear_rows(r2=0.1, compactness=v, compactness_std=-v, compactness_floor=0.0))
        for name in PAPER
        for method, v in theirs.items()
    ]
    found = tables([replace(each, suite="atari") for each in records])["agreement"]
    assert cell(found, "compactness, over methods", "Kendall's tau").ours.mean == pytest.approx(1)


@pytest.mark.parametrize("dataset", ["gridworld", "bouncing_balls"])
def test_agreement_with_setcons_table_is_column_by_column(dataset):
    """In one column ours are the paper's, in the others the opposite."""
    places = {"mse_s": "MSE s", "mse_p": "MSE p", "ari_s": "ARI s", "ari_p": "ARI p"}
    for printed, title in places.items():
        theirs = {m: own[printed][0] for m, own in published("loewe2020")[dataset].items() if printed in own}
        if len(set(theirs.values())) > 2:
            records = [
                record(dataset, method, rows=decoded(*(v if name == printed else -v for name in places)))
                for method, v in theirs.items()
            ]
            found = tables(records, "synthetic-quick")[f"agreement-{dataset}"]
            assert cell(found, f"{title}, over methods", "Kendall's tau").ours.mean == pytest.approx(1)


def test_differences_are_of_the_same_seed():
    a, b = (0.9, 0.1, 0.5, 0.3), {1: 0.09, 2: 0.489, 3: 0.291}  # differ by a hundredth on the seeds of both
    records = [game("pong", "a", seed, value) for seed, value in enumerate(a)]
    records += [game("pong", "b", seed, value) for seed, value in b.items()]
    found = tables(records)["cross-r2-ridge"]
    assert cell(found, "pong", "a").best and cell(found, "pong", "b").signs == ""


def test_of_two_data_sets_each_seed_is_a_pair():
    a = np.array([[0.5, 0.6], [0.7, 0.8]])
    found = tables(grid({"a": a, "b": a - [[0.1, -0.05], [-0.06, 0.08]]}))["cross-r2-ridge"]
    assert cell(found, "mean of 2", "b").signs == "°" and cell(found, "pong", "b").signs == ""


def test_a_run_that_collapsed_is_marked_where_it_counts():
    why = {"diagnostics": {"collapsed": "effective rank 1.0"}}
    found = tables([game("boxing", "scn", 0, 0.5, notes=why), game("pong", "scn", 0, 0.5)])["cross-r2-ridge"]
    assert [row.cells[0].collapsed for row in found.rows] == [True, False, True]


def test_behind_a_cell_are_the_records_of_its_data_sets():
    found = tables(grid({"scn": np.full((2, 2), 0.5)}))["cross-r2-ridge"]
    boxing, pong = ([f"runs/{name}/scn/d0/seed-{seed}.json" for seed in (0, 1)] for name in ("boxing", "pong"))
    assert [[*row.cells[0].runs] for row in found.rows] == [boxing, pong, boxing + pong]


def test_agreement_of_modularity_is_over_the_games_where_it_is_defined():
    theirs = published("racah2020")["structure"]["modularity"]
    one_object = {"r2": 0.1, "modularity": None, "modularity_floor": None}
    records = [
        record(
            name,
            method,
            rows=linear_rows(
                **(one_object if name == "bowling" else one_object | {"modularity": v, "modularity_floor": 0.0})
            ),
            suite="atari",
        )
        for name in PAPER
        for method, v in theirs.items()
    ]
    assert cell(tables(records)["agreement"], "modularity, over methods", "Kendall's tau").ours.mean == pytest.approx(1)


@pytest.mark.parametrize("joint", [False, True])
def test_agreement_is_of_the_defaults_or_else_of_probes_that_learned_beside_the_encoder(joint):
    context = Context(variant=lambda run: "" if run.digest == "d0" else "probe_protocol=joint")
    records = [
        record(name, method, 0, linear_rows(r2=value if joint else -value), suite="atari", digest="d1")
        for name in ("boxing", "breakout", "freeway", "privateeye")
        for method, value in PAPER[name].items()
    ]
    if not joint:
        records += [replace(run, digest="d0", metrics=linear_rows(r2=-run.metrics[0]["value"])) for run in records]
    (found,) = [table for table in build(records, context)["atari-quick"] if table.name == "agreement"]
    assert cell(found, "scn: R², over games", "Spearman's rho").ours.mean == pytest.approx(1)


def test_a_method_with_too_few_games_for_an_order_has_none():
    records = [game(name, "scn", 0, PAPER[name]["scn"]) for name in ("boxing", "breakout", "pong")]
    found = tables([*records, game("pong", "cswm", 0, 0.5)])["agreement"]
    few = cell(found, "cswm: R², over games", "Spearman's rho")
    assert few.ours is None and few.covered == (1, 20)


def test_the_headline_is_of_the_standardised_forms():
    names = ("r2", "r2_ridge", "compactness", "compactness_std", "modularity", "modularity_std")
    values = dict(zip(names, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True))
    (found,) = everything([record("pong", "scn", 0, linear_rows(**values), suite="atari")], CONTEXT)["headline-quick"]
    assert [c.ours.mean for c in found.rows[0].cells] == [0.2, 0.4, 0.6]


def test_the_best_of_the_headline_are_the_lowest_errors_and_the_highest_aris():
    better, worse = decoded(0.01, 0.02, 0.9, 0.8), decoded(0.03, 0.04, 0.5, 0.4)
    runs = [record("bouncing_balls", "setcon", 0, better), record("bouncing_balls", "slotwise", 0, worse)]
    (found,) = everything(runs, CONTEXT)["headline-quick"]
    assert {row.title: {c.best for c in row.cells} for row in found.rows} == {"setcon": {True}, "slotwise": {False}}


def test_a_headline_is_of_its_own_budget():
    runs = [game("pong", "scn", 0, 0.5), game("pong", "scn", 0, 0.75, budget="paper")]
    found = everything(runs, CONTEXT)
    for budget, value in (("quick", 0.5), ("paper", 0.75)):
        (headline,) = found[f"headline-{budget}"]
        assert [c.ours.mean for c in headline.rows[0].cells] == [value] * 3


def test_aggregates_are_of_the_data_sets_that_have_a_number_and_of_the_rows_own_seeds():
    values = {"scn": np.array([[0.8, 0.6]] * 3), "cswm": np.array([[0.2, 0.3]] * 2)}
    records = [*grid(values), *(game("tennis", method, 0, None) for method in values)]
    found = tables(records)
    table = found["aggregates"]
    assert [cell(table, method, "average rank").ours.mean for method in ("scn", "cswm")] == [1, 2]
    assert [cell(table, method, "mean R²").ours.mean for method in ("scn", "cswm")] == pytest.approx([0.7, 0.25])
    assert [cell(table, method, "IQM of R²").ours.n for method in ("scn", "cswm")] == [3, 2]
    assert cell(found["improvement"], "scn", "over cswm").ours.n == 3
    assert cell(found["improvement"], "cswm", "over scn").ours.n == 2


def test_a_probe_of_ones_own_with_a_metric_of_that_name_is_not_the_linear_one():
    mine = [row("mlp", metric, "all", 0.99) for metric in ("r2", "r2_ridge", "compactness")]
    mine.append(row("linear", "compactness_floor", "all", 0.002))
    runs = [replace(run, metrics=[*mine, *run.metrics]) for run in (game("pong", "scn", 0, 0.3),)]
    found = tables(runs)
    assert cell(found["table3-r2"], "pong", "scn").ours.mean == 0.3
    assert cell(found["cross-r2-ridge"], "pong", "scn").ours.mean == 0.3
    assert cell(found["table1-structure"], "scn", "compactness").ours.mean == 0.3
    only = tables([replace(runs[0], metrics=mine)])
    assert "cross-r2-ridge" not in only and cell(only["table3-r2"], "pong", "scn").ours is None


def test_a_game_on_which_a_metric_is_undefined_is_left_out_though_another_probe_failed_there():
    fell = {"status": "failed", "reason": "probe mine: it raised", "notes": {"failed_probes": {"mine": "it raised"}}}
    floors = [row("linear", "modularity_floor", "all", 0.002)]
    runs = [game("pong", "scn", 0, 0.5), game("bowling", "scn", 0, None, **fell)]
    runs = [replace(run, metrics=[*run.metrics, *(floors if run.dataset == "pong" else [])]) for run in runs]
    undefined = [*runs[1].metrics, row("linear", "modularity_floor", "all", None)]
    table = tables([runs[0], replace(runs[1], metrics=undefined)])["table1-structure"]
    assert cell(table, "scn", "modularity").ours.mean == 0.5
    assert cell(table, "scn", "modularity, random").ours.mean == 0.002


def test_what_a_probe_answered_before_it_failed_is_in_no_table():
    fell = {"status": "failed", "notes": {"failed_probes": {"linear": "it raised"}}}
    runs = [game("pong", "scn", 0, 0.9, **fell), game("pong", "scn", 1, 0.5)]
    table = tables(runs)["table3-r2"]
    assert cell(table, "pong", "scn").ours == summarise([0.5])
    assert [row["seed"] for row in tidy(runs, lambda run: "")] == [1] * 6


def test_probes_that_were_asked_with_other_settings_are_named_with_how_many_runs():
    context = replace(CONTEXT, asked=partial(variants.probe_settings, default=variants.probe_default))
    usual = {"linear": {"configuration": as_read(configuration(probes.create("linear")))}}
    few = {"linear": {"configuration": as_read(configuration(probes.create("linear", floor_draws=7)))}}
    gone = {"gone": {"configuration": {"depth": 3}}}

    def told(*runs: Record) -> list[str]:
        (table,) = [table for table in everything(runs, context)["atari-quick"] if table.name == "table3-r2"]
        return [note for note in table.notes if "Asked" in note]

    one, other, third = (game("pong", "scn", seed, 0.5, probes=asked) for seed, asked in enumerate((few, usual, few)))
    assert told(one, other, third) == [
        "Asked with other settings than the budget's: linear (floor_draws=7, in 2 of 3 runs)."
    ]
    assert told(one, third) == ["Asked with other settings than the budget's: linear (floor_draws=7)."]
    assert told(other) == told(replace(one, probes=gone)) == []


def test_a_probes_other_version_is_named_among_its_settings():
    context = replace(CONTEXT, asked=partial(variants.probe_settings, default=variants.probe_default))
    now = as_read(configuration(probes.create("linear")))
    before = now | {"version": now["version"] - 1}
    runs = [
        game("pong", "scn", seed, 0.5, probes={"linear": {"configuration": c}}) for seed, c in enumerate((now, before))
    ]
    (table,) = [table for table in everything(runs, context)["atari-quick"] if table.name == "table3-r2"]
    told = f"Asked with other settings than the budget's: linear (version={before['version']}, in 1 of 2 runs)."
    assert told in table.notes


def test_a_table_tells_the_settings_of_those_probes_alone_whose_numbers_it_has():
    other = {"configuration": {"depth": 3}}
    context = replace(CONTEXT, asked=lambda run: {"linear": "floor_draws=7", "masks": "depth=3"})
    found = everything([game("pong", "scn", 0, 0.5, probes={"linear": other, "masks": other})], context)
    of = {table.name: table for folder in found.values() for table in folder}
    for name in ("headline", "table3-r2", "cross-r2-ridge"):
        told = [note for note in of[name].notes if "Asked" in note]
        assert told == ["Asked with other settings than the budget's: linear (floor_draws=7)."]


def on_frames(probe_frames: int, method: str, values: list[float]) -> list[Record]:
    """Runs on two games with so many frames for probes, which the variant names; a seed a value."""
    settings = {"dataset": {"probe_frames": probe_frames}}
    return [
        game(name, method, seed, value, digest=f"d{probe_frames}", configuration=settings)
        for name in ("boxing", "pong")
        for seed, value in enumerate(values)
    ]


FRAMES = replace(CONTEXT, variant=lambda record: f"probe_frames={record.configuration['dataset']['probe_frames']}")


def test_what_saw_other_frames_than_most_is_marked_and_neither_the_best_nor_tested_nor_ranked():
    many = [*on_frames(50, "scn", [0.5, 0.6, 0.7]), *on_frames(50, "cswm", [0.4, 0.5, 0.7])]
    many += on_frames(50, "slotwise", [0.1, 0.2, 0.3])
    runs = [*many, *on_frames(10, "scn", [0.9, 0.91, 0.92]), *on_frames(10, "supervised", [0.95, 0.96, 0.97])]
    found = {table.name: table for table in everything(runs, FRAMES)["atari-quick"]}
    for name, of in (("table3-r2", "mean of 2"), ("cross-r2-ridge", "pong")):
        table = found[name]
        best, other = (cell(table, of, f"scn (probe_frames={frames})") for frames in (50, 10))
        assert best.best and not best.apart
        assert (other.best, other.alike, other.apart, other.signs) == (False, None, True, "¶")
        assert cell(table, of, "cswm (probe_frames=50)").alike is not None
        assert any("¶ with other settings of a data set than most, and so not comp" in note for note in table.notes)
        assert not any("not tested either" in note for note in table.notes)
    assert [row.method for row in found["improvement"].rows] == ["cswm", "scn", "slotwise"]
    told = "Left out: scn (probe_frames=10), supervised (probe_frames=10, ceiling), with other settings of a data set"
    assert any(note.startswith(told) for note in found["aggregates"].notes)
    assert cell(found["aggregates"], "scn (probe_frames=50)", "average rank").ours.mean == 1


def test_of_as_many_on_one_setting_of_the_data_as_on_another_the_first_are_compared():
    runs = [*on_frames(50, "scn", [0.5, 0.6]), *on_frames(50, "cswm", [0.4, 0.5]), *on_frames(10, "scn", [0.9, 0.9])]
    runs += on_frames(10, "cswm", [0.95, 0.96])
    (table,) = [table for table in everything(runs, FRAMES)["atari-quick"] if table.name == "cross-r2-ridge"]
    marks = {column.title: c.signs for column, c in zip(table.columns, table.rows[0].cells, strict=True)}
    assert {title for title, signs in marks.items() if "¶" in signs} == {
        f"{method} (probe_frames=50)" for method in ("scn", "cswm")
    }


def test_no_mean_over_games_is_of_a_data_set_that_the_suite_does_not_have():
    random = np.random.default_rng(0)
    values = {"scn": random.uniform(0.5, 0.9, (3, 2)), "cswm": random.uniform(0.1, 0.4, (3, 2))}
    usual = tables(grid(values))
    centred = [game("pong-centred", "scn", 0, 0.99), game("pong-centred", "cswm", 0, 0.01)]
    found = tables([*grid(values), *centred])
    for name in ("aggregates", "improvement"):
        assert found[name].rows == usual[name].rows and "over 2 data sets" in found[name].caption.lower()
    table, before = found["cross-r2-ridge"], usual["cross-r2-ridge"]
    assert cell(table, "pong-centred", "scn").ours.mean == 0.99
    assert table.rows[-1].title == "mean of 2" and table.rows[-1] == before.rows[-1]
    assert "The mean is over the suite's own data sets, without pong-centred." in table.notes
    assert not any("own data sets" in note for note in before.notes)
    mine = tables([game(name, "scn", 0, value) for name, value in (("mine", 0.5), ("yours", 0.75))])
    assert cell(mine["cross-r2-ridge"], "mean of 2", "scn").ours.mean == 0.625


def test_a_record_that_stands_in_two_rows_is_counted_once():
    chosen = {"training": {"tuned": {"chosen": 1e-3}}}
    runs = [game("pong", "scn", 0, 0.5), game("pong", "scn", 0, 0.6, digest="d1", **chosen)]
    of_both = [game("boxing", "scn", 0, 0.5, status="failed"), game("boxing", "scn", 1, 0.5, **chosen)]
    table = tables([*runs, *of_both])["table3-r2"]
    assert [column.title for column in table.columns][1:4] == ["scn", "scn (tuned)", "cswm"]
    assert any("Of 4 runs 1 failed" in note for note in table.notes)


def test_a_probe_of_ones_own_is_averaged_over_the_data_sets_on_which_it_is_defined():
    runs = [
        record(name, "scn", 0, [row("mine", "m", "all", value)], suite="atari", probes={"mine": {}})
        for name, value in (("boxing", None), ("pong", 0.5), ("tennis", 0.75))
    ]
    table = tables(runs)["probe-mine"]
    assert [column.full_title for column in table.columns] == ["mean of 2: m"]
    assert cell(table, "scn", "m").ours.mean == 0.625


@pytest.mark.parametrize(
    ("values", "shown"),
    [((1e-5, 4.9e-5), "0.0000490"), ((0.5, -22998.5), "-22998"), ((0.5, 0.75), "0.750"), ((0.0, 0.0), "0.000")],
)
def test_numbers_of_a_probe_of_ones_own_have_three_digits_or_decimals(values, shown):
    runs = [
        record("pong", method, 0, [row("mine", "m", "all", value)], suite="atari", probes={"mine": {}})
        for method, value in zip(("scn", "cswm"), values, strict=True)
    ]
    table = tables(runs)["probe-mine"]
    assert number(cell(table, "cswm", "m").ours.mean, table.columns[0].decimals) == shown


def test_a_probe_of_ones_own_that_measures_nothing_on_test_has_no_table():
    on_val = row("mine", "m", "all", 0.5) | {"split": "val"}
    runs = [
        record("pong", method, rows=rows, suite="atari", probes={"mine": {}, "pictures": {}})
        for method, rows in (("scn", [on_val]), ("cswm", []))
    ]
    assert not {"probe-mine", "probe-pictures"} & tables(runs).keys()


def test_columns_of_one_title_in_two_groups_both_count_in_the_notes():
    values = {"a": np.array([[0.5], [0.6], [0.7]]), "b": np.array([[0.49], [0.58], [0.66]])}
    few = {method: array[:2] for method, array in values.items()}
    (scores,) = Scores.of([*grid(values, ("boxing",)), *grid(few, ("pong",))], CONTEXT)
    measures = [Measure("r2", Column("m", 2, group=name), (name,)) for name in ("boxing", "pong")]
    found = by_method("t", "", scores, (), measures)
    assert "° not significantly" in found.notes[0] and "Not tested, for want of 3 pairs: pong: m." in found.notes[0]
