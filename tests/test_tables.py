"""Tables from hand-made records: every cell, dash, mean and mark that matters, and the three formats."""

import csv
import random
import shutil
import subprocess
from dataclasses import astuple, replace
from pathlib import Path

import made
import pytest

from benchmark.errors import UserError
from benchmark.records import Record
from benchmark.report import latex, markdown
from benchmark.report.published import published
from benchmark.report.scores import Context, Entrant, Scores
from benchmark.report.statistics import Summary
from benchmark.report.table import Cell, Column, Row, Table, number, strongest
from benchmark.report.table import csv as as_csv
from benchmark.report.tables import build, everything, in_markdown, write

GAMES = tuple(published("racah2020")["r2"])
CONTEXT = Context(
    variant=lambda record: record.configuration.get("variant", ""),
    floors=frozenset({"random-cnn"}),
    ceilings=frozenset({"supervised"}),
)
SET = "atari-quick"


def record(dataset: str, method: str, seed: int = 0, /, budget: str = "quick", **metrics: float | None) -> Record:
    rows = [
        {"probe": "linear", "target": "all", "metric": m, "split": "test", "value": v, "higher_is_better": True}
        for m, v in metrics.items()
    ]
    return Record(
        suite="atari",
        budget=budget,
        dataset=dataset,
        method=method,
        seed=seed,
        digest="d0",
        status="ok",
        metrics=rows,
        configuration={"training": {"steps": 400, "frames_per_step": 128}},
        provenance={"commit": "0123456789abcdef"},
        timing={"total": random.random()},
    )


def failed(dataset: str, method: str, seed: int = 0) -> Record:
    return replace(record(dataset, method, seed), status="failed", reason="loss is not finite")


def tables(records: list[Record], folder: str = SET, context: Context = CONTEXT) -> dict[str, Table]:
    return {table.name: table for table in build(records, context)[folder]}


def cell(table: Table, row: str, column: str) -> Cell:
    columns = [c.title for c in table.columns]
    rows = {r.title: r for r in table.rows}
    return rows[row].cells[columns.index(column)]


def test_a_cell_is_the_mean_over_seeds_beside_the_papers_value():
    records = [record("pong", "scn", seed, r2=value) for seed, value in enumerate((0.6, 0.7, 0.8))]
    found = cell(tables(records)["table3-r2"], "pong", "scn")
    assert astuple(found.ours) == (pytest.approx(0.7), pytest.approx(0.1 / 3**0.5), 3)
    assert found.paper == 0.73


def test_a_value_on_val_is_not_taken_for_the_one_on_test():
    ours = record("pong", "scn", r2=0.6)
    ours = replace(ours, metrics=[*ours.metrics, *({**row, "split": "val", "value": 0.9} for row in ours.metrics)])
    assert cell(tables([ours])["table3-r2"], "pong", "scn").ours.mean == 0.6


def test_the_mean_row_is_over_exactly_the_games_shown():
    records = [record(game, "scn", seed, r2=r2) for game, r2 in (("pong", 0.2), ("boxing", 0.4)) for seed in (0, 1)]
    table = tables(records)["table3-r2"]
    assert [row.title for row in table.rows] == ["boxing", "pong", "mean of 2"]
    found = cell(table, "mean of 2", "scn")
    assert astuple(found.ours) == (pytest.approx(0.3), 0, 2)
    assert found.paper == pytest.approx((0.73 + 0.68) / 2)
    assert "for the games shown" in table.caption


def test_the_mean_of_all_games_stands_beside_the_papers_overall_value():
    records = [record(game, "cswm", r2=0.1) for game in GAMES]
    table = tables(records)["table3-r2"]
    assert [row.title for row in table.rows] == [*sorted(GAMES), "mean of 20"]
    assert cell(table, "mean of 20", "cswm").paper == 0.45
    assert "the one that it prints" in table.caption


def test_a_failed_run_is_a_dash_and_so_is_the_mean_that_needs_it():
    records = [record("boxing", "scn", r2=0.9), failed("pong", "scn")]
    table = tables(records)["table3-r2"]
    assert cell(table, "pong", "scn") == Cell(None, 0.73)
    assert cell(table, "mean of 2", "scn").ours is None
    assert any("1 failed" in note for note in table.notes)
    assert "| pong        |" in markdown.render(table)


def test_a_data_set_on_which_every_run_failed_is_still_asked_for():
    (scores,) = Scores.of([record("pong", "scn", r2_ridge=0.5), failed("boxing", "scn")], CONTEXT)
    assert scores.possible("r2_ridge") == ("boxing", "pong")


def test_what_other_probes_of_a_failed_run_have_answered_is_shown():
    answered = replace(record("pong", "scn", r2=0.6), status="failed", reason="probe diagnostics: it fell over")
    table = tables([answered, record("pong", "cswm", r2=0.7)])["table3-r2"]
    assert cell(table, "pong", "scn").ours.mean == 0.6
    assert any("1 failed" in note for note in table.notes)


def test_a_seed_that_failed_on_one_game_counts_in_no_mean():
    records = [record("boxing", "scn", seed, r2=0.1 * seed) for seed in range(3)]
    records += [record("pong", "scn", 0, r2=0.5), failed("pong", "scn", 1), record("pong", "scn", 2, r2=0.7)]
    table = tables(records)["table3-r2"]
    assert cell(table, "pong", "scn").ours.n == 2
    assert astuple(cell(table, "mean of 2", "scn").ours) == (pytest.approx((0.25 + 0.45) / 2), pytest.approx(0.1), 2)
    assert "0.60 ± 0.10 (2 of 3)" in markdown.render(table)


def test_methods_that_the_paper_lacks_stand_between_its_own_and_the_ceiling():
    records = [record("pong", method, r2=0.5) for method in ("supervised", "brand-new", "scn")]
    table = tables(records)["table3-r2"]
    titles = [column.title for column in table.columns]
    assert titles == ["random-cnn (floor)", "scn", "cswm", "brand-new", "supervised (ceiling)"]
    assert cell(table, "pong", "brand-new").paper is None
    assert [column.paper for column in table.columns] == [True, True, True, False, True]
    assert cell(table, "pong", "cswm") == Cell(None, 0.82)


def test_the_best_of_a_row_is_bold_but_never_the_ceiling():
    scores = {"random-cnn": 0.504, "scn": 0.496, "cswm": 0.3, "supervised": 0.99}
    table = tables([record("pong", method, r2=r2) for method, r2 in scores.items()])["table3-r2"]
    best = {column.title: c.best for column, c in zip(table.columns, table.rows[0].cells, strict=True)}
    assert best == {"random-cnn (floor)": True, "scn": True, "cswm": False, "supervised (ceiling)": False}


def test_a_single_value_is_not_the_best_of_anything():
    assert strongest([Summary(0.5, None, 1), None], [True, True], 2) == [False, False]


def test_the_best_error_is_the_lowest():
    values = [Summary(value, None, 1) for value in (0.5, 0.25, 0.1)]
    assert strongest(values, [True, True, False], 2, min) == [False, True, False]


def test_a_papers_own_error_is_printed_where_it_has_one(tmp_path):
    cells = (Cell(None, 0.73, paper_se=0.25), Cell(None, 0.73))
    columns = (Column("a", 2, paper=True), Column("b", 2, paper=True))
    table = Table("small", "caption", "data set", columns, (Row("pong", cells),), 3)
    assert "| pong     |   — | 0.73 ± 0.25 |   — |  0.73 |" in markdown.render(table)
    assert r"pong & --- & 0.73 {\scriptsize$\pm$ 0.25} & --- & 0.73 \\" in latex.render(table, SET)
    assert [line.split(",")[-2:] for line in as_csv(table).splitlines()[1:]] == [["0.73", "0.25"], ["0.73", ""]]


def structure(**changed: float | None) -> dict[str, float | None]:
    names = [f"{name}{form}" for name in ("modularity", "compactness") for form in ("", "_std", "_floor")]
    return dict.fromkeys(names, 0.2) | changed


ONE_OBJECT = {"modularity": None, "modularity_std": None, "modularity_floor": None}


def test_modularity_is_averaged_over_the_games_where_it_is_defined():
    records = [
        record("bowling", "scn", **structure(compactness=0.6, **ONE_OBJECT)),
        record("pong", "scn", **structure(modularity=0.1)),
        record("boxing", "scn", **structure(modularity=0.3)),
    ]
    table = tables(records)["table1-structure"]
    assert astuple(cell(table, "scn", "modularity").ours) == (pytest.approx(0.2), None, 1)
    assert cell(table, "scn", "compactness").ours.mean == pytest.approx((0.6 + 0.2 + 0.2) / 3)
    assert "over 2: all but bowling" in table.caption
    assert cell(table, "supervised (ceiling)", "compactness") == Cell(None, 0.266, like_the_paper=False)


def test_the_ablation_averages_modularity_over_the_games_where_it_is_defined_too():
    found = structure(modularity=0.3, r2=0.5)
    records = [record("pong", "scn", **found), record("bowling", "scn", **(found | ONE_OBJECT))]
    table = tables(records)["table2-ablation"]
    assert cell(table, "scn", "modularity").ours.mean == 0.3
    assert cell(table, "scn", "compactness").ours.mean == found["compactness"]


def test_a_collapsed_encoder_has_no_mean_although_others_have():
    collapsed = structure(modularity=None, compactness=None)
    records = [record("pong", "scn", **structure()), record("pong", "cswm", **collapsed)]
    table = tables(records)["table1-structure"]
    assert cell(table, "cswm", "modularity").ours is None
    assert cell(table, "scn", "modularity").ours.mean == 0.2


def test_the_ablation_has_the_two_methods_of_the_paper():
    records = [record("pong", method, r2=0.5, **structure()) for method in ("scn", "scn-saliency", "cswm")]
    table = tables(records)["table2-ablation"]
    assert [row.title for row in table.rows] == ["scn-saliency", "scn"]
    assert cell(table, "scn-saliency", "R²").paper == 0.4
    assert cell(table, "scn", "compactness").paper == 0.0137


def test_means_over_other_games_than_the_papers_have_no_distance_from_them():
    games = tuple(published("racah2020")["r2"])
    for shown, some in ((games, True), (games[1:], False)):
        found = tables(
            [record(game, "scn", seed, r2=0.5 + seed, **structure()) for game in shown for seed in (0, 1, 2)]
        )
        assert (cell(found["table2-ablation"], "scn", "R²").distance is not None) is some
        assert found["table2-ablation"].columns[0].distance is some
        assert ("of different games" in found["table1-structure"].caption) is not some
        assert (
            cell(found["table3-r2"], f"mean of {len(shown)}", "scn").distance is not None
        )  # the paper's over the same


def test_standardised_accuracy_covers_data_sets_that_the_paper_lacks():
    records = [record("my-own-game", "scn", r2=0.1, r2_ridge=0.3), record("pong", "scn", r2=0.1, r2_ridge=0.5)]
    found = tables(records)
    assert [row.title for row in found["cross-r2-ridge"].rows] == ["my-own-game", "pong", "mean of 2"]
    assert [row.title for row in found["table3-r2"].rows] == ["pong", "mean of 1"]
    assert not any(column.paper for column in found["cross-r2-ridge"].columns)


def test_games_with_few_test_frames_are_marked():
    records = [replace(record("freeway", "scn", r2=0.1), data={"few_test": True}), record("pong", "scn", r2=0.1)]
    table = tables(records)["table3-r2"]
    assert [row.mark for row in table.rows] == ["†", "", ""]
    assert table.notes[-1] == "† fewer than 200 test frames."


def test_games_whose_labels_are_not_all_positions_are_marked_beside_few_test_frames():
    told = {"few_test": True, "not_position": {"player_x": "coarse and fine column in two nibbles: not affine"}}
    runs = {"asteroids": told, "freeway": {"not_position": told["not_position"]}, "pong": {"not_position": {}}}
    found = tables([replace(record(game, "scn", r2=0.1, r2_ridge=0.1), data=data) for game, data in runs.items()])
    for table in (found["table3-r2"], found["cross-r2-ridge"]):
        assert {row.title: row.mark for row in table.rows[:-1]} == {"asteroids": "†‡", "freeway": "‡", "pong": ""}
        assert table.notes[-1] == "‡ some of its labels are not positions (see its records)."
    assert r"asteroids $\dagger$$\ddagger$ &" in latex.render(found["table3-r2"], SET)


def test_a_variant_is_a_column_of_its_own_without_a_papers_value():
    variant = {"training": {}, "variant": "diversity_weight=0.5"}
    other = replace(record("pong", "scn", r2=0.9), digest="d1", configuration=variant)
    table = tables([record("pong", "scn", r2=0.1), other])["table3-r2"]
    assert cell(table, "pong", "scn") == Cell(Summary(0.1, None, 1), 0.73)
    assert cell(table, "pong", "scn (diversity_weight=0.5)") == Cell(Summary(0.9, None, 1), None, True)


def longer(method: str, steps: int, **metrics: float) -> Record:
    training = {"training": {"steps": steps, "frames_per_step": 128}, "variant": f"steps={steps}"}
    return replace(record("pong", method, **metrics), digest=f"d{steps}", configuration=training)


def test_papers_values_stand_beside_runs_that_all_trained_as_long_whatever_the_budget_says():
    table = tables([longer("scn", 4000, r2=0.6), longer("random-cnn", 4000, r2=0.3)])["table3-r2"]
    assert cell(table, "pong", "scn") == Cell(Summary(0.6, None, 1), 0.73, True)
    assert [column.title for column in table.columns if "steps" in column.title] == []
    assert "training 4000 steps" in table.caption


def test_runs_that_trained_for_longer_than_others_are_told_from_them():
    table = tables([longer("scn", 4000, r2=0.6), longer("cswm", 800, r2=0.5)])["table3-r2"]
    assert cell(table, "pong", "scn (steps=4000)") == Cell(Summary(0.6, None, 1), None, True)
    assert cell(table, "pong", "cswm (steps=800)") == Cell(Summary(0.5, None, 1), None)


def test_configurations_that_share_a_name_are_never_averaged():
    other = replace(record("pong", "scn", r2=0.9), digest="e5f6a7b8")
    entrants = Scores.of([record("pong", "scn", r2=0.1), other], CONTEXT)[0].entrants()
    assert entrants == (Entrant("scn", "configuration d0"), Entrant("scn", "configuration e5f6a7"))


def test_each_budget_has_its_own_set_and_smoke_says_that_it_means_nothing():
    records = [record("pong", "scn", r2=0.1), record("pong", "scn", r2=0.2, budget="smoke")]
    assert list(build(records, CONTEXT)) == ["atari-quick", "atari-smoke"]
    assert tables(records, "atari-smoke")["table3-r2"].caption.startswith("Plumbing test: the numbers mean nothing.")
    assert "Plumbing" not in tables(records)["table3-r2"].caption


def test_the_caption_says_how_the_numbers_were_made():
    records = [record("pong", "scn", seed, r2=0.1) for seed in range(3)]
    table = tables(records)["table3-r2"]
    for part in ("n = 3 seeds (0, 1 and 2)", "budget quick", "400 steps of up to 128 frames (0.26 % of"):
        assert part in table.caption
    assert table.provenance == "Trained by code 0123456789ab."
    assert table.provenance in markdown.render(table) and f"% {table.provenance}\n" in latex.render(table, SET)


@pytest.mark.parametrize("others", [1, 5])
def test_the_caption_says_which_data_sets_were_trained_on_for_longer(others):
    longer = {"training": {"steps": 800, "frames_per_step": 128}}
    games = ("asteroids", "berzerk", "bowling", "boxing", "breakout")[:others]
    runs = [replace(record(game, "scn", r2=0.1), configuration=longer) for game in games]
    told = tables([record("pong", "scn", r2=0.1), *runs])["table3-r2"].caption
    where = "asteroids" if others == 1 else "5 data sets"
    assert told.endswith(
        "training 400 steps of up to 128 frames (0.26 % of the paper's) on pong and "
        f"800 steps of up to 128 frames (0.51 % of the paper's) on {where}."
    )


def test_what_differs_from_its_commit_is_marked():
    changed = replace(record("pong", "scn", r2=0.1), provenance={"commit": "0123456789ab+"})
    assert "code 0123456789ab+." in tables([changed])["table3-r2"].provenance
    both = tables([changed, record("pong", "scn", 1, r2=0.1)])["table3-r2"].provenance
    assert "code 0123456789ab and 0123456789ab+." in both


def test_the_caption_does_not_speak_of_runs_that_gave_no_number():
    other = {"training": {"steps": 999, "frames_per_step": 128}}
    lost = replace(failed("pong", "cswm"), configuration=other, provenance={"commit": "fedcba987654"})
    table = tables([record("pong", "scn", r2=0.1), lost])["table3-r2"]
    assert "400 steps" in table.caption and "999 steps" not in table.caption and "fedcba" not in table.provenance


def test_what_is_trained_on_other_data_than_the_papers_is_no_share_of_its_training():
    trained = {"training": {"steps": 7, "frames_per_step": 128}}
    mine = replace(record("mine", "scn", r2_ridge=0.1), configuration=trained)
    assert "training 7 steps of up to 128 frames." in tables([mine])["cross-r2-ridge"].caption


@pytest.mark.parametrize(("steps", "share"), [(400, "0.51 %"), (78_125, "100 %"), (156_250, "200 %")])
def test_the_share_of_the_papers_training_reads_as_a_number(steps, share):
    fields = {"training": {"steps": steps, "frames_per_step": 256}}
    caption = tables([replace(record("pong", "scn", r2=0.1), configuration=fields)])["table3-r2"].caption
    assert f"{steps} steps of up to 256 frames ({share} of the paper's)" in caption


def hostile() -> list[Record]:
    names = ("a_b & 100%", "$x$ #1 {y}", r"\input{~^}", "<p|q>*`", "naïve 中 “q”")
    records = [
        record(game, name, seed, r2=-0.004, r2_ridge=-4.03) for game in GAMES for name in names for seed in (0, 1)
    ]
    marked = replace(record("pong", "scn", r2=0.5, **structure()), data={"few_test": True})
    return [*records, marked, failed("pong", "cswm"), record("pong", "scn", budget="smoke", r2_ridge=None)]


def test_the_same_records_in_any_order_give_the_same_bytes(tmp_path):
    records = hostile()
    first = {
        path.relative_to(tmp_path / "a"): path.read_bytes()
        for path in write(everything(records, CONTEXT), tmp_path / "a")
    }
    random.Random(0).shuffle(records)
    slower = [replace(r, timing={"total": 99.0}) for r in records]
    second = {
        path.relative_to(tmp_path / "b"): path.read_bytes()
        for path in write(everything(slower, CONTEXT), tmp_path / "b")
    }
    assert first == second
    assert Path("atari-quick/table3-r2.tex") in first


def test_csv_holds_unrounded_numbers_and_blanks(tmp_path):
    records = [record("pong", "scn", seed, r2=value) for seed, value in enumerate((1 / 3, 2 / 3))]
    write(everything(records, CONTEXT), tmp_path)
    with open(tmp_path / SET / "table3-r2.csv", newline="") as file:
        rows = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    found = rows["pong", "scn"]
    assert float(found["mean"]) == 0.5
    assert float(found["se"]) == pytest.approx(1 / 6)
    assert float(found["low95"]) == pytest.approx(0.5 - 12.7062 / 6, abs=1e-4)
    assert (found["n"], found["paper"]) == ("2", "0.73")
    assert (rows["pong", "cswm"]["mean"], rows["pong", "cswm"]["n"]) == ("", "0")


def test_csv_tells_the_best_what_is_not_significantly_worse_and_what_collapsed_apart():
    cells = Cell(best=True), Cell(alike=True), Cell(alike=False, collapsed=True)
    rows = tuple(Row(str(i), (cell,)) for i, cell in enumerate(cells))
    lines = csv.DictReader(as_csv(Table("t", "", "row", (Column("a", 2),), rows, 1)).splitlines())
    marks = [(line["best"], line["not_worse"], line["collapsed"]) for line in lines]
    assert marks == [("1", "", "0"), ("0", "1", "0"), ("0", "0", "1")]


def test_numbers_print_without_minus_zero():
    assert number(-0.004, 2) == "0.00"
    assert number(-0.006, 2) == "-0.01"
    assert number(0.4, 2) == "0.40"
    assert number(None, 2) == "—"


def small(title: str) -> Table:
    cells = (Cell(Summary(-0.5, 0.25, 3), 0.73, True), Cell())
    columns = (Column(title, 2, paper=True), Column("floor", 3))
    return Table("small", "R² of 5 %", "data set", columns, (Row("pong", cells, "†"),), 3, ("† few",))


def test_markdown_is_a_padded_table_with_escaped_bars():
    assert markdown.render(small("a|b")).splitlines() == [
        "R² of 5 %",
        "",
        "| data set |             a\\|b | paper | floor |",
        "| -------- | ---------------: | ----: | ----: |",
        "| pong †   | **-0.50** ± 0.25 |  0.73 |     — |",
        "",
        "† few",
    ]


def test_latex_sets_ours_and_the_papers_value_under_one_title():
    text = latex.render(small("a_b & c"), SET)
    assert r"data set & \multicolumn{2}{c}{a\_b \& c} & \multicolumn{1}{c}{floor} \\" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert r"pong $\dagger$ & \textbf{$-$0.50} {\scriptsize$\pm$ 0.25} & 0.73 & --- \\" in text
    assert r"\caption{R\textsuperscript{2} of 5 \%}" in text
    assert r"\label{tab:atari-quick-small}" in text


def test_a_wide_table_goes_over_two_columns_and_one_too_wide_to_be_read_upright_lies_on_its_side():
    one = small("R2")
    (row,) = one.rows
    for copies, kind in ((1, "table"), (4, "table*"), (12, "sidewaystable*")):
        wide = replace(one, columns=one.columns * copies, rows=(replace(row, cells=row.cells * copies),))
        text = latex.render(wide, SET)
        assert f"\\begin{{{kind}}}" in text and f"\\end{{{kind}}}" in text
        assert ("rotating" in text) == (copies == 12)
    assert "rotating" in latex.document([])


def test_the_tabular_alone_has_the_same_lines_and_is_no_float():
    whole, alone = latex.render(small("R2"), SET).splitlines(), latex.render_tabular(small("R2")).splitlines()
    start, end = (alone.index(line) for line in (r"\begin{tabular}{lrrr}", r"\end{tabular}%"))
    assert alone[start : end + 1] == whole[whole.index(alone[start]) : whole.index(alone[end]) + 1]
    assert end == len(alone) - 1 and all(line.startswith("% ") for line in alone[:start])
    assert "% † few" in alone


def test_latex_escapes_every_special_sign():
    assert latex.escape(r"& % $ # _ { } ~ ^ \ 中") == (
        r"\& \% \$ \# \_ \{ \} \textasciitilde{} \textasciicircum{} \textbackslash{} ?"
    )


def test_latex_sets_letters_with_accents_and_greek_ones_in_ascii():
    assert latex.escape("größe é č ñ å ç") == r"gr\"{o}\ss{}e \'{e} \v{c} \~{n} \r{a} \c{c}"
    assert latex.escape("\u0394 \u03b1 \u03bb µ \u03a9 \u0391") == r"$\Delta$ $\alpha$ $\lambda$ $\mu$ $\Omega$ ?"
    assert latex.escape('e\u0301 "a"|b a--b --- 1…2 ł') == r"\'{e} ''a''\textbar{}b a-{}-b -{}-- 1\dots{}2 \l{}"
    assert latex.escape("½ ± ≤ → 中") == r"? $\pm$ $\leq$ $\rightarrow$ ?"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_all_tables_compile_and_fit_the_page(tmp_path):
    write(everything(hostile(), CONTEXT), tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all-tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "multiply defined" not in done.stdout


def test_no_records_give_no_tables_but_a_document(tmp_path):
    assert write(everything([], CONTEXT), tmp_path) == [tmp_path / "all-tables.tex"]
    assert in_markdown(everything([], CONTEXT)) == ""


def test_there_is_no_ablation_without_a_run_of_it():
    assert "table2-ablation" not in tables([record("pong", "cswm", r2=0.5)])
    assert "table2-ablation" in tables([record("pong", "scn-saliency", r2=0.5)])


def test_a_method_that_was_not_run_has_a_row_only_where_a_papers_value_stands_in_it():
    rows = {name: [row.method for row in table.rows] for name, table in tables([record("pong", "mine", r2=1)]).items()}
    assert {"scn", "cswm", "mine"} <= set(rows["table1-structure"])
    balls = [
        made.record("gridworld", "mine", 0, [*made.decoded(0.5, 0.5), made.row("masks", "fg_ari", "attention", 0.5)])
    ]
    found = {table.name: table for table in build(balls, CONTEXT)["synthetic-quick"]}
    assert "setcon" in {row.method for row in found["table1-gridworld"].rows}
    assert [row.method for row in found["masks-gridworld"].rows] == ["mine"]


def test_the_terminal_gets_every_table():
    text = in_markdown(everything([record("pong", "scn", r2=0.5, r2_ridge=0.6)], CONTEXT))
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## headline-quick: headline",
        "## atari-quick: table1-structure",
        "## atari-quick: table2-ablation",
        "## atari-quick: table3-r2",
        "## atari-quick: cross-r2-ridge",
    ]


def test_the_papers_overall_row_is_the_mean_of_its_games():
    paper = published("racah2020")
    for method, printed in paper["overall"]["r2"].items():
        assert sum(paper["r2"][game][method] for game in GAMES) / 20 == pytest.approx(printed, abs=0.0101)


@pytest.mark.parametrize("paper", ["racah2020", "loewe2020", "kipf2020"])
def test_published_tables_name_their_source(paper):
    assert {"citation", "title", "arxiv", "notes"} <= set(published(paper))


def test_a_value_that_cannot_be_read_in_the_paper_is_absent():
    assert "hits_at_1_10" not in published("kipf2020")["cubes"]["cswm-without-factored-states"]


def test_csv_holds_a_cells_own_interval():
    cells = Cell(Summary(0.5, None, 3), bounds=(0.25, 0.875)), Cell(Summary(0.5, 0.1, 3), bounds=(0.4, 0.6))
    table = Table("t", "", "row", (Column("a", 2),), tuple(Row("r", (each,)) for each in cells), 3)
    lines = csv.DictReader(as_csv(table).splitlines())
    assert [(line["low95"], line["high95"]) for line in lines] == [("0.25", "0.875"), ("0.4", "0.6")]


def test_standardised_structure_is_that_of_the_standardised_form():
    names = [f"{name}{form}" for name in ("modularity", "compactness") for form in ("", "_std", "_floor")]
    values = dict(zip(names, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True))
    (row,) = [r for r in tables([record("pong", "scn", **values)])["table1-structure"].rows if r.title == "scn"]
    assert [c.ours.mean for c in row.cells] == [*values.values()]


def test_a_game_on_which_every_encoder_collapsed_is_not_left_out_of_the_mean():
    lost = structure(modularity=None, compactness=None, r2=0.1)
    records = [record("pong", "scn", **lost), record("boxing", "scn", **structure(r2=0.1))]
    found = tables(records)
    for name in ("table1-structure", "table2-ablation"):
        assert cell(found[name], "scn", "modularity").ours is None
        assert cell(found[name], "scn", "compactness").ours is None


def test_the_mean_needs_a_value_of_every_game_shown():
    table = tables([record("boxing", "scn", r2=None), record("pong", "scn", r2=0.5)])["table3-r2"]
    assert cell(table, "mean of 2", "scn").ours is None


def test_a_data_set_without_the_metric_has_no_row():
    records = [record("boxing", "scn", r2=0.5, r2_ridge=None), record("pong", "scn", r2=0.5, r2_ridge=0.5)]
    table = tables(records)["cross-r2-ridge"]
    assert [row.title for row in table.rows] == ["pong", "mean of 1"]
    assert cell(table, "mean of 1", "scn").ours.mean == 0.5


def test_the_ablations_accuracy_is_averaged_over_all_games():
    found = structure(modularity=0.3, r2=0.5)
    records = [record("pong", "scn", **found), record("bowling", "scn", **(found | ONE_OBJECT | {"r2": 0.25}))]
    assert cell(tables(records)["table2-ablation"], "scn", "R²").ours.mean == 0.375


def test_the_ablations_compactness_is_averaged_over_all_games():
    found = structure(modularity=0.3, r2=0.5)
    records = [record("pong", "scn", **found), record("bowling", "scn", **(found | ONE_OBJECT | {"compactness": 0.6}))]
    assert cell(tables(records)["table2-ablation"], "scn", "compactness").ours.mean == pytest.approx(0.4)


def test_a_rule_stands_before_the_first_row_that_is_set_apart():
    rows = tuple(Row(title, (Cell(Summary(0.5, None, 1)),), summary=title != "a") for title in "axy")
    lines = latex.render(Table("t", "", "row", (Column("c", 2),), rows, 1), SET).splitlines()
    at = lines.index(r"a & 0.50 \\")
    assert lines[at + 1 : at + 4] == [r"\midrule", r"x & 0.50 \\", r"y & 0.50 \\"]


def test_what_is_not_significantly_worse_than_the_best_is_not_bold():
    rows = (Row("pong", (Cell(Summary(0.5, None, 1), alike=True),)),)
    text = latex.render(Table("t", "", "row", (Column("c", 2),), rows, 1), SET)
    assert r"pong & 0.50\textsuperscript{$\circ$} \\" in text


def test_a_title_spans_our_value_the_papers_and_the_distance():
    cells = (Cell(Summary(0.5, 0.25, 3), 0.75), Cell())
    columns = (Column("a", 2, paper=True, distance=True), Column("b", 2))
    table = Table("t", "", "row", columns, (Row("pong", cells),), 3)
    spans = {latex.PLAIN: (3, 1), latex.ALIGNED: (5, 2)}
    for form, (one, other) in spans.items():
        text = latex.render(table, SET, form)
        assert rf"row & \multicolumn{{{one}}}{{c}}{{a}} & \multicolumn{{{other}}}{{c}}{{b}} \\" in text
        assert rf"\cmidrule(lr){{2-{1 + one}}}" in text


def test_the_caption_speaks_of_a_failed_run_whose_numbers_are_shown():
    answered = replace(record("pong", "scn", r2=0.6), status="failed", reason="probe diagnostics: it fell over")
    assert "training 400 steps" in tables([answered])["table3-r2"].caption


def test_no_answers_are_promised_of_a_run_that_failed_in_training():
    table = tables([record("boxing", "scn", r2=0.9), failed("pong", "scn")])["table3-r2"]
    assert any(note.endswith("Of 2 runs 1 failed.") for note in table.notes)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[gridworld]\nsetcon = { mse_p = [1.2, 0.2], mse_s = 0.07 }",
            "gridworld.setcon.mse_s is 0.07; expected [",
        ),
        ("[gridworld]\nsetcon = { mse_p = [1.2, 0.2], mse_s = [0.07] }", "gridworld.setcon.mse_s is [0.07]; expected"),
        ("[gridworld]\nsetcon = { mse_p = [nan, 0.2] }", "gridworld.setcon.mse_p is [nan, 0.2]; expected [mean"),
        ("[g]\na = { mse_p = 0.8, mse_s = [0.1, 0.2] }\nb = { mse_s = [1, 2] }", "g.a.mse_p is 0.8; expected [mean"),
        ('[r2]\npong = { scn = 0.5, cswm = "0.7" }', "r2.pong.cswm is '0.7'; expected a finite number"),
        ("[r2]\npong = = 3", "(at line 2, column 8); mend it, or put back"),
        (None, "No such file or directory; papers' values are read from it"),
    ],
)
def test_a_mistake_in_a_papers_values_is_named_with_its_place(tmp_path, monkeypatch, text, told):
    monkeypatch.setattr("benchmark.report.published.PAPERS", tmp_path)
    if text is not None:
        (tmp_path / "new2020.toml").write_text(text)
    with pytest.raises(UserError) as error:
        published("new2020")
    assert str(error.value).startswith(f"{tmp_path / 'new2020.toml'}: ") and told in str(error.value)
