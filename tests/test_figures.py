"""Figures from hand-made records and arrays: which there are, what they show, and that their bytes do not change."""

import io
import os
import random
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from made import decoded, failed, film, record, rollout, row, written

from benchmark.records import Record
from benchmark.report import aggregate_figures, drawing, frame_figures, line_figures, position_figures, scn_figures
from benchmark.report.drawing import COLOURS, COLUMN, PAGE, legend, looks, panels, style, troubles
from benchmark.report.figures import arrays, write_figures
from benchmark.report.scores import Context, Scores

CURVE = [[1.0, 3.0], [100.0, 0.3]]


def scores(*runs: Record) -> Scores:
    (found,) = Scores.of(runs, Context())
    return found


def drawn(draw, runs: list[Record], files: dict[str, np.ndarray] | None = None) -> dict[str, object]:
    """The figures of `draw`, when every finished run has the same arrays."""
    return dict(draw(scores(*runs), lambda run: (files or {}) if run.status == "ok" else {}))


def names(paths: list[Path]) -> set[str]:
    return {"/".join(path.parts[-2:]) for path in paths}


def synthetic(out: Path) -> list[Record]:
    runs = [
        written(out, record(dataset, method, seed, decoded(0.1, 0.2) + rollout(0.1, 0.1), curve=CURVE), film(size, 3))
        for dataset, size in (("gridworld", 5), ("bouncing_balls", 16))
        for method in ("setcon", "slot$wise_&")
        for seed in (0, 1)
    ]
    return [*runs, written(out, failed("gridworld", "setcon", 2))]


def test_the_synthetic_suite_has_its_figures_as_png_and_pdf(tmp_path):
    found = write_figures(synthetic(tmp_path), tmp_path)
    assert all(path.is_relative_to(tmp_path / "figures") and path.stat().st_size > 1000 for path in found)
    expected = {"learning-curves", "steps-ahead-mse"}
    for dataset in ("gridworld", "bouncing_balls"):
        expected |= {f"frames-{dataset}-seed-{seed}" for seed in (0, 1)}
        expected |= {f"clip-{dataset}-setcon", f"clip-{dataset}-slot-wise_"}
    assert names(found) == {f"synthetic-quick/{name}.{ending}" for name in expected for ending in ("png", "pdf")}


def test_the_same_records_in_any_order_give_the_same_bytes_whatever_the_users_settings(tmp_path, monkeypatch):
    runs = synthetic(tmp_path)
    first = {path: path.read_bytes() for path in write_figures(runs, tmp_path)}
    random.Random(0).shuffle(runs)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 20)
    monkeypatch.setitem(os.environ, "SOURCE_DATE_EPOCH", "1")
    assert {path: path.read_bytes() for path in write_figures(runs, tmp_path)} == first
    assert matplotlib.rcParams["font.size"] == 20


def refuse():
    raise AssertionError("nothing is to be drawn")


@pytest.fixture
def drawn_once(tmp_path):
    """Two runs whose one figure, of learning curves, has been drawn."""
    runs = [written(tmp_path, record("gridworld", "setcon", seed, curve=CURVE)) for seed in (0, 1)]
    return runs, write_figures(runs, tmp_path), tmp_path


def test_figures_that_are_there_are_not_drawn_again(drawn_once, monkeypatch):
    runs, paths, out = drawn_once
    monkeypatch.setattr("benchmark.report.figures.style", refuse)
    assert write_figures([replace(run, timing={"total": 7.0}) for run in reversed(runs)], out) == paths
    assert len(paths) == 2


def altered(runs: list[Record], paths: list[Path]) -> list[Record]:
    return [replace(runs[0], curve=[[1.0, 4.0], [2.0, 1.0]]), runs[1]]


def without_a_figure(runs: list[Record], paths: list[Path]) -> list[Record]:
    paths[0].unlink()
    return runs


def with_a_cut_figure(runs: list[Record], paths: list[Path]) -> list[Record]:
    paths[0].write_bytes(b"cut")
    return runs


def with_a_broken_list(runs: list[Record], paths: list[Path]) -> list[Record]:
    (paths[0].parents[1] / "drawn.json").write_text('{"files": 3}')
    return runs


def with_new_arrays(runs: list[Record], paths: list[Path]) -> list[Record]:
    return [written(paths[0].parents[2], runs[0], film(5, 3)), runs[1]]


@pytest.mark.parametrize("change", [altered, without_a_figure, with_a_cut_figure, with_a_broken_list, with_new_arrays])
def test_what_changed_is_drawn_again(drawn_once, change, monkeypatch):
    runs, paths, out = drawn_once
    changed = change(runs, paths)
    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="nothing is to be drawn"):
        patch.setattr("benchmark.report.figures.style", refuse)
        write_figures(changed, out)
    assert set(paths) <= set(write_figures(changed, out))
    assert all(path.stat().st_size > 1000 for path in paths)


def test_figures_of_records_that_are_gone_are_removed_and_nothing_else(drawn_once):
    runs, paths, out = drawn_once
    mine = paths[0].parent / "notes.txt"
    mine.write_text("mine")
    assert write_figures([replace(run, curve=[]) for run in runs], out) == []
    assert [*paths[0].parent.iterdir()] == [mine]


def test_figures_go_with_the_last_record_and_those_of_a_suite_with_its_last(tmp_path):
    runs = [
        record("pong", "scn", seed, suite=suite, curve=[[0, 2.0], [1, 1.0]])
        for suite in ("synthetic", "worlds")
        for seed in (0, 1)
    ]
    assert {path.parent.name for path in write_figures(runs, tmp_path)} == {"synthetic-quick", "worlds-quick"}
    write_figures(runs[:2], tmp_path)
    assert (tmp_path / "figures/synthetic-quick").exists() and not (tmp_path / "figures/worlds-quick").exists()
    assert write_figures([], tmp_path) == [] and not (tmp_path / "figures/synthetic-quick").exists()


def test_no_records_give_no_figures(tmp_path):
    assert write_figures([], tmp_path) == []


@pytest.mark.parametrize("suite", ["atari", "synthetic", "colours", "mine"])
def test_runs_that_all_failed_give_no_figures(tmp_path, suite):
    runs = [replace(failed("gridworld", "setcon"), suite=suite), record("gridworld", "slotwise", suite=suite)]
    assert write_figures(runs, tmp_path) == []


def test_arrays_are_read_only_as_the_record_has_them(tmp_path):
    run = written(tmp_path, record("gridworld", "setcon"), film(5, 3))
    assert set(arrays(tmp_path, run)) == set(film(5, 3))
    (tmp_path / run.path).with_suffix(".npz").write_bytes(b"altered")
    assert arrays(tmp_path, run) == {}
    assert arrays(tmp_path, record("gridworld", "slotwise")) == {}


def test_learning_curves_have_a_line_a_seed_and_name_the_runs_that_failed():
    runs = [record("gridworld", "setcon", seed, curve=CURVE) for seed in (0, 1)]
    figure = drawn(line_figures.learning_curves, [*runs, failed("gridworld", "setcon", 2)])["learning-curves"]
    (panel,) = figure.axes
    assert [list(line.get_ydata()) for line in panel.get_lines()] == [[3.0, 0.3], [3.0, 0.3]]
    assert [text.get_text() for text in panel.texts] == ["failed: setcon, seed 2"]
    assert panel.get_yscale() == "log"


def test_the_lowest_of_the_learning_curves_names_the_axis_of_all():
    runs = [record(dataset, "setcon", curve=CURVE) for dataset in ("bouncing_balls", "gridworld")]
    panels = drawn(line_figures.learning_curves, runs)["learning-curves"].axes
    assert [panel.get_xlabel() for panel in panels] == ["", "training steps"]


def test_a_loss_below_zero_is_drawn_on_a_linear_axis():
    figure = drawn(line_figures.learning_curves, [record("pong", "scn", curve=[[1, 0.5], [2, -0.5]])])
    assert figure["learning-curves"].axes[0].get_yscale() == "linear"


def test_steps_ahead_show_the_mean_its_error_and_every_seed():
    runs = [record("gridworld", "setcon", seed, rollout(first, 0.01)) for seed, first in enumerate((0.01, 0.03))]
    (panel,) = drawn(line_figures.steps_ahead, runs)["steps-ahead-mse"].axes
    one, other, mean = (line.get_ydata() for line in panel.get_lines())
    assert list(one) == pytest.approx([1, 2, 3, 4, 5, 6])
    assert list(other) == pytest.approx([3, 4, 5, 6, 7, 8])
    assert list(mean) == pytest.approx([2, 3, 4, 5, 6, 7])
    band = panel.collections[0].get_paths()[0].get_extents()
    assert (band.ymin, band.ymax) == (pytest.approx(1), pytest.approx(8))


def test_the_band_of_a_mean_above_zero_stays_above_zero_and_that_of_others_is_symmetric():
    for first, second, low in ((0.001, 0.1, 0.1 * 5.05), (-0.01, -0.03, -3), (-0.01, 0.01, -1)):
        runs = [record("gridworld", "setcon", seed, rollout(value, 0)) for seed, value in enumerate((first, second))]
        (panel,) = drawn(line_figures.steps_ahead, runs)["steps-ahead-mse"].axes
        assert panel.collections[0].get_paths()[0].get_extents().ymin == pytest.approx(low)


def coloured(colours: int, slots: int) -> Record:
    fields = {"num_objects": colours, "num_colours": None, "num_slots": slots}
    name = f"gridworld-colours-{colours}-slots-{slots}"
    return record(name, "setcon", rows=decoded(0.01 * colours, 0.1), configuration={"training": {}, "dataset": fields})


def test_colours_follow_each_rule_for_the_number_of_slots():
    runs = [coloured(colours, slots) for colours, slots in ((3, 4), (4, 4), (4, 5), (6, 4), (6, 7))]
    panels = {panel.get_title("left"): panel for panel in drawn(line_figures.colours, runs)["figure6-colours"].axes}
    assert list(panels) == ["MSE s, 4 slots", "MSE s, colours + 1 slots", "MSE p, 4 slots", "MSE p, colours + 1 slots"]
    lines = {title: panel.get_lines()[-1] for title, panel in panels.items()}
    assert list(lines["MSE s, colours + 1 slots"].get_xdata()) == [3, 4, 6]
    assert list(lines["MSE s, 4 slots"].get_ydata()) == pytest.approx([3, 4, 6])


def canvas(figure) -> np.ndarray:
    return figure.axes[0].images[0].get_array()


def test_one_frame_has_a_row_a_method_and_a_column_a_slot():
    arrays = film(16, 3)
    runs = [record("bouncing_balls", method) for method in ("setcon", "slotwise")]
    figure = drawn(frame_figures.one_frame, [*runs, failed("bouncing_balls", "reconstruction")], arrays)
    (panel,) = figure["frames-bouncing_balls-seed-0"].axes
    rows = [label.get_text() for label in panel.get_yticklabels()]
    assert rows == ["reconstruction (failed)", "setcon", "slotwise"]
    titles = [label.get_text() for label in panel.get_xticklabels()]
    assert titles == ["frame", "s", "p1", *(f"{kind} {k}" for kind in ("attn", "mask") for k in range(1, 5))]
    shown = canvas(figure["frames-bouncing_balls-seed-0"])
    tile = shown[67 : 67 + 64 : 4, :64:4]
    np.testing.assert_allclose(tile, arrays["decoder.frames"][0, 1] / 255)
    np.testing.assert_allclose(shown[:64, :64], 0.93)


@pytest.mark.parametrize("channels", [1, 2])
def test_frames_without_colours_are_shown_in_grey(channels):
    arrays = film(16, 3)
    arrays |= {name: array[..., :channels] for name, array in arrays.items() if name.endswith("frames")}
    figure = drawn(frame_figures.one_frame, [record("bouncing_balls", "setcon")], arrays)
    tile = canvas(figure["frames-bouncing_balls-seed-0"])[:64:4, :64:4]
    np.testing.assert_allclose(tile, arrays["decoder.frames"][0, 1, ..., -1:].repeat(3, -1) / 255)


def test_the_name_of_a_row_without_frames_is_inside_the_figure():
    runs = [record("bouncing_balls", method) for method in ("setcon", "setcon-random-init")]
    runs.append(failed("bouncing_balls", "reconstruction"))
    with style():
        found = frame_figures.one_frame(scores(*runs), lambda run: film(16, 3) if run.method == "setcon" else {})
        (figure,) = dict(found).values()
        figure.canvas.draw()
        labels = figure.axes[0].get_yticklabels()
        rows = [label.get_text().replace("\n", " ") for label in labels]
        assert rows == ["reconstruction (failed)", "setcon", "setcon-random-init (no frames kept)"]
        assert all(label.get_window_extent().x0 >= 0 for label in labels)


def test_frames_ahead_show_what_was_predicted_from_how_far():
    arrays = {name.replace("decoder.", "decoder-rollout."): array for name, array in film(5, 3).items()}
    arrays = {name: array for name, array in arrays.items() if "masks" not in name}
    figure = drawn(frame_figures.frames_ahead, [record("gridworld", "setcon")], arrays)
    (panel,) = figure["frames-ahead-gridworld-seed-0"].axes
    titles = [label.get_text() for label in panel.get_xticklabels()]
    assert titles == ["frame", "s", "p1", "p2", "p3", "p4", "p5"]
    np.testing.assert_allclose(canvas(figure["frames-ahead-gridworld-seed-0"])[:60, -60:], 0.93)


def test_methods_are_compared_at_a_time_that_all_have():
    late, early = film(5, 3), film(5, 5)
    late["decoder.times"], early["decoder.times"] = np.array([5, 6, 7]), np.array([3, 4, 5, 6, 7])
    found = frame_figures.one_frame(
        scores(record("gridworld", "setcon"), record("gridworld", "slotwise")),
        lambda run: {"setcon": late, "slotwise": early}[run.method],
    )
    shown = canvas(dict(found)["frames-gridworld-seed-0"])
    np.testing.assert_allclose(shown[:60:12, :60:12], late["decoder.frames"][0, 1] / 255)
    np.testing.assert_allclose(shown[63 : 63 + 60 : 12, :60:12], early["decoder.frames"][0, 3] / 255)


def test_runs_on_other_frames_are_in_a_figure_of_their_own():
    """Another image size, or clips that share no time with the others."""
    large = [record("gridworld", method) for method in ("setcon", "slotwise")]
    small = record("gridworld", "scn", configuration={"training": {}, "dataset": {"image_size": 5}})
    arrays = {"setcon": film(16, 3), "slotwise": film(16, 3, 1), "scn": film(5, 3)}
    found = dict(frame_figures.one_frame(scores(*large, small), lambda run: arrays[run.method]))
    rows = {name: [label.get_text() for label in figure.axes[0].get_yticklabels()] for name, figure in found.items()}
    assert rows == {
        "frames-gridworld-seed-0": ["setcon", "slotwise"],
        "frames-gridworld-seed-0-2": ["scn"],
    }
    arrays["slotwise"]["decoder.times"] = np.array([25, 26, 27])
    assert list(dict(frame_figures.one_frame(scores(*large), lambda run: arrays[run.method]))) == []


def test_a_clip_without_predictions_and_attention_shows_what_there_is():
    arrays = {name: array for name, array in film(5, 4).items() if "p1" not in name and "attention" not in name}
    (panel,) = drawn(frame_figures.over_time, [record("gridworld", "setcon", 3)], arrays)["clip-gridworld-setcon"].axes
    rows = [label.get_text() for label in panel.get_yticklabels()]
    assert rows == ["frame", "decoded from s", *(f"decoder mask, slot {k}" for k in range(1, 5))]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["t = 3", "t = 4", "t = 5", "t = 6"]


def test_accuracy_has_bars_points_and_the_papers_values():
    runs = [record("pong", "scn", seed, [row("linear", "r2", "all", r2)]) for seed, r2 in enumerate((0.4, 0.6))]
    (panel,) = drawn(scn_figures.accuracy, [*runs, record("pong", "cswm", rows=[row("linear", "r2", "all", -4.0)])])[
        "table3-r2"
    ].axes
    widths = [bar.get_width() for bar in panel.patches if bar.get_height() > 0]
    assert widths == [scn_figures.LOWEST, pytest.approx(0.5)]
    points = {line.get_marker(): list(line.get_xdata()) for line in panel.get_lines()}
    assert points["."] == [0.4, 0.6]
    assert points["D"] == [0.73]
    assert [text.get_text() for text in panel.texts] == ["-4.00"]


def test_the_papers_value_does_not_stand_at_a_variants_bar():
    runs = [record("pong", "scn", rows=[row("linear", "r2", "all", 0.5)])]
    (found,) = Scores.of(runs, Context(variant=lambda run: "tau=0.5"))
    (panel,) = dict(scn_figures.accuracy(found, lambda run: {}))["table3-r2"].axes
    assert len(panel.patches) == 1 and "D" not in {line.get_marker() for line in panel.get_lines()}


def test_a_group_of_bars_has_room_for_the_methods_that_ran_and_a_repeated_colour_is_hatched():
    names = ("cswm", "scn", "setcon", "setcon-fm", "slotcontrast", "slotwise", "slotwise-fm", "slotwise-matched")
    many = [record("boxing", name, rows=[row("linear", "r2", "all", 0.5)]) for name in names]
    few = [record("pong", name, rows=[row("linear", "r2", "all", 0.25)]) for name in ("cswm", "slotwise-matched")]
    (panel,) = drawn(scn_figures.accuracy, [*many, *few])["table3-r2"].axes
    bars = [bar for bar in panel.patches if bar.get_height() > 0]
    assert [bar.get_y() + bar.get_height() / 2 for bar in bars] == pytest.approx([*range(8), 9, 10])
    assert [*panel.get_yticks()] == [3.5, 9.5]
    assert [bool(bar.get_hatch()) for bar in bars] == [*[False] * 7, True, False, True]
    assert bars[0].get_facecolor() == bars[7].get_facecolor()


def test_importance_has_a_matrix_a_method():
    shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    notes = {"linear": {"objects": ["player", "ball"]}}
    runs = [record("pong", method, notes=notes) for method in ("scn", "cswm")] + [failed("pong", "supervised")]
    figure = drawn(scn_figures.importance, runs, {"linear.importance_std": shares})["importance"]
    panel = figure.axes[0]
    assert [image.get_array().tolist() for image in panel.images] == [shares.tolist()] * 2
    assert [image.get_clim() for image in panel.images] == [(0, 1)] * 2, "one colour is one share in all of them"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["player", "ball"]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["cswm", "scn", "supervised"]
    assert not figure.axes[-1].get_xlabel().endswith("data sets")


def test_each_row_of_importance_is_the_object_that_it_is_named_after():
    known = {"cswm": ["ball", "enemy", "player"], "scn": ["enemy", "player"]}
    shares = {"cswm": np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]), "scn": np.array([[0.3, 0.7], [0.5, 0.5]])}
    runs = [record("pong", method, notes={"linear": {"objects": names}}) for method, names in known.items()]
    found = scn_figures.importance(scores(*runs), lambda run: {"linear.importance_std": shares[run.method]})
    panel = dict(found)["importance"].axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == known["cswm"]
    first, second = (np.ma.filled(image.get_array(), np.nan) for image in panel.images)
    np.testing.assert_array_equal(first, shares["cswm"])
    np.testing.assert_array_equal(second, [[np.nan, np.nan], *shares["scn"]])
    assert panel.get_ylim() == (2.5, -0.5)


def test_of_too_many_matrices_those_on_most_data_sets_are_drawn_and_it_is_said():
    notes, shares = {"linear": {"objects": ["ball"]}}, np.array([[0.9, 0.1]])
    sweep = [
        record("pong", "scn", notes=notes, digest=f"d{n}", configuration={"method": {"diversity_weight": float(n)}})
        for n in range(2, 16)
    ]
    runs = [*sweep, *(record(game, "slotwise", notes=notes) for game in ("pong", "boxing"))]
    figure = drawn(scn_figures.importance, runs, {"linear.importance_std": shares})["importance"]
    names = [label.get_text() for label in figure.axes[1].get_xticklabels()]
    assert len(names) == scn_figures.MATRICES and names[-1] == "slotwise"
    assert figure.axes[-1].get_xlabel().endswith("of 15 rows of the tables the 12 that ran on most data sets")


def test_clips_of_two_titles_are_two_files_with_names_that_a_file_system_takes():
    names = ("a-b", "a+b", "n" * 240, "n" * 239 + "m", "Net", "net", "中" * 95)
    runs = [record("gridworld", name) for name in names]
    found = [name for name, _ in frame_figures.over_time(scores(*runs), lambda run: film(5, 3))]
    assert len({name.lower() for name in found}) == 7 and max(len(name.encode()) for name in found) < 200
    assert "clip-gridworld-a-b" not in found, "it would be that of either"


def test_names_that_are_too_long_to_stand_slanted_are_numbers_of_a_list(monkeypatch):
    monkeypatch.setattr(drawing, "SLANTED", len("setcon"))
    notes, shares = {"linear": {"objects": ["ball"]}}, np.array([[0.9, 0.1]])

    def names(*methods):
        runs = [record("pong", method, notes=notes) for method in methods]
        figure = drawn(scn_figures.importance, runs, {"linear.importance_std": shares})["importance"]
        return [label.get_text() for label in figure.axes[0].get_xticklabels()], figure.get_supxlabel()

    assert names("setcon", "cswm") == (["cswm", "setcon"], "")
    assert names("slotwise", "cswm") == (["1", "2"], "1  cswm\n2  slotwise")


def ridge(values: dict[str, np.ndarray]) -> list[Record]:
    """A run a method, seed and data set: `values` are seeds by data sets."""
    return [
        record(dataset, method, seed, [row("linear", "r2_ridge", "all", float(array[seed, d]))])
        for method, array in values.items()
        for seed in range(len(array))
        for d, dataset in enumerate(("boxing", "pong"))
    ]


def test_profiles_fall_from_all_runs_to_none_with_a_band_for_several_seeds():
    values = {"scn": np.array([[0.2, 0.4], [0.6, 0.8]]), "cswm": np.array([[0.3, 0.9]])}
    (panel,) = drawn(aggregate_figures.profiles, ridge(values))["performance-profiles"].axes
    cswm, scn = (dict(zip(line.get_xdata().round(2), line.get_ydata(), strict=True)) for line in panel.get_lines())
    assert [scn[level] for level in (0.1, 0.3, 0.5, 0.7, 0.9)] == [1, 0.75, 0.5, 0.25, 0]
    assert [cswm[level] for level in (0.1, 0.5, 0.95)] == [1, 0.5, 0]
    assert len(panel.collections) == 1


def test_the_heat_map_has_the_means_and_nothing_where_nothing_is_known():
    runs = [*ridge({"scn": np.array([[0.2, 0.4], [0.6, 0.8]])}), *ridge({"cswm": np.array([[0.3, 0.9]])})[:1]]
    panel = drawn(aggregate_figures.heat_map, runs)["heat-map-r2-ridge"].axes[0]
    assert [text.get_text() for text in panel.texts] == ["0.30", "0.40", "0.60"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["boxing", "pong"]


def test_a_number_in_the_heat_map_is_white_on_a_dark_colour_and_black_on_a_bright_one():
    panel = drawn(aggregate_figures.heat_map, ridge({"scn": np.array([[0.1, 0.9]])}))["heat-map-r2-ridge"].axes[0]
    assert {text.get_text(): text.get_color() for text in panel.texts} == {"0.10": "white", "0.90": "black"}


def test_one_method_has_no_profile_and_no_values_no_heat_map():
    assert drawn(aggregate_figures.profiles, ridge({"scn": np.full((2, 2), 0.5)})) == {}
    assert drawn(aggregate_figures.heat_map, [record("pong", "scn"), failed("pong", "cswm")]) == {}


def test_many_methods_still_look_different():
    many = looks(scores(*(record("pong", f"method-{i:02}") for i in range(3 * len(COLOURS)))))
    assert len(set(many.values())) == 3 * len(COLOURS)


def test_failures_are_told_by_method():
    runs = [failed("pong", "scn", 0), failed("pong", "scn", 2), failed("pong", "cswm", 1), record("pong", "scn", 1)]
    assert troubles(scores(*runs), "pong") == "failed: cswm, seed 1\nfailed: scn, seed 0, 2"


def test_objects_are_drawn_where_they_are_and_where_the_slots_put_them():
    frame = np.full((20, 30, 3), 128, np.uint8)
    true, predicted = np.array([[3, 4], [np.nan, 10]], np.float32), np.array([[5, 6], [np.nan, 12]], np.float32)
    arrays = {"linear.frame": frame, "linear.true": true, "linear.predicted": predicted}
    runs = [record("pong", method, 0, suite="atari") for method in ("scn", "cswm")]
    figure = drawn(position_figures.positions, runs, arrays)["positions-pong"]
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["cswm", "scn"]
    lines = figure.axes[0].get_lines()
    marks = {line.get_marker(): line.get_xydata().tolist() for line in lines if line.get_xydata()[0][0] in (3, 5)}
    assert marks["o"] == [[3, 4]] and marks["x"] == [[5, 6]]
    across = [line.get_ydata()[0] for line in lines if line.get_xydata()[0][0] == 0 and line.get_xydata()[-1][0] == 1]
    assert across == [10, 12]
    assert not drawn(position_figures.positions, runs)


def test_every_tile_of_a_row_is_of_the_same_time():
    arrays = film(16, 3)
    found = drawn(frame_figures.one_frame, [record("bouncing_balls", "setcon")], arrays)
    shown = canvas(found["frames-bouncing_balls-seed-0"])
    lefts = [67 * x + 6 * sum(x >= start for start in (1, 3, 7)) for x in range(11)]
    middle = {name.removeprefix("decoder."): array[0, 1] / 255 for name, array in arrays.items() if array.ndim > 3}
    masks = [*middle["attention"].reshape(4, 16, 16), *middle["s.masks"]]
    expected = [middle["frames"], middle["s.frames"], middle["p1.frames"], *(mask[..., None] for mask in masks)]
    for left, tile in zip(lefts, expected, strict=True):
        np.testing.assert_allclose(shown[:64:4, left : left + 64 : 4], np.broadcast_to(tile, (16, 16, 3)))


def test_a_clip_is_that_of_the_first_seed_that_has_one():
    runs = [failed("gridworld", "setcon", 0), *(record("gridworld", "setcon", seed) for seed in (1, 2))]
    figure = drawn(frame_figures.over_time, runs, film(5, 3))["clip-gridworld-setcon"]
    assert [text.get_text() for text in figure.texts] == ["setcon, seed 1"]


def test_a_bar_has_the_standard_error_of_its_mean():
    runs = [record("pong", "scn", seed, [row("linear", "r2", "all", r2)]) for seed, r2 in enumerate((0.4, 0.6))]
    (panel,) = drawn(scn_figures.accuracy, runs)["table3-r2"].axes
    (error,) = [bars for bars in panel.collections if hasattr(bars, "get_segments")]
    assert error.get_segments()[0][:, 0] == pytest.approx([0.4, 0.6])


def test_a_profiles_band_is_the_95_per_cent_of_its_own_methods_bootstrap():
    values = {"cswm": np.array([[0.1, 0.1]] * 3), "scn": np.array([[0.2, 0.4], [0.6, 0.8]])}
    (panel,) = drawn(aggregate_figures.profiles, ridge(values))["performance-profiles"].axes
    levels = aggregate_figures.LEVELS
    for band, array in zip(panel.collections, values.values(), strict=True):
        draws = aggregate_figures.profile(*aggregate_figures.resampled([array]), levels)
        low, high = np.quantile(draws, (0.025, 0.975), axis=0)
        edges = band.get_paths()[0].vertices
        for level, ends in zip(levels[1:-1], zip(low[1:-1], high[1:-1], strict=True), strict=True):
            at = edges[np.isclose(edges[:, 0], level), 1]
            assert (at.min(), at.max()) == pytest.approx(ends)


def test_predicted_slots_have_panels_of_their_own_errors():
    runs = [coloured(colours, 4) for colours in (3, 4)]
    panels = {panel.get_title("left"): panel for panel in drawn(line_figures.colours, runs)["figure6-colours"].axes}
    lines = {title: [*panel.get_lines()[-1].get_ydata()] for title, panel in panels.items()}
    assert lines["MSE s, 4 slots"] == pytest.approx([3, 4]) and lines["MSE p, 4 slots"] == pytest.approx([10, 10])


def test_a_data_set_on_which_accuracy_is_undefined_has_no_bars():
    runs = [
        record(name, "scn", rows=[row("linear", "r2", "all", r2)]) for name, r2 in (("boxing", None), ("pong", 0.5))
    ]
    (panel,) = drawn(scn_figures.accuracy, runs)["table3-r2"].axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["pong"]


def test_titles_of_panels_keep_to_their_panels_however_long_they_are():
    titles = [f"slotwise (slot_size=1{i}, weight_decay=0.001, configuration 0a1b2{i})" for i in range(8)]
    with style():
        figure, axes = panels(titles, 4, PAGE, 1.7)
        figure.savefig(io.BytesIO())
        figure.canvas.draw()
        boxes = [box.get_window_extent() for panel in axes.values() for box in (panel, panel._left_title)]
        short = panels(["a", "b"], 4, PAGE, 1.7)
        short[0].savefig(io.BytesIO())
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    heights = [
        panel.get_position().height * made.get_figheight()
        for made, panels_ in ((figure, axes), short)
        for panel in panels_.values()
    ]
    assert min(heights) == pytest.approx(heights[-1], rel=0.1)


@pytest.mark.parametrize("width", [COLUMN, PAGE])
@pytest.mark.parametrize(
    "name", ["scn {}", "slotwise {} (train_frames=10000, probe_frames=10000, max_episode_steps=500)"]
)
def test_a_legend_is_inside_the_figure_and_panels_keep_their_height_however_long_names_are(name, width):
    with style():
        figure, axes = panels([""], 1, width, 1.9)
        (line,) = axes[""].plot([0, 1])
        legend(figure, {name.format(i) * 2: line for i in range(24)}, 2)
        figure.savefig(io.BytesIO())
        figure.canvas.draw()
    (box,), whole = [each.get_window_extent() for each in figure.legends], figure.bbox
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0
    assert not box.overlaps(axes[""].get_tightbbox())
    assert axes[""].get_position().height * figure.get_figheight() == pytest.approx(1.9, rel=0.15)
