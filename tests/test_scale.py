"""How a step's cost grows: slopes, what is varied and how, and one real measurement."""

import pytest

from benchmark.report.drawing import save, style
from benchmark.speed.scale import Point, arguments_for, as_csv, chosen, common, main, parse, plot, slope, slopes, table


def points(axis, costs, flops):
    found = [
        {"ms_per_step": cost, "flops": count, "step_memory_mb": 1.0} for cost, count in zip(costs, flops, strict=True)
    ]
    rest = {"peak_memory_mb": 2.0, "compile_seconds": 3.0}
    return [Point(axis, 2**i, costs | rest) for i, costs in enumerate(found)]


def test_a_slope_is_the_power_of_the_growth():
    assert slope([1, 2, 4], [3, 6, 12]) == pytest.approx(1)
    assert slope([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
    assert slope([2, 8], [5, 5]) == pytest.approx(0)
    assert slope([1, 2], [1, None]) is None and slope([4, 4], [1, 2]) is None


def test_what_grows_worse_than_its_arithmetic_is_remarked_on():
    fair, worse = points("batch", [10, 20, 40], [1e9, 2e9, 4e9]), points("slots", [10, 40, 160], [1e9, 2e9, 4e9])
    assert slopes(worse) == pytest.approx((2, 1))
    text = table([*fair, *worse], "scn on pong")
    assert text.count("grows worse") == 1 and "Slope of the time 2.00, of the arithmetic 1.00: **grows" in text
    assert "| 4 | 40.0 | 4.00 | 4 | 1 |" in text


def test_a_point_that_failed_has_its_reason_and_leaves_the_others():
    found = [*points("batch", [10, 20], [None, None]), Point("batch", 4, None, "RESOURCE_EXHAUSTED: a|b")]
    text = table(found, "scn on pong")
    assert "| 4 | RESOURCE_EXHAUSTED: a/b | | | |" in text and "Slope of the time 1.00." in text
    assert as_csv(found).splitlines()[-1] == "batch,4,,,,,,RESOURCE_EXHAUSTED: a|b"


def test_each_axis_sets_what_has_that_number():
    grid, game = parse(["setcon", "gridworld"]), parse(["scn", "pong"])
    assert arguments_for(grid, "slots", 6) == ["--set", "datasets.gridworld.num_slots=6"]
    assert arguments_for(grid, "objects", 2) == ["--set", "datasets.gridworld.num_objects=2"]
    assert arguments_for(parse(["setcon", "bouncing_balls"]), "objects", 2)[1] == "datasets.bouncing_balls.num_balls=2"
    assert arguments_for(game, "slots", 6) == ["--set", "methods.scn.num_slots=6"]
    assert arguments_for(game, "seeds", 4) == ["--seeds-together", "4"]
    assert arguments_for(game, "batch", 4) == ["--batch", "4"]
    assert list(chosen(game)) == ["batch", "slots", "seeds", "devices"]
    assert list(chosen(grid)) == ["batch", "slots", "objects", "seeds", "devices"]


def test_every_point_is_given_the_plugin_by_its_whole_path(tmp_path, monkeypatch):
    (tmp_path / "mine.py").touch()
    monkeypatch.chdir(tmp_path)
    given = common(parse(["mine", "pong", "--plugin", "mine.py", "--plugin", "a.module"]))
    assert given[-4:] == ["--plugin", str(tmp_path / "mine.py"), "--plugin", "a.module"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scm", "pong"], "did you mean 'scn'"),
        (["scn", "pong", "--plugin", "nowhere.py"], "'nowhere.py': there is no such file"),
        (["scn", "pong", "--batch", "many"], "invalid int value: 'many'"),
        (["scn", "pong", "--over", "bach=1"], "did you mean 'batch'"),
        (["scn", "pong", "--over", "batch=1,x"], "whole numbers"),
        (["scn", "pong", "--over", "batch=0"], "whole numbers"),
        (["scn", "pong", "--set", "methods.scn.slotsize=2"], "did you mean 'slot_size'"),
        (["scn", "pong", "--over", "objects=2"], "neither scn nor pong has a number of objects"),
    ],
)
def test_a_mistake_is_one_line(arguments, told, capsys):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_a_measurement_leaves_a_table_and_a_plot_and_names_what_failed(tmp_path, capsys):
    sizes = ["--batch", "4", "--steps", "5", "--set", "datasets.gridworld.test_size=4", "--out", str(tmp_path)]
    assert main(["setcon", "gridworld", *sizes, "--over", "seeds=2", "--over", "devices=3"]) == 1
    shown = capsys.readouterr().out
    assert "[1/2] seeds 2: " in shown and "--devices 3 does not divide the batch of 4" in shown
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".csv", ".png", ".pdf"}
    assert "| 2 |" in (tmp_path / "scale-setcon-gridworld.md").read_text()


def test_the_plot_has_a_panel_an_axis(tmp_path):
    with style():
        figure = plot([*points("batch", [10, 20], [1e9, 2e9]), *points("slots", [10, 20], [1e9, 2e9])])
        assert [axes.get_title("left") for axes in figure.axes] == ["batch: slope 1.00", "slots: slope 1.00"]
        assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2"]
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["10", "20"]
        assert all(path.stat().st_size for path in save(figure, tmp_path / "scale"))
