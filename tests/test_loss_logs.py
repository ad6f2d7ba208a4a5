"""Losses sent to TensorBoard and W&B: what is sent, to stand-ins of the packages, and what happens without them."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import create_autospec

import pytest
from made import record, row

from benchmark import plan
from benchmark.command import main
from benchmark.configure import Configuration
from benchmark.loss_logs import Logged, opener, with_log
from benchmark.progress import PlainProgress, Progress

(RUN,) = plan.runs(Configuration("atari", "quick"), ["scn"], ["pong"], seeds=1)
ROWS = [row("linear", "r2", "all", 0.5), row("linear", "r2", "x", None)]
DONE = replace(record("pong", "scn", 0, ROWS, training={"steps": 2}), digest=RUN.digest)


def test_without_a_terminal_a_line_tells_every_half_minute_how_far_a_run_is(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("benchmark.progress.time.monotonic", lambda: now[0])
    lane = PlainProgress({RUN.path: 1.0}).lane()
    lane.run_started(RUN)
    for now[0], tell in (
        (10, lambda: lane.step(1, 3.0, {})),
        (31, lambda: lane.step(22, 2.0, {})),
        (40, lambda: lane.stage("freezing")),
        (62, lambda: lane.stage("a decoder learns")),
    ):
        tell()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "    pong, scn, seed 0: step 22/400, loss 2, 6.3 min left",
        "    pong, scn, seed 0: a decoder learns",
    ]


def test_lines_that_nobody_can_take_stop_no_run(monkeypatch):
    class Closed:
        def write(self, text: str = "") -> None:
            raise BrokenPipeError

        flush = write

    progress = PlainProgress({DONE.path: 1.0})
    lane = progress.lane()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Closed())
        lane.run_started(RUN)
        lane.note("frames are collected")
        lane.run_finished(DONE)
    assert progress.remaining.done == 1 and not progress.remaining.left


def names_of(display: Progress) -> list[str]:
    """What a stand-in of the display was told."""
    return [name for name, _, _ in display.method_calls]


@pytest.fixture
def sent(monkeypatch) -> list:
    """All that reaches either package."""
    found: list = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            found.append(Path(folder).name)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            found.append((name, value, step))

        def close(self) -> None:
            found.append("closed")

    def init(**fields):
        found.append(fields["name"])
        log = lambda numbers, step: found.extend((name, value, step) for name, value in numbers.items())  # noqa: E731
        return SimpleNamespace(log=log, finish=lambda: found.append("closed"))

    for name, content in (("tensorboardX", {"SummaryWriter": SummaryWriter}), ("wandb", {"init": init})):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("benchmark.loss_logs.find_spec", lambda name: name)
    return found


@pytest.mark.parametrize(("name", "title"), [("tensorboard", "seed-0"), ("wandb", "pong, scn, seed 0")])
def test_losses_and_metrics_are_sent_and_the_display_still_told(name, title, sent, tmp_path):
    display = create_autospec(Progress, instance=True)
    told = Logged(display, tmp_path, opener(name))
    told.run_started(RUN)
    told.step(1, 3.0, {"saliency": 2.0})
    told.stage("probing")
    told.run_finished(DONE)
    assert sent == [title, ("loss", 3.0, 1), ("loss/saliency", 2.0, 1), ("linear/r2/all", 0.5, 2), "closed"]
    assert names_of(display) == ["run_started", "step", "stage", "run_finished"]
    assert isinstance(told, Progress)


def test_a_log_gets_nothing_of_a_run_that_was_finished_elsewhere(sent, tmp_path):
    told = Logged(create_autospec(Progress, instance=True), tmp_path, opener("wandb"))
    told.run_started(RUN)
    told.step(1, 3.0, {})
    told.run_finished(replace(DONE, seed=1))  # while RUN was lost to another process
    assert sent == ["pong, scn, seed 0", ("loss", 3.0, 1), "closed"]


def test_what_is_measured_on_val_or_undefined_is_not_sent(sent, tmp_path):
    (row,) = DONE.metrics[:1]
    others = [{**row, "split": "val", "value": 9.0}, {**row, "metric": "r2_ridge", "value": None}]
    told = Logged(create_autospec(Progress, instance=True), tmp_path, opener("wandb"))
    told.run_started(RUN)
    told.run_finished(replace(DONE, metrics=[row, *others]))
    assert [name for name, *_ in sent[1:-1]] == ["linear/r2/all"] and sent[1][1] == row["value"]


@pytest.mark.parametrize("at", ["open", "send", "close"])
def test_trouble_with_a_log_is_said_once_and_costs_no_run(at, tmp_path):
    def fail_at(*places):
        if at in places:
            raise OSError("the server is away")

    def opened(out, run):
        fail_at("open")
        return lambda numbers, step: fail_at("send"), lambda: fail_at("close")

    display = create_autospec(Progress, instance=True)
    told = Logged(display, tmp_path, opened)
    told.run_started(RUN)
    told.step(1, 3.0, {})
    told.step(2, 3.0, {})
    told.run_finished(DONE)
    display.note.assert_called_once()
    assert [name for name in names_of(display) if name != "note"] == ["run_started", "step", "step", "run_finished"]


def test_the_log_of_a_run_that_was_lost_is_ended_when_the_next_begins(sent, tmp_path):
    told = Logged(create_autospec(Progress, instance=True), tmp_path, opener("wandb"))
    told.run_started(RUN)
    told.run_started(RUN)
    assert sent == ["pong, scn, seed 0", "closed", "pong, scn, seed 0"]


def test_the_log_of_a_run_that_is_stopped_is_closed(sent, tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        with_log(create_autospec(Progress, instance=True), tmp_path, "wandb") as told,
    ):
        told.run_started(RUN)
        told.step(1, 3.0, {})
        raise KeyboardInterrupt
    assert sent == ["pong, scn, seed 0", ("loss", 3.0, 1), "closed"]


def test_trouble_with_the_log_of_a_lost_run_leaves_the_next_its_own(tmp_path):
    opened, sent = [], []

    def close():
        raise OSError("the server was away")

    told = Logged(
        create_autospec(Progress, instance=True),
        tmp_path,
        lambda out, run: opened.append(run) or (lambda numbers, step: sent.append(numbers), close),
    )
    told.run_started(RUN)
    told.run_started(RUN)
    told.step(1, 3.0, {})
    assert opened == [RUN, RUN] and sent == [{"loss": 3.0}]


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_an_absent_package_is_one_line_and_exit_code_2(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("benchmark.loss_logs.find_spec", lambda name: None)
    assert main(["--log", name, "--out", str(tmp_path), "--datasets", "pong", "--methods", "scn"]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1 and "is not installed; pip install" in shown.err and not shown.out


def test_tensorboard_files_are_written_where_the_package_is(tmp_path):
    pytest.importorskip("tensorboardX")
    send, close = opener("tensorboard")(tmp_path, RUN)
    send({"loss": 1.0}, 1)
    close()
    assert [*(tmp_path / "tensorboard" / "pong").rglob("seed-0/events.*")]
