"""The tables of Löwe et al. 2020 from hand-made records: units, order, bold, the paper's errors, what is left out."""

import shutil
import subprocess
from dataclasses import astuple, replace

import pytest
from made import decoded, failed, record, rollout, row

from benchmark.records import Record
from benchmark.report import latex, markdown
from benchmark.report.captions import training
from benchmark.report.published import published
from benchmark.report.scores import Context, Scores
from benchmark.report.table import Cell, Table
from benchmark.report.tables import build, everything, write

PAPER = published("loewe2020")
SET = "synthetic-quick"
CONTEXT = Context(floors=frozenset({"random-cnn"}), ceilings=frozenset({"supervised"}))


def tables(records: list[Record], folder: str = SET) -> dict[str, Table]:
    return {table.name: table for table in build(records, CONTEXT)[folder]}


def cell(table: Table, row: str, column: str) -> Cell:
    columns = [c.title for c in table.columns]
    return {r.title: r for r in table.rows}[row].cells[columns.index(column)]


def test_errors_are_in_hundredths_and_ari_in_per_cent_beside_the_papers_mean_and_error():
    runs = [
        record("bouncing_balls", "setcon", seed, decoded(0.02, mse_p, 0.5, 0.75))
        for seed, mse_p in enumerate((0.05, 0.07))
    ]
    table = tables(runs)["table1-bouncing_balls"]
    found = cell(table, "setcon", "MSE p (1e-2)")
    assert (found.ours.mean, found.ours.se, found.ours.n) == (pytest.approx(6.0), pytest.approx(1.0), 2)
    assert (found.paper, found.paper_se) == (5.541, 0.811)
    assert cell(table, "setcon", "ARI p (%)").ours.mean == 75
    assert "6.000 ± 1.000 | 5.541 ± 0.811 |" in markdown.render(table)
    assert r"6.000 {\scriptsize$\pm$ 1.000} & 5.541 {\scriptsize$\pm$ 0.811} &" in latex.render(table, SET)


def test_rows_are_in_the_papers_order_between_floors_and_what_it_lacks():
    runs = [record("bouncing_balls", method, rows=decoded(0.1, 0.2)) for method in ("my-own", "random-cnn", "setcon")]
    titles = [r.title for r in tables(runs)["table1-bouncing_balls"].rows]
    assert titles == ["random-cnn (floor)", *PAPER["bouncing_balls"], "my-own"]


def test_frames_of_another_size_than_the_papers_are_named():
    def caption(*sizes: int) -> str:
        runs = [record("bouncing_balls", "setcon", seed, decoded(0.1, 0.2)) for seed in range(len(sizes))]
        own = [replace(r, configuration={"dataset": {"image_size": s}}) for r, s in zip(runs, sizes, strict=True)]
        return tables(own)["table1-bouncing_balls"].caption

    assert "Frames here have 32x32 pixels, the paper's 64x64." in caption(32, 32)
    assert "Frames here have" not in caption(64, 64)


def test_the_lowest_error_and_the_highest_ari_are_bold():
    better, worse = decoded(0.01, 0.02, 0.9, 0.8), decoded(0.03, 0.04, 0.5, 0.4)
    runs = [record("bouncing_balls", "setcon", rows=better), record("bouncing_balls", "slotwise", rows=worse)]
    table = tables(runs)["table1-bouncing_balls"]
    assert all(c.best for c in next(r.cells for r in table.rows if r.title == "setcon"))
    assert not any(c.best for c in next(r.cells for r in table.rows if r.title == "slotwise"))
    assert table.notes[0].startswith("Bold: the lowest MSE, the highest of all else as printed")


def test_there_is_no_ari_on_gridworld_and_a_note_says_why():
    table = tables([record("gridworld", "setcon", rows=decoded(0.01, 0.02))])["table1-gridworld"]
    assert [column.title for column in table.columns] == ["MSE p (1e-2)", "MSE s (1e-2)"]
    assert any("an object of one pixel cannot be torn apart" in note for note in table.notes)


def test_no_note_blames_the_pixels_where_nothing_was_measured():
    table = tables([failed("gridworld", "setcon")])["table1-gridworld"]
    assert cell(table, "setcon", "MSE s (1e-2)") == Cell(None, 0.072, False, 0.064)
    assert not any("pixel" in note for note in table.notes)


def test_other_frames_are_not_said_to_have_objects_of_one_pixel():
    table = tables([record("bouncing_balls", "setcon", rows=decoded(0.01, 0.02))])["table1-bouncing_balls"]
    assert "ARI is undefined here: no true masks, objects of single pixels, or one object alone." in table.notes


def test_an_error_is_said_to_be_on_the_scale_of_its_frames():
    for dataset, scale in (("gridworld", "MSE on [-1, 1] in"), ("shapes", "MSE on the frames' own scale in")):
        runs = [record(dataset, "setcon", seed, decoded(0.01, 0.02, 0.5, 0.5)) for seed in (0, 1)]
        assert scale in tables(runs)[f"table1-{dataset}"].caption


def test_decoders_that_might_have_come_further_are_counted():
    rows, reasons = decoded(0.01, 0.02, 0.5, 0.5) + rollout(0.01, 0.02), ("max_steps", "patience", "max_steps")
    runs = [
        record("gridworld", "setcon", seed, rows, notes={"decoder": {"stopped": reason}})
        for seed, reason in enumerate(reasons)
    ]
    found = tables(runs)
    told = "2 of 3 decoders stopped at their last step; longer, they might have come further."
    assert told in found["table1-gridworld"].notes
    assert told not in found["steps-ahead-mse-gridworld"].notes


def test_probes_that_learn_beside_the_encoder_keep_the_papers_value():
    def variant(run: Record) -> str:
        return str(run.configuration["dataset"].get("variant", ""))

    runs = [
        record("gridworld", "setcon", rows=decoded(0.1, 0.2), configuration={"training": {}, "dataset": {"variant": v}})
        for v in ("probe_protocol=joint", "probe_protocol=joint, num_slots=5")
    ]
    (joint,), (other,) = (build([run], Context(variant))[SET] for run in runs)
    title = "MSE s (1e-2)"
    assert cell(joint, "setcon (probe_protocol=joint)", title).paper == 0.072
    assert cell(other, "setcon (probe_protocol=joint, num_slots=5)", title).paper is None


def test_a_caption_says_that_learning_rates_were_chosen():
    run = record("gridworld", "setcon", rows=decoded(0.1, 0.2))
    tuned = replace(run, training={"tuned": {"learning_rate": 1e-3}})
    other = record("gridworld", "slotwise")
    (scores,) = Scores.of([tuned, replace(run, dataset="bouncing_balls")], CONTEXT)
    assert training(scores).endswith("learning rates of setcon (on gridworld) chosen on validation")
    caption = tables([tuned, other])["table1-gridworld"].caption
    assert f"learning rates of {tuned.method} chosen on validation" in caption
    assert "chosen on validation" not in tables([run])["table1-gridworld"].caption
    (headline,) = everything([tuned], CONTEXT)["headline-quick"]
    assert headline.caption.endswith(f"of the paper's), learning rates of {tuned.method} chosen on validation.")


def test_a_tuned_method_is_named_so_where_the_same_with_its_own_rate_is_there_too():
    own = [record(where, "setcon", rows=decoded(0.2, 0.3)) for where in ("gridworld", "bouncing_balls")]
    fields = {"digest": "d1", "training": {"tuned": {"chosen": 5e-4}}}
    tuned = record("gridworld", "setcon", rows=decoded(0.1, 0.2), **fields)
    balls = replace(tuned, dataset="bouncing_balls")
    title = "MSE s (1e-2)"
    both = tables([*own, tuned, balls])["table1-gridworld"]
    assert (cell(both, "setcon", title).ours.mean, cell(both, "setcon (tuned)", title).ours.mean) == (20, 10)
    assert cell(both, "setcon (tuned)", title).paper == cell(both, "setcon", title).paper == 0.072
    (scores,) = Scores.of([*own, tuned, balls], CONTEXT)
    assert {entrant.title for entrant, where, _ in scores.runs if where == "bouncing_balls"} == {
        "setcon",
        "setcon (tuned)",
    }
    again = replace(own[0], seed=1, training=tuned.training)  # its own rate was chosen: one row
    same = tables([own[0], again])["table1-gridworld"]
    assert [row.title for row in same.rows if row.title.startswith("setcon")].count("setcon") == 1
    assert cell(same, "setcon", title).ours.n == 2
    (scores,) = Scores.of([own[0], again, own[1], balls], CONTEXT)
    assert {(e.title, seed) for e, where, seed in scores.runs if where == "gridworld"} == {
        *(("setcon", 0), ("setcon", 1), ("setcon (tuned)", 0), ("setcon (tuned)", 1))
    }
    alone = tables([tuned, balls])["table1-gridworld"]
    assert cell(alone, "setcon", title).ours.mean == 10
    twice = tables([*own, tuned, replace(tuned, digest="d2abcdef")])["table1-gridworld"]
    assert cell(twice, "setcon (configuration d2abcd, tuned)", title).ours.mean == 10


def test_random_initial_slots_are_the_papers_appendix():
    table = tables([record("gridworld", "setcon-random-init", rows=decoded(0.01, 0.02))])["table1-gridworld"]
    found = table.rows[-1]
    assert (found.title, found.mark) == ("setcon-random-init", "†")
    assert found.cells[0].paper == 6.016
    assert any(note.startswith("† The paper's appendix B.4") for note in table.notes)


def test_a_variant_has_neither_the_papers_value_nor_its_error():
    run = record("gridworld", "setcon", rows=decoded(0.1, 0.2))
    (table,) = build([run], Context(variant=lambda record: "num_slots=5"))[SET]
    found = cell(table, "setcon (num_slots=5)", "MSE s (1e-2)")
    assert found.paper is None and found.paper_se is None


def test_what_is_reached_without_a_model_stands_below():
    rows = [*decoded(0.01, 0.02, 0.5, 0.5), row("colour-kmeans", "fg_ari", "pixels", 0.97)]
    painted = {"decoder": {"mean_image_mse": 0.2, "previous_frame_mse": 0.07}}
    runs = [record("bouncing_balls", method, rows=rows, notes=painted) for method in ("setcon", "slotwise")]
    table = tables(runs)["table1-bouncing_balls"]
    assert [r.title for r in table.rows][-3:] == ["previous frame", "mean frame", "colour k-means"]
    assert [r.summary for r in table.rows][-3:] == [True, True, True]
    assert astuple(cell(table, "previous frame", "MSE p (1e-2)").ours) == (pytest.approx(7.0), None, 1)
    assert cell(table, "mean frame", "MSE s (1e-2)").ours.mean == pytest.approx(20)
    assert cell(table, "colour k-means", "ARI s (%)").ours.mean == pytest.approx(97)
    assert not any(c.best for r in table.rows[-3:] for c in r.cells)
    assert table.notes[-1].endswith(
        "the mean of the training frames and clustering the pixels of a frame by their colours."
    )


def test_what_no_seed_changes_has_no_standard_error():
    runs = [
        record("bouncing_balls", "setcon", seed, decoded(0.01, 0.02), notes={"decoder": notes})
        for seed, notes in enumerate(
            (
                {"mean_image_mse": 0.2, "previous_frame_mse": 0.07},
                {"mean_image_mse": 0.2000001, "previous_frame_mse": 0.09},
            )
        )
    ]
    table = tables(runs)["table1-bouncing_balls"]
    assert astuple(cell(table, "mean frame", "MSE s (1e-2)").ours) == (pytest.approx(20), None, 2)
    assert cell(table, "previous frame", "MSE p (1e-2)").ours.se == pytest.approx(1.0)


def test_only_the_rows_below_that_are_there_are_explained():
    run = record("gridworld", "setcon", rows=decoded(0.01, 0.02), notes={"decoder": {"previous_frame_mse": 0.07}})
    table = tables([run])["table1-gridworld"]
    assert table.rows[-1].title == "previous frame"
    assert table.notes[-1] == "Last rows: what is reached without a model, by the frame before."


def test_decoders_trained_with_the_method_have_a_table_of_their_own():
    rows = decoded(0.03, 0.04) + decoded(0.01, 0.02, form="_own")
    found = tables([record("gridworld", "reconstruction", rows=rows)])
    assert cell(found["table1-gridworld"], "reconstruction", "MSE s (1e-2)").ours.mean == pytest.approx(3)
    own = cell(found["table1-own-decoder-gridworld"], "reconstruction", "MSE s (1e-2)")
    assert (own.ours.mean, own.paper) == (pytest.approx(1), 0.45)
    assert "table1-own-decoder-gridworld" not in tables([record("gridworld", "setcon", rows=decoded(0.1, 0.2))])


def test_steps_ahead_have_the_decoder_that_saw_them_all():
    runs = [record("gridworld", "setcon", rows=decoded(0.5, 0.6) + rollout(0.01, 0.02))]
    found = tables(runs)
    table = found["steps-ahead-mse-gridworld"]
    assert [c.title for c in table.columns] == ["s", "p1", "p2", "p3", "p4", "p5"]
    assert [c.ours.mean for c in table.rows[0].cells] == pytest.approx([1, 3, 5, 7, 9, 11])
    assert "steps-ahead-fg-ari-gridworld" not in found


def test_slots_and_masks_without_a_decoder():
    rows = [row("linear", metric, "all", 0.5) for metric in ("r2", "r2_ridge", "compactness", "modularity")]
    rows += [row("masks", "mbo", "attention", 0.25), row("masks", "fg_ari", "attention", 0.5)]
    rows += [row("colour-kmeans", "fg_ari", "pixels", 0.97)]
    found = tables([record("my-own-video", "setcon", rows=rows)])
    assert [name for name in found if "my-own-video" in name] == ["masks-my-own-video", "slots-my-own-video"]
    assert cell(found["slots-my-own-video"], "setcon", "R², std.").ours.mean == 0.5
    assert "modularity, std." not in [column.title for column in found["slots-my-own-video"].columns]
    assert cell(found["masks-my-own-video"], "setcon", "mBO (%)").ours.mean == 25
    assert cell(found["masks-my-own-video"], "colour k-means", "ARI (%)").ours.mean == pytest.approx(97)


def coloured(colours: int, slots: int, method: str, **fields: int | None) -> Record:
    dataset = {"num_objects": colours, "num_colours": None, "num_slots": slots} | fields
    rows = decoded(0.01 * colours, 0.02 * colours)
    name = f"gridworld-colours-{colours}-slots-{slots}"
    return record(name, method, rows=rows, suite="colours", configuration={"training": {}, "dataset": dataset})


def test_what_was_measured_on_another_split_than_test_makes_no_table():
    asked = {"slots-gridworld": ("linear", "r2", "all"), "masks-gridworld": ("masks", "fg_ari", "attention")}
    for name, what in asked.items():
        found = row(*what, 0.5)
        assert name in tables([record("gridworld", "setcon", rows=[found])])
        assert name not in tables([record("gridworld", "setcon", rows=[found | {"split": "val"}])])


def test_colours_are_ordered_by_their_number_and_that_of_slots():
    runs = [coloured(c, k, "setcon") for c, k in ((10, 4), (4, 5), (4, 4), (3, 4))]
    runs.append(coloured(4, 4, "slotwise", num_colours=4))
    balls = {"training": {}, "dataset": {"num_objects": 3, "num_slots": 4}}
    runs.append(record("bouncing_balls", "setcon", rows=decoded(0.1, 0.2), suite="colours", configuration=balls))
    found = tables(runs, "colours-quick")
    assert list(found) == ["figure6-mse-p", "figure6-mse-s"]
    titles = [c.title for c in found["figure6-mse-p"].columns]
    assert titles == ["3 colours, 4 slots", "4 colours, 4 slots", "4 colours, 5 slots", "10 colours, 4 slots"]
    assert [c.ours.mean for c in found["figure6-mse-p"].rows[0].cells] == pytest.approx([6, 8, 8, 20])
    assert [r.title for r in found["figure6-mse-s"].rows] == ["setcon", "slotwise"]


def test_a_suite_of_the_users_own_gets_the_tables_that_its_metrics_fill():
    rows = [*decoded(0.1, 0.2), row("linear", "r2_ridge", "all", 0.5), row("linear", "r2", "all", 0.5)]
    found = tables([record("my-own-video", "setcon", rows=rows, suite="mine")], "mine-quick")
    assert list(found) == ["table1-my-own-video", "slots-my-own-video", "cross-r2-ridge"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_all_tables_compile_and_fit_the_page(tmp_path):
    runs = [
        record(dataset, method, seed, decoded(0.1, 0.2, 0.5, 0.4) + decoded(0.1, 0.2, 0.5, 0.4, "_own") + rollout(1, 1))
        for dataset in ("gridworld", "bouncing_balls", "my_own")
        for method in PAPER["gridworld"]
        for seed in (0, 1)
    ]
    records = [*runs, *(coloured(c, k, "setcon") for c in (3, 4, 5, 6) for k in (4, 7))]
    write(everything(records, CONTEXT), tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all-tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "multiply defined" not in done.stdout


def test_tables_of_records_that_are_gone_are_removed_and_nothing_else(tmp_path):
    runs = [record(dataset, "setcon", rows=decoded(0.1, 0.2)) for dataset in ("gridworld", "my_own")]
    write(everything([*runs, replace(runs[1], suite="worlds")], CONTEXT), tmp_path)
    assert [*(tmp_path / "worlds-quick").iterdir()]
    own = tmp_path / "for-paper" / "own.md"
    own.parent.mkdir()
    own.write_text("")
    before, mine = write(everything(runs, CONTEXT), tmp_path), tmp_path / SET / "mine.txt"
    mine.write_text("")
    after = write(everything(runs[1:], CONTEXT), tmp_path)
    gone = {path.stem for path in before} - {path.stem for path in after}
    assert gone == {"table1-gridworld", "table1-gridworld-tabular"}
    assert (tmp_path / "headline-quick").exists() and not (tmp_path / "worlds-quick").exists()
    last = write(everything([record("my_own", "setcon", rows=[row("linear", "r2", "all", 0.5)])], CONTEXT), tmp_path)
    assert "headline" not in {path.stem for path in last} and not (tmp_path / "headline-quick").exists()
    assert set((tmp_path / SET).iterdir()) == {*last, mine} - {tmp_path / "all-tables.tex"}
    assert own.exists()


def test_no_record_of_the_paper_gives_no_table_of_it():
    assert build([record("my-own-video", "setcon")], CONTEXT) == {SET: []}


def test_a_decoder_of_a_method_that_does_not_predict_has_its_table_too():
    rows = [row("decoder", "mse", "s", 0.03), row("decoder", "mse_own", "s", 0.01)]
    table = tables([record("gridworld", "reconstruction", rows=rows)])["table1-own-decoder-gridworld"]
    assert cell(table, "reconstruction", "MSE s (1e-2)").ours.mean == pytest.approx(1)


def test_decoders_of_several_steps_that_might_have_come_further_are_counted_too():
    notes = {"decoder": {"stopped": "patience"}, "decoder-rollout": {"stopped": "max_steps"}}
    found = tables([record("gridworld", "setcon", rows=decoded(0.01, 0.02) + rollout(0.01, 0.02), notes=notes)])
    told = "1 of 1 decoders stopped at their last step; longer, they might have come further."
    assert told in found["steps-ahead-mse-gridworld"].notes and told not in found["table1-gridworld"].notes


def test_slots_of_methods_that_do_not_predict_are_shown_beside_no_steps():
    found = tables([record("gridworld", "scn", rows=[row("decoder-rollout", "mse", "s", 0.01)])])
    assert cell(found["steps-ahead-mse-gridworld"], "scn", "s").ours.mean == 1


def test_of_masks_steps_ahead_the_highest_ari_is_bold_and_in_per_cent():
    runs = [
        record(
            "bouncing_balls", method, rows=[row("decoder-rollout", "fg_ari", target, value) for target in ("s", "p1")]
        )
        for method, value in (("setcon", 0.75), ("slotwise", 0.5))
    ]
    table = tables(runs)["steps-ahead-fg-ari-bouncing_balls"]
    found = {r.title: [(c.ours.mean, c.best) for c in r.cells[:2]] for r in table.rows}
    assert found == {"setcon": [(75, True)] * 2, "slotwise": [(50, False)] * 2}
    assert table.notes[0].startswith("Bold: the highest")


def test_what_a_seed_changes_by_a_thousandth_has_a_standard_error():
    runs = [
        record("gridworld", "setcon", seed, decoded(0.01, 0.02), notes={"decoder": {"mean_image_mse": value}})
        for seed, value in enumerate((0.2, 0.2002))
    ]
    found = cell(tables(runs)["table1-gridworld"], "mean frame", "MSE s (1e-2)").ours
    assert found.se == pytest.approx(0.01)


def test_colours_are_those_of_k_means_whoever_else_looks_at_pixels():
    other = [row("mine", "fg_ari", "pixels", 0.1), row("colour-kmeans", "fg_ari", "pixels", 0.97)]
    table = tables([record("bouncing_balls", "setcon", rows=[*other, *decoded(0.01, 0.02, 0.5, 0.5)])])[
        "table1-bouncing_balls"
    ]
    assert cell(table, "colour k-means", "ARI s (%)").ours.mean == pytest.approx(97)


def test_slots_are_told_in_both_forms():
    names = ("r2", "r2_ridge", "compactness", "compactness_std", "modularity", "modularity_std")
    rows = [
        row("linear", name, "all", value) for name, value in zip(names, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True)
    ]
    table = tables([record("my-own-video", "setcon", rows=rows)])["slots-my-own-video"]
    assert [c.ours.mean for c in table.rows[0].cells] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_colours_are_counted_by_themselves_where_a_data_set_does():
    table = tables([coloured(6, 4, "setcon", num_colours=3)], "colours-quick")["figure6-mse-s"]
    assert [c.title for c in table.columns] == ["3 colours, 4 slots"]
